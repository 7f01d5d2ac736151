//! The queue's owner, second half: what the uplink asks, and what leaves the shelf.

use std::sync::Arc;

use shared::observation::Captured;
use shared::sealing::ReceiptKey;
use shared::sequence::{Range, Ranges, Sequence};
use shared::wire::{LossCause, LossExtent, RECORDS_MAX, Receipt, SealedRecord, Settings, SignedReceipt};

use super::database::{Disk, DiskRefused};
use super::{Lent, Obeyed, Owner, Question, Run, sets};
use crate::limits;

impl<D: Disk> Owner<D> {
    /// Answers one question. An asker that is gone is no reason to stop.
    pub fn answer(&mut self, question: Question, at: Captured) {
        match question {
            Question::Backlog(reply) => {
                let lent = self.lend_backlog(at);
                if let Err(Some(refused)) = reply.send(lent) {
                    self.give_back(refused.run.stream, &refused.ranges(), at);
                }
            }
            Question::GiveBack(stream, ranges) => self.give_back(stream, &ranges, at),
            Question::Receipt(receipt, reply) => {
                let _ = reply.send(self.obey(&receipt, at));
            }
            Question::Connected(is_connected, reply) => {
                self.is_connected = is_connected;
                if !is_connected {
                    for (ordinal, lent) in std::mem::take(&mut self.lent) {
                        if !lent.is_empty() {
                            self.note_given_back(ordinal);
                        }
                    }
                    let in_air: Vec<_> = self.in_air.keys().copied().collect();
                    in_air.into_iter().for_each(|(ordinal, sequence)| self.lose_in_air(ordinal, sequence, at));
                }
                let _ = reply.send(());
            }
            Question::Settings(settings) => self.obey_settings(*settings, at),
        }
    }

    /// The bindings or the sealing key changed: what is open is sealed in the old stream, and that stream ends.
    fn obey_settings(&mut self, settings: Settings, at: Captured) {
        let is_same =
            settings.bindings == self.setup.bindings && settings.sealing_key.id() == self.setup.sealing_key.id();
        if is_same {
            return;
        }
        self.seal_open(at);
        self.end_stream(at);
        // Readings captured until now may still wait in the intake: questions go first.
        let before = std::mem::replace(&mut self.setup.bindings, settings.bindings);
        self.past_bindings.push(at.tick, before);
        self.setup.sealing_key = settings.sealing_key;
        tracing::info!(bindings = self.setup.bindings.len(), "new settings are in force");
    }

    fn lend_backlog(&mut self, at: Captured) -> Option<Lent> {
        // A generation that turns out damaged is set aside, and the search begins again without it.
        let mut set_aside = self.status.set_aside;
        loop {
            let lent = self.search_backlog(at);
            if lent.is_some() || self.status.set_aside == set_aside {
                return lent;
            }
            set_aside = self.status.set_aside;
        }
    }

    fn search_backlog(&mut self, at: Captured) -> Option<Lent> {
        // The oldest stream first, but one that comes back without receipts lets the others pass.
        let mut ordinals: Vec<u32> = self.shelf.ordinals().collect();
        self.given_back.retain(|ordinal, _| ordinals.contains(ordinal));
        ordinals.sort_by_key(|ordinal| (self.given_back.get(ordinal).copied().unwrap_or(0), *ordinal));
        for ordinal in ordinals {
            let pending = self.shelf.pending(ordinal);
            let mut free = self.lent.get(&ordinal).map_or(pending.clone(), |lent| sets::minus(&pending, lent));
            // What the disk may still refuse is sealed again then, and must not be with the server already.
            let uncertain: Ranges = self.only_here().filter(|u| u.ordinal == ordinal).map(|u| u.range()).collect();
            free = sets::minus(&free, &uncertain);
            if free.is_empty() {
                continue;
            }
            let records = self.read_records(ordinal, &free, at);
            if records.is_empty() {
                continue;
            }
            let Some(run) = self.run_of(ordinal) else {
                tracing::error!(ordinal, "a stream's opening is unreadable in the ledger; its records wait");
                continue;
            };
            let lent = Lent { run, records };
            self.lent.entry(ordinal).or_default().insert_all(&lent.ranges());
            return Some(lent);
        }
        None
    }

    /// Reads from the first free record on, as much as one batch may hold.
    fn read_records(&mut self, ordinal: u32, free: &Ranges, at: Captured) -> Vec<SealedRecord> {
        let mut records: Vec<SealedRecord> = Vec::new();
        let mut bytes = 0_usize;
        for sequence in sets::each(free).take(RECORDS_MAX) {
            match self.shelf.read(ordinal, sequence) {
                Ok(Some((record, _))) => {
                    // Sequence, keep, nonce and length of the seal take at most 24 octets.
                    bytes = bytes.saturating_add(record.sealed.len()).saturating_add(24);
                    if bytes > limits::BATCH_RECORD_BYTES_MAX && !records.is_empty() {
                        break;
                    }
                    records.push(record);
                }
                Ok(None) => self.lose_row(ordinal, sequence, at),
                Err((error, generation)) => {
                    self.note_unreadable(&error, generation, at);
                    break;
                }
            }
        }
        records
    }

