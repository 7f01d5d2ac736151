//! Records of one stream in one message.

use serde::{Deserialize, Serialize};

use super::{RECORD_BYTES_MAX, RECORDS_MAX, SignedOpening, UnreadableMessage, from_bytes, to_bytes};
use crate::id::{HubId, StreamId};
use crate::sealing::{BatchKey, Mac};
use crate::sequence::{Range, Ranges, Sequence};
use crate::time::Tick;

/// A sealed record: unreadable without its stream's key, named by its place.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRecord {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// Whether it must be kept longer than thinnable records.
    pub keep: bool,
    /// The random part of its nonce; the sequence is the other part.
    pub nonce: [u8; 4],
    /// Ciphertext and, in the last 16 octets, the tag.
    pub sealed: Vec<u8>,
}

impl SealedRecord {
    /// The GCM tag, by which two records of one sequence are told apart. All zero if there is none.
    #[must_use]
    pub fn tag(&self) -> [u8; 16] {
        self.sealed.last_chunk::<16>().copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for SealedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedRecord({}, {} octets)", self.sequence.get(), self.sealed.len())
    }
}

/// What the batch's MAC covers besides the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// Who sends.
    pub hub: HubId,
    /// Which stream's records these are.
    pub stream: StreamId,
    /// The hub's monotonic clock at sending, in the stream's boot; `None` for the backlog of earlier runs, whose
    /// batch key is gone.
    pub sent: Option<Tick>,
    /// The sequences in the batch.
    pub ranges: Ranges,
}

/// A batch as read and checked for shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Who, which stream, when.
    pub header: BatchHeader,
    /// The stream's opening, until a receipt says the stream is known.
    pub opening: Option<SignedOpening>,
    /// The records, in ascending sequence.
    pub records: Vec<SealedRecord>,
}

/// A batch as it travels: its parts as the exact bytes the MAC covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireBatch {
    /// postcard of [`BatchHeader`].
    pub header: Vec<u8>,
    /// The stream's opening, until a receipt says the stream is known. It has a signature of its own.
    pub opening: Option<SignedOpening>,
    /// postcard of `Vec<SealedRecord>`.
    pub records: Vec<u8>,
    /// HMAC-SHA-256 under the stream's batch key, while that run lives.
    pub mac: Option<Mac>,
}

impl WireBatch {
    /// Puts records in an envelope, MACed if the stream's key still lives (then `sent` is set).
    ///
    /// # Errors
    /// [`UnreadableMessage`] if there is nothing to send or it is over a limit.
    pub fn new(
        hub: HubId,
        stream: StreamId,
        sent: Option<(Tick, &BatchKey)>,
        opening: Option<SignedOpening>,
        records: &[SealedRecord],
    ) -> Result<Self, UnreadableMessage> {
        let ranges = records.iter().map(|record| Range::one(record.sequence)).collect();
        let header = to_bytes(&BatchHeader { hub, stream, sent: sent.map(|(tick, _)| tick), ranges })?;
        let records = to_bytes(&records)?;
        let mac = sent.map(|(_, key)| key.mac(&header, &records));
        let batch = Self { header, opening, records, mac };
        batch.read()?;
        Ok(batch)
    }

    /// Reads the parts and checks that they fit each other. Neither MAC nor signature is checked here.
    ///
    /// # Errors
    /// [`UnreadableMessage`] says what is wrong.
    pub fn read(&self) -> Result<Batch, UnreadableMessage> {
        let header: BatchHeader = from_bytes(&self.header)?;
        let records: Vec<SealedRecord> = from_bytes(&self.records)?;
        if records.is_empty() {
            return Err(UnreadableMessage::Contradiction("an empty list of records"));
        }
        if records.len() > RECORDS_MAX {
            return Err(UnreadableMessage::OverLimit("records in a batch"));
        }
        if records.iter().any(|record| record.sealed.len() > RECORD_BYTES_MAX) {
            return Err(UnreadableMessage::OverLimit("octets in a record"));
        }
        if records.iter().any(|record| record.sealed.len() < 16) {
            return Err(UnreadableMessage::Contradiction("a record shorter than its tag"));
        }
        if !records.is_sorted_by(|a, b| a.sequence < b.sequence) {
            return Err(UnreadableMessage::Contradiction("the order of records"));
        }
        let ranges: Ranges = records.iter().map(|record| Range::one(record.sequence)).collect();
        if ranges != header.ranges {
            return Err(UnreadableMessage::Contradiction("the header's list of sequences"));
        }
        if header.sent.is_some() != self.mac.is_some() {
            return Err(UnreadableMessage::Contradiction("a sending time without a MAC"));
        }
        Ok(Batch { header, opening: self.opening.clone(), records })
    }
}
