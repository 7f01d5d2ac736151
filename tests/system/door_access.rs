//! A hub's certificate reaches nothing but the hub's own topics, whatever the packets say.

use std::time::Duration;

use shared::topic;
use tests::door_client::attempts::{Attempt, connects, publishes, subscribes};
use tests::door_client::packets::{self, Connect, connect, publish};
use tests::door_client::{DoorClient, HubKeys};
use tests::door_counts::DoorCounts;
use tests::wait;

use crate::home::World;

async fn try_it(world: &World, keys: &HubKeys, attempt: &Attempt, enters: bool) {
    let (what, octets, reason) = attempt;
    let before = DoorCounts::read(world.addresses.metrics).unwrap();
    let mut client = DoorClient::shake_hands(world.addresses.mqtt, None, keys.tls.clone()).await.unwrap();
    if enters {
        client.send(&connect(&Connect::of(&keys.hub.to_string()))).await.unwrap();
        assert_eq!(client.packet().await.unwrap(), [0x20, 2, 0, 0], "{what}");
    }
    client.send(octets).await.unwrap();
    let (answer, _) = client.end().await.unwrap_or_else(|error| panic!("{what}: the door did not close: {error}"));
    let refused_connect = matches!(answer.as_slice(), [] | [0x20, 2, 0, 1..=5]);
    assert!(refused_connect || *reason == "subscribe_twice", "{what}: the door said {answer:02x?}");
    let counted = wait::until(what, Duration::from_secs(5), || {
        let since = DoorCounts::read(world.addresses.metrics).ok()?.since(&before);
        (!since.is_empty()).then_some(since)
    });
    let counted = counted.unwrap();
    assert_eq!(counted.get(*reason), Some(&1), "{what}: {counted:?}");
    assert_eq!(counted.len(), 1, "{what}: {counted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_reaches_nothing_but_its_own_topics() {
    let mut world = World::new(1);
    let (hostile, victim) = (world.add_hub("hostile"), world.add_hub("victim"));
    let hostile = HubKeys::load(world.hubs[hostile].folder()).unwrap();
    let victim = HubKeys::load(world.hubs[victim].folder()).unwrap();
    let mut listening = DoorClient::enter(world.addresses.mqtt, &victim).await.unwrap();
    let (own, other) = (hostile.hub.to_string(), victim.hub.to_string());
    for attempt in connects(&own, &other) {
        try_it(&world, &hostile, &attempt, false).await;
    }
    let before = DoorCounts::read(world.addresses.metrics).unwrap();
    for attempt in publishes(&own, &other).iter().chain(&subscribes(&own, &other)) {
        try_it(&world, &hostile, attempt, true).await;
    }
    // The victim's own batch in the hostile hub's name, on the hostile hub's topic.
    let mut stream = victim.stream(runtime::clock::Clock::system().wall()).unwrap();
    let (sequence, batch) = stream.batch(shared::time::Tick::from_millis(1)).unwrap();
    let stolen = publish(0b10, &topic::up(hostile.hub), 7, &batch);
    try_it(&world, &hostile, &("a stolen batch", stolen, "unacceptable"), true).await;
    let arrived = DoorCounts::read(world.addresses.metrics).unwrap().batches_arrived - before.batches_arrived;
    assert_eq!(arrived, 2, "only what went to the own topic came to ingest");
    // The victim is still here, has heard nothing, and its batch is taken from itself.
    listening.send(&publish(0b10, &topic::up(victim.hub), 9, &batch)).await.unwrap();
    assert_eq!(listening.packet().await.unwrap(), [0x40, 2, 0, 9]);
    let message = listening.packet().await.unwrap();
    let receipt = stream.receipt(packets::content(&message).unwrap()).expect("a receipt of its own");
    assert!(receipt.stored.contains(sequence));
    // Every connection of all this has one end: its reason, DISCONNECT, or it is still here.
    let mut leaving = DoorClient::enter(world.addresses.mqtt, &hostile).await.unwrap();
    leaving.send(&packets::DISCONNECT).await.unwrap();
    leaving.end().await.unwrap();
    let counts = wait::until("every connection to be accounted for", Duration::from_secs(5), || {
        // The door counts after it has closed; until then the hub that leaves is counted as here.
        DoorCounts::read(world.addresses.metrics).ok().filter(|counts| counts.left == 1 && counts.is_accounted_for())
    });
    let counts = counts.unwrap();
    assert_eq!((counts.connections, counts.left, counts.of("broken_off")), (1, 1, 0), "{counts:?}");
}
