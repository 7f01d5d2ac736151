//! How old an observation is and in which lane it goes (PROTOCOL §6, SEMANTICS §2). Pure.

use std::time::Duration;

use shared::observation::Captured;
use shared::plausibility::Usability;
use shared::time::{ClockState, Tick, Timestamp};

/// When a batch was sent and came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Journey {
    /// The hub's clock at sending, under a valid MAC.
    pub(crate) sent: Option<Tick>,
    /// How long it was under way beyond the quickest.
    pub(crate) transit_ms: u64,
    /// The server's wall clock at arrival: compared with the hub's wall clock alone.
    pub(crate) arrived_wall: Timestamp,
    /// The engine's clock at arrival.
    pub(crate) arrived: Timestamp,
}

/// The age at arrival, in milliseconds; `None` is unknown.
pub(crate) fn age_ms(captured: &Captured, journey: &Journey) -> Option<u64> {
    if let Some(sent) = journey.sent {
        // Taken after it was sent: no age can be believed.
        let age = sent.as_millis().checked_sub(captured.tick.as_millis())?;
        return Some(age.saturating_add(journey.transit_ms));
    }
    if captured.clock != ClockState::Synchronised || captured.wall > journey.arrived_wall {
        return None;
    }
    u64::try_from(journey.arrived_wall.since(captured.wall).as_millis()).ok()
}

/// When it was captured, on the engine's clock; the best estimate if the age is unknown.
pub(crate) fn taken(captured: &Captured, age_ms: Option<u64>, journey: &Journey) -> Timestamp {
    match age_ms {
        Some(age_ms) => journey.arrived.before(Duration::from_millis(age_ms)),
        None if captured.clock == ClockState::Synchronised && captured.wall <= journey.arrived => captured.wall,
        None => journey.arrived,
    }
}

/// Whether it belongs in the late lane.
pub(crate) fn is_late(
    history: bool,
    age_ms: Option<u64>,
    fresh_for_ms: u64,
    taken: Timestamp,
    newest: Option<Timestamp>,
) -> bool {
    let fresh = age_ms.is_some_and(|age| age <= fresh_for_ms);
    history || !fresh || newest.is_some_and(|newest| taken < newest)
}

/// The usability as a stored number.
pub(crate) const fn code(usability: Usability) -> i64 {
    match usability {
        Usability::Valid { unlikely: false } => 0,
        Usability::Valid { unlikely: true } => 1,
        Usability::Gated => 2,
        Usability::Implausible(_) => 3,
        Usability::Absent(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn captured(tick: u64, wall: i64, clock: ClockState) -> Captured {
        Captured { tick: Tick::from_millis(tick), wall: at(wall), clock }
    }

    fn journey(sent: Option<u64>) -> Journey {
        Journey { sent: sent.map(Tick::from_millis), transit_ms: 7, arrived_wall: at(100_000), arrived: at(200_000) }
    }

    #[test]
    fn age_and_time_for_every_state_of_the_clocks() {
        use ClockState::{HeldOver, NeverSet, Synchronised};
        // sent, captured tick, captured wall, state → age, taken
        let table = [
            (Some(5_000), 4_000, 0, NeverSet, Some(1_007), 198_993),
            (Some(5_000), 4_000, 99_000, Synchronised, Some(1_007), 198_993),
            (Some(5_000), 5_000, 0, NeverSet, Some(7), 199_993),
            (Some(5_000), 5_001, 90_000, NeverSet, None, 200_000),
            (None, 4_000, 90_000, Synchronised, Some(10_000), 190_000),
            (None, 4_000, 100_000, Synchronised, Some(0), 200_000),
            (None, 4_000, 100_001, Synchronised, None, 100_001),
            (None, 4_000, 900_000, Synchronised, None, 200_000),
            (None, 4_000, 90_000, HeldOver, None, 200_000),
            (None, 4_000, 90_000, NeverSet, None, 200_000),
        ];
        for (sent, tick, wall, state, age, time) in table {
            let (captured, journey) = (captured(tick, wall, state), journey(sent));
            assert_eq!(age_ms(&captured, &journey), age, "{sent:?} {tick} {wall} {state:?}");
            assert_eq!(taken(&captured, age, &journey), at(time), "{sent:?} {tick} {wall} {state:?}");
        }
    }

    #[test]
    fn the_live_lane_is_fresh_and_not_behind() {
        assert!(!is_late(false, Some(30), 30, at(5), Some(at(5))));
        assert!(is_late(false, Some(31), 30, at(5), None));
        assert!(is_late(false, Some(1), 30, at(4), Some(at(5))));
        assert!(is_late(false, None, 30, at(5), None));
        assert!(is_late(true, Some(1), 30, at(5), None));
    }
}
