//! A whole service process under a stand-in for systemd: this test binary starts itself as the service, with a
//! notification socket of its own, and stops it by signals. Signals reach every supervisor of a process, so they
//! are tested here and not in the unit tests.
#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods, clippy::indexing_slicing, clippy::unwrap_used)]

use std::io;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use runtime::exit::Exit;
use runtime::supervisor::Supervisor;
use runtime::{notify, process};
use rustix::process::{Pid, Signal, kill_process};

/// Says to the child process which kind of service to be.
const ROLE: &str = "RPM_TEST_SERVICE";
const WATCHDOG: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(10);

/// Not a test of its own: the service, when started by one of the tests below.
#[test]
fn service() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let code = process::block_on(async move {
        let mut supervisor = Supervisor::new();
        let stop = supervisor.stop();
        let progress = supervisor.progress("owner");
        let deaf = role == "deaf";
        supervisor.own("owner", async move {
            loop {
                match role.as_str() {
                    "stuck" => {}
                    "waiting" => progress.waiting("device"),
                    _ => progress.turn(),
                }
                tokio::select! {
                    () = stop.cancelled(), if !deaf => return Ok::<(), io::Error>(()),
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                }
            }
        });
        tokio::task::yield_now().await;
        notify::ready();
        let exit = supervisor.run(Duration::from_secs(if deaf { 60 } else { 5 })).await;
        std::process::exit(i32::from(exit.code()));
    });
    assert!(code.is_ok(), "the runtime did not start");
}

struct Service {
    child: Child,
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Service {
    fn start(role: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "service", "--nocapture"])
            .env(ROLE, role)
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .spawn()
            .unwrap();
        Self { child, socket, _folder: folder }
    }

    /// Waits for the notice; false if it does not come in time.
    fn says(&self, notice: &str, within: Duration) -> bool {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut bytes = [0; 256];
            if let Ok(length) = self.socket.recv(&mut bytes)
                && bytes[..length].split(|byte| *byte == b'\n').any(|line| line == notice.as_bytes())
            {
                return true;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the service does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_turning_service_feeds_the_watchdog_and_drains_on_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut service = Service::start("turning");
        assert!(service.says("READY=1", PATIENCE));
        for _ in 0..3 {
            assert!(service.says("WATCHDOG=1", PATIENCE));
        }
        service.signal(signal);
        assert!(service.says("STOPPING=1", PATIENCE));
        assert_eq!(service.end().code(), Some(i32::from(Exit::Drained.code())));
    }
}

#[test]
fn waiting_outside_feeds_the_watchdog_too() {
    let service = Service::start("waiting");
    for _ in 0..3 {
        assert!(service.says("WATCHDOG=1", PATIENCE));
    }
}

#[test]
fn a_stuck_owner_starves_the_watchdog() {
    let service = Service::start("stuck");
    assert!(service.says("READY=1", PATIENCE));
    assert!(!service.says("WATCHDOG=1", WATCHDOG * 5));
}

#[test]
fn a_second_signal_ends_the_wait_for_an_owner_that_does_not_drain() {
    let mut service = Service::start("deaf");
    assert!(service.says("WATCHDOG=1", PATIENCE));
    service.signal(Signal::TERM);
    assert!(service.says("STOPPING=1", PATIENCE));
    service.signal(Signal::TERM);
    assert_eq!(service.end().code(), Some(i32::from(Exit::NotDrained.code())));
}
