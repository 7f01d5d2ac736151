//! The course of a process from its start to its exit code. Pure.

use crate::exit::Exit;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A signal, or somebody inside cancelled the sources.
    StopAsked,
    /// An owner finished its work.
    OwnerFinished,
    /// An owner failed or panicked.
    OwnerFailed,
    /// No owner is left.
    AllEnded,
    /// The grace period is over.
    GraceOver,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Go on.
    Continue,
    /// Stop the sources and give the rest the grace period to drain.
    Drain,
    /// End the process.
    Leave(Exit),
}

/// Where the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Until it is asked to stop or an owner is lost.
    Running,
    /// The sources are stopped; what to say when all have ended.
    Draining(Exit),
}

impl Course {
    pub(crate) fn handle(&mut self, event: Event) -> Next {
        let (course, next) = match (*self, event) {
            (Self::Running, Event::StopAsked) => (Self::Draining(Exit::Drained), Next::Drain),
            // Whatever it says of itself: it was not asked to end.
            (Self::Running, Event::OwnerFinished | Event::OwnerFailed) => {
                (Self::Draining(Exit::OwnerLost), Next::Drain)
            }
            (Self::Running, Event::AllEnded | Event::GraceOver) => (Self::Running, Next::Continue),
            (Self::Draining(exit), Event::OwnerFinished) => (Self::Draining(exit), Next::Continue),
            (Self::Draining(exit), Event::OwnerFailed) => (Self::Draining(not_drained(exit)), Next::Continue),
            (Self::Draining(exit), Event::AllEnded) => (Self::Draining(exit), Next::Leave(exit)),
            // Asked twice: whoever asks does not want to wait.
            (Self::Draining(exit), Event::GraceOver | Event::StopAsked) => {
                (Self::Draining(exit), Next::Leave(not_drained(exit)))
            }
        };
        *self = course;
        next
    }
}

/// An owner that was lost first stays the reason.
const fn not_drained(exit: Exit) -> Exit {
    match exit {
        Exit::OwnerLost => Exit::OwnerLost,
        Exit::Drained | Exit::Usage | Exit::NotDrained | Exit::Configuration => Exit::NotDrained,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_after(events: &[Event]) -> Option<Exit> {
        let mut course = Course::Running;
        events.iter().find_map(|event| match course.handle(*event) {
            Next::Leave(exit) => Some(exit),
            Next::Continue | Next::Drain => None,
        })
    }

    #[test]
    fn asked_to_stop_and_drained() {
        use Event::{AllEnded, OwnerFinished, StopAsked};
        assert_eq!(exit_after(&[StopAsked, OwnerFinished, OwnerFinished]), None);
        assert_eq!(exit_after(&[StopAsked, OwnerFinished, OwnerFinished, AllEnded]), Some(Exit::Drained));
    }

    #[test]
    fn asked_to_stop_and_not_drained() {
        use Event::{AllEnded, GraceOver, OwnerFailed, OwnerFinished, StopAsked};
        assert_eq!(exit_after(&[StopAsked, OwnerFinished, GraceOver]), Some(Exit::NotDrained));
        assert_eq!(exit_after(&[StopAsked, StopAsked]), Some(Exit::NotDrained));
        assert_eq!(exit_after(&[StopAsked, OwnerFailed, AllEnded]), Some(Exit::NotDrained));
    }

    #[test]
    fn an_owner_that_ends_unasked_is_lost_however_it_ends() {
        use Event::{AllEnded, GraceOver, OwnerFailed, OwnerFinished, StopAsked};
        for how in [OwnerFinished, OwnerFailed] {
            let mut course = Course::Running;
            assert_eq!(course.handle(how), Next::Drain);
            for last in [AllEnded, GraceOver, StopAsked] {
                assert_eq!(exit_after(&[how, OwnerFailed, last]), Some(Exit::OwnerLost));
            }
        }
    }

    #[test]
    fn a_program_without_owners_waits() {
        assert_eq!(exit_after(&[Event::AllEnded, Event::GraceOver]), None);
    }
}
