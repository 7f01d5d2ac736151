//! Recordings, played at their own pace or faster. A recording can wait: where the queue's owner has no room, it does.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use shared::time::Tick;
use shared::wire::{DeviceState, DeviceStatus};

use super::recording::{Header, RecordedBytes, Row, UnreadableHeader};
use super::{Joints, Recording, ReplayConfig};
use crate::decode::{Moment, Protocol, RefusedFrame, Report, StreamDecoder};
use crate::intake_item::Taken;
use crate::limits::{RECORDING_LINE_BYTES_MAX, REOPEN_MAX};

/// How long the player sleeps at most before it looks whether a second is over.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The stop came, or the queue's owner is gone.
struct Stopped;

/// Why a recording could not be played.
#[derive(Debug, thiserror::Error)]
enum Unplayable {
    #[error("the recording cannot be read: check its path and its mode")]
    Unreadable(#[from] io::Error),
    #[error("the recording has no usable header: {0}")]
    Header(#[from] UnreadableHeader),
}

enum End {
    Stopped,
    Unplayable(Unplayable),
}

impl From<Stopped> for End {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl<E: Into<Unplayable>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Unplayable(error.into())
    }
}

/// Plays one recording until the stop.
///
/// # Errors
/// None: a recording that cannot be played is an absent device.
pub async fn run(config: ReplayConfig, joints: Joints) -> Result<(), Infallible> {
    let mut player = Player { config, joints, state: None, battery_low: None };
    // It ends with the stop only.
    let Stopped = player.play_until_stopped().await;
    Ok(())
}

struct Player {
    config: ReplayConfig,
    joints: Joints,
    state: Option<DeviceState>,
    battery_low: Option<bool>,
}

/// Relates the recording's time to ours.
#[derive(Debug, Clone, Copy)]
struct Pace {
    start: Tick,
    first_ms: i64,
}

impl Player {
    async fn play_until_stopped(&mut self) -> Stopped {
        loop {
            match self.play_once().await {
                Err(End::Stopped) => return Stopped,
                Err(End::Unplayable(error)) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(device = %self.joints.device, path = %self.config.path.display(), cause, "{error}");
                    if self.tell(DeviceState::Absent).await.is_err() {
                        return Stopped;
                    }
                    let again = self.joints.clock.tick().after(REOPEN_MAX);
                    if self.until(again).await.is_err() {
                        return Stopped;
                    }
                }
                Ok(()) if self.config.repeat => {}
                Ok(()) => {
                    tracing::info!(device = %self.joints.device, "the recording is at its end");
                    if self.tell(DeviceState::Absent).await.is_err() {
                        return Stopped;
                    }
                    self.joints.progress.waiting("the stop, after the recording's end");
                    self.joints.stop.cancelled().await;
                    return Stopped;
                }
            }
        }
    }

    async fn play_once(&mut self) -> Result<(), End> {
        let mut lines = Lines::of(&self.config.path)?;
        match self.config.recording.clone() {
            Recording::Values(wanted) => {
                let first = lines.next()?.unwrap_or(Some(String::new())).unwrap_or_default();
                let header = Header::of(&first, wanted.as_deref())?;
                self.tell(DeviceState::Connected).await?;
                self.play_values(&header, lines).await
            }
            Recording::Frames(protocol) => {
                self.tell(DeviceState::Connected).await?;
                self.play_frames(protocol, lines).await
            }
        }
    }

    async fn play_values(&mut self, header: &Header, mut lines: Lines) -> Result<(), End> {
        let mut pace: Option<Pace> = None;
        let (mut last_ms, mut step) = (0, Duration::from_secs(1));
        while let Some(line) = lines.next()? {
            let Some(row) = line.as_deref().and_then(|line| header.row(line)) else {
                self.refuse_line(lines.number);
                continue;
            };
            let Row { at_ms, readings, bad_cells } = row;
            for column in bad_cells {
                let (device, line) = (&self.joints.device, lines.number);
                tracing::warn!(%device, line, column, "a cell of the recording is not a number: correct or empty it");
                self.joints.counters.refuse(RefusedFrame::Cell);
            }
            step = pace.map_or(step, |_| between(last_ms, at_ms));
            last_ms = at_ms;
            self.until_due(&mut pace, at_ms).await?;
            if !readings.is_empty() {
                let mut report = Report::default();
                readings.into_iter().for_each(|reading| report.add(reading));
                self.send(self.joints.taken(None, report.at(self.joints.clock.captured()))).await?;
                self.accept();
            }
        }
        // So that a repeated recording keeps its pace, and an empty one does not spin.
        let pause = self.config.speed.lasts(step.max(Duration::from_millis(1)));
        self.until(self.joints.clock.tick().after(pause)).await?;
        Ok(())
    }

