//! What is known of the store without asking it: whether it refuses, and how often its log could not be written back.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::StoreError;

/// Written by the store's owner, read by whoever has its handle.
#[derive(Debug, Default)]
pub(super) struct Health {
    refuses: watch::Sender<bool>,
    failed_checkpoints: AtomicU64,
}

impl Health {
    /// Whether a transaction could not be committed.
    pub(super) fn refuses(&self) -> bool {
        *self.refuses.borrow()
    }

    /// The same, to wait for its change.
    pub(super) fn refusal(&self) -> watch::Receiver<bool> {
        self.refuses.subscribe()
    }

    /// How often the log could not be written back since the start.
    pub(super) fn failed_checkpoints(&self) -> u64 {
        self.failed_checkpoints.load(Ordering::Relaxed)
    }

    pub(super) fn note_checkpoints(&self, failed: u64) {
        self.failed_checkpoints.store(failed, Ordering::Relaxed);
    }

    /// Says once that the store cannot commit, and why, and once that it can again.
    pub(super) fn note_commit(&self, failed: Option<&StoreError>) {
        let refuses = failed.is_some();
        let changed = self.refuses.send_if_modified(|before| std::mem::replace(before, refuses) != refuses);
        match failed {
            Some(error) if changed => tracing::error!(
                error = chain(error),
                "a transaction failed: nothing of it is kept or receipted, hubs keep it and send it again; \
                 make room on the disk or mend it, the server goes on by itself"
            ),
            Some(error) => tracing::debug!(error = chain(error), "a transaction failed again"),
            None if changed => tracing::info!("the store commits again"),
            None => {}
        }
    }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &StoreError) -> String {
    let mut line = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}
