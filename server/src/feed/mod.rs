//! The feed: who sees what, from which event on, over a WebSocket.
//!
//! ```text
//! commit ─FeedCommit─▶ owner: each event written once ─▶ an outbox for each client ─▶ client ─▶ socket
//!                                                         (bounded; too slow: closed)   │
//!                        a client that starts or resumes reads the store's pages ◀──────┘
//! ```
//! No gap and no repeat between pages and live: while a client reads pages its outbox only notes that events came, and
//! then it reads on; once nothing came between the last page and going live, events wait in the outbox.

pub mod bearer;
mod client;
pub mod cursor;
pub mod limits;
pub mod messages;
mod outbox;
mod ports;
mod rights;
#[cfg(test)]
pub(crate) mod samples;
mod store_news;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::ws::WebSocket;
use runtime::clock::Clock;
use shared::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

pub use ports::{FeedStore, WatchedStore};

use crate::access::{Action, Permit, permit};
use crate::store::{EventNumber, LiveValue, NumberedEvent, StoreError};
use crate::web::metrics::Metrics;
use client::Client;
use cursor::{Cursors, UnreadableCursor};
use limits::{CLIENTS_MAX, COMMITS_MAX};
use outbox::{Event, Live, Outbox};

/// What a commit brought for clients.
#[derive(Debug, Default)]
pub struct FeedCommit {
    /// Alert events, ascending.
    pub events: Vec<NumberedEvent>,
    /// Live values, newest last.
    pub live: Vec<LiveValue>,
}

/// What the feed is made of.
pub struct FeedParts {
    /// The store.
    pub store: Arc<dyn FeedStore>,
    /// Whether the store could not commit when it last tried; clients are told.
    pub refusal: watch::Receiver<bool>,
    /// Authenticates cursors; kept with the server's keys, so that cursors outlive a restart.
    pub cursor_key: [u8; 32],
    /// The clocks.
    pub clock: Clock,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// When cancelled, clients are told and closed.
    pub stop: CancellationToken,
}

struct FeedShared {
    store: Arc<dyn FeedStore>,
    refusal: watch::Receiver<bool>,
    cursors: Cursors,
    clock: Clock,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

/// The feed's owner.
pub struct Feed {
    shared: Arc<FeedShared>,
    commits: mpsc::Receiver<FeedCommit>,
    newcomers: mpsc::Receiver<Newcomer>,
    clients: JoinSet<()>,
    outboxes: HashMap<Id, Arc<Outbox>>,
}

/// Lets sockets in. Cheap to clone.
#[derive(Clone)]
pub struct FeedDoor {
    shared: Arc<FeedShared>,
    // As many as may come in, so that none waits.
    newcomers: mpsc::Sender<Newcomer>,
    places: Arc<Semaphore>,
}

struct Newcomer {
    socket: WebSocket,
    guest: Guest,
}

/// Somebody who may watch.
pub struct Guest {
    shown: bearer::Shown,
    permit: Permit,
    expires: Timestamp,
    resume: Option<Result<EventNumber, UnreadableCursor>>,
    place: OwnedSemaphorePermit,
}

/// Why somebody may not watch.
#[derive(Debug, thiserror::Error)]
pub enum NotWelcome {
    /// No token of ours, or it is unknown, wrong, revoked or expired.
    #[error("no valid bearer token")]
    Unauthenticated,
    /// The role may not.
    #[error(transparent)]
    Refused(#[from] crate::access::Refused),
    /// All places are taken.
    #[error("all places of the feed are taken")]
    Full,
    /// The store cannot say.
    #[error("the store cannot say whose token it is")]
    Store(#[source] StoreError),
    /// The store cannot say, and cannot commit.
    #[error("the store stores nothing now")]
    StoreRefuses,
}

impl FeedDoor {
    /// Who shows this `Authorization` header, and where they go on.
    ///
    /// # Errors
    /// [`NotWelcome`]
    pub async fn admit(&self, authorization: Option<&str>, cursor: Option<&str>) -> Result<Guest, NotWelcome> {
        let shown = authorization.and_then(bearer::read).ok_or(NotWelcome::Unauthenticated)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| NotWelcome::Full)?;
        let known = self.shared.store.authenticate(shown.token, shown.secret_hash).await;
        let refuses = || *self.shared.refusal.borrow();
        let known = known.map_err(|error| if refuses() { NotWelcome::StoreRefuses } else { NotWelcome::Store(error) });
        let (actor, expires) = known?.ok_or(NotWelcome::Unauthenticated)?;
        let permit = permit(&actor, Action::FeedWatch)?;
        let resume = cursor.map(|text| self.shared.cursors.read(text));
        Ok(Guest { shown, permit, expires, resume, place })
    }

    /// Hands the socket to the feed's owner.
    pub async fn enter(&self, socket: WebSocket, guest: Guest) {
        // It fails only when the feed has ended; the socket is closed by being dropped.
        let _ = self.newcomers.send(Newcomer { socket, guest }).await;
    }
}

impl Feed {
    /// Makes the feed: its owner, the door for sockets, and the channel for commits.
    #[must_use]
    pub fn open(parts: FeedParts) -> (Self, FeedDoor, mpsc::Sender<FeedCommit>) {
        let cursors = Cursors::new(&parts.cursor_key, parts.store.store_id());
        let FeedParts { store, refusal, clock, metrics, stop, .. } = parts;
        let stop = stop.child_token();
        let shared = Arc::new(FeedShared { store, refusal, cursors, clock, metrics, stop });
        let (commit, commits) = mpsc::channel(COMMITS_MAX);
        let (newcomer, newcomers) = mpsc::channel(CLIENTS_MAX);
        let door =
            FeedDoor { shared: shared.clone(), newcomers: newcomer, places: Arc::new(Semaphore::new(CLIENTS_MAX)) };
        let feed = Self { shared, commits, newcomers, clients: JoinSet::new(), outboxes: HashMap::new() };
        (feed, door, commit)
    }

