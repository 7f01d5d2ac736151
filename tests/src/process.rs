//! A program of ours that runs. Dropped, it is killed, by its own id.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A running program; what it says goes to a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it. `log` is added to.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        // A group of its own, so that Ctrl-C at a terminal reaches only who is to stop the others in order.
        command.process_group(0).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("{:?} cannot be started", command.get_program()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its exit code, once it has ended (-1 by a signal).
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().map(|status| status.code().unwrap_or(-1))
    }

    /// Kills it (-9) and waits for its end.
    ///
    /// # Errors
    /// The system's.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If it has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().try_into()?), signal)?)
    }

    /// Asks it to stop (SIGTERM) and waits; returns its exit code.
    ///
    /// # Errors
    /// If it does not stop in time: it is then killed.
    pub fn stop(mut self, within: Duration) -> anyhow::Result<i32> {
        if let Some(code) = self.ended() {
            return Ok(code);
        }
        self.signal(Signal::SIGTERM)?;
        let begin = Instant::now();
        while begin.elapsed() < within {
            if let Some(code) = self.ended() {
                return Ok(code);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("it did not stop within {} s; it said:\n{}", within.as_secs(), self.said())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end with something on standard input, and returns standard output.
///
/// # Errors
/// If it fails, with what it said.
pub fn output(mut command: Command, input: &str) -> anyhow::Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{:?} cannot be started", command.get_program()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that reads nothing has closed its end.
        let _ = stdin.write_all(input.as_bytes());
    }
    let out = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if !out.status.success() {
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        bail!("`{}` ended with {}: {text}{}", arguments.join(" "), out.status, String::from_utf8_lossy(&out.stderr));
    }
    Ok(text)
}

/// The last line of a text that is JSON.
///
/// # Errors
/// If none is.
pub fn json(text: &str) -> anyhow::Result<Value> {
    let found = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    found.or_else(|| serde_json::from_str(text).ok()).with_context(|| format!("no JSON in: {text}"))
}
