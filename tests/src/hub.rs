//! A `hub-agent` in a folder of its own, enrolled through the command lines.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::binaries::Binaries;
use crate::process::{self, Process};
use crate::server::Server;
use crate::wait;

/// How often in a row an agent must say that nothing awaits a receipt.
const DRAINED_TIMES: u32 = 10;
/// How long it may take to answer about its status.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// A record younger than this is on its way.
const CAUGHT_UP_MS: u64 = 3000;
/// More records than this are a backlog.
const ON_ITS_WAY_RECORDS_MAX: u64 = 32;
/// How long it may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(25);

/// A device as the agent is told of it.
#[derive(Debug, Clone)]
pub struct HubDevice {
    /// Its name on the hub.
    pub name: String,
    /// Where its readings come from.
    pub source: HubSource,
}

/// Where a device's readings come from.
#[derive(Debug, Clone)]
pub enum HubSource {
    /// A serial port.
    Serial {
        /// Its name.
        path: PathBuf,
        /// What it speaks, as in a configuration.
        protocol: &'static str,
    },
    /// A serial port of a model that is known.
    Model {
        /// Its name.
        path: PathBuf,
        /// Which, as in a configuration.
        model: &'static str,
    },
    /// A recording of values.
    Replay {
        /// The CSV.
        path: PathBuf,
        /// How much faster than life.
        speed: f64,
        /// These columns only; empty is all.
        columns: Vec<&'static str>,
        /// Whether it begins again at its end.
        repeat: bool,
    },
}

/// What an agent counted when its queue was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Observations accepted: sealed, written and synced.
    pub accepted: u64,
    /// Observations receipted.
    pub receipted: u64,
    /// Records without a receipt.
    pub pending_records: u64,
}

/// A hub, running or not.
pub struct Hub {
    /// Its id.
    pub id: String,
    folder: PathBuf,
    binary: PathBuf,
    process: Option<Process>,
}

impl Hub {
    /// Makes its identity and enrols it.
    ///
    /// # Errors
    /// If the agent or the server refuses.
    pub fn enrolled(folder: PathBuf, binaries: &Binaries, server: &Server, label: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new(&binaries.hub_agent);
        command.args(["identity", "new", "--key"]).arg(folder.join("key.pem"));
        command.arg("--csr").arg(folder.join("hub.csr"));
        let id = process::output(command, "")?.trim().to_owned();
        let hub = Self { id, folder, binary: binaries.hub_agent.clone(), process: None };
        server.enrol(&hub.folder.join("hub.csr"), label, &hub.enrolment())?;
        Ok(hub)
    }

    /// A copy of its card, not running, in another folder; it must be configured before it starts.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub fn copied_to(&self, folder: PathBuf) -> anyhow::Result<Self> {
        copy_folder(&self.folder, &folder)?;
        Ok(Self { id: self.id.clone(), folder, binary: self.binary.clone(), process: None })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its enrolment.
    #[must_use]
    pub fn enrolment(&self) -> PathBuf {
        self.folder.join("enrolment.json")
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join("agent.toml")
    }

    /// Where its queue lies.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Makes it reach the door through another address (a faulty network's).
    ///
    /// # Errors
    /// If its enrolment cannot be written.
    pub fn reach_door_at(&self, address: SocketAddr) -> anyhow::Result<()> {
        let file = self.enrolment();
        let mut enrolment: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
        enrolment["mqtt_address"] = address.to_string().into();
        std::fs::write(file, enrolment.to_string())?;
        Ok(())
    }

