//! What became of each step, and the table at the end.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Gate;
use crate::command::Failure;

/// What became of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Done and good.
    Passed,
    /// Good as far as it went; something could not be done, and why.
    Incomplete(String),
    /// Not good.
    Failed(Failure),
    /// Not tried, and why.
    NotRun(String),
}

impl Outcome {
    pub(crate) const fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Incomplete(_) => "INCOMPLETE",
            Self::Failed(_) => "FAILED",
            Self::NotRun(_) => "not run",
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Incomplete(why) | Self::NotRun(why) => why,
            Self::Failed(failure) => &failure.what,
        }
    }
}

/// A step, what became of it and how long that took.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    took: Duration,
}

impl Report {
    /// Runs a step.
    pub(crate) fn of(name: &'static str, run: impl FnOnce() -> Result<Outcome, Failure>) -> Self {
        // Measured for the table; nothing is decided by it.
        #[allow(clippy::disallowed_methods)]
        let start = Instant::now();
        let outcome = run().unwrap_or_else(Outcome::Failed);
        Self { name, outcome, took: start.elapsed() }
    }

    pub(crate) const fn not_run(name: &'static str, why: String) -> Self {
        Self { name, outcome: Outcome::NotRun(why), took: Duration::ZERO }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let (name, word, why) = (self.name, self.outcome.word(), self.outcome.why());
        write!(f, "{name:<14} {word:<11} {seconds:>7.1} s  {why}")
    }
}

/// Prints the table; before it, the last lines of what failed, so that nobody has to scroll for them.
pub(crate) fn print(gate: &Gate, reports: &[Report]) -> anyhow::Result<()> {
    for report in reports {
        if let Outcome::Failed(failure) = &report.outcome {
            gate.say(&format!("\n-- {}: {}\n-- its last lines:", report.name, failure.what));
            failure.last_lines().iter().for_each(|line| gate.say(&format!("   {line}")));
        }
    }
    gate.say("\n== the gate");
    for report in reports {
        gate.say(report.to_string().trim_end());
    }
    if gate.json {
        let steps: Vec<serde_json::Value> = reports.iter().map(as_json).collect();
        let passed = !reports.iter().any(|report| report.outcome.is_failure());
        println!("{}", serde_json::to_string_pretty(&json!({ "passed": passed, "steps": steps }))?);
    }
    Ok(())
}

fn as_json(report: &Report) -> serde_json::Value {
    let last_lines = match &report.outcome {
        Outcome::Failed(failure) => failure.last_lines(),
        Outcome::Passed | Outcome::Incomplete(_) | Outcome::NotRun(_) => &[],
    };
    json!({
        "step": report.name,
        "outcome": report.outcome.word().to_lowercase(),
        "seconds": report.took.as_secs(),
        "why": report.outcome.why(),
        "last_lines": last_lines,
    })
}
