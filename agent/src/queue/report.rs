//! The queue's owner: how it is.

use std::time::Duration;

use shared::observation::Captured;
use shared::sequence::Ranges;

use super::Owner;
use super::database::Disk;
use super::owner::Unsynced;
use super::seal::observations;

impl<D: Disk> Owner<D> {
    /// Observations sealed or held back that are neither durable nor receipted.
    pub(super) fn unaccepted(&self) -> u64 {
        let held_back = self.held_back.iter().map(|closed| u64::from(observations(&closed.entries)));
        let in_air = self.in_air.values().map(|count| u64::from(*count));
        held_back.chain(in_air).chain([self.unsynced_observations()]).fold(0, u64::saturating_add)
    }

    /// Observations written and neither synced nor receipted.
    fn unsynced_observations(&self) -> u64 {
        let open = self.unsynced.iter().filter(|u| !self.shelf.is_released(u.ordinal, u.sequence));
        open.map(|u| u64::from(u.observations)).fold(0, u64::saturating_add)
    }

    /// Records that are neither synced nor were ever lent: nobody else has them.
    pub(super) fn only_here(&self) -> impl Iterator<Item = &Unsynced> {
        self.unsynced.iter().filter(|unsynced| !unsynced.is_lent)
    }

    pub(super) fn publish_status(&mut self, at: Captured) {
        let unsynced = self.unsynced_observations();
        let unaccepted = self.unaccepted();
        let lent = self.lent.values().map(Ranges::count).fold(0, u64::saturating_add);
        let only_here = u64::try_from(self.only_here().count()).unwrap_or(u64::MAX);
        let in_air = u64::try_from(self.in_air.len()).unwrap_or(u64::MAX);
        let oldest = self.recent.first_key_value().map(|(_, (_, tick))| at.tick.since(*tick));
        let living = self.living.as_ref();
        let progress = living.and_then(|living| self.shelf.stream(living.ordinal)).map(|state| &state.progress);
        let status = &mut self.status;
        status.is_open = true;
        status.stream = living.map(|living| (living.stream(), living.last_sequence()));
        status.receipted_ranges = progress.map(|progress| progress.counted.clone()).unwrap_or_default();
        status.accepted_observations = self.shelf.accepted_observations().saturating_sub(unsynced);
        status.receipted_observations = self.shelf.receipted_observations();
        status.unaccepted_observations = unaccepted;
        status.unlent_records =
            status.pending_records.saturating_sub(lent.saturating_sub(in_air)).saturating_sub(only_here);
        status.oldest_pending_ms = oldest.map(|age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        status.disk_refuses = self.disk_retry_at.is_some();
        status.quarantined = self.shelf.totals.quarantined;
        status.voids = self.shelf.totals.voids;
        status.losses = self.shelf.totals.losses;
        status.store = self.shelf.store;
        status.bindings.clone_from(&self.setup.bindings);
        self.status_out.send_if_modified(|shown| {
            let changed = *shown != *status;
            if changed {
                shown.clone_from(status);
            }
            changed
        });
    }
}
