//! The words of alerts: values, limits and ages, for people.

use std::time::Duration;

use shared::reading::Value;
use shared::time::Timestamp;

use super::rule::{LimitRule, Side};
use super::state::Seen;

/// A value with its unit.
#[must_use]
pub fn value(value: Value) -> String {
    format!("{} {}", value.decimal, value.unit.symbol())
}

/// A duration in whole seconds.
#[must_use]
pub fn seconds(millis: u64) -> String {
    let (whole, rest) = (millis / 1000, (millis % 1000) / 100);
    if rest == 0 { format!("{whole} s") } else { format!("{whole}.{rest} s") }
}

/// A moment as `14:04 UTC`; pages show local time from the event's own times.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.get(11..16).unwrap_or(&text))
}

/// A breach; `lost` says that nothing valid came in the last max-gap.
#[must_use]
pub fn breach(rule: &LimitRule, breach: Option<Seen>, last: Option<Seen>, at: Timestamp, lost: bool) -> String {
    let side = match rule.side {
        Side::Below => "below",
        Side::Above => "above",
    };
    let name = rule.metric.label();
    let limit = rule
        .metric
        .units()
        .first()
        .map_or_else(|| rule.written.clone(), |u| format!("{} {}", rule.written, u.symbol()));
    let lasting =
        if rule.persistence_ms == 0 { String::new() } else { format!(" for {}", seconds(rule.persistence_ms)) };
    match (breach, last.filter(|_| lost)) {
        (_, Some(last)) => {
            let ago = u64::try_from(at.since(last.taken).as_millis()).unwrap_or(u64::MAX);
            let (known, when, ago) = (value(last.value), clock(last.taken), seconds(ago));
            format!("{name} {side} {limit}{lasting}: last known {known} at {when}, {ago} ago, signal lost")
        }
        (Some(seen), None) => format!("{name} {} {side} {limit}{lasting}", value(seen.value)),
        (None, None) => format!("{name} {side} {limit}{lasting}"),
    }
}

/// Whether nothing valid came in the last max-gap before a moment.
#[must_use]
pub fn signal_lost(rule: &LimitRule, last: Option<Seen>, at: Timestamp) -> bool {
    last.is_some_and(|last| at.since(last.taken) > Duration::from_millis(rule.max_gap_ms))
}
