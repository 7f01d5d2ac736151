//! How long to wait before a new connection: doubling, with full jitter, so a thousand hubs do not come back in step.

use std::time::Duration;

use crate::limits;

/// The waits, and the jitter in them.
#[derive(Debug)]
pub struct BackOff {
    attempts: u32,
    jitter: u64,
}

impl BackOff {
    /// From the first wait on. `seed` feeds the jitter.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { attempts: 0, jitter: seed | 1 }
    }

    /// It works again: the next wait is a first one.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The next wait: anything up to the doubled one.
    pub fn next_wait(&mut self) -> Duration {
        let doubled = limits::BACK_OFF_FIRST.saturating_mul(2_u32.saturating_pow(self.attempts.min(16)));
        self.attempts = self.attempts.saturating_add(1);
        let most = u64::try_from(doubled.min(limits::BACK_OFF_MAX).as_millis()).unwrap_or(u64::MAX);
        // xorshift64 (Marsaglia 2003): spreads, hides nothing.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        Duration::from_millis(self.jitter.checked_rem(most.saturating_add(1)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_their_limit_and_begin_again() {
        let mut back_off = BackOff::new(3);
        for attempt in 0..60_u32 {
            let most = limits::BACK_OFF_FIRST.saturating_mul(2_u32.saturating_pow(attempt)).min(limits::BACK_OFF_MAX);
            assert!(back_off.next_wait() <= most);
        }
        back_off.reset();
        assert!(back_off.next_wait() <= limits::BACK_OFF_FIRST);
    }
}
