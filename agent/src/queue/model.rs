//! A hub's queue that can crash (the disk as it is copied from under the running owner), a disk that can refuse, and a
//! server that keeps everything: for the tests against a model.
#![allow(clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::clock::{Clock, ManualClock};
use shared::id::{BindingId, BootId, HubId, StoreId, StreamId};
use shared::metric::Metric;
use shared::observation::Captured;
use shared::reading::{Quality, Reading};
use shared::sealing::{SealingSecret, StreamContext, StreamKeys, Suite, derive_stream, identity_digest};
use shared::sequence::Range;
use shared::time::{ClockState, Tick, Timestamp};
use shared::units::{Decimal, Unit};
use shared::wire::{BindingInForce, Entry, Receipt, Record, SignedReceipt, from_bytes};
use tokio::sync::{mpsc, oneshot, watch};

use super::database::{Change, Database, Disk, DiskRefused};
use super::sled_store::{SledDatabase, SledDisk};
use super::{Lent, Owner, Question, QueueStatus, Setup};
use crate::identity::Identity;
use crate::intake_item::Taken;

/// sled, unless the first switch is on; with the second on syncs are done and said to have failed.
#[derive(Clone, Default)]
pub(super) struct Refusing(pub(super) Arc<AtomicBool>, pub(super) Arc<AtomicBool>);

pub(super) struct RefusingDatabase(SledDatabase, Refusing);

pub(super) fn refusal(switch: &AtomicBool) -> Result<(), DiskRefused> {
    if switch.load(Ordering::Relaxed) { Err(io::Error::other("switched off").into()) } else { Ok(()) }
}

impl Disk for Refusing {
    type Database = RefusingDatabase;
    fn open(&self, folder: &Path) -> Result<RefusingDatabase, DiskRefused> {
        refusal(&self.0)?;
        Ok(RefusingDatabase(SledDisk.open(folder)?, self.clone()))
    }
    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        SledDisk.free_bytes(folder)
    }
}

impl Database for RefusingDatabase {
    fn write(&mut self, changes: Vec<Change>) -> Result<(), DiskRefused> {
        refusal(&self.1.0)?;
        self.0.write(changes)
    }
    fn sync(&mut self) -> Result<(), DiskRefused> {
        refusal(&self.1.0)?;
        self.0.sync()?;
        refusal(&self.1.1)
    }
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskRefused> {
        self.0.get(key)
    }
    fn scan(&self, from: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), DiskRefused> {
        self.0.scan(from, visit)
    }
}

/// A server that keeps everything it is given.
pub(super) struct Server {
    pub(super) secret: SealingSecret,
    pub(super) identity: [u8; 32],
    pub(super) store: StoreId,
    pub(super) keys: BTreeMap<StreamId, (Suite, StreamKeys)>,
    pub(super) tags: BTreeMap<(StreamId, u64), [u8; 16]>,
    /// Each observation's own number, once for each time it was stored.
    pub(super) seen: Vec<i64>,
    pub(super) bindings: BTreeMap<i64, Option<BindingId>>,
    pub(super) entries: Vec<(StreamId, Entry)>,
    pub(super) number: u64,
}

pub(super) const HUB: [u8; 16] = [1; 16];

impl Server {
    pub(super) fn take(&mut self, lent: &Lent) -> SignedReceipt {
        let opening = lent.run.opening.read().unwrap();
        let context = StreamContext {
            hub: opening.hub,
            stream: opening.stream,
            sealing_key: opening.sealing_key,
            identity_digest: self.identity,
        };
        let (suite, keys) = self
            .keys
            .entry(opening.stream)
            .or_insert_with(|| (opening.suite, derive_stream(&self.secret, &context, &opening.encapsulation).unwrap()));
        for record in &lent.records {
            let place = (opening.stream, record.sequence.get());
            if let Some(tag) = self.tags.insert(place, record.tag()) {
                assert_eq!(tag, record.tag(), "the same place came with other bytes");
                continue;
            }
            let plain = keys.record.open(*suite, opening.hub, opening.stream, record).unwrap();
            let Record::V1(entries) = from_bytes(&plain).unwrap();
            for entry in entries {
                if let Entry::Observation(seen) = &entry
                    && let shared::reading::Outcome::Value(value) = seen.reading.outcome
                {
                    self.seen.push(value.decimal.mantissa());
                    self.bindings.insert(value.decimal.mantissa(), seen.binding);
                }
                self.entries.push((opening.stream, entry));
            }
        }
        self.number += 1;
        let stored = self.tags.keys().filter(|(stream, _)| *stream == opening.stream);
        let receipt = Receipt {
            store: self.store,
            number: self.number,
            hub: opening.hub,
            stream: opening.stream,
            known: true,
            stored: stored.map(|(_, n)| Range::one(shared::sequence::Sequence::new(*n).unwrap())).collect(),
            quarantined: Vec::new(),
            safe: 0,
            server_time: Timestamp::from_millis(0),
        };
        SignedReceipt::new(&receipt, &keys.receipt).unwrap()
    }

