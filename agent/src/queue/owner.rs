//! The queue's owner, first half: taking, sealing, syncing, and what happens when the disk refuses.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shared::id::StreamId;
use shared::observation::{Captured, Observation};
use shared::sequence::{Range, Ranges, Sequence};
use shared::time::{ClockState, Tick};
use shared::wire::{Boot, ClockFix, Entry, HubStatus, Loss, LossCause, LossExtent, SealedRecord, to_bytes};
use tokio::sync::{mpsc, watch};

use super::database::{Disk, DiskRefused};
use super::policy::{Closed, OpenRecords};
use super::seal::{CannotSeal, LivingStream, observations};
use super::shelf::{Gone, Shelf};
use super::stream::{self, Openers};
use super::{Lent, QueueFailed, QueueStatus, Run, Setup};
use crate::intake_item::Taken;
use crate::limits;

/// A record that was written and not yet synced.
struct Unsynced {
    ordinal: u32,
    sequence: Sequence,
    observations: u16,
    bytes: usize,
    closed: Closed,
    is_lent: bool,
}

/// The owner of the queue.
pub struct Owner<D: Disk> {
    pub(super) setup: Setup,
    pub(super) shelf: Shelf<D>,
    pub(super) open: OpenRecords,
    boot: Option<Entry>,
    /// Closed and not sealed, while neither disk nor uplink can take it.
    held_back: VecDeque<Closed>,
    pub(super) living: Option<LivingStream>,
    /// Ended streams of this run, for their batch keys.
    pub(super) runs: BTreeMap<u32, Arc<Run>>,
    unsynced: Vec<Unsynced>,
    sync_at: Option<Tick>,
    /// Sequences of the living stream to be reported void.
    pub(super) voids: Ranges,
    /// Records that only the uplink has, with their observations.
    pub(super) in_air: BTreeMap<(u32, Sequence), u16>,
    pub(super) lent: BTreeMap<u32, Ranges>,
    live: mpsc::Sender<Lent>,
    pub(super) is_connected: bool,
    /// Observations and time of young pending records, so that a receipt needs no reading.
    pub(super) recent: BTreeMap<(u32, Sequence), (u16, Tick)>,
    pub(super) disk_retry_at: Option<Tick>,
    pub(super) ledger_at: Tick,
    capacity_at: Tick,
    hub_status_at: Tick,
    wall_ahead_ms: Option<i64>,
    pub(super) status: QueueStatus,
    status_out: watch::Sender<QueueStatus>,
}

/// Young pending records remembered in memory. More: the oldest are read from disk when their receipt comes.
const RECENT_MAX: usize = 2_048;

impl<D: Disk> Owner<D> {
    /// Opens the queue's folder.
    ///
    /// # Errors
    /// [`QueueFailed::Unusable`].
    pub fn open(
        disk: D,
        folder: &Path,
        setup: Setup,
        live: mpsc::Sender<Lent>,
        status_out: watch::Sender<QueueStatus>,
    ) -> Result<Self, QueueFailed> {
        let at = setup.clock.captured();
        let (shelf, found) = Shelf::open(disk, folder, at)?;
        let boot = Boot { at, boot: setup.clock.boot_id(), stopped_orderly: found.stopped_orderly };
        let mut owner = Self {
            setup,
            shelf,
            open: OpenRecords::default(),
            boot: Some(Entry::Boot(boot)),
            held_back: VecDeque::new(),
            living: None,
            runs: BTreeMap::new(),
            unsynced: Vec::new(),
            sync_at: None,
            voids: Ranges::new(),
            in_air: BTreeMap::new(),
            lent: BTreeMap::new(),
            live,
            is_connected: false,
            recent: BTreeMap::new(),
            disk_retry_at: None,
            ledger_at: at.tick.after(limits::LEDGER_EVERY),
            capacity_at: at.tick,
            hub_status_at: at.tick.after(limits::HUB_STATUS_EVERY),
            wall_ahead_ms: None,
            status: QueueStatus { set_aside: found.set_aside, ..QueueStatus::default() },
            status_out,
        };
        owner.report_gone(found.gone, LossCause::Damaged, at);
        owner.recount();
        Ok(owner)
    }

