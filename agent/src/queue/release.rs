//! The shelf, second half: what leaves it, and what the ledger is told.

use shared::id::StoreId;
use shared::observation::Captured;
use shared::sequence::{Ranges, Sequence};
use shared::time::{ClockState, Timestamp};

use super::database::{Change, Database, Disk, DiskRefused, folder_bytes};
use super::generation::{self, Generation};
use super::ledger;
use super::policy::{self, Relief, Summary};
use super::sets;
use super::shelf::{self, Gone, Shelf, generation_folder};
use crate::limits;

impl<D: Disk> Shelf<D> {
    /// Notes ranges as released. Returns what was held and not yet released among them.
    pub fn release(&mut self, ordinal: u32, ranges: &Ranges) -> Ranges {
        let newly = sets::both(&self.pending(ordinal), ranges);
        if let Some(state) = self.stream_mut(ordinal) {
            state.progress.released.insert_all(&newly);
        }
        newly
    }

    /// Another store answers: everything still held is to be sent again. Its id is durable on return.
    ///
    /// # Errors
    /// [`DiskRefused`].
    pub fn begin_store(&mut self, store: StoreId) -> Result<(), DiskRefused> {
        for state in self.streams.values_mut() {
            state.progress.released = Ranges::new();
            state.dirty = true;
        }
        self.store = Some(store);
        let changes = [
            ledger::put(ledger::STORE.to_vec(), &store),
            // With it, so that no crash lets a receipt of the store before pass for an answer of it.
            ledger::put(ledger::ANSWERS.to_vec(), &self.answers),
        ];
        self.ledger.write(changes.into_iter().flatten().collect())?;
        self.save_ledger()
    }

    /// Writes what the ledger has not been told yet, durably.
    ///
    /// # Errors
    /// [`DiskRefused`]: it is tried again next time.
    pub fn save_ledger(&mut self) -> Result<(), DiskRefused> {
        let mut changes: Vec<Change> = Vec::new();
        for (ordinal, state) in self.streams.iter().filter(|(_, state)| state.dirty) {
            changes.extend(ledger::put(ledger::key(b'p', *ordinal), &state.progress));
        }
        for number in &self.rows_due {
            let generation = self.generations.get(number);
            changes.extend(generation.and_then(|found| ledger::put(ledger::key(b'g', *number), &found.row)));
        }
        if changes.is_empty() {
            return Ok(());
        }
        changes.extend(ledger::put(ledger::TOTALS.to_vec(), &self.totals));
        changes.extend(ledger::put(ledger::ANSWERS.to_vec(), &self.answers));
        self.ledger.write(changes)?;
        self.ledger.sync()?;
        self.streams.values_mut().for_each(|state| state.dirty = false);
        self.rows_due.clear();
        Ok(())
    }

    /// What a generation holds and no receipt covers.
    pub(super) fn pending_of(&self, generation: &Generation) -> Vec<Gone> {
        let pending = |ordinal: &u32| {
            let state = self.streams.get(ordinal)?;
            let ranges = sets::minus(&generation.held(*ordinal), &state.progress.released);
            (!ranges.is_empty()).then_some(Gone { stream: state.stream, ranges })
        };
        generation.row.held.keys().filter_map(pending).collect()
    }

    /// Drops a generation from memory and ledger; streams that nothing is held of go too, but for the youngest.
    pub(super) fn forget_generation(&mut self, number: u32, generation: &Generation) {
        self.generations.remove(&number);
        self.rows_due.remove(&number);
        self.totals.accepted_before = self.totals.accepted_before.saturating_add(generation.row.observations);
        let mut changes = vec![Change::Remove(ledger::key(b'g', number))];
        let youngest = self.streams.last_key_value().map(|(ordinal, _)| *ordinal);
        for ordinal in generation.row.held.keys() {
            if Some(*ordinal) != youngest && self.held(*ordinal).is_empty() {
                if let Some(state) = self.streams.remove(ordinal) {
                    let receipted = state.progress.receipted_observations;
                    self.totals.receipted_before = self.totals.receipted_before.saturating_add(receipted);
                }
                changes.push(Change::Remove(ledger::key(b's', *ordinal)));
                changes.push(Change::Remove(ledger::key(b'p', *ordinal)));
            }
        }
        changes.extend(ledger::put(ledger::TOTALS.to_vec(), &self.totals));
        // Lazily durable: a row that stays behind is found without its folder and forgotten then.
        let _ = self.ledger.write(changes);
    }

    /// Sets a generation aside that turned out to be damaged.
    ///
    /// # Errors
    /// [`DiskRefused`] if even that is refused.
    pub fn set_aside(&mut self, number: u32, at: Captured) -> Result<Vec<Gone>, DiskRefused> {
        self.tail = None;
        let Some(generation) = self.generations.remove(&number) else { return Ok(Vec::new()) };
        let gone = self.pending_of(&generation);
        shelf::set_aside(&self.folder, &format!("gen-{number}"), at.wall)?;
        self.forget_generation(number, &generation);
        Ok(gone)
    }

