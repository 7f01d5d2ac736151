//! Nothing accepted is lost, nothing comes twice, and no event is missed: whatever is killed, cut or stalled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tests::faulty_network::FaultyNetwork;
use tests::feed_client::{FeedAccess, FeedClient};
use tests::wait;

use crate::home::{WARD, World, gaps, repeated};

const ROUNDS: u64 = 20;
const SPEED: f64 = 20.0;
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
        Self { stop, thread }
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
    std::thread::sleep(Duration::from_secs(1));
    let (seen, connections) = faithful.seen();
    let all = events_after(&access, &begin);
    assert!(connections > 2, "{connections} connections");
    assert!(!all.is_empty(), "there were alerts");
    let seen_of_all: Vec<u64> = all.iter().copied().take(seen.len()).collect();
    assert_eq!(seen, seen_of_all, "every event once and in order");
    assert!(all.len() - seen.len() <= 2, "{} of {} seen", seen.len(), all.len());
    let verdict = world.server.ask(&["audit", "verify"], "").unwrap();
    assert!(verdict["first_broken"].is_null(), "{verdict}");
}

/// What an agent had accepted since its first status, in which stream, when it was killed.
struct KilledRun {
    stream: String,
    accepted: u64,
}

/// Two homes, ten kills each: a server takes ten openings a minute from a hub, and each run is a stream.
#[test]
fn agents_killed_twenty_times_lose_nothing_they_accepted() {
    let mut world = World::new(20);
    for label in ["home-1", "home-2"] {
        let hub = world.add_hub(label);
        let names = [format!("{label}-one"), format!("{label}-two")];
        let devices = names.map(|name| world.looping(&name, &steady(), SPEED));
        world.hubs[hub].configure(&devices).unwrap();
    }
    let mut runs = Vec::new();
    for round in 0..ROUNDS {
        let hub = usize::from(round % 2 == 1);
        world.hubs[hub].start().unwrap();
        let first = world.hubs[hub].count("accepted_observations").unwrap();
        until_accepted_grows(&world, hub);
        // At another place of its work each time.
        std::thread::sleep(Duration::from_millis(round * 53 % 400));
        let status = world.hubs[hub].status().unwrap();
        let accepted = status["accepted_observations"].as_u64().unwrap() - first;
        runs.push(KilledRun { stream: status["stream"]["id"].as_str().unwrap().to_owned(), accepted });
        world.hubs[hub].kill().unwrap();
    }
    let mut accepted_last = 0;
    for hub in &mut world.hubs {
        // The devices are gone; what is on the disk remains to be sent.
        hub.configure(&[]).unwrap();
        hub.start().unwrap();
        hub.drained(PATIENCE * 2).unwrap();
        let closed = hub.stop_and_count().unwrap();
        assert_eq!(closed.pending_records, 0, "{closed:?}");
        accepted_last += closed.accepted;
    }
    // Observations that were receipted before their sync were accepted then, and a crash forgets that it counted them.
    assert!(world.count("observations") >= accepted_last);
    let store = world.store();
    for KilledRun { stream, accepted } in runs {
        let sql = "SELECT count(*) FROM observation JOIN stream ON observation.stream = stream.ordinal \
                   WHERE lower(hex(stream.stream)) = ?1";
        let stored: i64 = store.query_row(sql, [&stream], |row| row.get(0)).unwrap();
        assert!(stored.unsigned_abs() >= accepted, "{accepted} accepted in stream {stream}, {stored} stored");
    }
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
