//! The engine for one subject: SEMANTICS §§2 to 4 as pure functions of state, observation and time.

use std::time::Duration;

use shared::metric::Metric;
use shared::plausibility::Usability;
use shared::reading::{NoReading, Outcome};
use shared::time::Timestamp;

use super::amount::Amount;
use super::cause::Knowledge;
use super::limit::{Step, step};
use super::rule::{LimitRule, MetricRules, Pack};
use super::state::{Seen, SubjectState};
use super::{AlertEvent, AlertKind, Evidence, Observed, Priority, Subject, words};

/// A valid value at least this old serves as the earlier of two points that tell falling; 5 min†.
const EARLIER_MS: u64 = 300_000;

/// The engine at work on one subject; events go to `out`.
pub struct Engine<'a> {
    /// The rules.
    pub pack: &'a Pack,
    /// About whom.
    pub subject: Subject,
    /// Its state.
    pub state: &'a mut SubjectState,
    /// What is known of hubs and devices.
    pub knowledge: &'a Knowledge,
    /// Where events go, in order.
    pub out: &'a mut Vec<AlertEvent>,
}

/// What an event says beyond the condition.
pub(super) struct Facts<'r> {
    pub(super) rule: &'r str,
    pub(super) priority: Priority,
    pub(super) kind: AlertKind,
    pub(super) metric: Option<Metric>,
    pub(super) words: String,
    pub(super) evidence: Vec<Evidence>,
}

/// A condition that has a deadline, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A limit rule.
    Limit(usize),
    /// Gated values of a metric.
    Gated(Metric),
    /// No usable value of a metric.
    NoReading(Metric),
    /// Absence of a metric.
    Absence(Metric),
    /// A bound device that was never heard.
    Unheard,
}

impl Due {
    /// Why there is a deadline, for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit(_) => "persistence",
            Self::Gated(_) => "gate",
            Self::NoReading(_) => "no reading",
            Self::Absence(_) => "absence",
            Self::Unheard => "bound device not heard",
        }
    }
}

/// The limit rules for a subject: patients have the pack's, homes the red bands.
#[must_use]
pub fn rules_of(pack: &Pack, subject: Subject) -> &[LimitRule] {
    match subject {
        Subject::Patient(_) => &pack.limits,
        Subject::Hub(_) => &pack.unattributed,
    }
}

/// The next deadline of a state, for one metric or all; the earliest, and of equal ones the first by kind and place.
#[must_use]
pub fn next_due(pack: &Pack, subject: Subject, state: &SubjectState, only: Option<Metric>) -> Option<(Timestamp, Due)> {
    let wanted = |metric: Metric| only.is_none_or(|only| only == metric);
    let rules = rules_of(pack, subject).iter().zip(&state.limits).enumerate();
    let limits = rules
        .filter(|(_, (rule, _))| wanted(rule.metric))
        .filter_map(|(place, (rule, limit))| Some((limit.condition.deadline(rule.persistence_ms)?, Due::Limit(place))));
    let metrics = state.metrics.values().filter(|metric| wanted(metric.metric));
    let others = metrics.flat_map(|metric| {
        let of = metric.metric;
        let absence = pack.metric(metric.metric).and_then(|rules| rules.absence.as_ref());
        [
            metric.gated.deadline(pack.gate_ms).map(|at| (at, Due::Gated(of))),
            metric.no_reading.deadline(pack.no_reading_ms).map(|at| (at, Due::NoReading(of))),
            absence.and_then(|rule| metric.absence.deadline(rule.after_ms)).map(|at| (at, Due::Absence(of))),
        ]
    });
    let unheard = pack.unheard_ms().filter(|_| only.is_none()).and_then(|wait| state.unheard.deadline(wait));
    limits.chain(others.flatten()).chain(unheard.map(|at| (at, Due::Unheard))).min()
}

/// Whether an observation belongs to the live lane (SEMANTICS §2). Metrics without rules have none.
#[must_use]
pub fn is_live(rules: &MetricRules, newest: Option<Timestamp>, observed: &Observed, taken: Timestamp) -> bool {
    let fresh = observed.age_ms.is_some_and(|age| age <= rules.fresh_ms);
    fresh && !observed.history && newest.is_none_or(|newest| taken >= newest)
}

