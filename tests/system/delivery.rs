//! Nothing accepted is lost, nothing comes twice, and no event is missed: whatever is killed, cut or stalled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use shared::sequence::{Range, Ranges, Sequence};
use tests::faulty_network::FaultyNetwork;
use tests::feed_client::{FeedAccess, FeedClient};
use tests::wait;

use crate::disk::{self, StreamOnDisk};
use crate::home::{WARD, World, gaps, repeated};

const ROUNDS: u64 = 20;
const SPEED: f64 = 20.0;
/// Octets of the tag a sealed record ends with.
const TAG_BYTES: usize = 16;
const PATIENCE: Duration = Duration::from_secs(90);

/// Saturation that is low for a minute and good for a minute, so that alerts come and go.
fn restless() -> Vec<(u16, u8)> {
    (0..120_u16).map(|second| (60 + second % 20, if second < 60 { 80 } else { 97 })).collect()
}

fn steady() -> Vec<(u16, u8)> {
    (0..60_u16).map(|second| (60 + second % 20, 95 + (second % 4) as u8)).collect()
}

/// A client that reconnects with its cursor whenever the feed breaks off, until it is told to stop.
struct Faithful {
    stop: Arc<AtomicBool>,
    /// Events it has seen so far.
    count: Arc<AtomicU64>,
    thread: JoinHandle<(Vec<u64>, u64)>,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn number(message: &Value) -> Option<u64> {
    (message["type"] == "alert").then(|| message["alert"]["number"].as_u64().unwrap())
}

/// The cursor of now.
fn cursor_now(access: &FeedAccess) -> String {
    runtime().block_on(async {
        let mut feed = FeedClient::connect(access, None).await.unwrap();
        feed.next().await.unwrap();
        feed.cursor().unwrap().to_owned()
    })
}

/// The numbers of the events after a cursor; ends when nothing came for two seconds.
fn events_after(access: &FeedAccess, cursor: &str) -> Vec<u64> {
    runtime().block_on(async {
        let mut feed = FeedClient::connect(access, Some(cursor)).await.unwrap();
        let mut numbers = Vec::new();
        while let Some(message) = feed.next_within(Duration::from_secs(2)).await.unwrap() {
            assert_ne!(message["type"], "reset", "the feed does not resume: {message}");
            if message["type"] == "heartbeat" {
                break;
            }
            numbers.extend(number(&message));
        }
        numbers
    })
}

impl Faithful {
    fn watching(access: FeedAccess, mut cursor: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let count = Arc::<AtomicU64>::default();
        let counting = Arc::clone(&count);
        let thread = std::thread::spawn(move || {
            runtime().block_on(async move {
                let (mut numbers, mut connections) = (Vec::new(), 0);
                while !stopped.load(Ordering::SeqCst) {
                    let Ok(mut feed) = FeedClient::connect(&access, Some(&cursor)).await else {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    connections += 1;
                    while !stopped.load(Ordering::SeqCst) {
                        let next = tokio::time::timeout(Duration::from_millis(200), feed.next()).await;
                        match next {
                            Err(_) => {}
                            Ok(Ok(Some(message))) => {
                                assert_ne!(message["type"], "reset", "the feed does not resume");
                                numbers.extend(number(&message));
                                counting.store(numbers.len() as u64, Ordering::SeqCst);
                                cursor = feed.cursor().unwrap().to_owned();
                            }
                            Ok(Ok(None)) => break,
                            Ok(Err(error)) => {
                                let why = format!("{error:#}");
                                assert!(!why.contains("a gap in the feed"), "{why}");
                                break;
                            }
                        }
                    }
                }
                (numbers, connections)
            })
        });
        Self { stop, count, thread }
    }

    fn seen(self) -> (Vec<u64>, u64) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// What one hub accepted in one run is stored, each observation once, without a gap.
fn assert_exactly_once(world: &mut World, hub: usize) {
    world.hubs[hub].caught_up(PATIENCE).unwrap();
    let closed = world.hubs[hub].stop_and_count().unwrap();
    assert_eq!(closed.pending_records, 0, "{closed:?}; the agent said:\n{}", world.hubs[hub].said());
    assert!(closed.accepted > 0);
    assert_eq!(closed.accepted, closed.receipted);
    assert_eq!(world.count("observations"), closed.accepted);
    assert_none_twice(world);
    assert_eq!(gaps(&world.store()), []);
}

fn assert_none_twice(world: &World) {
    assert_eq!(world.count("duplicates"), 0);
    assert_eq!(world.count("quarantined"), 0);
    assert_eq!(repeated(&world.store()), []);
}

fn until_accepted_grows(world: &World, hub: usize) {
    let before = world.hubs[hub].count("accepted_observations").unwrap_or(0);
    wait::until("further observations", PATIENCE, || {
        world.hubs[hub].count("accepted_observations").ok().filter(|now| *now > before + 5)
    })
    .unwrap();
}

#[test]
fn a_server_killed_twenty_times_stores_each_observation_once_and_its_feed_misses_nothing() {
    let mut world = World::new(20);
    let hub = world.add_hub("home");
    world.add_patient(hub, "restless", "Example, Ada", 0);
    let devices = [world.looping("restless", &restless(), SPEED), world.looping("steady", &steady(), SPEED)];
    world.hubs[hub].configure(&devices).unwrap();
    let access = world.server.feed(WARD, &world.hubs[hub].enrolment()).unwrap();
    let begin = cursor_now(&access);
    world.hubs[hub].start().unwrap();
    let faithful = Faithful::watching(access.clone(), begin.clone());
    for round in 0..ROUNDS {
        // At another place of its work each time.
        std::thread::sleep(Duration::from_millis(200 + round * 37 % 300));
        world.server.kill().unwrap();
        world.server.start().unwrap();
        if round % 4 == 0 {
            wait::until("stored observations", PATIENCE, || {
                (world.hubs[hub].count("receipted_observations").ok()? > round).then_some(())
            })
            .unwrap();
        }
    }
    assert_exactly_once(&mut world, hub);
    // Absence goes on raising events after the hub stopped: what was there now must be seen, then what more was seen.
    let until_now = events_after(&access, &begin);
    wait::until("the client to see the tail", PATIENCE, || {
        (faithful.count.load(Ordering::SeqCst) >= until_now.len() as u64).then_some(())
    })
    .unwrap();
    let (seen, connections) = faithful.seen();
    let all = events_after(&access, &begin);
    assert!(connections > 2, "{connections} connections");
    assert!(!until_now.is_empty(), "there were alerts");
    assert_eq!(seen[..until_now.len()], until_now, "every event once and in order");
    assert_eq!(seen, all[..seen.len()], "every event once and in order");
    let verdict = world.server.ask(&["audit", "verify"], "").unwrap();
    assert!(verdict["first_broken"].is_null(), "{verdict}");
}

/// What an agent left when it was killed.
struct KilledRun {
    stream: String,
    /// What it said it had accepted in this run, just before.
    accepted: u64,
    /// What its disk held of each stream: everything synced, and what was written and not yet synced.
    disk: Vec<StreamOnDisk>,
}

/// Each record of a stream that the store took, with its tag; and every sequence it accounts for.
fn taken(store: &Connection, stream: &str) -> (BTreeMap<u64, Vec<u8>>, Ranges) {
    let of_stream = "JOIN stream ON stream.ordinal = of.stream WHERE lower(hex(stream.stream)) = ?1";
    let mut records = store.prepare(&format!("SELECT of.sequence, of.tag FROM record of {of_stream}")).unwrap();
    let records = records.query_map([stream], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))).unwrap();
    let mut ranges = store.prepare(&format!("SELECT of.first, of.last FROM stream_range of {of_stream}")).unwrap();
    let ranges = ranges.query_map([stream], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let sequence = |number: i64| Sequence::new(number.unsigned_abs()).unwrap();
    let mut known = Ranges::new();
    for (first, last) in ranges.map(Result::unwrap) {
        known.insert(Range::new(sequence(first), sequence(last)).unwrap());
    }
    (records.map(Result::unwrap).collect(), known)
}

/// Two homes, ten kills each: a server takes ten openings a minute from a hub, and each run is a stream.
///
/// Accepted is what was synced, or receipted. What was synced is on the disk when the process is killed, so each
/// record of the disk must be in the store in the end, by its stream and sequence; what was receipted is there already.
#[test]
fn agents_killed_twenty_times_lose_nothing_they_accepted() {
    let mut world = World::new(20);
    for label in ["home-1", "home-2"] {
        let hub = world.add_hub(label);
        let names = [format!("{label}-one"), format!("{label}-two")];
        let devices = names.map(|name| world.looping(&name, &steady(), SPEED));
        world.hubs[hub].configure(&devices).unwrap();
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut runs = Vec::new();
    for round in 0..ROUNDS {
        let hub = usize::from(round % 2 == 1);
        // Every other run of a home finds nobody at the door: what it accepts then is on its disk and nowhere else.
        let is_alone = round % 4 >= 2;
        world.hubs[hub].reach_door_at(if is_alone { nobody } else { world.door() }).unwrap();
        world.hubs[hub].start().unwrap();
        let first = world.hubs[hub].count("accepted_observations").unwrap();
        until_accepted_grows(&world, hub);
        // At another place of its work each time.
        std::thread::sleep(Duration::from_millis(round * 53 % 400));
        let status = world.hubs[hub].status().unwrap();
        let accepted = status["accepted_observations"].as_u64().unwrap() - first;
        let stream = status["stream"]["id"].as_str().unwrap().to_owned();
        world.hubs[hub].kill().unwrap();
        let copy = world.path(&format!("killed-{round}"));
        let disk = disk::streams(&world.hubs[hub].state_dir().join("queue"), &copy);
        if is_alone {
            assert!(accepted > 0 && taken(&world.store(), &stream).0.is_empty());
        }
        runs.push(KilledRun { stream, accepted, disk });
    }
    for hub in &mut world.hubs {
        hub.reach_door_at(world.addresses.mqtt).unwrap();
        // The devices are gone; what is on the disk remains to be sent.
        hub.configure(&[]).unwrap();
        hub.start().unwrap();
        hub.drained(PATIENCE * 2).unwrap();
        let closed = hub.stop_and_count().unwrap();
        assert_eq!(closed.pending_records, 0, "{closed:?}");
    }
    let store = world.store();
    let mut compared = 0;
    for KilledRun { stream, accepted, disk, .. } in runs {
        let of_run = disk.iter().find(|on_disk| on_disk.stream.to_string() == stream);
        assert!(of_run.is_some_and(|on_disk| !on_disk.records.is_empty()), "the disk held nothing of stream {stream}");
        for on_disk in disk {
            let stream = on_disk.stream.to_string();
            let (taken, known) = taken(&store, &stream);
            for record in &on_disk.records {
                let sequence = record.sequence.get();
                let tag = &record.sealed[record.sealed.len() - TAG_BYTES..];
                assert_eq!(taken.get(&sequence).map(Vec::as_slice), Some(tag), "{sequence} of stream {stream}");
            }
            let gaps = known.missing_up_to(on_disk.held.last().unwrap());
            assert!(gaps.is_empty(), "gaps in stream {stream}: {gaps:?}");
            compared += on_disk.records.len();
        }
        let sql = "SELECT count(*) FROM observation JOIN stream ON observation.stream = stream.ordinal \
                   WHERE lower(hex(stream.stream)) = ?1";
        let stored: i64 = store.query_row(sql, [&stream], |row| row.get(0)).unwrap();
        assert!(stored.unsigned_abs() >= accepted, "{accepted} accepted in stream {stream}, {stored} stored");
    }
    println!("{compared} records of twenty disks compared with the store");
    assert_none_twice(&world);
}

#[test]
fn a_network_that_is_cut_and_stalled_only_delays() {
    let mut world = World::new(1);
    let hub = world.add_hub("home");
    let network = FaultyNetwork::before(world.door()).unwrap();
    world.hubs[hub].reach_door_at(network.address()).unwrap();
    world.hubs[hub].configure(&[world.looping("steady", &steady(), SPEED)]).unwrap();
    world.hubs[hub].start().unwrap();
    until_accepted_grows(&world, hub);
    network.delay(Duration::from_millis(30));
    for _ in 0..3 {
        network.cut();
        until_accepted_grows(&world, hub);
        network.resume();
        world.hubs[hub].caught_up(PATIENCE).unwrap();
    }
    network.delay(Duration::ZERO);
    network.stall();
    // By its own patience or by its keep-alive.
    wait::until("the agent to notice the stall", PATIENCE, || {
        world.hubs[hub].status().ok().filter(|status| status["state"] != "connected")
    })
    .unwrap();
    network.resume();
    assert_exactly_once(&mut world, hub);
    assert!(network.accepted() >= 5, "{} connections", network.accepted());
}
