//! A hub, a store that only remembers, and ingest between them.
#![allow(clippy::arithmetic_side_effects)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use shared::id::{BootId, HubId, StreamId};
use shared::sealing::{RecordPlace, SealingSecret, StreamContext, StreamKeys, Suite, begin_stream, identity_digest};
use shared::sequence::{Range, Ranges, Sequence};
use shared::time::{ClockState, Tick, Timestamp};
use shared::wire::{Entry, Opening, Quarantined, Record, SealedRecord, SignedOpening, UpMessage, WireBatch, to_bytes};
use tokio::sync::mpsc;

use super::counters::Counters;
use super::*;
use crate::broker::Arrival;
use crate::store::{BatchOutcome, IdentityKey};

pub(super) const HUB: HubId = HubId::from_bytes([1; 16]);
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(super) const DAY_MS: i64 = 86_400_000;

pub(super) struct Signer {
    pub(super) pair: EcdsaKeyPair,
    pub(super) identity: Vec<u8>,
}

pub(super) fn signer() -> Signer {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let prefix = shared::hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
    let identity = [prefix.as_slice(), pair.public_key().as_ref()].concat();
    Signer { pair, identity }
}

impl Signer {
    pub(super) fn sign(&self, opening: &Opening) -> SignedOpening {
        let body = to_bytes(opening).unwrap();
        let message = SignedOpening::signed_bytes(&body);
        let signature = self.pair.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec();
        SignedOpening { body, signature }
    }

    pub(super) fn key(&self, from_days: i64, until_days: i64, compromised: Option<i64>) -> IdentityKey {
        let day = |days: i64| Timestamp::from_millis(NOW.as_millis() + days * DAY_MS);
        let (not_before, not_after) = (day(from_days), day(until_days));
        IdentityKey { identity: self.identity.clone(), not_before, not_after, compromised: compromised.map(day) }
    }
}

pub(super) fn secret() -> SealingSecret {
    SealingSecret::from_seed(Suite::X25519, [7; 32])
}

/// A hub's stream.
pub(super) struct Sending {
    pub(super) stream: StreamId,
    pub(super) opening: Opening,
    pub(super) keys: StreamKeys,
}

pub(super) fn sending(signer: &Signer, name: u8, secret: &SealingSecret) -> Sending {
    let stream = StreamId::from_bytes([name; 16]);
    let sealing_key = secret.public().id();
    let context = StreamContext { hub: HUB, stream, sealing_key, identity_digest: identity_digest(&signer.identity) };
    let (encapsulation, keys) = begin_stream(&secret.public(), &context, &mut runtime::entropy::rng()).unwrap();
    let opening = Opening {
        suite: secret.suite(),
        hub: HUB,
        stream,
        previous: None,
        bindings: vec![],
        sealing_key,
        encapsulation,
        key_check: keys.check,
        boot: BootId::from_bytes([4; 16]),
        tick: Tick::from_millis(0),
        wall: NOW,
        clock: ClockState::Synchronised,
        agent_version: "1".into(),
    };
    Sending { stream, opening, keys }
}

impl Sending {
    pub(super) fn record(&self, number: u64, plaintext: &[u8]) -> SealedRecord {
        let sequence = Sequence::new(number).unwrap();
        let suite = self.opening.suite;
        let place = RecordPlace { suite, hub: HUB, stream: self.stream, sequence, keep: true };
        self.keys.record.seal(&place, [3; 4], plaintext).unwrap()
    }

    pub(super) fn void(&self, number: u64) -> SealedRecord {
        self.record(number, &to_bytes(&Record::V1(entries(number))).unwrap())
    }

    pub(super) fn batch(&self, sent: u64, opening: Option<SignedOpening>, records: &[SealedRecord]) -> WireBatch {
        let sent = Some((Tick::from_millis(sent), &self.keys.batch));
        WireBatch::new(HUB, self.stream, sent, opening, records).unwrap()
    }
}

pub(super) fn entries(number: u64) -> Vec<Entry> {
    vec![Entry::Void(Range::one(Sequence::new(number).unwrap()))]
}

