//! What waits for one client: alert events in order, and the newest live value of each patient and metric. Bounded;
//! a client that does not keep up is closed, and nobody waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use shared::id::PatientId;
use shared::metric::Metric;
use shared::time::Timestamp;
use tokio::sync::Notify;

use super::limits::{EVENTS_WAITING_MAX, LIVE_WAITING_MAX};
use super::messages::Message;
use crate::access::{Scope, Ward};
use crate::alerts::Subject;
use crate::store::EventNumber;

/// An alert event, written once for all.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) number: EventNumber,
    pub(super) wards: Vec<Ward>,
    pub(super) subject: Subject,
    pub(super) message: Message,
}

/// A live value, written once for all.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) patient: PatientId,
    pub(super) metric: Metric,
    pub(super) ward: Ward,
    pub(super) taken: Timestamp,
    /// One JSON object.
    pub(super) json: String,
}

impl Event {
    pub(super) fn is_in(&self, scope: &Scope) -> bool {
        scope.sees(&self.wards)
    }
}

#[derive(Debug)]
enum Mode {
    /// The client reads the store's pages; `true` if an event came meanwhile.
    CatchingUp(bool),
    /// Events wait here.
    Live,
}

/// The pure part.
#[derive(Debug)]
struct Waiting {
    scope: Scope,
    mode: Mode,
    events: VecDeque<Arc<Event>>,
    live: BTreeMap<(PatientId, Metric), Arc<Live>>,
    overflowed: bool,
}

impl Waiting {
    fn new(scope: Scope) -> Self {
        let (events, live) = (VecDeque::new(), BTreeMap::new());
        Self { scope, mode: Mode::CatchingUp(false), events, live, overflowed: false }
    }

    fn push(&mut self, events: &[Arc<Event>], live: &[Arc<Live>]) -> bool {
        let mut pushed = false;
        for event in events.iter().filter(|event| event.is_in(&self.scope)) {
            match self.mode {
                Mode::CatchingUp(_) => self.mode = Mode::CatchingUp(true),
                Mode::Live if self.events.len() >= EVENTS_WAITING_MAX => self.overflowed = true,
                Mode::Live => self.events.push_back(event.clone()),
            }
            pushed = true;
        }
        for value in live.iter().filter(|live| self.scope.covers(&live.ward)) {
            let key = (value.patient, value.metric);
            let newest = self.live.get(&key).is_none_or(|waiting| waiting.taken <= value.taken);
            if newest {
                self.live.insert(key, value.clone());
            }
            pushed = true;
        }
        self.overflowed |= self.live.len() > LIVE_WAITING_MAX;
        pushed
    }
}

/// What the client takes.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) events: VecDeque<Arc<Event>>,
    pub(super) overflowed: bool,
    pub(super) live_waits: bool,
}

/// Shared by the feed's owner, who puts in, and one client, who takes out. No lock is held while anything waits.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

impl Outbox {
    pub(super) fn new(scope: Scope) -> Self {
        Self { waiting: Mutex::new(Waiting::new(scope)), arrived: Notify::new() }
    }

