//! The ledger: a small database, always open, beside the generations. It holds the second copy of every opening with
//! its receipt key, what is released, and what each ended generation holds. All of it but the last store's id can
//! be made again from the generations.
//!
//! Rows: `s` ‖ ordinal → [`StreamRow`]; `p` ‖ ordinal → [`Progress`]; `g` ‖ number → [`GenerationRow`];
//! `totals` → [`Totals`]; `last-store` → the id of the store that last answered; `answers` → [`Answers`];
//! `stopped-orderly` → nothing. Numbers are u32, big end first.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::id::{StoreId, StreamId};
use shared::sequence::Ranges;
use shared::time::Timestamp;
use shared::wire::{SignedOpening, from_bytes, to_bytes};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::database::{Change, Database, DiskRefused};
use crate::limits;

/// A stream: also the value of its opening row in each generation that holds records of it.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct StreamRow {
    /// Its name.
    #[zeroize(skip)]
    pub stream: StreamId,
    /// Its opening.
    #[zeroize(skip)]
    pub opening: SignedOpening,
    /// Checks its receipts. On disk on purpose: it can only make this hub delete what lies on this disk.
    pub receipt_key: [u8; 32],
}

/// How far a stream got. Written lazily: losing it only means sending again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Receipted as stored or quarantined, or given up.
    pub released: Ranges,
    /// The last sequence that was durable.
    pub last_durable: u64,
    /// What was ever receipted, whichever store said so; it tells what is counted already.
    pub counted: Ranges,
    /// Observations in the counted records.
    pub receipted_observations: u64,
}

/// What an ended generation holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GenerationRow {
    /// For each stream's ordinal: sequences for keep, and thinnable ones.
    pub held: BTreeMap<u32, (Ranges, Ranges)>,
    /// Observations in it.
    pub observations: u64,
    /// The hub's wall clock when it ended; `None` if the clock was never set.
    pub ended: Option<Timestamp>,
}

/// Sums over what is no longer there to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Observations in generations that were removed.
    pub accepted_before: u64,
    /// Receipted observations of streams that were removed.
    pub receipted_before: u64,
    /// Records that the server keeps in quarantine.
    pub quarantined: u64,
    /// Sequences reported void.
    pub voids: u64,
    /// Losses reported.
    pub losses: u64,
}

/// The highest receipt number heard of each store, the one that answered last at the end: an old receipt of a store that
/// another has replaced is told by it from a store that really answers again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Answers(Vec<(StoreId, u64)>);

impl Answers {
    /// Whether a receipt of a store that does not answer now says nothing new: it was heard before, or is older.
    #[must_use]
    pub fn is_old(&self, store: StoreId, number: u64) -> bool {
        self.0.iter().any(|(of, last)| *of == store && number <= *last)
    }

    /// Notes a receipt. Beyond [`limits::STORES_MAX`] stores, the one that has not answered for longest is forgotten.
    pub fn note(&mut self, store: StoreId, number: u64) {
        let before = self.0.iter().position(|(of, _)| *of == store).map(|place| self.0.remove(place));
        let last = before.map_or(number, |(_, last)| last.max(number));
        self.0.push((store, last));
        let over = self.0.len().saturating_sub(limits::STORES_MAX);
        self.0.drain(..over);
    }
}

/// Everything the ledger says when the agent starts.
#[derive(Default)]
pub struct Contents {
    /// Streams by ordinal.
    pub streams: BTreeMap<u32, StreamId>,
    /// Their progress.
    pub progress: BTreeMap<u32, Progress>,
    /// Ended generations.
    pub generations: BTreeMap<u32, GenerationRow>,
    /// Sums.
    pub totals: Totals,
    /// The store that last answered.
    pub store: Option<StoreId>,
    /// What was heard of each store.
    pub answers: Answers,
    /// Whether the run before stopped in an orderly way.
    pub orderly: bool,
}

/// A row's key.
#[must_use]
pub fn key(kind: u8, number: u32) -> Vec<u8> {
    let [a, b, c, d] = number.to_be_bytes();
    vec![kind, a, b, c, d]
}

/// A change that puts a row. Rows hold nothing unwritable; if one were, it is left out and made again later.
#[must_use]
pub fn put<T: Serialize>(key: Vec<u8>, row: &T) -> Option<Change> {
    to_bytes(row).ok().map(|value| Change::Put(key, value))
}

/// Reads every row. An unreadable row is passed over: it can be made again from the generations.
///
/// # Errors
/// [`DiskRefused`].
pub fn read(database: &impl Database) -> Result<Contents, DiskRefused> {
    fn row<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
        from_bytes(value).ok()
    }
    let mut contents = Contents::default();
    database.scan(&[], &mut |key, value| {
        let number = key.get(1..).and_then(|rest| rest.try_into().ok()).map(u32::from_be_bytes);
        match (key.first(), number) {
            (Some(b's'), Some(number)) => {
                if let Some(found) = row::<StreamRow>(value) {
                    contents.streams.insert(number, found.stream);
                }
            }
            (Some(b'p'), Some(number)) => contents.progress.extend(row(value).map(|found| (number, found))),
            (Some(b'g'), Some(number)) => contents.generations.extend(row(value).map(|found| (number, found))),
            _ if key == TOTALS => contents.totals = row(value).unwrap_or_default(),
            _ if key == STORE => contents.store = row(value),
            _ if key == ANSWERS => contents.answers = row(value).unwrap_or_default(),
            _ if key == ORDERLY => contents.orderly = true,
            _ => {}
        }
        true
    })?;
    Ok(contents)
}

/// Key of the note that the run before stopped in an orderly way.
pub const ORDERLY: &[u8] = b"stopped-orderly";
/// Key of [`Totals`].
pub const TOTALS: &[u8] = b"totals";
/// Key of [`Answers`].
pub const ANSWERS: &[u8] = b"answers";
/// Key of the last store's id.
pub const STORE: &[u8] = b"last-store";

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;

    #[test]
    fn what_was_heard_before_is_old_and_only_that() {
        let store = |number: u8| StoreId::from_bytes([number; 16]);
        let mut answers = Answers::default();
        assert!(!answers.is_old(store(1), 0));
        answers.note(store(1), 7);
        answers.note(store(1), 5);
        assert!(answers.is_old(store(1), 7) && !answers.is_old(store(1), 8) && !answers.is_old(store(2), 1));
        for number in 2..=u8::try_from(limits::STORES_MAX).unwrap() + 1 {
            answers.note(store(number), 1);
        }
        assert!(!answers.is_old(store(1), 7), "the one that answered longest ago is forgotten");
        assert!(answers.is_old(store(2), 1));
    }

    #[test]
    fn a_store_that_answers_again_is_forgotten_last() {
        let store = |number: u8| StoreId::from_bytes([number; 16]);
        let most = u8::try_from(limits::STORES_MAX).unwrap();
        let mut answers = Answers::default();
        for number in 1..=most {
            answers.note(store(number), 7);
        }
        // Met first, and the last to answer; with an older number it keeps the newest.
        answers.note(store(1), 3);
        answers.note(store(most + 1), 1);
        assert!(answers.is_old(store(1), 7) && !answers.is_old(store(1), 8));
        assert!(!answers.is_old(store(2), 7), "the one that answered longest ago is forgotten");
        for number in most + 2..=2 * most {
            answers.note(store(number), 1);
        }
        assert!(!answers.is_old(store(1), 7), "in its turn it is forgotten too");
    }
}
