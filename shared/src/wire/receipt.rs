//! What the server says is stored. A hub releases records on nothing else.

use serde::{Deserialize, Serialize};

use super::{RANGES_MAX, UnreadableMessage, from_bytes, to_bytes};
use crate::id::{HubId, StoreId, StreamId};
use crate::sealing::{Mac, ReceiptKey};
use crate::sequence::{Range, Ranges};
use crate::time::Timestamp;

/// A committed transaction's answer for one stream of one hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The store's life; a new one makes the hub send again what it still holds.
    pub store: StoreId,
    /// Grows with every receipt the server makes in this life of the store.
    pub number: u64,
    /// Whose.
    pub hub: HubId,
    /// Which stream.
    pub stream: StreamId,
    /// Whether the server holds the stream's opening.
    pub known: bool,
    /// Committed and synced.
    pub stored: Ranges,
    /// Kept raw because they could not be opened, and why.
    pub quarantined: Vec<Quarantined>,
    /// Up to here, everything is also in a verified backup or a replica; 0 if nothing is.
    pub safe: u64,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// Sequences in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Which.
    pub range: Range,
    /// Why.
    pub reason: QuarantineReason,
}

/// Why records are in quarantine. Append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    /// The seal does not open: damaged on the disk or on the way.
    Damaged,
    /// It opens, and what is inside is not a record of a known version.
    Unreadable,
    /// The server's sealing key of the stream is retired or unknown.
    SealingKeyRetired,
    /// The opening is unreadable, unsigned, or its key check does not fit.
    BadOpening,
    /// The same stream and sequence came with another tag.
    Conflict,
    /// Two streams of one hub advance at once.
    ClonedHub,
    /// The hub's key was revoked as compromised when the stream began.
    CompromisedKey,
}

impl QuarantineReason {
    /// Its name in JSON, storage and gauges.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::SealingKeyRetired => "sealing_key_retired",
            Self::BadOpening => "bad_opening",
            Self::Conflict => "conflict",
            Self::ClonedHub => "cloned_hub",
            Self::CompromisedKey => "compromised_key",
        }
    }
}

/// A receipt as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    /// postcard of [`Receipt`].
    pub body: Vec<u8>,
    /// HMAC-SHA-256 under the stream's receipt key.
    pub mac: Mac,
}

/// Why a receipt is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableReceipt {
    /// Not a receipt.
    #[error(transparent)]
    Message(#[from] UnreadableMessage),
    /// Not made by the server that holds the stream's key.
    #[error("the receipt's MAC does not fit")]
    Forged,
}

impl SignedReceipt {
    /// Writes and MACs a receipt.
    ///
    /// # Errors
    /// [`UnreadableMessage`] if it is over a limit.
    pub fn new(receipt: &Receipt, key: &ReceiptKey) -> Result<Self, UnreadableMessage> {
        if receipt.stored.range_count() > RANGES_MAX || receipt.quarantined.len() > RANGES_MAX {
            return Err(UnreadableMessage::OverLimit("ranges in a receipt"));
        }
        let body = to_bytes(receipt)?;
        let mac = key.mac(&body);
        Ok(Self { body, mac })
    }

    /// Which stream it claims to be for, to find the key to check it with. Not to be believed before.
    ///
    /// # Errors
    /// [`UnreadableMessage`] if the body is no receipt.
    pub fn claimed_stream(&self) -> Result<StreamId, UnreadableMessage> {
        from_bytes::<Receipt>(&self.body).map(|receipt| receipt.stream)
    }

    /// Checks the MAC and reads the receipt.
    ///
    /// # Errors
    /// [`UnreadableReceipt`] says why it must be ignored.
    pub fn verify(&self, key: &ReceiptKey) -> Result<Receipt, UnreadableReceipt> {
        if !key.verifies(&self.body, &self.mac) {
            return Err(UnreadableReceipt::Forged);
        }
        let receipt: Receipt = from_bytes(&self.body)?;
        if receipt.stored.range_count() > RANGES_MAX || receipt.quarantined.len() > RANGES_MAX {
            return Err(UnreadableMessage::OverLimit("ranges in a receipt").into());
        }
        Ok(receipt)
    }
}
