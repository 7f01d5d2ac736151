//! Devices: where bytes come from. Each source has its own file, and each is the only one that names its library.

pub mod claims;
mod counters;
mod line;
pub mod line_settings;
pub mod models;
pub mod outbox;
pub mod port;
pub mod presence;
pub mod probe;
pub mod recording;
pub mod replay;
pub mod serial;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use runtime::clock::Clock;
use runtime::supervisor::Supervisor;
use shared::id::DeviceId;
use shared::observation::DeviceRecordId;
use shared::plausibility::mark_inconsistent;
use tokio::sync::mpsc::Sender;

use crate::decode::{Memory, Moment, Protocol, Report, talk};
use crate::intake_item::Taken;
use crate::limits::LINE_CHOICES_MAX;
use arrayvec::ArrayVec;
pub use counters::Counters;
pub use line_settings::{DataBits, LineSettings, Parity};
pub use port::{PortName, PortTrouble};
pub use recording::Column;

/// A device as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceConfig {
    /// Its name on this hub.
    pub name: DeviceId,
    /// Where its bytes come from.
    pub source: Source,
}

/// Where a device's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A serial line.
    Serial(SerialConfig),
    /// A recording.
    Replay(ReplayConfig),
}

impl Source {
    /// Whether both name one serial port, as far as their names tell.
    #[must_use]
    pub fn is_on_the_port_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Serial(serial), Self::Serial(other)) => serial.port.is_same(&other.port),
            _ => false,
        }
    }
}

/// A serial line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialConfig {
    /// Which port.
    pub port: PortName,
    /// What is said to the device.
    pub talk: talk::Settings,
    /// The setting that is tried first.
    first: LineSettings,
    /// The settings that are tried in turn: the first, and of a model that varies, others.
    lines: Lines,
}

/// Possible settings of one line.
pub type Lines = ArrayVec<LineSettings, LINE_CHOICES_MAX>;

impl SerialConfig {
    /// A line as the protocol's description says, on the port at a path; nothing is said to a device that speaks by itself.
    #[must_use]
    pub fn new(path: PathBuf, protocol: Protocol) -> Self {
        Self::with(PortName::Path(path), LineSettings::of(protocol), &[])
    }

    /// A line with a setting and others that may be right instead; those beyond [`LINE_CHOICES_MAX`] are not tried.
    #[must_use]
    pub fn with(port: PortName, first: LineSettings, others: &[LineSettings]) -> Self {
        let mut lines = Lines::new();
        for setting in std::iter::once(&first).chain(others) {
            if !lines.contains(setting) {
                let _ = lines.try_push(*setting);
            }
        }
        Self { port, talk: talk::Settings::default(), first, lines }
    }

    /// The settings that are tried in turn; at least one.
    #[must_use]
    pub fn lines(&self) -> &[LineSettings] {
        &self.lines
    }

    /// The setting at this place; the first where there is none.
    #[must_use]
    pub fn line(&self, place: usize) -> LineSettings {
        self.lines.get(place).copied().unwrap_or(self.first)
    }
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayConfig {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub recording: Recording,
    /// How fast it is played.
    pub speed: Speed,
    /// Whether it begins again at its end.
    pub repeat: bool,
}

/// What a recording holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recording {
    /// Values: CSV with a `time_s` column and columns of [`Column`]s; these only, if given.
    Values(Option<Vec<Column>>),
    /// Frames: one JSON object on each line, `{"at_ms": 0, "hex": "..."}`, in this protocol.
    Frames(Protocol),
}

/// How fast a recording is played: 0.001 to 1000 times its own pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    thousandths: u32,
}

/// Why a number is not a speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a speed is a number from 0.001 to 1000")]
pub struct UnusableSpeed;

impl Speed {
    /// Its own pace.
    pub const OWN: Self = Self { thousandths: 1000 };

    /// How long a stretch of the recording lasts at this speed.
    #[must_use]
    pub fn lasts(self, recorded: Duration) -> Duration {
        recorded.saturating_mul(1000).checked_div(self.thousandths).unwrap_or(recorded)
    }
}

impl TryFrom<f64> for Speed {
    type Error = UnusableSpeed;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // the range is checked first
    fn try_from(times: f64) -> Result<Self, UnusableSpeed> {
        if !(0.001..=1000.0).contains(&times) {
            return Err(UnusableSpeed);
        }
        Ok(Self { thousandths: (times * 1000.0).round() as u32 })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(serial) => {
                let mut names: Vec<&str> = serial.lines.iter().map(|line| line.protocol.name()).collect();
                names.dedup();
                write!(f, "{} on {}", names.join(" or "), serial.port)
            }
            Self::Replay(replay) => write!(f, "recording {}", replay.path.display()),
        }
    }
}

/// What the rest of the agent may ask about a device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its name.
    pub name: DeviceId,
    /// What it speaks and where, for people.
    pub source: String,
    /// The settings that its line may have, for people; of a recording none.
    pub lines: Vec<String>,
    /// What its source counts.
    pub counters: Arc<Counters>,
}

