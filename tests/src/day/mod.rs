//! A day over serial lines: simulated oximeters on pseudo-terminals, disturbed and unplugged, through a real agent and a
//! real server; what is stored is held against what each device knows it showed.
//!
//! The day is played faster than life. The agent keeps real time, and that changes nothing it makes of a line: a second of
//! format 8 is one frame; a second of the other protocols is complete with its number of packets or frames, not by the
//! clock. The clock ends a second only where its frames come a second of real time apart, as they do over a pulled plug: then
//! what is there of it becomes a reading of its own ([`judge`] counts these). A hub waits a second before it opens a port
//! again, so a pulled plug costs as many seconds of the course as the day is faster than life.
//!
//! ```text
//! course ──▶ device ──▶ pseudo-terminal ──▶ hub-agent ──▶ monitor-server ──▶ store ──▶ readings ──┐
//!               └──▶ ledger: what was on the line whole, with noise, in part, or not at all ──────┴──▶ judge
//! ```

pub mod align;
pub mod judge;
pub mod report;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::binaries::Binaries;
use crate::hub::{Hub, HubDevice, HubSource};
use crate::patients::{NAMES, nhs_number};
use crate::server::Server;
use crate::simulators::ledger::Played;
use crate::simulators::patient::{Course, mix};
use crate::simulators::script::Script;
use crate::simulators::{DevicePlan, Protocol, SimulatedDevice};
use crate::{stored, wait};
use judge::{Evidence, judge};
use report::{DeviceReport, Report};

/// Seconds of a day.
pub const DAY_SECONDS: u64 = 86_400;
/// What the devices of the home speak: Nonin's formats 8 and 7, BCI, which an older CMS50D+ speaks, and the later CMS50's
/// protocol, in which the hub must start the device and say each few seconds that it is still there.
pub const DEVICES: [Protocol; 4] = [Protocol::NoninDf8, Protocol::NoninDf7, Protocol::Bci, Protocol::Cms50V7];

const WARD: &str = "Test ward";
/// Seconds in a thousand that have noise.
const NOISE_PER_MILLE: u32 = 20;
/// How long a pulled plug stays out, in real time: shorter than the hub waits before it looks again.
const UNPLUGGED_FOR: Duration = Duration::from_millis(500);
/// The hub reports of itself each so often, and a little more.
const HUB_REPORTS_WITHIN: Duration = Duration::from_secs(70);
/// How long the queue may take to drain at the end.
const DRAINS_WITHIN: Duration = Duration::from_secs(300);
/// How long the hub may take to see that the ports are gone.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// How often a line is said about how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// What is to be played.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Seconds of each device's course.
    pub seconds: u64,
    /// How much faster than life.
    pub speed: f64,
    /// Decides what goes wrong where.
    pub seed: u64,
    /// The plug of each device is pulled each so many seconds of the course.
    pub unplug_every: u64,
    /// Each line has another speed for a second each so many seconds.
    pub wrong_speed_every: u64,
    /// Whether to wait at the end until the hub has reported its refused frames to the server, up to a minute.
    pub hears_hub_report: bool,
}

impl Plan {
    /// A whole day: unplugged each hour, another speed each half hour.
    #[must_use]
    pub const fn whole_day(seed: u64, speed: f64) -> Self {
        Self { seconds: DAY_SECONDS, speed, seed, unplug_every: 3600, wrong_speed_every: 1800, hears_hub_report: true }
    }

    fn script(&self, place: usize) -> Script {
        Script {
            seed: mix(self.seed ^ (place as u64) << 32),
            noise_per_mille: NOISE_PER_MILLE,
            unplug_every: Some(self.unplug_every),
            unplugged_for: UNPLUGGED_FOR,
            wrong_speed_every: Some(self.wrong_speed_every),
            ..Script::default()
        }
    }
}

/// Plays it. `say` gets a line now and then.
///
/// # Errors
/// If server, hub or devices cannot be set up, or say nothing. What is wrong with the day is in the report.
pub fn run(plan: Plan, binaries: &Binaries, say: &dyn Fn(&str)) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir()?;
    let mut home = Home::made(folder.path(), binaries)?;
    let begin = Instant::now();
    let devices = home.started(plan)?;
    say(&format!("{} s of {} devices at {} times their pace", plan.seconds, devices.len(), plan.speed));
    let mut told = Instant::now();
    while devices.iter().any(|device| !device.is_over()) {
        std::thread::sleep(Duration::from_millis(100));
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            let accepted = home.hub.count("accepted_observations").unwrap_or(0);
            say(&format!("{:>5} s: {accepted} observations accepted", begin.elapsed().as_secs()));
        }
    }
    let played: Vec<Played> = devices.into_iter().map(SimulatedDevice::play_out).collect();
    let took = begin.elapsed();
    home.report(plan, &played, took)
}