    /// Last night's backup: nothing of what came since.
    pub(super) fn restore(&mut self) {
        let [first, ..] = *self.store.as_bytes();
        self.store = StoreId::from_bytes([first + 1; 16]);
        self.tags.clear();
        self.seen.clear();
        self.entries.clear();
    }
}

/// A hub that can crash.
pub(super) struct Hub {
    pub(super) folder: tempfile::TempDir,
    pub(super) switch: Refusing,
    pub(super) clock: ManualClock,
    pub(super) identity: Arc<Identity>,
    pub(super) bindings: Vec<BindingInForce>,
    pub(super) sealing_key: shared::sealing::SealingPublic,
    pub(super) owner: Owner<Refusing>,
    pub(super) live: mpsc::Receiver<Lent>,
    pub(super) status: watch::Receiver<QueueStatus>,
    /// Taken since the last time everything was accepted.
    pub(super) open: Vec<i64>,
    pub(super) accepted: BTreeSet<i64>,
    pub(super) accepted_before: u64,
    pub(super) next: i64,
}

pub(super) fn setup(
    clock: &ManualClock,
    identity: &Arc<Identity>,
    hub: &(Vec<BindingInForce>, shared::sealing::SealingPublic),
) -> Setup {
    Setup {
        hub: HubId::from_bytes(HUB),
        identity: Arc::clone(identity),
        clock: Clock::manual(clock.clone()),
        bindings: hub.0.clone(),
        sealing_key: hub.1.clone(),
        bytes_max: u64::MAX,
        frames_refused: Arc::new(|| 0),
    }
}

impl Hub {
    pub(super) fn new() -> (Self, Server) {
        let identity = Arc::new(Identity::generate().unwrap());
        let secret = SealingSecret::from_seed(Suite::X25519, [7; 32]);
        let at = Captured {
            tick: Tick::from_millis(1_000),
            wall: Timestamp::from_millis(1_700_000_000_000),
            clock: ClockState::HeldOver,
        };
        let clock = ManualClock::new(at, BootId::from_bytes([9; 16]));
        let folder = tempfile::tempdir().unwrap();
        let switch = Refusing::default();
        let sealing_key = secret.public();
        let (live_out, live) = mpsc::channel(4);
        let (status_out, status) = watch::channel(QueueStatus::default());
        let parts = setup(&clock, &identity, &(Vec::new(), sealing_key.clone()));
        let owner = Owner::open(switch.clone(), folder.path(), parts, live_out, status_out).unwrap();
        let server = Server {
            secret,
            identity: identity_digest(identity.subject_public_key_info()),
            store: StoreId::from_bytes([1; 16]),
            keys: BTreeMap::new(),
            tags: BTreeMap::new(),
            seen: Vec::new(),
            bindings: BTreeMap::new(),
            entries: Vec::new(),
            number: 0,
        };
        let bindings = Vec::new();
        let (open, accepted) = (Vec::new(), BTreeSet::new());
        let hub = Self {
            folder,
            switch,
            clock,
            identity,
            bindings,
            sealing_key,
            owner,
            live,
            status,
            open,
            accepted,
            next: 1,
            accepted_before: 0,
        };
        (hub, server)
    }

    pub(super) fn at(&self) -> Captured {
        self.clock.now()
    }

