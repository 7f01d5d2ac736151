//! The real agent, as a process, against a small door: kept through kills, outages and stalls, stopped in order.
#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod door;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use door::Door;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use shared::id::BindingId;
use shared::wire::{BindingInForce, Entry};

const AGENT: &str = env!("CARGO_BIN_EXE_hub-agent");

struct Home {
    folder: tempfile::TempDir,
    door: Arc<Door>,
    agent: Option<Child>,
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

impl Home {
    /// A hub with one recording of pulse and saturation, played at 20 times its pace, over and over.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = Command::new(AGENT)
            .args(["identity", "new", "--key"])
            .arg(at("key.pem"))
            .arg("--csr")
            .arg(at("hub.csr"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let hub = String::from_utf8(made.stdout).unwrap().trim().parse().unwrap();
        let door = Door::open(&at("key.pem"), hub, &at("enrolment.json"));
        let rows: String =
            (0..60).map(|second| format!("{second},{},{}\n", 60 + second % 20, 94 + second % 4)).collect();
        std::fs::write(at("day.csv"), format!("time_s,pulse,spo2\n{rows}")).unwrap();
        let path = |name: &str| at(name).display().to_string();
        let config = format!(
            "state_dir = \"{}\"\nruntime_dir = \"{}\"\nidentity_key = \"{}\"\nenrolment = \"{}\"\n\
             [[device]]\nname = \"recording\"\nsource = \"replay\"\npath = \"{}\"\nspeed = 20.0\nloop = true\n",
            path("state"),
            path("run"),
            path("key.pem"),
            path("enrolment.json"),
            path("day.csv"),
        );
        std::fs::write(at("config.toml"), config).unwrap();
        Self { folder, door, agent: None }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn start(&mut self) {
        let mut command = Command::new(AGENT);
        command.arg("run").arg("--config").arg(self.config()).stdin(Stdio::null());
        if std::env::var_os("RPM_SHOW").is_none() {
            command.stderr(Stdio::null());
        }
        self.agent = Some(command.spawn().unwrap());
    }

    fn signal(&self, signal: Signal) {
        let id = self.agent.as_ref().unwrap().id();
        kill(Pid::from_raw(id.try_into().unwrap()), signal).unwrap();
    }

    fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.agent.take().unwrap().wait().unwrap().code()
    }

    fn crash(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    fn status(&self) -> Option<Value> {
        agent::status::ask(&self.folder.path().join("run/status.sock")).ok()
    }

    /// Waits until the status is as wanted.
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        let mut last = None;
        while begin.elapsed() < Duration::from_secs(30) {
            last = self.status().or(last);
            if let Some(status) = last.as_ref().filter(|status| wanted(status)) {
                return status.clone();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{what} did not come; {last:#?}");
    }

    fn stored(&self) -> u64 {
        self.door.stored.lock().unwrap().observations()
    }
}

fn number(status: &Value, key: &str) -> u64 {
    status[key].as_u64().unwrap_or_else(|| panic!("{key} in {status}"))
}

fn check(config: &Path) -> (Option<i32>, Value) {
    let out = Command::new(AGENT).args(["check", "--json", "--config"]).arg(config).output().unwrap();
    (out.status.code(), serde_json::from_slice(&out.stdout).unwrap())
}

#[test]
fn what_is_accepted_is_receipted_and_a_stop_drains() {
    let mut home = Home::new();
    assert_eq!(check(&home.config()).0, Some(0), "{:?}", check(&home.config()));
    home.start();
    let status = home.until("receipts", |status| number(status, "receipted_observations") >= 100);
    assert_eq!(status["state"], "connected");
    assert_eq!(status["devices"][0]["is_unattributed"], true);
    assert!(number(&status, "memory_bytes") < 40 << 20, "even a debug build stays small");
    assert_eq!(home.stop(), Some(0));
    let stored = home.door.stored.lock().unwrap();
    assert_eq!(stored.disconnects, 1, "DISCONNECT is said");
    assert_eq!((stored.repeats, stored.conflicts, stored.without_mac), (0, 0, 0));
    assert_eq!(stored.streams().len(), 1);
}

#[test]
fn each_accepted_observation_is_stored_once_through_kills_and_outages() {
    let mut home = Home::new();
    for round in 0..4 {
        home.start();
        home.until("a connection", |status| status["state"] == "connected");
        let more = home.stored() + 40;
        home.until("more to be accepted", |status| number(status, "accepted_observations") >= more);
        if round == 1 {
            home.door.is_open.store(false, Ordering::Relaxed);
            home.until("the outage", |status| status["state"] != "connected");
            let before = home.status().map_or(0, |status| number(&status, "accepted_observations"));
            home.until("a backlog", |status| number(status, "accepted_observations") >= before + 60);
        }
        home.crash();
        home.door.is_open.store(true, Ordering::Relaxed);
    }
    home.start();
    home.until("the backlog to go", |status| {
        status["state"] == "connected"
            && number(status, "receipted_observations") > 0
            && number(status, "pending_records") < 10
    });
    assert_eq!(home.stop(), Some(0));
    home.start();
    let status = home.until("the totals", |status| status["state"] == "connected");
    assert!(number(&status, "accepted_observations") > 200);
    assert_eq!(home.stop(), Some(0));
    let stored = home.door.stored.lock().unwrap();
    assert_eq!(stored.conflicts, 0);
    let mut moments: Vec<_> = stored
        .entries
        .iter()
        .filter_map(|entry| match entry {
            // With its value: on a starved machine two rows are played in one millisecond, and rows side by side differ.
            Entry::Observation(seen) => Some((seen.captured.tick, seen.reading.metric, format!("{:?}", seen.reading))),
            _ => None,
        })
        .collect();
    let all = moments.len();
    moments.sort();
    moments.dedup();
    assert_eq!(moments.len(), all, "each moment once");
    assert!(stored.without_mac > 0, "the backlog of killed runs has no trusted age");
    assert!(stored.streams().len() >= 5);
    for opening in &stored.openings {
        let is_known = |previous| stored.openings.iter().any(|other| other.stream == previous);
        assert!(opening.previous.is_none_or(|previous| is_known(previous.stream)), "streams form a chain");
    }
}

#[test]
fn unanswered_batches_go_again() {
    let mut home = Home::new();
    home.door.answers.store(false, Ordering::Relaxed);
    home.start();
    home.until("batches", |status| number(status, "sent_batches") >= 5);
    assert_eq!(number(&home.status().unwrap(), "receipted_observations"), 0);
    home.door.answers.store(true, Ordering::Relaxed);
    home.until("the repeat", |status| number(status, "unanswered_batches") > 0 || number(status, "receipts") > 0);
    home.until("receipts", |status| number(status, "receipted_observations") > 100);
    assert_eq!(home.stop(), Some(0));
    assert_eq!(home.door.stored.lock().unwrap().conflicts, 0);
}

#[test]
fn new_settings_end_the_stream_and_hold_after_a_restart() {
    let mut home = Home::new();
    home.start();
    home.until("receipts", |status| number(status, "receipted_observations") > 10);
    let binding = BindingId::from_bytes([6; 16]);
    let row = BindingInForce { binding, device: "recording".parse().unwrap(), slot: None };
    *home.door.settings.lock().unwrap() = (2, vec![row]);
    // The next connection tells; the door is closed for a moment.
    home.door.is_open.store(false, Ordering::Relaxed);
    home.until("the outage", |status| status["state"] != "connected");
    home.door.is_open.store(true, Ordering::Relaxed);
    home.until("the settings", |status| number(status, "settings_counter") == 2);
    let status = home.until("the binding", |status| status["devices"][0]["is_unattributed"] == false);
    assert_eq!(status["devices"][0]["bindings"][0]["binding"], binding.to_string());
    let before = number(&status, "receipted_observations");
    home.until("bound receipts", |status| number(status, "receipted_observations") > before + 20);
    assert_eq!(home.stop(), Some(0));
    {
        let stored = home.door.stored.lock().unwrap();
        let bound = stored
            .entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Observation(seen) if seen.binding == Some(binding)));
        assert!(bound.count() > 0);
        assert_eq!(stored.streams().len(), 2);
        assert!(stored.openings[1].bindings.iter().any(|row| row.binding == binding));
    }
    home.start();
    home.until("the stored settings", |status| number(status, "settings_counter") == 2);
    assert_eq!(home.stop(), Some(0));
}

#[test]
fn a_bad_configuration_is_named_and_the_last_good_one_runs() {
    let mut home = Home::new();
    home.start();
    home.until("a run", |status| status["safe_mode"].is_null());
    assert_eq!(home.stop(), Some(0));
    let good = std::fs::read_to_string(home.config()).unwrap();
    std::fs::write(home.config(), format!("log = \"loud\"\n{good}")).unwrap();
    let (code, findings) = check(&home.config());
    assert_eq!((code, &findings["problems"][0]["key"]), (Some(78), &Value::from("log")));
    home.start();
    let status = home.until("safe mode", |status| !status["safe_mode"].is_null());
    assert_eq!(status["safe_mode"][0]["key"], "log");
    assert_eq!(home.stop(), Some(0));
    std::fs::remove_file(home.folder.path().join("state/last-good.toml")).unwrap();
    home.start();
    assert_eq!(home.agent.take().unwrap().wait().unwrap().code(), Some(78));
}

#[test]
fn arguments_that_make_no_sense_end_with_64() {
    let code = |args: &[&str]| Command::new(AGENT).args(args).output().unwrap().status.code();
    assert_eq!(code(&["run"]), Some(64));
    assert_eq!(code(&["fly"]), Some(64));
    assert_eq!(code(&["--help"]), Some(0));
}
