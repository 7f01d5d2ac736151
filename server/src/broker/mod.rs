//! The door: where hubs come in. TLS and certificate, then the narrow MQTT of [`packet`], each packet checked against
//! the certificate's hub ([`acl`]); batches go straight to ingest, and what is for hubs comes through the in-process
//! [`router`].
//!
//! ```text
//! accept ─▶ front: TLS ▶ certificate ▶ CONNECT ▶ store admits ▶ seat ─▶ session ─Arrival─▶ Intake
//!                                                                          ▲ PUBACK after the commit
//! (HubId, bytes) ─▶ router ────────────────────────────────────────────────┘
//! ```

mod account;
pub mod acl;
mod front;
pub mod identity;
pub mod limits;
mod mailbox;
mod narrow;
mod pace;
pub mod packet;
mod ports;
mod refusal;
mod roster;
mod router;
mod session;
mod strangers;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use runtime::clock::Clock;
use shared::id::HubId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use ports::{Admission, Arrival, Intake, IntakeRefused, Unanswered};
pub use refusal::Refusal;
pub use router::RouterLost;
pub use tls::{Tls, TlsMaterial, TlsMisuse};

use crate::web::metrics::Metrics;
use account::Account;
use front::Shared;
use limits::{ACCEPT_PAUSE, ADMISSIONS_MAX, CONNECTIONS_MAX, HANDSHAKES_MAX, UNANSWERED_KIB_MAX};
use roster::Roster;
use router::Router;
use strangers::{Entered, Entry, Strangers};

/// What the door is made of.
pub struct DoorParts {
    /// Where it listens.
    pub listener: TcpListener,
    /// Its TLS, see [`Tls::for_hubs`].
    pub tls: Tls,
    /// Who may come in.
    pub admission: Arc<dyn Admission>,
    /// Where batches go.
    pub intake: Arc<dyn Intake>,
    /// What is for hubs: a `DownMessage`'s bytes; [`limits::DOWN_MAX`] of them, a further one waits. A message for a
    /// hub that is not here is not kept: what it would say is said anew when the hub asks or sends.
    pub down: mpsc::Receiver<(HubId, Vec<u8>)>,
    /// The clocks.
    pub clock: Clock,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// When cancelled, it takes no more, answers what it has taken, and ends.
    pub stop: CancellationToken,
}

/// The door's owner.
pub struct Door {
    // Gone when it takes no more.
    listener: Option<TcpListener>,
    shared: Arc<Shared>,
    down: mpsc::Receiver<(HubId, Vec<u8>)>,
    router: Router,
    guests: JoinSet<()>,
    strangers: Strangers,
    proved: mpsc::Receiver<Entry>,
    proving: mpsc::Sender<Entry>,
}

/// Asks things of the door. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DoorHandle {
    roster: Roster,
    tls: Tls,
    clock: Clock,
}

impl DoorHandle {
    /// Ends the hub's session now, as revoked. Whether there was one.
    pub fn disconnect(&self, hub: HubId) -> bool {
        self.roster.ask_to_leave(hub, Refusal::Revoked)
    }

    /// Ends the sessions whose certificates the door does not believe any more, as revoked: how many. Those are revoked
    /// ones and those that lead to no root of ours; that a certificate has ended since, or has not begun by a wall clock
    /// that was set back, ends no session ([`tls::Belief::still_holds`]). Connections that are shaking hands meanwhile
    /// look again before they are let in.
    pub async fn expel_disbelieved(&self) -> usize {
        let (roster, tls, wall) = (self.roster.clone(), self.tls.clone(), self.clock.wall());
        // Two signatures are checked for each hub: some seconds for very many, none of them the runtime's.
        let looking = tokio::task::spawn_blocking(move || {
            let mut expelled = 0_usize;
            for (hub, number, shown) in roster.shown() {
                if !tls.still_believes(&shown, wall) && roster.ask_session_to_leave(hub, number, Refusal::Revoked) {
                    expelled = expelled.saturating_add(1);
                }
            }
            expelled
        });
        looking.await.unwrap_or_default()
    }

    /// How many hubs are here.
    #[must_use]
    pub fn hubs(&self) -> usize {
        self.roster.len()
    }

    /// Whether the hub is here and listens for messages.
    #[must_use]
    pub fn listens(&self, hub: HubId) -> bool {
        self.roster.is_subscribed(hub)
    }
}

impl Door {
    /// Starts the router and makes the door. Nobody comes in before [`Door::run`].
    ///
    /// # Errors
    /// [`RouterLost`]
    pub async fn open(parts: DoorParts) -> Result<(Self, DoorHandle), RouterLost> {
        let router = Router::start().await?;
        let roster = Roster::default();
        let handle = DoorHandle { roster: roster.clone(), tls: parts.tls.clone(), clock: parts.clock.clone() };
        let shared = Arc::new(Shared {
            tls: parts.tls,
            admission: parts.admission,
            intake: parts.intake,
            roster,
            clock: parts.clock,
            metrics: parts.metrics,
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            admissions: Semaphore::new(ADMISSIONS_MAX),
            unanswered_kib: Arc::new(Semaphore::new(UNANSWERED_KIB_MAX)),
            stop: parts.stop,
        });
        // One place for each connection, so that none ever waits to say who it was.
        let (proving, proved) = mpsc::channel(CONNECTIONS_MAX);
        let guests = JoinSet::new();
        let strangers = Strangers::default();
        let (listener, down) = (Some(parts.listener), parts.down);
        let door = Self { listener, shared, down, router, guests, strangers, proved, proving };
        Ok((door, handle))
    }

