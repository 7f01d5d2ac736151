//! The end of the router's thread, as hubs see it: they do not.

use shared::id::{StoreId, StreamId};
use shared::sealing::{SealingSecret, StreamContext, StreamKeys, Suite, begin_stream, derive_stream};
use shared::sequence::{Range, Sequence};
use shared::wire::{DownMessage, from_bytes};

use super::super::router::BREAK;
use super::*;
use crate::ingest::counters::Counters;
use crate::ingest::receipts::Receipts;
use crate::ingest::{StreamState, Streams};
use crate::store::BatchOutcome;

#[tokio::test]
async fn a_router_that_ends_is_started_again_and_sessions_stay() {
    let rig = rig_with(true, Strangers::default()).await;
    let mut client = rig.connect(HUB).await;
    client.write_all(&write_subscribe(3, &[(&topic::down(HUB), 0)])).await.unwrap();
    assert_eq!(read(&mut client, 5).await, packet::suback(3));
    for number in 0..100_u16 {
        rig.down.send((HUB, number.to_be_bytes().to_vec())).await.unwrap();
        let expected = packet::publish_down(&topic::down(HUB), &number.to_be_bytes()).unwrap();
        assert_eq!(read(&mut client, expected.len()).await, expected);
    }
    assert_eq!(rig.metrics.messages_down_unheard.get(), 0);
}

/// What is for hubs is cumulative receipts for the most part: all of them must come, in order, whenever the thread ends.
#[tokio::test]
async fn what_is_for_hubs_comes_whenever_the_router_ends() {
    let rig = rig().await;
    let hubs = [1, 2, 3, 4].map(|octet| HubId::from_bytes([octet; 16]));
    let mut clients = Vec::new();
    for hub in hubs {
        let mut client = rig.connect(hub).await;
        client.write_all(&write_subscribe(3, &[(&topic::down(hub), 0)])).await.unwrap();
        assert_eq!(read(&mut client, 5).await, packet::suback(3));
        clients.push(client);
    }
    let ends = limits::ROUTER_RESTARTS_MAX;
    // No more than a mailbox holds, since nobody reads yet: before, between and behind the ends.
    let strides = u8::try_from(ends + 1).unwrap();
    let stride = u8::try_from(limits::HUB_MESSAGES_MAX).unwrap() / strides;
    for number in 0..strides {
        for message in 0..stride {
            for hub in hubs {
                rig.down.send((hub, vec![number, message])).await.unwrap();
            }
            // The last messages before an end are on their way through the thread that ends.
            if message + 1 == stride && usize::from(number) < ends {
                rig.down.send((HUB, BREAK.to_vec())).await.unwrap();
            }
        }
    }
    for (hub, client) in hubs.into_iter().zip(&mut clients) {
        for number in 0..strides {
            for message in 0..stride {
                let expected = packet::publish_down(&topic::down(hub), &[number, message]).unwrap();
                assert_eq!(read(client, expected.len()).await, expected, "{number} {message}");
            }
        }
        client.write_all(&[0xc0, 0]).await.unwrap();
        assert_eq!(read(client, 2).await, packet::PINGRESP, "nothing came twice, and the session stayed");
    }
    assert!(rig.metrics.router_restarts.get() >= 1);
    assert_eq!(rig.metrics.messages_down_unheard.get(), 0);
    assert_eq!(rig.owner.len(), 1, "the door goes on");
}

#[tokio::test]
async fn a_router_that_ends_again_and_again_ends_the_door() {
    let mut rig = rig().await;
    let mut client = rig.connect(HUB).await;
    client.write_all(&write_subscribe(3, &[(&topic::down(HUB), 0)])).await.unwrap();
    assert_eq!(read(&mut client, 5).await, packet::suback(3));
    for end in 0..=limits::ROUTER_RESTARTS_MAX {
        rig.down.send((HUB, BREAK.to_vec())).await.unwrap();
        if end < limits::ROUTER_RESTARTS_MAX {
            let seen = async {
                while rig.metrics.router_restarts.get() <= u64::try_from(end).unwrap() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), seen).await.expect("it is started again");
        }
    }
    let ended = tokio::time::timeout(Duration::from_secs(10), rig.owner.join_next()).await.expect("the door ends");
    assert!(ended.unwrap().unwrap().is_err(), "the service manager starts it again");
}

