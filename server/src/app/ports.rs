//! What door, feed, web and command line ask of the store, as they name it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use runtime::clock::Clock;
use serde_json::Value;
use shared::id::{HubId, StoreId, TokenId};
use shared::time::Timestamp;
use shared::wire::{DownMessage, to_bytes};
use tokio::sync::mpsc;

use super::renewal::Renewal;
use super::store_gone;
use crate::access::{Actor, Permit};
use crate::admin::answer::Failure;
use crate::admin::office::Desk;
use crate::admin::socket::Carry;
use crate::admin::{After, Office, Request};
use crate::broker::identity::Identity;
use crate::broker::{Admission, DoorHandle, Unanswered};
use crate::feed::FeedStore;
use crate::store::owner::StoreHandle;
use crate::store::{Committed, EventNumber, EventsAfter, Snapshot, StoreError};
use crate::web::health::Readiness;
use crate::web::hub_https::SettingsSource;

/// Answers door, settings door, feed and health out of the store.
pub(super) struct Reception {
    store: StoreHandle,
    office: Arc<Office>,
    store_id: StoreId,
    clock: Clock,
}

impl Reception {
    pub(super) const fn new(store: StoreHandle, office: Arc<Office>, store_id: StoreId, clock: Clock) -> Self {
        Self { store, office, store_id, clock }
    }
}

impl Admission for Reception {
    fn admits<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<bool, Unanswered>> {
        Box::pin(async move {
            let (hub, serial) = (identity.hub, identity.serial.clone());
            let answer = self.store.ask(move |store, _, _| store.hub_admitted(hub, &serial)).await;
            answer.map_err(|_| Unanswered)?.map_err(|error| {
                tracing::error!(%error, "the store cannot say whether a hub may come in");
                Unanswered
            })
        })
    }

    fn connected(&self, hub: HubId, connected: bool) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Closed: the server is stopping, and every hub goes.
            let _ = self.store.hub_connected(hub, connected).await;
        })
    }
}

impl SettingsSource for Reception {
    fn signed_settings(&self, hub: HubId) -> BoxFuture<'_, Result<Option<Vec<u8>>, Unanswered>> {
        Box::pin(async move {
            let (office, now) = (Arc::clone(&self.office), self.clock.wall());
            let answer = self.store.ask(move |store, _, _| office.signed_settings(store, hub, now)).await;
            match answer.map_err(|_| Unanswered)? {
                Ok(settings) => to_bytes(&settings).map(Some).map_err(|_| Unanswered),
                Err(StoreError::Unknown(_)) => Ok(None),
                Err(error) => {
                    tracing::error!(%error, "a hub's settings cannot be read");
                    Err(Unanswered)
                }
            }
        })
    }
}

impl Readiness for Reception {
    fn ready(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move { self.store.ask(|store, _, _| store.store_id()).await.is_ok() })
    }
}

impl FeedStore for Reception {
    fn store_id(&self) -> StoreId {
        self.store_id
    }

    fn authenticate(
        &self,
        token: TokenId,
        secret_hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<(Actor, Timestamp)>, StoreError>> {
        Box::pin(async move {
            let now = self.clock.wall();
            let answer = self.store.ask(move |store, _, _| store.token_actor(token, &secret_hash, now)).await;
            answer.map_err(|_| store_gone())?
        })
    }

    fn snapshot(&self, permit: Permit) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(async move {
            let answer = self.store.ask(move |store, _, now| store.feed_snapshot(&permit, now)).await;
            answer.map_err(|_| store_gone())?
        })
    }

    fn events_after(
        &self,
        permit: Permit,
        after: EventNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<EventsAfter, StoreError>> {
        Box::pin(async move {
            let answer = self.store.ask(move |store, _, now| store.events_after(&permit, after, limit, now)).await;
            answer.map_err(|_| store_gone())?
        })
    }
}

/// Where the command line's requests are carried out.
pub(super) struct Counter {
    pub(super) store: StoreHandle,
    pub(super) office: Arc<Office>,
    pub(super) door: DoorHandle,
    pub(super) down: mpsc::Sender<(HubId, Vec<u8>)>,
    pub(super) renewal: Arc<Renewal>,
}

impl Carry for Counter {
    fn carry(&self, actor: Actor, request: Request) -> BoxFuture<'_, Result<Value, Failure>> {
        Box::pin(async move {
            let (office, what) = (Arc::clone(&self.office), request.name());
            let done = self.store.ask_committing(move |store, alerts, now| {
                let mut desk = Desk { store, alerts, actor: &actor, now };
                match office.carry_out(&mut desk, request) {
                    Ok(mut done) => {
                        let committed = done.committed.take().unwrap_or_default();
                        (Ok(done), committed)
                    }
                    Err(failure) => (Err(failure), Committed::default()),
                }
            });
            let done = done.await.map_err(|_| Failure::of_store(what, &store_gone()))??;
            if let Some(after) = done.after {
                self.follow_up(after).await;
            }
            Ok(done.answer)
        })
    }
}

impl Counter {
    async fn follow_up(&self, after: After) {
        match after {
            After::SettingsWaiting(hub, counter) => {
                if let Ok(message) = to_bytes(&DownMessage::SettingsWaitingV1(counter)) {
                    // Closed: the server is stopping; the hub asks at its next connection anyway.
                    let _ = self.down.send((hub, message)).await;
                }
            }
            After::Revoked(hub) => {
                self.door.disconnect(hub);
                self.renewal.renew().await;
            }
        }
    }
}
