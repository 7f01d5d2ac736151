//! The time that certificates are checked at, whatever the wall clock says, and how it outlives a restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use runtime::clock::Clock;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use shared::time::{ClockState, Tick, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::limits;

/// When this was built, as far as anybody says; no certificate is checked at an earlier time.
const BUILT: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The time that certificates are checked at: the wall clock if it was ever set, but never before the build, the hub's
/// own certificate, the settings in force and what receipts said, each with the time elapsed since
/// (PROTOCOL §6). Each receipt moves it at most by the monotonic time elapsed and 24 h.
#[derive(Debug)]
pub struct CheckTime {
    clock: Clock,
    floor: Mutex<(Timestamp, Tick)>,
}

impl CheckTime {
    /// Starts at the build, or at what is known to have been before now: `known` is the later of the times that
    /// authenticated material was issued at.
    #[must_use]
    pub fn new(clock: Clock, known: Timestamp) -> Arc<Self> {
        let now = clock.tick();
        Arc::new(Self { clock, floor: Mutex::new((BUILT.max(known), now)) })
    }

    /// The server said what time it is, in an authenticated receipt.
    pub fn raise(&self, server: Timestamp) {
        let now = self.clock.tick();
        let mut floor = self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        // The first receipt after a long time without one is believed as far as it may move the floor, then the next.
        let reached = floor.0.after(now.since(floor.1));
        let most = reached.after(limits::TIME_FLOOR_STEP_MAX);
        *floor = (reached.max(server.min(most)), now);
    }

    /// No certificate is checked at an earlier time than this.
    #[must_use]
    pub fn floor(&self) -> Timestamp {
        let (floor, since) = *self.floor.lock().unwrap_or_else(PoisonError::into_inner);
        floor.after(self.clock.tick().since(since))
    }

    /// Writes the floor to `file` until stopped: when it has moved by [`limits::TIME_FLOOR_KEPT_EVERY`] and at the end.
    /// A hub that never gets a clock then starts from there.
    pub async fn keep(self: Arc<Self>, file: PathBuf, stop: CancellationToken) {
        let mut kept = read(&file).unwrap_or(BUILT);
        loop {
            let is_stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(limits::TIME_FLOOR_LOOKED_AT_EVERY) => false,
            };
            let floor = self.floor();
            if is_stopping || floor >= kept.after(limits::TIME_FLOOR_KEPT_EVERY) {
                match write(file.clone(), floor).await {
                    Ok(()) => kept = floor,
                    Err(error) => tracing::warn!(%error, "the time learnt from the server could not be kept"),
                }
            }
            if is_stopping {
                return;
            }
        }
    }

    fn now(&self) -> Timestamp {
        let at = self.clock.captured();
        let floor = self.floor();
        if at.clock == ClockState::NeverSet { floor } else { floor.max(at.wall) }
    }
}

impl TimeProvider for CheckTime {
    fn current_time(&self) -> Option<UnixTime> {
        let millis = u64::try_from(self.now().as_millis()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(millis)))
    }
}

/// Milliseconds, and the start of their digest: a digit that flipped on the card must not put every certificate into
/// the past.
fn line(floor: Timestamp) -> String {
    let number = floor.as_millis().to_string();
    let check = digest(&SHA256, number.as_bytes());
    format!("{number} {}\n", shared::hex::encode(check.as_ref().get(..8).unwrap_or_default()))
}

async fn write(file: PathBuf, floor: Timestamp) -> io::Result<()> {
    let writing =
        tokio::task::spawn_blocking(move || runtime::files::write_atomically(&file, line(floor).as_bytes(), 0o600));
    writing.await?
}

/// What was kept; `None` if there is nothing, or nothing whole: then the floor starts where the certificate does.
#[must_use]
pub fn read(file: &Path) -> Option<Timestamp> {
    let bytes = match runtime::files::read_bounded(file, limits::TIME_FLOOR_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, "the time learnt from the server cannot be read; it is learnt anew");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let found = text.split(' ').next().and_then(|number| number.parse().ok()).map(Timestamp::from_millis);
    let whole = found.filter(|floor| line(*floor) == text);
    if whole.is_none() {
        tracing::warn!("the time learnt from the server is damaged on the disk; it is learnt anew");
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::clock::ManualClock;
    use shared::id::BootId;
    use shared::observation::Captured;

    fn clock(wall: Timestamp) -> (ManualClock, Arc<CheckTime>) {
        let at = Captured { tick: Tick::from_millis(0), wall, clock: ClockState::NeverSet };
        let manual = ManualClock::new(at, BootId::from_bytes([1; 16]));
        let time = CheckTime::new(Clock::manual(manual.clone()), Timestamp::from_millis(0));
        (manual, time)
    }

    #[test]
    fn a_clock_that_was_never_set_is_no_reason_to_refuse_every_server() {
        let (_, time) = clock(Timestamp::from_millis(0));
        assert_eq!(time.now(), BUILT);
        // What an unset clock says counts for nothing; the time elapsed does.
        let (manual, time) = clock(BUILT.after(Duration::from_secs(60)));
        assert_eq!(time.now(), BUILT);
        manual.advance(Duration::from_secs(5));
        assert_eq!(time.now(), BUILT.after(Duration::from_secs(5)));
    }

    #[test]
    fn a_certificate_issued_after_the_build_is_valid_for_a_clock_that_was_never_set() {
        let mut params = rcgen::CertificateParams::new(["hub".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 6, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issued = crate::identity::issued_at(&pem).unwrap();
        assert_eq!(issued, Timestamp::from_millis(1_780_272_000_000));
        let (manual, _) = clock(Timestamp::from_millis(0));
        let time = CheckTime::new(Clock::manual(manual), issued);
        assert!(time.now() >= issued && issued > BUILT);
    }

    #[test]
    fn receipts_move_the_floor_forward_and_not_too_far() {
        let (manual, time) = clock(Timestamp::from_millis(0));
        time.raise(BUILT.after(Duration::from_secs(60)));
        assert_eq!(time.now(), BUILT.after(Duration::from_secs(60)));
        time.raise(BUILT);
        assert_eq!(time.now(), BUILT.after(Duration::from_secs(60)));
        manual.advance(Duration::from_secs(100));
        time.raise(Timestamp::from_millis(i64::MAX));
        assert_eq!(time.now(), BUILT.after(Duration::from_secs(160 + 24 * 3600)));
    }

    #[tokio::test]
    async fn what_receipts_taught_is_there_after_a_restart_and_damage_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server-time");
        assert_eq!(read(&file), None);
        let (_, time) = clock(Timestamp::from_millis(0));
        let taught = BUILT.after(Duration::from_secs(3600));
        time.raise(taught);
        let stop = CancellationToken::new();
        stop.cancel();
        time.keep(file.clone(), stop).await;
        assert_eq!(read(&file), Some(taught));
        let (manual, _) = clock(Timestamp::from_millis(0));
        let again = CheckTime::new(Clock::manual(manual), read(&file).unwrap());
        assert_eq!(again.now(), taught);
        let mut bytes = std::fs::read(&file).unwrap();
        for place in 0..bytes.len() {
            bytes[place] ^= 1;
            std::fs::write(&file, &bytes).unwrap();
            assert_eq!(read(&file), None, "octet {place} is damaged");
            bytes[place] ^= 1;
        }
    }
}
