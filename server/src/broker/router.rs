//! Server to hub, through rumqttd's in-process router. The only file that names rumqttd.
//!
//! Its own listeners are not used: one silent socket or one client can stop them. Of what is known to stop its router
//! thread, nothing can be reached from here: links subscribe to one plain topic with QoS 0, say `Ready` only while
//! they are registered, always say `Disconnect` at their end, and no two have the same name at a time.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet};
use rumqttd::{Notification, RouterConfig};
use shared::id::HubId;
use shared::topic;

use super::limits::{CONNECTIONS_MAX, ROUTER_SEGMENT_BYTES_MAX, ROUTER_SEGMENTS_MAX};

/// The router's thread has ended: nothing reaches a hub any more. The process must be started again; nothing durable
/// is lost with it.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the in-process MQTT router has ended; the process must be started again")]
pub struct RouterLost(#[source] Box<dyn std::error::Error + Send + Sync>);

impl From<LinkError> for RouterLost {
    fn from(error: LinkError) -> Self {
        Self(Box::new(error))
    }
}

impl From<tokio::task::JoinError> for RouterLost {
    fn from(error: tokio::task::JoinError) -> Self {
        Self(Box::new(error))
    }
}

type MakeLink = dyn Fn(&str) -> Result<(LinkTx, LinkRx), RouterLost> + Send + Sync;

/// Makes links to the router. Cheap to clone.
#[derive(Clone)]
pub(super) struct Router {
    // The sender's item is private to rumqttd; a closure may hold what cannot be named.
    make: Arc<MakeLink>,
}

/// The publishing end.
pub(super) struct Publisher {
    tx: LinkTx,
    rx: LinkRx,
}

/// A hub's end: what is for it comes out here.
pub(super) struct Link {
    rx: LinkRx,
    // Says `Disconnect` when dropped, without which rumqttd keeps the link for ever.
    leave: Leave,
}

struct Leave {
    tx: LinkTx,
}

impl Router {
    /// Starts the router on its own thread, and makes the publishing end.
    ///
    /// # Errors
    /// [`RouterLost`]
    pub(super) async fn start() -> Result<(Self, Publisher), RouterLost> {
        let config = RouterConfig {
            max_connections: CONNECTIONS_MAX.saturating_add(1),
            max_outgoing_packet_count: 200,
            max_segment_size: ROUTER_SEGMENT_BYTES_MAX,
            max_segment_count: ROUTER_SEGMENTS_MAX,
            ..RouterConfig::default()
        };
        let router = Self::spawn(config).await?;
        let (tx, rx) = router.link("server".to_owned()).await?;
        Ok((router, Publisher { tx, rx }))
    }

    async fn spawn(config: RouterConfig) -> Result<Self, RouterLost> {
        let spawned = tokio::task::spawn_blocking(move || {
            let sender = rumqttd::Router::new(0, config).spawn();
            let make = move |name: &str| {
                let (tx, rx, _) = LinkBuilder::new(name, sender.clone()).clean_session(true).build()?;
                Ok((tx, rx))
            };
            Self { make: Arc::new(make) }
        });
        Ok(spawned.await?)
    }

    async fn link(&self, name: String) -> Result<(LinkTx, LinkRx), RouterLost> {
        let make = self.make.clone();
        // It waits for the router's answer with the thread.
        tokio::task::spawn_blocking(move || make(&name)).await?
    }

    /// Subscribes to what is for the hub. The caller holds the hub's seat, so the name is free.
    ///
    /// # Errors
    /// [`RouterLost`]
    pub(super) async fn subscribe(&self, hub: HubId) -> Result<Link, RouterLost> {
        let (tx, rx) = self.link(hub.to_string()).await?;
        let mut link = Link { rx, leave: Leave { tx } };
        link.leave.tx.subscribe(topic::down(hub))?;
        Ok(link)
    }
}

impl Publisher {
    /// Publishes to the hub.
    ///
    /// # Errors
    /// [`RouterLost`]
    pub(super) fn publish(&mut self, hub: HubId, message: Vec<u8>) -> Result<(), RouterLost> {
        self.tx.publish(topic::down(hub), Bytes::from(message))?;
        Ok(())
    }

    /// Ends when the router is lost, and not before. May be dropped half-way and called again.
    pub(super) async fn lost(&mut self) -> RouterLost {
        loop {
            match self.rx.next().await {
                Ok(_) => {}
                Err(error) => return error.into(),
            }
        }
    }
}

impl Link {
    /// The next message for the hub. May be dropped half-way and called again.
    ///
    /// # Errors
    /// [`RouterLost`]
    pub(super) async fn next(&mut self) -> Result<Bytes, RouterLost> {
        loop {
            match self.rx.next().await? {
                Some(Notification::Forward(forward)) => return Ok(forward.publish.payload),
                // The router pauses a link whose buffer is full until it hears this.
                Some(Notification::Unschedule) => self.rx.wake().await?,
                Some(Notification::Disconnect(..)) => return Err(RouterLost("the router closed the link".into())),
                _ => {}
            }
        }
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        let goodbye = Disconnect { reason_code: DisconnectReasonCode::NormalDisconnection };
        // It never waits but for the router's thread. It fails only if the router is lost, which its owner sees.
        let _ = self.tx.send(Packet::Disconnect(goodbye, None)).now_or_never();
    }
}