    /// Removes a generation from the disk. Returns what was in it and not receipted.
    ///
    /// # Errors
    /// [`DiskRefused`] if the folder stays.
    pub fn remove_generation(&mut self, number: u32) -> Result<Vec<Gone>, DiskRefused> {
        if self.tail.as_ref().is_some_and(|(open, _)| *open == number) {
            self.tail = None;
        }
        std::fs::remove_dir_all(generation_folder(&self.folder, number))?;
        let Some(generation) = self.generations.remove(&number) else { return Ok(Vec::new()) };
        let gone = self.pending_of(&generation);
        self.forget_generation(number, &generation);
        Ok(gone)
    }

    /// Removes the thinnable records of an ended generation: what is kept is copied to a new folder, which takes the
    /// old one's place. Returns what was removed and not receipted.
    ///
    /// # Errors
    /// [`DiskRefused`]: the old folder is whole.
    pub fn thin(&mut self, number: u32) -> Result<Vec<Gone>, DiskRefused> {
        self.tail = None;
        let folder = generation_folder(&self.folder, number);
        let thin_folder = folder.with_extension("thin");
        let Some(generation) = self.generations.get(&number) else { return Ok(Vec::new()) };
        let held: Vec<(u32, Ranges)> =
            generation.row.held.iter().map(|(ordinal, (keep, _))| (*ordinal, keep.clone())).collect();
        let mut thinner = Generation { bytes: 0, ..Generation::default() };
        thinner.row.ended = generation.row.ended;
        {
            let from = self.disk.open(&folder)?;
            let mut to = self.disk.open(&thin_folder)?;
            for (ordinal, keep) in &held {
                let opening = from.get(&generation::key(*ordinal, 0))?;
                let mut changes: Vec<Change> =
                    opening.map(|value| Change::Put(generation::key(*ordinal, 0), value)).into_iter().collect();
                for sequence in sets::each(keep) {
                    if let Some((record, observations)) = generation::get(&from, *ordinal, sequence)? {
                        changes.extend(generation::put(*ordinal, &record, observations));
                        thinner.add(*ordinal, sequence, true, observations);
                    }
                }
                to.write(changes)?;
            }
            to.sync()?;
        }
        let before = self.pending_of(generation);
        // At every moment one of the two is whole and tells by its name that it is; the start picks it.
        let old_folder = folder.with_extension("old");
        std::fs::rename(&folder, &old_folder)?;
        std::fs::rename(&thin_folder, &folder)?;
        runtime::files::sync_dir(&self.folder)?;
        std::fs::remove_dir_all(&old_folder)?;
        thinner.bytes = folder_bytes(&folder).unwrap_or(0);
        let after = self.pending_of(&thinner);
        let given_up = generation.row.observations.saturating_sub(thinner.row.observations);
        self.totals.accepted_before = self.totals.accepted_before.saturating_add(given_up);
        self.generations.insert(number, thinner);
        self.rows_due.insert(number);
        let left = |gone: &Gone| after.iter().find(|left| left.stream == gone.stream).map(|left| left.ranges.clone());
        let removed = before.into_iter().map(|gone| {
            let left = left(&gone).unwrap_or_default();
            Gone { stream: gone.stream, ranges: sets::minus(&gone.ranges, &left) }
        });
        Ok(removed.filter(|gone| !gone.ranges.is_empty()).collect())
    }

    /// A thinning that a crash cut short: either the old folder or the thin one has taken the place, or the thin one
    /// is whole and has to.
    pub(super) fn finish_thinning(&self, number: u32) -> Result<(), DiskRefused> {
        let folder = generation_folder(&self.folder, number);
        let (old, thin) = (folder.with_extension("old"), folder.with_extension("thin"));
        if old.exists() && !folder.exists() {
            std::fs::rename(&thin, &folder)?;
        }
        for rest in [old, thin].iter().filter(|rest| rest.exists()) {
            std::fs::remove_dir_all(rest)?;
        }
        Ok(())
    }

    /// What the capacity policy needs to know.
    #[must_use]
    pub fn summaries(&self) -> Vec<Summary> {
        let head = self.head_number();
        let summary = |(number, generation): (&u32, &Generation)| {
            let mut sum = Summary { number: *number, keep_pending: 0, thinnable: 0, pending: 0, is_head: false };
            sum.is_head = head == Some(*number);
            for (ordinal, (keep, thinnable)) in &generation.row.held {
                let released = self.stream(*ordinal).map(|state| state.progress.released.clone()).unwrap_or_default();
                let keep_pending = sets::minus(keep, &released).count();
                let pending = sets::minus(thinnable, &released).count().saturating_add(keep_pending);
                sum.keep_pending = sum.keep_pending.saturating_add(keep_pending);
                sum.thinnable = sum.thinnable.saturating_add(thinnable.count());
                sum.pending = sum.pending.saturating_add(pending);
            }
            sum
        };
        self.generations.iter().map(summary).collect()
    }

