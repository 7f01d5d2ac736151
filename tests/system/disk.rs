//! What lies on a hub's disk: a copy of its queue, opened as the agent opens it.

use std::path::Path;

use agent::queue::shelf::Shelf;
use agent::queue::sled_store::SledDisk;
use runtime::clock::ManualClock;
use shared::id::StreamId;
use shared::sequence::{Ranges, Sequence};
use shared::wire::{SealedRecord, SignedOpening};

/// One stream on a disk.
pub(crate) struct StreamOnDisk {
    pub(crate) stream: StreamId,
    pub(crate) opening: SignedOpening,
    /// Every record that is there.
    pub(crate) held: Ranges,
    pub(crate) records: Vec<SealedRecord>,
}

/// Copies a queue that no process has open to `copy`, and reads the copy: nothing the test does touches the hub's disk.
pub(crate) fn streams(queue: &Path, copy: &Path) -> Vec<StreamOnDisk> {
    tests::hub::copy_folder(queue, copy).unwrap();
    let (mut shelf, _) = Shelf::open(SledDisk, copy, ManualClock::default().now()).unwrap();
    let ordinals: Vec<u32> = shelf.ordinals().collect();
    let mut streams = Vec::new();
    for ordinal in ordinals {
        let Some(row) = shelf.stream_row(ordinal).unwrap() else { continue };
        let held = shelf.held(ordinal);
        let numbers = held.iter().flat_map(|range| range.first().get()..=range.last().get());
        let sequences: Vec<Sequence> = numbers.map(|number| Sequence::new(number).unwrap()).collect();
        let records = sequences
            .into_iter()
            .filter_map(|sequence| shelf.read(ordinal, sequence).unwrap())
            .map(|(record, _)| record);
        let records = records.collect();
        streams.push(StreamOnDisk { stream: row.stream, opening: row.opening.clone(), held, records });
    }
    streams
}