    /// A row that should be there is not.
    fn lose_row(&mut self, ordinal: u32, sequence: Sequence, at: Captured) {
        let Some(stream) = self.shelf.stream(ordinal).map(|state| state.stream) else { return };
        let range = Range::one(sequence);
        self.shelf.release(ordinal, &Ranges::from(vec![range]));
        self.report_loss(LossExtent::Records { stream, range }, LossCause::Damaged, at);
        self.recount();
    }

    fn note_unreadable(&mut self, error: &DiskRefused, generation: u32, at: Captured) {
        tracing::error!(%error, generation, "a generation of the queue cannot be read");
        let is_damaged = matches!(error, DiskRefused::Damaged);
        if !is_damaged || self.shelf.head_number() == Some(generation) {
            return;
        }
        match self.shelf.set_aside(generation, at) {
            Ok(gone) => {
                self.status.set_aside = self.status.set_aside.saturating_add(1);
                self.report_gone(gone, LossCause::Damaged, at);
            }
            Err(error) => tracing::error!(%error, generation, "a damaged generation cannot be set aside"),
        }
        self.recount();
    }

    fn run_of(&self, ordinal: u32) -> Option<Arc<Run>> {
        if let Some(living) = self.living.as_ref().filter(|living| living.ordinal == ordinal) {
            return Some(Arc::clone(&living.run));
        }
        if let Some(run) = self.runs.get(&ordinal) {
            return Some(Arc::clone(run));
        }
        let row = self.shelf.stream_row(ordinal).ok().flatten()?;
        Some(Arc::new(Run { stream: row.stream, opening: row.opening.clone(), batch: None }))
    }

    fn give_back(&mut self, stream: shared::id::StreamId, ranges: &Ranges, at: Captured) {
        let Some(ordinal) = self.shelf.ordinal(stream) else { return };
        if let Some(lent) = self.lent.get_mut(&ordinal) {
            *lent = sets::minus(lent, ranges);
        }
        self.note_given_back(ordinal);
        let in_air = self.in_air.range((ordinal, Sequence::FIRST)..).take_while(|((of, _), _)| *of == ordinal);
        let back: Vec<Sequence> = in_air.map(|((_, sequence), _)| *sequence).filter(|s| ranges.contains(*s)).collect();
        back.into_iter().for_each(|sequence| self.lose_in_air(ordinal, sequence, at));
    }

    fn note_given_back(&mut self, ordinal: u32) {
        let times = self.given_back.entry(ordinal).or_default();
        *times = times.saturating_add(1);
    }

    /// The uplink had the only copy of a record and got no receipt for it.
    fn lose_in_air(&mut self, ordinal: u32, sequence: Sequence, at: Captured) {
        if self.in_air.remove(&(ordinal, sequence)).is_none() {
            return;
        }
        self.recent.remove(&(ordinal, sequence));
        let Some(stream) = self.shelf.stream(ordinal).map(|state| state.stream) else { return };
        let range = Range::one(sequence);
        if self.living.as_ref().is_some_and(|living| living.ordinal == ordinal) {
            self.voids.insert(range);
        }
        self.report_loss(LossExtent::Records { stream, range }, LossCause::WriteFailed, at);
    }

    /// Checks a receipt with its stream's key and does what it says.
    fn obey(&mut self, signed: &SignedReceipt, at: Captured) -> Option<Obeyed> {
        let stream = signed.claimed_stream().ok()?;
        let Some(ordinal) = self.shelf.ordinal(stream) else {
            tracing::warn!(%stream, "a receipt for a stream this hub does not hold is ignored");
            return None;
        };
        let row = self.shelf.stream_row(ordinal).ok().flatten()?;
        let receipt = match signed.verify(&ReceiptKey::from_bytes(row.receipt_key)) {
            Ok(receipt) if receipt.hub == self.setup.hub && receipt.stream == stream => receipt,
            Ok(_) => {
                tracing::warn!(%stream, "a receipt for another hub is ignored");
                return None;
            }
            Err(error) => {
                tracing::warn!(%stream, %error, "a receipt is ignored");
                return None;
            }
        };
        let is_new_store = self.shelf.store != Some(receipt.store);
        if is_new_store {
            if self.shelf.answers.is_old(receipt.store, receipt.number) {
                // In the store that answers now, an old receipt is still true; in one it replaced, it is not.
                tracing::warn!(store = %receipt.store, "an old receipt of a store that was replaced is ignored");
                return None;
            }
            if self.shelf.store.is_some() {
                tracing::warn!(store = %receipt.store, "another store answers; everything still held is sent again");
            }
            if let Err(error) = self.shelf.begin_store(receipt.store) {
                self.disk_refused(&error, at);
            }
            self.recount();
        }
        self.shelf.answers.note(receipt.store, receipt.number);
        self.release(ordinal, &receipt, at);
        Some(Obeyed { receipt, is_new_store })
    }