    /// Takes what a source took.
    pub fn take(&mut self, taken: Taken, at: Captured) {
        match taken {
            Taken::Readings { device, slot, captured, device_time, from_memory, readings } => {
                let row = |b: &&shared::wire::BindingInForce| b.device == device && b.slot == slot;
                let binding = self.setup.bindings.iter().find(row).map(|row| row.binding);
                for reading in readings {
                    let (device, from_memory) = (device.clone(), from_memory.clone());
                    let entry =
                        Observation { device, slot, binding, reading, captured, device_time, from_memory };
                    self.push(Entry::Observation(entry), at);
                }
            }
            Taken::Device(status) => self.push(Entry::DeviceStatus(status), at),
            Taken::Overrun { device, count, from, until, at: noticed } => {
                let extent = LossExtent::Frames { device, count, from, until };
                self.report_loss(extent, LossCause::Overrun, noticed);
            }
        }
    }

    pub(super) fn push(&mut self, entry: Entry, at: Captured) {
        let bytes = to_bytes(&entry).map_or(0, |bytes| bytes.len());
        self.open.push(entry, bytes, at.tick);
    }

    pub(super) fn report_loss(&mut self, extent: LossExtent, cause: LossCause, at: Captured) {
        tracing::warn!(?cause, "something is lost; the loss is recorded");
        self.shelf.totals.losses = self.shelf.totals.losses.saturating_add(1);
        self.push(Entry::Loss(Loss { at, extent, cause }), at);
    }

    pub(super) fn report_gone(&mut self, gone: Vec<Gone>, cause: LossCause, at: Captured) {
        for Gone { stream, ranges } in gone {
            for range in ranges.iter() {
                self.report_loss(LossExtent::Records { stream, range }, cause, at);
            }
        }
    }

    /// Does whatever is due. To be called after each taken thing, each question and each deadline.
    pub fn turn(&mut self, at: Captured) {
        self.note_clock(at);
        if at.tick >= self.hub_status_at {
            self.hub_status_at = at.tick.after(limits::HUB_STATUS_EVERY);
            let status = HubStatus {
                at,
                backlog_records: self.status.pending_records,
                backlog_bytes: self.status.backlog_bytes,
                disk_free_bytes: self.status.disk_free_bytes,
                frames_refused: (self.setup.frames_refused)(),
            };
            self.push(Entry::HubStatus(status), at);
        }
        self.seal_held_back(at);
        while let Some(closed) = self.open.next_closed(at.tick) {
            self.seal_or_hold(closed, at);
        }
        let too_many = self.unsynced.iter().map(|u| u.bytes).sum::<usize>() >= limits::UNSYNCED_BYTES_MAX;
        if too_many || self.sync_at.is_some_and(|due| due <= at.tick) {
            self.sync(at);
        }
        if at.tick >= self.ledger_at {
            self.ledger_at = at.tick.after(limits::LEDGER_EVERY);
            self.save_ledger();
        }
        if at.tick >= self.capacity_at {
            self.capacity_at = at.tick.after(limits::CAPACITY_EVERY);
            self.make_room(at);
        }
        self.publish_status(at);
    }

    /// When the next turn is due, at the latest.
    #[must_use]
    pub fn next_deadline(&self, now: Tick) -> Tick {
        let fixed = [self.hub_status_at, self.capacity_at, self.ledger_at];
        let maybe = [self.open.next_deadline(), self.sync_at, self.disk_retry_at.filter(|due| *due > now)];
        fixed.into_iter().chain(maybe.into_iter().flatten()).min().unwrap_or(now)
    }

    /// A clock that arrives or steps is an entry: the server re-times.
    fn note_clock(&mut self, at: Captured) {
        if at.clock != ClockState::Synchronised {
            return;
        }
        let ahead = at.wall.as_millis().saturating_sub(i64::try_from(at.tick.as_millis()).unwrap_or(i64::MAX));
        let step = i64::try_from(limits::CLOCK_STEP.as_millis()).unwrap_or(i64::MAX);
        if self.wall_ahead_ms.is_some_and(|before| before.abs_diff(ahead) <= step.unsigned_abs()) {
            return;
        }
        let is_first = self.wall_ahead_ms.replace(ahead).is_none();
        if is_first && self.living.is_none() {
            // The opening of the stream will say it.
            return;
        }
        let boot = self.setup.clock.boot_id();
        self.push(Entry::ClockFix(ClockFix { boot, tick: at.tick, wall: at.wall, uncertainty_ms: 1_000 }), at);
    }

    fn can_write(&self, now: Tick) -> bool {
        self.disk_retry_at.is_none_or(|due| due <= now)
    }

