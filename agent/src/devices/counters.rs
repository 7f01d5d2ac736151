//! What a source counts, for the status and the hub's own report.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::decode::{RefusedFrame, Tally};

/// Counts since the agent started. Written by one source, read by anyone.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    refused: [AtomicU64; RefusedFrame::ALL.len()],
    overrun: AtomicU64,
}

impl Counters {
    /// Adds a stretch.
    pub fn add(&self, tally: &Tally) {
        self.accepted.fetch_add(tally.accepted, Ordering::Relaxed);
        for (why, count) in RefusedFrame::ALL.into_iter().zip(&self.refused) {
            count.fetch_add(tally.refused(why), Ordering::Relaxed);
        }
    }

    /// Counts refused frames.
    pub fn refuse(&self, why: RefusedFrame) {
        let mut tally = Tally::default();
        tally.refuse(why, 1);
        self.add(&tally);
    }

    /// Counts readings that could not be handed over in time.
    pub fn overrun_by(&self, count: u64) {
        self.overrun.fetch_add(count, Ordering::Relaxed);
    }

    /// Frames (packets, rows) that were believed.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Readings that could not be handed over in time.
    #[must_use]
    pub fn overrun(&self) -> u64 {
        self.overrun.load(Ordering::Relaxed)
    }

    /// Refused frames by reason.
    pub fn refused(&self) -> impl Iterator<Item = (RefusedFrame, u64)> {
        RefusedFrame::ALL.into_iter().zip(&self.refused).map(|(why, count)| (why, count.load(Ordering::Relaxed)))
    }

    /// Refused frames, all reasons.
    #[must_use]
    pub fn refused_in_all(&self) -> u64 {
        self.refused().fold(0, |sum, (_, count)| sum.saturating_add(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_add_up() {
        let counters = Counters::default();
        let mut tally = Tally::default();
        tally.accept(3);
        tally.refuse(RefusedFrame::Checksum, 2);
        counters.add(&tally);
        counters.add(&tally);
        counters.refuse(RefusedFrame::Cell);
        assert_eq!((counters.accepted(), counters.refused_in_all()), (6, 5));
        assert!(counters.refused().any(|counted| counted == (RefusedFrame::Checksum, 4)));
    }
}
