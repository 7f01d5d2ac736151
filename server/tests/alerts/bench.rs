//! One patient on a bench: feeds observations in seconds and collects events.

use server::alerts::{AlertChange, AlertEvent, Alerts, Observed, Pack, Place, Priority, Subject};
use server::store::AlertSink;
use shared::id::{HubId, PatientId};
use shared::metric::Metric;
use shared::plausibility::usability;
use shared::reading::{NoReading, Outcome, Quality, Reading, Value};
use shared::time::Timestamp;

/// The start of every scene.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

pub(crate) fn patient() -> Subject {
    Subject::Patient(PatientId::from_bytes([1; 16]))
}

pub(crate) fn hub() -> HubId {
    HubId::from_bytes([2; 16])
}

pub(crate) fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + ms)
}

pub(crate) fn reading(metric: Metric, text: &str, quality: Quality) -> Reading {
    Reading::value(metric, text.parse().unwrap(), metric.units()[0], quality)
}

/// An observation taken at a moment, arriving as old as said.
pub(crate) fn observed(reading: &Reading, taken_ms: i64, age_ms: Option<u64>) -> Observed {
    Observed {
        place: Place(taken_ms),
        hub: hub(),
        device: "oximeter".parse().unwrap(),
        metric: reading.metric,
        outcome: reading.outcome,
        quality: reading.quality,
        usability: usability(reading),
        taken: at_ms(taken_ms),
        age_ms,
        history: false,
    }
}

pub(crate) struct Bench {
    pub(crate) alerts: Alerts,
    pub(crate) subject: Subject,
    pub(crate) events: Vec<AlertEvent>,
}

impl Bench {
    pub(crate) fn new(pack: Pack) -> Self {
        Self { alerts: Alerts::new(pack), subject: patient(), events: Vec::new() }
    }

    pub(crate) fn take(&mut self, observed: &Observed, now_ms: i64) {
        let events = self.alerts.observed(self.subject, std::slice::from_ref(observed), at_ms(now_ms));
        self.events.extend(events);
    }

    /// A value at a second, seen at once.
    pub(crate) fn value(&mut self, s: i64, metric: Metric, text: &str) {
        self.take(&observed(&reading(metric, text, Quality::GOOD), s * 1000, Some(0)), s * 1000);
    }

    pub(crate) fn spo2(&mut self, s: i64, text: &str) {
        self.value(s, Metric::SpO2, text);
    }

    pub(crate) fn gated(&mut self, s: i64, text: &str) {
        self.take(&observed(&reading(Metric::SpO2, text, Quality::ARTEFACT), s * 1000, Some(0)), s * 1000);
    }

    pub(crate) fn none(&mut self, s: i64, why: NoReading) {
        self.take(&observed(&Reading::none(Metric::SpO2, why, Quality::GOOD), s * 1000, Some(0)), s * 1000);
    }

    pub(crate) fn pass(&mut self, until_s: i64) {
        self.events.extend(self.alerts.deadlines(at_ms(until_s * 1000)));
    }

    /// `second change rule priority` of each event.
    pub(crate) fn told(&self) -> Vec<(i64, AlertChange, &str, Priority)> {
        let tell = |e: &'_ AlertEvent| ((e.at.as_millis() - START_MS) / 1000, e.change, e.priority);
        self.events.iter().map(|e| (tell(e).0, tell(e).1, e.rule.as_str(), tell(e).2)).collect()
    }
}

/// A value without its reading.
pub(crate) fn value(outcome: Outcome) -> Option<Value> {
    match outcome {
        Outcome::Value(value) => Some(value),
        Outcome::None(_) => None,
    }
}

/// One limit rule with its absence rule, as the public scenarios have them.
pub(crate) struct OneRule<'a> {
    pub(crate) metric: &'a str,
    /// `below` or `above`.
    pub(crate) side: &'a str,
    pub(crate) limit: i64,
    pub(crate) deadband: i64,
    pub(crate) persistence_s: u64,
    pub(crate) clear_delay_s: u64,
    pub(crate) max_gap_s: u64,
    pub(crate) freshness_s: u64,
    pub(crate) absent_after_s: u64,
    pub(crate) gate_s: u64,
}

impl OneRule<'_> {
    /// A pack with the rules `limit` and `absent`.
    pub(crate) fn pack(&self) -> Pack {
        let Self { metric, side, limit, deadband, persistence_s, clear_delay_s, max_gap_s, .. } = self;
        let Self { freshness_s, absent_after_s, gate_s, .. } = self;
        let text = format!(
            r#"
name = "bench"
version = 1
[gate]
delay_s = {gate_s}
[no_reading]
after_s = 5
priority = "low"
red_within_s = 900
falling_priority = "high"
[metrics.{metric}]
expected_interval_s = 10
freshness_s = {freshness_s}
[[limit]]
id = "limit"
metrics = ["{metric}"]
{side} = "{limit}"
deadband = "{deadband}"
persistence_s = {persistence_s}
clear_delay_s = {clear_delay_s}
max_gap_s = {max_gap_s}
priority = "high"
red_band = true
[[absence]]
id = "absent"
metric = "{metric}"
after_s = {absent_after_s}
priority = "low"
"#
        );
        Pack::parse(std::path::Path::new("bench.toml"), &text, 1).unwrap()
    }
}

/// SpO₂ below 90 for 60 s, deadband 2, max-gap 30 s.
pub(crate) fn one_rule(clear_delay_s: u64) -> Pack {
    OneRule {
        metric: "spo2",
        side: "below",
        limit: 90,
        deadband: 2,
        persistence_s: 60,
        clear_delay_s,
        max_gap_s: 30,
        freshness_s: 30,
        absent_after_s: 300,
        gate_s: 60,
    }
    .pack()
}
