//! How many new openings of a hub are looked at. Pure: a bucket per hub.

use std::collections::HashMap;

use shared::id::HubId;
use shared::time::Tick;

use super::limits::{OPENING_RATES_MAX, OPENINGS_PER_MINUTE_MAX};

/// Milliseconds in which one opening is earned back.
const EARNED_EVERY_MS: u64 = 60_000 / OPENINGS_PER_MINUTE_MAX as u64;

/// The hubs' buckets.
#[derive(Debug, Default)]
pub struct OpeningRates(HashMap<HubId, Bucket>);

/// Full again at `full_at`; each opening moves that away by what it takes to earn it.
#[derive(Debug)]
struct Bucket {
    full_at_ms: u64,
}

impl OpeningRates {
    /// Whether another opening of the hub may be looked at now; if so, it is spent.
    pub fn allows(&mut self, hub: HubId, now: Tick) -> bool {
        let now_ms = now.as_millis();
        if !self.0.contains_key(&hub) && self.0.len() >= OPENING_RATES_MAX {
            self.0.retain(|_, bucket| bucket.full_at_ms > now_ms);
            if self.0.len() >= OPENING_RATES_MAX {
                return false;
            }
        }
        let bucket = self.0.entry(hub).or_insert(Bucket { full_at_ms: now_ms });
        let full_at_ms = bucket.full_at_ms.max(now_ms).saturating_add(EARNED_EVERY_MS);
        let allowed = full_at_ms.saturating_sub(now_ms) <= 60_000;
        if allowed {
            bucket.full_at_ms = full_at_ms;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;

    #[test]
    fn ten_at_once_and_then_one_in_six_seconds_each_hub_for_itself() {
        let mut rates = OpeningRates::default();
        let (one, other) = (HubId::from_bytes([1; 16]), HubId::from_bytes([2; 16]));
        let allowed = |rates: &mut OpeningRates, hub, ms| rates.allows(hub, Tick::from_millis(ms));
        let taken = (0..25).filter(|_| allowed(&mut rates, one, 1_000)).count();
        assert_eq!(taken, 10);
        assert!(allowed(&mut rates, other, 1_000));
        assert!(!allowed(&mut rates, one, 6_999));
        assert!(allowed(&mut rates, one, 7_000));
        assert!(!allowed(&mut rates, one, 7_001));
        let minute = (0..1_000).filter(|n| allowed(&mut rates, one, 100_000 + n * 60)).count();
        assert!(minute <= 20, "{minute}");
    }

    #[test]
    fn memory_is_bounded_and_full_buckets_are_forgotten() {
        let mut rates = OpeningRates::default();
        let hub = |n: usize| HubId::from_bytes((n as u128).to_be_bytes());
        for n in 0..OPENING_RATES_MAX {
            assert!(rates.allows(hub(n), Tick::from_millis(0)));
        }
        assert!(!rates.allows(hub(OPENING_RATES_MAX), Tick::from_millis(1)));
        assert!(rates.allows(hub(OPENING_RATES_MAX), Tick::from_millis(EARNED_EVERY_MS)));
        assert_eq!(rates.0.len(), 1);
    }
}
