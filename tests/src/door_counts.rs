//! What the door counted, as Prometheus reads it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

/// How long the metrics may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Counts of a running server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoorCounts {
    /// Refusals by reason.
    pub refusals: BTreeMap<String, u64>,
    /// Messages that came from hubs.
    pub batches_arrived: u64,
    /// Hubs connected.
    pub connections: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Sessions that their hubs ended in order.
    pub left: u64,
}

impl DoorCounts {
    /// Reads them.
    ///
    /// # Errors
    /// If the metrics do not answer.
    pub fn read(metrics: SocketAddr) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(metrics)?;
        socket.set_read_timeout(Some(WITHIN))?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        socket.read_to_string(&mut text)?;
        Self::parse(&text).context("the metrics hold no counts of the door")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut counts = Self::default();
        let mut found = false;
        for line in text.lines() {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.trim().parse::<u64>() else { continue };
            if let Some(reason) = name.strip_prefix("rpm_door_refusals_total{reason=\"") {
                counts.refusals.insert(reason.trim_end_matches("\"}").to_owned(), value);
            } else if name == "rpm_batches_arrived_total" {
                counts.batches_arrived = value;
            } else if name == "rpm_door_accepted_total" {
                counts.accepted = value;
            } else if name == "rpm_door_left_total" {
                counts.left = value;
            } else if name == "rpm_door_connections" {
                counts.connections = value;
                found = true;
            }
        }
        found.then_some(counts)
    }

    /// How often a reason was counted.
    #[must_use]
    pub fn of(&self, reason: &str) -> u64 {
        self.refusals.get(reason).copied().unwrap_or(0)
    }

    /// Refusals for all reasons.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refusals.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether every connection that was accepted has an end or is still here. Connections that are shaking hands
    /// are neither, so it holds at rest only.
    #[must_use]
    pub fn is_accounted_for(&self) -> bool {
        self.accepted == self.refused().saturating_add(self.left).saturating_add(self.connections)
    }

    /// How much was counted since an earlier reading, by reason.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> BTreeMap<String, u64> {
        let grown = |(reason, count): (&String, &u64)| (reason.clone(), count.saturating_sub(earlier.of(reason)));
        self.refusals.iter().map(grown).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_reason() {
        let text = "rpm_door_connections 2\nrpm_door_refusals_total{reason=\"tls\"} 7\nrpm_batches_arrived_total 5\n";
        let counts = DoorCounts::parse(text).unwrap();
        assert_eq!((counts.of("tls"), counts.of("full"), counts.batches_arrived, counts.connections), (7, 0, 5, 2));
        assert_eq!(counts.since(&DoorCounts::default()).len(), 1);
        assert!(DoorCounts::parse("nothing 1").is_none());
        assert!(!counts.is_accounted_for());
        let whole = DoorCounts::parse(&format!("{text}rpm_door_accepted_total 10\nrpm_door_left_total 1\n")).unwrap();
        assert!(whole.is_accounted_for(), "{whole:?}");
    }
}
