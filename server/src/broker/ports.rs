//! What the door needs of the rest of the server.

use futures_util::future::BoxFuture;
use shared::id::HubId;

use super::identity::Identity;
use crate::ingest::Arrived;
use crate::store::owner::StoreHandle;

/// A hub's message, as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The hub, by its certificate.
    pub hub: HubId,
    /// SHA-256 of its identity public key.
    pub identity_digest: [u8; 32],
    /// Its identity public key, DER SubjectPublicKeyInfo.
    pub identity: std::sync::Arc<[u8]>,
    /// The message: at most `wire::MESSAGE_BYTES_MAX` octets.
    pub bytes: Vec<u8>,
    /// When it came.
    pub arrived: Arrived,
}

impl std::fmt::Debug for Arrival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Arrival({}, {} octets)", self.hub, self.bytes.len())
    }
}

/// Why ingest did not take a message. The connection is closed either way, without PUBACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IntakeRefused {
    /// Not a message of ours, or one the hub may not send: sent again it is refused again.
    #[error("the message is none a hub may send")]
    Unacceptable,
    /// It could not be committed now: the hub sends it again.
    #[error("the message could not be committed; the hub sends it again")]
    Unavailable,
}

/// Takes hubs' messages. Returning `Ok` means committed, or deliberately not kept; the hub then gets its PUBACK.
pub trait Intake: Send + Sync + 'static {
    /// Takes one.
    ///
    /// # Errors
    /// [`IntakeRefused`]
    fn take(&self, arrival: Arrival) -> BoxFuture<'_, Result<(), IntakeRefused>>;
}

/// The store cannot say now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store did not answer; see its own error")]
pub struct Unanswered;

/// Says who may come in, and is told who is here.
pub trait Admission: Send + Sync + 'static {
    /// Whether the hub is enrolled, and this certificate not taken back.
    ///
    /// # Errors
    /// [`Unanswered`]
    fn admits<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<bool, Unanswered>>;
    /// The hub came (`true`) or went.
    fn connected(&self, hub: HubId, connected: bool) -> BoxFuture<'_, ()>;
}

impl Admission for StoreHandle {
    fn admits<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<bool, Unanswered>> {
        let (hub, serial) = (identity.hub, identity.serial.clone());
        Box::pin(async move {
            let answer = self.ask(move |store, _, _| store.hub_admitted(hub, &serial)).await.map_err(|_| Unanswered)?;
            answer.map_err(|error| {
                tracing::error!(%error, "the store could not say whether a hub may come in; it tries again by itself");
                Unanswered
            })
        })
    }

    fn connected(&self, hub: HubId, connected: bool) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if self.hub_connected(hub, connected).await.is_err() {
                tracing::debug!("the store is closed: a hub's coming or going is not noted while the server stops");
            }
        })
    }
}