    pub(super) fn take(&mut self, keep: bool) {
        let taken = self.taken(keep);
        self.owner.take(taken, self.at());
        self.turn();
    }

    /// Settings in which the device has this binding, and what is obeyed of them.
    pub(super) fn settings(&mut self, binding: BindingId, counter: u64) {
        let settings = shared::wire::Settings {
            hub: HubId::from_bytes(HUB),
            counter,
            issued: Timestamp::from_millis(0),
            bindings: vec![BindingInForce { binding, device: "device".parse().unwrap(), slot: None }],
            sealing_key: self.sealing_key.clone(),
        };
        self.owner.answer(Question::Settings(Box::new(settings)), self.at());
    }

    /// A reading captured now.
    pub(super) fn taken(&mut self, keep: bool) -> Taken {
        let number = Decimal::new(self.next, 0);
        let reading = if keep {
            Reading::value(Metric::Weight, number, Unit::Kilogram, Quality::GOOD)
        } else {
            // Impossible as a saturation, and always so: thinnable but for the first of a minute.
            Reading::value(Metric::SpO2, Decimal::new(self.next, 3), Unit::Percent, Quality::GOOD)
        };
        self.open.push(self.next);
        self.next += 1;
        let (device, captured) = ("device".parse().unwrap(), self.at());
        let readings = vec![reading];
        Taken::Readings { device, slot: None, captured, device_time: None, from_memory: None, readings }
    }

    pub(super) fn turn(&mut self) {
        self.owner.turn(self.at());
    }

    pub(super) fn advance(&mut self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        self.turn();
    }

    /// Seals and syncs; what was taken is accepted if the owner says so.
    pub(super) fn sync(&mut self) {
        self.owner.seal_open(self.at());
        self.turn();
        let status = self.status.borrow().clone();
        if status.unaccepted_observations == 0 {
            // Fewer than were taken: the disk refused, the uplink lost its copy, and a loss entry says so.
            if status.accepted_observations == self.accepted_before + self.open.len() as u64 {
                self.accepted.extend(self.open.iter());
            }
            self.open.clear();
            self.accepted_before = status.accepted_observations;
        }
    }

    pub(super) fn ask<T>(&mut self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> T {
        let (reply, mut answer) = oneshot::channel();
        self.owner.answer(question(reply), self.at());
        self.turn();
        answer.try_recv().unwrap()
    }

    pub(super) fn connect(&mut self, is_connected: bool) {
        self.ask(|reply| Question::Connected(is_connected, reply));
        if !is_connected {
            while self.live.try_recv().is_ok() {}
        }
    }

    pub(super) fn deliver(&mut self, server: &mut Server, lent: Lent, with_receipt: bool) {
        let receipt = server.take(&lent);
        if with_receipt {
            self.ask(|reply| Question::Receipt(receipt, reply)).unwrap();
        } else {
            self.owner.answer(Question::GiveBack(lent.run.stream, lent.ranges()), self.at());
            self.turn();
        }
    }

    pub(super) fn backlog(&mut self) -> Option<Lent> {
        self.ask(Question::Backlog)
    }

    /// The power fails: only what the disk holds this moment is left.
    pub(super) fn crash(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), copy.path());
        let (live_out, live) = mpsc::channel(4);
        let (status_out, status) = watch::channel(QueueStatus::default());
        let parts = setup(&self.clock, &self.identity, &(self.bindings.clone(), self.sealing_key.clone()));
        self.switch.0.store(false, Ordering::Relaxed);
        self.owner = Owner::open(self.switch.clone(), copy.path(), parts, live_out, status_out).unwrap();
        (self.folder, self.live, self.status) = (copy, live, status);
        self.open.clear();
        self.turn();
        self.accepted_before = self.status.borrow().accepted_observations;
    }

    /// Everything goes to the server.
    pub(super) fn drain(&mut self, server: &mut Server) {
        self.switch.0.store(false, Ordering::Relaxed);
        self.advance(3_000);
        self.sync();
        self.advance(3_000);
        self.connect(true);
        self.sync();
        while let Ok(lent) = self.live.try_recv() {
            self.deliver(server, lent, true);
        }
        while let Some(lent) = self.backlog() {
            self.deliver(server, lent, true);
        }
        self.turn();
    }
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
