//! Reading what `strace -f -y` wrote: completed calls, in the order of their completion.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A system call that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// What stands between the brackets.
    pub(crate) arguments: String,
    /// What it returned.
    pub(crate) result: i64,
    /// The line it began at: what stands on earlier lines happened before it.
    pub(crate) began: usize,
    /// The line it ended at.
    pub(crate) ended: usize,
}

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

/// `name(arguments)   = result ...`: the last bracket that a result follows ends the arguments.
fn split(text: &str) -> Option<(&str, &str, i64)> {
    let (name, rest) = text.split_once('(')?;
    let mut ends = rest.rmatch_indices(')').map(|(at, _)| at);
    let end = ends.find(|at| rest[at + 1..].trim_start().starts_with("= "))?;
    let result = rest[end + 1..].trim_start().strip_prefix("= ")?;
    let result = result.split([' ', '<']).next()?.parse().ok()?;
    Some((name, &rest[..end], result))
}

/// The calls of a trace.
pub(crate) fn calls(text: &str) -> Vec<Call> {
    let mut unfinished: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (line, text) in text.lines().enumerate() {
        let Some((process, text)) = text.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(begin) = text.strip_suffix(" <unfinished ...>") {
            let name = begin.split('(').next().unwrap_or_default().to_owned();
            unfinished.insert((process.to_owned(), name), (line, begin.to_owned()));
            continue;
        }
        let (began, whole) = match text.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((name, rest)) => match unfinished.remove(&(process.to_owned(), name.to_owned())) {
                Some((began, begin)) => (began, format!("{begin}{rest}")),
                None => continue,
            },
            None => (line, text.to_owned()),
        };
        if let Some((name, arguments, result)) = split(&whole) {
            let (name, arguments) = (name.to_owned(), arguments.to_owned());
            calls.push(Call { name, arguments, result, began, ended: line });
        }
    }
    calls
}

impl Call {
    /// Whether its first argument is this kind of file (`12</path/store.sqlite-wal>`).
    pub(crate) fn is_on(&self, part: &str) -> bool {
        self.file().contains(part)
    }

    pub(crate) fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.result == 0
    }

    pub(crate) fn is_write(&self) -> bool {
        matches!(self.name.as_str(), "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "sendto" | "sendmsg")
            && self.result > 0
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self.name.as_str(), "read" | "readv" | "recvfrom" | "recvmsg") && self.result > 0
    }

    /// The first argument: a descriptor and what it leads to.
    pub(crate) fn file(&self) -> &str {
        self.arguments.split(">,").next().unwrap_or_default().trim_end_matches('>')
    }
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

#[test]
fn lines_of_strace_are_read() {
    let text = "12 fdatasync(7</d/store.sqlite-wal> <unfinished ...>\n\
                13 sendto(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"a) = b\", 6, MSG_NOSIGNAL, NULL, 0) = 6\n\
                12 <... fdatasync resumed>)       = 0\n\
                12 fdatasync(7</d/db>)            = -1 EIO (Input/output error) (INJECTED)\n";
    let calls = calls(text);
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert_eq!(
        (calls[0].name.as_str(), calls[0].result, calls[0].file()),
        ("sendto", 6, "9<TCP:[127.0.0.1:1->127.0.0.1:2]")
    );
    assert!(calls[1].is_sync() && calls[1].is_on("store.sqlite-wal"));
    assert_eq!((calls[1].began, calls[1].ended), (0, 2));
    assert!(!calls[2].is_sync() && calls[2].is_on("/db"));
}
