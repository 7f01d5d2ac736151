//! The engine of all subjects, as the store drives it: changes are kept apart until their transaction holds.

use std::collections::{BTreeMap, BTreeSet};

use shared::id::{DeviceId, HubId, PatientId};
use shared::metric::Metric;
use shared::time::Timestamp;
use shared::wire::DeviceState;

use super::cause::Knowledge;
use super::engine::{Engine, next_due, rules_of};
use super::rule::Pack;
use super::state::SubjectState;
use super::{AlertEvent, Observed, Subject};
use crate::store::{AlertSink, StoreError};

/// How long an observation of a metric without rules may be shown as live, in milliseconds: 30 s†.
const FRESH_MS: u64 = 30_000;

/// All subjects' alerts.
pub struct Alerts {
    pack: Pack,
    subjects: BTreeMap<Subject, SubjectState>,
    /// The next deadline of each subject that has one.
    queue: BTreeSet<(Timestamp, Subject)>,
    /// What touched subjects were before the transaction under way; `None`: not there.
    before: BTreeMap<Subject, Option<SubjectState>>,
    knowledge: Knowledge,
    /// Subjects that had something from a hub; may hold some that have no longer.
    by_hub: BTreeMap<HubId, BTreeSet<Subject>>,
}

impl Alerts {
    /// Nobody yet, under a pack.
    #[must_use]
    pub fn new(pack: Pack) -> Self {
        Self {
            pack,
            subjects: BTreeMap::new(),
            queue: BTreeSet::new(),
            before: BTreeMap::new(),
            knowledge: Knowledge::default(),
            by_hub: BTreeMap::new(),
        }
    }

    fn deadline(&self, subject: Subject) -> Option<Timestamp> {
        let state = self.subjects.get(&subject)?;
        next_due(&self.pack, subject, state, None).map(|(at, _)| at)
    }

    fn with<R>(&mut self, subject: Subject, work: impl FnOnce(&mut Engine<'_>) -> R) -> (R, Vec<AlertEvent>) {
        if let Some(at) = self.deadline(subject) {
            self.queue.remove(&(at, subject));
        }
        self.before.entry(subject).or_insert_with(|| self.subjects.get(&subject).cloned());
        let rules = rules_of(&self.pack, subject);
        let state = self.subjects.entry(subject).or_insert_with(|| SubjectState::new(rules));
        let mut out = Vec::new();
        let mut engine = Engine { pack: &self.pack, subject, state, knowledge: &self.knowledge, out: &mut out };
        let result = work(&mut engine);
        self.queue.extend(self.deadline(subject).map(|at| (at, subject)));
        (result, out)
    }

    /// The standing absences a hub's state bears on, each with its cause as known now.
    fn causes(&self, hub: HubId) -> Vec<(Subject, Metric, &'static str)> {
        let subjects = self.by_hub.get(&hub).into_iter().flatten();
        let states = subjects.filter_map(|subject| Some((*subject, self.subjects.get(subject)?)));
        let absent = states.flat_map(|(subject, state)| {
            let absent = state.metrics.values().filter(|metric| metric.absence.active);
            let from_hub = absent.filter(move |metric| metric.from.as_ref().is_some_and(|(from, _)| *from == hub));
            from_hub.map(move |metric| (subject, metric))
        });
        let named = absent.map(|(subject, metric)| {
            let spot = self.pack.metric(metric.metric).is_some_and(|rules| rules.spot);
            (subject, metric.metric, self.knowledge.cause(metric, spot))
        });
        named.collect()
    }

    fn learn(&mut self, hub: HubId, now: Timestamp, news: impl FnOnce(&mut Knowledge)) -> Vec<AlertEvent> {
        let before = self.causes(hub);
        news(&mut self.knowledge);
        let after = self.causes(hub);
        let mut events = Vec::new();
        for ((subject, metric, _), _) in after.iter().zip(&before).filter(|(after, before)| after.2 != before.2) {
            events.append(&mut self.with(*subject, |engine| engine.cause_changed(*metric, now)).1);
        }
        events
    }

    fn note_hubs(&mut self, subject: Subject, hubs: impl Iterator<Item = HubId>) {
        for hub in hubs {
            self.by_hub.entry(hub).or_default().insert(subject);
        }
    }
}

impl AlertSink for Alerts {
    fn observed(&mut self, subject: Subject, observations: &[Observed], now: Timestamp) -> Vec<AlertEvent> {
        self.note_hubs(subject, observations.iter().map(|observed| observed.hub));
        let all = |engine: &mut Engine<'_>| observations.iter().for_each(|observed| engine.observe(observed, now));
        self.with(subject, all).1
    }

