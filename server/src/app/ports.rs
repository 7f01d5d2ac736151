//! What the settings door and the command line ask of the store.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use runtime::clock::Clock;
use serde_json::Value;
use shared::id::HubId;
use shared::wire::{DownMessage, to_bytes};
use tokio::sync::mpsc;

use super::renewal::Renewal;
use super::store_gone;
use crate::access::Actor;
use crate::admin::answer::Failure;
use crate::admin::office::Desk;
use crate::admin::socket::Carry;
use crate::admin::{After, Done, Office, Request};
use crate::broker::{DoorHandle, Unanswered};
use crate::store::owner::StoreHandle;
use crate::store::{Committed, StoreError};
use crate::web::hub_https::SettingsSource;

/// Signs a hub's settings when it asks.
pub(super) struct SettingsDesk {
    pub(super) store: StoreHandle,
    pub(super) office: Arc<Office>,
    pub(super) clock: Clock,
}

impl SettingsSource for SettingsDesk {
    fn signed_settings(&self, hub: HubId) -> BoxFuture<'_, Result<Option<Vec<u8>>, Unanswered>> {
        Box::pin(async move {
            let (office, clock) = (Arc::clone(&self.office), self.clock.clone());
            let answer = self.store.ask(move |store, _, _| office.signed_settings(store, hub, clock.wall())).await;
            match answer.map_err(|_| Unanswered)? {
                Ok(settings) => to_bytes(&settings).map(Some).map_err(|_| Unanswered),
                Err(StoreError::Unknown(_)) => Ok(None),
                Err(error) => {
                    tracing::error!(%error, "a hub's settings cannot be read; the hub asks again");
                    Err(Unanswered)
                }
            }
        })
    }
}

/// Where the command line's requests are carried out.
pub(super) struct Counter {
    pub(super) store: StoreHandle,
    pub(super) office: Arc<Office>,
    pub(super) clock: Clock,
    pub(super) door: DoorHandle,
    pub(super) down: mpsc::Sender<(HubId, Vec<u8>)>,
    pub(super) renewal: Arc<Renewal>,
    /// Backups are made one at a time; further ones wait.
    pub(super) backups: tokio::sync::Mutex<()>,
}

impl Carry for Counter {
    fn carry(&self, actor: Actor, request: Request) -> BoxFuture<'_, Result<Value, Failure>> {
        Box::pin(async move {
            let _turn = match &request {
                Request::Reload => Some(self.renewal.turn().await),
                _ => None,
            };
            let mut done = carried_out(&self.store, &self.office, &self.clock, actor, request).await?;
            match done.after.take() {
                Some(After::Reloaded(fresh)) => {
                    let ended = self.renewal.reloaded(*fresh).await;
                    if let Some(answer) = done.answer.as_object_mut() {
                        answer.insert("sessions_ended".to_owned(), ended.into());
                    }
                }
                Some(after) => self.follow_up(after).await?,
                None => {}
            }
            Ok(done.answer)
        })
    }
}

/// What a request became, in the store's thread and by both clocks as they are then.
pub(super) async fn carried_out(
    store: &StoreHandle,
    office: &Arc<Office>,
    clock: &Clock,
    actor: Actor,
    request: Request,
) -> Result<Done, Failure> {
    let (office, clock, what) = (Arc::clone(office), clock.clone(), request.name());
    let done = store.ask_committing(move |store, alerts, now| {
        let mut desk = Desk { store, alerts, actor: &actor, now, wall: clock.wall() };
        match office.carry_out(&mut desk, request) {
            Ok(mut done) => {
                let committed = done.committed.take().unwrap_or_default();
                (Ok(done), committed)
            }
            Err(failure) => (Err(failure), Committed::default()),
        }
    });
    done.await.map_err(|_| Failure::of_store(what, &store_gone()))?
}

impl Counter {
    async fn follow_up(&self, after: After) -> Result<(), Failure> {
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
            // Answered with what it ended, see `carry`.
            After::Reloaded(_) => {}
            After::Backup(backup) => {
                let _turn = self.backups.lock().await;
                let made = tokio::task::spawn_blocking(move || backup.make()).await;
                made.map_err(|_| Failure::of_store("backup", &store_gone()))??;
            }
        }
        Ok(())
    }
}