    /// Measures the folders. Returns their sum and what is free on the disk, in octets.
    pub fn measure(&mut self) -> (u64, u64) {
        let mut sum = folder_bytes(&self.folder.join("ledger")).unwrap_or(0);
        let head = self.head_number();
        for (number, generation) in &mut self.generations {
            if Some(*number) == head || generation.bytes == 0 {
                generation.bytes = folder_bytes(&generation_folder(&self.folder, *number)).unwrap_or(generation.bytes);
            }
            sum = sum.saturating_add(generation.bytes);
        }
        (sum, self.disk.free_bytes(&self.folder).unwrap_or(u64::MAX))
    }

    /// Octets on disk of what is pending: each generation's share, as last measured.
    #[must_use]
    pub fn backlog_bytes(&self) -> u64 {
        let share = |summary: &Summary| {
            let generation = self.generations.get(&summary.number)?;
            generation.bytes.saturating_mul(summary.pending).checked_div(generation.records())
        };
        self.summaries().iter().filter_map(share).fold(0, u64::saturating_add)
    }

    /// Makes room: first what is released and old, then, while the queue is over `bytes_max` or the disk nearly
    /// full, what the policy says. Returns what was given up without a receipt.
    ///
    /// # Errors
    /// [`DiskRefused`] if something could not be removed.
    pub fn make_room(&mut self, bytes_max: u64, at: Captured) -> Result<Vec<Gone>, DiskRefused> {
        let old: Vec<u32> = self
            .summaries()
            .iter()
            .filter(|summary| summary.pending == 0 && !summary.is_head)
            .filter(|summary| self.generations.get(&summary.number).is_some_and(|found| is_old(found.row.ended, at)))
            .map(|summary| summary.number)
            .collect();
        // What is removed as released must be known as released after a crash.
        self.save_ledger()?;
        let mut gone = Vec::new();
        for number in old {
            gone.extend(self.remove_generation(number)?);
        }
        // Each turn removes something or ends the head, which can happen once.
        for _ in 0..self.generations.len().saturating_mul(2).saturating_add(2) {
            let (bytes, free) = self.measure();
            if bytes <= bytes_max && free >= limits::DISK_FREE_BYTES_MIN {
                break;
            }
            match policy::relieve(&self.summaries()) {
                Some(Relief::RemoveReleased(number) | Relief::Remove(number)) => {
                    gone.extend(self.remove_generation(number)?);
                }
                Some(Relief::Thin(number)) => gone.extend(self.thin(number)?),
                Some(Relief::EndHead) => {
                    self.sync()?;
                    self.end_head(at);
                }
                None => break,
            }
        }
        Ok(gone)
    }

    /// Observations on the shelf and before it: the records are durable once synced.
    #[must_use]
    pub fn accepted_observations(&self) -> u64 {
        let held = self.generations.values().map(|generation| generation.row.observations);
        held.fold(self.totals.accepted_before, u64::saturating_add)
    }

    /// Observations in receipted records, ever.
    #[must_use]
    pub fn receipted_observations(&self) -> u64 {
        let receipted = self.streams.values().map(|state| state.progress.receipted_observations);
        receipted.fold(self.totals.receipted_before, u64::saturating_add)
    }

    /// Whether a record is receipted or given up.
    #[must_use]
    pub fn is_released(&self, ordinal: u32, sequence: Sequence) -> bool {
        self.stream(ordinal).is_some_and(|state| state.progress.released.contains(sequence))
    }

    /// Counts observations as accepted whose record is receipted and not on the shelf.
    pub fn count_accepted(&mut self, observations: u16) {
        self.totals.accepted_before = self.totals.accepted_before.saturating_add(observations.into());
    }

    /// Notes that a stream is durable up to here.
    pub fn note_durable(&mut self, ordinal: u32, last: Sequence) {
        if let Some(state) = self.stream_mut(ordinal) {
            state.progress.last_durable = state.progress.last_durable.max(last.get());
        }
    }

    /// The last word of a run that stops in an orderly way, durable on return.
    ///
    /// # Errors
    /// [`DiskRefused`].
    pub fn close_orderly(&mut self, at: Captured) -> Result<(), DiskRefused> {
        self.sync()?;
        self.end_head(at);
        self.save_ledger()?;
        self.ledger.write(vec![Change::Put(ledger::ORDERLY.to_vec(), Vec::new())])?;
        self.ledger.sync()
    }
}

fn is_old(ended: Option<Timestamp>, at: Captured) -> bool {
    let now_is_known = at.clock != ClockState::NeverSet;
    now_is_known && ended.is_some_and(|ended| at.wall.since(ended) >= limits::RELEASED_KEPT_FOR)
}
