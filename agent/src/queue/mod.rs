//! The queue: seals what is taken, makes it durable, lends it to the uplink, releases it on receipts.
//!
//! ```text
//! Taken ──▶ policy ──▶ seal ──┬──▶ shelf (sled) ──sync──▶ accepted
//!  (binding added)            └──▶ live channel ──▶ uplink
//! uplink ── Question ──▶ backlog lent · given back · receipt ──▶ released
//! ```
//! The owner is a thread of its own, because it syncs a disk. Words: a record is *lent* while the uplink has it,
//! *pending* until a receipt covers it, *released* afterwards; *in the air* if the disk refused it and the uplink has
//! the only copy.

pub mod database;
mod doubtful;
pub mod generation;
pub mod ledger;
mod owner;
mod past_bindings;
pub mod policy;
mod questions;
mod release;
mod report;
pub mod seal;
mod sealing;
pub mod sets;
pub mod shelf;
pub mod sled_store;
pub mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use runtime::supervisor::Progress;
use shared::id::{DeviceId, HubId, StoreId, StreamId};
use shared::sealing::{BatchKey, SealingPublic};
use shared::sequence::{Range, Ranges};
use shared::wire::{BindingInForce, DeviceState, Receipt, SealedRecord, Settings, SignedOpening, SignedReceipt};
use tokio::sync::{mpsc, oneshot, watch};

pub use owner::Owner;

use crate::identity::Identity;
use crate::intake_item::Taken;
use crate::limits;

/// What the uplink needs of a stream.
pub struct Run {
    /// Its name.
    pub stream: StreamId,
    /// Its opening.
    pub opening: SignedOpening,
    /// Its batch key while the process that began it lives; earlier streams have none, and so no trusted age.
    pub batch: Option<BatchKey>,
}

/// Records lent to the uplink.
pub struct Lent {
    /// Their stream.
    pub run: Arc<Run>,
    /// In ascending sequence.
    pub records: Vec<SealedRecord>,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lent({}, {} records)", self.run.stream, self.records.len())
    }
}

impl Lent {
    /// Their sequences.
    #[must_use]
    pub fn ranges(&self) -> Ranges {
        self.records.iter().map(|record| Range::one(record.sequence)).collect()
    }
}

/// A receipt that was checked and obeyed.
#[derive(Debug)]
pub struct Obeyed {
    /// What it says.
    pub receipt: Receipt,
    /// Whether another store answers than before.
    pub is_new_store: bool,
}

/// What others ask of the queue's owner.
#[derive(Debug)]
pub enum Question {
    /// Lend the oldest records that are pending and not lent; `None` if there are none.
    Backlog(oneshot::Sender<Option<Lent>>),
    /// These were lent and not receipted: lend them again some time.
    GiveBack(StreamId, Ranges),
    /// Check a receipt and release what it covers; `None` if it must be ignored.
    Receipt(SignedReceipt, oneshot::Sender<Option<Obeyed>>),
    /// The uplink is up, or down: then everything lent is given back and nothing is lent live.
    Connected(bool, oneshot::Sender<()>),
    /// Settings that were checked and stored.
    Settings(Box<Settings>),
}

/// How the queue is, for the status and for the uplink's decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueStatus {
    /// Whether the queue is open; before that, the counts mean nothing.
    pub is_open: bool,
    /// The living stream and its last sequence.
    pub stream: Option<(StreamId, u64)>,
    /// Observations in records that were synced or receipted, ever.
    pub accepted_observations: u64,
    /// Observations in receipted records, ever.
    pub receipted_observations: u64,
    /// Observations sealed and not yet accepted, or held back while the disk refuses.
    pub unaccepted_observations: u64,
    /// Records that await a receipt.
    pub pending_records: u64,
    /// Records that await a receipt, are synced and are not lent.
    pub unlent_records: u64,
    /// Their octets on disk, as last measured.
    pub backlog_bytes: u64,
    /// How old the oldest pending record of this run is.
    pub oldest_pending_ms: Option<u64>,
    /// Octets of the queue's folder, as last measured.
    pub queue_bytes: u64,
    /// Octets free on its disk, as last measured.
    pub disk_free_bytes: u64,
    /// Whether the disk refuses writes now.
    pub disk_refuses: bool,
    /// Records the server keeps in quarantine.
    pub quarantined: u64,
    /// Sequences reported void.
    pub voids: u64,
    /// Losses reported.
    pub losses: u64,
    /// Databases set aside as damaged since the start.
    pub set_aside: u64,
    /// Records of the living stream that are receipted.
    pub receipted_ranges: Ranges,
    /// The store that last answered.
    pub store: Option<StoreId>,
    /// Bindings in force.
    pub bindings: Vec<BindingInForce>,
    /// What each device's source last said of it.
    pub devices: BTreeMap<DeviceId, DeviceState>,
    /// Whether the sources have ended and everything they gave is sealed and synced.
    pub is_drained: bool,
}

