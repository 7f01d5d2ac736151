//! Bearer tokens that were refused, until they are noted: what strangers send must not cost a synced commit each.

use shared::id::TokenId;
use shared::time::Timestamp;

use super::trail::named;
use crate::limits::{REFUSALS_NOTED_EVERY, REFUSED_TOKENS_NAMED_MAX};

/// Refused and not noted yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    count: u64,
    tokens: Vec<TokenId>,
    noted: Option<Timestamp>,
}

impl Refusals {
    pub(super) fn add(&mut self, token: TokenId) {
        self.count = self.count.saturating_add(1);
        if self.tokens.len() < REFUSED_TOKENS_NAMED_MAX && !self.tokens.contains(&token) {
            self.tokens.push(token);
        }
    }

    /// Whether an entry is to be written now.
    pub(super) fn due(&self, now: Timestamp) -> bool {
        self.count > 0 && self.noted.is_none_or(|noted| now.since(noted) >= REFUSALS_NOTED_EVERY)
    }

    /// What the entry says: how many there were, and the tokens that were shown.
    pub(super) fn resources(&self) -> Vec<String> {
        let mut resources = vec![named("refused", self.count)];
        resources.extend(self.tokens.iter().map(|token| named("token", token)));
        resources
    }

    /// The entry holds.
    pub(super) fn noted(&mut self, now: Timestamp) {
        *self = Self { noted: Some(now), ..Self::default() };
    }
}

impl super::SqliteStore {
    /// Leaves one entry for the tokens refused of late, if the last such entry is old enough.
    pub(super) fn note_refusals(&mut self, now: Timestamp) -> Result<(), crate::store::StoreError> {
        if !self.refusals.due(now) {
            return Ok(());
        }
        let resources = self.refusals.resources();
        self.whole(now, |conn, memory| super::people::tokens_refused(conn, memory, resources, now))?;
        self.refusals.noted(now);
        Ok(())
    }
}