    fn seal_held_back(&mut self, at: Captured) {
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

    fn seal_or_hold(&mut self, closed: Closed, at: Captured) {
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
    fn shorten_held_back(&mut self, at: Captured) {
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

    /// Makes everything written durable: it is accepted then.
    pub(super) fn sync(&mut self, at: Captured) {
        self.sync_at = None;
        if self.unsynced.is_empty() {
            return;
        }
        if let Err(error) = self.shelf.sync() {
            self.disk_refused(&error, at);
            return;
        }
        for synced in std::mem::take(&mut self.unsynced) {
            self.shelf.note_durable(synced.ordinal, synced.sequence);
        }
    }

    /// The disk refused. What is lent stays in the air; the rest is sealed again under the next numbers, and the
    /// numbers it had are reported void.
    pub(super) fn disk_refused(&mut self, error: &DiskRefused, at: Captured) {
        tracing::error!(%error, "the queue's disk refuses; free space or replace it. Tried again every 2 s");
        self.disk_retry_at = Some(at.tick.after(limits::DISK_RETRY_AFTER));
        self.sync_at = None;
        let unsynced = std::mem::take(&mut self.unsynced);
        let never: Vec<_> = unsynced.iter().map(|u| (u.ordinal, u.sequence, u.observations)).collect();
        self.shelf.abandon_head(&never, at);
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

    /// The sources have ended: everything open is sealed and synced.
    pub fn finish(&mut self, at: Captured) {
        self.disk_retry_at = None;
        self.seal_open(at);
        self.status.is_drained = true;
        self.save_ledger();
        self.publish_status(at);
    }

    /// Seals and syncs whatever is open.
    pub(super) fn seal_open(&mut self, at: Captured) {
        self.seal_held_back(at);
        for closed in self.open.close_all() {
            self.seal_or_hold(closed, at);
        }
        self.sync(at);
    }

    /// Ends the run.
    ///
    /// # Errors
    /// [`QueueFailed`] if something taken is not durable.
    pub fn close(mut self, at: Captured) -> Result<(), QueueFailed> {
        self.finish(at);
        let left = self.unaccepted();
        if left > 0 {
            return Err(QueueFailed::NotDurable(left));
        }
        let status = &self.status;
        let (accepted, receipted, pending) =
            (status.accepted_observations, status.receipted_observations, status.pending_records);
        tracing::info!(accepted, receipted, pending, "the queue is closed");
        Ok(self.shelf.close_orderly(at)?)
    }

    /// Observations sealed or held back that are neither durable nor receipted.
    fn unaccepted(&self) -> u64 {
        let held_back = self.held_back.iter().map(|closed| u64::from(observations(&closed.entries)));
        let in_air = self.in_air.values().map(|count| u64::from(*count));
        held_back.chain(in_air).chain([self.unsynced_observations()]).fold(0, u64::saturating_add)
    }

    /// Observations written and neither synced nor receipted.
    fn unsynced_observations(&self) -> u64 {
        let open = self.unsynced.iter().filter(|u| !self.shelf.is_released(u.ordinal, u.sequence));
        open.map(|u| u64::from(u.observations)).fold(0, u64::saturating_add)
    }

    fn publish_status(&mut self, at: Captured) {
        let unsynced = self.unsynced_observations();
        let unaccepted = self.unaccepted();
        let lent = self.lent.values().map(Ranges::count).fold(0, u64::saturating_add);
        let in_air = u64::try_from(self.in_air.len()).unwrap_or(u64::MAX);
        let oldest = self.recent.first_key_value().map(|(_, (_, tick))| at.tick.since(*tick));
        let living = self.living.as_ref();
        let progress = living.and_then(|living| self.shelf.stream(living.ordinal)).map(|state| &state.progress);
        let status = &mut self.status;
        status.stream = living.map(|living| (living.stream(), living.last_sequence()));
        status.receipted_ranges = progress.map(|progress| progress.counted.clone()).unwrap_or_default();
        status.accepted_observations = self.shelf.accepted_observations().saturating_sub(unsynced);
        status.receipted_observations = self.shelf.receipted_observations();
        status.unaccepted_observations = unaccepted;
        status.unlent_records = status.pending_records.saturating_sub(lent.saturating_sub(in_air));
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

/// Why a stream could not begin.
#[derive(Debug, thiserror::Error)]
enum BeginFailed {
    #[error(transparent)]
    Disk(#[from] DiskRefused),
    #[error(transparent)]
    Seal(#[from] CannotSeal),
}
