//! A store that tests steer.
#![allow(clippy::arithmetic_side_effects)]

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use shared::id::{PatientId, StoreId, TokenId};
use shared::time::Timestamp;

use super::{TOKEN, shown};
use crate::access::{Actor, Permit, Role, Scope, Ward};
use crate::feed::FeedStore;
use crate::store::{EventNumber, EventsAfter, LiveValue, NumberedEvent, Snapshot, StandingAlert, StoreError};

pub(super) struct State {
    pub(super) events: Vec<NumberedEvent>,
    pub(super) patients: Vec<(PatientId, Ward)>,
    pub(super) live: Vec<LiveValue>,
    pub(super) role: Role,
    pub(super) scope: Scope,
    pub(super) expires: Timestamp,
    pub(super) revoked: bool,
    pub(super) kept_from: i64,
    pub(super) pages: usize,
    /// Nothing can be written: no snapshot, because the look would leave no trace.
    pub(super) fails: bool,
    /// Nothing can be read either: it does not say whose token it is.
    pub(super) mute: bool,
}

pub(super) struct FakeStore(pub(super) Mutex<State>);

fn unavailable() -> StoreError {
    StoreError::Unavailable(Box::new(std::io::Error::other("the disk is full")))
}

impl FeedStore for FakeStore {
    fn store_id(&self) -> StoreId {
        StoreId::from_bytes([3; 16])
    }

    fn authenticate(
        &self,
        token: TokenId,
        secret_hash: [u8; 32],
    ) -> BoxFuture<'_, Result<Option<(Actor, Timestamp)>, StoreError>> {
        let state = self.0.lock().unwrap();
        let known = token.to_string() == TOKEN && Some(secret_hash) == shown().map(|shown| shown.secret_hash);
        let actor = Actor::Bearer { token, name: "Test".to_owned(), role: state.role, scope: state.scope.clone() };
        let answer = (known && !state.revoked).then_some((actor, state.expires));
        let answer = if state.mute { Err(unavailable()) } else { Ok(answer) };
        Box::pin(async move { answer })
    }

    fn snapshot(&self, permit: Permit) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        let state = self.0.lock().unwrap();
        let seen = |ward: &Ward| permit.scope().covers(ward);
        let snapshot = Snapshot {
            cursor: state.events.last().map(|event| event.number).unwrap_or_default(),
            patients: state.patients.iter().filter(|(_, ward)| seen(ward)).cloned().collect(),
            alerts: (state.events.iter().filter(|event| event.wards.iter().any(seen)).cloned())
                .map(|NumberedEvent { number, wards, event }| StandingAlert { number, wards, event })
                .collect(),
            live: state.live.iter().filter(|live| seen(&live.ward)).cloned().collect(),
        };
        let answer = if state.fails { Err(unavailable()) } else { Ok(snapshot) };
        Box::pin(async move { answer })
    }

    fn events_after(
        &self,
        permit: Permit,
        after: EventNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<EventsAfter, StoreError>> {
        let mut state = self.0.lock().unwrap();
        state.pages += 1;
        let seen =
            |event: &&NumberedEvent| event.number > after && event.wards.iter().any(|ward| permit.scope().covers(ward));
        let mut events: Vec<_> = state.events.iter().filter(seen).take(limit + 1).cloned().collect();
        let more = events.len() > limit;
        events.truncate(limit);
        let beyond = after.0 < state.kept_from;
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(if beyond { EventsAfter::Beyond } else { EventsAfter::Events { events, more } })
        })
    }
}