/// A server and a hub with its devices' names.
struct Home {
    // Dropped first to last: the processes before the folder they write to.
    hub: Hub,
    server: Server,
    names: Vec<String>,
}

impl Home {
    /// Each device is bound to a patient of its own, and the hub knows it before it hears them.
    fn made(folder: &std::path::Path, binaries: &Binaries) -> anyhow::Result<Self> {
        let mut server = Server::create(folder, binaries, 1)?;
        server.start()?;
        let mut hub = Hub::enrolled(folder.join("home"), binaries, &server, "home")?;
        let names: Vec<String> = DEVICES.iter().map(|protocol| protocol.name().to_owned()).collect();
        let mut counter = 0;
        for (place, name) in names.iter().enumerate() {
            let patient = server.add_patient(NAMES[place], &nhs_number(place as u64), WARD)?;
            counter = server.bind(&hub.id, name, &patient)?["settings_counter"].as_u64().context("no counter")?;
        }
        hub.learn_settings(counter)?;
        Ok(Self { hub, server, names })
    }

    fn started(&mut self, plan: Plan) -> anyhow::Result<Vec<SimulatedDevice>> {
        let (mut devices, mut configured) = (Vec::new(), Vec::new());
        for (place, protocol) in DEVICES.into_iter().enumerate() {
            let path = self.hub.folder().join(protocol.name());
            let source = HubSource::Serial { path: path.clone(), protocol: protocol.name() };
            configured.push(HubDevice { name: self.names[place].clone(), source });
            let mut device = DevicePlan::new(path, protocol, Course::Numbered(plan.seconds), plan.speed);
            (device.script, device.waits_for_reader, device.keeps_ledger) = (plan.script(place), true, true);
            devices.push(SimulatedDevice::start(device)?);
        }
        self.hub.configure(&configured)?;
        self.hub.start()?;
        Ok(devices)
    }

    fn device_status(status: &Value, name: &str) -> Value {
        let devices = status["devices"].as_array().cloned().unwrap_or_default();
        devices.into_iter().find(|device| device["name"] == name).unwrap_or_default()
    }

    /// Waits until everything is stored, and judges it.
    fn report(&mut self, plan: Plan, played: &[Played], took: Duration) -> anyhow::Result<Report> {
        wait::until("the hub to see that all ports are gone", SEEN_WITHIN, || {
            let status = self.hub.status().ok()?;
            let is_absent = |name: &String| Self::device_status(&status, name)["state"] == "absent";
            self.names.iter().all(is_absent).then_some(())
        })?;
        let refused_in_all =
            |status: &Value| -> u64 { self.names.iter().map(|name| refused(&Self::device_status(status, name))).sum() };
        if plan.hears_hub_report {
            let now = refused_in_all(&self.hub.status()?);
            let store = stored::open(self.server.data())?;
            wait::until("the hub's report of its refused frames", HUB_REPORTS_WITHIN, || {
                (stored::frames_refused(&store).ok()?? == now).then_some(())
            })?;
        }
        let status = self.hub.drained(DRAINS_WITHIN)?;
        let closed = self.hub.stop_and_count()?;
        let counts = self.server.counts()?;
        let count = |key: &str| counts[key].as_u64().with_context(|| format!("no `{key}` in {counts}"));
        let store = stored::open(self.server.data())?;
        let losses = stored::losses(&store)?;
        let mut report = Report {
            plan,
            took,
            devices: Vec::new(),
            accepted: closed.accepted,
            receipted: closed.receipted,
            stored: count("observations")?,
            duplicates: count("duplicates")?,
            quarantined: count("quarantined")?,
            refused: refused_in_all(&status),
            reported: stored::frames_refused(&store)?,
            repeated: stored::repeated(&store)?.len(),
            gaps: stored::gaps(&store)?.len(),
            losses: losses.others,
        };
        ensure!(played.len() == DEVICES.len(), "a device is missing");
        for ((protocol, name), played) in DEVICES.into_iter().zip(&self.names).zip(played) {
            let (readings, states) = (stored::readings(&store, name)?, stored::states(&store, name)?);
            let device = Self::device_status(&status, name);
            let (refused, overrun) = (refused(&device), losses.overrun.get(name).copied().unwrap_or(0));
            let evidence = Evidence { protocol, played, readings: &readings, states: &states, refused, overrun };
            let verdict = judge(&evidence);
            let counted = device["overrun"].as_u64().unwrap_or(0);
            report.devices.push(DeviceReport::of(&evidence, readings.len(), counted, verdict));
        }
        Ok(report)
    }
}

/// Refused frames of a device in a hub's status, all reasons.
fn refused(device: &Value) -> u64 {
    let reasons = device["frames_refused"].as_object();
    reasons.map_or(0, |reasons| reasons.values().filter_map(Value::as_u64).sum())
}
