//! The queue's owner: sealing, and what happens when the disk refuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use shared::id::StreamId;
use shared::observation::Captured;
use shared::sequence::{Range, Sequence};
use shared::time::Tick;
use shared::wire::{Entry, LossCause, LossExtent, SealedRecord, to_bytes};

use super::database::{Disk, DiskRefused};
use super::owner::Unsynced;
use super::policy::Closed;
use super::seal::{CannotSeal, LivingStream, observations};
use super::stream::{self, Openers};
use super::{Lent, Owner, Run};
use crate::limits;

/// Young pending records remembered in memory. More: the oldest are read from disk when their receipt comes.
const RECENT_MAX: usize = 2_048;

impl<D: Disk> Owner<D> {
    pub(super) fn can_write(&self, now: Tick) -> bool {
        self.disk_retry_at.is_none_or(|due| due <= now)
    }

    pub(super) fn seal_held_back(&mut self, at: Captured) {
        for _ in 0..self.held_back.len() {
            if !self.can_write(at.tick) && !self.is_connected {
                break;
            }
            let Some(closed) = self.held_back.pop_front() else { break };
            if let Err(closed) = self.try_seal(closed, at) {
                self.held_back.push_front(closed);
                break;
            }
        }
    }

    pub(super) fn seal_or_hold(&mut self, closed: Closed, at: Captured) {
        let nobody_takes = !self.can_write(at.tick) && !self.is_connected;
        let closed = if nobody_takes || !self.held_back.is_empty() {
            closed
        } else {
            match self.try_seal(closed, at) {
                Ok(()) => return,
                Err(closed) => closed,
            }
        };
        self.held_back.push_back(closed);
        self.shorten_held_back(at);
    }

    /// The buffer for a refusing disk has a limit: beyond it the oldest become a loss.
    pub(super) fn shorten_held_back(&mut self, at: Captured) {
        let size = |closed: &Closed| to_bytes(&closed.entries).map_or(0, |bytes| bytes.len());
        let mut sum: usize = self.held_back.iter().map(size).sum();
        while sum > limits::RETRY_BYTES_MAX {
            let Some(oldest) = self.held_back.pop_front() else { break };
            sum = sum.saturating_sub(size(&oldest));
            let mut extents: BTreeMap<_, (u64, Tick, Tick)> = BTreeMap::new();
            for entry in oldest.entries {
                if let Entry::Observation(seen) = entry {
                    let tick = seen.captured.tick;
                    let extent = extents.entry(seen.device).or_insert((0, tick, tick));
                    *extent = (extent.0.saturating_add(1), extent.1.min(tick), extent.2.max(tick));
                }
            }
            for (device, (count, from, until)) in extents {
                let extent = LossExtent::Frames { device, count, from, until };
                self.report_loss(extent, LossCause::WriteFailed, at);
            }
        }
    }

    /// Seals a record and hands it to disk and uplink. Gives the entries back if neither took it.
    fn try_seal(&mut self, mut closed: Closed, at: Captured) -> Result<(), Closed> {
        if let Err(error) = self.ensure_stream(at) {
            self.note_cannot_seal(&error, at);
            return Err(closed);
        }
        let Some(living) = self.living.as_mut() else { return Err(closed) };
        if closed.keep {
            let voids = std::mem::take(&mut self.voids);
            self.shelf.totals.voids = self.shelf.totals.voids.saturating_add(voids.count());
            closed.entries.splice(0..0, self.boot.take().into_iter().chain(voids.iter().map(Entry::Void)));
        }
        let record = match living.seal(&closed.entries, closed.keep) {
            Ok(record) => record,
            Err(error) => {
                self.note_cannot_seal(&BeginFailed::Seal(error), at);
                return Err(closed);
            }
        };
        let (ordinal, run) = (living.ordinal, Arc::clone(&living.run));
        let (sequence, count, bytes) = (record.sequence, observations(&closed.entries), record.sealed.len());
        let refused = if self.disk_retry_at.is_none_or(|due| due <= at.tick) {
            self.shelf.write(ordinal, &living.row, &record, count, at).err()
        } else {
            Some(DiskRefused::LibraryFailed)
        };
        let is_lent = self.lend_live(ordinal, run, record);
        if is_lent || refused.is_none() {
            self.remember(ordinal, sequence, count, at.tick);
        }
        let Some(error) = refused else {
            self.status.pending_records = self.status.pending_records.saturating_add(1);
            let due = if closed.keep { at.tick } else { at.tick.after(limits::SYNC_WITHIN) };
            self.sync_at = Some(self.sync_at.map_or(due, |before| before.min(due)));
            self.unsynced.push(Unsynced { ordinal, sequence, observations: count, bytes, closed, is_lent });
            self.disk_retry_at = None;
            return Ok(());
        };
        if self.can_write(at.tick) {
            self.disk_refused(&error, at);
        }
        if is_lent {
            self.in_air.insert((ordinal, sequence), count);
            return Ok(());
        }
        self.voids.insert(Range::one(sequence));
        Err(closed)
    }

