//! Ingest against a store that only remembers.
#![allow(clippy::arithmetic_side_effects)]

use std::sync::Mutex;

use proptest::prelude::*;
use shared::id::{HubId, StreamId};
use shared::sealing::{SealingSecret, Suite};
use shared::time::{ClockState, Tick, Timestamp};
use shared::wire::{DownMessage, Opening, QuarantineReason, SealedRecord, UpMessage, WireBatch, from_bytes, to_bytes};

use super::bench::{DAY_MS, Fake, HUB, NOW, Signer, bench, bench_with, entries, secret, sending, signer};
use super::open::{read, verify_opening};
use super::*;
use crate::store::IdentityKey;

fn reasons(batch: &OpenedBatch) -> Vec<Option<QuarantineReason>> {
    batch.records.iter().map(|record| record.content.as_ref().err().copied()).collect()
}

#[tokio::test]
async fn a_stream_is_opened_once_and_its_batches_carry_age_and_content() {
    let bench = bench();
    let hub = sending(&bench.signer, 2, &secret());
    let opening = bench.signer.sign(&hub.opening);
    bench.send(hub.batch(5_000, Some(opening.clone()), &[hub.void(1), hub.void(2)]), 100).await.unwrap();
    bench.send(hub.batch(6_000, Some(opening), &[hub.void(3)]), 1_150).await.unwrap();
    let taken = bench.taken();
    assert_eq!(taken[0].new_stream.as_ref().unwrap().opening, hub.opening);
    assert_eq!(taken[0].records[1].content, Ok(entries(2)));
    assert_eq!(from_bytes::<SealedRecord>(&taken[0].records[1].raw).unwrap(), hub.void(2));
    assert_eq!((taken[0].sent, taken[0].transit_ms), (Some(Tick::from_millis(5_000)), 0));
    assert!(taken[1].new_stream.is_none(), "the store holds it");
    assert_eq!((taken[1].sent, taken[1].transit_ms), (Some(Tick::from_millis(6_000)), 50));
    assert_eq!((bench.counters.openings.get(), bench.counters.records.get()), (1, 3));
}

#[tokio::test]
async fn an_opening_whose_commit_failed_goes_with_the_next_batch() {
    let bench = bench();
    let hub = sending(&bench.signer, 2, &secret());
    bench.fake.refusals.lock().unwrap().push(TakeFailed::Unavailable);
    let first = hub.batch(1, Some(bench.signer.sign(&hub.opening)), &[hub.void(1)]);
    assert_eq!(bench.send(first, 1).await, Err(IngestRefused::Unavailable));
    bench.send(hub.batch(2, None, &[hub.void(1)]), 2).await.unwrap();
    assert!(bench.taken()[0].new_stream.is_some());
}

#[tokio::test]
async fn an_unknown_stream_is_asked_for_and_a_stored_one_is_derived_again() {
    let mut bench = bench();
    let hub = sending(&bench.signer, 2, &secret());
    bench.send(hub.batch(1, None, &[hub.void(1)]), 1).await.unwrap();
    assert!(bench.taken().is_empty(), "nothing is kept");
    let (to, bytes) = bench.down.try_recv().unwrap();
    assert_eq!((to, from_bytes(&bytes)), (HUB, Ok(DownMessage::OpeningWantedV1(hub.stream))));

    bench.send(hub.batch(2, Some(bench.signer.sign(&hub.opening)), &[hub.void(1)]), 2).await.unwrap();
    let streams = std::mem::take(&mut *bench.fake.streams.lock().unwrap());
    let fake = Fake { streams: Mutex::new(streams), ..Fake::default() };
    // As after a start of the server. That the key's span is over by now does not matter any more.
    let later = bench_with(bench.signer, fake, [secret()].into_iter().collect());
    later.send(hub.batch(3, None, &[hub.void(2)]), 3).await.unwrap();
    assert_eq!(later.taken()[0].records[0].content, Ok(entries(2)));
}

#[tokio::test]
async fn damaged_and_unreadable_records_do_not_hold_up_the_others() {
    let bench = bench();
    let hub = sending(&bench.signer, 2, &secret());
    let mut damaged = hub.void(2);
    damaged.sealed[0] ^= 1;
    let records = [hub.void(1), damaged, hub.record(3, b"\xff"), hub.void(4)];
    bench.send(hub.batch(1, Some(bench.signer.sign(&hub.opening)), &records), 1).await.unwrap();
    let expected = [None, Some(QuarantineReason::Damaged), Some(QuarantineReason::Unreadable), None];
    assert_eq!(reasons(&bench.taken()[0]), expected);
    let quarantined = bench.counters.quarantined();
    assert!(quarantined.contains(&(QuarantineReason::Damaged, 1)));
    assert!(quarantined.contains(&(QuarantineReason::Unreadable, 1)));
}

