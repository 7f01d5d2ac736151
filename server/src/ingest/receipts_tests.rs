#![allow(clippy::arithmetic_side_effects)]
use runtime::clock::Clock;
use shared::id::{HubId, StreamId};
use shared::sealing::{SealingSecret, StreamContext, Suite, begin_stream};
use shared::sequence::Sequence;
use shared::wire::{QuarantineReason, from_bytes};

use super::super::streams::StreamState;
use super::*;

const HUB: HubId = HubId::from_bytes([1; 16]);

fn key(n: u8) -> StreamKey {
    (HUB, StreamId::from_bytes([n; 16]))
}

fn range(first: u64, last: u64) -> Range {
    Range::new(Sequence::new(first).unwrap(), Sequence::new(last).unwrap()).unwrap()
}

fn outcome(n: u8, stored: u64, quarantined: &[Range]) -> BatchOutcome {
    let (hub, stream) = key(n);
    let reason = QuarantineReason::Damaged;
    BatchOutcome {
        hub,
        stream,
        known: true,
        stored: [range(1, stored)].into_iter().collect(),
        quarantined: quarantined.iter().map(|range| Quarantined { range: *range, reason }).collect(),
        observations: 0,
        repeats: 0,
    }
}

const fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn last(said: &[Said]) -> Vec<u64> {
    said.iter().map(|said| said.stored.last().unwrap().get()).collect()
}

#[test]
fn the_first_leaves_at_once_and_the_next_after_the_pause_with_everything() {
    let mut coalescer = Coalescer::default();
    coalescer.take(outcome(1, 1, &[]), at(1_000));
    assert_eq!(coalescer.next(), Some(at(1_000)));
    assert_eq!(last(&coalescer.due(at(1_000))), [1]);
    for n in 2..=9 {
        coalescer.take(outcome(1, n, &[]), at(1_000 + n * 20));
        assert!(coalescer.due(at(1_000 + n * 20)).is_empty());
    }
    coalescer.take(outcome(2, 5, &[]), at(1_190));
    assert_eq!(last(&coalescer.due(at(1_190))), [5], "another stream does not wait");
    assert!(coalescer.due(at(1_199)).is_empty());
    assert_eq!(last(&coalescer.due(at(1_200))), [9]);
    assert!(coalescer.due(at(1_400)).is_empty());
    assert_eq!(coalescer.next(), None, "quiet streams are forgotten");
    coalescer.take(outcome(1, 10, &[]), at(1_401));
    assert_eq!(last(&coalescer.due(at(1_401))), [10]);
}

#[test]
fn quarantined_ranges_are_joined_bounded_and_all_said() {
    let mut coalescer = Coalescer::default();
    coalescer.take(outcome(1, 1, &[range(4, 4), range(3, 3), range(4, 4)]), at(0));
    let said = coalescer.due(at(0));
    assert_eq!(said[0].quarantined.iter().map(|entry| entry.range).collect::<Vec<_>>(), [range(3, 4)]);

    let apart: Vec<Range> = (1..=1_000).map(|n| range(n * 2, n * 2)).collect();
    assert_eq!(coalescer.take(outcome(1, 1, &apart), at(1)), 0);
    let mut told = Vec::new();
    for now in [200, 400, 600] {
        for said in coalescer.due(at(now)) {
            assert!(said.quarantined.len() <= RANGES_MAX);
            assert_eq!(said.stored.last().unwrap().get(), 1);
            told.extend(said.quarantined.iter().map(|entry| entry.range));
        }
    }
    assert_eq!(told, apart);
    let too_many: Vec<Range> = (1..=QUARANTINED_WAITING_MAX as u64 + 3).map(|n| range(n * 2, n * 2)).collect();
    assert_eq!(coalescer.take(outcome(1, 1, &too_many), at(601)), 3);
}

#[test]
fn what_one_batch_touched_is_said_though_the_next_does_not_name_it() {
    let mut coalescer = Coalescer::default();
    coalescer.take(outcome(1, 1, &[]), at(0));
    coalescer.due(at(0));
    let touched = BatchOutcome { stored: [range(1, 1), range(900, 900)].into_iter().collect(), ..outcome(1, 1, &[]) };
    coalescer.take(touched, at(1));
    coalescer.take(outcome(1, 2, &[]), at(2));
    let said = coalescer.due(at(200)).remove(0).stored;
    assert_eq!(said, [range(1, 2), range(900, 900)].into_iter().collect());
}

