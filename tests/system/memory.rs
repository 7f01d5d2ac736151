//! Little memory: screens that never read and hubs that send as much as they can are held back by the server's own
//! limits, and an honest home is served beside them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shared::id::BindingId;
use shared::metric::Metric;
use shared::observation::{Captured, Observation};
use shared::reading::{Quality, Reading};
use shared::time::{ClockState, Tick, Timestamp};
use shared::topic;
use shared::units::{Decimal, Unit};
use shared::wire::{Entry, MESSAGE_BYTES_MAX};
use tests::door_client::packets::publish;
use tests::door_client::{DoorClient, HubKeys};
use tests::feed_client::FeedClient;
use tests::load::fleet::{self, Fleet, Member, device};
use tests::load::usage::Usage;
use tests::memory_limit::MemoryLimit;
use tests::wait;
use tokio::task::JoinSet;

use crate::home::World;

const LIMIT_BYTES: u64 = 128 * 1024 * 1024;
const FLOODING_HUBS: usize = 16;
const DEAF_SCREENS: usize = 150;
const FLOOD_FOR: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
/// How often each batch is sent: sealing costs more than sending.
const TIMES: usize = 64;
/// A batch of so many records of so many observations is nearly as large as one may be.
const RECORDS: u64 = 4;
const OBSERVATIONS: u64 = 280;

fn observation(binding: BindingId, tick: u64, wall: Timestamp) -> Entry {
    let reading = Reading::value(
        Metric::SpO2,
        Decimal::from(80 + i64::from(tick.is_multiple_of(2))),
        Unit::Percent,
        Quality::GOOD,
    );
    Entry::Observation(Observation {
        device: device(0).unwrap(),
        slot: None,
        binding: Some(binding),
        reading,
        captured: Captured { tick: Tick::from_millis(tick), wall, clock: ClockState::Synchronised },
        device_time: None,
        from_memory: None,
    })
}

/// Sends the largest batches whether or not there is an answer, so only the door holds it back; counts the answers.
async fn flood(door: SocketAddr, keys: HubKeys, binding: BindingId, [sent, taken]: [Arc<AtomicU64>; 2]) {
    let wall = runtime::clock::Clock::system().wall();
    let mut stream = keys.stream(wall).unwrap();
    let mut client = DoorClient::enter(door, &keys).await.unwrap();
    let up = topic::up(keys.hub);
    let (mut tick, mut packet_id) = (0, 0_u16);
    loop {
        let mut record = || {
            let from = tick;
            tick += OBSERVATIONS;
            (from..tick).map(|tick| observation(binding, tick, wall)).collect()
        };
        let records = (0..RECORDS).map(|_| record()).collect();
        let batch = stream.seal_all(Tick::from_millis(tick), false, records, true).unwrap();
        assert!((MESSAGE_BYTES_MAX * 3 / 4..=MESSAGE_BYTES_MAX).contains(&batch.len()), "{} octets", batch.len());
        for _ in 0..TIMES {
            packet_id = packet_id.checked_add(1).unwrap_or(1);
            client.send(&publish(0b10, &up, packet_id, &batch)).await.unwrap();
            sent.fetch_add(1, Ordering::SeqCst);
        }
        while let Ok(packet) = tokio::time::timeout(Duration::from_millis(1), client.packet_unhurried()).await {
            taken.fetch_add(u64::from(packet.unwrap()[0] == 0x40), Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_flood_the_server_stays_within_its_memory_and_serves_an_honest_home() {
    let limit = MemoryLimit::of(LIMIT_BYTES).unwrap();
    let mut world = World::new(1);
    world.server.stop().unwrap();
    let program = world.binaries.monitor_server.clone();
    world.addresses = world.server.start_with(limit.command(&program)).unwrap();
    let id = world.server.id().unwrap();
    let home = world.add_hub("home");
    world.add_patient(home, "honest", "Example, Ada", 500);
    let rows: Vec<_> = (0..60_u16).map(|second| (60 + second % 20, 95 + (second % 4) as u8)).collect();
    world.hubs[home].configure(&[world.looping("honest", &rows, 10.0)]).unwrap();
    world.hubs[home].start().unwrap();
    let mut fleet = Fleet::default();
    fleet.grow(&world.server.data().join("run"), FLOODING_HUBS, 1).unwrap();
    let access = world.server.feed(fleet::WARD, &world.hubs[home].enrolment()).unwrap();
    let mut deaf = Vec::new();
    for _ in 0..DEAF_SCREENS {
        deaf.push(FeedClient::connect(&access, None).await.unwrap());
    }
    let before = Usage::of(id).unwrap();
    let [sent, taken] = [(); 2].map(|()| Arc::<AtomicU64>::default());
    let mut tasks = JoinSet::new();
    for Member { key, enrolment, bindings, .. } in fleet.members {
        let keys = HubKeys::of(enrolment, shared::hex::decode(&key).unwrap()).unwrap();
        let binding = bindings[0];
        tasks.spawn(flood(world.door(), keys, binding, [&sent, &taken].map(Arc::clone)));
    }
    wait_until("the flood", || (taken.load(Ordering::SeqCst) >= 2 * FLOODING_HUBS as u64).then_some(()));
    let receipted = world.hubs[home].count("receipted_observations").unwrap();
    let from = taken.load(Ordering::SeqCst);
    tokio::time::sleep(FLOOD_FOR).await;
    let during = world.hubs[home].count("receipted_observations").unwrap() - receipted;
    let flooded = taken.load(Ordering::SeqCst) - from;
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        assert!(ended.is_err_and(|error| error.is_cancelled()), "a flooding hub was not let in, or put out");
    }
    let after = Usage::of(id).expect("the server is alive");
    println!(
        "{} MiB by {}: {flooded} batches of a flood ({} sent in all) and {during} observations of a home in {FLOOD_FOR:?}; {} KiB resident before, {} KiB at most",
        LIMIT_BYTES >> 20,
        limit.kind(),
        sent.load(Ordering::SeqCst),
        before.rss_kib,
        after.rss_peak_kib
    );
    drop(deaf);
    assert!(flooded > FLOODING_HUBS as u64, "{flooded} batches");
    assert!(during > 20, "{during} observations of the honest home were receipted");
    assert!(after.rss_peak_kib * 1024 < LIMIT_BYTES, "{} KiB resident", after.rss_peak_kib);

    world.hubs[home].caught_up(PATIENCE).unwrap();
    let closed = world.hubs[home].stop_and_count().unwrap();
    assert_eq!((closed.pending_records, closed.accepted), (0, closed.receipted), "{closed:?}");
    let sql = "SELECT count(*) FROM observation JOIN stream ON observation.stream = stream.ordinal
               WHERE lower(hex(stream.hub)) = ?1";
    let stored: i64 = world.store().query_row(sql, [&world.hubs[home].id], |row| row.get(0)).unwrap();
    assert_eq!(stored.unsigned_abs(), closed.accepted);
    assert_eq!(world.server.id(), Some(id));
    world.server.stop().unwrap();
}

fn wait_until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    tokio::task::block_in_place(|| wait::until(what, PATIENCE, ask)).unwrap()
}