#[tokio::test]
async fn a_wrong_mac_makes_ages_unknown_and_loses_nothing() {
    let bench = bench();
    let hub = sending(&bench.signer, 2, &secret());
    let mut batch = hub.batch(5_000, Some(bench.signer.sign(&hub.opening)), &[hub.void(1)]);
    batch.mac.as_mut().unwrap()[0] ^= 1;
    bench.send(batch, 1).await.unwrap();
    let taken = bench.taken();
    assert_eq!((taken[0].sent, taken[0].records[0].content.clone()), (None, Ok(entries(1))));
    assert_eq!(bench.counters.mac_failures.get(), 1);
}

#[tokio::test]
async fn another_hubs_batch_and_noise_are_refused_and_not_kept() {
    let bench = bench();
    let hub = sending(&bench.signer, 2, &secret());
    let other = HubId::from_bytes([9; 16]);
    let sent = Some((Tick::from_millis(1), &hub.keys.batch));
    let batch = WireBatch::new(other, hub.stream, sent, None, &[hub.void(1)]).unwrap();
    assert_eq!(bench.send(batch, 1).await, Err(IngestRefused::AnotherHubs));
    let noise = bench.ingest.take(bench.arrival(b"noise".to_vec(), 1)).await;
    assert!(matches!(noise, Err(IngestRefused::Unreadable(_))));
    assert!(bench.taken().is_empty());
    assert_eq!((bench.counters.refused_foreign.get(), bench.counters.refused_unreadable.get()), (1, 1));
}

#[tokio::test]
async fn a_stream_that_cannot_be_opened_is_kept_raw_under_its_reason() {
    let mut bench = bench();
    let retired = SealingSecret::from_seed(Suite::X25519, [8; 32]);
    let hub = sending(&bench.signer, 2, &retired);
    bench.send(hub.batch(1, Some(bench.signer.sign(&hub.opening)), &[hub.void(1)]), 1).await.unwrap();
    let hub = sending(&bench.signer, 3, &secret());
    let forged = signer().sign(&hub.opening);
    bench.send(hub.batch(1, Some(forged), &[hub.void(1), hub.void(2)]), 1).await.unwrap();
    let taken = bench.taken();
    assert_eq!(reasons(&taken[0]), [Some(QuarantineReason::SealingKeyRetired)]);
    assert_eq!(reasons(&taken[1]), [Some(QuarantineReason::BadOpening); 2]);
    assert!(taken.iter().all(|batch| batch.new_stream.is_none() && batch.sent.is_none()));
    assert!(bench.down.try_recv().is_err());
    // The true opening still comes through afterwards.
    bench.send(hub.batch(1, Some(bench.signer.sign(&hub.opening)), &[hub.void(1)]), 1).await.unwrap();
    assert_eq!(reasons(&bench.taken()[0]), [None]);
}

#[test]
fn openings_are_believed_from_good_keys_only() {
    let (ours, stranger) = (signer(), signer());
    let keys: SealingKeys = [secret()].into_iter().collect();
    let hub = sending(&ours, 2, &secret());
    let verdict = |opening: &Opening, by: &Signer, identities: &[IdentityKey], presented: &Signer| {
        let place = (HUB, hub.stream);
        verify_opening(&by.sign(opening), place, identities, &presented.identity, &keys, NOW).map(|_| ()).err()
    };
    let good = [ours.key(-1, 1, None)];
    let opening = &hub.opening;
    let bad = Some(QuarantineReason::BadOpening);
    assert_eq!(verdict(opening, &ours, &good, &ours), None);
    assert_eq!(verdict(opening, &ours, &[], &ours), None, "the certificate's key, just enrolled");
    assert_eq!(verdict(opening, &stranger, &good, &ours), bad);
    assert_eq!(verdict(opening, &ours, &[], &stranger), bad);
    let other_hub = Opening { hub: HubId::from_bytes([9; 16]), ..opening.clone() };
    let other_stream = Opening { stream: StreamId::from_bytes([9; 16]), ..opening.clone() };
    let other_check = Opening { key_check: [0; 16], ..opening.clone() };
    let other_suite = Opening { suite: Suite::XWing, ..opening.clone() };
    for forged in [other_hub, other_stream, other_check, other_suite] {
        assert_eq!(verdict(&forged, &ours, &good, &ours), bad);
    }

    let over = [stranger.key(-1, 1, None), ours.key(-9, -5, None)];
    assert_eq!(verdict(opening, &ours, &over, &stranger), bad, "made after the key's span");
    let early = Opening { wall: Timestamp::from_millis(NOW.as_millis() - 7 * DAY_MS), ..opening.clone() };
    assert_eq!(verdict(&early, &ours, &over, &stranger), None, "backlog");
    let unset = Opening { clock: ClockState::NeverSet, ..opening.clone() };
    assert_eq!(verdict(&unset, &ours, &over, &stranger), None, "its clock tells nothing");

    let compromised = Some(QuarantineReason::CompromisedKey);
    assert_eq!(verdict(&early, &ours, &[ours.key(-9, -5, Some(-6))], &stranger), compromised);
    assert_eq!(verdict(opening, &ours, &[ours.key(-1, 1, Some(-1))], &ours), compromised);
    assert_eq!(verdict(opening, &ours, &[ours.key(-1, 1, Some(1))], &ours), None);
}

