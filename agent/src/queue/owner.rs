//! The queue's owner, first half: taking, sealing, syncing, and what happens when the disk refuses.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use shared::observation::{Captured, Observation};
use shared::sequence::{Range, Ranges, Sequence};
use shared::time::{ClockState, Tick};
use shared::wire::{Boot, ClockFix, Entry, HubStatus, Loss, LossCause, LossExtent, to_bytes};
use tokio::sync::{mpsc, watch};

use super::database::Disk;
use super::past_bindings::PastBindings;
use super::policy::{Closed, OpenRecords};
use super::seal::LivingStream;
use super::shelf::{Gone, Shelf};
use super::{Lent, QueueFailed, QueueStatus, Run, Setup};
use crate::intake_item::Taken;
use crate::limits;

/// A record that was written and not yet synced.
pub(super) struct Unsynced {
    pub(super) ordinal: u32,
    pub(super) sequence: Sequence,
    pub(super) observations: u16,
    pub(super) bytes: usize,
    pub(super) closed: Closed,
    pub(super) is_lent: bool,
}

impl Unsynced {
    pub(super) fn range(&self) -> Range {
        Range::one(self.sequence)
    }
}

/// The owner of the queue.
pub struct Owner<D: Disk> {
    pub(super) setup: Setup,
    /// For what was captured before the bindings changed and is taken after.
    pub(super) past_bindings: PastBindings,
    pub(super) shelf: Shelf<D>,
    pub(super) open: OpenRecords,
    pub(super) boot: Option<Entry>,
    /// Closed and not sealed, while neither disk nor uplink can take it.
    pub(super) held_back: VecDeque<Closed>,
    pub(super) living: Option<LivingStream>,
    /// Ended streams of this run, for their batch keys.
    pub(super) runs: BTreeMap<u32, Arc<Run>>,
    pub(super) unsynced: Vec<Unsynced>,
    pub(super) sync_at: Option<Tick>,
    /// Sequences of the living stream to be reported void.
    pub(super) voids: Ranges,
    /// Records that only the uplink has, with their observations.
    pub(super) in_air: BTreeMap<(u32, Sequence), u16>,
    pub(super) lent: BTreeMap<u32, Ranges>,
    /// How often a stream's records came back without a receipt since its last one.
    pub(super) given_back: BTreeMap<u32, u32>,
    pub(super) live: mpsc::Sender<Lent>,
    pub(super) is_connected: bool,
    /// Observations and time of young pending records, so that a receipt needs no reading.
    pub(super) recent: BTreeMap<(u32, Sequence), (u16, Tick)>,
    pub(super) disk_retry_at: Option<Tick>,
    pub(super) ledger_at: Tick,
    pub(super) capacity_at: Tick,
    pub(super) hub_status_at: Tick,
    pub(super) wall_ahead_ms: Option<i64>,
    pub(super) status: QueueStatus,
    pub(super) status_out: watch::Sender<QueueStatus>,
}

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
            past_bindings: PastBindings::default(),
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
            given_back: BTreeMap::new(),
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
                let binding = self.past_bindings.find(&self.setup.bindings, &device, slot, captured.tick);
                for reading in readings {
                    let (device, from_memory) = (device.clone(), from_memory.clone());
                    let entry = Observation { device, slot, binding, reading, captured, device_time, from_memory };
                    self.push(Entry::Observation(entry), at);
                }
            }
            Taken::Device(status) => {
                self.status.devices.insert(status.device.clone(), status.state);
                self.push(Entry::DeviceStatus(status), at);
            }
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
}
