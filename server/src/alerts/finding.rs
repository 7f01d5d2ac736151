//! Findings that are not limits: poor signal, no usable reading, absence (SEMANTICS §§3 and 4).

use std::time::Duration;

use shared::id::{DeviceId, HubId};
use shared::metric::Metric;
use shared::reading::NoReading;
use shared::time::Timestamp;

use super::amount::Amount;
use super::engine::{Due, Engine, Facts};
use super::rule::{LimitRule, Pack};
use super::state::{Condition, MetricState, Seen};
use super::{AlertKind, Evidence, Priority, words};

/// The finding's slot in a metric's state; limits have theirs elsewhere.
fn slot(metric: &mut MetricState, due: Due) -> Option<&mut Condition> {
    match due {
        Due::Gated(_) => Some(&mut metric.gated),
        Due::NoReading(_) => Some(&mut metric.no_reading),
        Due::Absence(_) => Some(&mut metric.absence),
        Due::Limit(_) | Due::Unheard => None,
    }
}

fn rule_id(pack: &Pack, due: Due) -> String {
    match due {
        Due::Gated(of) => format!("signal_poor:{}", of.name()),
        Due::NoReading(of) => format!("no_reading:{}", of.name()),
        Due::Absence(of) => {
            let rule = pack.metric(of).and_then(|rules| rules.absence.as_ref());
            rule.map_or_else(|| format!("absence:{}", of.name()), |rule| rule.id.clone())
        }
        Due::Unheard => UNHEARD.to_owned(),
        Due::Limit(place) => pack.limits.get(place).map(|rule| rule.id.clone()).unwrap_or_default(),
    }
}

const fn metric_of(due: Due) -> Option<Metric> {
    match due {
        Due::Gated(of) | Due::NoReading(of) | Due::Absence(of) => Some(of),
        Due::Limit(_) | Due::Unheard => None,
    }
}

const fn kind_of(due: Due) -> AlertKind {
    match due {
        Due::NoReading(_) | Due::Absence(_) | Due::Unheard => AlertKind::Technical,
        Due::Gated(_) | Due::Limit(_) => AlertKind::Physiological,
    }
}

/// The rule id of a bound device that was never heard.
const UNHEARD: &str = "bound_device_not_heard";

/// What becomes of a finding.
#[derive(Clone, Copy)]
enum Turn {
    Raise,
    Return,
    Update,
}

