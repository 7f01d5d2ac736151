//! A limit on what a program may have in memory: a control group where one can be made (as root, of either version of
//! cgroups), otherwise a limit on its data (`prlimit --data`, which counts private memory it has asked for and may not
//! have touched).
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! let limit = tests::memory_limit::MemoryLimit::of(256 * 1024 * 1024)?;
//! let command = limit.command(std::path::Path::new("/usr/bin/some-program"));
//! // … add its arguments and start it; a program over the limit is killed, or gets no more memory …
//! # drop(command);
//! # Ok(())
//! # }
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where groups are made, and the file that holds the limit: version 1, then version 2.
const PLACES: [(&str, &str); 2] =
    [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
/// A limit that counts swap too, so that nothing escapes there; not every kernel has one of them.
const SWAP: [(&str, bool); 2] = [("memory.memsw.limit_in_bytes", true), ("memory.swap.max", false)];

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A limit. Dropped after the program has ended, it leaves nothing.
#[derive(Debug)]
pub struct MemoryLimit {
    bytes: u64,
    group: Option<PathBuf>,
}

impl MemoryLimit {
    /// So many octets.
    ///
    /// # Errors
    /// If there is neither a group nor `prlimit`.
    pub fn of(bytes: u64) -> io::Result<Self> {
        let group = PLACES.iter().find_map(|(parent, file)| group(Path::new(parent), file, bytes));
        if group.is_none() && !Command::new("prlimit").arg("--version").output()?.status.success() {
            return Err(io::Error::other("no memory control group can be made and prlimit does not work"));
        }
        Ok(Self { bytes, group })
    }

    /// What limits, for people.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.group.is_some() { "control group" } else { "prlimit --data" }
    }

    /// A command that runs the program under the limit, with its own process id; its arguments follow.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        if let Some(group) = &self.group {
            let mut command = Command::new("sh");
            command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(group.join("cgroup.procs")).arg(program);
            return command;
        }
        let mut command = Command::new("prlimit");
        command.arg(format!("--data={}", self.bytes)).arg(program);
        command
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // The kernel refuses while somebody is in it.
        let _ = self.group.take().map(std::fs::remove_dir);
    }
}

/// A new group with this limit; nothing is left of one that cannot be limited.
fn group(parent: &Path, file: &str, bytes: u64) -> Option<PathBuf> {
    let folder = parent.join(format!("rpm-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst)));
    std::fs::create_dir(&folder).ok()?;
    // A plain folder, or a group without a memory controller, has no such file.
    let limited = folder.join(file).exists() && std::fs::write(folder.join(file), bytes.to_string()).is_ok();
    if !limited {
        let _ = std::fs::remove_dir(&folder);
        return None;
    }
    for (file, is_sum) in SWAP {
        let path = folder.join(file);
        if path.exists() {
            let _ = std::fs::write(path, if is_sum { bytes.to_string() } else { "0".to_owned() });
        }
    }
    Some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a program that takes 64 MiB at once ends well.
    fn takes_64_mib(bytes: u64) -> bool {
        let limit = MemoryLimit::of(bytes).unwrap();
        let mut command = limit.command(Path::new("dd"));
        command.args(["if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]);
        command.output().unwrap().status.success()
    }

    #[test]
    fn a_program_within_its_limit_runs_and_one_beyond_does_not() {
        assert!(takes_64_mib(256 * 1024 * 1024));
        assert!(!takes_64_mib(32 * 1024 * 1024));
    }

    #[test]
    fn nothing_is_left() {
        let limit = MemoryLimit::of(64 * 1024 * 1024).unwrap();
        let group = limit.group.clone();
        drop(limit);
        assert!(group.is_none_or(|group| !group.exists()));
    }
}