    /// Runs until stopped. A router that ends is started again; what was on its way through it is not lost.
    ///
    /// # Errors
    /// [`RouterLost`]: it ended too often, so the process must be started again.
    pub async fn run(mut self) -> Result<(), RouterLost> {
        let stop = self.shared.stop.clone();
        let mut down_open = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                out = next_out(&mut self.router, &self.shared.clock) => self.hand_out(out).await?,
                message = self.down.recv(), if down_open && self.router.has_room() => match message {
                    Some((hub, bytes)) => self.send_down(hub, bytes),
                    None => down_open = false,
                },
                Some(entry) = self.proved.recv() => self.strangers.forget(entry),
                Some(_) = self.guests.join_next() => {}
                accepted = accept(self.listener.as_ref()) => match accepted {
                    Ok((socket, address)) => self.welcome(socket, address),
                    Err(error) => {
                        tracing::warn!(%error, "the door could not accept a connection; trying again");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        self.see_off().await
    }

    /// The sessions end by themselves, within their limits; what they had taken is answered with PUBACK. A receipt may
    /// not be written any more: its hub sends those records again and is told then.
    async fn see_off(mut self) -> Result<(), RouterLost> {
        self.listener = None;
        loop {
            tokio::select! {
                ended = self.guests.join_next() => if ended.is_none() { return Ok(()) },
                out = next_out(&mut self.router, &self.shared.clock) => self.hand_out(out).await?,
                Some((hub, bytes)) = self.down.recv(), if self.router.has_room() => self.send_down(hub, bytes),
                Some(_) = self.proved.recv() => {}
            }
        }
    }

    /// A message for a hub that does not listen is counted and not kept.
    fn send_down(&mut self, hub: HubId, bytes: Vec<u8>) {
        if self.shared.roster.is_subscribed(hub) {
            self.router.publish(hub, bytes, self.shared.clock.tick());
        } else {
            self.shared.metrics.messages_down_unheard.inc();
        }
    }

    async fn hand_out(&mut self, out: Result<Vec<(HubId, Bytes)>, RouterLost>) -> Result<(), RouterLost> {
        let out = match out {
            Ok(out) => out,
            Err(why) => {
                self.router.restart(why, self.shared.clock.tick()).await?;
                self.shared.metrics.router_restarts.inc();
                return Ok(());
            }
        };
        for (hub, message) in out {
            if self.shared.roster.mailbox(hub).is_none_or(|mailbox| mailbox.bring(message)) {
                self.shared.metrics.messages_down_unheard.inc();
            }
        }
        Ok(())
    }

    fn welcome(&mut self, socket: TcpStream, address: SocketAddr) {
        let account = Account::open(self.shared.metrics.clone());
        if self.guests.len() >= CONNECTIONS_MAX {
            return account.refused(Refusal::Full);
        }
        let entered = match self.strangers.enter(address.ip()) {
            Ok(entered) => entered,
            Err(refusal) => return account.refused(refusal),
        };
        let (shared, proving) = (self.shared.clone(), self.proving.clone());
        let stranger = Stranger { entry: entered.entry, proving };
        self.guests.spawn(async move { attend(&shared, socket, entered, stranger, account).await });
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// What comes out of the router next, or that nothing does any more. May be dropped half-way and called again.
async fn next_out(router: &mut Router, clock: &Clock) -> Result<Vec<(HubId, Bytes)>, RouterLost> {
    let stuck_at = router.stuck_at();
    tokio::select! {
        out = router.next(|| clock.tick()) => out,
        () = async { clock.sleep_until(stuck_at.unwrap_or_default()).await }, if stuck_at.is_some() => {
            Err(RouterLost::stuck())
        }
    }
}

/// Is in the books of strangers until dropped.
struct Stranger {
    entry: Entry,
    proving: mpsc::Sender<Entry>,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // There is a place for every connection; it fails only when the door is gone.
        let _ = self.proving.try_send(self.entry);
    }
}

async fn attend(shared: &Shared, socket: TcpStream, entered: Entered, stranger: Stranger, mut account: Account) {
    let shaking = async {
        tokio::select! {
            () = shared.stop.cancelled() => Err(Refusal::Stopping),
            () = entered.pushed_out.cancelled() => Err(Refusal::StrangersFull),
            guest = front::shake_hands(shared, socket, entered.of_address) => guest,
        }
    };
    let guest = match shaking.await {
        Ok(guest) => guest,
        Err(refusal) => {
            tracing::debug!(reason = refusal.name(), "a connection was refused");
            return account.refused(refusal);
        }
    };
    drop(stranger);
    let hub = guest.identity.hub;
    tracing::info!(%hub, "a hub connected");
    account.entered();
    match session::run(shared, guest).await {
        Ok(()) => {
            account.left();
            tracing::info!(%hub, "a hub disconnected");
        }
        Err(reason) => {
            account.refused(reason);
            tracing::info!(%hub, reason = reason.name(), "a hub's connection ended");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
