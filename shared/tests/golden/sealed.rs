//! What sealing makes of a fixed seed and fixed entropy, in both suites, and the published vector of RFC 9180 for
//! the construction beneath it.

use std::convert::Infallible;

use hpke::aead::ExportOnlyAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, Serializable, setup_receiver};
use sha2::{Digest, Sha256};
use shared::hex;
use shared::sealing::{RecordPlace, SealingSecret, StreamContext, StreamKeys, Suite, begin_stream, derive_stream};
use shared::wire::{self, SealedRecord};

use super::kept;
use super::samples::{HUB, STREAM, sequence};

const HEADER: &[u8] = b"a header";
const RECORDS: &[u8] = b"some records";
const PLAINTEXT: &[u8] = b"the plaintext of a record";
const BODY: &[u8] = b"the body of a receipt";

/// Not random, and different at every call: SHA-256 over a counter.
struct Counting(u64);

impl TryRng for Counting {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for part in to.chunks_mut(32) {
            self.0 += 1;
            let digest = Sha256::digest(self.0.to_be_bytes());
            part.copy_from_slice(&digest[..part.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Counting {}

fn secret(suite: Suite) -> SealingSecret {
    SealingSecret::from_seed(suite, *b"golden seed, 32 octets, no more.")
}

fn context(suite: Suite) -> StreamContext {
    StreamContext { hub: HUB, stream: STREAM, sealing_key: secret(suite).public().id(), identity_digest: [0x1d; 32] }
}

/// Every name and the bytes the present code makes, for both suites.
pub(crate) fn everything() -> Vec<(String, Vec<u8>)> {
    [Suite::X25519, Suite::XWing].into_iter().flat_map(of_suite).collect()
}

fn of_suite(suite: Suite) -> Vec<(String, Vec<u8>)> {
    let name = |what: &str| format!("sealing-{}-{what}", u8::from(suite));
    let public = secret(suite).public();
    let (encapsulation, keys) = begin_stream(&public, &context(suite), &mut Counting(0)).unwrap();
    let place = RecordPlace { suite, hub: HUB, stream: STREAM, sequence: sequence(258), keep: true };
    let record = keys.record.seal(&place, [9, 8, 7, 6], PLAINTEXT).unwrap();
    vec![
        (name("public"), public.bytes.clone()),
        (name("key-id"), public.id().as_bytes().to_vec()),
        (name("encapsulation"), encapsulation),
        (name("check"), keys.check.to_vec()),
        (name("receipt-key"), keys.receipt.as_bytes().to_vec()),
        (name("record"), wire::to_bytes(&record).unwrap()),
        (name("batch-mac"), keys.batch.mac(HEADER, RECORDS).to_vec()),
        (name("receipt-mac"), keys.receipt.mac(BODY).to_vec()),
    ]
}

fn kept_of(suite: Suite, what: &str) -> Vec<u8> {
    kept(&format!("sealing-{}-{what}", u8::from(suite))).unwrap()
}

fn derived(suite: Suite) -> StreamKeys {
    derive_stream(&secret(suite), &context(suite), &kept_of(suite, "encapsulation")).unwrap()
}

#[test]
fn kept_encapsulations_still_give_the_keys_that_open_kept_records() {
    for suite in [Suite::X25519, Suite::XWing] {
        let keys = derived(suite);
        assert_eq!(keys.check.as_slice(), kept_of(suite, "check"));
        assert_eq!(keys.receipt.as_bytes().as_slice(), kept_of(suite, "receipt-key"));
        let record: SealedRecord = wire::from_bytes(&kept_of(suite, "record")).unwrap();
        assert_eq!(keys.record.open(suite, HUB, STREAM, &record).unwrap(), PLAINTEXT);
        let batch_mac = kept_of(suite, "batch-mac").try_into().unwrap();
        assert!(keys.batch.verifies(HEADER, RECORDS, &batch_mac));
        let receipt_mac = kept_of(suite, "receipt-mac").try_into().unwrap();
        assert!(keys.receipt.verifies(BODY, &receipt_mac));
    }
}

#[test]
fn the_suites_share_nothing() {
    for (name, bytes) in of_suite(Suite::X25519) {
        let other = name.replace("sealing-1-", "sealing-2-");
        assert_ne!(bytes, kept(&other).unwrap(), "{other}");
    }
}

/// RFC 9180, appendix A.7.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, export-only, base mode.
#[test]
fn the_construction_beneath_suite_1_gives_the_values_of_rfc_9180() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let seed = bytes("683ae0da1d22181e74ed2e503ebf82840deb1d5e872cade20f4b458d99783e31");
    let (private, public) = X25519HkdfSha256::derive_keypair(&seed);
    let expected = "194141ca6c3c3beb4792cd97ba0ea1faff09d98435012345766ee33aae2d7664";
    assert_eq!(hex::encode(&public.to_bytes()), expected);
    let encapsulation = bytes("e5e8f9bfff6c2f29791fc351d2c25ce1299aa5eaca78a757c0b4fb4bcd830918");
    let encapsulation = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&encapsulation).unwrap();
    let info = b"Ode on a Grecian Urn";
    let receiver =
        setup_receiver::<ExportOnlyAead, HkdfSha256, X25519HkdfSha256>(&OpModeR::Base, &private, &encapsulation, info)
            .unwrap();
    let exports = [
        ("", "7a36221bd56d50fb51ee65edfd98d06a23c4dc87085aa5866cb7087244bd2a36"),
        ("00", "d5535b87099c6c3ce80dc112a2671c6ec8e811a2f284f948cec6dd1708ee33f0"),
        ("54657374436f6e74657874", "ffaabc85a776136ca0c378e5d084c9140ab552b78f039d2e8775f26efff4c70e"),
    ];
    for (context, expected) in exports {
        let mut exported = [0; 32];
        receiver.export(&bytes(context), &mut exported).unwrap();
        assert_eq!(hex::encode(&exported), expected, "exporter context {context}");
    }
}
