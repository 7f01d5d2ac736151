//! What waits for one hub: brought by the router, taken by the hub's session. Bounded, and the oldest goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::limits::HUB_MESSAGES_MAX;

/// A hub's messages. Cheap to clone; one session takes from it.
#[derive(Debug, Clone, Default)]
pub(super) struct Mailbox(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<VecDeque<Bytes>>,
    brought: Notify,
}

impl Mailbox {
    fn waiting<R>(&self, look: impl FnOnce(&mut VecDeque<Bytes>) -> R) -> R {
        look(&mut self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings a message. With [`HUB_MESSAGES_MAX`] waiting, the oldest is forgotten; whether it was.
    pub(super) fn bring(&self, message: Bytes) -> bool {
        let forgot = self.waiting(|waiting| {
            let full = waiting.len() >= HUB_MESSAGES_MAX;
            if full {
                waiting.pop_front();
            }
            waiting.push_back(message);
            full
        });
        self.0.brought.notify_one();
        forgot
    }

    /// The oldest message, if there is one now.
    pub(super) fn take(&self) -> Option<Bytes> {
        self.waiting(VecDeque::pop_front)
    }

    /// The oldest message. May be dropped half-way and called again.
    pub(super) async fn next(&self) -> Bytes {
        loop {
            if let Some(message) = self.take() {
                return message;
            }
            // Whoever brings one meanwhile leaves a permit, so none is missed.
            self.0.brought.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;

    #[tokio::test]
    async fn the_oldest_is_forgotten_when_too_many_wait() {
        let mailbox = Mailbox::default();
        let message = |number: usize| Bytes::from(number.to_string());
        for number in 0..HUB_MESSAGES_MAX {
            assert!(!mailbox.bring(message(number)));
        }
        assert!(mailbox.bring(message(HUB_MESSAGES_MAX)));
        for number in 1..=HUB_MESSAGES_MAX {
            assert_eq!(mailbox.next().await, message(number));
        }
        let (next, forgot) = tokio::join!(mailbox.next(), async { mailbox.bring(message(7)) });
        assert_eq!((next, forgot), (message(7), false));
        assert_eq!(mailbox.take(), None);
    }
}
