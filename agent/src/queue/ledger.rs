//! The ledger: a small database, always open, beside the generations. It holds the second copy of every opening with
//! its receipt key, what is released, and what each ended generation holds. All of it but the last store's id can
//! be made again from the generations.
//!
//! Rows: `s` ‖ ordinal → [`StreamRow`]; `p` ‖ ordinal → [`Progress`]; `g` ‖ number → [`GenerationRow`];
//! `totals` → [`Totals`]; `last-store` → the id of the store that last answered;
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
/// Key of the last store's id.
pub const STORE: &[u8] = b"last-store";
