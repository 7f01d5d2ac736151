//! Keeps certificates and the revocation list fresh without a restart.

use std::sync::Arc;
use std::time::Duration;

use runtime::clock::Clock;
use shared::time::{Tick, Timestamp};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::admin::Office;
use crate::admin::reload::{Fresh, NotTaken};
use crate::broker::{DoorHandle, Tls};
use crate::limits::{RENEWAL_LOOK_EVERY, WALL_STEP_MIN};
use crate::store::owner::StoreHandle;

/// How often certificates and the list are made anew where they need it.
const EVERY: Duration = Duration::from_secs(12 * 3600);

/// When certificates and the list were last made anew, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renewed {
    tick: Tick,
    wall: Timestamp,
}

impl Renewed {
    /// As of now.
    pub(super) fn now(clock: &Clock) -> Self {
        Self { tick: clock.tick(), wall: clock.wall() }
    }

    /// Whether it is time again: after [`EVERY`], or because the wall clock has moved by more than [`WALL_STEP_MIN`]
    /// against the monotonic one, so that a certificate may have ended or not begun. What a time source slews in
    /// [`EVERY`] is less (at most 500 ppm, 22 s).
    pub(super) fn is_due(self, clock: &Clock) -> bool {
        let Self { tick, wall } = Self::now(clock);
        let elapsed = tick.since(self.tick);
        let off_ms = wall.as_millis().abs_diff(self.wall.after(elapsed).as_millis());
        elapsed >= EVERY || u128::from(off_ms) > WALL_STEP_MIN.as_millis()
    }
}

/// Renews what the doors show and believe.
pub(super) struct Renewal {
    store: StoreHandle,
    office: Arc<Office>,
    shown: Shown,
    clock: Clock,
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
    pub(super) fn new(
        store: StoreHandle,
        office: Arc<Office>,
        shown: Shown,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        Self { store, office, shown, clock, stop, turn: Mutex::default() }
    }

    /// Renews twice a day and after every step of the wall clock, until stopped. What fails is tried again at the next
    /// look. What is in force was made at `last`.
    pub(super) async fn run(self: Arc<Self>, mut last: Renewed) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.clock.sleep_until(self.clock.tick().after(RENEWAL_LOOK_EVERY)) => {}
            }
            let now = Renewed::now(&self.clock);
            if last.is_due(&self.clock) && self.renew().await {
                last = now;
            }
        }
    }

    /// Held by whoever reads what is to be in force, until it is.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Renews now, by the wall clock; whether it could. Connections that stand are not touched.
    pub(super) async fn renew(&self) -> bool {
        let _turn = self.turn().await;
        let (office, clock) = (Arc::clone(&self.office), self.clock.clone());
        let renewed = self.store.ask(move |store, _, _| -> Result<Fresh, NotRenewed> {
            Ok(office.prepare(office.authority.get(), &store.revoked()?, clock.wall())?)
        });
        match renewed.await {
            Ok(Ok(fresh)) => {
                self.put_in_force(fresh);
                tracing::info!("certificates and the revocation list are fresh");
                true
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "certificates or the revocation list could not be renewed; a later try may");
                false
            }
            // The server is stopping.
            Err(_) => false,
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
