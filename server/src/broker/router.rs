//! Server to hub, through rumqttd's in-process router. The only file that names rumqttd.
//!
//! Its own listeners are not used: one silent socket or one client can stop them. Nor has each hub a link of its own: a
//! link and its log take some 400 KiB of address space, which fills as messages pass, and every link is a way to stop
//! the router's thread. There is one link for the whole process. It publishes to each hub's topic and subscribes to all
//! of them, with QoS 0, and what comes out is handed to the hubs' mailboxes.
//!
//! What was published and has not come out is kept here too, so that the end of the router's thread loses nothing: a
//! new one is started and given all of it.

use std::collections::VecDeque;

use bytes::Bytes;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::{Notification, RouterConfig};
use shared::id::HubId;
use shared::time::Tick;
use shared::topic;

use super::limits::{
    ROUTER_BYTES_MAX, ROUTER_MESSAGES_MAX, ROUTER_RESTARTS_MAX, ROUTER_RESTARTS_WITHIN, ROUTER_SEGMENTS_MAX,
    ROUTER_SILENT_MAX,
};

/// The router's thread has ended again and again: nothing reaches a hub any more. The process must be started again;
/// nothing durable is lost with it.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the in-process MQTT router has ended; the process must be started again")]
pub struct RouterLost(#[source] Box<dyn std::error::Error + Send + Sync>);

impl RouterLost {
    /// Nothing came out for [`ROUTER_SILENT_MAX`].
    pub(super) fn stuck() -> Self {
        Self("nothing comes out of it any more".into())
    }
}

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

/// Published, it ends the router's thread.
#[cfg(test)]
pub(super) const BREAK: &[u8] = b"break the router";

/// The one link to the router, and what is on its way through it.
pub(super) struct Router {
    tx: LinkTx,
    rx: LinkRx,
    under_way: UnderWay,
    // The router has paused the link, and has not been told that what it had was taken.
    owes_ready: bool,
    // When the router was started again, newest last.
    restarts: VecDeque<Tick>,
}

/// Messages that were published and have not come out, in order. Pure.
#[derive(Debug, Default)]
struct UnderWay {
    messages: VecDeque<(HubId, Bytes)>,
    bytes: usize,
    /// Since when the first of them waits.
    since: Tick,
}

impl UnderWay {
    fn push(&mut self, hub: HubId, message: Bytes, now: Tick) {
        if self.messages.is_empty() {
            self.since = now;
        }
        self.bytes = self.bytes.saturating_add(message.len());
        self.messages.push_back((hub, message));
    }

    /// One came out: it, and before it whatever should have come out earlier.
    fn came_out(&mut self, message: &Bytes, now: Tick) -> Vec<(HubId, Bytes)> {
        let through = self.messages.iter().position(|(_, waiting)| waiting == message);
        let out: Vec<_> = self.messages.drain(..through.map_or(0, |place| place.saturating_add(1))).collect();
        self.bytes = out.iter().fold(self.bytes, |bytes, (_, message)| bytes.saturating_sub(message.len()));
        self.since = now;
        out
    }
}

impl Router {
    /// Starts the router on its own thread and makes the link.
    ///
    /// # Errors
    /// [`RouterLost`]
    pub(super) async fn start() -> Result<Self, RouterLost> {
        let (tx, rx) = link().await?;
        Ok(Self { tx, rx, under_way: UnderWay::default(), owes_ready: false, restarts: VecDeque::new() })
    }

    /// Whether a further message may be published. If not, one must come out first.
    pub(super) fn has_room(&self) -> bool {
        self.under_way.bytes < ROUTER_BYTES_MAX && self.under_way.messages.len() < ROUTER_MESSAGES_MAX
    }

    /// Publishes to the hub. It comes out by [`Router::next`], whatever happens to the thread.
    pub(super) fn publish(&mut self, hub: HubId, message: Vec<u8>, now: Tick) {
        #[cfg(test)]
        if message == BREAK {
            let _ = futures_util::FutureExt::now_or_never(self.break_thread());
            return;
        }
        let message = Bytes::from(message);
        // It fails only if the thread has ended, which `next` sees; then it is published again.
        let _ = self.tx.publish(topic::down(hub), message.clone());
        self.under_way.push(hub, message, now);
    }

    /// What comes out next, in the order it was published. May be dropped half-way and called again.
    ///
    /// # Errors
    /// [`RouterLost`]: see [`Router::restart`].
    pub(super) async fn next(&mut self, now: impl Fn() -> Tick) -> Result<Vec<(HubId, Bytes)>, RouterLost> {
        loop {
            if self.owes_ready {
                // It waits only for a place in the router's channel, and then nothing was said: it is said again.
                self.rx.wake().await?;
                self.owes_ready = false;
            }
            match self.rx.next().await? {
                Some(Notification::Forward(forward)) => {
                    return Ok(self.under_way.came_out(&forward.publish.payload, now()));
                }
                // The router pauses a link whose buffer is full until it hears this.
                Some(Notification::Unschedule) => self.owes_ready = true,
                Some(Notification::Disconnect(..)) => return Err(RouterLost("the router closed the link".into())),
                _ => {}
            }
        }
    }

    /// When the router counts as stuck, if nothing comes out until then.
    pub(super) fn stuck_at(&self) -> Option<Tick> {
        (!self.under_way.messages.is_empty()).then(|| self.under_way.since.after(ROUTER_SILENT_MAX))
    }

    /// Starts a new router and publishes again what is on its way.
    ///
    /// # Errors
    /// [`RouterLost`] if it was started too often of late, or cannot be.
    pub(super) async fn restart(&mut self, why: RouterLost, now: Tick) -> Result<(), RouterLost> {
        self.restarts.retain(|at| now.since(*at) < ROUTER_RESTARTS_WITHIN);
        if self.restarts.len() >= ROUTER_RESTARTS_MAX {
            return Err(why);
        }
        self.restarts.push_back(now);
        let cause = &why.0;
        tracing::error!(%cause, "the in-process MQTT router has ended; a new one takes over and nothing is lost");
        (self.tx, self.rx) = link().await?;
        self.owes_ready = false;
        self.under_way.since = now;
        for (hub, message) in &self.under_way.messages {
            // As in `publish`: should this thread end too, `next` sees it.
            let _ = self.tx.publish(topic::down(*hub), message.clone());
        }
        Ok(())
    }

    /// Ends the router's thread the way a fault in it would: rumqttd panics when a link that has left says `Ready`.
    #[cfg(test)]
    pub(super) async fn break_thread(&mut self) {
        use rumqttd::protocol::{Disconnect, DisconnectReasonCode, Packet};
        let goodbye = Disconnect { reason_code: DisconnectReasonCode::NormalDisconnection };
        let _ = self.tx.send(Packet::Disconnect(goodbye, None)).await;
        let _ = self.rx.wake().await;
    }
}

/// A router on a thread of its own, and a link that publishes and subscribes to what is for hubs.
async fn link() -> Result<(LinkTx, LinkRx), RouterLost> {
    let config = RouterConfig {
        max_connections: 2,
        max_outgoing_packet_count: 200,
        // What is on its way always fits into one segment, so that the log never forgets any of it.
        max_segment_size: ROUTER_BYTES_MAX.saturating_mul(2),
        max_segment_count: ROUTER_SEGMENTS_MAX,
        ..RouterConfig::default()
    };
    // Making the link waits for the router's answer with the thread.
    let linked = tokio::task::spawn_blocking(move || -> Result<_, RouterLost> {
        let sender = rumqttd::Router::new(0, config).spawn();
        let (mut tx, rx, _) = LinkBuilder::new("server", sender).clean_session(true).build()?;
        tx.subscribe(topic::DOWN_OF_ALL)?;
        Ok((tx, rx))
    });
    linked.await?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use std::time::Duration;

    use super::*;

    const HUB: HubId = HubId::from_bytes([1; 16]);

    fn now() -> Tick {
        Tick::from_millis(1)
    }

    async fn out(router: &mut Router) -> Vec<(HubId, Bytes)> {
        tokio::time::timeout(Duration::from_secs(10), router.next(now)).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn messages_come_out_in_order_and_once() {
        let mut router = Router::start().await.unwrap();
        assert_eq!(router.stuck_at(), None);
        let mut seen = 0_u32;
        for stride in 0..10_u32 {
            for number in 0..300 {
                router.publish(HUB, (stride * 300 + number).to_be_bytes().to_vec(), now());
            }
            assert_eq!(router.stuck_at(), Some(now().after(ROUTER_SILENT_MAX)));
            while router.stuck_at().is_some() {
                for (hub, message) in out(&mut router).await {
                    assert_eq!((hub, message.as_ref()), (HUB, seen.to_be_bytes().as_slice()));
                    seen += 1;
                }
            }
        }
        assert_eq!((seen, router.under_way.bytes), (3_000, 0));
        router.publish(HUB, vec![0; ROUTER_BYTES_MAX], now());
        assert!(!router.has_room());
        assert_eq!(out(&mut router).await.len(), 1);
        assert!(router.has_room());
    }

    #[tokio::test]
    async fn what_the_router_must_hear_is_said_after_the_wait_for_it_was_dropped() {
        let mut router = Router::start().await.unwrap();
        for number in 0..600_u32 {
            router.publish(HUB, number.to_be_bytes().to_vec(), now());
        }
        let mut seen = 0;
        // Up to the router's pause: as `next` leaves it, dropped before it could say that it goes on.
        while !router.owes_ready {
            let came = tokio::time::timeout(Duration::from_secs(10), router.rx.next()).await.unwrap().unwrap();
            match came {
                Some(Notification::Unschedule) => router.owes_ready = true,
                Some(Notification::Forward(forward)) => {
                    seen += router.under_way.came_out(&forward.publish.payload, now()).len();
                }
                _ => {}
            }
        }
        assert!(seen < 600, "the router has paused");
        while seen < 600 {
            seen += out(&mut router).await.len();
        }
        assert!(!router.owes_ready);
    }

    #[tokio::test]
    async fn the_end_of_the_thread_loses_nothing_and_too_many_ends_are_the_end() {
        let mut router = Router::start().await.unwrap();
        for round in 0..ROUTER_RESTARTS_MAX {
            router.break_thread().await;
            for number in 0..5_u8 {
                router.publish(HUB, vec![number], now());
            }
            let mut seen = Vec::new();
            while seen.len() < 5 {
                let waited = tokio::time::timeout(Duration::from_secs(10), router.next(now)).await;
                match waited.expect("its end is seen") {
                    Ok(out) => seen.extend(out.into_iter().map(|(_, message)| message.to_vec())),
                    Err(why) => router.restart(why, now()).await.unwrap(),
                }
            }
            assert_eq!(seen, [vec![0], vec![1], vec![2], vec![3], vec![4]]);
            assert_eq!(router.restarts.len(), round + 1, "the thread ended once");
        }
        let again = router.restart(RouterLost("again".into()), now()).await;
        assert!(again.is_err(), "so many ends are no accident");
        let later = now().after(ROUTER_RESTARTS_WITHIN);
        router.restart(RouterLost("long after".into()), later).await.unwrap();
    }

    #[test]
    fn what_the_router_forgot_comes_out_with_what_it_did_not() {
        let mut under_way = UnderWay::default();
        for octet in 0..3_u8 {
            under_way.push(HUB, Bytes::from(vec![octet; 10]), now());
        }
        assert_eq!(under_way.came_out(&Bytes::from_static(b"never published"), now()), []);
        let out = under_way.came_out(&Bytes::from(vec![1; 10]), now());
        assert_eq!(out.iter().map(|(_, message)| message[0]).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((under_way.bytes, under_way.messages.len()), (10, 1));
    }
}