    fn release(&mut self, ordinal: u32, receipt: &Receipt, at: Captured) {
        let quarantined: Ranges = receipt.quarantined.iter().map(|entry| entry.range).collect();
        let mut answered = receipt.stored.clone();
        answered.insert_all(&quarantined);
        if let Some(lent) = self.lent.get_mut(&ordinal) {
            *lent = sets::minus(lent, &answered);
        }
        let pending = self.shelf.pending(ordinal);
        let newly = sets::both(&pending, &answered);
        let uncounted =
            self.shelf.stream(ordinal).map_or(newly.clone(), |state| sets::minus(&newly, &state.progress.counted));
        let mut observations = self.count_observations(ordinal, &uncounted, at);
        self.shelf.release(ordinal, &newly);
        let in_air = self.in_air.range((ordinal, Sequence::FIRST)..).take_while(|((of, _), _)| *of == ordinal);
        let landed: Vec<(Sequence, u16)> =
            in_air.map(|((_, s), count)| (*s, *count)).filter(|(s, _)| answered.contains(*s)).collect();
        let mut counted = uncounted;
        for (sequence, count) in landed {
            self.in_air.remove(&(ordinal, sequence));
            self.recent.remove(&(ordinal, sequence));
            self.shelf.count_accepted(count);
            observations = observations.saturating_add(count.into());
            counted.insert(Range::one(sequence));
        }
        if let Some(state) = self.shelf.stream_mut(ordinal) {
            state.progress.counted.insert_all(&counted);
            state.progress.receipted_observations = state.progress.receipted_observations.saturating_add(observations);
        }
        let count = newly.count();
        if count > 0 || !counted.is_empty() {
            self.given_back.remove(&ordinal);
        }
        self.status.pending_records = self.status.pending_records.saturating_sub(count);
        let new_in_quarantine = sets::both(&quarantined, &counted).count();
        if new_in_quarantine > 0 {
            self.shelf.totals.quarantined = self.shelf.totals.quarantined.saturating_add(new_in_quarantine);
            let reason = receipt.quarantined.first().map_or("", |entry| entry.reason.name());
            tracing::warn!(records = new_in_quarantine, reason, "the server keeps records in quarantine");
        }
        if count == pending.count() && self.living.as_ref().is_none_or(|living| living.ordinal != ordinal) {
            self.runs.remove(&ordinal);
            self.lent.remove(&ordinal);
        }
    }

    /// Observations in these records: from memory for young ones, else from their rows.
    fn count_observations(&mut self, ordinal: u32, ranges: &Ranges, at: Captured) -> u64 {
        let mut sum = 0_u64;
        for sequence in sets::each(ranges) {
            let count = match self.recent.remove(&(ordinal, sequence)) {
                Some((count, _)) => count,
                None => match self.shelf.read(ordinal, sequence) {
                    Ok(row) => row.map_or(0, |(_, count)| count),
                    Err((error, generation)) => {
                        self.note_unreadable(&error, generation, at);
                        0
                    }
                },
            };
            sum = sum.saturating_add(count.into());
        }
        sum
    }

    /// Counts pending records afresh.
    pub(super) fn recount(&mut self) {
        let ordinals: Vec<u32> = self.shelf.ordinals().collect();
        let pending = ordinals.into_iter().map(|ordinal| self.shelf.pending(ordinal).count());
        self.status.pending_records = pending.fold(0, u64::saturating_add);
    }

    pub(super) fn save_ledger(&mut self) {
        if let Err(error) = self.shelf.save_ledger() {
            // Only a resend is lost; the disk's own refusal is handled where records are written.
            tracing::warn!(%error, "the ledger cannot be written; tried again");
        }
    }

    /// Measures, and gives up what policy says if room is short.
    pub(super) fn make_room(&mut self, at: Captured) {
        self.sync(at);
        match self.shelf.make_room(self.setup.bytes_max, at) {
            Ok(gone) => self.report_gone(gone, LossCause::DiskFull, at),
            Err(error) => tracing::error!(%error, "room cannot be made in the queue; free space on its disk"),
        }
        let (queue_bytes, free) = self.shelf.measure();
        self.status.queue_bytes = queue_bytes;
        self.status.disk_free_bytes = free;
        self.recount();
        self.status.backlog_bytes = self.shelf.backlog_bytes();
    }
}