    fn device_state(&mut self, hub: HubId, device: &DeviceId, state: DeviceState, now: Timestamp) -> Vec<AlertEvent> {
        self.learn(hub, now, |knowledge| knowledge.device(hub, device, state))
    }

    fn hub_connected(&mut self, hub: HubId, connected: bool, now: Timestamp) -> Vec<AlertEvent> {
        self.learn(hub, now, |knowledge| knowledge.hub(hub, connected))
    }

    fn deadlines(&mut self, now: Timestamp) -> Vec<AlertEvent> {
        let mut events = Vec::new();
        while let Some((at, subject)) = self.queue.first().copied().filter(|(at, _)| *at <= now) {
            events.append(&mut self.with(subject, |engine| engine.deadlines(at)).1);
        }
        events
    }

    fn next_deadline(&self) -> Option<(Timestamp, &'static str)> {
        let (at, subject) = self.queue.first()?;
        let (_, due) = next_due(&self.pack, *subject, self.subjects.get(subject)?, None)?;
        Some((*at, due.name()))
    }

    fn bound(
        &mut self,
        patient: PatientId,
        hub: HubId,
        device: &DeviceId,
        bound: bool,
        now: Timestamp,
    ) -> Vec<AlertEvent> {
        let subject = Subject::Patient(patient);
        if bound {
            // A metric is expected once a first value has shown that the device gives it; something, from now on.
            self.note_hubs(subject, std::iter::once(hub));
            return self.with(subject, |engine| engine.expect(hub, device, now)).1;
        }
        let Some(state) = self.subjects.get(&subject) else { return Vec::new() };
        let from = |from: &(HubId, DeviceId)| from.0 == hub && from.1 == *device;
        let metrics = state.metrics.values().filter(|metric| metric.from.as_ref().is_some_and(from));
        let metrics: Vec<Metric> = metrics.map(|metric| metric.metric).collect();
        let end = |engine: &mut Engine<'_>| {
            engine.not_expected(hub, device, now);
            metrics.iter().for_each(|metric| engine.no_longer_expected(*metric, now));
        };
        self.with(subject, end).1
    }

    fn fresh_for_ms(&self, metric: Metric) -> u64 {
        self.pack.metric(metric).map_or(FRESH_MS, |rules| rules.fresh_ms)
    }

    fn dirty_states(&self) -> Vec<(Subject, Vec<u8>)> {
        let states = self.before.keys().filter_map(|subject| Some((*subject, self.subjects.get(subject)?)));
        states.map(|(subject, state)| (subject, state.write(rules_of(&self.pack, subject)))).collect()
    }

    fn commit(&mut self) {
        self.before.clear();
        self.knowledge.commit();
    }

    fn roll_back(&mut self) {
        for (subject, state) in std::mem::take(&mut self.before) {
            if let Some(at) = self.deadline(subject) {
                self.queue.remove(&(at, subject));
            }
            match state {
                Some(state) => self.subjects.insert(subject, state),
                None => self.subjects.remove(&subject),
            };
            self.queue.extend(self.deadline(subject).map(|at| (at, subject)));
        }
        self.knowledge.roll_back();
    }

    fn restore(&mut self, subject: Subject, state: &[u8]) -> Result<(), StoreError> {
        let read = SubjectState::read(state, rules_of(&self.pack, subject));
        let state = read.map_err(|error| StoreError::Unreadable(Box::new(error)))?;
        if let Some(at) = self.deadline(subject) {
            self.queue.remove(&(at, subject));
        }
        let hubs: Vec<HubId> = state.metrics.values().filter_map(|metric| Some(metric.from.as_ref()?.0)).collect();
        self.subjects.insert(subject, state);
        self.note_hubs(subject, hubs.into_iter());
        self.queue.extend(self.deadline(subject).map(|at| (at, subject)));
        Ok(())
    }
}
