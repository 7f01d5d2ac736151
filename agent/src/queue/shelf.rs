//! The shelf: the ledger and the generations, as one store of sealed records.
//!
//! ```text
//! <state_dir>/queue/ledger/          openings again, receipt keys, what is released
//! <state_dir>/queue/gen-<n>/         records; the highest n is the head, written to; at most head and one more open
//! <state_dir>/queue/damaged-<n>-<t>/ set aside, never read again, for people to look at
//! ```

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use shared::id::{StoreId, StreamId};
use shared::observation::Captured;
use shared::sequence::{Ranges, Sequence};
use shared::time::{ClockState, Timestamp};
use shared::wire::SealedRecord;

use super::database::{Change, Database, Disk, DiskRefused};
use super::generation::{self, Generation};
use super::ledger::{self, Answers, Progress, StreamRow, Totals};
use super::sets;
use crate::limits;

/// A stream in memory.
#[derive(Debug)]
pub struct StreamState {
    /// Its name.
    pub stream: StreamId,
    /// How far it got.
    pub progress: Progress,
    /// Whether `progress` is newer than the ledger's row.
    pub dirty: bool,
}

/// Records that are gone for good, by policy or damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The stream.
    pub stream: StreamId,
    /// The sequences, none of them receipted.
    pub ranges: Ranges,
}

pub(super) struct Head<B> {
    pub(super) number: u32,
    pub(super) database: B,
    /// Streams whose opening is in it.
    openings: BTreeSet<u32>,
}

/// The ledger and the generations.
pub struct Shelf<D: Disk> {
    pub(super) disk: D,
    pub(super) folder: PathBuf,
    pub(super) ledger: D::Database,
    pub(super) head: Option<Head<D::Database>>,
    /// One older generation, while the backlog is read from it.
    pub(super) tail: Option<(u32, D::Database)>,
    /// By number.
    pub(super) generations: BTreeMap<u32, Generation>,
    /// Generations whose row in the ledger is missing or old.
    pub(super) rows_due: BTreeSet<u32>,
    /// By ordinal.
    pub(super) streams: BTreeMap<u32, StreamState>,
    /// Sums.
    pub totals: Totals,
    /// The store that last answered.
    pub store: Option<StoreId>,
    /// What was heard of each store.
    pub answers: Answers,
    /// The next generation's number.
    pub(super) next_number: u32,
    /// Rows that the disk refused and that may be on it all the same: generation and key.
    pub(super) doubtful: Vec<(u32, Vec<u8>)>,
}

/// What opening the shelf found.
#[derive(Debug, Default)]
pub struct Found {
    /// Records lost to damage.
    pub gone: Vec<Gone>,
    /// Databases that were set aside.
    pub set_aside: u64,
    /// Whether the run before stopped in an orderly way, if there was one.
    pub stopped_orderly: Option<bool>,
}

pub(super) fn generation_folder(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("gen-{number}"))
}

pub(super) fn set_aside(folder: &Path, name: &str, at: Timestamp) -> Result<(), DiskRefused> {
    let label = name.strip_prefix("gen-").unwrap_or(name);
    tracing::error!(database = name, "a database of the queue is damaged; set aside, the queue goes on without it");
    std::fs::rename(folder.join(name), folder.join(format!("damaged-{label}-{}", at.as_millis())))?;
    Ok(())
}

impl<D: Disk> Shelf<D> {
    /// Opens what lies in `folder`. Damaged databases are set aside and reported, never a reason not to start.
    ///
    /// # Errors
    /// [`DiskRefused`] if the disk refuses even an empty ledger.
    pub fn open(disk: D, folder: &Path, at: Captured) -> Result<(Self, Found), DiskRefused> {
        let mut found = Found::default();
        std::fs::create_dir_all(folder)?;
        let ledger_folder = folder.join("ledger");
        let opened = disk.open(&ledger_folder).and_then(|ledger| Ok((ledger::read(&ledger)?, ledger)));
        let (contents, ledger) = match opened {
            Ok(opened) => opened,
            Err(DiskRefused::Io(error)) => return Err(error.into()),
            Err(DiskRefused::Damaged | DiskRefused::LibraryFailed) => {
                set_aside(folder, "ledger", at.wall)?;
                found.set_aside = found.set_aside.saturating_add(1);
                (ledger::Contents::default(), disk.open(&ledger_folder)?)
            }
        };
        found.stopped_orderly = (!contents.streams.is_empty()).then_some(contents.orderly);
        let mut streams: BTreeMap<u32, StreamState> = BTreeMap::new();
        let mut progress = contents.progress;
        for (ordinal, stream) in contents.streams {
            let progress = progress.remove(&ordinal).unwrap_or_default();
            streams.insert(ordinal, StreamState { stream, progress, dirty: false });
        }
        let mut shelf = Self {
            disk,
            folder: folder.to_owned(),
            ledger,
            head: None,
            tail: None,
            generations: BTreeMap::new(),
            rows_due: BTreeSet::new(),
            streams,
            totals: contents.totals,
            store: contents.store,
            answers: contents.answers,
            next_number: 1,
            doubtful: Vec::new(),
        };
        shelf.find_generations(contents.generations, at, &mut found)?;
        if contents.orderly {
            shelf.ledger.write(vec![Change::Remove(ledger::ORDERLY.to_vec())])?;
            shelf.ledger.sync()?;
        }
        Ok((shelf, found))
    }