#[test]
fn more_ranges_than_one_receipt_holds_are_said_in_turn() {
    let mut coalescer = Coalescer::default();
    let apart = |numbers: std::ops::RangeInclusive<u64>| numbers.map(|n| range(n * 2, n * 2)).collect::<Ranges>();
    let with = |stored| BatchOutcome { stored, ..outcome(1, 1, &[]) };
    coalescer.take(with(apart(1..=1_200)), at(0));
    let mut told = Ranges::new();
    for now in [0, 200, 400, 600] {
        let said = coalescer.due(at(now)).remove(0).stored;
        assert!(said.range_count() <= RANGES_MAX);
        told.insert_all(&said);
        // The lowest come again with every batch and do not keep the others from their turn.
        coalescer.take(with(apart(1..=512)), at(now + 1));
    }
    assert_eq!(told, apart(1..=1_200));
    assert_eq!(coalescer.take(with(apart(1..=STORED_WAITING_MAX as u64 + 5)), at(601)), 5);
}

#[test]
fn a_conflict_is_not_called_stored_by_an_earlier_outcome() {
    let mut coalescer = Coalescer::default();
    coalescer.take(outcome(1, 3, &[]), at(0));
    let reason = QuarantineReason::Conflict;
    let quarantined = vec![Quarantined { range: range(2, 2), reason }];
    coalescer.take(BatchOutcome { quarantined, ..outcome(1, 1, &[]) }, at(0));
    assert_eq!(coalescer.due(at(0)).remove(0).stored, [range(1, 1), range(3, 3)].into_iter().collect());
}

#[test]
fn it_says_when_it_is_full() {
    let mut coalescer = Coalescer::default();
    for n in 0..RECEIPTS_MAX {
        assert!(!coalescer.is_full());
        let mut outcome = outcome(1, 1, &[]);
        outcome.stream = StreamId::from_bytes((n as u128).to_be_bytes());
        coalescer.take(outcome, at(0));
    }
    assert!(coalescer.is_full());
    assert_eq!(coalescer.due(at(0)).len(), RECEIPTS_MAX);
    assert!(coalescer.due(at(200)).is_empty());
    assert!(!coalescer.is_full());
}

#[tokio::test]
async fn receipts_verify_with_the_streams_key_and_their_numbers_grow() {
    let secret = SealingSecret::from_seed(Suite::X25519, [1; 32]);
    let (hub, stream) = key(1);
    let context = StreamContext { hub, stream, sealing_key: secret.public().id(), identity_digest: [0; 32] };
    let (encapsulation, keys) = begin_stream(&secret.public(), &context, &mut runtime::entropy::rng()).unwrap();
    let hubs = shared::sealing::derive_stream(&secret, &context, &encapsulation).unwrap();
    let streams = Arc::new(Streams::default());
    streams.hold(key(1), Arc::new(StreamState::new(keys, Suite::X25519, None)));
    let (down, mut messages) = mpsc::channel(8);
    let counters = Arc::new(Counters::default());
    let started = Timestamp::from_millis(1_800_000_000_000);
    let store = StoreId::from_bytes([9; 16]);
    let (owner, outcomes) = Receipts::new(streams, down, Clock::system(), counters.clone(), store, started);
    let say = async move {
        outcomes.send(outcome(1, 3, &[range(7, 7)])).await.unwrap();
        let first = messages.recv().await.unwrap();
        outcomes.send(outcome(2, 1, &[])).await.unwrap();
        outcomes.send(outcome(1, 4, &[])).await.unwrap();
        // The end cuts the pause short, and what waits is still said.
        drop(outcomes);
        let second = messages.recv().await.unwrap();
        assert!(messages.recv().await.is_none());
        [first, second]
    };
    let ((), said) = tokio::join!(owner.run(), say);
    let receipts = said.map(|(to, bytes)| {
        assert_eq!(to, HUB);
        let DownMessage::ReceiptV1(signed) = from_bytes(&bytes).unwrap() else { panic!("no receipt") };
        signed.verify(&hubs.receipt).unwrap()
    });
    assert_eq!(receipts.each_ref().map(|receipt| receipt.stored.count()), [3, 4]);
    assert_eq!(receipts.each_ref().map(|receipt| receipt.quarantined.len()), [1, 0]);
    assert!(receipts.iter().all(|receipt| receipt.known && receipt.safe == 0 && receipt.store == store));
    assert!(1_800_000_000_000_000 < receipts[0].number && receipts[0].number < receipts[1].number);
    assert_eq!((counters.receipts.get(), counters.receipts_without_key.get()), (2, 1));
}
