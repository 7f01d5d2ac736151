//! The account of one connection: accepted once, and ended once, whatever becomes of its task.

use std::sync::Arc;

use super::refusal::Refusal;
use crate::web::metrics::Metrics;

/// A connection that was accepted and is not yet counted as ended. Dropped without a word, as by a task that panics,
/// it counts as [`Refusal::BrokenOff`]: at rest, `accepted = refusals + left + connections` always.
pub(super) struct Account {
    metrics: Arc<Metrics>,
    connected: bool,
    end: Option<End>,
}

enum End {
    Left,
    Refused(Refusal),
}

impl Account {
    /// A connection was accepted.
    pub(super) fn open(metrics: Arc<Metrics>) -> Self {
        metrics.door_accepted.inc();
        Self { metrics, connected: false, end: None }
    }

    /// It is a hub's session now.
    pub(super) fn entered(&mut self) {
        if !std::mem::replace(&mut self.connected, true) {
            self.metrics.door_connections.inc();
        }
    }

    /// The hub ended it in order.
    pub(super) fn left(mut self) {
        self.end = Some(End::Left);
    }

    /// The door refused or ended it.
    pub(super) fn refused(mut self, refusal: Refusal) {
        self.end = Some(End::Refused(refusal));
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.connected {
            self.metrics.door_connections.dec();
        }
        match self.end {
            Some(End::Left) => {
                self.metrics.door_left.inc();
            }
            Some(End::Refused(refusal)) => self.metrics.refused(refusal.name()),
            None => {
                self.metrics.refused(Refusal::BrokenOff.name());
                tracing::error!("the task of a connection broke off; the connection is closed, others go on");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(metrics: &Metrics) -> (u64, u64, i64) {
        (metrics.door_accepted.get(), metrics.door_left.get(), metrics.door_connections.get())
    }

    #[test]
    fn each_connection_is_counted_once_however_it_ends() {
        let metrics = Arc::new(Metrics::new());
        Account::open(metrics.clone()).refused(Refusal::Tls);
        let mut left = Account::open(metrics.clone());
        left.entered();
        left.entered();
        assert_eq!(counts(&metrics), (2, 0, 1));
        left.left();
        let mut cut = Account::open(metrics.clone());
        cut.entered();
        cut.refused(Refusal::Revoked);
        assert_eq!(counts(&metrics), (3, 1, 0));
        assert_eq!((metrics.refusals("tls"), metrics.refusals("revoked")), (1, 1));
        assert_eq!(metrics.refusals("broken_off"), 0);
    }

    #[tokio::test]
    async fn a_task_that_panics_leaves_its_connection_counted_as_broken_off() {
        let metrics = Arc::new(Metrics::new());
        let mut account = Account::open(metrics.clone());
        account.entered();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let _held = account;
            panic!("as a fault in a session would");
        });
        assert!(tasks.join_next().await.unwrap().is_err());
        assert_eq!(counts(&metrics), (1, 0, 0));
        assert_eq!(metrics.refusals("broken_off"), 1);
    }
}
