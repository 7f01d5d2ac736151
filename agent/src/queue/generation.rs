//! Rows of a generation, and what is known of it in memory.
//!
//! Key = the stream's ordinal (u32) ‖ sequence (u64), big end first. Sequence 0 holds the stream's opening, so every
//! generation can be understood without the ledger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::sequence::{Range, Ranges, Sequence};
use shared::wire::{SealedRecord, from_bytes, to_bytes};

use super::database::{Change, Database, DiskRefused};
use super::ledger::{GenerationRow, StreamRow};
use super::sets;

/// A record's value. The variant is the version.
#[derive(Serialize, Deserialize)]
enum Value {
    V1 {
        /// Observations sealed in it; says nothing of what they are.
        observations: u16,
        record: SealedRecord,
    },
}

/// A row's key.
#[must_use]
pub fn key(ordinal: u32, sequence: u64) -> Vec<u8> {
    [ordinal.to_be_bytes().as_slice(), &sequence.to_be_bytes()].concat()
}

fn parse(key: &[u8]) -> Option<(u32, u64)> {
    let (ordinal, sequence) = key.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*ordinal), u64::from_be_bytes(sequence.try_into().ok()?)))
}

/// The change that puts a record.
#[must_use]
pub fn put(ordinal: u32, record: &SealedRecord, observations: u16) -> Option<Change> {
    let value = to_bytes(&Value::V1 { observations, record: record.clone() }).ok()?;
    Some(Change::Put(key(ordinal, record.sequence.get()), value))
}

/// The change that puts a stream's opening.
#[must_use]
pub fn put_opening(ordinal: u32, row: &StreamRow) -> Option<Change> {
    to_bytes(row).ok().map(|value| Change::Put(key(ordinal, 0), value))
}

/// Reads a record and its count of observations.
///
/// # Errors
/// [`DiskRefused::Damaged`] if the row is there and cannot be read, else what the disk says.
pub fn get(
    database: &impl Database,
    ordinal: u32,
    sequence: Sequence,
) -> Result<Option<(SealedRecord, u16)>, DiskRefused> {
    let Some(value) = database.get(&key(ordinal, sequence.get()))? else { return Ok(None) };
    let Value::V1 { observations, record } = from_bytes(&value).map_err(|_| DiskRefused::Damaged)?;
    Ok(Some((record, observations)))
}

/// A generation as the queue remembers it.
#[derive(Debug, Default)]
pub struct Generation {
    /// What it holds and, once it is ended, what its row in the ledger says.
    pub row: GenerationRow,
    /// Octets on disk, measured now and then.
    pub bytes: u64,
}

impl Generation {
    /// Notes a record.
    pub fn add(&mut self, ordinal: u32, sequence: Sequence, keep: bool, observations: u16) {
        let held = self.row.held.entry(ordinal).or_default();
        if keep { &mut held.0 } else { &mut held.1 }.insert(Range::one(sequence));
        self.row.observations = self.row.observations.saturating_add(observations.into());
    }

    /// Forgets a record that never became durable.
    pub fn forget(&mut self, ordinal: u32, sequence: Sequence, observations: u16) {
        let gone = Ranges::from(vec![Range::one(sequence)]);
        if let Some((keep, thinnable)) = self.row.held.get_mut(&ordinal) {
            *keep = sets::minus(keep, &gone);
            *thinnable = sets::minus(thinnable, &gone);
            self.row.observations = self.row.observations.saturating_sub(observations.into());
        }
    }

    /// Everything it holds of a stream.
    #[must_use]
    pub fn held(&self, ordinal: u32) -> Ranges {
        let mut all = Ranges::new();
        if let Some((keep, thinnable)) = self.row.held.get(&ordinal) {
            all.insert_all(keep);
            all.insert_all(thinnable);
        }
        all
    }

    /// Whether it holds this record.
    #[must_use]
    pub fn holds(&self, ordinal: u32, sequence: Sequence) -> bool {
        let held = self.row.held.get(&ordinal);
        held.is_some_and(|(keep, thinnable)| keep.contains(sequence) || thinnable.contains(sequence))
    }

    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> u64 {
        let count = |(keep, thinnable): &(Ranges, Ranges)| keep.count().saturating_add(thinnable.count());
        self.row.held.values().map(count).fold(0, u64::saturating_add)
    }
}

/// What a scan of a generation finds.
#[derive(Default)]
pub struct Scanned {
    /// The records.
    pub generation: Generation,
    /// The openings, by ordinal.
    pub openings: BTreeMap<u32, StreamRow>,
    /// Rows that cannot be read.
    pub unreadable: u64,
}

/// Reads a whole generation: at the start, for the one that was not ended.
///
/// # Errors
/// [`DiskRefused`].
pub fn scan(database: &impl Database) -> Result<Scanned, DiskRefused> {
    let mut scanned = Scanned::default();
    database.scan(&[], &mut |key, value| {
        match parse(key) {
            Some((ordinal, 0)) => match from_bytes(value) {
                Ok(row) => {
                    scanned.openings.insert(ordinal, row);
                }
                Err(_) => scanned.unreadable = scanned.unreadable.saturating_add(1),
            },
            Some((ordinal, number)) => match (Sequence::new(number), from_bytes::<Value>(value)) {
                (Some(sequence), Ok(Value::V1 { observations, record })) if record.sequence == sequence => {
                    scanned.generation.add(ordinal, sequence, record.keep, observations);
                }
                _ => scanned.unreadable = scanned.unreadable.saturating_add(1),
            },
            None => scanned.unreadable = scanned.unreadable.saturating_add(1),
        }
        true
    })?;
    Ok(scanned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_stream_then_sequence_with_the_opening_first() {
        let keys = [key(1, 0), key(1, 1), key(1, 256), key(2, 0), key(2, 1)];
        assert!(keys.is_sorted());
        assert_eq!(parse(&key(7, 9)), Some((7, 9)));
        assert_eq!(parse(&[1, 2, 3]), None);
    }

    #[test]
    fn a_forgotten_record_is_not_held() {
        let mut generation = Generation::default();
        for number in 1..=3 {
            generation.add(1, Sequence::new(number).unwrap(), number == 2, 2);
        }
        assert_eq!((generation.records(), generation.row.observations), (3, 6));
        generation.forget(1, Sequence::new(2).unwrap(), 2);
        assert!(!generation.holds(1, Sequence::new(2).unwrap()));
        assert_eq!((generation.records(), generation.row.observations), (2, 4));
    }
}
