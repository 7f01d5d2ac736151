//! What is committed is said to the hubs: at once after a quiet time, then at most every 200 ms for each stream.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use runtime::clock::Clock;
use shared::id::StoreId;
use shared::sequence::{Range, Ranges, Sequence};
use shared::time::{Tick, Timestamp};
use shared::wire::{DownMessage, Quarantined, RANGES_MAX, Receipt, SignedReceipt, to_bytes};
use tokio::sync::mpsc;

use super::conflicts::without_conflicts;
use super::counters::Counters;
use super::limits::{OUTCOMES_MAX, QUARANTINED_WAITING_MAX, RECEIPT_PAUSE, RECEIPTS_MAX, STORED_WAITING_MAX};
use super::ports::Down;
use super::streams::{StreamKey, Streams};
use crate::store::BatchOutcome;

/// What is to be said about a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Which stream.
    pub key: StreamKey,
    /// Whether the store holds its opening.
    pub known: bool,
    /// What is stored of it, at most `RANGES_MAX` ranges; the rest is said next.
    pub stored: Ranges,
    /// What went to quarantine since the last time, at most `RANGES_MAX` ranges.
    pub quarantined: Vec<Quarantined>,
}

/// Gathers outcomes by stream and says when each is due. Pure.
#[derive(Debug, Default)]
pub struct Coalescer {
    streams: HashMap<StreamKey, Paced>,
    // Each stream once, at its `at`.
    due: BTreeSet<(Tick, StreamKey)>,
}

#[derive(Debug)]
struct Paced {
    at: Tick,
    waiting: Option<Said>,
    /// Where the next list of what is stored begins, if the last one did not hold everything.
    from: Option<Sequence>,
}

impl Coalescer {
    /// Whether no further stream fits: then let time pass before the next outcome.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.streams.len() >= RECEIPTS_MAX
    }

    /// Takes a committed outcome, newer than those before. Returns how many ranges did not fit.
    pub fn take(&mut self, outcome: BatchOutcome, now: Tick) -> usize {
        let key = (outcome.hub, outcome.stream);
        let due = &mut self.due;
        let paced = self.streams.entry(key).or_insert_with(|| {
            due.insert((now, key));
            Paced { at: now, waiting: None, from: None }
        });
        let empty = || Said { key, known: false, stored: Ranges::new(), quarantined: Vec::new() };
        let said = paced.waiting.get_or_insert_with(empty);
        said.known |= outcome.known;
        // Each outcome names what its own batch touched, which the next one need not name again.
        said.stored.insert_all(&outcome.stored);
        said.quarantined.extend(outcome.quarantined);
        said.quarantined = joined(std::mem::take(&mut said.quarantined));
        let over = said.quarantined.len().saturating_sub(QUARANTINED_WAITING_MAX);
        said.quarantined.truncate(QUARANTINED_WAITING_MAX);
        let stored_over = said.stored.range_count().saturating_sub(STORED_WAITING_MAX);
        if stored_over > 0 {
            said.stored = said.stored.iter().take(STORED_WAITING_MAX).collect();
        }
        over.saturating_add(stored_over)
    }

    /// What is due. More of the same streams is said after [`RECEIPT_PAUSE`].
    pub fn due(&mut self, now: Tick) -> Vec<Said> {
        let mut leaving = Vec::new();
        while let Some((_, key)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.pop_first();
            let Some(paced) = self.streams.get_mut(&key) else { continue };
            let Some(mut said) = paced.waiting.take() else {
                self.streams.remove(&key);
                continue;
            };
            let mut stored = without_conflicts(&said.stored, &said.quarantined);
            let later =
                if said.quarantined.len() > RANGES_MAX { said.quarantined.split_off(RANGES_MAX) } else { Vec::new() };
            // In turn, from where the last one ended: the lowest are named again by every batch.
            let from = stored.iter().position(|range| paced.from.is_some_and(|from| range.last() >= from));
            stored.rotate_left(from.unwrap_or(0));
            let rest = if stored.len() > RANGES_MAX { stored.split_off(RANGES_MAX) } else { Vec::new() };
            paced.from = rest.first().map(|range| range.first());
            said.stored = stored.into();
            if !rest.is_empty() || !later.is_empty() {
                let stored = if rest.is_empty() { said.stored.clone() } else { rest.into() };
                paced.waiting = Some(Said { quarantined: later, stored, ..said });
            }
            paced.at = now.after(RECEIPT_PAUSE);
            self.due.insert((paced.at, key));
            leaving.push(said);
        }
        leaving
    }

    /// When something is due next.
    #[must_use]
    pub fn next(&self) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at)
    }
}

