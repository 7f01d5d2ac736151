//! What the server counts of itself, for Prometheus. No label says anything of a person, a hub or a value.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A reason, by its name in code: a fixed, small set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    door_refusals: Family<Reason, Counter>,
    feed_closed: Family<Reason, Counter>,
    /// Connections the door accepted. Each is in time one of `door_left` or has a reason among the refusals.
    pub door_accepted: Counter,
    /// Sessions that their hubs ended, with DISCONNECT.
    pub door_left: Counter,
    /// Hubs connected now.
    pub door_connections: Gauge,
    /// Messages that came from hubs.
    pub batches_arrived: Counter,
    /// Messages sent to hubs.
    pub messages_down: Counter,
    /// Messages for hubs that were not here.
    pub messages_down_unheard: Counter,
    /// How often the in-process router was started again.
    pub router_restarts: Counter,
    /// Observations stored.
    pub observations: Counter,
    /// Records in quarantine.
    pub quarantined: Counter,
    /// Transactions committed.
    pub commits: Counter,
    /// How long they took, in seconds.
    pub commit_duration_s: Histogram,
    /// Whether the store could not commit when it last tried: 1 or 0, as of when Prometheus asks.
    pub store_refuses: Gauge,
    /// How often the store's log could not be written back since the start, as of when Prometheus asks.
    pub store_checkpoints_failed: Gauge,
    /// Batches that wait for the store.
    pub store_queue: Gauge,
    /// Receipts sent.
    pub receipts: Counter,
    /// Clinicians' sockets open now ...
    pub feed_clients: Gauge,
    /// ... of which say that they are audible.
    pub feed_clients_audible: Gauge,
    /// Alert events sent, over all sockets.
    pub feed_events: Counter,
    /// How late the alert engine's deadlines are applied, in milliseconds, at the last one.
    pub deadlines_late_ms: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// With everything at nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("rpm"),
            door_refusals: Family::default(),
            feed_closed: Family::default(),
            door_accepted: Counter::default(),
            door_left: Counter::default(),
            door_connections: Gauge::default(),
            batches_arrived: Counter::default(),
            messages_down: Counter::default(),
            messages_down_unheard: Counter::default(),
            router_restarts: Counter::default(),
            observations: Counter::default(),
            quarantined: Counter::default(),
            commits: Counter::default(),
            // 0.5 ms to 16 s.
            commit_duration_s: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
            store_refuses: Gauge::default(),
            store_checkpoints_failed: Gauge::default(),
            store_queue: Gauge::default(),
            receipts: Counter::default(),
            feed_clients: Gauge::default(),
            feed_clients_audible: Gauge::default(),
            feed_events: Counter::default(),
            deadlines_late_ms: Gauge::default(),
        };
        metrics.register_door();
        metrics.register_rest();
        metrics
    }

    fn register_door(&mut self) {
        let r = &mut self.registry;
        r.register("door_accepted", "Connections accepted by the door", self.door_accepted.clone());
        r.register("door_left", "Sessions ended by their hubs in order", self.door_left.clone());
        r.register("door_refusals", "Connections refused or ended by the door", self.door_refusals.clone());
        r.register("door_connections", "Hubs connected", self.door_connections.clone());
        r.register("batches_arrived", "Messages that came from hubs", self.batches_arrived.clone());
        r.register("messages_down", "Messages sent to hubs", self.messages_down.clone());
        r.register("messages_down_unheard", "Messages for absent hubs", self.messages_down_unheard.clone());
        r.register("router_restarts", "Times the in-process router was started again", self.router_restarts.clone());
    }

    fn register_rest(&mut self) {
        let r = &mut self.registry;
        r.register("observations", "Observations stored", self.observations.clone());
        r.register("quarantined", "Records put into quarantine", self.quarantined.clone());
        r.register("commits", "Transactions committed", self.commits.clone());
        r.register("commit_duration_seconds", "How long commits took", self.commit_duration_s.clone());
        r.register("store_refuses", "Whether the store cannot commit (1) or can (0)", self.store_refuses.clone());
        let help = "Times the store's log could not be written back since the start";
        r.register("store_checkpoints_failed", help, self.store_checkpoints_failed.clone());
        r.register("store_queue", "Batches that wait for the store", self.store_queue.clone());
        r.register("receipts", "Receipts sent", self.receipts.clone());
        r.register("feed_clients", "Sockets open", self.feed_clients.clone());
        r.register("feed_clients_audible", "Sockets that say they are audible", self.feed_clients_audible.clone());
        r.register("feed_events", "Alert events sent over all sockets", self.feed_events.clone());
        r.register("feed_closed", "Sockets closed by the server", self.feed_closed.clone());
        let help = "How late the alert engine's last deadline was applied";
        r.register("deadlines_late_milliseconds", help, self.deadlines_late_ms.clone());
    }

    /// A connection was refused or ended by the door.
    pub fn refused(&self, reason: &'static str) {
        self.door_refusals.get_or_create(&Reason { reason }).inc();
    }

    /// How many were, for this reason.
    #[must_use]
    pub fn refusals(&self, reason: &'static str) -> u64 {
        self.door_refusals.get_or_create(&Reason { reason }).get()
    }

    /// The server closed a clinician's socket.
    pub fn feed_closed(&self, reason: &'static str) {
        self.feed_closed.get_or_create(&Reason { reason }).inc();
    }

    /// Everything as Prometheus reads it.
    ///
    /// # Errors
    /// The formatter's; it does not fail on text in memory.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_show() {
        let metrics = Metrics::new();
        metrics.refused("tls");
        metrics.door_connections.inc();
        let text = metrics.text().unwrap();
        assert!(text.contains("rpm_door_refusals_total{reason=\"tls\"} 1"), "{text}");
        assert!(text.contains("rpm_door_connections 1"));
        assert_eq!(metrics.refusals("tls"), 1);
    }
}
