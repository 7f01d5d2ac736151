//! The real programs: built with cargo beside the program that asks, so that none is older than its source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, bail};

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `hub-agent`.
    pub hub_agent: PathBuf,
    /// `monitor-server`.
    pub monitor_server: PathBuf,
}

/// How they are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For tests.
    Dev,
    /// As they ship.
    Release,
}

/// The repository.
#[must_use]
pub fn repository() -> PathBuf {
    // Asked when it runs: a shared target folder may hold a binary that was built in another checkout.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    Path::new(&package).parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

impl Binaries {
    /// Builds both. `RPM_BINARIES` names a folder that holds them already, for machines without a compiler.
    ///
    /// # Errors
    /// If the build fails, or the folder does not hold them.
    pub fn build(profile: Profile) -> anyhow::Result<Self> {
        let folder = match std::env::var_os("RPM_BINARIES") {
            Some(folder) => PathBuf::from(folder),
            None => build(profile)?,
        };
        let binaries = Self { hub_agent: folder.join("hub-agent"), monitor_server: folder.join("monitor-server") };
        for binary in [&binaries.hub_agent, &binaries.monitor_server] {
            if !binary.exists() {
                bail!("{} is not there", binary.display());
            }
        }
        Ok(binaries)
    }

    /// Both for tests, built once for each test program.
    ///
    /// # Errors
    /// As [`Binaries::build`].
    pub fn for_tests() -> anyhow::Result<Self> {
        static BUILT: OnceLock<Result<Binaries, String>> = OnceLock::new();
        let built = BUILT.get_or_init(|| Self::build(Profile::Dev).map_err(|error| format!("{error:#}")));
        built.clone().map_err(anyhow::Error::msg)
    }
}

fn build(profile: Profile) -> anyhow::Result<PathBuf> {
    let target = target_folder()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(repository()).env("CARGO_TARGET_DIR", &target).stdin(Stdio::null());
    command.args(["build", "--quiet", "--package", "agent", "--package", "server", "--bins"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    // Standard output may be somebody's one line of JSON; cargo itself says nothing there.
    let status = command.stdout(Stdio::null()).status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("the programs do not build: {status}");
    }
    Ok(target.join(if profile == Profile::Release { "release" } else { "debug" }))
}

/// The target folder that the running program lies in.
///
/// # Errors
/// If the program lies in no such folder.
pub fn target_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let mut folder = program.parent().context("no folder")?;
    if folder.file_name().is_some_and(|name| name == "deps") {
        folder = folder.parent().context("no folder")?;
    }
    Ok(folder.parent().context("no target folder")?.to_owned())
}
