//! How long a message was under way beyond the quickest of its stream. Pure.
//! See `docs/decisions/0001-transit-delay-counts-towards-age.md`.

use shared::time::Tick;

use super::limits::QUICKEST_SPAN;

/// The quickest messages of a stream. Hub and server count ticks from different zeros, so only differences of
/// offsets (arrival minus sending) mean something: the least of them stands for "no delay".
///
/// It is the least of a span of one to two times [`QUICKEST_SPAN`], not of the whole stream, because the two clocks
/// drift apart: at 100 parts in a million, 360 ms in an hour. A span nothing arrived in is no reason to forget.
#[derive(Debug, Default)]
pub struct Quickest {
    began: Option<Tick>,
    before_ms: Option<i64>,
    current_ms: Option<i64>,
}

impl Quickest {
    /// Takes a message with a sending time that can be believed, and tells how much later than the quickest it came.
    pub fn transit_ms(&mut self, sent: Tick, arrived: Tick) -> u64 {
        let offset_ms = signed(arrived).saturating_sub(signed(sent));
        let over = self.began.is_none_or(|began| arrived.since(began) >= QUICKEST_SPAN);
        if over {
            self.before_ms = self.current_ms.take().or(self.before_ms);
            self.began = Some(arrived);
        }
        let current_ms = self.current_ms.map_or(offset_ms, |least| least.min(offset_ms));
        self.current_ms = Some(current_ms);
        let least_ms = self.before_ms.map_or(current_ms, |before| before.min(current_ms));
        u64::try_from(offset_ms.saturating_sub(least_ms)).unwrap_or(0)
    }
}

fn signed(tick: Tick) -> i64 {
    i64::try_from(tick.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    const fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    #[test]
    fn what_was_held_back_is_found_whatever_the_zeros() {
        for zero in [0, 5_000_000_000] {
            let mut quickest = Quickest::default();
            assert_eq!(quickest.transit_ms(at(1_000_000), at(zero + 10)), 0);
            assert_eq!(quickest.transit_ms(at(1_001_000), at(zero + 1_012)), 2);
            assert_eq!(quickest.transit_ms(at(1_002_000), at(zero + 62_010)), 60_000);
            assert_eq!(quickest.transit_ms(at(1_063_000), at(zero + 63_005)), 0);
            assert_eq!(quickest.transit_ms(at(1_064_000), at(zero + 64_010)), 5);
        }
    }

    #[test]
    fn an_hour_of_silence_forgets_nothing() {
        let mut quickest = Quickest::default();
        quickest.transit_ms(at(1_000), at(1_000));
        let hours = 3 * 3_600_000;
        assert_eq!(quickest.transit_ms(at(2_000), at(2_000 + hours)), hours);
    }

    #[test]
    fn slow_drift_does_not_make_everything_old() {
        let mut quickest = Quickest::default();
        // A hub whose clock is 100 parts in a million slow, for 30 days, a message each minute.
        for minute in 0..30 * 24 * 60_u64 {
            let arrived = minute * 60_000;
            let transit = quickest.transit_ms(at(arrived - arrived / 10_000), at(arrived));
            assert!(transit <= 366, "{transit} after {minute} minutes");
        }
    }

    proptest! {
        #[test]
        fn never_panics(times: Vec<(u64, u64)>) {
            let mut quickest = Quickest::default();
            for (sent, arrived) in times {
                quickest.transit_ms(at(sent), at(arrived));
            }
        }
    }
}
