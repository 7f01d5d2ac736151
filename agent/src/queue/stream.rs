//! How a stream begins: HPKE to the server's sealing key, an opening signed by the hub's identity key.

use std::sync::Arc;

use shared::id::{BootId, HubId, StreamId};
use shared::observation::Captured;
use shared::sealing::{SealingPublic, StreamContext, begin_stream, identity_digest};
use shared::sequence::Sequence;
use shared::wire::{BindingInForce, Opening, PreviousStream, SignedOpening, to_bytes};

use super::Run;
use super::ledger::StreamRow;
use super::seal::{CannotSeal, LivingStream};
use crate::identity::Identity;

/// What a stream is opened with.
pub struct Openers<'a> {
    /// The hub.
    pub hub: HubId,
    /// Its key.
    pub identity: &'a Identity,
    /// The server's sealing key.
    pub sealing_key: &'a SealingPublic,
    /// The bindings in force.
    pub bindings: &'a [BindingInForce],
    /// The youngest stream before and its last durable sequence.
    pub previous: Option<(StreamId, u64)>,
    /// The machine's boot.
    pub boot: BootId,
    /// Now.
    pub at: Captured,
}

/// Makes a stream; its ordinal is set when the shelf has it.
///
/// # Errors
/// [`CannotSeal`].
pub fn begin(openers: &Openers<'_>) -> Result<LivingStream, CannotSeal> {
    let stream = StreamId::from_bytes(runtime::entropy::array()?);
    let context = StreamContext {
        hub: openers.hub,
        stream,
        sealing_key: openers.sealing_key.id(),
        identity_digest: identity_digest(openers.identity.subject_public_key_info()),
    };
    let (encapsulation, keys) = begin_stream(openers.sealing_key, &context, &mut runtime::entropy::rng())?;
    let opening = Opening {
        suite: openers.sealing_key.suite,
        hub: openers.hub,
        stream,
        previous: openers.previous.map(|(stream, last_durable)| PreviousStream { stream, last_durable }),
        bindings: openers.bindings.to_vec(),
        sealing_key: context.sealing_key,
        encapsulation,
        key_check: keys.check,
        boot: openers.boot,
        tick: openers.at.tick,
        wall: openers.at.wall,
        clock: openers.at.clock,
        agent_version: env!("CARGO_PKG_VERSION").chars().take(32).collect(),
    };
    let body = to_bytes(&opening).map_err(|_| CannotSeal::Exhausted)?;
    let signature = openers.identity.sign(&SignedOpening::signed_bytes(&body))?;
    let opening = SignedOpening { body, signature };
    let row = StreamRow { stream, opening: opening.clone(), receipt_key: *keys.receipt.as_bytes() };
    Ok(LivingStream {
        ordinal: 0,
        row,
        run: Arc::new(Run { stream, opening, batch: Some(keys.batch) }),
        since: openers.at.tick,
        hub: openers.hub,
        suite: openers.sealing_key.suite,
        key: keys.record,
        next: Some(Sequence::FIRST),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    use shared::sealing::{SealingSecret, Suite, derive_stream};
    use shared::time::{ClockState, Tick, Timestamp};
    use shared::wire::{Entry, Record, from_bytes};

    #[test]
    fn the_server_opens_what_is_sealed_and_the_opening_is_signed() {
        let identity = Identity::generate().unwrap();
        let secret = SealingSecret::from_seed(Suite::XWing, [4; 32]);
        let hub = HubId::from_bytes([1; 16]);
        let at = Captured { tick: Tick::from_millis(5), wall: Timestamp::from_millis(6), clock: ClockState::NeverSet };
        let mut living = begin(&Openers {
            hub,
            identity: &identity,
            sealing_key: &secret.public(),
            bindings: &[],
            previous: Some((StreamId::from_bytes([8; 16]), 17)),
            boot: BootId::from_bytes([2; 16]),
            at,
        })
        .unwrap();
        let entries = vec![Entry::Void(shared::sequence::Range::one(Sequence::FIRST))];
        let first = living.seal(&entries, true).unwrap();
        let second = living.seal(&entries, false).unwrap();
        assert_eq!((first.sequence.get(), second.sequence.get()), (1, 2));

        let signed = &living.run.opening;
        let point = &identity.subject_public_key_info()[26..];
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(&SignedOpening::signed_bytes(&signed.body), &signed.signature)
            .unwrap();
        let opening = signed.read().unwrap();
        assert_eq!(opening.previous.unwrap().last_durable, 17);
        let context = StreamContext {
            hub,
            stream: opening.stream,
            sealing_key: opening.sealing_key,
            identity_digest: identity_digest(identity.subject_public_key_info()),
        };
        let keys = derive_stream(&secret, &context, &opening.encapsulation).unwrap();
        assert_eq!(keys.check, opening.key_check);
        let plain = keys.record.open(Suite::XWing, hub, opening.stream, &second).unwrap();
        assert_eq!(from_bytes::<Record>(&plain).unwrap(), Record::V1(entries));
    }
}
