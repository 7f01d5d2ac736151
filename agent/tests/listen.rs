//! Listening to a device through the status socket: told as it comes, bounded, to this machine's user alone.
#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agent::decode::{RefusedFrame, Report};
use agent::devices::{Counters, Device};
use agent::limits::{HEARD_MAX, LISTENERS_MAX};
use agent::queue::QueueStatus;
use agent::status::listen::{Ended, Greeting, Question, follow};
use agent::status::{self, Sources};
use agent::uplink::UplinkStatus;
use agent::uplink::session::{Counts, State};
use runtime::clock::Clock;
use runtime::supervisor::Supervisor;
use serde_json::{Value as Json, json};
use shared::metric::Metric;
use shared::reading::{Quality, Reading};
use shared::units::Unit;
use tokio::sync::watch;

/// A status socket with one device that nobody reads bytes for.
struct Hub {
    folder: tempfile::TempDir,
    counters: Arc<Counters>,
    clock: Clock,
    _queue: watch::Sender<QueueStatus>,
    uplink: Option<watch::Sender<UplinkStatus>>,
    supervisor: Supervisor,
    runtime: tokio::runtime::Runtime,
}

impl Hub {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (clock, counters) = (Clock::system(), Arc::new(Counters::default()));
        let now = clock.tick();
        let (queue_out, queue) = watch::channel(QueueStatus { is_open: true, ..QueueStatus::default() });
        let counts = Counts::default();
        let first = UplinkStatus {
            state: State::Down { until: now },
            since: now,
            counts,
            last_receipt: None,
            settings_counter: 1,
        };
        let (uplink_out, uplink) = watch::channel(first);
        let device = Device {
            lines: Vec::new(),
            name: "oximeter".parse().unwrap(),
            source: "bci on /p".into(),
            counters: Arc::clone(&counters),
        };
        let sources = Sources {
            hub: shared::id::HubId::from_bytes([7; 16]),
            safe_mode: Json::Null,
            certificate_until_s: 0,
            started: now,
            clock: clock.clone(),
            devices: vec![device],
            queue,
            uplink,
        };
        let mut supervisor = Supervisor::new();
        let (stop, progress) = (supervisor.stop(), supervisor.progress("status"));
        let socket = folder.path().join("status.sock");
        let entered = runtime.enter();
        let listener = status::open(&socket).unwrap();
        drop(entered);
        runtime.spawn(status::run(listener, sources, stop, progress));
        Self { folder, counters, clock, _queue: queue_out, uplink: Some(uplink_out), supervisor, runtime }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("status.sock")
    }

    fn says(&self, pulse: i64) {
        let mut report = Report::default();
        report.add(Reading::value(Metric::PulseRate, pulse.into(), Unit::PerMinute, Quality::GOOD));
        self.counters.heard(&report.at(self.clock.captured()));
    }

    /// Asks to listen; the greeting, and the lines to come.
    fn ask(&self, device: &str, json: bool) -> (Greeting, BufReader<UnixStream>) {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        writeln!(stream, "{}", json!(Question::Listen { device: device.to_owned(), json })).unwrap();
        let mut lines = BufReader::new(stream);
        let greeting = serde_json::from_str(&line(&mut lines)).unwrap();
        (greeting, lines)
    }
}

fn line(lines: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    line
}

#[test]
fn what_a_device_says_is_told_as_it_comes() {
    let hub = Hub::open();
    hub.says(61);
    let (greeting, mut people) = hub.ask("oximeter", false);
    assert_eq!(greeting, Greeting::Listening("oximeter".into()));
    let (_, mut programs) = hub.ask("oximeter", true);
    hub.says(62);
    let text = line(&mut people);
    assert!(text.ends_with("Z Pulse 62 /min\n"), "{text}, and nothing of before");
    let told: Json = line(&mut programs).parse().unwrap();
    assert_eq!(told["report"]["readings"][0]["value"], "62");
    hub.counters.refuse(RefusedFrame::Checksum);
    let refused = line(&mut people);
    assert!(refused.starts_with("1 refused (checksum): "), "{refused}");
    assert_eq!(line(&mut programs).parse::<Json>().unwrap()["refused"]["reason"], "checksum");
}

#[test]
fn the_socket_is_this_users_alone_and_seats_are_few() {
    let hub = Hub::open();
    let mode = std::fs::metadata(hub.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let seated: Vec<_> = (0..LISTENERS_MAX).map(|_| hub.ask("oximeter", true)).collect();
    assert!(matches!(&hub.ask("oximeter", true).0, Greeting::Refused(why) if why.contains("already")));
    assert!(status::ask(&hub.socket()).is_ok(), "the status is answered beside them");
    drop(seated);
    let freed = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        matches!(hub.ask("oximeter", true).0, Greeting::Listening(_))
    });
    assert!(freed, "who goes away frees their seat");
    let refused = follow(&hub.socket(), "scale", false, &mut Vec::new()).unwrap();
    assert_eq!(refused, Ended::Refused("there is no device scale; there are: oximeter".into()));
}

#[test]
fn a_slow_listener_loses_lines_and_is_told() {
    let hub = Hub::open();
    let (_, mut slow) = hub.ask("oximeter", true);
    // More than the socket's buffers and the agent's hold together.
    for pulse in 0..100_000 {
        hub.says(pulse);
    }
    hub.says(7);
    let mut lost = 0;
    let last = loop {
        let told: Json = line(&mut slow).parse().unwrap();
        lost += told["lost"].as_u64().unwrap_or(0);
        if told["report"]["readings"][0]["value"] == "7" && lost > 0 {
            break told;
        }
    };
    assert!(lost > HEARD_MAX as u64, "{lost} {last}");
}

#[test]
fn an_agent_that_stops_ends_listening() {
    let mut hub = Hub::open();
    let (_, mut lines) = hub.ask("oximeter", true);
    hub.supervisor.stop().cancel();
    hub.uplink = None;
    assert_eq!(line(&mut lines), "", "the end of the stream");
    drop(hub.runtime);
}
