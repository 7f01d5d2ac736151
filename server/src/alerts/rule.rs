//! Rules as the engine uses them: checked, durations in milliseconds, one metric each.

use shared::metric::Metric;

use super::Priority;
use super::amount::{Amount, Limit};

/// Which side of a limit is a breach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Under it.
    Below,
    /// Over it.
    Above,
}

/// A limit rule for one metric (SEMANTICS §3).
#[derive(Debug, Clone)]
pub struct LimitRule {
    /// Its id in events: the pack's, followed by `:metric` where the pack's rule is for several.
    pub id: String,
    /// What it is about.
    pub metric: Metric,
    /// The breaching side.
    pub side: Side,
    /// The limit, exclusive.
    pub limit: Limit,
    /// The limit as written, for people.
    pub written: String,
    /// How far back inside counts as returning, in nano-units.
    pub deadband: i128,
    /// How long a breach run lasts before it is raised; 0 raises on the first reading.
    pub persistence_ms: u64,
    /// How long valid observations must be back inside.
    pub clear_delay_ms: u64,
    /// The longest gap between valid observations that says nothing.
    pub max_gap_ms: u64,
    /// How urgent.
    pub priority: Priority,
    /// Whether a breach is in the red band (a single NEWS2 score of 3).
    pub red_band: bool,
}

impl LimitRule {
    /// Whether the amount breaches.
    #[must_use]
    pub fn breached(&self, amount: Amount) -> bool {
        match self.side {
            Side::Below => amount.against(self.limit).is_lt(),
            Side::Above => amount.against(self.limit).is_gt(),
        }
    }

    /// Whether the amount is back inside by at least the deadband.
    #[must_use]
    pub fn inside(&self, amount: Amount) -> bool {
        match self.side {
            Side::Below => amount.against(self.limit.moved(self.deadband)).is_ge(),
            Side::Above => amount.against(self.limit.moved(self.deadband.saturating_neg())).is_le(),
        }
    }
}

/// An absence rule (SEMANTICS §4.1).
#[derive(Debug, Clone)]
pub struct AbsenceRule {
    /// Its id.
    pub id: String,
    /// How long after the last live valid value.
    pub after_ms: u64,
    /// How urgent by itself.
    pub priority: Priority,
}

/// What is known of a metric beyond its limits.
#[derive(Debug, Clone)]
pub struct MetricRules {
    /// What it is about.
    pub metric: Metric,
    /// How old an observation may be to be evaluated.
    pub fresh_ms: u64,
    /// Falls by so much (nano-units) count as falling; `None`: falling says nothing.
    pub falling_by: Option<i128>,
    /// Whether it is measured now and then, not continuously (expected less than once a minute).
    pub spot: bool,
    /// Whether one is missed.
    pub absence: Option<AbsenceRule>,
}

/// A checked pack.
#[derive(Debug, Clone)]
pub struct Pack {
    /// `name@version`.
    pub label: String,
    /// How long gated values may delay.
    pub gate_ms: u64,
    /// How long no usable value makes a technical finding.
    pub no_reading_ms: u64,
    /// Its own priority.
    pub no_reading_priority: Priority,
    /// How old a last valid state may be to be inherited.
    pub red_within_ms: u64,
    /// The priority inherited from a falling state.
    pub falling_priority: Priority,
    /// Per metric, in wire order.
    pub metrics: Vec<MetricRules>,
    /// For patients, in the pack's order.
    pub limits: Vec<LimitRule>,
    /// For homes: the red bands, on the first reading, at high priority (SEMANTICS §4.4).
    pub unattributed: Vec<LimitRule>,
}

impl Pack {
    /// How long after a device was bound something valid must have come from it: the shortest absence of the pack.
    #[must_use]
    pub fn unheard_ms(&self) -> Option<u64> {
        self.metrics.iter().filter_map(|rules| rules.absence.as_ref()).map(|rule| rule.after_ms).min()
    }

    /// What is known of the metric.
    #[must_use]
    pub fn metric(&self, metric: Metric) -> Option<&MetricRules> {
        self.metrics.iter().find(|rules| rules.metric == metric)
    }
}
