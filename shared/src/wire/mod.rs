//! The wire: what hub and server say to each other. Every message is postcard of an enum whose variant is its
//! version; enums are append-only, because postcard writes a variant's place. `tests/golden.rs` holds the exact
//! bytes of every version for ever.

mod batch;
mod opening;
mod receipt;
mod record;
mod settings;

use serde::{Deserialize, Serialize};

pub use batch::{Batch, BatchHeader, SealedRecord, WireBatch};
pub use opening::{BindingInForce, Opening, PreviousStream, SignedOpening};
pub use receipt::{QuarantineReason, Quarantined, Receipt, SignedReceipt, UnreadableReceipt};
pub use record::{Boot, ClockFix, DeviceState, DeviceStatus, Entry, HubStatus, Loss, LossCause, LossExtent, Record};
pub use settings::{Settings, SignedSettings};

use crate::id::StreamId;

/// Largest message, in octets; a larger one closes the connection.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Most records in one batch; more make the batch unreadable.
pub const RECORDS_MAX: usize = 512;
/// Largest sealed record, in octets; a record closes long before (2 KiB of entries).
pub const RECORD_BYTES_MAX: usize = 16 * 1024;
/// Most bindings in force on one hub; a further one is refused by the server.
pub const BINDINGS_MAX: usize = 64;
/// Most ranges in one receipt; the lowest that matter go first, the rest in the next.
pub const RANGES_MAX: usize = 512;

/// Bytes that are not a message of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableMessage {
    /// Not postcard of the expected shape, or a version this build does not know.
    #[error("not a message of a known version")]
    Shape,
    /// Bytes were left over after the message.
    #[error("bytes left over after the message")]
    TrailingBytes,
    /// Over one of the limits of this module.
    #[error("over the limit for {0}")]
    OverLimit(&'static str),
    /// Two parts of the message contradict each other.
    #[error("{0} does not fit the rest of the message")]
    Contradiction(&'static str),
}

/// Hub to server, on `hubs/{hub}/up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpMessage {
    /// Records of one stream.
    BatchV1(WireBatch),
}

/// Server to hub, on `hubs/{hub}/down`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownMessage {
    /// What is stored.
    ReceiptV1(SignedReceipt),
    /// The server does not know the stream: send its opening with the next batch.
    OpeningWantedV1(StreamId),
    /// Settings with this counter are waiting at the HTTPS door.
    SettingsWaitingV1(u64),
}

/// Writes a message.
///
/// # Errors
/// [`UnreadableMessage::Shape`] if it cannot be written (it always can: the types hold nothing unwritable).
pub fn to_bytes<T: Serialize>(message: &T) -> Result<Vec<u8>, UnreadableMessage> {
    postcard::to_stdvec(message).map_err(|_| UnreadableMessage::Shape)
}

/// Reads a message that fills `bytes` exactly.
///
/// # Errors
/// [`UnreadableMessage`] says what is wrong with the bytes.
pub fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, UnreadableMessage> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok(_) => Err(UnreadableMessage::TrailingBytes),
        Err(_) => Err(UnreadableMessage::Shape),
    }
}
