//! A stream's first word.

use serde::{Deserialize, Serialize};

use super::{BINDINGS_MAX, UnreadableMessage, from_bytes};
use crate::id::{BindingId, BootId, DeviceId, HubId, SealingKeyId, StreamId};
use crate::sealing::Suite;
use crate::time::{ClockState, Tick, Timestamp};

/// Everything the server needs to derive a stream's keys again and to place the stream after its predecessor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// How the stream is sealed.
    pub suite: Suite,
    /// Whose it is.
    pub hub: HubId,
    /// Its name.
    pub stream: StreamId,
    /// The stream before it, if the hub remembers one.
    pub previous: Option<PreviousStream>,
    /// The bindings in force; a change of them ends the stream.
    pub bindings: Vec<BindingInForce>,
    /// The server key it is sealed to.
    pub sealing_key: SealingKeyId,
    /// HPKE's encapsulated key (1,120 octets in suite 2, 32 in suite 1).
    pub encapsulation: Vec<u8>,
    /// The key check: both ends derive it, so a wrong key is found before the first record.
    pub key_check: [u8; 16],
    /// The hub's boot.
    pub boot: BootId,
    /// The hub's monotonic clock when the stream began.
    pub tick: Tick,
    /// Its wall clock then.
    pub wall: Timestamp,
    /// How far to believe the wall clock.
    pub clock: ClockState,
    /// The agent's version, at most 32 octets.
    pub agent_version: String,
}

/// The stream before, and how far it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousStream {
    /// Its name.
    pub stream: StreamId,
    /// The last sequence that was durable on the hub; 0 if none was.
    pub last_durable: u64,
}

/// A row of the table of bindings: readings of this device and slot carry this binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingInForce {
    /// The binding.
    pub binding: BindingId,
    /// The device.
    pub device: DeviceId,
    /// The user slot; `None` for a device that knows none.
    pub slot: Option<u8>,
}

/// An opening as it travels: its exact bytes and the hub's signature over them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOpening {
    /// postcard of [`Opening`].
    pub body: Vec<u8>,
    /// ECDSA P-256 with SHA-256 over [`SignedOpening::signed_bytes`], ASN.1 DER, by the hub's identity key.
    pub signature: Vec<u8>,
}

impl SignedOpening {
    /// What the signature covers: the domain and every byte of the body.
    #[must_use]
    pub fn signed_bytes(body: &[u8]) -> Vec<u8> {
        [b"rpm opening v1".as_slice(), body].concat()
    }

    /// Reads the body. The signature is the caller's to check, over the same bytes.
    ///
    /// # Errors
    /// [`UnreadableMessage`] if the body is none, or over a limit.
    pub fn read(&self) -> Result<Opening, UnreadableMessage> {
        let opening: Opening = from_bytes(&self.body)?;
        if opening.bindings.len() > BINDINGS_MAX {
            return Err(UnreadableMessage::OverLimit("bindings"));
        }
        if opening.agent_version.len() > 32 {
            return Err(UnreadableMessage::OverLimit("agent version"));
        }
        Ok(opening)
    }
}
