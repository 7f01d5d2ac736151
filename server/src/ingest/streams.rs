//! The streams whose keys are held in memory, the least recently used forgotten first.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::id::{HubId, StreamId};
use shared::sealing::{StreamKeys, Suite};
use shared::time::Tick;

use super::NewStream;
use super::limits::STREAMS_MAX;
use super::transit::Quickest;

/// Which stream of which hub.
pub type StreamKey = (HubId, StreamId);

/// A stream that can be opened.
pub struct StreamState {
    /// Its keys.
    pub keys: StreamKeys,
    /// How it is sealed.
    pub suite: Suite,
    // Its verified opening, until a commit says that the store holds it.
    unstored: Mutex<Option<NewStream>>,
    quickest: Mutex<Quickest>,
}

impl StreamState {
    /// A stream the store holds (`unstored` is `None`), or one whose opening it still has to take.
    #[must_use]
    pub fn new(keys: StreamKeys, suite: Suite, unstored: Option<NewStream>) -> Self {
        Self { keys, suite, unstored: Mutex::new(unstored), quickest: Mutex::default() }
    }

    /// The opening the store does not hold yet.
    #[must_use]
    pub fn unstored(&self) -> Option<NewStream> {
        locked(&self.unstored).clone()
    }

    /// A commit said that the store holds the opening.
    pub fn is_stored(&self) {
        *locked(&self.unstored) = None;
    }

    /// See [`Quickest::transit_ms`].
    pub fn transit_ms(&self, sent: Tick, arrived: Tick) -> u64 {
        locked(&self.quickest).transit_ms(sent, arrived)
    }
}

/// The held streams. Locked for moments, never across an await.
#[derive(Default)]
pub struct Streams(Mutex<Held>);

#[derive(Default)]
struct Held {
    states: HashMap<StreamKey, (Arc<StreamState>, u64)>,
    by_use: BTreeMap<u64, StreamKey>,
    uses: u64,
}

impl Streams {
    /// The stream, if it is held; it is now the last one used.
    #[must_use]
    pub fn get(&self, key: StreamKey) -> Option<Arc<StreamState>> {
        let mut held = locked(&self.0);
        let held = &mut *held;
        let (state, used) = held.states.get_mut(&key)?;
        held.uses = held.uses.saturating_add(1);
        held.by_use.remove(used);
        *used = held.uses;
        held.by_use.insert(held.uses, key);
        Some(state.clone())
    }

    /// Holds a stream, in place of the least recently used one if there are too many.
    pub fn hold(&self, key: StreamKey, state: Arc<StreamState>) {
        let mut held = locked(&self.0);
        let held = &mut *held;
        held.uses = held.uses.saturating_add(1);
        if let Some((_, used)) = held.states.insert(key, (state, held.uses)) {
            held.by_use.remove(&used);
        }
        held.by_use.insert(held.uses, key);
        while held.states.len() > STREAMS_MAX {
            let Some((_, oldest)) = held.by_use.pop_first() else { return };
            held.states.remove(&oldest);
        }
    }
}

/// What the lock guards is whole after every statement, so a panic elsewhere leaves nothing to distrust.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use shared::sealing::{SealingSecret, StreamContext, begin_stream};

    #[test]
    fn the_least_recently_used_is_forgotten() {
        let secret = SealingSecret::from_seed(Suite::X25519, [1; 32]);
        let key = |n: usize| (HubId::from_bytes([1; 16]), StreamId::from_bytes((n as u128).to_be_bytes()));
        let (hub, stream) = key(0);
        let context = StreamContext { hub, stream, sealing_key: secret.public().id(), identity_digest: [0; 32] };
        let keys = begin_stream(&secret.public(), &context, &mut runtime::entropy::rng()).unwrap().1;
        let state = Arc::new(StreamState::new(keys, Suite::X25519, None));
        let streams = Streams::default();
        for n in 0..STREAMS_MAX {
            streams.hold(key(n), state.clone());
        }
        assert!(streams.get(key(0)).is_some());
        streams.hold(key(2), state.clone());
        streams.hold(key(STREAMS_MAX), state.clone());
        streams.hold(key(STREAMS_MAX + 1), state);
        assert!(streams.get(key(0)).is_some(), "used again");
        assert!(streams.get(key(1)).is_none());
        assert!(streams.get(key(2)).is_some(), "held again");
        assert!(streams.get(key(3)).is_none());
        let held = locked(&streams.0);
        assert_eq!((held.states.len(), held.by_use.len()), (STREAMS_MAX, STREAMS_MAX));
    }
}
