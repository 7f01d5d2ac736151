//! When a simulated device wrote what, so that latencies can be told.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// When bytes that complete a frame or packet were written, by the wall clock in milliseconds.
#[derive(Debug, Default)]
pub struct Writes(Mutex<VecDeque<i64>>);

/// Moments kept; older ones are forgotten, because nothing that old is still on its way.
const WRITES_KEPT: usize = 16_384;

impl Writes {
    pub(super) fn note(&self, at_ms: i64) {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if writes.len() == WRITES_KEPT {
            writes.pop_front();
        }
        writes.push_back(at_ms);
    }

    /// The newest write at or before a moment, in milliseconds of the wall clock.
    #[must_use]
    pub fn latest_by(&self, at_ms: i64) -> Option<i64> {
        let writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.iter().rev().find(|write| **write <= at_ms).copied()
    }
}

/// The wall clock, in milliseconds.
#[must_use]
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(i64::MAX)
}
