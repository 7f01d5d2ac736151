//! The wiring: configuration → belongings → owners → exit code.
//!
//! ```text
//! devices ──Taken──▶ queue (thread) ──Lent──▶ uplink ──▶ doors
//!                      ▲  └──status──┐  ▲ └──status──┐
//!                      └──Question───┼──┘            ▼
//!                                    └───────────▶ status socket
//! ```
//! A stop reaches the devices, the uplink and the status socket. The devices end, so the queue seals and syncs what is
//! open; the uplink waits for receipts and ends; so the queue closes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::clock::Clock;
use runtime::config_file::Problems;
use runtime::exit::Exit;
use runtime::files::LockError;
use runtime::supervisor::Supervisor;
use serde_json::Value;
use shared::enrolment::Enrolment;
use shared::id::HubId;
use shared::wire::Settings;
use tokio::sync::{mpsc, watch};

use crate::config::Config;
use crate::devices::{self, Device};
use crate::health::{self, Belongings};
use crate::identity::{self, Identity};
use crate::limits;
use crate::queue::{self, Channels, Lent, Question, QueueStatus, Setup, sled_store::SledDisk};
use crate::status::{self, Sources};
use crate::uplink::check_time::{self, CheckTime};
use crate::uplink::session::{Counts, State};
use crate::uplink::settings::{SettingsError, Source, host_of, port_of};
use crate::uplink::tls::{Material, TlsError, client_config};
use crate::uplink::{self, Uplink, UplinkStatus, mqtt::Door};

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// Configuration, key or enrolment.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// Another agent runs on the same folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The enrolment's settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Folders, sockets, threads.
    #[error("the agent cannot start: {0}")]
    Io(#[from] io::Error),
}

/// A configuration to run with, and why it is not the one asked for, if it is not.
pub struct Chosen {
    /// The configuration.
    pub config: Config,
    /// Problems of the one asked for; null if it is in force.
    pub safe_mode: Value,
}

/// Reads the configuration, or the last good one if it has problems: a hub never bricks itself.
///
/// # Errors
/// The problems, if there is no last good one either.
pub fn choose(file: &Path) -> Result<Chosen, Problems> {
    match Config::read(file) {
        Ok(config) => Ok(Chosen { config, safe_mode: Value::Null }),
        Err(problems) => {
            let last_good = state_dir_of(file).join("last-good.toml");
            match Config::read(&last_good) {
                Ok(config) => Ok(Chosen { config, safe_mode: problems.to_json() }),
                Err(_) => Err(problems),
            }
        }
    }
}

/// The state folder of a configuration that has problems: as it says if it can be read that far, else systemd's, else
/// the package's.
fn state_dir_of(file: &Path) -> PathBuf {
    let said = runtime::config_file::read_toml::<toml::Table>(file).ok();
    let said = said.and_then(|table| table.get("state_dir").and_then(toml::Value::as_str).map(PathBuf::from));
    said.or_else(|| std::env::var_os("STATE_DIRECTORY").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("/var/lib/hub-agent"))
}

/// Keeps a copy of a configuration that the agent starts with.
fn keep_last_good(file: &Path, config: &Config) {
    let copied = runtime::files::read_bounded(file, 1024 * 1024)
        .and_then(|bytes| runtime::files::write_atomically(&config.state_dir.join("last-good.toml"), &bytes, 0o600));
    if let Err(error) = copied {
        tracing::warn!(%error, "the configuration cannot be kept as the last good one");
    }
}

