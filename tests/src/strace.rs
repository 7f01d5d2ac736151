//! Reading what `strace -f -y` wrote: completed calls, in the order of their completion.

use std::collections::BTreeMap;

/// A system call that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// What stands between the brackets.
    pub arguments: String,
    /// What it returned.
    pub result: i64,
    /// The line it began at: what stands on earlier lines happened before it.
    pub began: usize,
    /// The line it ended at.
    pub ended: usize,
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
#[must_use]
pub fn calls(text: &str) -> Vec<Call> {
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
    #[must_use]
    pub fn is_on(&self, part: &str) -> bool {
        self.file().contains(part)
    }

    /// Whether it synced a file.
    #[must_use]
    pub fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.result == 0
    }

    /// Whether it wrote something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self.name.as_str(), "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "sendto" | "sendmsg")
            && self.result > 0
    }

    /// Whether it read something.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.name.as_str(), "read" | "readv" | "recvfrom" | "recvmsg") && self.result > 0
    }

    /// The first argument: a descriptor and what it leads to.
    #[must_use]
    pub fn file(&self) -> &str {
        self.arguments.split(">,").next().unwrap_or_default().trim_end_matches('>')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
