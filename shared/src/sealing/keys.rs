//! What a stream's keys do: seal records, and authenticate batches and receipts.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{SealingError, Suite};
use crate::id::{HubId, StreamId};
use crate::sequence::Sequence;
use crate::wire::SealedRecord;

/// A record's place, which its seal is bound to.
#[derive(Debug, Clone, Copy)]
pub struct RecordPlace {
    /// The stream's suite.
    pub suite: Suite,
    /// The hub.
    pub hub: HubId,
    /// The stream.
    pub stream: StreamId,
    /// The place in it.
    pub sequence: Sequence,
    /// The keep bit.
    pub keep: bool,
}

impl RecordPlace {
    fn associated_data(&self) -> Vec<u8> {
        const VERSION: u8 = 1;
        [
            [VERSION, u8::from(self.suite)].as_slice(),
            self.hub.as_bytes(),
            self.stream.as_bytes(),
            &self.sequence.get().to_be_bytes(),
            &[u8::from(self.keep)],
        ]
        .concat()
    }

    fn nonce(&self, random: [u8; 4]) -> [u8; 12] {
        let mut nonce = [0_u8; 12];
        let counter = self.sequence.get().to_be_bytes();
        for (to, from) in nonce.iter_mut().zip(random.iter().chain(&counter)) {
            *to = *from;
        }
        nonce
    }
}

macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name(pub(super) [u8; 32]);
    };
}

secret_key!(
    /// Seals records: AES-256-GCM. Lives in memory only.
    RecordKey
);
secret_key!(
    /// Authenticates batches. Lives in memory only.
    BatchKey
);
secret_key!(
    /// Authenticates receipts. May be kept on the hub's disk: it can only make the hub delete what lies there.
    ReceiptKey
);

impl RecordKey {
    /// Seals a record at its place. `random` is fresh for every call; a place is used once.
    ///
    /// # Errors
    /// [`SealingError::DoesNotOpen`] if the cipher refuses (a record over 64 GiB).
    pub fn seal(&self, place: &RecordPlace, random: [u8; 4], plaintext: &[u8]) -> Result<SealedRecord, SealingError> {
        let aad = place.associated_data();
        let nonce = Nonce::from(place.nonce(random));
        let sealed = self
            .cipher()
            .encrypt(&nonce, Payload { msg: plaintext, aad: &aad })
            .map_err(|_| SealingError::DoesNotOpen)?;
        Ok(SealedRecord { sequence: place.sequence, keep: place.keep, nonce: random, sealed })
    }

    /// Opens a record of this stream.
    ///
    /// # Errors
    /// [`SealingError::DoesNotOpen`] if it was not sealed by this key for this very place.
    pub fn open(
        &self,
        suite: Suite,
        hub: HubId,
        stream: StreamId,
        record: &SealedRecord,
    ) -> Result<Vec<u8>, SealingError> {
        let place = RecordPlace { suite, hub, stream, sequence: record.sequence, keep: record.keep };
        let aad = place.associated_data();
        let nonce = Nonce::from(place.nonce(record.nonce));
        self.cipher().decrypt(&nonce, Payload { msg: &record.sealed, aad: &aad }).map_err(|_| SealingError::DoesNotOpen)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(self.0))
    }
}

/// An HMAC-SHA-256.
pub type Mac = [u8; 32];

fn hmac(key: &[u8; 32], domain: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    // HMAC takes keys of any length, so the error has no case; a key of zeros then verifies nothing of ours.
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key)
        .unwrap_or_else(|_| <Hmac<Sha256> as KeyInit>::new(&Default::default()));
    mac.update(domain);
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        mac.update(&length.to_be_bytes());
        mac.update(part);
    }
    mac
}

impl BatchKey {
    /// The MAC of a batch's header and records.
    #[must_use]
    pub fn mac(&self, header: &[u8], records: &[u8]) -> Mac {
        hmac(&self.0, b"rpm batch v1", &[header, records]).finalize().into_bytes().into()
    }

    /// Whether the MAC is that of the header and records.
    #[must_use]
    pub fn verifies(&self, header: &[u8], records: &[u8], mac: &Mac) -> bool {
        hmac(&self.0, b"rpm batch v1", &[header, records]).verify_slice(mac).is_ok()
    }
}

impl ReceiptKey {
    /// The key kept as these octets.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its octets, to be kept beside the opening.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The MAC of a receipt's body.
    #[must_use]
    pub fn mac(&self, body: &[u8]) -> Mac {
        hmac(&self.0, b"rpm receipt v1", &[body]).finalize().into_bytes().into()
    }

    /// Whether the MAC is that of the body.
    #[must_use]
    pub fn verifies(&self, body: &[u8], mac: &Mac) -> bool {
        hmac(&self.0, b"rpm receipt v1", &[body]).verify_slice(mac).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(sequence: u64, keep: bool) -> RecordPlace {
        RecordPlace {
            suite: Suite::XWing,
            hub: HubId::from_bytes([1; 16]),
            stream: StreamId::from_bytes([2; 16]),
            sequence: Sequence::new(sequence).unwrap(),
            keep,
        }
    }

    #[test]
    fn a_seal_opens_at_its_place_only() {
        let key = RecordKey([4; 32]);
        let record = key.seal(&place(7, true), [1, 2, 3, 4], b"spo2 97").unwrap();
        let at = place(7, true);
        let open = |record: &SealedRecord| key.open(at.suite, at.hub, at.stream, record);
        assert_eq!(open(&record).unwrap(), b"spo2 97");
        assert!(open(&SealedRecord { sequence: Sequence::new(8).unwrap(), ..record.clone() }).is_err());
        assert!(open(&SealedRecord { keep: false, ..record.clone() }).is_err());
        assert!(open(&SealedRecord { nonce: [0; 4], ..record.clone() }).is_err());
        assert!(key.open(Suite::X25519, at.hub, at.stream, &record).is_err());
        assert!(key.open(at.suite, HubId::from_bytes([9; 16]), at.stream, &record).is_err());
        assert!(key.open(at.suite, at.hub, StreamId::from_bytes([9; 16]), &record).is_err());
        assert!(RecordKey([5; 32]).open(at.suite, at.hub, at.stream, &record).is_err());
    }

    #[test]
    fn macs_tell_parts_apart() {
        let key = BatchKey([4; 32]);
        assert_ne!(key.mac(b"ab", b"c"), key.mac(b"a", b"bc"));
        assert!(key.verifies(b"ab", b"c", &key.mac(b"ab", b"c")));
        assert!(!key.verifies(b"ab", b"d", &key.mac(b"ab", b"c")));
    }

    proptest! {
        #[test]
        fn a_changed_octet_never_opens(text: Vec<u8>, at: prop::sample::Index, change in 1_u8..) {
            let key = RecordKey([4; 32]);
            let mut record = key.seal(&place(1, false), [0; 4], &text).unwrap();
            let at = at.index(record.sealed.len());
            record.sealed[at] ^= change;
            let p = place(1, false);
            prop_assert!(key.open(p.suite, p.hub, p.stream, &record).is_err());
        }
    }
}
