//! Runs a command, shows its lines as they come and keeps the last ones.

use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Gate;

/// How many lines of a failed command are repeated at the end.
const LAST_LINES: usize = 60;
/// Lines that wait to be shown; when full, the command waits.
const LINES_WAITING_MAX: usize = 1024;
/// The longest a command may take; then it hangs and is ended.
const COMMAND_MAX: Duration = Duration::from_secs(60 * 60);

/// Why a step is not good.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) what: String,
    /// What the command said before it failed.
    pub(crate) said: Vec<String>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), said: Vec::new() }
    }

    /// The lines to repeat at the end.
    pub(crate) fn last_lines(&self) -> &[String] {
        self.said.get(self.said.len().saturating_sub(LAST_LINES)..).unwrap_or_default()
    }
}

/// A command to run in the repository.
pub(crate) fn command(gate: &Gate, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&gate.root).stdin(Stdio::null());
    if std::io::stderr().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    // Set by `cargo run` for the gate itself; it is not the commands' business.
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME");
    command
}

/// Runs it; what it said, if it ended well.
pub(crate) fn run(gate: &Gate, program: &str, arguments: &[&str]) -> Result<Vec<String>, Failure> {
    run_command(gate, command(gate, program, arguments))
}

/// Runs a prepared command; what it said, if it ended well.
pub(crate) fn run_command(gate: &Gate, command: Command) -> Result<Vec<String>, Failure> {
    let shown = shown(&command);
    gate.say(&format!("$ {shown}"));
    // Bounded by what a build and its tests say: some ten thousand lines.
    let mut said = Vec::new();
    let (mut child, output) =
        start(command).map_err(|error| Failure::new(format!("`{shown}` does not start: {error}")))?;
    let (to, lines) = sync_channel::<String>(LINES_WAITING_MAX);
    read_lines(output, to);
    // Only to end what hangs.
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    loop {
        match lines.recv_timeout(COMMAND_MAX.saturating_sub(start.elapsed())) {
            Ok(line) => {
                gate.say(&line);
                said.push(line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                // It may have ended meanwhile.
                let _ = child.kill();
                let minutes = COMMAND_MAX.as_secs() / 60;
                return Err(Failure { what: format!("`{shown}` was ended after {minutes} minutes"), said });
            }
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(said),
        Ok(status) => Err(Failure { what: format!("`{shown}` ended with {status}"), said }),
        Err(error) => Err(Failure { what: format!("`{shown}` cannot be waited for: {error}"), said }),
    }
}

fn shown(command: &Command) -> String {
    let parts = std::iter::once(command.get_program()).chain(command.get_args());
    parts.map(|part| part.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Both outputs go into one pipe, so their lines stay in order. `command` is taken: it holds the writing ends, and
/// the pipe would not end while they are open here.
fn start(mut command: Command) -> io::Result<(Child, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    let child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
    Ok((child, reader))
}

fn read_lines(from: PipeReader, to: SyncSender<String>) {
    // Ends with the pipe; if the gate ends first, with the process.
    thread::spawn(move || {
        let mut reader = BufReader::new(from);
        let mut bytes = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut bytes) {
            let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
            bytes.clear();
            if to.send(line).is_err() {
                return;
            }
        }
    });
}

/// Whether a program can be found.
pub(crate) fn exists(program: &str) -> bool {
    let places = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&places).any(|place| place.join(program).is_file())
}
