//! One client: its socket, its timers, its rights.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, close_code};
use bytes::Bytes;
use futures_util::SinkExt;
use shared::id::PatientId;
use shared::metric::Metric;
use shared::time::{Tick, Timestamp};
use tokio::sync::watch;

use super::limits::{
    CLOSE_MAX, EXPIRY_WARNING, HEARTBEAT_EVERY, LIVE_EVERY, LIVE_IN_FRAME_MAX, PAGE_EVENTS, PAGES_MAX, RIGHTS_EVERY,
    SILENCE_MAX, WRITE_MAX,
};
use super::messages::{self, FromClient, Message};
use super::outbox::{Live, Outbox};
use super::rights::Rights;
use super::store_news::StoreNews;
use super::{FeedShared, Guest};
use crate::alerts::Subject;
use crate::store::{EventNumber, EventsAfter, Snapshot, StoreError};
use crate::web::error::Problem;

/// Why a socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    ByClient,
    TooSlow,
    Silent,
    Misuse,
    TokenExpired,
    TokenRevoked,
    NotAllowed,
    StoreUnavailable,
    StoreRefuses,
    ServerStops,
}

impl Closed {
    /// What is counted and logged.
    const fn words(self) -> &'static str {
        match self {
            Self::ByClient => "closed by client",
            Self::TooSlow => "too slow",
            Self::Silent => "no pong",
            Self::Misuse => "message not understood",
            Self::TokenExpired => "token expired",
            Self::TokenRevoked => "token revoked",
            Self::NotAllowed => "not allowed",
            Self::StoreUnavailable => "store unavailable",
            Self::StoreRefuses => "store refuses",
            Self::ServerStops => "server stopping",
        }
    }

    /// What the close frame says.
    const fn reason(self) -> &'static str {
        match self {
            Self::StoreRefuses => Problem::STORE_REFUSES.cause,
            other => other.words(),
        }
    }

    const fn code(self) -> u16 {
        match self {
            Self::ByClient => close_code::NORMAL,
            Self::TooSlow | Self::Silent | Self::StoreUnavailable | Self::StoreRefuses => close_code::AGAIN,
            Self::Misuse | Self::TokenExpired | Self::TokenRevoked | Self::NotAllowed => close_code::POLICY,
            Self::ServerStops => close_code::RESTART,
        }
    }
}

impl From<StoreError> for Closed {
    fn from(_: StoreError) -> Self {
        Self::StoreUnavailable
    }
}

pub(super) struct Client {
    pub(super) shared: Arc<FeedShared>,
    socket: WebSocket,
    pub(super) outbox: Arc<Outbox>,
    pub(super) rights: Rights,
    refusal: watch::Receiver<bool>,
    store_news: StoreNews,
    resume: Option<Result<EventNumber, super::cursor::UnreadableCursor>>,
    n: u64,
    watermark: EventNumber,
    // The newest value sent of each patient and metric, so that none goes back in time.
    sent: BTreeMap<(PatientId, Metric), Timestamp>,
    audible: bool,
    warned: bool,
    last_heard: Tick,
    heartbeat_at: Tick,
    rights_at: Tick,
    live_at: Option<Tick>,
    last_live: Tick,
    _place: Place,
}

type Place = tokio::sync::OwnedSemaphorePermit;

impl Client {
    pub(super) fn new(shared: Arc<FeedShared>, socket: WebSocket, guest: Guest, outbox: Arc<Outbox>) -> Self {
        let now = shared.clock.tick();
        Self {
            socket,
            outbox,
            rights: Rights::new(guest.shown, guest.permit, guest.expires, now),
            refusal: shared.refusal.clone(),
            store_news: StoreNews::default(),
            resume: guest.resume,
            n: 0,
            watermark: EventNumber::default(),
            sent: BTreeMap::new(),
            audible: false,
            warned: false,
            last_heard: now,
            heartbeat_at: now.after(HEARTBEAT_EVERY),
            rights_at: now.after(RIGHTS_EVERY),
            live_at: None,
            last_live: Tick::from_millis(0),
            shared,
            _place: guest.place,
        }
    }

    pub(super) async fn run(mut self) {
        let closed = match self.begin().await {
            Ok(()) => self.serve().await,
            Err(closed) => closed,
        };
        let closed = self.name_refusal(closed).await;
        if self.audible {
            self.shared.metrics.feed_clients_audible.dec();
        }
        self.shared.metrics.feed_closed(closed.words());
        tracing::info!(token = %self.rights.shown.token, reason = closed.words(), "a feed's socket was closed");
        if closed != Closed::ByClient {
            let frame = CloseFrame { code: closed.code(), reason: closed.reason().into() };
            // The peer may be gone; the socket is closed by being dropped.
            let _ = tokio::time::timeout(CLOSE_MAX, self.socket.send(Frame::Close(Some(frame)))).await;
        }
    }

