//! The store's owner: one thread holds the store, the alert engine and the engine's clock. It gathers what arrives
//! for a moment, commits it together, answers those who wait, and reports the commit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use runtime::clock::Clock;
use runtime::supervisor::Progress;
use shared::id::HubId;
use shared::time::{Tick, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::budget::Budget;
pub use super::engine_clock::EngineClock;
use super::health::Health;
use super::{AlertSink, BatchOutcome, Committed, LiveValue, NumberedEvent, Store, StoreError};
use crate::ingest::OpenedBatch;
use crate::limits::{
    COMMIT_REPORTS_MAX, DEADLINES_RETRY, GATHER_MAX, IDLE_AFTER, STORE_ITEMS_MAX, STORE_PROBE_AFTER, STORE_TURN_MAX,
};

/// Why a batch is not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TakeRefused {
    /// The group could not be committed: sent again, it may be.
    #[error("the store could not commit; the hub sends it again")]
    Unavailable,
    /// This batch alone cannot be stored: sent again, it is refused again.
    #[error("the store cannot take this batch")]
    Batch,
    /// The server is stopping.
    #[error("the store is closed")]
    Closed,
}

/// What a commit brought, for receipts and feed.
#[derive(Debug, Default)]
pub struct CommitReport {
    /// What became of each batch that was taken.
    pub outcomes: Vec<BatchOutcome>,
    /// Alert events, numbered.
    pub events: Vec<NumberedEvent>,
    /// Live values, newest last.
    pub live: Vec<LiveValue>,
}

impl CommitReport {
    fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.events.is_empty() && self.live.is_empty()
    }
}

type Question = Box<dyn FnOnce(&mut dyn Store, &mut dyn AlertSink, Timestamp) -> Committed + Send>;

enum Item {
    Batch(Box<OpenedBatch>, oneshot::Sender<Result<BatchOutcome, TakeRefused>>),
    HubConnected(HubId, bool),
    Question(Question),
}

impl Item {
    fn spend(&self, budget: &mut Budget) {
        if let Self::Batch(batch, _) = self {
            budget.add(batch);
        }
    }
}

/// Reaches the store's owner. Bounded: whoever sends waits while it is full.
#[derive(Clone)]
pub struct StoreHandle {
    items: mpsc::Sender<Item>,
    health: Arc<Health>,
}

impl StoreHandle {
    /// Has a batch committed; ends when it is, or is not.
    ///
    /// # Errors
    /// [`TakeRefused`]
    pub async fn take(&self, batch: OpenedBatch) -> Result<BatchOutcome, TakeRefused> {
        let (answer, answered) = oneshot::channel();
        self.items.send(Item::Batch(Box::new(batch), answer)).await.map_err(|_| TakeRefused::Closed)?;
        answered.await.map_err(|_| TakeRefused::Closed)?
    }

    /// Whether a transaction could not be committed, as when the disk is full. Hubs keep what they have and send it
    /// again; the first batch that is committed ends it, or a small try when nobody has sent for a while.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.health.refuses()
    }

    /// The same, to wait for its change.
    #[must_use]
    pub fn refusal(&self) -> watch::Receiver<bool> {
        self.health.refusal()
    }

    /// How often the write-ahead log could not be written back into the store's file since the start.
    #[must_use]
    pub fn failed_checkpoints(&self) -> u64 {
        self.health.failed_checkpoints()
    }

    /// Tells that a hub connected or went.
    ///
    /// # Errors
    /// [`TakeRefused::Closed`]
    pub async fn hub_connected(&self, hub: HubId, connected: bool) -> Result<(), TakeRefused> {
        self.items.send(Item::HubConnected(hub, connected)).await.map_err(|_| TakeRefused::Closed)
    }

    /// Asks the store something on its own thread.
    ///
    /// # Errors
    /// [`TakeRefused::Closed`]
    pub async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Store, &mut dyn AlertSink, Timestamp) -> R + Send + 'static,
    ) -> Result<R, TakeRefused> {
        self.ask_committing(|store, alerts, now| (question(store, alerts, now), Committed::default())).await
    }

    /// Asks something that may raise alert events: they are reported like any commit's.
    ///
    /// # Errors
    /// [`TakeRefused::Closed`]
    pub async fn ask_committing<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Store, &mut dyn AlertSink, Timestamp) -> (R, Committed) + Send + 'static,
    ) -> Result<R, TakeRefused> {
        let (answer, answered) = oneshot::channel();
        let question: Question = Box::new(move |store, alerts, now| {
            let (result, committed) = question(store, alerts, now);
            // Whoever asked may have gone; what was done is done.
            let _ = answer.send(result);
            committed
        });
        self.items.send(Item::Question(question)).await.map_err(|_| TakeRefused::Closed)?;
        answered.await.map_err(|_| TakeRefused::Closed)
    }
}