/// Runs the agent until it is told to stop.
///
/// # Errors
/// [`CannotStart`].
pub async fn run(file: &Path, chosen: Chosen) -> Result<Exit, CannotStart> {
    let Chosen { config, safe_mode } = chosen;
    if !safe_mode.is_null() {
        tracing::error!(problems = %safe_mode, "safe mode: the configuration has problems, the last good one is used");
    }
    let Belongings { identity, enrolment, certificate_until_s, keeper } =
        health::belongings(&config).map_err(Problems)?;
    runtime::files::create_private_dir(&config.state_dir)?;
    std::fs::create_dir_all(&config.runtime_dir)?;
    let _lock = runtime::files::lock_exclusively(&config.state_dir.join("lock"))?;
    let clock = Clock::system();
    let settings = keeper.start(&enrolment.settings)?;
    if safe_mode.is_null() {
        keep_last_good(file, &config);
    }
    let identity = Arc::new(identity);
    let issued = identity::issued_at(&enrolment.certificate_pem).map_err(TlsError::Identity)?;
    let time_file = config.state_dir.join("server-time");
    let known = issued.max(settings.issued).max(check_time::read(&time_file).unwrap_or(issued));
    let check_time = CheckTime::new(clock.clone(), known);
    let (door, source) = doors(&enrolment, &identity, &check_time)?;
    let listener = status::open(&config.status_socket())?;
    let mut supervisor = Supervisor::new();
    let joints = Joints::new(clock.tick(), settings.counter);
    let (taken_out, taken) = mpsc::channel(limits::TAKEN_MAX);
    let devices = devices::own_all(&mut supervisor, config.devices.clone(), &clock, &taken_out);
    let stop = supervisor.stop();
    supervisor.own_infallible("server_time", Arc::clone(&check_time).keep(time_file, stop.clone()));
    // Holds the intake open while no device does, and lets go when the agent stops.
    supervisor.own_infallible("intake", async move {
        stop.cancelled().await;
        drop(taken_out);
    });
    let setup = queue_setup(&config, &identity, &clock, settings, &devices, enrolment.hub);
    let channels = Channels { taken, questions: joints.questions, live: joints.live_out, status: joints.queue_out };
    let progress = supervisor.progress("queue");
    let folder = config.state_dir.join("queue");
    supervisor.own_thread("queue", move || queue::run(SledDisk, &folder, setup, channels, &progress));
    let sources = Sources {
        hub: enrolment.hub,
        safe_mode,
        certificate_until_s,
        started: clock.tick(),
        clock: clock.clone(),
        devices,
        queue: joints.queue.clone(),
        uplink: joints.uplink,
    };
    let progress = supervisor.progress("status");
    supervisor.own("status", status::run(listener, sources, supervisor.stop(), progress));
    let parts = Uplink {
        hub: enrolment.hub,
        door,
        source,
        keeper,
        check_time,
        settings_counter: joints.settings_counter,
        clock,
        questions: joints.questions_out,
        live: joints.live,
        queue: joints.queue,
        status: joints.uplink_out,
        stop: supervisor.stop(),
        progress: supervisor.progress("uplink"),
    };
    supervisor.own("uplink", uplink::run(parts));
    tracing::info!(hub = %enrolment.hub, version = env!("CARGO_PKG_VERSION"), "the agent runs");
    runtime::notify::ready();
    Ok(supervisor.run(limits::STOP_WITHIN).await)
}

/// Both doors, as the enrolment names them.
fn doors(
    enrolment: &Enrolment,
    identity: &Identity,
    check_time: &Arc<CheckTime>,
) -> Result<(Door, Source), CannotStart> {
    let material = Material {
        roots_pem: &enrolment.roots_pem,
        certificate_pem: &enrolment.certificate_pem,
        server_name: &enrolment.server_name,
    };
    let host = host_of(&enrolment.mqtt_address).unwrap_or_default().to_owned();
    let port = port_of(&enrolment.mqtt_address).unwrap_or_default();
    let door = Door { host, port, hub: enrolment.hub, tls: client_config(material, identity, check_time, &[])? };
    let tls = client_config(material, identity, check_time, &[b"http/1.1"])?;
    Ok((door, Source { address: enrolment.https_address.clone(), tls }))
}

/// The channels between the owners.
struct Joints {
    questions_out: mpsc::Sender<Question>,
    questions: mpsc::Receiver<Question>,
    live_out: mpsc::Sender<Lent>,
    live: mpsc::Receiver<Lent>,
    queue_out: watch::Sender<QueueStatus>,
    queue: watch::Receiver<QueueStatus>,
    uplink_out: watch::Sender<UplinkStatus>,
    uplink: watch::Receiver<UplinkStatus>,
    settings_counter: u64,
}

impl Joints {
    fn new(now: shared::time::Tick, settings_counter: u64) -> Self {
        let (questions_out, questions) = mpsc::channel(limits::QUESTIONS_MAX);
        let (live_out, live) = mpsc::channel(limits::LIVE_MAX);
        let (queue_out, queue) = watch::channel(QueueStatus::default());
        let first = UplinkStatus {
            state: State::Down { until: now },
            since: now,
            counts: Counts::default(),
            last_receipt: None,
            settings_counter,
        };
        let (uplink_out, uplink) = watch::channel(first);
        Self { questions_out, questions, live_out, live, queue_out, queue, uplink_out, uplink, settings_counter }
    }
}

fn queue_setup(
    config: &Config,
    identity: &Arc<Identity>,
    clock: &Clock,
    settings: Settings,
    devices: &[Device],
    hub: HubId,
) -> Setup {
    let counters: Vec<_> = devices.iter().map(|device| Arc::clone(&device.counters)).collect();
    Setup {
        hub,
        identity: Arc::clone(identity),
        clock: clock.clone(),
        bindings: settings.bindings,
        sealing_key: settings.sealing_key,
        bytes_max: config.queue_bytes_max,
        frames_refused: Arc::new(move || {
            counters.iter().map(|counters| counters.refused_in_all()).fold(0, u64::saturating_add)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_configuration_falls_back_to_the_last_good_one_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        let good = format!(
            "state_dir = \"{0}\"\nruntime_dir = \"/r\"\nidentity_key = \"/k\"\nenrolment = \"/e\"\n",
            state.display()
        );
        let file = folder.path().join("config.toml");
        std::fs::write(&file, format!("{good}log = \"loud\"\n")).unwrap();
        assert!(choose(&file).is_err());
        std::fs::write(state.join("last-good.toml"), &good).unwrap();
        let chosen = choose(&file).unwrap();
        assert_eq!(chosen.config.state_dir, state);
        assert_eq!(chosen.safe_mode[0]["key"], "log");
        std::fs::write(&file, &good).unwrap();
        assert!(choose(&file).unwrap().safe_mode.is_null());
    }
}
