//! What the feed needs of the store.

use futures_util::future::BoxFuture;
use shared::id::{StoreId, TokenId};
use shared::time::Timestamp;

use crate::access::{Actor, Permit};
use crate::store::{EventNumber, EventsAfter, Snapshot, StoreError};

/// The store, as the feed asks it.
pub trait FeedStore: Send + Sync + 'static {
    /// This life of the store.
    fn store_id(&self) -> StoreId;
    /// Whose token it is and when it expires; `None` if it is unknown, wrong, revoked or expired.
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