/// What the owner is made with.
pub struct Setup {
    /// The hub.
    pub hub: HubId,
    /// Its key.
    pub identity: Arc<Identity>,
    /// The clock.
    pub clock: runtime::clock::Clock,
    /// The bindings in force.
    pub bindings: Vec<BindingInForce>,
    /// The key to seal to.
    pub sealing_key: SealingPublic,
    /// Octets the queue's folder may have.
    pub bytes_max: u64,
    /// Frames refused since the start, asked once a minute.
    pub frames_refused: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// The owner's ends of its channels.
pub struct Channels {
    /// From the sources; when all have ended the owner seals and syncs what is open.
    pub taken: mpsc::Receiver<Taken>,
    /// From the uplink; when it has ended too the owner ends.
    pub questions: mpsc::Receiver<Question>,
    /// To the uplink.
    pub live: mpsc::Sender<Lent>,
    /// To whoever looks.
    pub status: watch::Sender<QueueStatus>,
}

/// Why the owner ends in disorder.
#[derive(Debug, thiserror::Error)]
pub enum QueueFailed {
    /// The queue cannot be opened.
    #[error("the queue's folder cannot be used: {0}")]
    Unusable(#[from] database::DiskRefused),
    /// Something accepted or taken could not be made durable.
    #[error("{0} observations could not be made durable before the end")]
    NotDurable(u64),
    /// The timer could not be made.
    #[error("the owner's timer cannot be made: {0}")]
    Timer(std::io::Error),
}

/// Runs the owner until its channels close. Blocks: give it a thread of its own.
///
/// # Errors
/// [`QueueFailed`].
pub fn run<D: database::Disk>(
    disk: D,
    folder: &std::path::Path,
    setup: Setup,
    channels: Channels,
    progress: &Progress,
) -> Result<(), QueueFailed> {
    let timer = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(QueueFailed::Timer)?;
    let Channels { mut taken, mut questions, live, status } = channels;
    let clock = setup.clock.clone();
    std::fs::create_dir_all(folder).map_err(database::DiskRefused::Io)?;
    keep_ballast(&disk, folder);
    let mut owner = Owner::open(disk, folder, setup, live, status)?;
    let mut are_sources_open = true;
    loop {
        owner.turn(clock.captured());
        progress.turn();
        progress.waiting("devices and server");
        let deadline = owner.next_deadline(clock.tick());
        let next = timer.block_on(async {
            tokio::select! {
                biased;
                question = questions.recv() => Next::Question(question),
                item = taken.recv(), if are_sources_open => Next::Taken(item),
                () = clock.sleep_until(deadline) => Next::Deadline,
            }
        });
        match next {
            Next::Deadline => {}
            Next::Taken(Some(item)) => owner.take(item, clock.captured()),
            Next::Taken(None) => {
                are_sources_open = false;
                owner.finish(clock.captured());
            }
            Next::Question(Some(question)) => owner.answer(question, clock.captured()),
            Next::Question(None) => {
                // The uplink has ended; sources that still speak are heard to their end.
                while let Some(item) = taken.blocking_recv() {
                    owner.take(item, clock.captured());
                    owner.turn(clock.captured());
                }
                return owner.close(clock.captured());
            }
        }
    }
}

/// A full disk would keep the databases from being opened at all. So a file is kept that can be given up then.
fn keep_ballast<D: database::Disk>(disk: &D, folder: &std::path::Path) {
    let ballast = folder.join("ballast");
    let has_room = disk.free_bytes(folder).is_ok_and(|free| free >= limits::DISK_FREE_BYTES_MIN);
    let kept = if has_room && !ballast.exists() {
        runtime::files::write_atomically(&ballast, &vec![0; limits::BALLAST_BYTES], 0o600)
    } else if !has_room && ballast.exists() {
        tracing::warn!("the disk is nearly full; the queue's ballast is given up");
        std::fs::remove_file(&ballast)
    } else {
        Ok(())
    };
    if let Err(error) = kept {
        tracing::warn!(%error, "the queue's ballast cannot be kept");
    }
}

enum Next {
    Question(Option<Question>),
    Taken(Option<Taken>),
    Deadline,
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod model_tests;