#[tokio::test]
async fn new_streams_are_taken_at_their_rate_and_one_in_flight_costs_one() {
    let bench = bench();
    let hub = sending(&bench.signer, 2, &secret());
    let opening = bench.signer.sign(&hub.opening);
    let flight = (1..=20).map(|n| bench.send(hub.batch(1, Some(opening.clone()), &[hub.void(n)]), 1));
    let sent = futures_util::future::join_all(flight).await;
    assert!(sent.iter().all(Result::is_ok));
    assert_eq!(bench.counters.openings.get(), 1);
    let order: Vec<u64> = bench.taken().iter().map(|batch| batch.records[0].sequence.get()).collect();
    assert_eq!(order, (1..=20).collect::<Vec<_>>());
    for name in 3..=20 {
        let hub = sending(&bench.signer, name, &secret());
        bench.send(hub.batch(1, Some(bench.signer.sign(&hub.opening)), &[hub.void(1)]), 1).await.unwrap();
    }
    assert_eq!((bench.taken().len(), bench.counters.openings_over_rate.get()), (9, 9));
}

#[tokio::test]
async fn what_the_store_cannot_take_is_found_and_kept_raw() {
    let signer = signer();
    let fake = Fake { identities: vec![signer.key(-1, 1, None)], poison: Some(5), ..Fake::default() };
    let bench = bench_with(signer, fake, [secret()].into_iter().collect());
    let hub = sending(&bench.signer, 2, &secret());
    let records: Vec<SealedRecord> = (1..=8).map(|n| hub.void(n)).collect();
    bench.send(hub.batch(1, Some(bench.signer.sign(&hub.opening)), &records), 1).await.unwrap();
    let taken = bench.taken();
    let all: Vec<OpenedRecord> = taken.into_iter().flat_map(|batch| batch.records).collect();
    assert_eq!(all.iter().map(|record| record.sequence.get()).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
    for record in all {
        assert_eq!(record.content.is_err(), record.sequence.get() == 5);
    }
    bench.fake.refusals.lock().unwrap().extend([TakeFailed::Batch, TakeFailed::Batch]);
    assert_eq!(bench.send(hub.batch(2, None, &[hub.void(9)]), 2).await, Err(IngestRefused::Unavailable));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_octets_make_reading_panic(bytes: Vec<u8>) {
        let _ = read(&bytes);
        let mut message = vec![0];
        message.extend(bytes);
        let _ = read(&message);
    }

    #[test]
    fn a_changed_octet_never_becomes_another_reading(at: prop::sample::Index, change in 1_u8..) {
        let bench = bench();
        let hub = sending(&bench.signer, 2, &secret());
        let opening = bench.signer.sign(&hub.opening);
        let batch = hub.batch(5_000, Some(opening), &[hub.void(1), hub.void(2)]);
        let mut bytes = to_bytes(&UpMessage::BatchV1(batch)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(bench.ingest.take(bench.arrival(bytes, 1)));
        for batch in bench.taken() {
            prop_assert!(batch.sent.is_none_or(|sent| sent == Tick::from_millis(5_000)));
            prop_assert_eq!(batch.hub, HUB);
            prop_assert!(batch.new_stream.is_none_or(|new| new.opening == hub.opening));
            for record in batch.records {
                if let Ok(content) = record.content {
                    prop_assert_eq!(content, entries(record.sequence.get()));
                }
            }
        }
    }
}
