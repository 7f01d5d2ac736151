//! What the server tells a hub to do: fetched over the HTTPS door, signed by the server's control key.

use serde::{Deserialize, Serialize};

use super::{BINDINGS_MAX, BindingInForce, UnreadableMessage, from_bytes};
use crate::id::HubId;
use crate::sealing::SealingPublic;
use crate::time::Timestamp;

/// A hub's settings. The counter only grows; a hub stores it before it obeys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// For this hub alone.
    pub hub: HubId,
    /// Grows with every change.
    pub counter: u64,
    /// When they were made.
    pub issued: Timestamp,
    /// The whole table of bindings in force.
    pub bindings: Vec<BindingInForce>,
    /// The key new streams are sealed to.
    pub sealing_key: SealingPublic,
}

/// Settings as they travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedSettings {
    /// postcard of [`Settings`].
    pub body: Vec<u8>,
    /// Ed25519 over [`SignedSettings::signed_bytes`], by the server's control key; 64 octets.
    pub signature: Vec<u8>,
}

impl SignedSettings {
    /// What the signature covers: the domain and every byte of the body.
    #[must_use]
    pub fn signed_bytes(body: &[u8]) -> Vec<u8> {
        [b"rpm settings v1".as_slice(), body].concat()
    }

    /// Reads the body. The signature is the caller's to check, over the same bytes.
    ///
    /// # Errors
    /// [`UnreadableMessage`] if the body is none, or over a limit.
    pub fn read(&self) -> Result<Settings, UnreadableMessage> {
        let settings: Settings = from_bytes(&self.body)?;
        if settings.bindings.len() > BINDINGS_MAX {
            return Err(UnreadableMessage::OverLimit("bindings"));
        }
        Ok(settings)
    }
}
