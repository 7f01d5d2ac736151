//! Whatever bytes arrive, reading them ends with a message or a refusal, never a panic: random ones, and golden
//! ones with octets changed, cut off or added.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use shared::enrolment::Enrolment;
use shared::hex;
use shared::sealing::{ReceiptKey, SealingPublic, SealingSecret, Suite, derive_stream};
use shared::wire::{
    self, BatchHeader, DownMessage, Entry, Opening, Receipt, Record, SealedRecord, Settings, SignedOpening,
    SignedReceipt, SignedSettings, UpMessage, WireBatch,
};

/// Reads the bytes as everything that arrives from outside.
fn read_as_everything(bytes: &[u8]) {
    if let Ok(UpMessage::BatchV1(batch)) = wire::from_bytes(bytes) {
        read_batch(&batch);
    }
    if let Ok(batch) = wire::from_bytes::<WireBatch>(bytes) {
        read_batch(&batch);
    }
    if let Ok(DownMessage::ReceiptV1(receipt)) = wire::from_bytes(bytes) {
        read_receipt(&receipt);
    }
    if let Ok(opening) = wire::from_bytes::<SignedOpening>(bytes) {
        let _ = opening.read();
    }
    if let Ok(settings) = wire::from_bytes::<SignedSettings>(bytes) {
        let _ = settings.read();
    }
    if let Ok(receipt) = wire::from_bytes::<SignedReceipt>(bytes) {
        read_receipt(&receipt);
    }
    let _ = wire::from_bytes::<BatchHeader>(bytes);
    let _ = wire::from_bytes::<Vec<SealedRecord>>(bytes);
    let _ = wire::from_bytes::<Opening>(bytes);
    let _ = wire::from_bytes::<Receipt>(bytes);
    let _ = wire::from_bytes::<Settings>(bytes);
    let _ = wire::from_bytes::<SealingPublic>(bytes);
    let _ = wire::from_bytes::<Entry>(bytes);
    let _ = serde_json::from_slice::<Enrolment>(bytes);
    if let Ok(record) = wire::from_bytes::<Record>(bytes) {
        let again = wire::to_bytes(&record).unwrap();
        assert_eq!(wire::from_bytes::<Record>(&again).unwrap(), record);
    }
}

fn read_batch(batch: &WireBatch) {
    if let Ok(read) = batch.read() {
        assert!(!read.records.is_empty() && read.records.len() <= wire::RECORDS_MAX);
        let opening = read.opening.map(|opening| opening.read());
        drop(opening);
    }
}

fn read_receipt(receipt: &SignedReceipt) {
    let _ = receipt.claimed_stream();
    assert!(receipt.verify(&ReceiptKey::from_bytes([0x77; 32])).is_err(), "a receipt nobody made");
}

/// The golden files, to start from messages that are nearly right.
static GOLDEN: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "hex"));
    paths.sort();
    let read = |path| hex::decode(&fs::read_to_string(path).unwrap().replace('\n', "")).unwrap();
    paths.iter().map(read).collect()
});

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn small_numbers(bytes in prop::collection::vec(0_u8..4, 0..200)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn changed_golden_bytes(
        which: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length: prop::sample::Index,
        more in prop::collection::vec(any::<u8>(), 0..3),
        cut: bool,
    ) {
        let mut bytes = GOLDEN[which.index(GOLDEN.len())].clone();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        bytes.extend(more);
        read_as_everything(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn an_encapsulation_from_outside(bytes in prop::collection::vec(any::<u8>(), 0..40), fill: u8, suite: bool) {
        let (suite, length) = if suite { (Suite::XWing, 1120) } else { (Suite::X25519, 32) };
        let secret = SealingSecret::from_seed(suite, [1; 32]);
        let context = shared::sealing::StreamContext {
            hub: shared::id::HubId::from_bytes([1; 16]),
            stream: shared::id::StreamId::from_bytes([2; 16]),
            sealing_key: secret.public().id(),
            identity_digest: [3; 32],
        };
        let _ = derive_stream(&secret, &context, &bytes);
        let mut padded = bytes;
        padded.resize(length, fill);
        let _ = derive_stream(&secret, &context, &padded);
    }
}