    async fn begin(&mut self) -> Result<(), Closed> {
        let snapshot = self.shared.store.snapshot(self.rights.permit.clone()).await?;
        self.rights.know(&snapshot);
        match self.resume {
            None => self.send_snapshot(&snapshot).await?,
            Some(Err(unreadable)) => {
                self.send(&messages::reset(unreadable.name())).await?;
                self.send_snapshot(&snapshot).await?;
            }
            Some(Ok(after)) => {
                self.watermark = after;
                self.send(&messages::resumed(&self.cursor(), &snapshot.patients)).await?;
                let values: Vec<_> = snapshot.live.iter().map(messages::live_value).collect();
                self.send_live(&values).await?;
            }
        }
        for live in &snapshot.live {
            self.sent.insert((live.patient, live.metric), live.taken);
        }
        self.catch_up(&snapshot).await?;
        self.tell_of_store(self.shared.clock.tick()).await?;
        self.flush().await
    }

    /// A store that cannot be asked because it refuses closes with that reason, and with what to do before it.
    async fn name_refusal(&mut self, closed: Closed) -> Closed {
        if closed != Closed::StoreUnavailable || !*self.refusal.borrow() {
            return closed;
        }
        if self.store_news.next(true, self.shared.clock.tick()).is_some() {
            // The peer may be gone; the close frame says why as well.
            let _ = tokio::time::timeout(CLOSE_MAX, self.send(&messages::store_refuses())).await;
        }
        Closed::StoreRefuses
    }

    /// Tells whether the store refuses, if the client does not know.
    async fn tell_of_store(&mut self, now: Tick) -> Result<(), Closed> {
        let refuses = *self.refusal.borrow_and_update();
        match self.store_news.next(refuses, now) {
            Some(true) => self.send(&messages::store_refuses()).await,
            Some(false) => self.send(&messages::store_commits()).await,
            None => Ok(()),
        }
    }

    /// Reads the store's pages until nothing came in between.
    async fn catch_up(&mut self, start: &Snapshot) -> Result<(), Closed> {
        for _ in 0..PAGES_MAX {
            let permit = self.rights.permit.clone();
            match self.shared.store.events_after(permit, self.watermark, PAGE_EVENTS).await? {
                EventsAfter::Beyond => {
                    self.send(&messages::reset("cursor_too_old")).await?;
                    self.send_snapshot(start).await?;
                }
                EventsAfter::Events { events, more } => {
                    for event in events {
                        let cursor = self.shared.cursors.write(event.number);
                        self.send_event(event.number, &messages::alert_event(&cursor, event.number, &event.event))
                            .await?;
                    }
                    self.flush().await?;
                    if !more && self.outbox.go_live() {
                        return Ok(());
                    }
                }
            }
            if self.shared.stop.is_cancelled() {
                return Err(Closed::ServerStops);
            }
        }
        Err(Closed::TooSlow)
    }

