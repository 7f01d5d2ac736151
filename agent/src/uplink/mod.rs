//! The uplink: the session decides, the client carries, the queue's owner is asked. An owner, as a task.
//!
//! ```text
//! queue ──live──▶ uplink ──▶ session (pure) ──▶ mqtt ──TLS 1.3──▶ door
//!   ◀──Question──            ◀──receipt, notice──
//! settings ◀──HTTPS── when told "settings waiting", and at each connection
//! ```

pub mod back_off;
pub mod check_time;
pub mod mqtt;
pub mod session;
pub mod settings;
pub mod tls;

use std::convert::Infallible;
use std::sync::Arc;

use runtime::clock::Clock;
use runtime::supervisor::Progress;
use shared::id::HubId;
use shared::time::Tick;
use shared::wire::{DownMessage, Settings, SignedSettings};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::limits;
use crate::queue::{Lent, Question, QueueStatus};
use check_time::CheckTime;
use mqtt::{Client, Door, Event};
use session::{Command, Counts, Input, Session, State};
use settings::{Keeper, SettingsError, Source};

/// How the uplink is, for the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UplinkStatus {
    /// Where the session is.
    pub state: State,
    /// Since when.
    pub since: Tick,
    /// What it counted.
    pub counts: Counts,
    /// When the last receipt came.
    pub last_receipt: Option<Tick>,
    /// The counter of the settings in force.
    pub settings_counter: u64,
}

/// What the uplink is made of.
pub struct Uplink {
    /// The hub.
    pub hub: HubId,
    /// The MQTT door.
    pub door: Door,
    /// The HTTPS door.
    pub source: Source,
    /// Checks and stores settings.
    pub keeper: Keeper,
    /// The time certificates are checked at.
    pub check_time: Arc<CheckTime>,
    /// The counter of the settings the agent started with.
    pub settings_counter: u64,
    /// The clock.
    pub clock: Clock,
    /// To the queue's owner.
    pub questions: mpsc::Sender<Question>,
    /// Records just sealed.
    pub live: mpsc::Receiver<Lent>,
    /// How the queue is.
    pub queue: watch::Receiver<QueueStatus>,
    /// To whoever looks.
    pub status: watch::Sender<UplinkStatus>,
    /// Cancelled when the agent stops.
    pub stop: CancellationToken,
    /// Its hand to the watchdog.
    pub progress: Progress,
}

struct Owner {
    parts: Uplink,
    session: Session,
    client: Option<Client>,
    number: u64,
    events_out: mpsc::Sender<(u64, Event)>,
    fetches: JoinSet<Result<SignedSettings, SettingsError>>,
    fetch_at: Option<Tick>,
    state: (State, Tick),
    /// Set once the agent stops: when the wait for receipts is over.
    stop_at: Option<Tick>,
}

/// Runs until the agent stops and what was accepted is receipted, or 5 s later.
///
/// # Errors
/// None; the type is the supervisor's.
pub async fn run(parts: Uplink) -> Result<(), Infallible> {
    let (events_out, mut events) = mpsc::channel(limits::UPLINK_EVENTS_MAX);
    let now = parts.clock.tick();
    let seed = runtime::entropy::array().map_or(now.as_millis(), u64::from_le_bytes);
    let session = Session::new(parts.hub, seed, now);
    let state = (session.state(), now);
    let (client, fetches) = (None, JoinSet::new());
    let mut owner =
        Owner { parts, session, client, number: 0, events_out, fetches, fetch_at: None, state, stop_at: None };
    loop {
        let now = owner.parts.clock.tick();
        owner.turn(now).await;
        if owner.may_end(now) {
            break;
        }
        owner.parts.progress.turn();
        owner.parts.progress.waiting("network");
        let deadline = owner.next_deadline(now);
        tokio::select! {
            Some((number, event)) = events.recv() => {
                if number == owner.number {
                    owner.take_event(event).await;
                }
            }
            lent = owner.parts.live.recv() => match lent {
                Some(lent) => owner.handle(Input::Live(lent)),
                // The queue's owner is gone; the supervisor ends the process.
                None => break,
            },
            Some(fetched) = owner.fetches.join_next() => owner.take_settings(fetched).await,
            changed = owner.parts.queue.changed() => {
                if changed.is_err() {
                    break;
                }
                if owner.parts.queue.borrow_and_update().unlent_records > 0 {
                    owner.handle(Input::BacklogWaiting);
                }
            }
            () = owner.parts.stop.cancelled(), if owner.stop_at.is_none() => owner.begin_stop(),
            () = owner.parts.clock.sleep_until(deadline) => {}
        }
    }
    owner.tell_queue(false).await;
    if let Some(client) = owner.client.take() {
        client.disconnect().await;
    }
    Ok(())
}

impl Owner {
    fn handle(&mut self, input: Input) {
        let now = self.parts.clock.tick();
        self.session.handle(input, now);
    }

    /// Does what is due and whatever the session asks for.
    async fn turn(&mut self, now: Tick) {
        self.session.handle_deadline(now);
        while let Some(command) = self.session.next_command() {
            self.perform(command).await;
        }
        if self.fetch_at.is_some_and(|due| due <= now) && self.fetches.is_empty() {
            self.fetch_at = None;
            self.fetches.spawn(settings::fetch(self.parts.source.clone()));
        }
        let state = self.session.state();
        if std::mem::discriminant(&state) != std::mem::discriminant(&self.state.0) {
            tracing::info!(state = state_name(state), "uplink");
            self.state = (state, now);
        }
        self.parts.status.send_replace(UplinkStatus {
            state,
            since: self.state.1,
            counts: self.session.counts(),
            last_receipt: self.session.last_receipt(),
            settings_counter: self.parts.settings_counter,
        });
    }

