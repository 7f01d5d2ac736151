//! The clock deadlines run on, and what it sees the wall clock do.

use runtime::clock::Clock;
use shared::time::{Tick, Timestamp};

use super::Store;
use crate::limits::{WALL_LOOK_MAX, WALL_STEP_MIN};

/// The engine's clock: it starts at the later of the last committed time and the wall clock, and then follows the
/// monotonic clock alone, so no step of the wall clock makes a deadline later. It is for alerts, deadlines and the
/// order of the audit log, and for the second end of tokens. It may be ahead for good, so certificates and all that
/// others hold against their own clocks go by the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct EngineClock {
    start: Timestamp,
    tick: Tick,
    /// The wall clock as it was last seen, and when. At the start it is expected where this clock starts: a wall clock
    /// that is behind what was committed has stepped back while no server ran.
    wall: (Timestamp, Tick),
}

impl EngineClock {
    /// Starts it.
    #[must_use]
    pub fn start(committed: Option<Timestamp>, wall: Timestamp, tick: Tick) -> Self {
        let start = committed.map_or(wall, |committed| committed.max(wall));
        Self { start, tick, wall: (start, tick) }
    }

    /// Its time at a tick.
    #[must_use]
    pub fn at(&self, tick: Tick) -> Timestamp {
        self.start.after(tick.since(self.tick))
    }

    /// By how many milliseconds the wall clock has stepped since it was last seen, if that is a step (PROTOCOL §6).
    /// A clock that is slewed moves far less between two looks.
    fn step_ms(&self, wall: Timestamp, tick: Tick) -> Option<i64> {
        let (seen, at) = self.wall;
        let expected = seen.after(tick.since(at));
        let by_ms = wall.as_millis().saturating_sub(expected.as_millis());
        (u128::from(by_ms.unsigned_abs()) > WALL_STEP_MIN.as_millis()).then_some(by_ms)
    }

    /// Looks at the wall clock. A step is a technical finding: it stands in the audit log and is said once. If it
    /// cannot be stored now, a later look finds it again.
    pub(super) fn watch_wall(&mut self, clock: &Clock, store: &mut dyn Store, now: Timestamp) {
        let (before, wall, after) = (clock.tick(), clock.wall(), clock.tick());
        if after.since(before) > WALL_LOOK_MAX {
            // The machine paused between the two clocks: they do not belong together.
            return;
        }
        if let Some(by_ms) = self.step_ms(wall, after) {
            if let Err(error) = store.wall_stepped(by_ms, now) {
                tracing::debug!(%error, "a step of the wall clock is not stored yet");
                return;
            }
            tracing::warn!(
                by_ms,
                "the wall clock stepped: deadlines run on and none moves; certificates go by the wall clock and are \
                 looked at anew within a minute, tokens end by whichever clock says so first: check the machine's \
                 time source"
            );
        }
        self.wall = (wall, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_step_of_the_wall_clock_makes_no_deadline_later() {
        let clock = EngineClock::start(Some(at(5_000)), at(2_000), Tick::from_millis(100));
        assert_eq!(clock.at(Tick::from_millis(100)), at(5_000));
        assert_eq!(clock.at(Tick::from_millis(160)), at(5_060));
        let clock = EngineClock::start(Some(at(5_000)), at(9_000), Tick::from_millis(100));
        assert_eq!(clock.at(Tick::from_millis(101)), at(9_001));
    }

    #[test]
    fn a_step_is_more_than_a_minute_either_way() {
        let clock = EngineClock::start(None, at(1_000_000), Tick::from_millis(100));
        let tick = Tick::from_millis(10_100);
        for (wall, step_ms) in [
            (1_010_000, None),
            (1_070_000, None),
            (1_070_001, Some(60_001)),
            (950_000, None),
            (949_999, Some(-60_001)),
            (4_610_000, Some(3_600_000)),
        ] {
            assert_eq!(clock.step_ms(at(wall), tick), step_ms, "{wall}");
        }
    }

    #[test]
    fn a_wall_clock_behind_what_was_committed_has_stepped_back() {
        let tick = Tick::from_millis(100);
        assert_eq!(EngineClock::start(Some(at(900_000)), at(100_000), tick).step_ms(at(100_000), tick), Some(-800_000));
        assert_eq!(EngineClock::start(Some(at(100_000)), at(900_000), tick).step_ms(at(900_000), tick), None);
    }
}