    async fn serve(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.turn().await {
                return closed;
            }
        }
    }

    async fn turn(&mut self) -> Result<(), Closed> {
        let wake_at = self.next_deadline();
        let shared = self.shared.clone();
        tokio::select! {
            () = shared.stop.cancelled() => return Err(Closed::ServerStops),
            frame = self.socket.recv() => self.hear(frame.and_then(Result::ok))?,
            () = self.outbox.arrived() => {}
            // Closed: the store has ended, and so does the server.
            Ok(()) = self.refusal.changed() => {}
            () = shared.clock.sleep_until(wake_at) => {}
        }
        let now = shared.clock.tick();
        if now.since(self.last_heard) >= SILENCE_MAX {
            return Err(Closed::Silent);
        }
        if now >= self.rights_at {
            self.rights_at = now.after(RIGHTS_EVERY);
            self.look_up_rights(now).await?;
        }
        self.mind_expiry().await?;
        self.tell_of_store(now).await?;
        self.pass_on(now).await?;
        if now >= self.heartbeat_at {
            self.heartbeat_at = now.after(HEARTBEAT_EVERY);
            let stores = !self.store_news.refuses();
            self.send(&messages::heartbeat(&self.cursor(), shared.clock.wall(), stores)).await?;
            self.feed(Frame::Ping(Bytes::new())).await?;
        }
        self.flush().await
    }

    fn next_deadline(&self) -> Tick {
        let wall = self.shared.clock.wall();
        let until = |at: Timestamp| self.shared.clock.tick().after(at.since(wall));
        let expiry = if self.warned { self.rights.expires } else { self.rights.expires.before(EXPIRY_WARNING) };
        let silent_at = self.last_heard.after(SILENCE_MAX);
        let soonest = self.heartbeat_at.min(self.rights_at).min(silent_at).min(until(expiry));
        let store_at = self.store_news.deadline(*self.refusal.borrow());
        self.live_at.into_iter().chain(store_at).fold(soonest, Tick::min)
    }

    fn hear(&mut self, frame: Option<Frame>) -> Result<(), Closed> {
        self.last_heard = self.shared.clock.tick();
        match frame {
            None | Some(Frame::Close(_)) => Err(Closed::ByClient),
            Some(Frame::Ping(_) | Frame::Pong(_)) => Ok(()),
            Some(Frame::Binary(_)) => Err(Closed::Misuse),
            Some(Frame::Text(text)) => {
                let FromClient::Audible { audible } = messages::from_client(&text).ok_or(Closed::Misuse)?;
                if audible != self.audible {
                    let gauge = &self.shared.metrics.feed_clients_audible;
                    if audible {
                        gauge.inc()
                    } else {
                        gauge.dec()
                    };
                    self.audible = audible;
                }
                Ok(())
            }
        }
    }

    async fn mind_expiry(&mut self) -> Result<(), Closed> {
        let left = self.rights.expires.since(self.shared.clock.wall());
        if left == Duration::ZERO {
            return Err(Closed::TokenExpired);
        }
        if left <= EXPIRY_WARNING && !self.warned {
            self.warned = true;
            self.send(&messages::expiring(self.rights.expires)).await?;
        }
        Ok(())
    }

    async fn pass_on(&mut self, now: Tick) -> Result<(), Closed> {
        let taken = self.outbox.take_events();
        for event in taken.events {
            // Rights are those at sending; what a page brought already is not repeated.
            if event.number <= self.watermark || !event.is_in(self.rights.permit.scope()) {
                continue;
            }
            if let Subject::Patient(patient) = event.subject {
                self.rights.meet(patient);
            }
            self.send_event(event.number, &event.message).await?;
        }
        if taken.overflowed {
            return Err(Closed::TooSlow);
        }
        if !taken.live_waits {
            return Ok(());
        }
        let due = self.last_live.after(LIVE_EVERY);
        if now < due {
            self.live_at = Some(due);
            return Ok(());
        }
        self.live_at = None;
        self.last_live = now;
        let waiting = self.outbox.take_live();
        let fresh: Vec<Arc<Live>> = waiting.into_values().filter(|live| self.is_news(live)).collect();
        let values: Vec<&str> = fresh.iter().map(|live| live.json.as_str()).collect();
        self.send_live(&values).await
    }

    fn is_news(&mut self, live: &Live) -> bool {
        let key = (live.patient, live.metric);
        let news = self.sent.get(&key).is_none_or(|sent| *sent <= live.taken);
        if !self.rights.permit.scope().covers(&live.ward) || !news {
            return false;
        }
        self.rights.meet(live.patient);
        self.sent.insert(key, live.taken);
        true
    }

    pub(super) fn forget(&mut self, patient: PatientId) {
        self.sent.retain(|(sent, _), _| *sent != patient);
    }

    pub(super) fn cursor(&self) -> String {
        self.shared.cursors.write(self.watermark)
    }

    async fn send_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), Closed> {
        self.watermark = snapshot.cursor;
        self.send(&messages::snapshot(&self.cursor(), snapshot)).await
    }

    async fn send_event(&mut self, number: EventNumber, message: &Message) -> Result<(), Closed> {
        self.watermark = number;
        self.shared.metrics.feed_events.inc();
        self.send(message).await
    }

    async fn send_live(&mut self, values: &[impl AsRef<str>]) -> Result<(), Closed> {
        for values in values.chunks(LIVE_IN_FRAME_MAX) {
            let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
            self.send(&messages::live(&values)).await?;
        }
        Ok(())
    }

    pub(super) async fn send(&mut self, message: &Message) -> Result<(), Closed> {
        self.n = self.n.saturating_add(1);
        let text = message.numbered(self.n);
        self.feed(Frame::text(text)).await
    }

    async fn feed(&mut self, frame: Frame) -> Result<(), Closed> {
        written(tokio::time::timeout(WRITE_MAX, self.socket.feed(frame)).await)
    }

    async fn flush(&mut self) -> Result<(), Closed> {
        written(tokio::time::timeout(WRITE_MAX, self.socket.flush()).await)
    }
}

fn written(result: Result<Result<(), axum::Error>, tokio::time::error::Elapsed>) -> Result<(), Closed> {
    match result {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Closed::ByClient),
        Err(_) => Err(Closed::TooSlow),
    }
}
