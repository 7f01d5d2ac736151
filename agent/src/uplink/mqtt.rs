//! rumqttc, the only file that names it. Its client is used for one connection and then thrown away: on an error it
//! may forget what was given to it, and our queue is the only truth. The event loop is polled by a task of its own,
//! never beside other branches, because a cancelled poll can lose a packet. Its PUBACKs mean nothing to us.

use std::sync::Arc;

use rumqttc::{
    AsyncClient, Event as MqttEvent, EventLoop, LastWill, MqttOptions, NetworkOptions, Packet, QoS,
    SubscribeReasonCode, TlsConfiguration, Transport,
};
use shared::id::HubId;
use shared::topic;
use shared::wire::{DownMessage, from_bytes};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::limits;

/// What a client says.
#[derive(Debug)]
pub enum Event {
    /// Connected and subscribed: batches may go.
    Up,
    /// The server says something.
    Message(DownMessage),
    /// The server said something unreadable.
    Unreadable,
    /// The connection is over; nothing more comes from this client.
    Lost(Lost),
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The client's own reason.
    #[error("the connection is lost: {0}")]
    Connection(Box<rumqttc::ConnectionError>),
    /// The door refused the subscription.
    #[error("the door refuses the subscription; the hub may be revoked")]
    SubscriptionRefused,
    /// The client's request channel was full, which cannot be before anything was sent.
    #[error("the client takes no request")]
    Misuse,
}

/// The client cannot take a message now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the MQTT client has no room")]
pub struct Busy;

/// Where the door is.
#[derive(Debug, Clone)]
pub struct Door {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The hub.
    pub hub: HubId,
    /// Both ends' certificates.
    pub tls: Arc<rustls::ClientConfig>,
}

/// A client for one connection. Dropping it cuts the connection.
pub struct Client {
    requests: AsyncClient,
    up: String,
    task: JoinSet<()>,
}

impl Client {
    /// Starts connecting. Events carry `number`, so that those of a client thrown away are told apart.
    #[must_use]
    pub fn connect(door: &Door, number: u64, events: mpsc::Sender<(u64, Event)>) -> Self {
        let mut options = MqttOptions::new(door.hub.to_string(), door.host.clone(), door.port);
        options
            .set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::clone(&door.tls))))
            .set_keep_alive(limits::KEEP_ALIVE)
            .set_clean_session(true)
            .set_max_packet_size(limits::MQTT_PACKET_BYTES_MAX, limits::MQTT_PACKET_BYTES_MAX)
            .set_last_will(LastWill::new(topic::gone(door.hub), Vec::new(), QoS::AtMostOnce, false));
        let (requests, mut event_loop) = AsyncClient::new(options, limits::MQTT_REQUESTS_MAX);
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        event_loop.set_network_options(network);
        let mut task = JoinSet::new();
        task.spawn(poll(event_loop, requests.clone(), topic::down(door.hub), number, events));
        Self { requests, up: topic::up(door.hub), task }
    }

    /// Publishes on `hubs/{hub}/up`, QoS 1.
    ///
    /// # Errors
    /// [`Busy`]: nothing was taken.
    pub fn publish(&self, message: Vec<u8>) -> Result<(), Busy> {
        self.requests.try_publish(self.up.as_str(), QoS::AtLeastOnce, false, message).map_err(|_| Busy)
    }

    /// Says DISCONNECT, so that the will is not published, and waits for the end of the connection for a moment.
    pub async fn disconnect(mut self) {
        if self.requests.try_disconnect().is_ok() {
            let _ = tokio::time::timeout(limits::DISCONNECT_WITHIN, self.task.join_next()).await;
        }
    }
}

async fn poll(
    mut event_loop: EventLoop,
    requests: AsyncClient,
    down: String,
    number: u64,
    events: mpsc::Sender<(u64, Event)>,
) {
    loop {
        let event = match event_loop.poll().await {
            Ok(MqttEvent::Incoming(Packet::ConnAck(_))) => {
                match requests.try_subscribe(down.as_str(), QoS::AtMostOnce) {
                    Ok(()) => continue,
                    Err(_) => Event::Lost(Lost::Misuse),
                }
            }
            Ok(MqttEvent::Incoming(Packet::SubAck(answer))) => {
                let is_granted = matches!(answer.return_codes.first(), Some(SubscribeReasonCode::Success(_)));
                if is_granted { Event::Up } else { Event::Lost(Lost::SubscriptionRefused) }
            }
            Ok(MqttEvent::Incoming(Packet::Publish(message))) if message.topic == down => {
                from_bytes(&message.payload).map_or(Event::Unreadable, Event::Message)
            }
            Ok(MqttEvent::Incoming(_) | MqttEvent::Outgoing(_)) => continue,
            Err(error) => Event::Lost(Lost::Connection(Box::new(error))),
        };
        let is_over = matches!(event, Event::Lost(_));
        // Full: nothing is read from the network until the uplink has looked. Closed: the uplink is gone.
        if events.send((number, event)).await.is_err() || is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_an_event_and_the_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let tls = rustls::ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            let hub = HubId::from_bytes([1; 16]);
            let door = Door { host: "127.0.0.1".into(), port, hub, tls: Arc::new(tls) };
            let (out, mut events) = mpsc::channel(1);
            let client = Client::connect(&door, 7, out);
            let (number, event) = events.recv().await.unwrap();
            assert_eq!(number, 7);
            assert!(matches!(event, Event::Lost(Lost::Connection(_))));
            assert!(events.recv().await.is_none());
            drop(client);
        });
    }
}
