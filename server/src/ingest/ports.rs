//! What ingest needs of the rest of the server.

use futures_util::future::BoxFuture;
use shared::id::{HubId, StreamId};
use tokio::sync::mpsc;

use super::{NewStream, OpenedBatch};
use crate::store::owner::{StoreHandle, TakeRefused};
use crate::store::{BatchOutcome, IdentityKey, StoreError};

/// Where what is for hubs goes: a `DownMessage`'s octets. Bounded; whoever sends waits while it is full.
pub type Down = mpsc::Sender<(HubId, Vec<u8>)>;

/// Why a batch is not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TakeFailed {
    /// The store cannot commit or answer now; the same call may succeed later.
    #[error("the store did not commit or answer; see its own error")]
    Unavailable,
    /// This batch alone was rolled back: as it is, it will not be stored later either.
    #[error("the store cannot take this batch as it is")]
    Batch,
}

/// The store, as ingest sees it.
pub trait Takes: Send + Sync + 'static {
    /// Commits a batch and says what became of it.
    ///
    /// # Errors
    /// [`TakeFailed`]
    fn take(&self, batch: OpenedBatch) -> BoxFuture<'_, Result<BatchOutcome, TakeFailed>>;
    /// A stream's opening as stored.
    ///
    /// # Errors
    /// [`TakeFailed::Unavailable`]
    fn stream(&self, hub: HubId, stream: StreamId) -> BoxFuture<'_, Result<Option<NewStream>, TakeFailed>>;
    /// A hub's identity keys, newest first.
    ///
    /// # Errors
    /// [`TakeFailed::Unavailable`]
    fn identities(&self, hub: HubId) -> BoxFuture<'_, Result<Vec<IdentityKey>, TakeFailed>>;
}

impl From<TakeRefused> for TakeFailed {
    fn from(refused: TakeRefused) -> Self {
        match refused {
            TakeRefused::Batch => Self::Batch,
            TakeRefused::Unavailable | TakeRefused::Closed => Self::Unavailable,
        }
    }
}

impl Takes for StoreHandle {
    fn take(&self, batch: OpenedBatch) -> BoxFuture<'_, Result<BatchOutcome, TakeFailed>> {
        Box::pin(async move { Ok(Self::take(self, batch).await?) })
    }

    fn stream(&self, hub: HubId, stream: StreamId) -> BoxFuture<'_, Result<Option<NewStream>, TakeFailed>> {
        Box::pin(async move { answered(self.ask(move |store, _, _| store.stream(hub, stream)).await?) })
    }

    fn identities(&self, hub: HubId) -> BoxFuture<'_, Result<Vec<IdentityKey>, TakeFailed>> {
        Box::pin(async move { answered(self.ask(move |store, _, _| store.identities(hub)).await?) })
    }
}

fn answered<T>(answer: Result<T, StoreError>) -> Result<T, TakeFailed> {
    answer.map_err(|error| {
        tracing::error!(%error, "the store could not be read for a hub's stream; the hub sends again");
        TakeFailed::Unavailable
    })
}
