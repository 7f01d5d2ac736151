//! A device's end of a line, and the agent's.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::decode::Protocol;
use agent::devices::{Counters, Joints, SerialConfig, serial};
use agent::intake_item::Taken;
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;
use runtime::clock::Clock;
use runtime::supervisor::Supervisor;
use shared::reading::Outcome;
use shared::wire::DeviceState;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The device's end of a line.
pub(crate) struct Instrument {
    pub(crate) line: File,
    pub(crate) other_end: OwnedFd,
    pub(crate) path: PathBuf,
}

impl Instrument {
    pub(crate) fn plugged_in() -> Self {
        let pair = openpty(None, None).unwrap();
        let mut termios = tcgetattr(&pair.slave).unwrap();
        cfmakeraw(&mut termios);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &termios).unwrap();
        let path = ttyname(&pair.slave).unwrap();
        Self { line: File::from(pair.master), other_end: pair.slave, path }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.line.write_all(bytes).unwrap();
    }
}

/// The agent's end.
pub(crate) struct Home {
    pub(crate) taken: Receiver<Taken>,
    pub(crate) counters: Arc<Counters>,
    stop: CancellationToken,
    owner: JoinSet<Result<(), serial::PortThreadLost>>,
}

impl Home {
    pub(crate) fn with(config: SerialConfig, room: usize) -> Self {
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

    pub(crate) fn on(path: &Path, protocol: Protocol) -> Self {
        Self::with(SerialConfig::new(path.to_owned(), protocol), 256)
    }

    pub(crate) async fn next(&mut self) -> Taken {
        tokio::time::timeout(Duration::from_secs(8), self.taken.recv()).await.expect("nothing came").unwrap()
    }

    /// The next change of state; readings before it are passed over.
    pub(crate) async fn next_state(&mut self) -> DeviceState {
        loop {
            if let Taken::Device(status) = self.next().await {
                return status.state;
            }
        }
    }

    pub(crate) async fn next_outcomes(&mut self) -> Vec<Outcome> {
        match self.next().await {
            Taken::Readings { readings, .. } => readings.iter().map(|reading| reading.outcome).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn stopped(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(1), self.owner.join_next()).await;
        ended.expect("the thread did not stop").unwrap().unwrap().unwrap();
    }
}

/// The values among outcomes.
pub(crate) fn values(outcomes: &[Outcome]) -> Vec<String> {
    outcomes.iter().filter_map(|o| if let Outcome::Value(v) = o { Some(v.decimal.to_string()) } else { None }).collect()
}
