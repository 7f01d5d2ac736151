//! How fast a hub may bring messages. Pure.

use shared::time::Tick;
use std::time::Duration;

use super::limits::{BURST, BYTES_PER_S_MAX, MESSAGES_PER_S_MAX};

/// One count that may grow at a rate. It runs ahead of the clock by what was spent.
#[derive(Debug, Clone, Copy)]
struct Meter {
    per_s: u64,
    ahead_until_us: u64,
}

impl Meter {
    fn spend(&mut self, units: u64, now: Tick) {
        let cost_us = units.saturating_mul(1_000_000).checked_div(self.per_s).unwrap_or(u64::MAX);
        let now_us = now.as_millis().saturating_mul(1_000);
        self.ahead_until_us = self.ahead_until_us.max(now_us).saturating_add(cost_us);
    }

    /// When it is no more than the burst ahead.
    fn ready_at(&self) -> Tick {
        let burst_us = u64::try_from(BURST.as_micros()).unwrap_or(u64::MAX);
        Tick::from_millis(self.ahead_until_us.saturating_sub(burst_us).div_ceil(1_000))
    }
}

/// The pace of one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    messages: Meter,
    bytes: Meter,
}

impl Default for Pace {
    fn default() -> Self {
        let meter = |per_s| Meter { per_s, ahead_until_us: 0 };
        Self { messages: meter(MESSAGES_PER_S_MAX), bytes: meter(BYTES_PER_S_MAX) }
    }
}

impl Pace {
    /// A message of so many octets came.
    pub(super) fn spend(&mut self, bytes: usize, now: Tick) {
        self.messages.spend(1, now);
        self.bytes.spend(u64::try_from(bytes).unwrap_or(u64::MAX), now);
    }

    /// When the next may be read; `None` is now.
    #[must_use]
    pub(super) fn wait_until(&self, now: Tick) -> Option<Tick> {
        let ready = self.messages.ready_at().max(self.bytes.ready_at());
        (ready.since(now) > Duration::ZERO).then_some(ready)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut pace = Pace::default();
        let burst = MESSAGES_PER_S_MAX * BURST.as_secs();
        for _ in 0..burst {
            assert_eq!(pace.wait_until(at(0)), None);
            pace.spend(1, at(0));
        }
        assert_eq!(pace.wait_until(at(0)), None);
        pace.spend(1, at(0));
        assert_eq!(pace.wait_until(at(0)), Some(at(1_000 / MESSAGES_PER_S_MAX)));
        assert_eq!(pace.wait_until(at(1_000 / MESSAGES_PER_S_MAX)), None);
    }

    #[test]
    fn octets_count_too() {
        let mut pace = Pace::default();
        let second = usize::try_from(BYTES_PER_S_MAX).unwrap();
        for _ in 0..BURST.as_secs() + 2 {
            pace.spend(second, at(0));
        }
        assert_eq!(pace.wait_until(at(0)), Some(at(2_000)));
        assert_eq!(pace.wait_until(at(2_000)), None);
    }
}
