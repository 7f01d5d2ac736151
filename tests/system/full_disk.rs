//! The server's disk is full: receipts stop, people see why, hubs hold on; with room again all is stored once.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::Value;
use tests::feed_client::{FeedAccess, FeedClient, tls};
use tests::server::SERVER_NAME;
use tests::wait;

use crate::home::{WARD, World, gaps, repeated};

const PATIENCE: Duration = Duration::from_secs(60);
const DISK_BYTES: u64 = 24 * 1024 * 1024;

/// A disk of its own for one folder, taken away at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where nothing can be mounted.
    fn at(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let size = format!("size={DISK_BYTES}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }

    /// Fills it to the last octet and returns what fills it.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = File::create(&ballast).unwrap();
        for size in [1024 * 1024, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        // Whoever made the folder could not remove what was mounted in it.
        let _ = self.0.parent().map(std::fs::remove_dir_all);
    }
}

/// A clinician's screen: what one connection to the feed says, read by a thread of its own.
struct Screen(mpsc::Receiver<Value>);

impl Screen {
    fn open(access: &FeedAccess) -> Self {
        let (said, saying) = mpsc::channel();
        let access = access.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let mut feed = FeedClient::connect(&access, None).await.unwrap();
                // Ends when the feed is closed or nobody looks at the screen any more.
                while let Ok(Some(message)) = feed.next().await {
                    if said.send(message).is_err() {
                        break;
                    }
                }
            });
        });
        Self(saying)
    }

    /// The next message of a kind.
    fn hear(&self, kind: &str) -> Value {
        let heard = || self.0.try_iter().find(|message| message["type"] == kind);
        wait::until(kind, PATIENCE, heard).unwrap()
    }
}

/// What `/readyz` answers.
pub(crate) fn readiness(access: &FeedAccess) -> String {
    health(access, "/readyz")
}

fn health(access: &FeedAccess, path: &str) -> String {
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let connection = ClientConnection::new(Arc::clone(&tls(&access.roots_pem).unwrap()), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(access.address).unwrap());
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {SERVER_NAME}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// What Prometheus is told.
fn measured(world: &World, name: &str) -> u64 {
    let mut stream = TcpStream::connect(world.addresses.metrics).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {SERVER_NAME}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[test]
fn a_full_disk_stops_receipts_and_people_see_why_and_then_all_is_stored_once() {
    let test = "a_full_disk_stops_receipts_and_people_see_why_and_then_all_is_stored_once";
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::at(&folder.path().join("server")) else {
        println!("skipped: {test}: mounting a small disk needs root");
        assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped");
        return;
    };
    let mut world = World::in_folder(folder, 1);
    let hub = world.add_hub("home");
    let rows: Vec<_> = (0..60_u16).map(|second| (60 + second % 20, 95 + (second % 4) as u8)).collect();
    world.hubs[hub].configure(&[world.looping("steady", &rows, 20.0)]).unwrap();
    let access = world.server.feed(WARD, &world.hubs[hub].enrolment()).unwrap();
    world.hubs[hub].start().unwrap();
    wait::until("stored observations", PATIENCE, || (world.count("observations") >= 40).then_some(())).unwrap();
    assert!(readiness(&access).starts_with("HTTP/1.1 200"), "{}", readiness(&access));

    let screen = Screen::open(&access);
    screen.hear("snapshot");

    let ballast = disk.fill();
    let refusal = wait::until("people to be told", PATIENCE, || {
        Some(readiness(&access)).filter(|answer| answer.starts_with("HTTP/1.1 503"))
    });
    let refusal = refusal.unwrap();
    assert!(refusal.contains("the disk is full or fails") && refusal.contains("make room"), "{refusal}");
    let said = world.server.said();
    assert_eq!(said.matches("a transaction failed: nothing of it is kept").count(), 1, "said once:\n{said}");
    let alive = health(&access, "/healthz");
    assert!(alive.starts_with("HTTP/1.1 200") && alive.contains("the store cannot commit"), "{alive}");
    assert_eq!(measured(&world, "rpm_store_refuses"), 1);
    // Screens say the same: those that are here, with every heartbeat too, and those that come now.
    for screen in [&screen, &Screen::open(&access)] {
        let told = screen.hear("store_refuses");
        for key in ["what", "cause", "remedy"] {
            assert!(refusal.contains(told[key].as_str().unwrap()), "{told} is not in {refusal}");
        }
    }
    assert_eq!(screen.hear("heartbeat")["stores"], false);
    // Nothing is receipted any more, and the hub goes on accepting.
    let receipted = world.hubs[hub].count("receipted_observations").unwrap();
    let accepted = world.hubs[hub].count("accepted_observations").unwrap();
    wait::until("the hub to go on", PATIENCE, || {
        (world.hubs[hub].count("accepted_observations").ok()? > accepted + 100).then_some(())
    })
    .unwrap();
    assert_eq!(world.hubs[hub].count("receipted_observations").unwrap(), receipted);

    std::fs::remove_file(ballast).unwrap();
    screen.hear("store_commits");
    assert_eq!(screen.hear("heartbeat")["stores"], true);
    world.hubs[hub].caught_up(PATIENCE).unwrap();
    assert!(readiness(&access).starts_with("HTTP/1.1 200"), "{}", readiness(&access));
    assert_eq!(measured(&world, "rpm_store_refuses"), 0);
    assert!(health(&access, "/healthz").ends_with("alive\n"));
    // The log is a small one: it was not written back while the disk was full.
    assert_eq!(measured(&world, "rpm_store_checkpoints_failed"), 0);
    assert!(world.server.said().contains("the store commits again"));
    let closed = world.hubs[hub].stop_and_count().unwrap();
    assert_eq!((closed.pending_records, closed.accepted), (0, closed.receipted), "{closed:?}");
    assert_eq!(world.count("observations"), closed.accepted);
    assert_eq!(world.count("duplicates"), 0);
    assert_eq!(repeated(&world.store()), []);
    assert_eq!(gaps(&world.store()), []);
    world.server.stop().unwrap();
}
