//! Running programs under `strace`.

use std::path::Path;
use std::process::Command;

pub(crate) use tests::strace::{Call, calls};

/// Whether processes can be traced here. If not, says so, and fails in CI.
pub(crate) fn is_possible(test: &str) -> bool {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    if tried.is_ok_and(|tried| tried.status.success()) {
        return true;
    }
    println!("skipped: {test}: strace is missing or may not trace; install it (apt-get install strace)");
    assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped");
    false
}

/// A command that traces a program; its arguments follow. The process that is started is the program itself, so that
/// signals reach it; the tracer is a grandchild and ends with it.
pub(crate) fn strace(program: &Path, calls: &str, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-y", "-s", "4096", "-e", &format!("trace={calls}")]).args(more);
    command.arg("-o").arg(out).arg(program);
    command
}

/// What the tracer wrote, once it has written everything: it says how each process ended.
pub(crate) fn finished(out: &Path, process: u32) -> String {
    let whole = tests::wait::until("the trace's end", std::time::Duration::from_secs(20), || {
        let text = std::fs::read_to_string(out).ok()?;
        text.lines().rev().take(50).any(|line| tells_end_of(process, line)).then_some(text)
    });
    whole.unwrap()
}

/// Whether a line says that this process ended. The tracer pads a process id to five columns, whatever its length.
fn tells_end_of(process: u32, line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next() == Some(process.to_string().as_str()) && words.next() == Some("+++")
}

#[test]
fn the_end_of_a_process_is_seen_whatever_the_length_of_its_id() {
    for (process, line) in [
        (7, "7     +++ exited with 0 +++"),
        (786, "786   +++ killed by SIGKILL +++"),
        (4_321, "4321  +++ exited with 0 +++"),
        (1_234_567, "1234567 +++ exited with 0 +++"),
    ] {
        assert!(tells_end_of(process, line), "{line}");
    }
    assert!(!tells_end_of(786, "7861  +++ exited with 0 +++"));
    assert!(!tells_end_of(786, "786   write(1, \"+++ \", 4) = 4"));
}
