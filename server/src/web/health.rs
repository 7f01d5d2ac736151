//! Alive and ready.

use futures_util::future::BoxFuture;

use super::error::Problem;
use super::limits::READY_MAX;
use crate::store::owner::StoreHandle;

/// How well the server does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The store answers and commits, and the door listens.
    Ready,
    /// The store's owner does not answer.
    Silent,
    /// The store answers and cannot commit: nothing is receipted.
    Refuses,
}

/// Tells how well the server does its work.
pub trait Readiness: Send + Sync + 'static {
    /// Now.
    fn state(&self) -> BoxFuture<'_, State>;

    /// Whether the store could not commit when it last tried; known without asking it.
    fn refuses(&self) -> bool;

    /// How often the store's log could not be written back since the start.
    fn failed_checkpoints(&self) -> u64;
}

/// The store's owner answers. The door listens before this is served, and if its owner ends, so does the process.
impl Readiness for StoreHandle {
    fn state(&self) -> BoxFuture<'_, State> {
        Box::pin(async {
            match self.ask(|_, _, _| ()).await {
                Ok(()) if self.refuses() => State::Refuses,
                Ok(()) => State::Ready,
                Err(_) => State::Silent,
            }
        })
    }

    fn refuses(&self) -> bool {
        Self::refuses(self)
    }

    fn failed_checkpoints(&self) -> u64 {
        Self::failed_checkpoints(self)
    }
}

/// Always well: a server whose disk is full is no better for being started again.
pub(super) fn alive(readiness: &dyn Readiness) -> &'static str {
    if readiness.refuses() {
        "alive, but the store cannot commit and nothing is receipted: /readyz says what to do\n"
    } else {
        "alive\n"
    }
}

pub(super) async fn ready(readiness: &dyn Readiness) -> Result<&'static str, Problem> {
    match tokio::time::timeout(READY_MAX, readiness.state()).await.unwrap_or(State::Silent) {
        State::Ready => Ok("ready\n"),
        State::Silent => Err(Problem::NOT_READY),
        State::Refuses => Err(Problem::STORE_REFUSES),
    }
}
