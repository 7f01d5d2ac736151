//! The wiring diagram, in code.
//!
//! ```text
//! hubs ─▶ door ─▶ ingest ─▶ store owner ─CommitReport─▶ reporter ─▶ feed ─▶ clinicians
//!          ▲  ▲                 ▲   ▲                      └──────▶ receipts ─┐
//!          │  └──── down ───────│───│─────────────────────────────────────────┘
//!          └ renewal            │   └ command line (socket)
//!                               └ settings door, health
//! ```
//! When it stops: door, listeners and socket take no more; whoever waits for a commit is answered; the store's owner
//! ends when nobody can ask it any more, and the reporter, receipts and feed after it.

mod hangup;
mod ports;
mod renewal;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use runtime::clock::Clock;
use runtime::exit::Exit;
use runtime::supervisor::Supervisor;
use serde::Serialize;
use shared::id::HubId;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::admin::reload::NotTaken;
use crate::admin::socket;
use crate::broker::{Door, DoorParts, RouterLost, Tls, limits::DOWN_MAX};
use crate::feed::{Feed, FeedCommit, FeedParts, WatchedStore};
use crate::ingest::counters::Counters;
use crate::ingest::receipts::Receipts;
use crate::ingest::{Ingest, SealingKeys, Streams};
use crate::limits::DRAIN_MAX;
use crate::provisioning::ProvisioningError;
use crate::setup::{CannotOpen, System, reachable};
use crate::store::owner::{CommitReport, StoreOwner};
use crate::store::{BatchOutcome, Store, StoreError};
use crate::web::limits::CONNECTION_MAX;
use crate::web::metrics::Metrics;
use crate::web::serve::{Listener, open_site};
use crate::web::{hub_https, people, prometheus};
use ports::{Counter, SettingsDesk};
use renewal::{Renewal, Renewed, Shown};

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// What is in the data folder.
    #[error(transparent)]
    Open(#[from] CannotOpen),
    /// An address cannot be listened on.
    #[error("{key}: {address} cannot be listened on: {source}; is another server running there?")]
    Listen {
        /// Its key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The socket of the command line or the file of addresses.
    #[error("the run folder: {0}")]
    RunFolder(#[from] std::io::Error),
    /// Certificates.
    #[error(transparent)]
    Provisioning(#[from] ProvisioningError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] NotTaken),
    /// SIGHUP cannot be listened for.
    #[error("SIGHUP cannot be listened for: {0}; start the server again")]
    Signals(#[source] std::io::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The router inside the door.
    #[error(transparent)]
    Router(#[from] RouterLost),
}

/// Where the server really listens.
#[derive(Debug, Clone, Serialize)]
pub struct Addresses {
    /// MQTT door for hubs.
    pub mqtt: SocketAddr,
    /// HTTPS door for hubs.
    pub hub_https: SocketAddr,
    /// Feed for clinicians.
    pub feed: SocketAddr,
    /// Prometheus.
    pub metrics: SocketAddr,
}

struct Listeners {
    mqtt: TcpListener,
    hub_https: TcpListener,
    feed: TcpListener,
    metrics: TcpListener,
    addresses: Addresses,
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), CannotStart> {
    let refused = |source| CannotStart::Listen { key, address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

impl Listeners {
    async fn open(system: &System) -> Result<Self, CannotStart> {
        let config = &system.config;
        let (mqtt, mqtt_at) = listen("mqtt", config.mqtt).await?;
        let (hub_https, hub_https_at) = listen("hub_https", config.hub_https).await?;
        let (feed, feed_at) = listen("feed", config.feed).await?;
        let (metrics, metrics_at) = listen("metrics", config.metrics).await?;
        let addresses = Addresses { mqtt: mqtt_at, hub_https: hub_https_at, feed: feed_at, metrics: metrics_at };
        Ok(Self { mqtt, hub_https, feed, metrics, addresses })
    }
}

/// Runs the server until it is told to stop. `announce` gets the addresses once all of them are listened on.
///
/// # Errors
/// [`CannotStart`].
pub async fn run(data: &Path, announce: impl FnOnce(&Addresses)) -> Result<Exit, CannotStart> {
    let clock = Clock::system();
    let mut system = crate::setup::open(data, clock.wall())?;
    let listeners = Listeners::open(&system).await?;
    let addresses = listeners.addresses.clone();
    system.office.whereabouts.mqtt = reachable(&system.config, addresses.mqtt);
    system.office.whereabouts.https = reachable(&system.config, addresses.hub_https);
    let run_folder = system.config.run_folder();
    runtime::files::create_private_dir(&run_folder)?;
    let admin = socket::listen(&run_folder)?;
    let lock = start(system, listeners, admin, &clock).await?;
    let text = serde_json::to_vec(&addresses).map_err(std::io::Error::from)?;
    runtime::files::write_atomically(&run_folder.join("addresses.json"), &text, 0o600)?;
    announce(&addresses);
    runtime::notify::ready();
    let exit = lock.supervisor.run(DRAIN_MAX).await;
    drop(lock.lock);
    Ok(exit)
}

struct Started {
    supervisor: Supervisor,
    lock: runtime::files::FileLock,
}

/// The longest a connection of a program lasts; people's watch for as long as they like.
const SHORT: Option<std::time::Duration> = Some(CONNECTION_MAX);

async fn start(
    mut system: System,
    listeners: Listeners,
    admin: tokio::net::UnixListener,
    clock: &Clock,
) -> Result<Started, CannotStart> {
    let hangups = signal(SignalKind::hangup()).map_err(CannotStart::Signals)?;
    let mut supervisor = Supervisor::new();
    let stop = supervisor.stop();
    let (metrics, counters) = (Arc::new(Metrics::new()), Arc::new(Counters::default()));
    let (cursor_key, made) = (system.cursor_key()?, Renewed::now(clock));
    let sealing_keys = SealingKeys::load(&system.office.vault)?;
    let fresh = system.office.prepare(system.office.authority.get(), &system.store.revoked()?, clock.wall())?;
    let (tls, feed_tls) = (Tls::new(fresh.hubs), Tls::new(fresh.people));
    let System { office, store, alerts, lock, .. } = system;
    let (office, store_id) = (Arc::new(office), store.store_id());

    let (owner, handle, reports) = StoreOwner::new(Box::new(store), Box::new(alerts), clock.clone())?;
    let started = handle.ask(|_, _, now| now);
    let progress = supervisor.progress("store");
    let runtime = tokio::runtime::Handle::current();
    supervisor.own_thread("store", move || owner.run(&runtime, &progress));
    let started = started.await.unwrap_or_else(|_| clock.wall());

    let (down, to_hubs) = mpsc::channel::<(HubId, Vec<u8>)>(DOWN_MAX);
    let streams = Arc::new(Streams::default());
    let ingest =
        Ingest::new(Arc::new(handle.clone()), sealing_keys, Arc::clone(&streams), down.clone(), Arc::clone(&counters));
    let (door, door_handle) = Door::open(DoorParts {
        listener: listeners.mqtt,
        tls: tls.clone(),
        admission: Arc::new(handle.clone()),
        intake: Arc::new(ingest),
        down: to_hubs,
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        stop: stop.clone(),
    })
    .await?;
    supervisor.own("door", door.run());

    let (receipts, outcomes) = Receipts::new(streams, down.clone(), clock.clone(), counters.clone(), store_id, started);
    supervisor.own_infallible("receipts", receipts.run());
    let (feed, feed_door, commits) = Feed::open(FeedParts {
        store: Arc::new(WatchedStore::new(handle.clone(), clock.clone()).await.map_err(|_| store_gone())?),
        refusal: handle.refusal(),
        cursor_key,
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        stop: stop.clone(),
    });
    supervisor.own_infallible("feed", feed.run());
    supervisor.own_infallible("reporter", report(reports, outcomes, commits, Arc::clone(&metrics)));

    let site = |name, listener, tls, site, connection_max| Listener {
        name,
        listener,
        tls,
        site,
        connection_max,
        stop: stop.clone(),
    };
    let settings = Arc::new(SettingsDesk { store: handle.clone(), office: Arc::clone(&office), clock: clock.clone() });
    let hubs = hub_https::site(Arc::new(handle.clone()), settings, Arc::clone(&metrics));
    supervisor
        .own_infallible("hub_https", site("hub_https", listeners.hub_https, Some(tls.clone()), hubs, SHORT).run());
    let watched = open_site(people(feed_door, Arc::new(handle.clone())));
    supervisor.own_infallible("feed_https", site("feed", listeners.feed, Some(feed_tls.clone()), watched, None).run());
    let measured = open_site(prometheus(metrics, Arc::new(handle.clone())));
    supervisor.own_infallible("metrics", site("metrics", listeners.metrics, None, measured, SHORT).run());

    let shown = Shown { tls, feed_tls, door: door_handle.clone() };
    let renewal = Arc::new(Renewal::new(handle.clone(), Arc::clone(&office), shown, clock.clone(), stop.clone()));
    supervisor.own_infallible("renewal", Arc::clone(&renewal).run(made));
    let (door, backups) = (door_handle, tokio::sync::Mutex::new(()));
    let counter = Arc::new(Counter { store: handle, office, clock: clock.clone(), door, down, renewal, backups });
    supervisor.own_infallible("hangup", hangup::run(hangups, Arc::clone(&counter), stop.clone()));
    supervisor.own("command_line", socket::serve(admin, counter, stop));
    Ok(Started { supervisor, lock })
}

/// Passes each commit on: outcomes to receipts, events and live values to the feed.
async fn report(
    mut reports: mpsc::Receiver<CommitReport>,
    outcomes: mpsc::Sender<BatchOutcome>,
    commits: mpsc::Sender<FeedCommit>,
    metrics: Arc<Metrics>,
) {
    let mut feed_is_open = true;
    while let Some(report) = reports.recv().await {
        metrics.commits.inc();
        for outcome in report.outcomes {
            metrics.observations.inc_by(outcome.observations);
            metrics
                .quarantined
                .inc_by(outcome.quarantined.iter().fold(0, |sum, q| sum.saturating_add(q.range.count())));
            // Closed: the server is stopping; hubs send again and are answered then.
            let _ = outcomes.send(outcome).await;
        }
        if feed_is_open && !(report.events.is_empty() && report.live.is_empty()) {
            let commit = FeedCommit { events: report.events, live: report.live };
            feed_is_open = commits.send(commit).await.is_ok();
        }
    }
}

/// For the command line, see [`ports`].
pub(crate) fn store_gone() -> StoreError {
    StoreError::Unavailable(Box::new(std::io::Error::other("the store is closed: the server is stopping")))
}

#[cfg(test)]
mod tests;
