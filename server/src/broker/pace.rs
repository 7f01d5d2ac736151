//! How fast a hub may come and bring messages. Pure. It belongs to the hub, not to its connection: a hub that comes
//! again goes on where it was.

use std::collections::HashMap;
use std::time::Duration;

use shared::id::HubId;
use shared::time::Tick;

use super::limits::{
    BURST, BYTES_PER_S_MAX, CONNECTS_PER_MIN_MAX, MESSAGES_PER_S_MAX, PACED_HUBS_MAX, PACES_SWEPT_EVERY,
};
use super::refusal::Refusal;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// One count that may grow at a rate. It runs ahead of the clock by what was spent.
#[derive(Debug, Clone, Copy)]
struct Meter {
    count: u64,
    period: Duration,
    burst: Duration,
    ahead_until_us: u64,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn micros_at(now: Tick) -> u64 {
    now.as_millis().saturating_mul(1_000)
}

impl Meter {
    const fn new(count: u64, period: Duration, burst: Duration) -> Self {
        Self { count, period, burst, ahead_until_us: 0 }
    }

    fn spend(&mut self, units: u64, now: Tick) {
        let cost_us = units.saturating_mul(micros(self.period)).checked_div(self.count).unwrap_or(u64::MAX);
        self.ahead_until_us = self.ahead_until_us.max(micros_at(now)).saturating_add(cost_us);
    }

    /// Spends one unit if that leaves it no more than the burst ahead. Whether it did.
    fn spend_one_within(&mut self, now: Tick) -> bool {
        let mut spent = *self;
        spent.spend(1, now);
        let fits = spent.ready_at() <= now;
        if fits {
            *self = spent;
        }
        fits
    }

    /// When it is no more than the burst ahead.
    fn ready_at(&self) -> Tick {
        Tick::from_millis(self.ahead_until_us.saturating_sub(micros(self.burst)).div_ceil(1_000))
    }

    /// Whether all that was spent is regained: it is as good as new.
    fn is_regained(&self, now: Tick) -> bool {
        self.ahead_until_us <= micros_at(now)
    }
}

/// The pace of one hub's messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    messages: Meter,
    bytes: Meter,
}

impl Default for Pace {
    fn default() -> Self {
        let meter = |per_s| Meter::new(per_s, SECOND, BURST);
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

    fn is_regained(&self, now: Tick) -> bool {
        self.messages.is_regained(now) && self.bytes.is_regained(now)
    }
}

#[derive(Debug, Clone, Copy)]
struct Paced {
    connects: Meter,
    pace: Pace,
}

/// The paces of all hubs that came of late: [`PACED_HUBS_MAX`]. One that is wholly regained is forgotten, since a new
/// one would be the same; that takes a minute for connects and [`BURST`] for messages, and a moment for what the last
/// message took beyond it.
#[derive(Debug, Default)]
pub(super) struct Paces {
    by_hub: HashMap<HubId, Paced>,
    swept: Tick,
}

impl Paces {
    /// A connection proved to be the hub's.
    ///
    /// # Errors
    /// [`Refusal::ConnectsTooFast`] beyond [`CONNECTS_PER_MIN_MAX`]; it costs the hub nothing further.
    /// [`Refusal::Full`] for one more hub than can be paced.
    pub(super) fn connect(&mut self, hub: HubId, now: Tick) -> Result<(), Refusal> {
        if now.since(self.swept) >= PACES_SWEPT_EVERY {
            self.swept = now;
            self.by_hub.retain(|_, paced| !paced.connects.is_regained(now) || !paced.pace.is_regained(now));
        }
        if self.by_hub.len() >= PACED_HUBS_MAX && !self.by_hub.contains_key(&hub) {
            return Err(Refusal::Full);
        }
        let paced = self.by_hub.entry(hub).or_insert_with(Paced::new);
        if paced.connects.spend_one_within(now) { Ok(()) } else { Err(Refusal::ConnectsTooFast) }
    }

    /// The pace of the hub's messages, where its last session left it.
    pub(super) fn of(&self, hub: HubId) -> Pace {
        self.by_hub.get(&hub).map_or_else(Pace::default, |paced| paced.pace)
    }

    /// A session of the hub ended with this pace.
    pub(super) fn keep(&mut self, hub: HubId, pace: Pace) {
        // There may be as many more as there are sessions: each is kept once, when it ends.
        self.by_hub.entry(hub).or_insert_with(Paced::new).pace = pace;
    }
}

impl Paced {
    fn new() -> Self {
        Self { connects: Meter::new(CONNECTS_PER_MIN_MAX, MINUTE, MINUTE), pace: Pace::default() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;

    const HUB: HubId = HubId::from_bytes([1; 16]);

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

    #[test]
    fn a_hub_connects_so_often_in_a_minute_and_no_more() {
        let mut paces = Paces::default();
        for _ in 0..CONNECTS_PER_MIN_MAX {
            assert_eq!(paces.connect(HUB, at(0)), Ok(()));
        }
        // However often it is refused, it is let in again at its rate.
        for _ in 0..1_000 {
            assert_eq!(paces.connect(HUB, at(0)), Err(Refusal::ConnectsTooFast));
        }
        let one = 60_000 / CONNECTS_PER_MIN_MAX;
        assert_eq!(paces.connect(HUB, at(one - 1)), Err(Refusal::ConnectsTooFast));
        assert_eq!(paces.connect(HUB, at(one)), Ok(()));
        assert_eq!(paces.connect(HUB, at(one)), Err(Refusal::ConnectsTooFast));
        assert_eq!(paces.connect(HubId::from_bytes([2; 16]), at(one)), Ok(()));
    }

    #[test]
    fn a_pace_outlives_its_session_and_no_more_than_it_must() {
        let mut paces = Paces::default();
        paces.connect(HUB, at(0)).unwrap();
        let mut pace = paces.of(HUB);
        for _ in 0..1_000 {
            pace.spend(1, at(0));
        }
        paces.keep(HUB, pace);
        let other = HubId::from_bytes([2; 16]);
        paces.connect(other, at(15_000)).unwrap();
        assert_eq!(paces.by_hub.len(), 2, "what is owed is not forgotten");
        assert_eq!(paces.of(HUB).wait_until(at(15_000)), Some(at(16_000)));
        paces.connect(other, at(30_000)).unwrap();
        assert_eq!(paces.by_hub.len(), 1, "what is regained is");
        assert_eq!(paces.of(HUB).wait_until(at(30_000)), None);
    }

    #[test]
    fn there_is_no_pace_for_more_hubs_than_may_be() {
        let mut paces = Paces::default();
        let hub = |number: usize| HubId::from_bytes((number as u128 + 1).to_be_bytes());
        for number in 0..PACED_HUBS_MAX {
            paces.connect(hub(number), at(0)).unwrap();
        }
        assert_eq!(paces.connect(hub(PACED_HUBS_MAX), at(0)), Err(Refusal::Full));
        assert_eq!(paces.connect(hub(0), at(0)), Ok(()), "those that have one go on");
        let swept = at(u64::try_from(PACES_SWEPT_EVERY.as_millis()).unwrap());
        assert_eq!(paces.connect(hub(PACED_HUBS_MAX), swept), Ok(()));
        assert_eq!(paces.by_hub.len(), 1);
    }
}