    fn with<R>(&self, look: impl FnOnce(&mut Waiting) -> R) -> R {
        look(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a commit brought. Never waits.
    pub(super) fn push(&self, events: &[Arc<Event>], live: &[Arc<Live>]) {
        if self.with(|waiting| waiting.push(events, live)) {
            self.arrived.notify_one();
        }
    }

    /// Something has come since the last time.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub(super) fn set_scope(&self, scope: Scope) {
        self.with(|waiting| waiting.scope = scope);
    }

    /// From now on events come here, unless one came since the last call: then the client reads the store again.
    pub(super) fn go_live(&self) -> bool {
        self.with(|waiting| match waiting.mode {
            Mode::Live => true,
            Mode::CatchingUp(true) => {
                waiting.mode = Mode::CatchingUp(false);
                false
            }
            Mode::CatchingUp(false) => {
                waiting.mode = Mode::Live;
                true
            }
        })
    }

    pub(super) fn take_events(&self) -> Taken {
        self.with(|waiting| Taken {
            events: std::mem::take(&mut waiting.events),
            overflowed: waiting.overflowed,
            live_waits: !waiting.live.is_empty(),
        })
    }

    pub(super) fn take_live(&self) -> BTreeMap<(PatientId, Metric), Arc<Live>> {
        self.with(|waiting| std::mem::take(&mut waiting.live))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use crate::feed::samples;

    fn north() -> Scope {
        Scope::Wards([samples::ward("North")].into())
    }

    fn live_box(scope: Scope) -> Outbox {
        let outbox = Outbox::new(scope);
        assert!(outbox.go_live());
        outbox
    }

    #[test]
    fn what_concerns_no_ward_is_for_those_who_see_all() {
        let event = samples::event(1, "North");
        let homeless = Arc::new(Event {
            wards: Vec::new(),
            number: event.number,
            subject: event.subject,
            message: event.message.clone(),
        });
        let (all, one) = (live_box(Scope::AllWards), live_box(north()));
        all.push(std::slice::from_ref(&homeless), &[]);
        one.push(&[homeless], &[]);
        assert_eq!((all.take_events().events.len(), one.take_events().events.len()), (1, 0));
    }

    #[test]
    fn only_what_is_in_scope_waits() {
        let outbox = live_box(north());
        let events = [samples::event(1, "North"), samples::event(2, "South"), samples::event(3, "North")];
        let live = [samples::live(1, "North", 60), samples::live(2, "South", 61)];
        outbox.push(&events, &live);
        let numbers: Vec<i64> = outbox.take_events().events.iter().map(|event| event.number.0).collect();
        assert_eq!(numbers, [1, 3]);
        assert_eq!(outbox.take_live().len(), 1);
        outbox.set_scope(Scope::AllWards);
        outbox.push(&events, &live);
        assert_eq!(outbox.take_events().events.len(), 3);
        outbox.set_scope(Scope::Wards([].into()));
        outbox.push(&events, &live);
        assert_eq!(outbox.take_events().events.len(), 0);
    }

    #[test]
    fn live_values_are_replaced_by_newer_ones_only() {
        let outbox = live_box(Scope::AllWards);
        outbox.push(&[], &[samples::live(1, "North", 60)]);
        outbox.push(&[], &[samples::live(1, "North", 62), samples::live(1, "North", 61)]);
        let taken = outbox.take_live();
        let values: Vec<_> = taken.values().map(|live| live.taken.as_millis()).collect();
        assert_eq!(values, [62]);
    }

    #[test]
    fn too_many_events_overflow_and_nothing_grows() {
        let outbox = live_box(Scope::AllWards);
        let events: Vec<_> =
            (0..i64::try_from(EVENTS_WAITING_MAX).unwrap()).map(|n| samples::event(n, "North")).collect();
        outbox.push(&events, &[]);
        outbox.push(&[samples::event(9_999, "North")], &[]);
        let taken = outbox.take_events();
        assert!(taken.overflowed);
        assert_eq!(taken.events.len(), EVENTS_WAITING_MAX);
        let fits = live_box(Scope::AllWards);
        fits.push(&events, &[]);
        assert!(!fits.take_events().overflowed);
    }

    #[test]
    fn an_event_while_catching_up_sends_the_client_back_to_the_store() {
        let outbox = Outbox::new(north());
        outbox.push(&[samples::event(1, "South")], &[]);
        outbox.push(&[samples::event(2, "North")], &[]);
        assert!(!outbox.go_live());
        assert!(outbox.take_events().events.is_empty());
        assert!(outbox.go_live());
        outbox.push(&[samples::event(3, "North")], &[]);
        assert_eq!(outbox.take_events().events.len(), 1);
    }
}