/// What the owner holds.
pub struct StoreOwner {
    store: Box<dyn Store>,
    alerts: Box<dyn AlertSink>,
    clock: Clock,
    engine: EngineClock,
    items: mpsc::Receiver<Item>,
    reports: mpsc::Sender<CommitReport>,
    health: Arc<Health>,
    /// When a transaction last failed.
    failed_at: Tick,
    waiting: VecDeque<Item>,
    /// Nothing came since the last idle moment: the next one may wait longer.
    idled: bool,
    /// Deadlines that failed are tried again from here.
    deadlines_from: Tick,
}

impl StoreOwner {
    /// Gives the engine its states back and makes the owner, its handle and the reports it will send.
    ///
    /// # Errors
    /// [`StoreError`] if a state cannot be read.
    pub fn new(
        mut store: Box<dyn Store>,
        mut alerts: Box<dyn AlertSink>,
        clock: Clock,
    ) -> Result<(Self, StoreHandle, mpsc::Receiver<CommitReport>), StoreError> {
        let committed = store.restore_alerts(&mut *alerts)?;
        let engine = EngineClock::start(committed, clock.wall(), clock.tick());
        let (sender, items) = mpsc::channel(STORE_ITEMS_MAX);
        let (reports, reported) = mpsc::channel(COMMIT_REPORTS_MAX);
        let health = Arc::<Health>::default();
        let handle = StoreHandle { items: sender, health: Arc::clone(&health) };
        let owner = Self {
            store,
            alerts,
            clock,
            engine,
            items,
            reports,
            health,
            failed_at: Tick::default(),
            waiting: VecDeque::new(),
            idled: false,
            deadlines_from: Tick::default(),
        };
        Ok((owner, handle, reported))
    }

    /// Runs on its own thread until every handle is dropped and all they sent is answered.
    ///
    /// # Errors
    /// None now; an error of the store is answered to those who wait and logged.
    pub fn run(mut self, runtime: &Handle, progress: &Progress) -> Result<(), StoreError> {
        loop {
            progress.turn();
            let open = self.gather(runtime);
            self.commit_waiting();
            self.health.note_checkpoints(self.store.failed_checkpoints());
            if !open && self.waiting.is_empty() {
                return Ok(());
            }
        }
    }

    /// How long until the engine's next deadline.
    fn until_deadline(&self) -> Duration {
        let tick = self.clock.tick();
        let now = self.engine.at(tick);
        let due = self.alerts.next_deadline().map_or(STORE_TURN_MAX, |(due, _)| due.since(now));
        due.max(self.deadlines_from.since(tick)).min(STORE_TURN_MAX)
    }

    /// Waits for an item or the next deadline, then a moment for more. `false` when nobody can send any more.
    fn gather(&mut self, runtime: &Handle) -> bool {
        if self.waiting.is_empty() {
            let wait = self.until_deadline();
            let wait = if self.idled { wait } else { wait.min(IDLE_AFTER) };
            match runtime.block_on(async { tokio::time::timeout(wait, self.items.recv()).await }) {
                Err(_) => {
                    self.use_idle_moment();
                    return true;
                }
                Ok(None) => return false,
                Ok(Some(item)) => self.waiting.push_back(item),
            }
            self.idled = false;
        }
        let mut budget = Budget::default();
        self.waiting.iter().for_each(|item| item.spend(&mut budget));
        let end = self.clock.tick().after(GATHER_MAX);
        while budget.has_room() && self.waiting.len() < STORE_ITEMS_MAX {
            let item = match self.items.try_recv() {
                Ok(item) => item,
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
                Err(mpsc::error::TryRecvError::Empty) => {
                    // Only batches gain from company; a question is answered at once.
                    let left = end.since(self.clock.tick());
                    if left.is_zero() || budget.is_untouched() {
                        break;
                    }
                    match runtime.block_on(async { tokio::time::timeout(left, self.items.recv()).await }) {
                        Err(_) => break,
                        Ok(None) => return false,
                        Ok(Some(item)) => item,
                    }
                }
            };
            item.spend(&mut budget);
            self.waiting.push_back(item);
        }
        true
    }

