//! Rule packs: from TOML to checked rules. Every problem is named as `file: key: why`, not only the first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use runtime::config_file::{Problem, Problems};
use serde::Deserialize;
use shared::metric::Metric;
use shared::units::Decimal;

use super::Priority;
use super::amount::Limit;
use super::rule::{AbsenceRule, LimitRule, MetricRules, Pack, Side};

/// The pack that comes with the program.
const ADULT_DEFAULT: &str = include_str!("../../rules/adult-default.toml");
/// Rules of each kind in a pack; more are refused, so that a subject's state stays under 8 KiB.
const RULES_MAX: usize = 32;
/// Longest duration in a pack, in seconds: 31 days; longer ones are refused.
const DURATION_MAX_S: u64 = 31 * 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    name: String,
    version: u32,
    gate: RawGate,
    no_reading: RawNoReading,
    metrics: BTreeMap<String, RawMetric>,
    #[serde(default)]
    limit: Vec<RawLimit>,
    #[serde(default)]
    absence: Vec<RawAbsence>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGate {
    delay_s: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNoReading {
    after_s: u64,
    priority: Priority,
    red_within_s: u64,
    falling_priority: Priority,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMetric {
    expected_interval_s: u64,
    freshness_s: u64,
    falling_by: Option<Decimal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimit {
    id: String,
    metrics: Vec<Metric>,
    below: Option<Decimal>,
    above: Option<Decimal>,
    deadband: Decimal,
    #[serde(default)]
    persistence_s: u64,
    #[serde(default)]
    clear_delay_s: u64,
    max_gap_s: Option<u64>,
    priority: Priority,
    #[serde(default)]
    red_band: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAbsence {
    id: String,
    metric: Metric,
    after_s: u64,
    priority: Priority,
}

struct Checker {
    file: PathBuf,
    divisor: u64,
    problems: Vec<Problem>,
}

impl Checker {
    fn problem(&mut self, key: impl Into<String>, why: impl Into<String>) {
        self.problems.push(Problem { file: self.file.clone(), key: key.into(), why: why.into() });
    }

    fn duration(&mut self, key: &str, seconds: u64, least: u64) -> u64 {
        if !(least..=DURATION_MAX_S).contains(&seconds) {
            self.problem(key, format!("must be {least} to {DURATION_MAX_S} seconds"));
        }
        seconds.saturating_mul(1000).checked_div(self.divisor).unwrap_or(0)
    }

    fn limit(&mut self, key: &str, decimal: Decimal) -> Limit {
        Limit::new(decimal).unwrap_or_else(|| {
            self.problem(key, "must have at most nine decimal places");
            Limit::ZERO
        })
    }
}

impl Pack {
    /// The pack that comes with the program, with durations (not the freshness of data) divided by `divisor`.
    ///
    /// # Errors
    /// [`Problems`] if the divisor is 0.
    pub fn adult_default(divisor: u64) -> Result<Self, Problems> {
        Self::parse(Path::new("adult-default.toml"), ADULT_DEFAULT, divisor)
    }

    /// Reads a pack.
    ///
    /// # Errors
    /// [`Problems`]: all that is wrong, by key.
    pub fn parse(file: &Path, text: &str, divisor: u64) -> Result<Self, Problems> {
        let mut checker = Checker { file: file.to_owned(), divisor, problems: Vec::new() };
        if divisor == 0 {
            checker.problem("duration_divisor", "must be at least 1");
        }
        let raw: RawPack = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(error) => {
                checker.problem("toml", error.message());
                return Err(Problems(checker.problems));
            }
        };
        let pack = check(&raw, &mut checker);
        if checker.problems.is_empty() { Ok(pack) } else { Err(Problems(checker.problems)) }
    }
}

fn check(raw: &RawPack, checker: &mut Checker) -> Pack {
    if raw.name.is_empty() || raw.name.len() > 40 {
        checker.problem("name", "must have 1 to 40 characters");
    }
    if raw.limit.len() > RULES_MAX || raw.absence.len() > RULES_MAX {
        checker.problem("limit", format!("at most {RULES_MAX} rules of a kind"));
    }
    let mut ids: Vec<&str> =
        raw.limit.iter().map(|l| l.id.as_str()).chain(raw.absence.iter().map(|a| a.id.as_str())).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair.first() == pair.last()) {
        checker.problem("id", "two rules have the same id");
    }
    if ids.iter().any(|id| id.is_empty() || id.len() > 40) {
        checker.problem("id", "must have 1 to 40 characters");
    }
    let limits: Vec<LimitRule> = raw.limit.iter().flat_map(|rule| check_limit(raw, rule, checker)).collect();
    if limits.len() > RULES_MAX {
        checker.problem("limit", format!("at most {RULES_MAX} rules, counting one for each metric of a rule"));
    }
    let unattributed = limits.iter().filter(|rule| rule.red_band).map(as_unattributed).collect();
    Pack {
        label: format!("{}@{}", raw.name, raw.version),
        gate_ms: checker.duration("gate.delay_s", raw.gate.delay_s, 1),
        no_reading_ms: checker.duration("no_reading.after_s", raw.no_reading.after_s, 1),
        no_reading_priority: raw.no_reading.priority,
        red_within_ms: checker.duration("no_reading.red_within_s", raw.no_reading.red_within_s, 0),
        falling_priority: raw.no_reading.falling_priority,
        metrics: check_metrics(raw, checker),
        limits,
        unattributed,
    }
}

fn as_unattributed(rule: &LimitRule) -> LimitRule {
    let mut rule = rule.clone();
    rule.id = format!("unattributed:{}", rule.id);
    rule.persistence_ms = 0;
    rule.priority = Priority::High;
    rule
}

fn check_metrics(raw: &RawPack, checker: &mut Checker) -> Vec<MetricRules> {
    for name in raw.metrics.keys().filter(|name| Metric::from_name(name).is_none()) {
        checker.problem(format!("metrics.{name}"), "no such metric");
    }
    for absence in raw.absence.iter().filter(|a| !raw.metrics.contains_key(a.metric.name())) {
        checker.problem(format!("absence.{}.metric", absence.id), "the pack has no [metrics] entry for it");
    }
    let mut all = Vec::new();
    for metric in Metric::ALL {
        let Some(known) = raw.metrics.get(metric.name()) else { continue };
        let key = format!("metrics.{}", metric.name());
        checker.duration(&format!("{key}.freshness_s"), known.freshness_s, 1);
        checker.duration(&format!("{key}.expected_interval_s"), known.expected_interval_s, 1);
        let falling_by = known.falling_by.map(|by| checker.limit(&format!("{key}.falling_by"), by).nano());
        let mut absences = raw.absence.iter().filter(|absence| absence.metric == metric);
        let absence = absences.next().map(|rule| AbsenceRule {
            id: rule.id.clone(),
            after_ms: checker.duration(&format!("absence.{}.after_s", rule.id), rule.after_s, 1),
            priority: rule.priority,
        });
        if absences.next().is_some() {
            checker.problem(format!("absence.{}", metric.name()), "at most one absence rule for a metric");
        }
        // Freshness is about how long data is under way, which no demonstration speeds up: never divided.
        let fresh_ms = known.freshness_s.saturating_mul(1000);
        all.push(MetricRules { metric, fresh_ms, falling_by, spot: known.expected_interval_s > 60, absence });
    }
    all
}

fn check_limit(raw: &RawPack, rule: &RawLimit, checker: &mut Checker) -> Vec<LimitRule> {
    let key = format!("limit.{}", rule.id);
    let (side, written) = match (rule.below, rule.above) {
        (Some(below), None) => (Side::Below, below),
        (None, Some(above)) => (Side::Above, above),
        _ => {
            checker.problem(format!("{key}.below"), "give exactly one of below and above");
            return Vec::new();
        }
    };
    if rule.deadband.is_negative() {
        checker.problem(format!("{key}.deadband"), "must not be negative");
    }
    if rule.metrics.is_empty() {
        checker.problem(format!("{key}.metrics"), "must name at least one metric");
    }
    for metric in &rule.metrics {
        check_schedule(raw, rule, *metric, &key, checker);
    }
    let limit = checker.limit(&key, written);
    let deadband = checker.limit(&format!("{key}.deadband"), rule.deadband).nano();
    let persistence_ms = checker.duration(&format!("{key}.persistence_s"), rule.persistence_s, 0);
    let clear_delay_ms = checker.duration(&format!("{key}.clear_delay_s"), rule.clear_delay_s, 0);
    let max_gap_ms = rule.max_gap_s.map_or(u64::MAX, |gap| checker.duration(&format!("{key}.max_gap_s"), gap, 1));
    let several = rule.metrics.len() > 1;
    let of = |metric: &Metric| LimitRule {
        id: if several { format!("{}:{}", rule.id, metric.name()) } else { rule.id.clone() },
        metric: *metric,
        side,
        limit,
        written: written.to_string(),
        deadband,
        persistence_ms,
        clear_delay_ms,
        max_gap_ms,
        priority: rule.priority,
        red_band: rule.red_band,
    };
    rule.metrics.iter().map(of).collect()
}

fn check_schedule(raw: &RawPack, rule: &RawLimit, metric: Metric, key: &str, checker: &mut Checker) {
    let Some(known) = raw.metrics.get(metric.name()) else {
        return checker.problem(format!("{key}.metrics"), format!("no [metrics.{}] entry", metric.name()));
    };
    let asks_for_seconds = rule.persistence_s > 0 || rule.clear_delay_s > 0;
    if rule.persistence_s > 0 && known.expected_interval_s > rule.persistence_s {
        checker.problem(format!("{key}.persistence_s"), "a spot metric is never judged by seconds");
    }
    match rule.max_gap_s {
        Some(gap) if gap < known.expected_interval_s.saturating_mul(3) => {
            checker.problem(format!("{key}.max_gap_s"), "must be at least three expected intervals");
        }
        None if asks_for_seconds => checker.problem(format!("{key}.max_gap_s"), "must be given with durations"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl Fn(String) -> String) -> Vec<String> {
        let text = change(ADULT_DEFAULT.to_owned());
        assert_ne!(text, ADULT_DEFAULT);
        let Err(Problems(all)) = Pack::parse(Path::new("p.toml"), &text, 1) else { return Vec::new() };
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_pack_that_comes_with_the_program_is_whole() {
        let pack = Pack::adult_default(1).unwrap();
        assert_eq!(pack.label, "adult-default@1");
        assert!(pack.limits.iter().any(|rule| rule.id == "rate-high:heart_rate"));
        let fast = Pack::adult_default(20).unwrap();
        assert_eq!((pack.gate_ms, fast.gate_ms), (60_000, 3_000));
        assert_eq!(fast.metric(Metric::SpO2).unwrap().fresh_ms, 30_000);
        assert!(Pack::adult_default(0).is_err());
    }

    #[test]
    fn wrong_rules_are_refused_by_key() {
        let seconds =
            problems(|t| t.replace("below = \"35.1\"", "below = \"35.1\"\npersistence_s = 60\nmax_gap_s = 50000"));
        assert!(seconds.iter().any(|p| p.contains("limit.temperature-low.persistence_s")), "{seconds:?}");
        let gap = problems(|t| t.replacen("max_gap_s = 30", "max_gap_s = 2", 1));
        assert!(gap.iter().any(|p| p.contains("limit.spo2-low.max_gap_s")), "{gap:?}");
        assert!(problems(|t| t.replacen("max_gap_s = 30", "max_gap_s = 3", 1)).is_empty());
        let two = problems(|t| {
            t.replacen("max_gap_s = 30", "max_gap_s = 2", 1).replacen("deadband = \"1\"", "deadband = \"-1\"", 1)
        });
        assert_eq!(two.len(), 2, "{two:?}");
        assert!(!problems(|t| t.replace("above = \"24\"", "")).is_empty());
        assert!(!problems(|t| t.replace("[metrics.temperature]", "[metrics.warmth]")).is_empty());
        assert!(!problems(|t| t.replace("spo2-floor", "spo2-low")).is_empty());
        let all = r#"metrics = ["spo2", "heart_rate", "pulse_rate", "respiratory_rate"]"#;
        let many = problems(|t| {
            t.replace(r#"metrics = ["pulse_rate", "heart_rate"]"#, all).replace(r#"metrics = ["spo2"]"#, all)
        });
        assert!(many.iter().any(|p| p.contains("at most 32")), "{many:?}");
    }
}
