//! What to send, when to send again, when to start over. Pure.
//!
//! ```text
//! Down ──back-off over──▶ Connecting ──Connected──▶ Up ──stalled, lost──▶ Down
//!   ▲                          └──too slow, lost──┘
//! ```
//! Live records go first; backlog fills in behind, asked for one stretch at a time. A batch without a receipt is given
//! back to the queue, which lends its records again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shared::id::{HubId, StreamId};
use shared::sequence::Ranges;
use shared::time::Tick;
use shared::wire::{RECORDS_MAX, UpMessage, WireBatch, to_bytes};

use super::back_off::BackOff;
use crate::limits;
use crate::queue::{Lent, Obeyed, sets};

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The door took CONNECT and SUBSCRIBE.
    Connected,
    /// The client ended.
    Lost,
    /// A record just sealed.
    Live(Lent),
    /// The answer to [`Command::AskBacklog`].
    Backlog(Option<Lent>),
    /// The queue has records that are not lent.
    BacklogWaiting,
    /// A receipt that the queue's owner checked and obeyed.
    Receipt(Obeyed),
    /// The server does not know the stream.
    OpeningWanted(StreamId),
    /// The client has no room: it moves nothing, for far less than [`limits::MQTT_REQUESTS_MAX`] are in flight.
    Refused,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a new client.
    Connect,
    /// Throw the client away.
    CloseClient,
    /// Publish a message on `hubs/{hub}/up`.
    Publish(Vec<u8>),
    /// Ask the queue for backlog.
    AskBacklog,
    /// Give these back to the queue.
    GiveBack(StreamId, Ranges),
    /// Tell the queue whether records can be lent live; `false` gives back everything lent.
    TellQueue(bool),
}

/// Where the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting to connect again.
    Down {
        /// Until then.
        until: Tick,
    },
    /// A client is connecting.
    Connecting {
        /// Since then.
        since: Tick,
    },
    /// Batches flow.
    Up,
}

#[derive(Debug)]
struct Flight {
    stream: StreamId,
    unanswered: Ranges,
    sent: Tick,
    is_backlog: bool,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records published, repeats included.
    pub sent_records: u64,
    /// Batches published, repeats included.
    pub sent_batches: u64,
    /// Batches that had no receipt in time and were given back.
    pub unanswered_batches: u64,
    /// Valid receipts.
    pub receipts: u64,
    /// Connections made.
    pub connections: u64,
    /// Clients thrown away because nothing was answered.
    pub stalls: u64,
}

/// The session.
pub struct Session {
    hub: HubId,
    state: State,
    flight: VecDeque<Flight>,
    live: VecDeque<Lent>,
    known: BTreeSet<StreamId>,
    /// Streams whose opening was sent in the last minute, and when first.
    introduced: BTreeMap<StreamId, Tick>,
    /// No backlog before then: the server takes few openings a minute.
    backlog_not_before: Option<Tick>,
    is_backlog_waiting: bool,
    is_backlog_asked: bool,
    /// Since when something is in flight without any receipt.
    unanswered_since: Option<Tick>,
    last_receipt: Option<Tick>,
    back_off: BackOff,
    counts: Counts,
    commands: VecDeque<Command>,
}