    async fn perform(&mut self, command: Command) {
        match command {
            Command::Connect => {
                self.number = self.number.saturating_add(1);
                self.client = Some(Client::connect(&self.parts.door, self.number, self.events_out.clone()));
            }
            Command::CloseClient => {
                tracing::warn!("nothing moves or is answered in time; the MQTT client is rebuilt");
                self.drop_client();
            }
            Command::Publish(message) => {
                let is_taken = self.client.as_ref().is_some_and(|client| client.publish(message).is_ok());
                if !is_taken {
                    self.handle(Input::Refused);
                }
            }
            Command::AskBacklog => {
                let lent = self.ask(Question::Backlog).await.flatten();
                self.handle(Input::Backlog(lent));
            }
            Command::GiveBack(stream, ranges) => {
                // Refused only if the queue's owner is gone; then nothing is lent any more.
                let _ = self.parts.questions.send(Question::GiveBack(stream, ranges)).await;
            }
            Command::TellQueue(is_up) => {
                self.tell_queue(is_up).await;
                if is_up {
                    self.fetch_at = Some(self.parts.clock.tick());
                }
            }
        }
    }

    fn drop_client(&mut self) {
        self.client = None;
        // Events of the client that is gone are told by their number.
        self.number = self.number.saturating_add(1);
    }

    /// Tells the queue whether records can be lent live. Down: the queue takes everything lent back, so what still
    /// lies in the channel is let go.
    async fn tell_queue(&mut self, is_up: bool) {
        self.ask(|reply| Question::Connected(is_up, reply)).await;
        if !is_up {
            while self.parts.live.try_recv().is_ok() {}
        }
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.parts.questions.send(question(reply)).await.ok()?;
        answer.await.ok()
    }

    async fn take_event(&mut self, event: Event) {
        match event {
            Event::Up => self.handle(Input::Connected),
            Event::Lost(error) => {
                tracing::warn!(%error, "uplink");
                self.drop_client();
                self.handle(Input::Lost);
            }
            Event::Unreadable => tracing::warn!("the server said something unreadable; it is ignored"),
            Event::Message(DownMessage::ReceiptV1(receipt)) => {
                if let Some(Some(obeyed)) = self.ask(|reply| Question::Receipt(receipt, reply)).await {
                    self.parts.check_time.raise(obeyed.receipt.server_time);
                    self.handle(Input::Receipt(obeyed));
                }
            }
            Event::Message(DownMessage::OpeningWantedV1(stream)) => self.handle(Input::OpeningWanted(stream)),
            Event::Message(DownMessage::SettingsWaitingV1(counter)) => {
                if counter > self.parts.settings_counter {
                    self.fetch_at = Some(self.parts.clock.tick());
                }
            }
        }
    }

    async fn take_settings(&mut self, fetched: Result<Result<SignedSettings, SettingsError>, tokio::task::JoinError>) {
        let fetched = match fetched {
            Ok(fetched) => fetched.and_then(|signed| self.parts.keeper.accept(&signed, self.parts.settings_counter)),
            Err(_) => Err(SettingsError::TooSlow),
        };
        match fetched {
            Ok(settings) => self.obey(settings).await,
            Err(SettingsError::Stale { offered, stored }) if offered == stored => {}
            Err(error) => {
                tracing::warn!(%error, "settings are not taken; fetched again in 30 s");
                self.fetch_at = Some(self.parts.clock.tick().after(limits::SETTINGS_RETRY_AFTER));
            }
        }
    }

    async fn obey(&mut self, settings: Settings) {
        tracing::info!(counter = settings.counter, "new settings are stored");
        self.parts.settings_counter = settings.counter;
        let _ = self.parts.questions.send(Question::Settings(Box::new(settings))).await;
    }

    fn begin_stop(&mut self) {
        self.stop_at = Some(self.parts.clock.tick().after(limits::STOP_RECEIPTS_WITHIN));
        self.fetch_at = None;
    }

    fn next_deadline(&self, now: Tick) -> Tick {
        let session = self.session.next_deadline().map(|(due, _why)| due);
        let fetch = self.fetch_at.filter(|_| self.fetches.is_empty());
        let due = [session, fetch, self.stop_at].into_iter().flatten().min();
        due.unwrap_or_else(|| now.after(limits::KEEP_ALIVE))
    }

    /// A stopping agent waits for the queue to drain, then for receipts while there is a connection.
    fn may_end(&self, now: Tick) -> bool {
        let Some(stop_at) = self.stop_at else { return false };
        let queue = self.parts.queue.borrow();
        let is_hopeless = matches!(self.session.state(), State::Down { .. });
        stop_at <= now || (queue.is_drained && (queue.pending_records == 0 || is_hopeless))
    }
}

/// A state's name in status and logs.
#[must_use]
pub const fn state_name(state: State) -> &'static str {
    match state {
        State::Down { .. } => "disconnected",
        State::Connecting { .. } => "connecting",
        State::Up => "connected",
    }
}
