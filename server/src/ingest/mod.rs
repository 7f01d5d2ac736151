//! From a hub's bytes to a batch the store can take, and back to the hub with a receipt. [`open`] is the I/O-free
//! part, [`Ingest`] finds keys and has batches committed, [`receipts`] says what is committed.

mod conflicts;
pub mod counters;
pub mod limits;
pub mod open;
mod ports;
pub mod rate;
pub mod receipts;
mod sealing_keys;
mod streams;
mod take;
pub mod transit;

pub use conflicts::without_conflicts;
pub use ports::{Down, TakeFailed, Takes};
pub use sealing_keys::SealingKeys;
pub use streams::{StreamKey, StreamState, Streams};
pub use take::{Ingest, IngestRefused};

use shared::id::{HubId, StreamId};
use shared::sequence::Sequence;
use shared::time::{Tick, Timestamp};
use shared::wire::{Entry, Opening, QuarantineReason};

/// The server's clocks when a message arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Monotonic.
    pub tick: Tick,
    /// Wall.
    pub wall: Timestamp,
}

/// A batch whose seals were tried: what the store takes into one savepoint.
#[derive(Debug, Clone)]
pub struct OpenedBatch {
    /// The hub, by its certificate.
    pub hub: HubId,
    /// The stream.
    pub stream: StreamId,
    /// The stream's opening, verified, where this batch brought one the store does not hold yet.
    pub new_stream: Option<NewStream>,
    /// The hub's monotonic clock at sending; `None` if no valid MAC vouches for it, so ages are unknown.
    pub sent: Option<Tick>,
    /// How long the message was under way beyond the quickest of its stream, as far as can be told.
    pub transit_ms: u64,
    /// When it arrived.
    pub arrived: Arrived,
    /// Its records, ascending.
    pub records: Vec<OpenedRecord>,
}

/// A verified opening and what is kept of it.
#[derive(Debug, Clone)]
pub struct NewStream {
    /// Its content.
    pub opening: Opening,
    /// Its exact bytes (body), kept.
    pub body: Vec<u8>,
    /// Its signature, kept.
    pub signature: Vec<u8>,
    /// SHA-256 of the identity public key that signed it.
    pub identity_digest: [u8; 32],
}

/// A record and what came of its seal.
#[derive(Debug, Clone)]
pub struct OpenedRecord {
    /// Its place.
    pub sequence: Sequence,
    /// Its keep bit.
    pub keep: bool,
    /// Its tag: the same place with another tag is a conflict.
    pub tag: [u8; 16],
    /// Its entries, or why it goes to quarantine.
    pub content: Result<Vec<Entry>, QuarantineReason>,
    /// The record as it came (postcard of the sealed record), kept if it goes to quarantine.
    pub raw: Vec<u8>,
}

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;
