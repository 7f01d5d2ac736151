//! Keeps certificates and the revocation list fresh without a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::admin::Office;
use crate::admin::reload::{Fresh, NotTaken};
use crate::broker::{DoorHandle, Tls};
use crate::store::owner::StoreHandle;

/// How often certificates and the list are looked at.
const EVERY: Duration = Duration::from_secs(12 * 3600);

/// Renews what the doors show and believe.
pub(super) struct Renewal {
    store: StoreHandle,
    office: Arc<Office>,
    shown: Shown,
    stop: CancellationToken,
    // From reading the store's revocations until they are in force, so that no older list follows a newer one. Those
    // who come meanwhile wait.
    turn: Mutex<()>,
}

/// Where it is shown and believed.
pub(super) struct Shown {
    /// The doors of hubs.
    pub(super) tls: Tls,
    /// The feed.
    pub(super) feed_tls: Tls,
    /// Whose sessions may have to end.
    pub(super) door: DoorHandle,
}

#[derive(Debug, thiserror::Error)]
enum NotRenewed {
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl Renewal {
    /// Renews nothing yet.
    pub(super) fn new(store: StoreHandle, office: Arc<Office>, shown: Shown, stop: CancellationToken) -> Self {
        Self { store, office, shown, stop, turn: Mutex::default() }
    }

    /// Renews twice a day until stopped.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => self.renew().await,
            }
        }
    }

    /// Held by whoever reads what is to be in force, until it is.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Renews now. Connections that stand are not touched.
    pub(super) async fn renew(&self) {
        let _turn = self.turn().await;
        let office = Arc::clone(&self.office);
        let renewed = self.store.ask(move |store, _, now| -> Result<Fresh, NotRenewed> {
            Ok(office.prepare(office.authority.get(), &store.revoked()?, now)?)
        });
        match renewed.await {
            Ok(Ok(fresh)) => {
                self.put_in_force(fresh);
                tracing::info!("certificates and the revocation list are fresh");
            }
            Ok(Err(error)) => tracing::error!(%error, "certificates or the revocation list could not be renewed"),
            // The server is stopping.
            Err(_) => {}
        }
    }

    /// Puts what was reloaded in force and ends the sessions it does not believe any more: how many.
    pub(super) async fn reloaded(&self, fresh: Fresh) -> usize {
        self.put_in_force(fresh);
        self.shown.door.expel_disbelieved().await
    }

    fn put_in_force(&self, fresh: Fresh) {
        self.office.authority.replace(fresh.authority);
        self.shown.tls.replace(fresh.hubs);
        self.shown.feed_tls.replace(fresh.people);
    }
}
