//! Simulated devices through a real bluetoothd. `tests/bluetooth/README.md` says what of it is real.

use crate::Gate;
use crate::command::{Failure, command, run, run_command};
use crate::report::Outcome;
use crate::tools;

/// The module of the tests that need the emulated machine. They are ignored elsewhere.
pub(crate) const TESTS: &str = "emulated_machine::";
const RIG: &str = "tests/bluetooth/rig/rig";

/// Prepares the machine, while the tests are built, and runs them in it.
pub(crate) fn suite(gate: &Gate) -> Result<Outcome, Failure> {
    tools::install_missing(gate, tools::BLUETOOTH_TOOLS)?;
    let cargo = ["cargo", "test", "--workspace", "--locked", "--test", "bluetooth"];
    std::thread::scope(|scope| {
        let preparing = scope.spawn(|| run_command(gate, rig(gate, &["prepare"])));
        let built = run(gate, "cargo", &[&cargo[1..], &["--no-run"]].concat());
        let prepared = preparing.join().unwrap_or_else(|_| Err(Failure::new("preparing the machine panicked")));
        built.and(prepared)
    })?;
    let tests = ["--", "--ignored", "--test-threads", "1", TESTS];
    let said = run_command(gate, rig(gate, &[&["run", "--"], cargo.as_slice(), &tests].concat()))?;
    let ran = said.iter().any(|line| line.starts_with("test ") && line.ends_with(" ... ok"));
    if ran { Ok(Outcome::Passed) } else { Err(Failure::new("no test ran")) }
}

/// The rig, with its cache where cargo builds.
fn rig(gate: &Gate, arguments: &[&str]) -> std::process::Command {
    let mut rig = command(gate, RIG, arguments);
    if std::env::var_os("BLUETOOTH_RIG_CACHE").is_none() {
        rig.env("BLUETOOTH_RIG_CACHE", gate.tools.with_file_name("bluetooth-rig"));
    }
    rig
}