    async fn play_frames(&mut self, protocol: Protocol, mut lines: Lines) -> Result<(), End> {
        let second = self.config.speed.lasts(Duration::from_secs(1));
        let mut decoder = StreamDecoder::with_second(protocol, second);
        let mut pace: Option<Pace> = None;
        while let Some(line) = lines.next()? {
            let Some(recorded) = line.as_deref().and_then(RecordedBytes::of) else {
                self.refuse_line(lines.number);
                continue;
            };
            let due = self.due(&mut pace, recorded.at_ms);
            while self.joints.clock.tick() < due {
                self.until(due.min(self.joints.clock.tick().after(LOOK_EVERY.min(second)))).await?;
                let late = decoder.expire(self.joints.clock.captured());
                self.hand_over(late.into_iter().collect()).await?;
            }
            let moments = decoder.moments(&recorded.bytes, self.joints.clock.captured());
            self.joints.counters.add(&decoder.take_tally());
            self.hand_over(moments).await?;
            self.joints.progress.turn();
        }
        let last = decoder.finish();
        self.joints.counters.add(&decoder.take_tally());
        self.hand_over(last.into_iter().collect()).await?;
        self.until(self.joints.clock.tick().after(second)).await?;
        Ok(())
    }

    async fn hand_over(&mut self, moments: Vec<Moment>) -> Result<(), Stopped> {
        for moment in moments {
            if moment.report.battery_low.is_some() && moment.report.battery_low != self.battery_low {
                self.battery_low = moment.report.battery_low;
                self.state = None;
                self.tell(DeviceState::Connected).await?;
            }
            self.send(self.joints.taken(None, moment)).await?;
        }
        Ok(())
    }

    fn accept(&self) {
        let mut tally = crate::decode::Tally::default();
        tally.accept(1);
        self.joints.counters.add(&tally);
    }

    fn refuse_line(&self, line: u64) {
        tracing::warn!(device = %self.joints.device, line, "a line of the recording cannot be read: correct or remove it");
        self.joints.counters.refuse(RefusedFrame::Line);
    }

    fn due(&self, pace: &mut Option<Pace>, at_ms: i64) -> Tick {
        let start = self.joints.clock.tick();
        let Pace { start, first_ms } = *pace.get_or_insert(Pace { start, first_ms: at_ms });
        start.after(self.config.speed.lasts(between(first_ms, at_ms)))
    }

    async fn until_due(&self, pace: &mut Option<Pace>, at_ms: i64) -> Result<(), Stopped> {
        let due = self.due(pace, at_ms);
        self.until(due).await
    }

    async fn until(&self, tick: Tick) -> Result<(), Stopped> {
        let Joints { clock, stop, progress, .. } = &self.joints;
        if stop.is_cancelled() {
            return Err(Stopped);
        }
        if clock.tick() >= tick {
            progress.turn();
            return Ok(());
        }
        progress
            .while_waiting("the recording's next moment", async {
                tokio::select! {
                    () = clock.sleep_until(tick) => Ok(()),
                    () = stop.cancelled() => Err(Stopped),
                }
            })
            .await
    }

    async fn tell(&mut self, state: DeviceState) -> Result<(), Stopped> {
        if self.state == Some(state) {
            return Ok(());
        }
        self.state = Some(state);
        let (device, battery_low) = (self.joints.device.clone(), self.battery_low);
        tracing::info!(%device, ?state, battery_low, "the device changed its state");
        self.send(Taken::Device(DeviceStatus { at: self.joints.clock.captured(), device, state, battery_low })).await
    }

    /// Waits for room.
    async fn send(&self, item: Taken) -> Result<(), Stopped> {
        tokio::select! {
            sent = self.joints.out.send(item) => sent.map_err(|_| Stopped),
            () = self.joints.stop.cancelled() => Err(Stopped),
        }
    }
}

fn between(from_ms: i64, until_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(until_ms.saturating_sub(from_ms)).unwrap_or(0))
}

/// Lines of a file, each of bounded length. Read as they are played, a page at a time, from the kernel's cache.
struct Lines {
    reader: BufReader<File>,
    number: u64,
}

impl Lines {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { reader: BufReader::new(File::open(path)?), number: 0 })
    }

    /// The next line that is not empty; `Some(None)` if it is too long or not UTF-8.
    fn next(&mut self) -> io::Result<Option<Option<String>>> {
        loop {
            let mut bytes = Vec::new();
            let most = u64::try_from(RECORDING_LINE_BYTES_MAX).unwrap_or(u64::MAX);
            if self.reader.by_ref().take(most).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.number = self.number.saturating_add(1);
            if bytes.len() >= RECORDING_LINE_BYTES_MAX && bytes.last() != Some(&b'\n') {
                self.reader.skip_until(b'\n')?;
                return Ok(Some(None));
            }
            match String::from_utf8(bytes) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => return Ok(Some(Some(text.trim_end().to_owned()))),
                Err(_) => return Ok(Some(None)),
            }
        }
    }
}