/// Sorts, and joins what touches and has the same reason.
fn joined(mut list: Vec<Quarantined>) -> Vec<Quarantined> {
    list.sort_unstable_by_key(|entry| (entry.range.first(), entry.reason, entry.range.last()));
    let mut joined: Vec<Quarantined> = Vec::with_capacity(list.len());
    for entry in list {
        if let Some(last) = joined.last_mut().filter(|last| last.reason == entry.reason)
            && entry.range.first().get() <= last.range.last().get().saturating_add(1)
            && let Ok(range) = Range::new(last.range.first(), last.range.last().max(entry.range.last()))
        {
            last.range = range;
        } else {
            joined.push(entry);
        }
    }
    joined
}

/// What the receipts' owner holds.
pub struct Receipts {
    outcomes: mpsc::Receiver<BatchOutcome>,
    streams: Arc<Streams>,
    down: Down,
    clock: Clock,
    counters: Arc<Counters>,
    store: StoreId,
    number: u64,
    coalescer: Coalescer,
}

impl Receipts {
    /// Makes the owner and the way to it. `started` is the engine's time now: it only grows within a life of the
    /// store, and so do the numbers, which have a thousand places for each of its milliseconds.
    #[must_use]
    pub fn new(
        streams: Arc<Streams>,
        down: Down,
        clock: Clock,
        counters: Arc<Counters>,
        store: StoreId,
        started: Timestamp,
    ) -> (Self, mpsc::Sender<BatchOutcome>) {
        let (sender, outcomes) = mpsc::channel(OUTCOMES_MAX);
        let number = u64::try_from(started.as_millis()).unwrap_or(0).saturating_mul(1_000);
        let coalescer = Coalescer::default();
        (Self { outcomes, streams, down, clock, counters, store, number, coalescer }, sender)
    }

    /// Runs until nobody can bring outcomes any more, says what still waits, and ends; or until the door is gone.
    pub async fn run(mut self) {
        loop {
            let next = self.coalescer.next();
            let wait = next.map(|at| at.since(self.clock.tick()));
            let outcome = tokio::select! {
                outcome = self.outcomes.recv(), if !self.coalescer.is_full() => Some(outcome),
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => None,
            };
            match outcome {
                Some(Some(outcome)) => {
                    let over = self.coalescer.take(outcome, self.clock.tick());
                    self.counters.receipts_cut.add(u64::try_from(over).unwrap_or(u64::MAX));
                }
                Some(None) => break,
                None => {}
            }
            if !self.say(self.clock.tick()).await {
                return;
            }
        }
        // The end: every pause is cut short.
        let mut now = self.clock.tick();
        while let Some(at) = self.coalescer.next() {
            now = now.max(at);
            if !self.say(now).await {
                return;
            }
        }
    }

    /// Sends what is due; `false` if the door is gone.
    async fn say(&mut self, now: Tick) -> bool {
        for said in self.coalescer.due(now) {
            let hub = said.key.0;
            let Some(message) = self.written(said) else { continue };
            if self.down.send((hub, message)).await.is_err() {
                return false;
            }
            self.counters.receipts.add(1);
        }
        true
    }

    fn written(&mut self, said: Said) -> Option<Vec<u8>> {
        let (hub, stream) = said.key;
        // The store is not asked: it may wait for this very task. A stream that is not held was forgotten within
        // moments, or cannot be opened at all; then its hub sends again.
        let Some(state) = self.streams.get(said.key) else {
            self.counters.receipts_without_key.add(1);
            return None;
        };
        self.number = self.number.saturating_add(1);
        let receipt = Receipt {
            store: self.store,
            number: self.number,
            hub,
            stream,
            known: said.known,
            stored: said.stored,
            quarantined: said.quarantined,
            // Nothing verifies backups or keeps replicas yet, so nothing may be called safe.
            safe: 0,
            server_time: self.clock.wall(),
        };
        let signed = SignedReceipt::new(&receipt, &state.keys.receipt);
        let written = signed.and_then(|signed| to_bytes(&DownMessage::ReceiptV1(signed)));
        if let Err(error) = &written {
            tracing::error!(%hub, %stream, %error, "a receipt could not be written; its hub sends again");
        }
        written.ok()
    }
}

#[cfg(test)]
#[path = "receipts_tests.rs"]
mod tests;