#[derive(Default)]
pub(super) struct Fake {
    pub(super) identities: Vec<IdentityKey>,
    pub(super) taken: Mutex<Vec<OpenedBatch>>,
    pub(super) streams: Mutex<HashMap<StreamKey, NewStream>>,
    /// Answers to the next takes; then all are committed.
    pub(super) refusals: Mutex<Vec<TakeFailed>>,
    /// This sequence cannot be stored unless it is in quarantine.
    pub(super) poison: Option<u64>,
}

impl Takes for Fake {
    fn take(&self, batch: OpenedBatch) -> BoxFuture<'_, Result<BatchOutcome, TakeFailed>> {
        Box::pin(async move {
            // Others get their turn, as with the real one.
            tokio::task::yield_now().await;
            if let Some(refusal) = self.refusals.lock().unwrap().pop() {
                return Err(refusal);
            }
            let poisoned = |record: &OpenedRecord| record.content.is_ok() && Some(record.sequence.get()) == self.poison;
            if batch.records.iter().any(poisoned) {
                return Err(TakeFailed::Batch);
            }
            let key = (batch.hub, batch.stream);
            if let Some(new) = &batch.new_stream {
                self.streams.lock().unwrap().insert(key, new.clone());
            }
            let of = |record: &OpenedRecord| Range::one(record.sequence);
            let stored: Ranges = batch.records.iter().filter(|record| record.content.is_ok()).map(of).collect();
            let bad = |record: &OpenedRecord| {
                record.content.as_ref().err().map(|reason| Quarantined { range: of(record), reason: *reason })
            };
            let outcome = BatchOutcome {
                hub: batch.hub,
                stream: batch.stream,
                known: self.streams.lock().unwrap().contains_key(&key),
                observations: stored.count(),
                stored,
                quarantined: batch.records.iter().filter_map(bad).collect(),
                repeats: 0,
            };
            self.taken.lock().unwrap().push(batch);
            Ok(outcome)
        })
    }

    fn stream(&self, hub: HubId, stream: StreamId) -> BoxFuture<'_, Result<Option<NewStream>, TakeFailed>> {
        let found = self.streams.lock().unwrap().get(&(hub, stream)).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn identities(&self, _: HubId) -> BoxFuture<'_, Result<Vec<IdentityKey>, TakeFailed>> {
        let identities = self.identities.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(identities)
        })
    }
}

pub(super) struct Bench {
    pub(super) signer: Signer,
    pub(super) fake: Arc<Fake>,
    pub(super) ingest: Ingest,
    pub(super) counters: Arc<Counters>,
    pub(super) down: mpsc::Receiver<(HubId, Vec<u8>)>,
}

pub(super) fn bench_with(signer: Signer, fake: Fake, keys: SealingKeys) -> Bench {
    let (fake, counters) = (Arc::new(fake), Arc::new(Counters::default()));
    let (sender, down) = mpsc::channel(64);
    let ingest = Ingest::new(fake.clone(), keys, Arc::new(Streams::default()), sender, counters.clone());
    Bench { signer, fake, ingest, counters, down }
}

pub(super) fn bench() -> Bench {
    let signer = signer();
    let fake = Fake { identities: vec![signer.key(-1, 1, None)], ..Fake::default() };
    bench_with(signer, fake, [secret()].into_iter().collect())
}

impl Bench {
    pub(super) fn arrival(&self, bytes: Vec<u8>, tick: u64) -> Arrival {
        Arrival {
            hub: HUB,
            identity_digest: identity_digest(&self.signer.identity),
            identity: self.signer.identity.clone().into(),
            bytes,
            arrived: Arrived { tick: Tick::from_millis(tick), wall: NOW },
        }
    }

    pub(super) async fn send(&self, batch: WireBatch, tick: u64) -> Result<(), IngestRefused> {
        self.ingest.take(self.arrival(to_bytes(&UpMessage::BatchV1(batch)).unwrap(), tick)).await
    }

    pub(super) fn taken(&self) -> Vec<OpenedBatch> {
        std::mem::take(&mut *self.fake.taken.lock().unwrap())
    }
}