    /// Writes its configuration.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn configure(&self, devices: &[HubDevice]) -> anyhow::Result<()> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let mut text = format!(
            "state_dir = {:?}\nruntime_dir = {:?}\nidentity_key = {:?}\nenrolment = {:?}\nlog = \"json\"\n",
            path("state"),
            path("run"),
            path("key.pem"),
            path("enrolment.json"),
        );
        for device in devices {
            write!(text, "\n[[device]]\nname = {:?}\n", device.name)?;
            match &device.source {
                HubSource::Serial { path, protocol } => {
                    write!(text, "source = \"serial\"\npath = {path:?}\nprotocol = \"{protocol}\"\n")?;
                }
                HubSource::Model { path, model } => {
                    write!(text, "source = \"serial\"\npath = {path:?}\nmodel = \"{model}\"\n")?;
                }
                HubSource::Replay { path, speed, columns, repeat } => {
                    write!(text, "source = \"replay\"\npath = {path:?}\nspeed = {speed:?}\nloop = {repeat}\n")?;
                    if !columns.is_empty() {
                        writeln!(text, "columns = {columns:?}")?;
                    }
                }
            }
        }
        std::fs::write(self.config(), text)?;
        Ok(())
    }

    /// Lets it run without devices until it knows the settings with this counter, as an installer does before they
    /// leave: what its devices say from then on is bound.
    ///
    /// # Errors
    /// If it does not get them in time.
    pub fn learn_settings(&mut self, counter: u64) -> anyhow::Result<()> {
        self.configure(&[])?;
        self.start()?;
        wait::until("the hub to learn its settings", READY_WITHIN, || {
            (self.count("settings_counter").ok()? >= counter).then_some(())
        })
        .with_context(|| format!("the agent said:\n{}", self.said()))?;
        self.stop()
    }

    /// Starts it and waits until it answers about its status.
    ///
    /// # Errors
    /// If it ends or does not answer.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_with(Command::new(&self.binary))
    }

    /// Starts it by a command to which its own arguments are added (`strace … hub-agent`).
    ///
    /// # Errors
    /// As [`Hub::start`].
    pub fn start_with(&mut self, mut command: Command) -> anyhow::Result<()> {
        command.arg("run").arg("--config").arg(self.config());
        self.process = Some(Process::start(command, &self.folder.join("agent.log"))?);
        wait::until("the agent's status", READY_WITHIN, || {
            let ended = self.process.as_mut().and_then(Process::ended);
            ended.map(Err).or_else(|| self.status().ok().map(Ok))
        })?
        .map(drop)
        .map_err(|code| anyhow::anyhow!("the agent ended with {code}; it said:\n{}", self.said()))
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn status(&self) -> anyhow::Result<Value> {
        let mut command = Command::new(&self.binary);
        command.args(["status", "--json", "--config"]).arg(self.config());
        process::json(&process::output(command, "")?)
    }

    /// A number of its status.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn count(&self, key: &str) -> anyhow::Result<u64> {
        let status = self.status()?;
        status.get(key).and_then(Value::as_u64).with_context(|| format!("no `{key}` in {status}"))
    }

    /// Waits until nothing awaits a receipt, and returns the status then.
    ///
    /// # Errors
    /// If it is not drained in time.
    pub fn drained(&self, within: Duration) -> anyhow::Result<Value> {
        // An agent that has just started counts nothing before its queue is open: it must say so for a while.
        let mut times = 0_u32;
        wait::until("the agent's queue to drain", within, || {
            let status = self.status().ok()?;
            let is_zero = |key: &str| status.get(key).and_then(Value::as_u64) == Some(0);
            let is_connected = status.get("state").and_then(Value::as_str) == Some("connected");
            let is_drained = is_connected && is_zero("pending_records") && is_zero("unaccepted_observations");
            times = if is_drained { times.saturating_add(1) } else { 0 };
            (times >= DRAINED_TIMES).then_some(status)
        })
    }

    /// What it said so far.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("agent.log")).unwrap_or_default()
    }

    /// Its process id.
    #[must_use]
    pub fn id_of_process(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Kills it (-9).
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), Process::kill)
    }

    /// Waits until it is connected and no more awaits a receipt than what is on its way while devices go on.
    ///
    /// # Errors
    /// If there is a backlog still when the time is over.
    pub fn caught_up(&self, within: Duration) -> anyhow::Result<()> {
        wait::until("the agent to catch up", within, || {
            let status = self.status().ok()?;
            let pending = status["pending_records"].as_u64()?;
            let is_young = status["oldest_pending_ms"].as_u64().is_none_or(|oldest| oldest < CAUGHT_UP_MS);
            (status["state"] == "connected" && is_young && pending <= ON_ITS_WAY_RECORDS_MAX).then_some(())
        })
    }

    /// Stops it in order: sources first, then the rest drains. Returns what it counted at its end, in observations.
    ///
    /// # Errors
    /// If it does not stop, or says nothing of its counts.
    pub fn stop_and_count(&mut self) -> anyhow::Result<Closed> {
        let code = self.process.take().map(|process| process.stop(STOP_WITHIN)).transpose()?;
        let lines = self.said();
        let closed = lines.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|line| {
            let fields = line.get("fields").unwrap_or(&line);
            Some(Closed {
                accepted: fields.get("accepted")?.as_u64()?,
                receipted: fields.get("receipted")?.as_u64()?,
                pending_records: fields.get("pending")?.as_u64()?,
            })
        });
        closed.with_context(|| format!("the agent ended with {code:?} and did not count; it said:\n{lines}"))
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// If it does not stop, or not with code 0 (75: it could not drain).
    pub fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take().map(|process| process.stop(STOP_WITHIN)).transpose()? {
            None | Some(0) => Ok(()),
            Some(code) => bail!("the agent stopped with {code}; it said:\n{}", self.said()),
        }
    }
}

/// Copies a folder with everything below it, but for sockets.
///
/// # Errors
/// The system's.
pub fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
