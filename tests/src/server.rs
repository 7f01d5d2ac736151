//! A `monitor-server` in a folder of its own, set up through its command line.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::binaries::Binaries;
use crate::feed_client::FeedAccess;
use crate::process::{self, Process};
use crate::wait;

/// The name in its certificate.
pub const SERVER_NAME: &str = "localhost";
/// How long it may take to listen.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Lines that are enough to see why it ended.
const LAST_WORDS: usize = 40;
/// How long it may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A server, running or not.
pub struct Server {
    data: PathBuf,
    binary: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

/// Where it listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The door for hubs.
    pub mqtt: SocketAddr,
    /// Settings for hubs.
    pub hub_https: SocketAddr,
    /// The feed.
    pub feed: SocketAddr,
    /// Metrics.
    pub metrics: SocketAddr,
}

fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("no `{key}` in {value}"))
}

/// Ports that are free now. A server that is started again needs the same ones, so they are chosen here.
fn free_ports<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut listeners = Vec::new();
    let mut ports = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for port in &mut ports {
        let listener = TcpListener::bind(*port)?;
        *port = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(ports)
}

impl Server {
    /// Makes one for training, with every duration of its rules divided.
    ///
    /// # Errors
    /// If `init` fails.
    pub fn create(folder: &Path, binaries: &Binaries, duration_divisor: u32) -> anyhow::Result<Self> {
        let server = Self::of(folder, binaries);
        let divisor = duration_divisor.to_string();
        let ports: [SocketAddr; 4] = free_ports()?;
        let [mqtt, hub_https, feed, metrics] = ports.map(|port| port.to_string());
        let doors = ["--mqtt", &mqtt, "--hub-https", &hub_https, "--feed", &feed, "--metrics", &metrics];
        let who = ["init", "--server-name", SERVER_NAME, "--training", "--duration-divisor", &divisor];
        server.ask(&[who.as_slice(), &doors].concat(), "")?;
        Ok(server)
    }

    /// The one that [`Server::create`] made in this folder earlier.
    #[must_use]
    pub fn of(folder: &Path, binaries: &Binaries) -> Self {
        Self {
            data: folder.join("server"),
            binary: binaries.monitor_server.clone(),
            log: folder.join("server.log"),
            process: None,
        }
    }

