//! Sealing: how a stream's keys are made, and what they are used for.
//!
//! One HPKE encapsulation (RFC 9180, base mode, HKDF-SHA-256, export-only) per stream gives four exports:
//! `record` seals records (AES-256-GCM), `batch` and `receipt` authenticate (HMAC-SHA-256), `check` shows that
//! both ends have the same. Suite 2 uses the hybrid KEM X-Wing (X25519 and ML-KEM-768), suite 1 X25519 alone.
//!
//! Pure: entropy comes in as an argument.

mod keys;

use std::fmt;

use hpke::aead::ExportOnlyAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::{X25519HkdfSha256, XWing};
pub use hpke::rand_core::CryptoRng;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender_with_rng};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::id::{HubId, SealingKeyId, StreamId};
pub use keys::{BatchKey, Mac, ReceiptKey, RecordKey, RecordPlace};

/// Octets the seal adds to a record: the GCM tag.
pub const SEAL_OVERHEAD: usize = 16;

/// How a stream is sealed. The number is part of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Suite {
    /// 1: DHKEM(X25519, HKDF-SHA-256), for targets that cannot build the other.
    X25519,
    /// 2: X-Wing.
    XWing,
}

/// A suite number nobody defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealing suite {0} is not known")]
pub struct UnknownSuite(u8);

impl From<Suite> for u8 {
    fn from(suite: Suite) -> Self {
        match suite {
            Suite::X25519 => 1,
            Suite::XWing => 2,
        }
    }
}

impl TryFrom<u8> for Suite {
    type Error = UnknownSuite;
    fn try_from(number: u8) -> Result<Self, UnknownSuite> {
        match number {
            1 => Ok(Self::X25519),
            2 => Ok(Self::XWing),
            other => Err(UnknownSuite(other)),
        }
    }
}

/// Why keys cannot be made or a seal does not open. It says nothing more, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// A public key or an encapsulation is not one.
    #[error("the sealing key or encapsulation is malformed")]
    MalformedKey,
    /// The bytes were not sealed by this key for this place.
    #[error("the seal does not open")]
    DoesNotOpen,
}

/// The server's sealing key, public half: what hubs seal to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingPublic {
    /// The suite it is for.
    pub suite: Suite,
    /// The KEM's encoding: 32 octets in suite 1, 1,216 in suite 2.
    pub bytes: Vec<u8>,
}

impl SealingPublic {
    /// Its identity: SHA-256 over suite number and bytes, the first 16 octets.
    #[must_use]
    pub fn id(&self) -> SealingKeyId {
        let digest = Sha256::new().chain_update([u8::from(self.suite)]).chain_update(&self.bytes).finalize();
        SealingKeyId::from_bytes(digest.first_chunk::<16>().copied().unwrap_or_default())
    }
}

impl fmt::Debug for SealingPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublic({:?}, {})", self.suite, self.id())
    }
}

/// The server's sealing key, private half, as the seed it is derived from (RFC 9180 §7.1.3 `DeriveKeyPair`).
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SealingSecret {
    #[zeroize(skip)]
    suite: Suite,
    seed: [u8; 32],
}

impl SealingSecret {
    /// The key of this seed: 32 octets of entropy.
    #[must_use]
    pub const fn from_seed(suite: Suite, seed: [u8; 32]) -> Self {
        Self { suite, seed }
    }

    /// The seed, to be kept sealed.
    #[must_use]
    pub const fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Its suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SealingPublic {
        let bytes = match self.suite {
            Suite::X25519 => X25519HkdfSha256::derive_keypair(&self.seed).1.to_bytes().to_vec(),
            Suite::XWing => XWing::derive_keypair(&self.seed).1.to_bytes().to_vec(),
        };
        SealingPublic { suite: self.suite, bytes }
    }
}

/// What a stream's keys are bound to.
#[derive(Debug, Clone, Copy)]
pub struct StreamContext {
    /// The hub.
    pub hub: HubId,
    /// The stream.
    pub stream: StreamId,
    /// The server key.
    pub sealing_key: SealingKeyId,
    /// SHA-256 of the hub's identity public key (its DER SubjectPublicKeyInfo).
    pub identity_digest: [u8; 32],
}

impl StreamContext {
    fn info(&self) -> Vec<u8> {
        [
            b"rpm stream v1".as_slice(),
            self.hub.as_bytes(),
            self.stream.as_bytes(),
            self.sealing_key.as_bytes(),
            &self.identity_digest,
        ]
        .concat()
    }
}

/// SHA-256 of a hub's identity public key (DER SubjectPublicKeyInfo), for [`StreamContext`].
#[must_use]
pub fn identity_digest(subject_public_key_info: &[u8]) -> [u8; 32] {
    Sha256::digest(subject_public_key_info).into()
}

/// A stream's keys. They cannot be copied, printed or written, and are wiped when dropped.
pub struct StreamKeys {
    /// Seals records.
    pub record: RecordKey,
    /// Authenticates batches and so their age.
    pub batch: BatchKey,
    /// Authenticates receipts. The hub keeps it on disk.
    pub receipt: ReceiptKey,
    /// The key check, which is public.
    pub check: [u8; 16],
}

