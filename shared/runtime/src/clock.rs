//! The only file that reads clocks. Pure code takes [`Tick`] and [`Timestamp`] as arguments; owners get a [`Clock`].
//!
//! The tick is `CLOCK_BOOTTIME`: it counts through suspend and no time source moves it. The wall clock is
//! `CLOCK_REALTIME`, with a [`ClockState`] that says how far to believe it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use shared::id::BootId;
use shared::observation::Captured;
use shared::time::{ClockState, Tick, Timestamp};
use tokio::sync::watch;

use crate::entropy;
use crate::limits::{SLEEP_STEP_MAX, SYNCHRONISED_AGE_MAX};

/// systemd-timesyncd touches this file whenever it has disciplined the clock; it is gone after a boot.
const SYNCHRONISED_FILE: &str = "/run/systemd/timesync/synchronized";
/// Where Linux names the boot: a UUID.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// No clock that was ever set reads earlier than this build: the build's own time where it is reproducible
/// (`SOURCE_DATE_EPOCH`, in seconds), otherwise 2026-01-01.
const FLOOR: Timestamp = Timestamp::from_millis(match option_env!("SOURCE_DATE_EPOCH") {
    Some(text) => match i64::from_str_radix(text, 10) {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => FLOOR_OTHERWISE_MS,
    },
    None => FLOOR_OTHERWISE_MS,
});
const FLOOR_OTHERWISE_MS: i64 = 1_767_225_600_000;

/// Reads both clocks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    boot: BootId,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(ManualClock),
}

impl Clock {
    /// The machine's clocks.
    #[must_use]
    pub fn system() -> Self {
        Self { source: Source::System, boot: boot_id() }
    }

    /// Clocks that a test moves.
    #[must_use]
    pub fn manual(clock: ManualClock) -> Self {
        Self { boot: clock.boot, source: Source::Manual(clock) }
    }

    /// The monotonic clock, in milliseconds since boot.
    #[must_use]
    pub fn tick(&self) -> Tick {
        match &self.source {
            Source::System => {
                let time = clock_gettime(ClockId::Boottime);
                Tick::from_millis(u64::try_from(millis(time.tv_sec, time.tv_nsec)).unwrap_or(0))
            }
            Source::Manual(clock) => clock.now().tick,
        }
    }

    /// The wall clock, whatever it says.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        match &self.source {
            Source::System => {
                let time = clock_gettime(ClockId::Realtime);
                Timestamp::from_millis(millis(time.tv_sec, time.tv_nsec))
            }
            Source::Manual(clock) => clock.now().wall,
        }
    }

    /// How far to believe the wall clock. `Synchronised` needs evidence: systemd-timesyncd has disciplined the
    /// clock lately. Under another time source the clock counts as held over.
    #[must_use]
    pub fn state(&self) -> ClockState {
        match &self.source {
            Source::System => judge(self.wall(), last_synchronised(Path::new(SYNCHRONISED_FILE))),
            Source::Manual(clock) => clock.now().clock,
        }
    }

    /// This moment: both clocks and the state.
    #[must_use]
    pub fn captured(&self) -> Captured {
        Captured { tick: self.tick(), wall: self.wall(), clock: self.state() }
    }

    /// The boot that ticks belong to.
    #[must_use]
    pub const fn boot_id(&self) -> BootId {
        self.boot
    }

    /// Waits until the tick is reached, through a suspend too. A manual clock is waited for until it is moved.
    pub async fn sleep_until(&self, until: Tick) {
        match &self.source {
            Source::System => loop {
                let left = until.since(self.tick());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(SLEEP_STEP_MAX)).await;
            },
            Source::Manual(clock) => {
                // It fails only if the clock is gone, and `clock` holds it.
                let _ = clock.moments.subscribe().wait_for(|moment| moment.tick >= until).await;
            }
        }
    }
}

/// The boot as the kernel names it. Where it has no name, a random one: ticks are then comparable within this
/// process only, which is what a name nobody else has says.
#[must_use]
pub fn boot_id() -> BootId {
    let text = std::fs::read_to_string(BOOT_ID_FILE).unwrap_or_default();
    parse_boot_id(&text).unwrap_or_else(|| BootId::from_bytes(entropy::array().unwrap_or_default()))
}

fn parse_boot_id(text: &str) -> Option<BootId> {
    text.trim().replace('-', "").parse().ok()
}

/// `nanos` is 32 bits wide on some machines.
fn millis(seconds: i64, nanos: impl Into<i64>) -> i64 {
    seconds.saturating_mul(1000).saturating_add(nanos.into() / 1_000_000)
}

fn last_synchronised(file: &Path) -> Option<Timestamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(Timestamp::from_millis(millis(metadata.mtime(), metadata.mtime_nsec())))
}

