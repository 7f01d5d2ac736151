//! From octets to records, without any I/O: reads a message, checks an opening, opens records.

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use shared::id::{HubId, StreamId};
use shared::sealing::{StreamContext, StreamKeys, Suite, derive_stream, identity_digest};
use shared::time::{ClockState, Timestamp};
use shared::wire::{
    Batch, Entry, MESSAGE_BYTES_MAX, Opening, QuarantineReason, Record, SealedRecord, SignedOpening, UnreadableMessage,
    UpMessage, WireBatch, from_bytes, to_bytes,
};
use zeroize::Zeroizing;

use super::{NewStream, OpenedRecord, SealingKeys};
use crate::store::IdentityKey;

/// DER of a P-256 `SubjectPublicKeyInfo` (RFC 5480) up to its point, which is 65 octets, uncompressed.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Reads a hub's message and checks that its parts fit each other. Nothing in it is to be believed yet.
///
/// # Errors
/// [`UnreadableMessage`] says what is wrong with the octets.
pub fn read(bytes: &[u8]) -> Result<(WireBatch, Batch), UnreadableMessage> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(UnreadableMessage::OverLimit("octets in a message"));
    }
    let UpMessage::BatchV1(wire) = from_bytes(bytes)?;
    let batch = wire.read()?;
    Ok((wire, batch))
}

/// Checks a stream's opening and derives the stream's keys. `identities` are the hub's identity keys with their spans;
/// `presented` is the key of the certificate the hub is connected with, believed now even if the list lacks it;
/// `now` is the server's wall clock, when the opening arrived.
///
/// # Errors
/// Why the stream's records go to quarantine: [`QuarantineReason::BadOpening`] if it is unreadable, not signed by a
/// key of this hub that was good when it was made, of another hub or stream, or its key check does not fit;
/// [`QuarantineReason::CompromisedKey`] if the key was compromised before it arrived;
/// [`QuarantineReason::SealingKeyRetired`] if the server does not hold its sealing key.
pub fn verify_opening(
    signed: &SignedOpening,
    (hub, stream): (HubId, StreamId),
    identities: &[IdentityKey],
    presented: &[u8],
    keys: &SealingKeys,
    now: Timestamp,
) -> Result<(NewStream, StreamKeys), QuarantineReason> {
    let opening = signed.read().map_err(|_| QuarantineReason::BadOpening)?;
    if opening.hub != hub || opening.stream != stream {
        return Err(QuarantineReason::BadOpening);
    }
    let (identity, compromised) = signer(signed, &opening, identities, presented, now)?;
    if compromised.is_some_and(|since| now >= since) {
        return Err(QuarantineReason::CompromisedKey);
    }
    let new = NewStream {
        opening,
        body: signed.body.clone(),
        signature: signed.signature.clone(),
        identity_digest: identity_digest(identity),
    };
    let keys = derive(&new, hub, stream, keys)?;
    Ok((new, keys))
}

/// Derives the keys of a stream from its opening, which was verified here or before it was stored.
///
/// # Errors
/// [`QuarantineReason::SealingKeyRetired`] if the server does not hold the sealing key,
/// [`QuarantineReason::BadOpening`] if the encapsulation is none or the key check does not fit.
pub fn derive(
    new: &NewStream,
    hub: HubId,
    stream: StreamId,
    keys: &SealingKeys,
) -> Result<StreamKeys, QuarantineReason> {
    let opening = &new.opening;
    let secret = keys.get(opening.sealing_key).ok_or(QuarantineReason::SealingKeyRetired)?;
    if secret.suite() != opening.suite {
        return Err(QuarantineReason::BadOpening);
    }
    let context = StreamContext { hub, stream, sealing_key: opening.sealing_key, identity_digest: new.identity_digest };
    let derived = derive_stream(secret, &context, &opening.encapsulation).map_err(|_| QuarantineReason::BadOpening)?;
    // The check is public: there is nothing to learn from how long the comparison takes.
    if derived.check == opening.key_check { Ok(derived) } else { Err(QuarantineReason::BadOpening) }
}

/// The identity key that signed the opening and was good when it was made, and since when it is compromised.
fn signer<'a>(
    signed: &SignedOpening,
    opening: &Opening,
    identities: &'a [IdentityKey],
    presented: &'a [u8],
    now: Timestamp,
) -> Result<(&'a [u8], Option<Timestamp>), QuarantineReason> {
    let message = SignedOpening::signed_bytes(&signed.body);
    let signs = |identity: &[u8]| {
        let point = identity.strip_prefix(&P256_PREFIX)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&message, &signed.signature).ok()
    };
    for key in identities {
        if signs(&key.identity).is_some() {
            let good = covers(key, now) || good_when_made(key, opening);
            return if good { Ok((&key.identity, key.compromised)) } else { Err(QuarantineReason::BadOpening) };
        }
    }
    signs(presented).map(|()| (presented, None)).ok_or(QuarantineReason::BadOpening)
}

fn covers(key: &IdentityKey, at: Timestamp) -> bool {
    key.not_before <= at && at <= key.not_after
}

/// Backlog: the key's span is over, and the opening was made within it as far as the hub's clock can tell. A clock
/// that was not synchronised tells nothing, and the hub itself is vouched for by its present certificate.
fn good_when_made(key: &IdentityKey, opening: &Opening) -> bool {
    opening.clock != ClockState::Synchronised || covers(key, opening.wall)
}

/// Opens a batch's records, each by itself: one that does not open does not hold up the others.
#[must_use]
pub fn open_records(
    keys: &StreamKeys,
    suite: Suite,
    hub: HubId,
    stream: StreamId,
    records: &[SealedRecord],
) -> Vec<OpenedRecord> {
    let open = |record: &SealedRecord| -> Result<Vec<Entry>, QuarantineReason> {
        let plaintext = keys.record.open(suite, hub, stream, record).map_err(|_| QuarantineReason::Damaged)?;
        let plaintext = Zeroizing::new(plaintext);
        let Record::V1(entries) = from_bytes(&plaintext).map_err(|_| QuarantineReason::Unreadable)?;
        Ok(entries)
    };
    records.iter().map(|record| kept(record, open(record))).collect()
}

/// Records of a stream whose keys are not to be had: all go to quarantine as they came.
#[must_use]
pub fn unopened(records: &[SealedRecord], reason: QuarantineReason) -> Vec<OpenedRecord> {
    records.iter().map(|record| kept(record, Err(reason))).collect()
}

fn kept(record: &SealedRecord, content: Result<Vec<Entry>, QuarantineReason>) -> OpenedRecord {
    // Writing what was read has no way to fail.
    let raw = to_bytes(record).unwrap_or_default();
    OpenedRecord { sequence: record.sequence, keep: record.keep, tag: record.tag(), content, raw }
}