/// Starts an owner for each device. They stop with the supervisor's stop.
pub fn own_all(
    supervisor: &mut Supervisor,
    configs: Vec<DeviceConfig>,
    clock: &Clock,
    out: &Sender<Taken>,
) -> Vec<Device> {
    let mut devices = Vec::new();
    for DeviceConfig { name, source } in configs {
        let counters = Arc::new(Counters::default());
        let lines = match &source {
            Source::Serial(serial) => serial.lines().iter().map(ToString::to_string).collect(),
            Source::Replay(_) => Vec::new(),
        };
        let (device, told) = (name.clone(), source.to_string());
        devices.push(Device { name: device, source: told, lines, counters: Arc::clone(&counters) });
        let joints = Joints {
            device: name,
            clock: clock.clone(),
            out: out.clone(),
            counters,
            stop: supervisor.stop(),
            progress: supervisor.progress("device"),
        };
        match source {
            Source::Serial(config) => supervisor.own("device", serial::run(config, joints)),
            Source::Replay(config) => supervisor.own("device", replay::run(config, joints)),
        }
    }
    devices
}

/// What ties a source to the rest of the agent.
#[derive(Debug)]
pub struct Joints {
    /// The device's name.
    pub device: DeviceId,
    /// The clocks.
    pub clock: Clock,
    /// The queue's owner.
    pub out: Sender<Taken>,
    /// What status reads.
    pub counters: Arc<Counters>,
    /// Cancelled when the source shall stop.
    pub stop: tokio_util::sync::CancellationToken,
    /// Its hand to the watchdog.
    pub progress: runtime::supervisor::Progress,
}

impl Joints {
    /// A decoded moment as the queue's owner takes it, with what cannot be true together marked. Whoever listens to the
    /// device is told. `identity` is the device's serial number or address; where its protocol has neither, its name on
    /// the hub.
    fn taken(&self, identity: Option<&str>, mut moment: Moment) -> Taken {
        mark_inconsistent(&mut moment.report.readings);
        self.counters.heard(&moment);
        let Moment { captured, report } = moment;
        let Report { device_time, memory, slot, readings, battery_low: _ } = report;
        let from_memory = memory.map(|Memory { record, digest }| {
            let identity = identity.map_or_else(|| self.device.to_string(), str::to_owned);
            DeviceRecordId { identity, record, time: device_time, digest }
        });
        let (device, readings) = (self.device.clone(), readings.into_iter().collect());
        Taken::Readings { device, slot, captured, device_time, from_memory, readings }
    }
}

#[cfg(test)]
mod tests {
    use shared::metric::Metric;
    use shared::reading::{Quality, Reading};
    use shared::units::Unit;

    use super::*;

    #[test]
    fn speeds_on_both_sides_of_each_edge() {
        let lasts = |times: f64| Speed::try_from(times).map(|speed| speed.lasts(Duration::from_secs(20)));
        assert_eq!(lasts(20.0), Ok(Duration::from_secs(1)));
        assert_eq!(lasts(0.5), Ok(Duration::from_secs(40)));
        assert_eq!(Speed::OWN.lasts(Duration::from_secs(20)), Duration::from_secs(20));
        assert!(lasts(0.001).is_ok() && lasts(1000.0).is_ok());
        for times in [0.0, 0.000_9, 1000.1, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(lasts(times), Err(UnusableSpeed), "{times}");
        }
    }

    fn joints() -> Joints {
        let (out, _) = tokio::sync::mpsc::channel(1);
        Joints {
            device: "oximeter".parse().unwrap(),
            clock: Clock::system(),
            out,
            counters: Arc::default(),
            stop: tokio_util::sync::CancellationToken::new(),
            progress: Supervisor::new().progress("device"),
        }
    }

    #[test]
    fn a_memory_record_has_the_devices_identity() {
        let joints = joints();
        let id = |memory, identity| {
            let report = Report { memory, ..Report::default() };
            match joints.taken(identity, report.at(crate::decode::tests::at(0))) {
                Taken::Readings { from_memory, .. } => from_memory,
                _ => None,
            }
        };
        assert_eq!(id(None, None), None);
        let memory = Memory::of(7, b"a");
        let stored = id(Some(memory), None).unwrap();
        assert_eq!((stored.identity.as_str(), stored.record, stored.digest), ("oximeter", 7, memory.digest));
        assert_eq!(id(Some(memory), Some("S 12")).unwrap().identity, "S 12");
    }

    #[test]
    fn a_cuff_pair_that_cannot_be_is_marked_on_its_way() {
        let mut report = Report::default();
        for (metric, mmhg) in [(Metric::SystolicPressure, 70_i64), (Metric::DiastolicPressure, 90)] {
            report.add(Reading::value(metric, mmhg.into(), Unit::MillimetreOfMercury, Quality::GOOD));
        }
        let Taken::Readings { readings, .. } = joints().taken(None, report.at(crate::decode::tests::at(0))) else {
            panic!("no readings")
        };
        assert!(readings.iter().all(|reading| reading.quality.contains(Quality::INCONSISTENT)), "{readings:?}");
    }
}
