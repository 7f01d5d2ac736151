//! The living stream: its keys and its count. Sealing consumes a sequence, whatever becomes of the record.

use std::sync::Arc;

use shared::id::{HubId, StreamId};
use shared::sealing::{RecordKey, RecordPlace, SealingError, Suite};
use shared::sequence::Sequence;
use shared::time::Tick;
use shared::wire::{Entry, Record, SealedRecord, to_bytes};

use super::Run;
use super::ledger::StreamRow;

/// A stream that records are sealed in.
pub struct LivingStream {
    /// Its place among the streams of this hub.
    pub ordinal: u32,
    /// Its opening and receipt key, for the generations.
    pub row: StreamRow,
    /// What the uplink needs of it.
    pub run: Arc<Run>,
    /// When it began.
    pub since: Tick,
    pub(super) hub: HubId,
    pub(super) suite: Suite,
    pub(super) key: RecordKey,
    /// `None` after the last sequence that 64 bits hold.
    pub(super) next: Option<Sequence>,
}

/// Why a record could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum CannotSeal {
    /// No randomness for the nonce.
    #[error(transparent)]
    Entropy(#[from] runtime::entropy::EntropyUnavailable),
    /// The cipher or the key refuses.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The entries cannot be written, or sequences ran out.
    #[error("the record cannot be written in this stream; a new stream begins")]
    Exhausted,
    /// The opening cannot be signed.
    #[error("the opening cannot be signed: {0}")]
    Signing(#[from] crate::identity::IdentityError),
}

impl LivingStream {
    /// Its name.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.run.stream
    }

    /// The last sequence that was consumed; 0 if none was.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.next.map_or(u64::MAX, |next| next.get().saturating_sub(1))
    }

    /// Seals entries at the next place.
    ///
    /// # Errors
    /// [`CannotSeal`]; the place is consumed unless there was none.
    pub fn seal(&mut self, entries: &[Entry], keep: bool) -> Result<SealedRecord, CannotSeal> {
        let sequence = self.next.ok_or(CannotSeal::Exhausted)?;
        let plaintext =
            zeroize::Zeroizing::new(to_bytes(&Record::V1(entries.to_vec())).map_err(|_| CannotSeal::Exhausted)?);
        let random = runtime::entropy::array()?;
        self.next = sequence.next();
        let place = RecordPlace { suite: self.suite, hub: self.hub, stream: self.stream(), sequence, keep };
        Ok(self.key.seal(&place, random, &plaintext)?)
    }
}

/// Observations among entries.
#[must_use]
pub fn observations(entries: &[Entry]) -> u16 {
    let count = entries.iter().filter(|entry| matches!(entry, Entry::Observation(_))).count();
    u16::try_from(count).unwrap_or(u16::MAX)
}