    fn lend_live(&mut self, ordinal: u32, run: Arc<Run>, record: SealedRecord) -> bool {
        let range = Range::one(record.sequence);
        // Full or not connected: the record is lent from disk later.
        let is_lent = self.is_connected && self.live.try_send(Lent { run, records: vec![record] }).is_ok();
        if is_lent {
            self.lent.entry(ordinal).or_default().insert(range);
        }
        is_lent
    }

    fn remember(&mut self, ordinal: u32, sequence: Sequence, count: u16, at: Tick) {
        self.recent.insert((ordinal, sequence), (count, at));
        while self.recent.len() > RECENT_MAX {
            self.recent.pop_first();
        }
    }

    fn note_cannot_seal(&mut self, error: &BeginFailed, at: Captured) {
        match error {
            BeginFailed::Disk(error) => self.disk_refused(error, at),
            BeginFailed::Seal(error) => {
                tracing::error!(%error, "a record cannot be sealed; tried again with a new stream");
                self.end_stream(at);
                self.disk_retry_at = Some(at.tick.after(limits::DISK_RETRY_AFTER));
            }
        }
    }

    fn ensure_stream(&mut self, at: Captured) -> Result<(), BeginFailed> {
        let lived = |living: &LivingStream| at.tick.since(living.since) >= limits::STREAM_LIFE_MAX;
        if self.living.as_ref().is_some_and(lived) {
            self.sync(at);
            self.end_stream(at);
        }
        if self.living.is_some() {
            return Ok(());
        }
        let openers = Openers {
            hub: self.setup.hub,
            identity: &self.setup.identity,
            sealing_key: &self.setup.sealing_key,
            bindings: &self.setup.bindings,
            previous: self.shelf.last_stream(),
            boot: self.setup.clock.boot_id(),
            at,
        };
        let mut living = stream::begin(&openers)?;
        living.ordinal = self.shelf.begin_stream(&living.row)?;
        tracing::info!(stream = %living.stream(), "a stream begins");
        self.living = Some(living);
        Ok(())
    }

    /// Ends the living stream; the next record begins another.
    pub(super) fn end_stream(&mut self, at: Captured) {
        let Some(living) = self.living.take() else { return };
        let stream: StreamId = living.stream();
        self.runs.insert(living.ordinal, living.run);
        while self.runs.len() > limits::RUNS_KEPT_MAX {
            self.runs.pop_first();
        }
        // Void is said inside the stream it is about; too late for these, so they are said as a loss.
        let mut voids = std::mem::take(&mut self.voids);
        for closed in &mut self.held_back {
            for entry in closed.entries.extract_if(.., |entry| matches!(entry, Entry::Void(_))) {
                if let Entry::Void(range) = entry {
                    voids.insert(range);
                }
            }
        }
        for range in voids.iter() {
            self.report_loss(LossExtent::Records { stream, range }, LossCause::WriteFailed, at);
        }
    }

    /// The disk refused. What is lent stays in the air; the rest is sealed again under the next numbers, and the
    /// numbers it had are reported void.
    pub(super) fn disk_refused(&mut self, error: &DiskRefused, at: Captured) {
        tracing::error!(%error, "the queue's disk refuses; free space or replace it. Tried again every 2 s");
        self.disk_retry_at = Some(at.tick.after(limits::DISK_RETRY_AFTER));
        self.sync_at = None;
        let unsynced = std::mem::take(&mut self.unsynced);
        self.shelf.abandon_head(&unsynced, at);
        let living = self.living.as_ref().map(|living| (living.ordinal, living.stream()));
        for refused in unsynced {
            let is_receipted = self.shelf.is_released(refused.ordinal, refused.sequence);
            if refused.is_lent || is_receipted {
                if is_receipted {
                    self.shelf.count_accepted(refused.observations);
                } else {
                    self.in_air.insert((refused.ordinal, refused.sequence), refused.observations);
                }
                continue;
            }
            if living.is_some_and(|(ordinal, _)| ordinal == refused.ordinal) {
                self.voids.insert(Range::one(refused.sequence));
            }
            self.recent.remove(&(refused.ordinal, refused.sequence));
            self.held_back.push_back(refused.closed);
        }
        self.shorten_held_back(at);
        self.recount();
    }
}

/// Why a stream could not begin.
#[derive(Debug, thiserror::Error)]
enum BeginFailed {
    #[error(transparent)]
    Disk(#[from] DiskRefused),
    #[error(transparent)]
    Seal(#[from] CannotSeal),
}