impl Engine<'_> {
    /// Ends a finding, a reading being the evidence.
    pub(super) fn end(&mut self, due: Due, seen: Seen, words: &str) {
        let Some(of) = metric_of(due) else { return };
        let Some(condition) = slot(self.state.metric(of), due) else { return };
        condition.since = None;
        if condition.active {
            let words = format!("{}: {words}", of.label());
            self.turn(due, Turn::Return, Priority::Low, words, Some(seen), seen.taken);
        }
    }

    /// Ends whatever waits for a metric of a device that is no longer bound: nothing is expected of it now.
    pub fn no_longer_expected(&mut self, of: Metric, at: Timestamp) {
        for due in [Due::Gated(of), Due::NoReading(of), Due::Absence(of)] {
            let Some(condition) = slot(self.state.metric(of), due) else { continue };
            condition.since = None;
            if condition.active {
                let words = format!("{}: no longer expected, the device's binding ended", of.label());
                self.turn(due, Turn::Return, Priority::Low, words, None, at);
            }
        }
    }

    fn turn(&mut self, due: Due, turn: Turn, priority: Priority, words: String, seen: Option<Seen>, at: Timestamp) {
        let Some(of) = metric_of(due) else { return };
        let Some(mut condition) = slot(self.state.metric(of), due).map(std::mem::take) else { return };
        let rule = rule_id(self.pack, due);
        let evidence = seen.iter().map(|seen| seen.evidence(of, at)).collect();
        let facts = Facts { rule: &rule, priority, kind: kind_of(due), metric: Some(of), words, evidence };
        match turn {
            Turn::Raise => self.raise(&mut condition, facts, at),
            Turn::Return => self.give_back(&mut condition, facts, at),
            Turn::Update => self.update(&mut condition, facts, at),
        }
        if let Some(slot) = slot(self.state.metric(of), due) {
            *slot = condition;
        }
    }

    /// The priority a technical finding takes (SEMANTICS §4.3): that of the patient's last valid state, of any
    /// metric, if it was in the red band or falling and is not too old.
    fn inherited(&self, own: Priority, at: Timestamp) -> Priority {
        let within = Duration::from_millis(self.pack.red_within_ms);
        let recent = self.state.metrics.values().filter_map(|metric| Some((metric, metric.valid?)));
        let recent = recent.filter(|(_, last)| at.since(last.taken) <= within);
        recent.filter_map(|(metric, last)| self.state_priority(metric, last, within)).fold(own, Priority::max)
    }

    fn state_priority(&self, metric: &MetricState, last: Seen, within: Duration) -> Option<Priority> {
        let amount = Amount::of(metric.metric, last.value)?;
        let breached = || {
            let of_metric = |rule: &&LimitRule| rule.metric == metric.metric && rule.breached(amount);
            self.pack.limits.iter().filter(of_metric)
        };
        let red = breached().any(|rule| rule.red_band);
        let red = breached().map(|rule| rule.priority).max().filter(|_| red);
        let by = self.pack.metric(metric.metric).and_then(|rules| rules.falling_by);
        let earlier = metric.earlier.into_iter().chain(metric.older);
        let earlier = earlier.filter(|earlier| last.taken.since(earlier.taken) <= within);
        let mut earlier = earlier.filter_map(|earlier| Amount::of(metric.metric, earlier.value));
        let falling = by.is_some_and(|by| earlier.any(|earlier| amount.fell_by(earlier, by)));
        red.max(falling.then_some(self.pack.falling_priority))
    }

    pub(super) fn raise_gated(&mut self, of: Metric, at: Timestamp) {
        let seen = self.state.metric(of).gated_seen;
        let reading = seen.map_or_else(String::new, |seen| format!(" {}", words::value(seen.value)));
        let words = format!("{}{reading} abnormal, signal poor: check patient", of.label());
        self.turn(Due::Gated(of), Turn::Raise, Priority::Medium, words, seen, at);
    }

    pub(super) fn raise_no_reading(&mut self, of: Metric, at: Timestamp) {
        let priority = self.inherited(self.pack.no_reading_priority, at);
        let metric = self.state.metric(of);
        let why = metric.none.map_or("values that cannot be", NoReading::name).replace('_', " ");
        let (seen, last) = (metric.valid, last_known(metric));
        let words = format!("{}: no usable reading ({why}){last}", of.label());
        self.turn(Due::NoReading(of), Turn::Raise, priority, words, seen, at);
    }

    pub(super) fn raise_absence(&mut self, of: Metric, at: Timestamp) {
        let pack = self.pack;
        let Some(rule) = pack.metric(of).and_then(|rules| rules.absence.as_ref()) else { return };
        let priority = self.inherited(rule.priority, at);
        let words = self.absence_words(of, rule.after_ms);
        let seen = self.state.metric(of).valid;
        self.turn(Due::Absence(of), Turn::Raise, priority, words, seen, at);
    }

    fn absence_words(&mut self, of: Metric, after_ms: u64) -> String {
        let spot = self.pack.metric(of).is_some_and(|rules| rules.spot);
        let knowledge = self.knowledge;
        let metric = self.state.metric(of);
        let (cause, last) = (knowledge.cause(metric, spot), last_known(metric));
        format!("{}: nothing usable for {}: {cause}{last}", of.label(), words::seconds(after_ms))
    }

    /// A device was bound: something valid is expected of it.
    pub fn expect(&mut self, hub: HubId, device: &DeviceId, at: Timestamp) {
        self.state.unheard_from = Some((hub, device.clone()));
        if !self.state.unheard.active {
            self.state.unheard.since = Some(at);
        }
    }

    /// Something valid came from the metric's device: a device that was waited for is heard.
    pub(super) fn heard(&mut self, of: Metric, seen: Seen) {
        let from = self.state.metric(of).from.clone();
        if from.is_some() && from == self.state.unheard_from {
            let evidence = vec![seen.evidence(of, seen.taken)];
            self.no_longer_waited_for("The device that was bound is heard", evidence, seen.taken);
        }
    }

    /// The binding of a device that was waited for ended.
    pub fn not_expected(&mut self, hub: HubId, device: &DeviceId, at: Timestamp) {
        if self.state.unheard_from.as_ref().is_some_and(|from| from.0 == hub && from.1 == *device) {
            self.no_longer_waited_for("The device's binding ended before it was heard", Vec::new(), at);
        }
    }

    fn no_longer_waited_for(&mut self, words: &str, evidence: Vec<Evidence>, at: Timestamp) {
        self.state.unheard_from = None;
        self.state.unheard.since = None;
        if self.state.unheard.active {
            let facts = unheard_facts(Priority::Low, words.to_owned(), evidence);
            let mut condition = std::mem::take(&mut self.state.unheard);
            self.give_back(&mut condition, facts, at);
            self.state.unheard = condition;
        }
    }

    pub(super) fn raise_unheard(&mut self, at: Timestamp) {
        let Some((hub, device)) = self.state.unheard_from.clone() else { return };
        let after = words::seconds(self.pack.unheard_ms().unwrap_or_default());
        let cause = self.knowledge.cause_of(hub, &device);
        let text = format!("Nothing usable from {device} for {after} since it was bound: {cause}");
        let facts = unheard_facts(self.inherited(Priority::Low, at), text, Vec::new());
        let mut condition = std::mem::take(&mut self.state.unheard);
        self.raise(&mut condition, facts, at);
        self.state.unheard = condition;
    }

    /// The cause of a standing absence became another.
    pub fn cause_changed(&mut self, of: Metric, at: Timestamp) {
        let pack = self.pack;
        let Some(rule) = pack.metric(of).and_then(|rules| rules.absence.as_ref()) else { return };
        let words = self.absence_words(of, rule.after_ms);
        let seen = self.state.metric(of).valid;
        self.turn(Due::Absence(of), Turn::Update, rule.priority, words, seen, at);
    }
}

const fn unheard_facts(priority: Priority, words: String, evidence: Vec<Evidence>) -> Facts<'static> {
    Facts { rule: UNHEARD, priority, kind: AlertKind::Technical, metric: None, words, evidence }
}

fn last_known(metric: &MetricState) -> String {
    metric.valid.map_or_else(String::new, |last| {
        format!(", last known {} at {}", words::value(last.value), words::clock(last.taken))
    })
}
