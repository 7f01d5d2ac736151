//! Somebody has the hub's whole disk, or listens behind TLS. Neither reads anything.

use std::collections::BTreeSet;
use std::time::Duration;

use agent::identity;
use agent::queue::{Lent, Question};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use runtime::clock::ManualClock;
use shared::id::{HubId, StreamId};
use shared::metric::Metric;
use shared::sealing::{SealingSecret, StreamContext, Suite, derive_stream, identity_digest};
use shared::units::{Decimal, Unit};
use shared::wire::{SealedRecord, SignedOpening, UpMessage, WireBatch, to_bytes};
use tokio::sync::oneshot;

use crate::backlog::Queue;
use crate::disk;
use crate::planted;

const READINGS: u32 = 12;

struct Stolen {
    folder: tempfile::TempDir,
    hub: HubId,
    secret: SealingSecret,
    sent: Vec<Vec<u8>>,
}

fn connected(queue: &mut Queue) {
    let (answer, mut answered) = oneshot::channel();
    let at = queue.clock.now();
    queue.owner.answer(Question::Connected(true, answer), at);
    assert!(answered.try_recv().is_ok());
}

fn message(hub: HubId, queue: &Queue, lent: &Lent) -> Vec<u8> {
    let run = &lent.run;
    let sent = run.batch.as_ref().map(|key| (queue.clock.now().tick, key));
    let batch = WireBatch::new(hub, run.stream, sent, Some(run.opening.clone()), &lent.records).unwrap();
    to_bytes(&UpMessage::BatchV1(batch)).unwrap()
}

/// A hub that took the planted value a dozen times, half of it sent live, and then lost power.
fn stolen() -> Stolen {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let hub = identity::create(&at("key.pem"), &at("hub.csr"), false).unwrap();
    let secret = SealingSecret::from_seed(Suite::XWing, [0x5a; 32]);
    let clock = ManualClock::default();
    let mut queue = Queue::open(&at("state/queue"), hub, &at("key.pem"), secret.public(), Vec::new(), clock.clone());
    let mut sent = Vec::new();
    for number in 0..READINGS {
        if number == READINGS / 2 {
            connected(&mut queue);
        }
        let value = Decimal::new(planted::MANTISSA, planted::EXPONENT);
        queue.take("scale", Metric::Weight, value, Unit::Kilogram);
        clock.advance(Duration::from_secs(61));
        queue.owner.turn(clock.now());
        while let Ok(lent) = queue.live.try_recv() {
            sent.push(message(hub, &queue, &lent));
        }
    }
    assert_eq!(queue.status.borrow().accepted_observations, u64::from(READINGS));
    queue.close();
    Stolen { folder, hub, secret, sent }
}

/// What a thief finds when they open the queue as the agent does.
fn records(stolen: &Stolen) -> Vec<(StreamId, SignedOpening, SealedRecord)> {
    let folder = stolen.folder.path();
    let streams = disk::streams(&folder.join("state/queue"), &folder.join("copy"));
    let records = streams.into_iter().flat_map(|on_disk| {
        let (stream, opening) = (on_disk.stream, on_disk.opening);
        on_disk.records.into_iter().map(move |record| (stream, opening.clone(), record))
    });
    records.collect()
}

/// Whether a key opens a record: what a thief would try, by the published format.
fn opens(key: &[u8], hub: HubId, stream: StreamId, record: &SealedRecord) -> bool {
    let place = record.sequence.get().to_be_bytes();
    let head = [1, u8::from(Suite::XWing)];
    let aad = [&head, hub.as_bytes().as_slice(), stream.as_bytes(), &place, &[u8::from(record.keep)]].concat();
    let nonce: [u8; 12] = [record.nonce.as_slice(), &place].concat().try_into().unwrap();
    let Ok(key) = UnboundKey::new(&AES_256_GCM, key) else { return false };
    let mut sealed = record.sealed.clone();
    LessSafeKey::new(key).open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed).is_ok()
}

#[test]
fn a_copy_of_the_hubs_whole_disk_opens_no_record() {
    let stolen = stolen();
    let records = records(&stolen);
    assert!(records.len() >= READINGS as usize, "{} records", records.len());
    let (stream, opening, record) = &records[0];
    // With the server's secret the same record opens: so the trial below would succeed if a key were there.
    let read = opening.read().unwrap();
    let identity = identity::Identity::load(&stolen.folder.path().join("key.pem")).unwrap();
    let context = StreamContext {
        hub: stolen.hub,
        stream: *stream,
        sealing_key: read.sealing_key,
        identity_digest: identity_digest(identity.subject_public_key_info()),
    };
    let keys = derive_stream(&stolen.secret, &context, &read.encapsulation).unwrap();
    let plain = keys.record.open(Suite::XWing, stolen.hub, *stream, record).unwrap();
    assert!(planted::holds(&plain, &planted::clinical()), "the planted value is in the record");
    // Every 32 octets at every place of every file of the disk, tried as the key.
    let mut tried = BTreeSet::new();
    for (_, bytes) in planted::files(stolen.folder.path()) {
        tried.extend(bytes.windows(32).filter(|window| window.iter().any(|byte| *byte != 0)).map(<[u8]>::to_vec));
    }
    assert!(tried.len() > 5_000, "{} keys tried", tried.len());
    for key in &tried {
        assert!(!opens(key, stolen.hub, *stream, record), "the disk holds the key of a record");
    }
    // What the hub knows besides: its own key does not derive the stream's.
    let pem = std::fs::read(stolen.folder.path().join("key.pem")).unwrap();
    for seed in pem.windows(32).take(64) {
        let secret = SealingSecret::from_seed(Suite::XWing, seed.try_into().unwrap());
        let derived = derive_stream(&secret, &context, &read.encapsulation);
        let opened = derived.and_then(|keys| keys.record.open(Suite::XWing, stolen.hub, *stream, record));
        assert!(opened.is_err());
    }
}

#[test]
fn trying_keys_finds_the_right_one() {
    let hub = HubId::from_bytes([1; 16]);
    let stream = StreamId::from_bytes([2; 16]);
    let sequence = shared::sequence::Sequence::new(7).unwrap();
    let key = [9_u8; 32];
    let place = sequence.get().to_be_bytes();
    let aad = [&[1, u8::from(Suite::XWing)], hub.as_bytes().as_slice(), stream.as_bytes(), &place, &[1]].concat();
    let nonce: [u8; 12] = [[3_u8; 4].as_slice(), &place].concat().try_into().unwrap();
    let mut sealed = b"reading".to_vec();
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap())
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
        .unwrap();
    let record = SealedRecord { sequence, keep: true, nonce: [3; 4], sealed };
    assert!(opens(&key, hub, stream, &record));
    assert!(!opens(&[8; 32], hub, stream, &record));
}

#[test]
fn queue_and_broker_traffic_hold_nothing_in_clear() {
    let stolen = stolen();
    assert!(!stolen.sent.is_empty(), "something was sent");
    for sent in &stolen.sent {
        planted::look("a batch", sent, &planted::clinical());
        planted::look("a batch", sent, &planted::identity());
    }
    let files = planted::files(&stolen.folder.path().join("state"));
    assert!(files.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 1000);
    for (place, bytes) in files {
        planted::look(&place, &bytes, &planted::clinical());
        planted::look(&place, &bytes, &planted::identity());
    }
}
