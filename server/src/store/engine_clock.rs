//! The clock deadlines run on.

use shared::time::{Tick, Timestamp};

/// The engine's clock: it starts at the later of the last committed time and the wall clock, and then follows the
/// monotonic clock alone, so no step of the wall clock makes a deadline later.
#[derive(Debug, Clone, Copy)]
pub struct EngineClock {
    start: Timestamp,
    tick: Tick,
}

impl EngineClock {
    /// Starts it.
    #[must_use]
    pub fn start(committed: Option<Timestamp>, wall: Timestamp, tick: Tick) -> Self {
        Self { start: committed.map_or(wall, |committed| committed.max(wall)), tick }
    }

    /// Its time at a tick.
    #[must_use]
    pub fn at(&self, tick: Tick) -> Timestamp {
        self.start.after(tick.since(self.tick))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_makes_no_deadline_later() {
        let at = Timestamp::from_millis;
        let clock = EngineClock::start(Some(at(5_000)), at(2_000), Tick::from_millis(100));
        assert_eq!(clock.at(Tick::from_millis(100)), at(5_000));
        assert_eq!(clock.at(Tick::from_millis(160)), at(5_060));
        let clock = EngineClock::start(Some(at(5_000)), at(9_000), Tick::from_millis(100));
        assert_eq!(clock.at(Tick::from_millis(101)), at(9_001));
    }
}
