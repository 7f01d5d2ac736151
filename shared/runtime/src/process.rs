//! What a binary does to its own process before anything else, and how it ends it.

use std::future::Future;
use std::io;
use std::process::ExitCode;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

use crate::exit::Exit;
use crate::limits::RUNTIME_END_MAX;

/// Forbids core dumps and reading this process's memory by others of the same user: its memory holds keys.
///
/// # Errors
/// The kernel's, if it refuses.
pub fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Lets this process have as many open files, connections among them, as the system allows it, and returns how many
/// those are; `None` is without limit.
///
/// # Errors
/// The kernel's, if it refuses.
pub fn raise_open_files() -> io::Result<Option<u64>> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(getrlimit(Resource::Nofile).current)
}

/// Runs the program on a multi-threaded runtime and ends it with what it says. A thread that blocks for ever does
/// not hold the process up once the exit code is decided.
///
/// # Errors
/// If the runtime's threads cannot be started.
pub fn block_on(program: impl Future<Output = Exit>) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(program);
    runtime.shutdown_timeout(RUNTIME_END_MAX);
    Ok(exit.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    #[test]
    fn the_kernel_keeps_the_word() {
        forbid_core_dumps().unwrap();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }

    #[test]
    fn every_open_file_that_is_allowed_may_be_used() {
        let allowed = getrlimit(Resource::Nofile).maximum;
        assert_eq!(raise_open_files().unwrap(), allowed);
        assert_eq!(getrlimit(Resource::Nofile).current, allowed);
    }

    #[test]
    fn a_blocked_thread_does_not_hold_the_end_up() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let code = block_on(async move {
            let mut blocking = tokio::task::JoinSet::new();
            blocking.spawn_blocking(move || held.recv());
            Exit::NotDrained
        });
        assert_eq!(format!("{:?}", code.unwrap()), format!("{:?}", ExitCode::from(75)));
        drop(release);
    }
}