    /// Its folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it said so far.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of what it said.
    #[must_use]
    pub fn last_words(&self) -> String {
        let said = self.said();
        let newest: Vec<&str> = said.lines().rev().take(LAST_WORDS).collect();
        newest.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Runs a command of its command line; the answer is JSON.
    ///
    /// # Errors
    /// If the command fails.
    pub fn ask(&self, arguments: &[&str], input: &str) -> anyhow::Result<Value> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--data").arg(&self.data).arg("--json");
        process::json(&process::output(command, input)?)
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// If it ends, or does not listen in time.
    pub fn start(&mut self) -> anyhow::Result<Addresses> {
        self.start_with(Command::new(&self.binary))
    }

    /// Starts it by a command to which its own arguments are added (`strace … monitor-server`).
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(&mut self, mut command: Command) -> anyhow::Result<Addresses> {
        let _ = std::fs::remove_file(self.addresses_file());
        command.arg("run").arg("--data").arg(&self.data);
        let process = self.process.insert(Process::start(command, &self.log)?);
        let file = self.data.join("run/addresses.json");
        let found = wait::until("the server to listen", READY_WITHIN, || {
            if let Some(code) = process.ended() {
                return Some(Err(code));
            }
            addresses(&file).ok().map(Ok)
        })?;
        found.map_err(|code| anyhow::anyhow!("the server ended with {code}; it said:\n{}", self.last_words()))
    }

    fn addresses_file(&self) -> PathBuf {
        self.data.join("run/addresses.json")
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If it does not run.
    pub fn addresses(&self) -> anyhow::Result<Addresses> {
        addresses(&self.addresses_file())
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Kills it (-9).
    ///
    /// # Errors
    /// The system's.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.take().map_or(Ok(()), Process::kill)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> anyhow::Result<()> {
        self.process.as_ref().context("the server does not run")?.signal(signal)
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// If it does not stop, or not with code 0.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take().map(|process| process.stop(STOP_WITHIN)).transpose()? {
            None | Some(0) => Ok(()),
            Some(code) => bail!("the server stopped with {code}; it said:\n{}", self.last_words()),
        }
    }

    /// Adds a patient and returns the opaque id.
    ///
    /// # Errors
    /// If it is refused.
    pub fn add_patient(&self, name: &str, nhs_number: &str, ward: &str) -> anyhow::Result<String> {
        let patient = json!({ "nhs_number": nhs_number, "name": name, "born": "1950-01-01", "ward": ward });
        let answer = self.ask(&["patient", "add", "--file", "-"], &patient.to_string())?;
        text(&answer, "patient").map(str::to_owned)
    }

    /// Enrols a hub from its certificate request; its enrolment goes to `out`.
    ///
    /// # Errors
    /// If it is refused.
    pub fn enrol(&self, csr: &Path, label: &str, out: &Path) -> anyhow::Result<()> {
        let (csr, out) = (csr.display().to_string(), out.display().to_string());
        self.ask(&["hub", "enrol", "--csr", &csr, "--label", label, "--out", &out], "").map(drop)
    }

    /// Binds a device to a patient.
    ///
    /// # Errors
    /// If it is refused.
    pub fn bind(&self, hub: &str, device: &str, patient: &str) -> anyhow::Result<Value> {
        self.ask(&["bind", "--hub", hub, "--device", device, "--patient", patient], "")
    }

    /// Makes a token of a role for a ward.
    ///
    /// # Errors
    /// If it is refused.
    pub fn token(&self, role: &str, ward: &str) -> anyhow::Result<String> {
        let arguments = ["token", "create", "--role", role, "--name", "Test screen", "--ward", ward, "--days", "1"];
        text(&self.ask(&arguments, "")?, "token").map(str::to_owned)
    }

    /// Makes a key pair for backups and returns the public half.
    ///
    /// # Errors
    /// If the file exists.
    pub fn backup_key(&self, identity: &Path) -> anyhow::Result<String> {
        let mut command = Command::new(&self.binary);
        command.arg("backup-key").arg("--identity").arg(identity);
        let said = process::output(command, "")?;
        let recipient =
            said.split(|c: char| c.is_whitespace() || c == '"').find(|word| word.starts_with("rpm-backup-"));
        recipient.map(str::to_owned).with_context(|| format!("no recipient in: {said}"))
    }

    /// Counts of its store.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn counts(&self) -> anyhow::Result<Value> {
        self.ask(&["counts"], "")
    }

    /// How to reach its feed, as a clinician of a ward. `enrolment` is any hub's: the roots stand in it.
    ///
    /// # Errors
    /// If no token can be made, or it does not run.
    pub fn feed(&self, ward: &str, enrolment: &Path) -> anyhow::Result<FeedAccess> {
        let enrolment: Value = serde_json::from_str(&std::fs::read_to_string(enrolment)?)?;
        Ok(FeedAccess {
            address: self.addresses()?.feed,
            server_name: text(&enrolment, "server_name")?.to_owned(),
            roots_pem: text(&enrolment, "roots_pem")?.to_owned(),
            token: self.token("clinician", ward)?,
        })
    }
}

fn addresses(file: &Path) -> anyhow::Result<Addresses> {
    let value: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let value = value.get("listening").unwrap_or(&value);
    let address = |key: &str| -> anyhow::Result<SocketAddr> { Ok(text(value, key)?.parse()?) };
    Ok(Addresses {
        mqtt: address("mqtt")?,
        hub_https: address("hub_https")?,
        feed: address("feed")?,
        metrics: address("metrics")?,
    })
}
