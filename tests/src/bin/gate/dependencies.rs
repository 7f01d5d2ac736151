//! What we depend on: licences, bans and sources by `deny.toml`; advisories as far as the database can be had.

use crate::Gate;
use crate::command::{Failure, command, run, run_command};
use crate::report::Outcome;
use crate::tools;

/// Licences, bans and sources. They need no database, so they always run.
pub(crate) fn policy(gate: &Gate) -> Result<Outcome, Failure> {
    deny(gate, &["--locked", "check", "licenses", "bans", "sources"])?;
    Ok(Outcome::Passed)
}

/// Advisories, against the newest database that can be had: fetched now, else an older copy, else none, which is
/// said.
pub(crate) fn advisories(gate: &Gate) -> Result<Outcome, Failure> {
    let failure = match deny(gate, &["--locked", "check", "advisories"]) {
        Ok(_) => return Ok(Outcome::Passed),
        Err(failure) => failure,
    };
    if found_something(&failure) {
        return Err(failure);
    }
    match deny(gate, &["--offline", "--locked", "check", "advisories"]) {
        Ok(_) => Ok(Outcome::Incomplete("the database could not be fetched; an older copy finds nothing".to_owned())),
        Err(older) if found_something(&older) => Err(older),
        Err(_) => {
            let why = "ADVISORIES WERE NOT CHECKED: no database here and none could be fetched";
            Ok(Outcome::Incomplete(why.to_owned()))
        }
    }
}

/// Whether the check itself was made and is not good; otherwise it could not be made.
fn found_something(failure: &Failure) -> bool {
    failure.said.iter().any(|line| line.contains("advisories FAILED"))
}

fn deny(gate: &Gate, arguments: &[&str]) -> Result<Vec<String>, Failure> {
    let program = tools::cargo_deny(gate)?;
    let mut deny = command(gate, &program.to_string_lossy(), arguments);
    // What is found is looked for in its lines.
    deny.env_remove("CARGO_TERM_COLOR");
    run_command(gate, deny)
}

/// rustls before 0.23 comes with rumqttd's own listener, which must not be built. `cargo tree` fails where there is
/// none, which is what we want.
pub(crate) fn no_old_tls(gate: &Gate) -> Result<Outcome, Failure> {
    match run(gate, "cargo", &["tree", "--locked", "--workspace", "--invert", "rustls@0.22", "--target", "all"]) {
        Ok(_) => Err(Failure::new("rustls 0.22 is in the tree: build rumqttd with default-features = false")),
        Err(failure) if failure.said.iter().any(|line| line.contains("did not match any packages")) => {
            Ok(Outcome::Passed)
        }
        Err(failure) => Err(failure),
    }
}
