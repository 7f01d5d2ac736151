//! How much goes into one transaction.

use crate::ingest::OpenedBatch;
use crate::limits::{BATCHES_PER_COMMIT_MAX, OBSERVATIONS_PER_COMMIT_MAX};

/// How much of a transaction's limits is used.
#[derive(Debug, Default)]
pub(super) struct Budget {
    batches: usize,
    entries: usize,
}

impl Budget {
    pub(super) fn add(&mut self, batch: &OpenedBatch) {
        self.batches = self.batches.saturating_add(1);
        let entries = batch.records.iter().filter_map(|record| record.content.as_ref().ok());
        self.entries = entries.fold(self.entries, |sum, entries| sum.saturating_add(entries.len()));
    }

    pub(super) const fn is_untouched(&self) -> bool {
        self.batches == 0
    }

    pub(super) const fn has_room(&self) -> bool {
        self.batches < BATCHES_PER_COMMIT_MAX && self.entries < OBSERVATIONS_PER_COMMIT_MAX
    }
}
