//! Devices: where bytes come from. Each source has its own file, and each is the only one that names its library.

pub mod counters;
pub mod outbox;
pub mod presence;
pub mod recording;
pub mod replay;
pub mod serial;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use runtime::clock::Clock;
use runtime::supervisor::Supervisor;
use shared::id::DeviceId;
use shared::observation::DeviceRecordId;
use shared::plausibility::mark_inconsistent;
use tokio::sync::mpsc::Sender;

use crate::decode::{Memory, Moment, Protocol, Report};
use crate::intake_item::Taken;
pub use counters::Counters;
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

/// A serial line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialConfig {
    /// The port; best a link that udev keeps, such as `/dev/serial/by-id/...`.
    pub path: PathBuf,
    /// What it speaks.
    pub protocol: Protocol,
    /// Its speed, in bits a second.
    pub baud: u32,
    /// Its parity.
    pub parity: Parity,
    /// Whether to tell a Nonin device which format to speak.
    pub select_format: bool,
}

impl SerialConfig {
    /// A line at the protocol's usual speed, 8N1, that is only listened to.
    #[must_use]
    pub const fn new(path: PathBuf, protocol: Protocol) -> Self {
        Self { path, protocol, baud: protocol.baud(), parity: Parity::None, select_format: false }
    }
}

/// Parity of a serial line; it always has 8 data bits and 1 stop bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parity {
    /// None.
    #[default]
    None,
    /// Odd.
    Odd,
    /// Even.
    Even,
}

/// Why a text names no parity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("parity is one of none, odd, even")]
pub struct UnknownParity;

impl FromStr for Parity {
    type Err = UnknownParity;
    fn from_str(text: &str) -> Result<Self, UnknownParity> {
        match text {
            "none" => Ok(Self::None),
            "odd" => Ok(Self::Odd),
            "even" => Ok(Self::Even),
            _ => Err(UnknownParity),
        }
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
            Self::Serial(serial) => write!(f, "{} on {}", serial.protocol, serial.path.display()),
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
        devices.push(Device { name: name.clone(), source: source.to_string(), counters: Arc::clone(&counters) });
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
