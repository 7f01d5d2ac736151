//! What a disk refused and may have kept all the same. The observations in it are sealed again under other numbers, so it must
//! be gone for certain before anything else is written: after a crash both would be there, and be stored twice.

use std::collections::BTreeMap;

use shared::observation::Captured;

use super::database::{Change, Database, Disk, DiskRefused};
use super::generation;
use super::owner::Unsynced;
use super::shelf::{Shelf, generation_folder};

impl<D: Disk> Shelf<D> {
    /// The disk refused: ends the head without these records, which never became durable.
    pub(super) fn abandon_head(&mut self, unsynced: &[Unsynced], at: Captured) {
        // What is lent or receipted goes under its own number if it comes back, and so only once.
        let again = unsynced.iter().filter(|u| !u.is_lent && !self.is_released(u.ordinal, u.sequence));
        let keys: Vec<Vec<u8>> = again.map(|u| generation::key(u.ordinal, u.sequence.get())).collect();
        if let Some(number) = self.head_number() {
            self.doubtful.extend(keys.into_iter().map(|key| (number, key)));
            if let Some(generation) = self.generations.get_mut(&number) {
                for refused in unsynced {
                    generation.forget(refused.ordinal, refused.sequence, refused.observations);
                }
            }
        }
        if let Err(error) = self.cleanse() {
            tracing::warn!(rows = self.doubtful.len(), %error, "what the disk refused is removed once it can be");
        }
        self.end_head(at);
        self.tail = None;
    }

    /// Removes what is doubtful, durably.
    ///
    /// # Errors
    /// [`DiskRefused`]: nothing may be sealed again yet.
    pub(super) fn cleanse(&mut self) -> Result<(), DiskRefused> {
        let mut by_generation: BTreeMap<u32, Vec<Change>> = BTreeMap::new();
        for (number, key) in &self.doubtful {
            by_generation.entry(*number).or_default().push(Change::Remove(key.clone()));
        }
        for (number, removals) in by_generation {
            let folder = generation_folder(&self.folder, number);
            if let Some(head) = self.head.as_mut().filter(|head| head.number == number) {
                head.database.write(removals)?;
                head.database.sync()?;
            } else if folder.exists() {
                if self.tail.as_ref().is_some_and(|(open, _)| *open == number) {
                    self.tail = None;
                }
                let mut database = self.disk.open(&folder)?;
                database.write(removals)?;
                database.sync()?;
            }
            self.doubtful.retain(|(of, _)| *of != number);
        }
        Ok(())
    }
}