    fn use_idle_moment(&mut self) {
        let now = self.engine.at(self.clock.tick());
        if let Err(error) = self.store.idle(now) {
            tracing::warn!(%error, "an idle moment's work failed; a later one does it");
        }
        let tick = self.clock.tick();
        if self.health.refuses() && tick.since(self.failed_at) >= STORE_PROBE_AFTER {
            // Nobody sends: a commit of nothing but what is due tells whether the disk takes writes again.
            self.failed_at = tick;
            let result = self.store.take_deadlines(&mut *self.alerts, now);
            if result.is_ok() {
                self.note_commit(None);
            }
            self.report_commit(result);
        }
        self.idled = true;
    }

    /// Handles what waits in order: neighbouring batches in one transaction.
    fn commit_waiting(&mut self) {
        let tick = self.clock.tick();
        let now = self.engine.at(tick);
        self.store.set_engine_clock(tick, now);
        self.engine.watch_wall(&self.clock, &mut *self.store, now);
        let mut group = Vec::new();
        let mut answers = Vec::new();
        while let Some(item) = self.waiting.pop_front() {
            match item {
                Item::Batch(batch, answer) => {
                    group.push(*batch);
                    answers.push(answer);
                }
                other => {
                    self.take(&mut group, &mut answers, now);
                    self.other(other, now);
                }
            }
        }
        self.take(&mut group, &mut answers, now);
        if tick >= self.deadlines_from && self.alerts.next_deadline().is_some_and(|(due, _)| due <= now) {
            let result = self.store.take_deadlines(&mut *self.alerts, now);
            if result.is_err() {
                self.deadlines_from = tick.after(DEADLINES_RETRY);
            }
            self.report_commit(result);
        }
    }

    fn take(
        &mut self,
        group: &mut Vec<OpenedBatch>,
        answers: &mut Vec<oneshot::Sender<Result<BatchOutcome, TakeRefused>>>,
        now: Timestamp,
    ) {
        if group.is_empty() {
            return;
        }
        let result = self.store.take(group, &mut *self.alerts, now);
        group.clear();
        self.note_commit(result.as_ref().err());
        match result {
            Ok(mut committed) => {
                let mut outcomes = Vec::with_capacity(committed.batches.len());
                for (result, answer) in committed.batches.drain(..).zip(answers.drain(..)) {
                    let result = result.map_err(|error| {
                        tracing::error!(%error, "a batch cannot be stored; its hub keeps it and sends it again");
                        TakeRefused::Batch
                    });
                    outcomes.extend(result.as_ref().ok().cloned());
                    // Whoever waited may have gone with their connection; the hub learns by the receipt.
                    let _ = answer.send(result);
                }
                self.report(CommitReport { outcomes, events: committed.events, live: committed.live });
            }
            Err(_) => {
                answers.drain(..).for_each(|answer| {
                    let _ = answer.send(Err(TakeRefused::Unavailable));
                });
            }
        }
    }

    fn note_commit(&mut self, failed: Option<&StoreError>) {
        if failed.is_some() {
            self.failed_at = self.clock.tick();
        }
        self.health.note_commit(failed);
    }

    fn other(&mut self, item: Item, now: Timestamp) {
        match item {
            Item::HubConnected(hub, connected) => {
                let result = self.store.hub_connected(hub, connected, &mut *self.alerts, now);
                self.report_commit(result);
            }
            Item::Question(question) => {
                let committed = question(&mut *self.store, &mut *self.alerts, now);
                self.report_alerts(committed);
            }
            Item::Batch(_, answer) => {
                let _ = answer.send(Err(TakeRefused::Unavailable));
            }
        }
    }

    /// Of what is no batch: its failure counts, its success alone does not show that batches fit again.
    fn report_commit(&mut self, result: Result<Committed, StoreError>) {
        match result {
            Ok(committed) => self.report_alerts(committed),
            Err(error) => self.note_commit(Some(&error)),
        }
    }

    fn report_alerts(&self, committed: Committed) {
        let Committed { batches: _, events, live } = committed;
        self.report(CommitReport { outcomes: Vec::new(), events, live });
    }

    /// Hands a report on; waits while the reports are full.
    fn report(&self, report: CommitReport) {
        if !report.is_empty() && self.reports.blocking_send(report).is_err() {
            tracing::debug!("nobody listens to commits any more: the server is stopping");
        }
    }
}