    /// Runs until the stop, or until nobody can commit any more; then until every client has been closed.
    ///
    /// It does not wait for the last commits: it asks the store, and the store ends when nobody can ask it. What a
    /// client misses by that comes when it resumes.
    pub async fn run(mut self) {
        let mut commits_open = true;
        let stop = self.shared.stop.clone();
        while commits_open || !self.clients.is_empty() {
            tokio::select! {
                commit = self.commits.recv(), if commits_open => match commit {
                    Some(commit) => self.pass_on(commit),
                    None => {
                        commits_open = false;
                        self.newcomers.close();
                        // Without commits a feed would be silent without saying so.
                        self.shared.stop.cancel();
                    }
                },
                () = stop.cancelled(), if commits_open => {
                    commits_open = false;
                    self.newcomers.close();
                }
                Some(newcomer) = self.newcomers.recv(), if commits_open => self.welcome(newcomer),
                Some(ended) = self.clients.join_next_with_id() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.outboxes.remove(&id);
                    self.shared.metrics.feed_clients.dec();
                }
            }
        }
    }

    fn welcome(&mut self, newcomer: Newcomer) {
        let Newcomer { socket, guest } = newcomer;
        let outbox = Arc::new(Outbox::new(guest.permit.scope().clone()));
        let client = Client::new(self.shared.clone(), socket, guest, outbox.clone());
        let task = self.clients.spawn(client.run());
        self.outboxes.insert(task.id(), outbox);
        self.shared.metrics.feed_clients.inc();
    }

    fn pass_on(&self, commit: FeedCommit) {
        if self.outboxes.is_empty() {
            // Whoever comes next begins with what is stored.
            return;
        }
        let events: Vec<_> = commit.events.into_iter().map(|event| self.write_event(event)).collect();
        let live: Vec<_> = commit.live.into_iter().map(write_live).collect();
        for outbox in self.outboxes.values() {
            outbox.push(&events, &live);
        }
    }

    fn write_event(&self, event: NumberedEvent) -> Arc<Event> {
        let NumberedEvent { number, wards, event } = event;
        let message = messages::alert_event(&self.shared.cursors.write(number), number, &event);
        Arc::new(Event { number, wards, subject: event.subject, message })
    }
}

fn write_live(value: LiveValue) -> Arc<Live> {
    let json = messages::live_value(&value);
    let LiveValue { patient, metric, ward, taken, .. } = value;
    Arc::new(Live { patient, metric, ward, taken, json })
}

#[cfg(test)]
mod tests;
