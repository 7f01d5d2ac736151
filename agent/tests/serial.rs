//! Serial lines on pseudo-terminals: what a port really does when it is plugged, pulled, held or silent.
#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::decode::{Protocol, RefusedFrame};
use agent::devices::{Counters, Joints, SerialConfig, serial};
use agent::intake_item::Taken;
use nix::fcntl::{Flock, FlockArg};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;
use runtime::clock::Clock;
use runtime::supervisor::Supervisor;
use shared::reading::{NoReading, Outcome};
use shared::wire::DeviceState;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The device's end of a line.
struct Instrument {
    line: File,
    _other_end: std::os::fd::OwnedFd,
    path: PathBuf,
}

impl Instrument {
    fn plugged_in() -> Self {
        let pair = openpty(None, None).unwrap();
        let mut termios = tcgetattr(&pair.slave).unwrap();
        cfmakeraw(&mut termios);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &termios).unwrap();
        let path = ttyname(&pair.slave).unwrap();
        Self { line: File::from(pair.master), _other_end: pair.slave, path }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.line.write_all(bytes).unwrap();
    }
}

/// The agent's end.
struct Home {
    taken: Receiver<Taken>,
    counters: Arc<Counters>,
    stop: CancellationToken,
    owner: JoinSet<Result<(), serial::PortThreadLost>>,
}

impl Home {
    fn with(config: SerialConfig, room: usize) -> Self {
        let (out, taken) = channel(room);
        let (counters, stop) = (Arc::new(Counters::default()), CancellationToken::new());
        let joints = Joints {
            device: "oximeter".parse().unwrap(),
            clock: Clock::system(),
            out,
            counters: Arc::clone(&counters),
            stop: stop.clone(),
            progress: Supervisor::new().progress("device"),
        };
        let mut owner = JoinSet::new();
        owner.spawn(serial::run(config, joints));
        Self { taken, counters, stop, owner }
    }

    fn on(path: &Path, protocol: Protocol) -> Self {
        Self::with(SerialConfig::new(path.to_owned(), protocol), 256)
    }

    async fn next(&mut self) -> Taken {
        tokio::time::timeout(Duration::from_secs(8), self.taken.recv()).await.expect("nothing came").unwrap()
    }

    /// The next change of state; readings before it are passed over.
    async fn next_state(&mut self) -> DeviceState {
        loop {
            if let Taken::Device(status) = self.next().await {
                return status.state;
            }
        }
    }

    async fn next_outcomes(&mut self) -> Vec<Outcome> {
        match self.next().await {
            Taken::Readings { readings, .. } => readings.iter().map(|reading| reading.outcome).collect(),
            other => panic!("{other:?}"),
        }
    }

    async fn stopped(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(1), self.owner.join_next()).await;
        ended.expect("the thread did not stop").unwrap().unwrap().unwrap();
    }
}

/// A second of Nonin DF7.
fn second(pulse: u8, spo2: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    for number in 1..=25 {
        let float = match number {
            2 => pulse,
            3 => spo2,
            _ => 0,
        };
        let head = [0x80 | u8::from(number == 1), 0x12, 0x34, float];
        packet.extend(head);
        packet.push(head.iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet)));
    }
    packet.repeat(3)
}

fn values(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().filter_map(|o| if let Outcome::Value(v) = o { Some(v.decimal.to_string()) } else { None }).collect()
}

#[tokio::test]
async fn a_second_leaves_with_its_last_byte() {
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::on(&instrument.path, Protocol::NoninDf7);
    let bytes = second(72, 97);
    let (head, last) = bytes.split_at(bytes.len() - 1);
    instrument.send(head);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(home.taken.try_recv().is_err());
    let sent = Instant::now();
    instrument.send(last);
    assert_eq!(home.next_state().await, DeviceState::Connected);
    assert_eq!(values(&home.next_outcomes().await), ["97", "72"]);
    assert!(sent.elapsed() < Duration::from_millis(250), "{:?}", sent.elapsed());
    assert_eq!(home.counters.accepted(), 3);
    home.stopped().await;
}