fn judge(wall: Timestamp, last_synchronised: Option<Timestamp>) -> ClockState {
    if wall < FLOOR {
        return ClockState::NeverSet;
    }
    match last_synchronised {
        Some(last) if last <= wall && wall.since(last) <= SYNCHRONISED_AGE_MAX => ClockState::Synchronised,
        _ => ClockState::HeldOver,
    }
}

/// Clocks that a test moves; clones move together.
#[derive(Debug, Clone)]
pub struct ManualClock {
    moments: Arc<watch::Sender<Captured>>,
    boot: BootId,
}

impl ManualClock {
    /// Clocks that stand at this moment of this boot.
    #[must_use]
    pub fn new(at: Captured, boot: BootId) -> Self {
        Self { moments: Arc::new(watch::Sender::new(at)), boot }
    }

    /// The moment they stand at.
    #[must_use]
    pub fn now(&self) -> Captured {
        *self.moments.borrow()
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        self.moments.send_modify(|moment| {
            moment.tick = moment.tick.after(by);
            moment.wall = moment.wall.after(by);
        });
    }

    /// Sets the monotonic clock alone.
    pub fn set_tick(&self, tick: Tick) {
        self.moments.send_modify(|moment| moment.tick = tick);
    }

    /// Steps the wall clock alone.
    pub fn set_wall(&self, wall: Timestamp) {
        self.moments.send_modify(|moment| moment.wall = wall);
    }

    /// Says how far to believe the wall clock.
    pub fn set_state(&self, state: ClockState) {
        self.moments.send_modify(|moment| moment.clock = state);
    }
}

impl Default for ManualClock {
    /// One second after boot, at 2026-06-01T12:00:00Z, synchronised.
    fn default() -> Self {
        let at = Captured {
            tick: Tick::from_millis(1000),
            wall: Timestamp::from_millis(1_780_315_200_000),
            clock: ClockState::Synchronised,
        };
        Self::new(at, BootId::from_bytes([0xb0; 16]))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;

    #[test]
    fn the_system_clocks_move_forward_and_agree_with_the_boot() {
        let clock = Clock::system();
        let (first, second) = (clock.tick(), clock.tick());
        assert!(first <= second && first > Tick::from_millis(0));
        assert!(clock.wall() > Timestamp::from_millis(FLOOR_OTHERWISE_MS), "the machine's clock is set");
        assert_eq!(clock.boot_id(), boot_id());
    }

    #[test]
    fn a_boot_is_named_by_the_kernel_uuid() {
        let id = parse_boot_id("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9\n").unwrap();
        assert_eq!(id.to_string(), "0a1b2c3d4e5f60718293a4b5c6d7e8f9");
        assert_eq!(parse_boot_id(""), None);
    }

    #[test]
    fn only_fresh_evidence_makes_a_clock_synchronised() {
        let now = FLOOR.after(Duration::from_secs(86_400));
        assert_eq!(judge(now, None), ClockState::HeldOver);
        assert_eq!(judge(now, Some(now)), ClockState::Synchronised);
        assert_eq!(judge(now, Some(now.before(SYNCHRONISED_AGE_MAX))), ClockState::Synchronised);
        let stale = now.before(SYNCHRONISED_AGE_MAX + Duration::from_millis(1));
        assert_eq!(judge(now, Some(stale)), ClockState::HeldOver);
        assert_eq!(judge(now, Some(now.after(Duration::from_secs(1)))), ClockState::HeldOver, "evidence from later");
    }

    #[test]
    fn a_clock_before_the_build_was_never_set() {
        let before = FLOOR.before(Duration::from_millis(1));
        assert_eq!(judge(before, Some(before)), ClockState::NeverSet);
        assert_eq!(judge(FLOOR, None), ClockState::HeldOver);
    }

    #[test]
    fn the_evidence_is_the_time_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("synchronized");
        assert_eq!(last_synchronised(&file), None);
        std::fs::write(&file, "").unwrap();
        let time = last_synchronised(&file).unwrap();
        assert!(Clock::system().wall().since(time) < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_when_moved() {
        let manual = ManualClock::default();
        let clock = Clock::manual(manual.clone());
        let until = clock.tick().after(Duration::from_secs(5));
        let sleeper = clock.sleep_until(until);
        tokio::pin!(sleeper);
        manual.advance(Duration::from_millis(4999));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut sleeper).await.is_err());
        manual.advance(Duration::from_millis(1));
        tokio::time::timeout(Duration::from_secs(5), sleeper).await.unwrap();
        assert_eq!(clock.captured(), manual.now());
        clock.sleep_until(until).await;
    }

    #[tokio::test]
    async fn the_system_clock_is_slept_on_until_the_tick() {
        let clock = Clock::system();
        let until = clock.tick().after(Duration::from_millis(30));
        clock.sleep_until(until).await;
        assert!(clock.tick() >= until);
    }
}