impl Session {
    /// A session that connects at once. `seed` feeds the jitter of the back-off.
    #[must_use]
    pub fn new(hub: HubId, seed: u64, now: Tick) -> Self {
        Self {
            hub,
            state: State::Down { until: now },
            flight: VecDeque::new(),
            live: VecDeque::new(),
            known: BTreeSet::new(),
            introduced: BTreeMap::new(),
            backlog_not_before: None,
            is_backlog_waiting: false,
            is_backlog_asked: false,
            unanswered_since: None,
            last_receipt: None,
            back_off: BackOff::new(seed),
            counts: Counts::default(),
            commands: VecDeque::new(),
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// What it counted.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// When the last receipt came.
    #[must_use]
    pub const fn last_receipt(&self) -> Option<Tick> {
        self.last_receipt
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input, now: Tick) {
        match input {
            Input::Connected => {
                if matches!(self.state, State::Connecting { .. }) {
                    self.state = State::Up;
                    self.is_backlog_waiting = true;
                    self.counts.connections = self.counts.connections.saturating_add(1);
                    self.commands.push_back(Command::TellQueue(true));
                }
            }
            Input::Lost => self.go_down(now),
            Input::Live(lent) => self.take_live(lent),
            Input::Backlog(None) => {
                self.is_backlog_asked = false;
                self.is_backlog_waiting = false;
            }
            Input::Backlog(Some(lent)) => {
                self.is_backlog_asked = false;
                if self.state == State::Up && self.may_introduce(lent.run.stream, now) {
                    self.publish(&lent, true, now);
                } else {
                    self.give_back(&lent);
                }
            }
            Input::BacklogWaiting => self.is_backlog_waiting = true,
            Input::Receipt(obeyed) => self.take_receipt(&obeyed, now),
            Input::OpeningWanted(stream) => {
                // Only once: what is in flight of an unknown stream carries its opening.
                if self.known.remove(&stream) {
                    self.give_back_flights(|flight| flight.stream == stream);
                }
            }
            Input::Refused if self.state == State::Up => {
                self.counts.stalls = self.counts.stalls.saturating_add(1);
                self.commands.push_back(Command::CloseClient);
                self.go_down(now);
            }
            Input::Refused => {}
        }
        self.pump(now);
    }

    /// Does what is due.
    pub fn handle_deadline(&mut self, now: Tick) {
        match self.state {
            State::Down { until } if until <= now => {
                self.state = State::Connecting { since: now };
                self.commands.push_back(Command::Connect);
            }
            State::Connecting { since } if since.after(limits::CONNECT_WITHIN) <= now => {
                self.commands.push_back(Command::CloseClient);
                self.go_down(now);
            }
            State::Up if self.unanswered_since.is_some_and(|since| since.after(limits::STALLED_AFTER) <= now) => {
                self.counts.stalls = self.counts.stalls.saturating_add(1);
                self.commands.push_back(Command::CloseClient);
                self.go_down(now);
            }
            State::Up => {
                let given_back = self.give_back_flights(|flight| flight.sent.after(limits::UNANSWERED_AFTER) <= now);
                self.counts.unanswered_batches = self.counts.unanswered_batches.saturating_add(given_back);
            }
            State::Down { .. } | State::Connecting { .. } => {}
        }
        self.pump(now);
    }

    /// The next thing to do.
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When it wants to be woken, and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        match self.state {
            State::Down { until } => Some((until, "connect again")),
            State::Connecting { since } => Some((since.after(limits::CONNECT_WITHIN), "connecting takes too long")),
            State::Up => {
                let stalled =
                    self.unanswered_since.map(|since| (since.after(limits::STALLED_AFTER), "nothing is answered"));
                let oldest = self.flight.iter().map(|flight| flight.sent).min();
                let unanswered = oldest.map(|sent| (sent.after(limits::UNANSWERED_AFTER), "a batch is unanswered"));
                let held = self.backlog_not_before.filter(|_| self.is_backlog_waiting && !self.is_backlog_asked);
                let held = held.map(|due| (due, "the server takes another opening"));
                stalled.into_iter().chain(unanswered).chain(held).min_by_key(|(tick, _)| *tick)
            }
        }
    }

    fn take_live(&mut self, lent: Lent) {
        if self.state != State::Up || self.live.len() >= limits::LIVE_WAITING_MAX {
            self.give_back(&lent);
        } else {
            self.live.push_back(lent);
        }
    }

    fn take_receipt(&mut self, obeyed: &Obeyed, now: Tick) {
        let receipt = &obeyed.receipt;
        self.counts.receipts = self.counts.receipts.saturating_add(1);
        self.last_receipt = Some(now);
        self.back_off.reset();
        if obeyed.is_new_store {
            self.known.clear();
            self.is_backlog_waiting = true;
        }
        if receipt.known {
            if self.known.len() >= limits::KNOWN_STREAMS_MAX {
                self.known.clear();
            }
            self.known.insert(receipt.stream);
        }
        let mut answered = receipt.stored.clone();
        receipt.quarantined.iter().for_each(|entry| answered.insert(entry.range));
        for flight in self.flight.iter_mut().filter(|flight| flight.stream == receipt.stream) {
            flight.unanswered = sets::minus(&flight.unanswered, &answered);
        }
        self.flight.retain(|flight| !flight.unanswered.is_empty());
        self.unanswered_since = (!self.flight.is_empty()).then_some(now);
    }

    fn go_down(&mut self, now: Tick) {
        let was_up = self.state == State::Up;
        self.flight.clear();
        self.live.clear();
        self.is_backlog_waiting = false;
        self.is_backlog_asked = false;
        self.unanswered_since = None;
        self.state = State::Down { until: now.after(self.back_off.next_wait()) };
        if was_up {
            self.commands.push_back(Command::TellQueue(false));
        }
    }

    fn give_back(&mut self, lent: &Lent) {
        self.is_backlog_waiting = true;
        self.commands.push_back(Command::GiveBack(lent.run.stream, lent.ranges()));
    }

    fn give_back_flights(&mut self, which: impl Fn(&Flight) -> bool) -> u64 {
        let mut count = 0_u64;
        let (back, rest): (Vec<Flight>, Vec<Flight>) = std::mem::take(&mut self.flight).into_iter().partition(which);
        self.flight.extend(rest);
        for flight in back {
            count = count.saturating_add(1);
            self.is_backlog_waiting = true;
            self.commands.push_back(Command::GiveBack(flight.stream, flight.unanswered));
        }
        count
    }

    /// Fills the room in flight: live first, then backlog.
    fn pump(&mut self, now: Tick) {
        self.backlog_not_before = self.backlog_not_before.filter(|due| *due > now);
        while self.state == State::Up && self.flight.len() < limits::FLIGHT_MAX {
            if let Some(lent) = self.next_live() {
                self.publish(&lent, false, now);
                continue;
            }
            let backlog = self.flight.iter().filter(|flight| flight.is_backlog).count();
            if self.backlog_not_before.is_none()
                && self.is_backlog_waiting
                && !self.is_backlog_asked
                && backlog < limits::BACKLOG_FLIGHT_MAX
            {
                self.is_backlog_asked = true;
                self.commands.push_back(Command::AskBacklog);
            }
            return;
        }
    }

    /// Whether the backlog of a stream may go now: the server takes few openings of one hub a minute, and the living
    /// stream's must not wait behind those of a crash loop.
    fn may_introduce(&mut self, stream: StreamId, now: Tick) -> bool {
        self.introduced.retain(|_, first| now.since(*first) < limits::OPENINGS_WITHIN);
        if self.known.contains(&stream)
            || self.introduced.contains_key(&stream)
            || self.introduced.len() < limits::OPENINGS_MAX
        {
            return true;
        }
        self.backlog_not_before = self.introduced.values().min().map(|first| first.after(limits::OPENINGS_WITHIN));
        false
    }

    /// Waiting live records of one stream, as many as one batch holds.
    fn next_live(&mut self) -> Option<Lent> {
        let mut batch = self.live.pop_front()?;
        let size =
            |lent: &Lent| lent.records.iter().map(|record| record.sealed.len().saturating_add(24)).sum::<usize>();
        let mut bytes = size(&batch);
        while let Some(next) = self.live.front() {
            bytes = bytes.saturating_add(size(next));
            let fits = bytes <= limits::BATCH_RECORD_BYTES_MAX && batch.records.len() < RECORDS_MAX;
            if !fits || next.run.stream != batch.run.stream {
                break;
            }
            if let Some(next) = self.live.pop_front() {
                batch.records.extend(next.records);
            }
        }
        Some(batch)
    }

    fn publish(&mut self, lent: &Lent, is_backlog: bool, now: Tick) {
        let run = &lent.run;
        let opening = (!self.known.contains(&run.stream)).then(|| run.opening.clone());
        if opening.is_some() {
            self.introduced.entry(run.stream).or_insert(now);
        }
        let sent = run.batch.as_ref().map(|key| (now, key));
        let message = WireBatch::new(self.hub, run.stream, sent, opening, &lent.records)
            .and_then(|batch| to_bytes(&UpMessage::BatchV1(batch)));
        match message {
            Ok(message) => {
                let records = u64::try_from(lent.records.len()).unwrap_or(u64::MAX);
                self.counts.sent_records = self.counts.sent_records.saturating_add(records);
                self.counts.sent_batches = self.counts.sent_batches.saturating_add(1);
                let unanswered = lent.ranges();
                self.flight.push_back(Flight { stream: run.stream, unanswered, sent: now, is_backlog });
                self.unanswered_since.get_or_insert(now);
                self.commands.push_back(Command::Publish(message));
            }
            // They stay lent until the next connection, so this cannot spin.
            Err(error) => tracing::error!(%error, stream = %run.stream, "records cannot be put in a batch"),
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
