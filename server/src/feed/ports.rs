//! What the feed needs of the store.

use futures_util::future::BoxFuture;
use runtime::clock::Clock;
use shared::id::{StoreId, TokenId};
use shared::time::Timestamp;

use crate::access::{Actor, Permit};
use crate::store::owner::{StoreHandle, TakeRefused};
use crate::store::{EventNumber, EventsAfter, Snapshot, StoreError};

/// The store, as the feed asks it.
pub trait FeedStore: Send + Sync + 'static {
    /// This life of the store.
    fn store_id(&self) -> StoreId;
    /// Whose token it is and when it expires by the wall clock as it is now; `None` if it is unknown, wrong, revoked or
    /// expired.
    ///
    /// # Errors
    /// The store's.
    fn authenticate(
        &self,
        token: TokenId,
        secret_hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<(Actor, Timestamp)>, StoreError>>;
    /// What a feed starts from, in the permit's scope.
    ///
    /// # Errors
    /// The store's.
    fn snapshot(&self, permit: Permit) -> BoxFuture<'_, Result<Snapshot, StoreError>>;
    /// Events after a number, in the permit's scope. Every event passed to the feed is visible here before.
    ///
    /// # Errors
    /// The store's.
    fn events_after(
        &self,
        permit: Permit,
        after: EventNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<EventsAfter, StoreError>>;
}

/// The store's owner as the feed's store.
#[derive(Clone)]
pub struct WatchedStore {
    store: StoreHandle,
    clock: Clock,
    id: StoreId,
}

impl WatchedStore {
    /// Asks the store who it is, once.
    ///
    /// # Errors
    /// [`TakeRefused::Closed`]
    pub async fn new(store: StoreHandle, clock: Clock) -> Result<Self, TakeRefused> {
        let id = store.ask(|store, _, _| store.store_id()).await?;
        Ok(Self { store, clock, id })
    }
}

fn closed(refused: TakeRefused) -> StoreError {
    StoreError::Unavailable(Box::new(refused))
}

impl FeedStore for WatchedStore {
    fn store_id(&self) -> StoreId {
        self.id
    }

    fn authenticate(
        &self,
        token: TokenId,
        secret_hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<(Actor, Timestamp)>, StoreError>> {
        Box::pin(async move {
            let clock = self.clock.clone();
            let asked = self.store.ask(move |store, _, now| store.token_actor(token, &secret_hash, clock.wall(), now));
            asked.await.map_err(closed)?
        })
    }

    fn snapshot(&self, permit: Permit) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(async move {
            let asked = self.store.ask(move |store, _, now| store.feed_snapshot(&permit, now));
            asked.await.map_err(closed)?
        })
    }

    fn events_after(
        &self,
        permit: Permit,
        after: EventNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<EventsAfter, StoreError>> {
        Box::pin(async move {
            let asked = self.store.ask(move |store, _, now| store.events_after(&permit, after, limit, now));
            asked.await.map_err(closed)?
        })
    }
}
