//! `cargo gate`: everything a change must pass, in order, on any machine from a fresh Debian on. CI runs this and
//! nothing else.
//!
//! The cheap checks all run, so one run shows all that is wrong; what takes long runs only if nothing failed
//! before it. Everything is printed as it happens, and at the end a table says what was done, what was not, and why.
// A program for people at a terminal: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bluetooth;
mod command;
mod dependencies;
mod report;
mod steps;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use report::{Outcome, Report};
use steps::{Needs, STEPS, Step};

/// Everything a change must pass.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Also the tests that are left out for their length, and the documentation.
    #[arg(long)]
    full: bool,
    /// The table as JSON on standard output; all else then goes to standard error.
    #[arg(long)]
    json: bool,
    /// Only these steps, for work on one thing; a change must pass all.
    #[arg(long, value_delimiter = ',', value_name = "STEP", value_parser = steps::names())]
    only: Vec<String>,
}

/// Where the gate runs and how.
#[derive(Debug)]
struct Gate {
    /// The repository.
    root: PathBuf,
    /// Programs the gate brings itself.
    tools: PathBuf,
    full: bool,
    json: bool,
}

impl Gate {
    /// Says a line to whoever watches.
    fn say(&self, line: &str) {
        if self.json {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let Arguments { full, json, only } = Arguments::parse();
    // Asked when it runs: a shared target folder may hold a binary that was built in another checkout.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let root = Path::new(&package).parent().context("the package lies in no folder")?.to_owned();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let gate = Gate { tools: target.join("gate-tools"), root, full, json };
    let mut reports: Vec<Report> = Vec::new();
    let wanted = |step: &&Step| {
        let named = only.iter().any(|name| name == step.name);
        named || (only.is_empty() && (gate.full || step.needs != Needs::Full))
    };
    for step in STEPS.iter().filter(wanted) {
        let failed = reports.iter().find(|report| report.outcome.is_failure()).map(|report| report.name);
        let report = match failed.filter(|_| step.needs != Needs::Nothing) {
            Some(before) => Report::not_run(step.name, format!("`{before}` failed")),
            None => {
                gate.say(&format!("\n== {}: {}", step.name, step.what));
                let report = Report::of(step.name, || (step.run)(&gate));
                gate.say(format!("== {report}").trim_end());
                report
            }
        };
        reports.push(report);
    }
    report::print(&gate, &reports)?;
    let passed = reports.iter().all(|report| !matches!(report.outcome, Outcome::Failed(_)));
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
