//! The steps, in order.

use std::path::{Path, PathBuf};

use ::tests::binaries::{Profile, target_folder};

use crate::Gate;
use crate::command::{Failure, command, run, run_command};
use crate::report::Outcome;
use crate::{bluetooth, dependencies, tools};

/// When a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Always.
    Nothing,
    /// Only if nothing failed before it.
    AllBefore,
    /// Only if nothing failed before it, and only with `--full`.
    Full,
}

/// A step of the gate.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) needs: Needs,
    pub(crate) run: fn(&Gate) -> Result<Outcome, Failure>,
}

pub(crate) const STEPS: &[Step] = &[
    Step { name: "tools", what: "what the machine must have", needs: Needs::Nothing, run: tools::prepare },
    Step { name: "format", what: "rustfmt changes nothing", needs: Needs::Nothing, run: format },
    Step { name: "lints", what: "clippy finds nothing", needs: Needs::Nothing, run: lints },
    Step {
        name: "dependencies",
        what: "licences, bans and sources follow deny.toml",
        needs: Needs::Nothing,
        run: dependencies::policy,
    },
    Step {
        name: "old-tls",
        what: "no rustls before 0.23 is in the tree",
        needs: Needs::Nothing,
        run: dependencies::no_old_tls,
    },
    Step {
        name: "advisories",
        what: "no known advisory concerns what we depend on",
        needs: Needs::Nothing,
        run: dependencies::advisories,
    },
    Step { name: "tests", what: "all tests", needs: Needs::Nothing, run: tests },
    Step {
        name: "bluetooth",
        what: "simulated devices through a real bluetoothd, in an emulated machine",
        needs: Needs::Full,
        run: bluetooth::suite,
    },
    Step { name: "documents", what: "the API documentation builds", needs: Needs::Full, run: documents },
    Step { name: "release", what: "the binaries as they ship", needs: Needs::AllBefore, run: release },
    Step {
        name: "door",
        what: "100,000 attacks on the door, while honest hubs are served",
        needs: Needs::AllBefore,
        run: door,
    },
    Step { name: "demo", what: "the whole system, for a short while", needs: Needs::AllBefore, run: demo },
];

/// The names of all steps.
pub(crate) fn names() -> Vec<&'static str> {
    STEPS.iter().map(|step| step.name).collect()
}

fn passed(result: Result<Vec<String>, Failure>) -> Result<Outcome, Failure> {
    result.map(|_| Outcome::Passed)
}

fn format(gate: &Gate) -> Result<Outcome, Failure> {
    passed(run(gate, "cargo", &["fmt", "--all", "--check", "--", "--color", "never"]))
}

fn lints(gate: &Gate) -> Result<Outcome, Failure> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    passed(run(gate, "cargo", &arguments))
}

fn tests(gate: &Gate) -> Result<Outcome, Failure> {
    let mut arguments = vec!["test", "--workspace", "--locked", "--no-fail-fast"];
    if gate.full {
        arguments.extend(["--", "--include-ignored", "--skip", bluetooth::TESTS]);
    }
    let mut cargo = command(gate, "cargo", &arguments);
    // Cargo builds both programs beside their own tests; a test that had them built again would have half of what they
    // stand on built again too, because it asks for other features.
    cargo.env("RPM_BINARIES", built(Profile::Dev)?);
    let said = run_command(gate, cargo).map_err(|Failure { what, said }| {
        let failing = failing_tests(&said);
        Failure { what, said: if failing.is_empty() { said } else { failing } }
    })?;
    let skipped: Vec<&String> = said.iter().filter(|line| line.trim_start().starts_with("skipped: ")).collect();
    match counted(&said) {
        0 => Err(Failure::new("no test ran")),
        count => {
            gate.say(&format!("{count} passed, 0 failed"));
            let why = format!("{} tests skipped part of their work, see above", skipped.len());
            Ok(if skipped.is_empty() { Outcome::Passed } else { Outcome::Incomplete(why) })
        }
    }
}