impl Engine<'_> {
    /// Takes one observation: deadlines of its metric due before it first, then itself, if it is live.
    pub fn observe(&mut self, observed: &Observed, now: Timestamp) {
        let pack = self.pack;
        let Some(rules) = pack.metric(observed.metric) else { return };
        // An age cannot be negative; where clocks disagree by a little, nothing is captured after it came.
        let taken = observed.taken.min(now);
        if !is_live(rules, self.state.metric(observed.metric).newest, observed, taken) {
            return;
        }
        while let Some((at, due)) = next_due(pack, self.subject, self.state, Some(observed.metric)) {
            if at >= taken {
                break;
            }
            self.fire(due, at);
        }
        let metric = self.state.metric(observed.metric);
        metric.newest = Some(taken);
        if !metric.from.as_ref().is_some_and(|(hub, device)| *hub == observed.hub && *device == observed.device) {
            metric.from = Some((observed.hub, observed.device.clone()));
        }
        let amount = match observed.outcome {
            Outcome::Value(value) => Amount::of(observed.metric, value).map(|amount| (amount, value)),
            Outcome::None(_) => None,
        };
        match (observed.usability, amount) {
            (Usability::Valid { .. }, Some((amount, value))) => {
                let seen = Seen { place: observed.place, value, taken, quality: observed.quality };
                self.valid(rules, amount, seen);
            }
            (Usability::Gated, Some((amount, value))) => {
                let seen = Seen { place: observed.place, value, taken, quality: observed.quality };
                self.gated(observed.metric, amount, seen);
            }
            (Usability::Absent(why), _) => self.no_value(observed.metric, Some(why), taken),
            _ => self.no_value(observed.metric, None, taken),
        }
    }

    /// Applies deadlines due at or before a moment, each at its own time.
    pub fn deadlines(&mut self, until: Timestamp) {
        while let Some((at, due)) = next_due(self.pack, self.subject, self.state, None) {
            if at > until {
                break;
            }
            self.fire(due, at);
        }
    }

    fn valid(&mut self, rules: &MetricRules, amount: Amount, seen: Seen) {
        let pack = self.pack;
        let of = rules.metric;
        let metric = self.state.metric(of);
        let stale = |earlier: Seen| seen.taken.since(earlier.taken) > Duration::from_millis(EARLIER_MS);
        if metric.earlier.is_none_or(stale) {
            metric.older = metric.earlier;
            metric.earlier = metric.valid.or(Some(seen));
        }
        metric.valid = Some(seen);
        metric.none = None;
        for (place, rule) in rules_of(pack, self.subject).iter().enumerate().filter(|(_, rule)| rule.metric == of) {
            let Some(limit) = self.state.limits.get_mut(place) else { continue };
            match step(rule, limit, amount, seen) {
                Step::Quiet => {}
                Step::Raise => self.raise_limit(place, seen.taken),
                Step::Return => self.return_limit(place, rule, seen),
            }
        }
        if let Subject::Hub(_) = self.subject {
            return;
        }
        self.heard(of, seen);
        self.end(Due::Gated(of), seen, "signal is good again");
        self.end(Due::NoReading(of), seen, "readings are back");
        if rules.absence.is_some() {
            self.end(Due::Absence(of), seen, "readings are back");
            self.state.metric(of).absence.since = Some(seen.taken);
        }
    }

    fn gated(&mut self, of: Metric, amount: Amount, seen: Seen) {
        if let Subject::Hub(_) = self.subject {
            return;
        }
        self.end(Due::NoReading(of), seen, "a signal is back, poor");
        let breached = self.pack.limits.iter().any(|rule| rule.metric == of && rule.breached(amount));
        let metric = self.state.metric(of);
        metric.none = None;
        if !breached {
            // It would not breach, so the run of those that would has ended; an alert ends by a valid value only.
            if !metric.gated.active {
                metric.gated.since = None;
            }
            return;
        }
        metric.gated_seen = Some(seen);
        metric.gated.since.get_or_insert(seen.taken);
        let due = metric.gated.deadline(self.pack.gate_ms).is_some_and(|at| seen.taken >= at);
        if due {
            self.fire(Due::Gated(of), seen.taken);
        }
    }

    fn no_value(&mut self, of: Metric, why: Option<NoReading>, taken: Timestamp) {
        if let Subject::Hub(_) = self.subject {
            return;
        }
        let metric = self.state.metric(of);
        metric.none = why;
        metric.no_reading.since.get_or_insert(taken);
        if metric.no_reading.deadline(self.pack.no_reading_ms).is_some_and(|at| taken >= at) {
            self.fire(Due::NoReading(of), taken);
        }
    }

    fn fire(&mut self, due: Due, at: Timestamp) {
        match due {
            Due::Limit(place) => self.raise_limit(place, at),
            Due::Gated(of) => self.raise_gated(of, at),
            Due::NoReading(of) => self.raise_no_reading(of, at),
            Due::Absence(of) => self.raise_absence(of, at),
            Due::Unheard => self.raise_unheard(at),
        }
    }

    fn raise_limit(&mut self, place: usize, at: Timestamp) {
        let pack = self.pack;
        let Some(rule) = rules_of(pack, self.subject).get(place) else { return };
        let last = self.state.metric(rule.metric).valid;
        let Some(limit) = self.state.limits.get_mut(place) else { return };
        limit.returning = None;
        let breach = limit.breach;
        let lost = words::signal_lost(rule, last, at);
        let mut text = words::breach(rule, breach, last, at, lost);
        if let Subject::Hub(hub) = self.subject {
            text = format!("unattributed reading from home {hub}: {text}");
        }
        let evidence = breach.iter().map(|seen| seen.evidence(rule.metric, at)).collect();
        let (kind, priority) = (AlertKind::Physiological, rule.priority);
        let facts = Facts { rule: &rule.id, priority, kind, metric: Some(rule.metric), words: text, evidence };
        let mut condition = std::mem::take(&mut limit.condition);
        self.raise(&mut condition, facts, at);
        if let Some(limit) = self.state.limits.get_mut(place) {
            limit.condition = condition;
        }
    }

    fn return_limit(&mut self, place: usize, rule: &LimitRule, seen: Seen) {
        let Some(limit) = self.state.limits.get_mut(place) else { return };
        limit.returning = None;
        let mut condition = std::mem::take(&mut limit.condition);
        let words = format!("{} {} back inside", rule.metric.label(), words::value(seen.value));
        let evidence = vec![seen.evidence(rule.metric, seen.taken)];
        let (kind, priority, metric) = (AlertKind::Physiological, rule.priority, Some(rule.metric));
        self.give_back(&mut condition, Facts { rule: &rule.id, priority, kind, metric, words, evidence }, seen.taken);
        if let Some(limit) = self.state.limits.get_mut(place) {
            limit.condition = condition;
        }
    }
}
