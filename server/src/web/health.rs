//! Alive and ready.

use futures_util::future::BoxFuture;

use super::error::Problem;
use super::limits::READY_MAX;
use crate::store::owner::StoreHandle;

/// Whether the server does its work.
pub trait Readiness: Send + Sync + 'static {
    /// The store answers and the door listens.
    fn ready(&self) -> BoxFuture<'_, bool>;
}

/// The store's owner answers. The door listens before this is served, and if its owner ends, so does the process.
impl Readiness for StoreHandle {
    fn ready(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.ask(|_, _, _| ()).await.is_ok() })
    }
}

pub(super) async fn alive() -> &'static str {
    "alive\n"
}

pub(super) async fn ready(readiness: &dyn Readiness) -> Result<&'static str, Problem> {
    let ready = tokio::time::timeout(READY_MAX, readiness.ready()).await.unwrap_or(false);
    if ready { Ok("ready\n") } else { Err(Problem::NOT_READY) }
}