impl StreamKeys {
    fn from_exports(
        mut export: impl FnMut(&[u8], &mut [u8]) -> Result<(), hpke::HpkeError>,
    ) -> Result<Self, SealingError> {
        let mut key = |label: &[u8]| {
            let mut bytes = Zeroizing::new([0_u8; 32]);
            export(label, bytes.as_mut_slice()).map_err(|_| SealingError::MalformedKey)?;
            Ok::<_, SealingError>(bytes)
        };
        let (record, batch, receipt) = (key(b"record")?, key(b"batch")?, key(b"receipt")?);
        let mut check = [0_u8; 16];
        export(b"check", &mut check).map_err(|_| SealingError::MalformedKey)?;
        Ok(Self { record: RecordKey(*record), batch: BatchKey(*batch), receipt: ReceiptKey(*receipt), check })
    }
}

/// Hub: makes a stream's keys and the encapsulation from which the server alone can make them again.
///
/// # Errors
/// [`SealingError::MalformedKey`] if the server's public key is none.
pub fn begin_stream(
    to: &SealingPublic,
    context: &StreamContext,
    entropy: &mut impl CryptoRng,
) -> Result<(Vec<u8>, StreamKeys), SealingError> {
    match to.suite {
        Suite::X25519 => begin::<X25519HkdfSha256>(&to.bytes, context, entropy),
        Suite::XWing => begin::<XWing>(&to.bytes, context, entropy),
    }
}

fn begin<K: Kem>(
    public: &[u8],
    context: &StreamContext,
    entropy: &mut impl CryptoRng,
) -> Result<(Vec<u8>, StreamKeys), SealingError> {
    let public = K::PublicKey::from_bytes(public).map_err(|_| SealingError::MalformedKey)?;
    let info = context.info();
    let (encapsulation, sender) =
        setup_sender_with_rng::<ExportOnlyAead, HkdfSha256, K>(&OpModeS::Base, &public, &info, entropy)
            .map_err(|_| SealingError::MalformedKey)?;
    let keys = StreamKeys::from_exports(|label, out| sender.export(label, out))?;
    Ok((encapsulation.to_bytes().to_vec(), keys))
}

/// Server: makes a stream's keys again.
///
/// # Errors
/// [`SealingError::MalformedKey`] if the encapsulation is none.
pub fn derive_stream(
    secret: &SealingSecret,
    context: &StreamContext,
    encapsulation: &[u8],
) -> Result<StreamKeys, SealingError> {
    match secret.suite {
        Suite::X25519 => derive::<X25519HkdfSha256>(&secret.seed, context, encapsulation),
        Suite::XWing => derive::<XWing>(&secret.seed, context, encapsulation),
    }
}

fn derive<K: Kem>(seed: &[u8; 32], context: &StreamContext, encapsulation: &[u8]) -> Result<StreamKeys, SealingError> {
    let (private, _) = K::derive_keypair(seed);
    let encapsulation = K::EncappedKey::from_bytes(encapsulation).map_err(|_| SealingError::MalformedKey)?;
    let info = context.info();
    let receiver = setup_receiver::<ExportOnlyAead, HkdfSha256, K>(&OpModeR::Base, &private, &encapsulation, &info)
        .map_err(|_| SealingError::MalformedKey)?;
    StreamKeys::from_exports(|label, out| receiver.export(label, out))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not random: the same octets every time, so tests repeat.
    pub(super) struct Repeating(u8);

    impl hpke::rand_core::TryRng for Repeating {
        type Error = std::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Ok(u32::from(self.0))
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Ok(u64::from(self.0))
        }
        fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
            to.fill(self.0);
            Ok(())
        }
    }
    impl hpke::rand_core::TryCryptoRng for Repeating {}

    fn context(secret: &SealingSecret) -> StreamContext {
        StreamContext {
            hub: HubId::from_bytes([1; 16]),
            stream: StreamId::from_bytes([2; 16]),
            sealing_key: secret.public().id(),
            identity_digest: [3; 32],
        }
    }

    #[test]
    fn the_server_alone_makes_the_keys_again() {
        for (suite, length) in [(Suite::X25519, 32), (Suite::XWing, 1120)] {
            let secret = SealingSecret::from_seed(suite, [9; 32]);
            let context = context(&secret);
            let (encapsulation, hub) = begin_stream(&secret.public(), &context, &mut Repeating(5)).unwrap();
            assert_eq!(encapsulation.len(), length);
            let server = derive_stream(&secret, &context, &encapsulation).unwrap();
            assert_eq!(hub.check, server.check);
            assert_eq!(hub.receipt.as_bytes(), server.receipt.as_bytes());

            let other = SealingSecret::from_seed(suite, [8; 32]);
            assert_ne!(derive_stream(&other, &context, &encapsulation).unwrap().check, hub.check);
            let elsewhere = StreamContext { hub: HubId::from_bytes([7; 16]), ..context };
            assert_ne!(derive_stream(&secret, &elsewhere, &encapsulation).unwrap().check, hub.check);
            assert!(derive_stream(&secret, &context, &encapsulation[1..]).is_err());
        }
    }
}