/// How many tests passed, from the closing lines (`test result: ok. 34 passed; ...`).
fn counted(said: &[String]) -> u64 {
    let results = said.iter().filter_map(|line| line.split_once("test result: ")?.1.split_once(" passed;"));
    let counts = results.filter_map(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok());
    counts.fold(0, u64::saturating_add)
}

/// What the failing tests said: after hundreds of good ones it is not at the end.
fn failing_tests(said: &[String]) -> Vec<String> {
    let mut inside = false;
    let mut failing = Vec::new();
    for line in said {
        inside |= line.trim() == "failures:";
        let ends = line.starts_with("test result: ");
        if inside || line.starts_with("error: ") {
            failing.push(line.clone());
        }
        inside &= !ends;
    }
    failing
}

fn documents(gate: &Gate) -> Result<Outcome, Failure> {
    let mut doc = command(gate, "cargo", &["doc", "--workspace", "--locked", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    passed(run_command(gate, doc))
}

fn release(gate: &Gate) -> Result<Outcome, Failure> {
    let arguments = ["build", "--release", "--locked", "--package", "agent", "--package", "server", "--bins"];
    passed(run(gate, "cargo", &arguments))
}

/// Where cargo puts what it builds.
fn built(profile: Profile) -> Result<PathBuf, Failure> {
    let target = target_folder().map_err(|error| Failure::new(format!("{error:#}")))?;
    Ok(target.join(if profile == Profile::Release { "release" } else { "debug" }))
}

/// Fails by itself if the door does not hold; `docs/security/door.md` says what it tries. The server is the one that
/// ships; who attacks it was built with the tests.
fn door(gate: &Gate) -> Result<Outcome, Failure> {
    run(gate, "cargo", &["test", "--workspace", "--locked", "--no-run"])?;
    let attacker = built(Profile::Dev)?.join("door");
    let mut campaign = command(gate, &attacker.to_string_lossy(), &["--cases", "100000", "--seed", "1", "--json"]);
    campaign.env("RPM_BINARIES", built(Profile::Release)?);
    passed(run_command(gate, campaign))
}

/// The demo ends by itself and fails if a reading does not become an alert.
fn demo(gate: &Gate) -> Result<Outcome, Failure> {
    let places = ["tests/src/bin/demo.rs", "tests/src/bin/demo/main.rs"];
    if !places.iter().any(|place| gate.root.join(Path::new(place)).exists()) {
        return Ok(Outcome::NotRun("there is no demo in this tree".to_owned()));
    }
    run(gate, "cargo", &["test", "--workspace", "--locked", "--no-run"])?;
    let demo = built(Profile::Dev)?.join("demo");
    let mut shown = command(gate, &demo.to_string_lossy(), &["--exit-after", "20", "--json"]);
    shown.env("RPM_BINARIES", built(Profile::Release)?);
    passed(run_command(gate, shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let lines = [
            "running 3 tests",
            "test result: ok. 34 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.04s",
            "test result: ok. 8 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ];
        assert_eq!(counted(&lines.map(str::to_owned)), 42);
        assert_eq!(counted(&[]), 0);
    }

    #[test]
    fn what_failing_tests_said_is_found_among_the_rest() {
        let said = "test a ... ok\nfailures:\n---- b stdout ----\nwhy\ntest result: FAILED. 1 passed; 1 failed\n\
                    test c ... ok\nerror: 1 target failed:";
        let said: Vec<String> = said.lines().map(str::to_owned).collect();
        let found = failing_tests(&said);
        assert_eq!(found.len(), 5);
        assert!(found.iter().any(|line| line == "why") && !found.iter().any(|line| line.contains("... ok")));
    }

    #[test]
    fn cheap_steps_come_first_and_names_are_unique() {
        let long = STEPS.iter().position(|step| step.needs != Needs::Nothing);
        assert!(STEPS.iter().skip(long.unwrap()).all(|step| step.needs != Needs::Nothing));
        let names: std::collections::BTreeSet<_> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
    }
}