    fn find_generations(
        &mut self,
        mut rows: BTreeMap<u32, ledger::GenerationRow>,
        at: Captured,
        found: &mut Found,
    ) -> Result<(), DiskRefused> {
        let mut numbers = BTreeSet::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.strip_prefix("gen-")) else { continue };
            let number = number.strip_suffix(".old").or(number.strip_suffix(".thin")).unwrap_or(number);
            numbers.extend(number.parse::<u32>().ok());
        }
        for number in &numbers {
            self.finish_thinning(*number)?;
        }
        for number in numbers {
            self.next_number = self.next_number.max(number.saturating_add(1));
            let folder = generation_folder(&self.folder, number);
            let bytes = super::database::folder_bytes(&folder).unwrap_or(0);
            if let Some(row) = rows.remove(&number) {
                self.generations.insert(number, Generation { row, bytes });
                continue;
            }
            match self.disk.open(&folder).and_then(|database| generation::scan(&database)) {
                Ok(scanned) => self.adopt(number, scanned, bytes, at),
                Err(DiskRefused::Io(error)) => {
                    // A full disk heals; the generation stays where it is for the next start.
                    tracing::error!(generation = number, %error, "a generation of the queue cannot be opened now");
                }
                Err(DiskRefused::Damaged | DiskRefused::LibraryFailed) => {
                    set_aside(&self.folder, &format!("gen-{number}"), at.wall)?;
                    found.set_aside = found.set_aside.saturating_add(1);
                }
            }
        }
        // A row without its folder: removed, and the row stayed behind, or taken away.
        for (number, row) in rows {
            let lost = Generation { row, bytes: 0 };
            found.gone.extend(self.pending_of(&lost));
            self.forget_generation(number, &lost);
        }
        for ordinal in self.streams.keys().copied().collect::<Vec<_>>() {
            if let Some(last) = self.held(ordinal).last() {
                self.note_durable(ordinal, last);
            }
        }
        Ok(())
    }

    /// Takes over a generation that was not ended: it is ended now.
    fn adopt(&mut self, number: u32, scanned: generation::Scanned, bytes: u64, at: Captured) {
        if scanned.unreadable > 0 {
            tracing::error!(generation = number, rows = scanned.unreadable, "rows of the queue cannot be read");
        }
        for (ordinal, row) in scanned.openings {
            if let Entry::Vacant(place) = self.streams.entry(ordinal) {
                place.insert(StreamState { stream: row.stream, progress: Progress::default(), dirty: true });
                let again = ledger::put(ledger::key(b's', ordinal), &row);
                // A refusal shows at the next sync; the opening is in the generation meanwhile.
                let _ = self.ledger.write(again.into_iter().collect());
            }
        }
        let mut generation = Generation { bytes, ..scanned.generation };
        generation.row.ended = (at.clock != ClockState::NeverSet).then_some(at.wall);
        self.generations.insert(number, generation);
        self.rows_due.insert(number);
    }

    /// Notes a new stream and makes its copy in the ledger durable. Returns its ordinal.
    ///
    /// # Errors
    /// [`DiskRefused`]: the stream has not begun.
    pub fn begin_stream(&mut self, row: &StreamRow) -> Result<u32, DiskRefused> {
        let ordinal = self.streams.last_key_value().map_or(1, |(last, _)| last.saturating_add(1));
        let change = ledger::put(ledger::key(b's', ordinal), row);
        self.ledger.write(change.into_iter().collect())?;
        self.ledger.sync()?;
        let state = StreamState { stream: row.stream, progress: Progress::default(), dirty: false };
        self.streams.insert(ordinal, state);
        Ok(ordinal)
    }

    /// The youngest stream and its last durable sequence (0: none).
    #[must_use]
    pub fn last_stream(&self) -> Option<(StreamId, u64)> {
        self.streams.last_key_value().map(|(_, state)| (state.stream, state.progress.last_durable))
    }

    /// The ordinal of a stream.
    #[must_use]
    pub fn ordinal(&self, stream: StreamId) -> Option<u32> {
        self.streams.iter().rev().find(|(_, state)| state.stream == stream).map(|(ordinal, _)| *ordinal)
    }

    /// A stream's opening and receipt key.
    ///
    /// # Errors
    /// [`DiskRefused`].
    pub fn stream_row(&self, ordinal: u32) -> Result<Option<StreamRow>, DiskRefused> {
        let Some(value) = self.ledger.get(&ledger::key(b's', ordinal))? else { return Ok(None) };
        shared::wire::from_bytes(&value).map(Some).map_err(|_| DiskRefused::Damaged)
    }

    /// Writes a record to the head, with the stream's opening if the head has none of it. Not durable before
    /// [`Self::sync`].
    ///
    /// # Errors
    /// [`DiskRefused`]: call [`Self::abandon_head`].
    pub fn write(
        &mut self,
        ordinal: u32,
        opening: &StreamRow,
        record: &SealedRecord,
        observations: u16,
        at: Captured,
    ) -> Result<(), DiskRefused> {
        self.cleanse()?;
        let full = |generation: &Generation| generation.records() >= limits::GENERATION_RECORDS_MAX;
        let head_is_full = self.head.as_ref().and_then(|head| self.generations.get(&head.number)).is_some_and(full);
        if head_is_full {
            self.sync()?;
            self.end_head(at);
        }
        let head = match &mut self.head {
            Some(head) => head,
            none => {
                let number = self.next_number;
                self.next_number = self.next_number.saturating_add(1);
                let database = self.disk.open(&generation_folder(&self.folder, number))?;
                self.generations.insert(number, Generation::default());
                none.insert(Head { number, database, openings: BTreeSet::new() })
            }
        };
        let mut changes: Vec<Change> = Vec::new();
        if !head.openings.contains(&ordinal) {
            changes.extend(generation::put_opening(ordinal, opening));
        }
        changes.extend(generation::put(ordinal, record, observations));
        if let Err(error) = head.database.write(changes) {
            let doubtful = (head.number, generation::key(ordinal, record.sequence.get()));
            self.doubtful.push(doubtful);
            return Err(error);
        }
        head.openings.insert(ordinal);
        if let Some(generation) = self.generations.get_mut(&head.number) {
            generation.add(ordinal, record.sequence, record.keep, observations);
        }
        Ok(())
    }

    /// Makes everything written durable.
    ///
    /// # Errors
    /// [`DiskRefused`]: call [`Self::abandon_head`].
    pub fn sync(&mut self) -> Result<(), DiskRefused> {
        self.head.as_mut().map_or(Ok(()), |head| head.database.sync())
    }

    /// Ends the head; the next record begins a new generation.
    pub fn end_head(&mut self, at: Captured) {
        if let Some(head) = self.head.take() {
            if let Some(generation) = self.generations.get_mut(&head.number) {
                generation.row.ended = (at.clock != ClockState::NeverSet).then_some(at.wall);
            }
            self.rows_due.insert(head.number);
        }
    }

    /// The head's number.
    #[must_use]
    pub fn head_number(&self) -> Option<u32> {
        self.head.as_ref().map(|head| head.number)
    }

    /// Reads a record wherever it lies.
    ///
    /// # Errors
    /// [`DiskRefused`]; the second part says in which generation.
    pub fn read(
        &mut self,
        ordinal: u32,
        sequence: Sequence,
    ) -> Result<Option<(SealedRecord, u16)>, (DiskRefused, u32)> {
        let holder = self.generations.iter().find(|(_, generation)| generation.holds(ordinal, sequence));
        let Some((&number, _)) = holder else { return Ok(None) };
        if let Some(head) = self.head.as_ref().filter(|head| head.number == number) {
            return generation::get(&head.database, ordinal, sequence).map_err(|error| (error, number));
        }
        if self.tail.as_ref().is_none_or(|(open, _)| *open != number) {
            self.tail = None;
            let opened = self.disk.open(&generation_folder(&self.folder, number)).map_err(|error| (error, number))?;
            self.tail = Some((number, opened));
        }
        let Some((_, database)) = &self.tail else { return Ok(None) };
        generation::get(database, ordinal, sequence).map_err(|error| (error, number))
    }

    /// Everything held of a stream.
    #[must_use]
    pub fn held(&self, ordinal: u32) -> Ranges {
        let mut held = Ranges::new();
        for generation in self.generations.values() {
            held.insert_all(&generation.held(ordinal));
        }
        held
    }

    /// What is held of a stream and not released.
    #[must_use]
    pub fn pending(&self, ordinal: u32) -> Ranges {
        let released = self.streams.get(&ordinal).map(|state| &state.progress.released);
        let held = self.held(ordinal);
        released.map_or(held.clone(), |released| sets::minus(&held, released))
    }

    /// The ordinals of all streams, oldest first.
    pub fn ordinals(&self) -> impl Iterator<Item = u32> + '_ {
        self.streams.keys().copied()
    }

    /// A stream's state, to be changed.
    pub fn stream_mut(&mut self, ordinal: u32) -> Option<&mut StreamState> {
        let state = self.streams.get_mut(&ordinal)?;
        state.dirty = true;
        Some(state)
    }

    /// A stream's state, to look at.
    #[must_use]
    pub fn stream(&self, ordinal: u32) -> Option<&StreamState> {
        self.streams.get(&ordinal)
    }
}