/// A stream of the hub that the server holds, and the same as the hub has it.
fn stream_of(hub: HubId) -> (StreamId, Arc<Streams>, StreamKeys) {
    let secret = SealingSecret::from_seed(Suite::X25519, [1; 32]);
    let stream = StreamId::from_bytes([5; 16]);
    let context = StreamContext { hub, stream, sealing_key: secret.public().id(), identity_digest: [0; 32] };
    let (encapsulation, keys) = begin_stream(&secret.public(), &context, &mut runtime::entropy::rng()).unwrap();
    let hubs = derive_stream(&secret, &context, &encapsulation).unwrap();
    let streams = Arc::new(Streams::default());
    streams.hold((hub, stream), Arc::new(StreamState::new(keys, Suite::X25519, None)));
    (stream, streams, hubs)
}

/// The next receipt that the hub is sent, verified: the last sequence it calls stored, and its number.
async fn receipt(client: &mut Client, keys: &StreamKeys, hub: HubId) -> (u64, u64) {
    let head = read(client, 1).await;
    assert_eq!(head, [0x30], "a message");
    let mut length = 0_usize;
    for place in 0..4 {
        let octet = read(client, 1).await[0];
        length |= usize::from(octet & 0x7f) << (7 * place);
        if octet & 0x80 == 0 {
            break;
        }
    }
    let content = read(client, length).await[2 + topic::down(hub).len()..].to_vec();
    let DownMessage::ReceiptV1(signed) = from_bytes(&content).unwrap() else { panic!("no receipt") };
    let receipt = signed.verify(&keys.receipt).unwrap();
    (receipt.stored.last().unwrap().get(), receipt.number)
}

/// What was committed before an end, during it and after it is receipted, by receipts as the real owner makes them: each
/// that leaves it comes, and the last says everything.
#[tokio::test]
async fn everything_committed_is_receipted_whenever_the_router_ends() {
    const COMMITS: u64 = 60;
    let rig = rig().await;
    let mut client = rig.connect(HUB).await;
    client.write_all(&write_subscribe(3, &[(&topic::down(HUB), 0)])).await.unwrap();
    assert_eq!(read(&mut client, 5).await, packet::suback(3));
    let (stream, streams, keys) = stream_of(HUB);
    let started = Clock::system().wall();
    let store = StoreId::from_bytes([9; 16]);
    let counters = Arc::<Counters>::default();
    let (leaving, mut left) = mpsc::channel(limits::DOWN_MAX);
    let (owner, outcomes) = Receipts::new(streams, leaving, Clock::system(), counters.clone(), store, started);
    let mut owners = JoinSet::new();
    owners.spawn(owner.run());
    let down = rig.down.clone();
    owners.spawn(async move {
        let mut number = 0;
        while let Some(receipt) = left.recv().await {
            number += 1;
            // From the second one on, the thread ends with the receipt behind its end, which it never hears of.
            let mut places = down.reserve_many(2).await.unwrap();
            if (2..2 + limits::ROUTER_RESTARTS_MAX).contains(&number) {
                places.next().unwrap().send((HUB, BREAK.to_vec()));
            }
            places.next().unwrap().send(receipt);
        }
    });
    owners.spawn(async move {
        for committed in 1..=COMMITS {
            let first = Sequence::FIRST;
            let stored = [Range::new(first, Sequence::new(committed).unwrap()).unwrap()].into_iter().collect();
            let (known, quarantined) = (true, Vec::new());
            let outcome = BatchOutcome { hub: HUB, stream, known, stored, quarantined, observations: 0, repeats: 0 };
            outcomes.send(outcome).await.unwrap();
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    });
    let (mut said, mut number) = (0, 0);
    let mut receipts = 0;
    while said < COMMITS {
        let (last, newer) = receipt(&mut client, &keys, HUB).await;
        assert!(last >= said && newer > number, "{last} after {said}, number {newer} after {number}");
        (said, number, receipts) = (last, newer, receipts + 1);
    }
    while owners.join_next().await.is_some() {}
    assert_eq!(counters.receipts.get(), receipts, "each receipt that left came");
    let restarts = rig.metrics.router_restarts.get();
    assert!(restarts > 1, "{restarts} ends were seen");
    assert_eq!(rig.metrics.messages_down_unheard.get(), 0);
}
