//! The cursor: opaque to clients, authentic to us. Names the store and the last event seen. Pure.
//!
//! base64url, without padding, of: store (16 octets) ‖ event number (8, big-endian) ‖ the first 16 octets of
//! HMAC-SHA-256 over `rpm feed cursor v1` ‖ both.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use shared::id::StoreId;

use crate::store::EventNumber;

const DOMAIN: &[u8] = b"rpm feed cursor v1";
const TAG_BYTES: usize = 16;
/// Text of the longest (and only) cursor: 40 octets.
const TEXT_MAX: usize = 54;

/// Makes and reads the cursors of one store.
#[derive(Debug, Clone)]
pub struct Cursors {
    key: hmac::Key,
    store: StoreId,
}

/// A text that is no cursor of this store: the client starts from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableCursor {
    /// Not one of ours, or changed.
    #[error("not a cursor of this feed")]
    Foreign,
    /// Of another life of the store.
    #[error("a cursor of another store: this one was restored or replaced")]
    OtherStore,
}

impl UnreadableCursor {
    /// The reason as `reset` says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Foreign => "cursor_unreadable",
            Self::OtherStore => "store_replaced",
        }
    }
}

impl Cursors {
    /// With the feed's key, which is kept with the server's keys, so that cursors outlive a restart.
    #[must_use]
    pub fn new(key: &[u8; 32], store: StoreId) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), store }
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> StoreId {
        self.store
    }

    /// The cursor behind this event.
    #[must_use]
    pub fn write(&self, number: EventNumber) -> String {
        let mut bytes = [self.store.as_bytes().as_slice(), &number.0.to_be_bytes()].concat();
        let tag = self.tag(&bytes);
        bytes.extend_from_slice(tag.as_ref().get(..TAG_BYTES).unwrap_or_default());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`UnreadableCursor`]
    pub fn read(&self, text: &str) -> Result<EventNumber, UnreadableCursor> {
        if text.len() > TEXT_MAX {
            return Err(UnreadableCursor::Foreign);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| UnreadableCursor::Foreign)?;
        let (body, tag) = bytes.split_at_checked(24).ok_or(UnreadableCursor::Foreign)?;
        let expected = self.tag(body);
        let expected = expected.as_ref().get(..TAG_BYTES).unwrap_or_default();
        // A cursor gives no right; constant time costs nothing all the same.
        let differs = tag.len() != TAG_BYTES || tag.iter().zip(expected).fold(0, |sum, (a, b)| sum | (a ^ b)) != 0;
        if differs {
            return Err(UnreadableCursor::Foreign);
        }
        let (store, number) = body.split_at_checked(16).ok_or(UnreadableCursor::Foreign)?;
        if store != self.store.as_bytes() {
            return Err(UnreadableCursor::OtherStore);
        }
        number.try_into().map(|bytes| EventNumber(i64::from_be_bytes(bytes))).map_err(|_| UnreadableCursor::Foreign)
    }

    fn tag(&self, body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(DOMAIN);
        context.update(body);
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cursors(key: u8, store: u8) -> Cursors {
        Cursors::new(&[key; 32], StoreId::from_bytes([store; 16]))
    }

    proptest! {
        #[test]
        fn text_and_back(number: i64) {
            let text = cursors(1, 1).write(EventNumber(number));
            prop_assert_eq!(text.len(), TEXT_MAX);
            prop_assert_eq!(cursors(1, 1).read(&text), Ok(EventNumber(number)));
            prop_assert_eq!(cursors(1, 2).read(&text), Err(UnreadableCursor::OtherStore));
            prop_assert_eq!(cursors(2, 1).read(&text), Err(UnreadableCursor::Foreign));
        }

        #[test]
        fn any_change_shows(number: i64, place in 0_usize..40, bit in 0_u8..8) {
            let mut bytes = URL_SAFE_NO_PAD.decode(cursors(1, 1).write(EventNumber(number))).unwrap();
            bytes[place] ^= 1 << bit;
            let text = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(cursors(1, 1).read(&text), Err(UnreadableCursor::Foreign));
        }

        #[test]
        fn no_text_panics(text: String) {
            prop_assert_eq!(cursors(1, 1).read(&text), Err(UnreadableCursor::Foreign));
        }
    }
}
