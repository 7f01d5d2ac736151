//! The homes: a hub for each, oximeters on its ports, replays for what oximeters do not carry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tests::binaries::Binaries;
use tests::hub::{Hub, HubDevice, HubSource};
use tests::server::Server;
use tests::simulators::{DevicePlan, SimulatedDevice, Writes};

use crate::WARD;
use crate::cast::Cast;

/// Everything in the homes.
pub(crate) struct Homes {
    /// The hubs.
    pub(crate) hubs: Vec<Hub>,
    plans: Vec<(String, DevicePlan)>,
    oximeters: Vec<SimulatedDevice>,
    names: BTreeMap<String, String>,
    writes: BTreeMap<String, Arc<Writes>>,
}

/// What the agents counted.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    /// Observations accepted: sealed, written and synced.
    pub(crate) sent: u64,
    /// Observations receipted.
    pub(crate) receipted: u64,
}

impl Homes {
    /// Adds patients, enrols hubs, binds devices. Nothing runs yet.
    pub(crate) fn set_up(
        scratch: &Path,
        binaries: &Binaries,
        server: &Server,
        cast: &Cast,
        speed: u32,
    ) -> anyhow::Result<Self> {
        let mut homes = Self {
            hubs: Vec::new(),
            plans: Vec::new(),
            oximeters: Vec::new(),
            names: BTreeMap::new(),
            writes: BTreeMap::new(),
        };
        let per_home = cast.members.len().div_ceil(cast.homes);
        for (number, members) in cast.members.chunks(per_home).enumerate() {
            let label = format!("home-{}", number + 1);
            let mut hub = Hub::enrolled(scratch.join(&label), binaries, server, &label)?;
            let (mut devices, mut counter) = (Vec::new(), 0);
            for (place, member) in members.iter().enumerate() {
                let patient = server.add_patient(&member.name, &member.nhs_number, WARD)?;
                let name = format!("oximeter-{}", place + 1);
                let link = hub.folder().join(&name);
                counter = server.bind(&hub.id, &name, &patient)?["settings_counter"].as_u64().context("no counter")?;
                let source = HubSource::Serial { path: link.clone(), protocol: member.protocol.name() };
                devices.push(HubDevice { name, source });
                if let Some(path) = member.replay.clone() {
                    let name = format!("recording-{}", place + 1);
                    let bound = server.bind(&hub.id, &name, &patient)?;
                    counter = bound["settings_counter"].as_u64().context("no counter")?;
                    let columns = vec!["resp"];
                    let source = HubSource::Replay { path, speed: f64::from(speed), columns, repeat: false };
                    devices.push(HubDevice { name, source });
                }
                let (protocol, course) = (member.protocol, member.course.clone());
                let plan = DevicePlan::new(link, protocol, course, f64::from(speed));
                homes.plans.push((patient.clone(), plan));
                homes.names.insert(patient, member.name.clone());
            }
            hub.learn_settings(counter)?;
            hub.configure(&devices)?;
            homes.hubs.push(hub);
        }
        Ok(homes)
    }

    /// Plugs the oximeters in and starts the hubs.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        for (patient, plan) in self.plans.drain(..) {
            let oximeter = SimulatedDevice::start(plan)?;
            self.writes.insert(patient, oximeter.writes());
            self.oximeters.push(oximeter);
        }
        self.hubs.iter_mut().try_for_each(Hub::start)
    }

    /// Any hub's enrolment: the server's roots stand in it.
    pub(crate) fn enrolment(&self) -> anyhow::Result<PathBuf> {
        self.hubs.first().map(Hub::enrolment).context("no home")
    }

    /// Names by patient.
    pub(crate) fn patients(&self) -> BTreeMap<String, String> {
        self.names.clone()
    }

    /// When each patient's oximeter wrote.
    pub(crate) fn writes(&self) -> BTreeMap<String, Arc<Writes>> {
        self.writes.clone()
    }

    /// Whether every recording has been played. Made-up patients go on for ever.
    pub(crate) fn are_over(&self) -> bool {
        self.oximeters.iter().all(SimulatedDevice::is_over)
    }

    /// Stops the oximeters. Replays end with their hubs.
    pub(crate) fn silence(&mut self) {
        self.oximeters.clear();
    }

    /// Stops the hubs when they have caught up: replays end, everything drains. Returns what the agents counted last.
    pub(crate) fn drain(&mut self, within: Duration) -> anyhow::Result<Totals> {
        let mut totals = Totals::default();
        for hub in &mut self.hubs {
            hub.caught_up(within)?;
            let closed = hub.stop_and_count()?;
            totals.sent += closed.accepted;
            totals.receipted += closed.receipted;
        }
        Ok(totals)
    }
}