#[tokio::test]
async fn pulled_out_and_plugged_in_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("oximeter");
    let mut home = Home::on(&link, Protocol::NoninDf7);
    assert_eq!(home.next_state().await, DeviceState::Absent);

    let mut instrument = Instrument::plugged_in();
    symlink(&instrument.path, &link).unwrap();
    instrument.send(&second(72, 97));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    home.next_outcomes().await;
    // The second after is cut off in the middle: what it held is not lost.
    instrument.send(&second(75, 96)[..300]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(instrument);
    assert_eq!(values(&home.next_outcomes().await), ["96", "75"]);
    assert_eq!(home.next_state().await, DeviceState::Absent);

    let mut instrument = Instrument::plugged_in();
    std::fs::remove_file(&link).unwrap();
    symlink(&instrument.path, &link).unwrap();
    instrument.send(&second(80, 95));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    assert_eq!(values(&home.next_outcomes().await), ["95", "80"]);
    home.stopped().await;
}

#[tokio::test]
async fn a_port_that_another_program_holds_is_busy() {
    let mut instrument = Instrument::plugged_in();
    let held = Flock::lock(File::open(&instrument.path).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    let mut home = Home::on(&instrument.path, Protocol::NoninDf7);
    assert_eq!(home.next_state().await, DeviceState::Busy);
    drop(held);
    instrument.send(&second(72, 97));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    home.stopped().await;
}

#[tokio::test]
async fn silent_then_unreadable_then_well() {
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::on(&instrument.path, Protocol::NoninDf7);
    assert_eq!(home.next_state().await, DeviceState::Silent);
    for n in 0..34_u8 {
        instrument.send(&[n, 0x81, 7, 9]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(home.next_state().await, DeviceState::Unreadable);
    assert!(home.counters.refused().any(|(why, count)| why == RefusedFrame::Marker && count > 0));
    instrument.send(&second(72, 97));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    assert_eq!(values(&home.next_outcomes().await), ["97", "72"]);
    assert!(home.taken.try_recv().is_err(), "each state is said once");
    home.stopped().await;
}

#[tokio::test]
async fn a_queue_without_room_is_an_overrun_and_nothing_goes_missing_in_silence() {
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::with(SerialConfig::new(instrument.path.clone(), Protocol::NoninDf8), 8);
    for n in 0..100_u8 {
        instrument.send(&[0x80, n, 97, 0]);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(home.counters.overrun() > 0);
    let (mut moments, mut gone) = (0, 0);
    while gone == 0 {
        match home.next().await {
            Taken::Readings { .. } => moments += 1,
            Taken::Overrun { count, .. } => gone = count,
            Taken::Device(_) => {}
        }
    }
    // The first frame of a line without checksums is not yet believed.
    assert_eq!(moments + gone, 99);
    assert_eq!(home.counters.overrun(), gone);
    instrument.send(&[0x80, 60, 97, 0]);
    assert_eq!(values(&home.next_outcomes().await), ["97", "60"]);
    home.stopped().await;
}

#[tokio::test]
async fn a_finger_off_is_said_each_second() {
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::on(&instrument.path, Protocol::Bci);
    instrument.send(&[0x80, 0, 0x50, 127, 127].repeat(120));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    for _ in 0..2 {
        assert_eq!(home.next_outcomes().await, [Outcome::None(NoReading::SensorOff); 2]);
    }
    home.stopped().await;
}

#[tokio::test]
async fn a_nonin_device_is_told_its_format_if_configured() {
    let mut instrument = Instrument::plugged_in();
    let config = SerialConfig::new(instrument.path.clone(), Protocol::NoninDf7);
    let home = Home::with(SerialConfig { select_format: true, ..config }, 256);
    let mut line = instrument.line.try_clone().unwrap();
    let reader = tokio::task::spawn_blocking(move || {
        let mut command = [0_u8; 6];
        line.read_exact(&mut command).unwrap();
        command
    });
    assert_eq!(reader.await.unwrap(), [0x02, 0x70, 0x02, 0x02, 0x07, 0x03]);
    instrument.send(&[0x06]);
    home.stopped().await;
}
