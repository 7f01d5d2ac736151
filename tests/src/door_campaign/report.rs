//! What a campaign found, as a line of figures.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Named, Plan};
use crate::door_counts::DoorCounts;
use crate::server::Server;

/// Latencies of receipts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Percentiles {
    /// Of so many batches.
    pub samples: usize,
    /// Half of them are not above it.
    pub p50: Duration,
    /// 99 of 100 are not above it.
    pub p99: Duration,
    /// None is above it.
    pub max: Duration,
}

/// Counts of the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stored {
    /// Records stored.
    pub records: u64,
    /// Observations stored.
    pub observations: u64,
    /// Observations stored more than once.
    pub duplicates: u64,
    /// Records in quarantine.
    pub quarantined: u64,
}

impl Stored {
    /// Asks the server.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn read(server: &Server) -> anyhow::Result<Self> {
        let counts = server.counts()?;
        let count = |key: &str| {
            counts.get(key).and_then(Value::as_u64).ok_or_else(|| anyhow::anyhow!("no `{key}` in {counts}"))
        };
        Ok(Self {
            records: count("records")?,
            observations: count("observations")?,
            duplicates: count("duplicates")?,
            quarantined: count("quarantined")?,
        })
    }
}

/// Everything a campaign found.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was to be done.
    pub plan: Plan,
    /// Cases done, by class.
    pub cases: Named,
    /// How long the attack took.
    pub took: Duration,
    /// Connections opened, honest hubs' too.
    pub opened: u64,
    /// Refusals that must have been counted at least, by reason.
    pub expected: Named,
    /// What the door counted.
    pub counts: DoorCounts,
    /// Receipts before the attack.
    pub before: Percentiles,
    /// Receipts while all attacked.
    pub during: Percentiles,
    /// Batches of honest hubs; each holds one record of one observation.
    pub batches: u64,
    /// Records that hostile hubs had stored before.
    pub originals: u64,
    /// What is in the store.
    pub stored: Stored,
    /// The server's memory before.
    pub rss_before_kib: u64,
    /// The server's memory after.
    pub rss_after_kib: u64,
    /// What was wrong. Nothing: the door held.
    pub failures: Vec<String>,
}

impl Report {
    /// How many cases were done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.cases.values().sum()
    }

    /// How many times longer receipts took; the p99 before counts as no less than the floor.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.during.p99.as_secs_f64() / self.before.p99.max(super::verdict::FLOOR).as_secs_f64()
    }

    /// As one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let latency = |of: &Percentiles| json!({ "samples": of.samples, "p50_ms": millis(of.p50), "p99_ms": millis(of.p99), "max_ms": millis(of.max) });
        json!({
            "seed": self.plan.seed, "cases": self.done(), "by_class": self.cases,
            "seconds": self.took.as_secs(), "cases_per_s": per_s(self.done(), self.took),
            "connections": self.opened, "accepted": self.counts.accepted, "left": self.counts.left,
            "refusals": self.counts.refusals,
            "before": latency(&self.before), "during": latency(&self.during),
            "ratio": (self.ratio() * 100.0).round() / 100.0,
            "records": self.stored.records, "duplicates": self.stored.duplicates,
            "quarantined": self.stored.quarantined,
            "rss_before_kib": self.rss_before_kib, "rss_after_kib": self.rss_after_kib,
            "passed": self.failures.is_empty(), "failures": self.failures,
        })
    }
}

fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

fn per_s(count: u64, took: Duration) -> u64 {
    count.saturating_mul(1_000) / millis(took).max(1)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named =
            |of: &Named| of.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ");
        let of = |of: &Percentiles| format!("{}/{} ms of {}", millis(of.p50), millis(of.p99), of.samples);
        write!(f, "seed {}: {} cases ({}) ", self.plan.seed, self.done(), named(&self.cases))?;
        write!(f, "in {} s, {}/s; ", self.took.as_secs(), per_s(self.done(), self.took))?;
        write!(
            f,
            "{} connections, {} left, refused: {}; ",
            self.opened,
            self.counts.left,
            named(&self.counts.refusals)
        )?;
        write!(f, "receipts p50/p99 before {}, during {}, ", of(&self.before), of(&self.during))?;
        write!(f, "ratio {:.2} (to no less than {} ms); ", self.ratio(), millis(super::verdict::FLOOR))?;
        write!(f, "{} records, {} twice, ", self.stored.records, self.stored.duplicates)?;
        write!(f, "{} in quarantine; ", self.stored.quarantined)?;
        write!(f, "server RSS {} MiB before, {} MiB after", self.rss_before_kib / 1024, self.rss_after_kib / 1024)
    }
}
