//! Holds the owners, and decides how the process ends.
//!
//! ```text
//! SIGTERM, SIGINT or stop.cancel() ──▶ sources stop ──▶ the rest drains ──▶ all ended: Drained
//!                                                           └── grace over, or asked again: NotDrained
//! an owner ends unasked ──▶ ERROR ──▶ sources stop ──▶ the rest may drain ──▶ OwnerLost
//! ```
//! An owner drains because its input channel closes when those before it have ended. systemd's watchdog is fed only
//! while every owner with a [`Progress`] turns or says what it waits for.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::Write;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, Sleep};
use tokio_util::sync::CancellationToken;

use crate::course::{Course, Event, Next};
use crate::exit::Exit;
use crate::notify;
pub use crate::progress::Progress;
use crate::progress::Roster;

type Failure = Box<dyn Error + Send + Sync>;

/// An owner's work unwound.
#[derive(Debug, thiserror::Error)]
#[error("it panicked; standard error has the message")]
struct Panicked;

/// Holds every owner of the process.
#[derive(Debug, Default)]
pub struct Supervisor {
    owners: JoinSet<Result<(), Failure>>,
    // Those that have not ended. As many as the wiring has owners, a dozen or two.
    names: HashMap<Id, &'static str>,
    roster: Roster,
    stop: CancellationToken,
}

impl Supervisor {
    /// One without owners.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What the sources listen to: cancelled when the process is asked to stop. Whoever cancels it asks.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// The progress of an owner, to be given to it before [`Supervisor::own`].
    #[must_use]
    pub fn progress(&mut self, name: &'static str) -> Progress {
        self.roster.add(name)
    }

    /// Starts an owner. It may end only after the stop. Call it inside a tokio runtime.
    pub fn own<E: Into<Failure>>(
        &mut self,
        name: &'static str,
        owner: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = self.owners.spawn(async move { owner.await.map_err(Into::into) });
        self.names.insert(task.id(), name);
    }

    /// Starts an owner that has no error to end with. It too may end only after the stop.
    pub fn own_infallible(&mut self, name: &'static str, owner: impl Future<Output = ()> + Send + 'static) {
        self.own(name, async move {
            owner.await;
            Ok::<(), Infallible>(())
        });
    }

    /// Starts an owner on a thread of its own, for what blocks: syncing a disk, hashing a password. If it unwinds, it
    /// is lost.
    pub fn own_thread<E: Into<Failure>>(
        &mut self,
        name: &'static str,
        owner: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) {
        let (ended, end) = oneshot::channel::<Result<(), Failure>>();
        let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| owner().map_err(Into::into)));
            // Nobody listens only if the supervisor is gone, and then nobody cares.
            let _ = ended.send(result.unwrap_or_else(|_| Err(Panicked.into())));
        });
        self.own(name, async move {
            started?;
            end.await.unwrap_or_else(|_| Err(Panicked.into()))
        });
    }

    /// Runs until a signal, a cancelled stop, or the end of an owner; then drains within `grace`.
    pub async fn run(mut self, grace: Duration) -> Exit {
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => {
                tracing::error!(%error, "signals cannot be listened to, so the process could not be stopped");
                return Exit::OwnerLost;
            }
        };
        let mut course = Course::Running;
        let mut feedings = feedings();
        let mut grace_end: Option<Pin<Box<Sleep>>> = None;
        loop {
            let event = tokio::select! {
                () = signals.next() => Event::StopAsked,
                () = self.stop.cancelled(), if course == Course::Running => Event::StopAsked,
                Some(ended) = self.owners.join_next_with_id() => self.note_end(ended, course),
                () = end_of(grace_end.as_mut()) => Event::GraceOver,
                () = next_feeding(feedings.as_mut()) => {
                    self.feed();
                    continue;
                }
            };
            let mut next = course.handle(event);
            if next == Next::Drain {
                tracing::info!(grace_s = grace.as_secs(), "stopping: the sources stop, the rest drains");
                notify::stopping();
                self.stop.cancel();
                grace_end = Some(Box::pin(tokio::time::sleep(grace)));
            }
            if course != Course::Running && self.owners.is_empty() {
                next = course.handle(Event::AllEnded);
            }
            if let Next::Leave(exit) = next {
                self.note_leaving(exit);
                return exit;
            }
        }
    }

    fn note_end(&mut self, ended: Result<(Id, Result<(), Failure>), JoinError>, course: Course) -> Event {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result),
            // Not the error itself: it repeats the panic's message, which may hold anything.
            Err(error) => (error.id(), Err(Panicked.into())),
        };
        let owner = self.names.remove(&id).unwrap_or("unnamed");
        match result {
            Ok(()) if course == Course::Running => {
                tracing::error!(owner, "an owner ended unasked; the process ends and must be started again");
                Event::OwnerFinished
            }
            Ok(()) => {
                tracing::debug!(owner, "drained");
                Event::OwnerFinished
            }
            Err(error) => {
                let cause = chain(error.as_ref());
                tracing::error!(owner, cause, "an owner failed; the process ends and must be started again");
                Event::OwnerFailed
            }
        }
    }

    fn note_leaving(&self, exit: Exit) {
        let mut left: Vec<&str> = self.names.values().copied().collect();
        left.sort_unstable();
        if left.is_empty() {
            tracing::info!(code = exit.code(), "all owners ended");
        } else {
            tracing::error!(code = exit.code(), owners = left.join(", "), "ending with owners that did not drain");
        }
    }

    fn feed(&mut self) {
        match self.roster.feed() {
            Ok(()) => notify::watchdog(),
            Err(names) => {
                let owners = names.join(", ");
                tracing::warn!(owners, "no turn since the watchdog was last fed; it is not fed");
            }
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string does not fail.
        let _ = write!(line, ": {cause}");
        source = cause.source();
    }
    line
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn end_of(timer: Option<&mut Pin<Box<Sleep>>>) {
    match timer {
        Some(timer) => timer.await,
        None => std::future::pending().await,
    }
}

/// Twice as often as systemd asks for.
fn feedings() -> Option<Interval> {
    let mut interval = tokio::time::interval(notify::watchdog_interval()?.checked_div(2)?);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(interval)
}

async fn next_feeding(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);

    /// An owner that ends when told.
    fn obedient(supervisor: &mut Supervisor, name: &'static str) {
        let stop = supervisor.stop();
        supervisor.own(name, async move {
            stop.cancelled().await;
            Ok::<(), io::Error>(())
        });
    }

    #[tokio::test]
    async fn a_cancelled_stop_is_a_wish_to_end() {
        let mut supervisor = Supervisor::new();
        obedient(&mut supervisor, "source");
        supervisor.stop().cancel();
        assert_eq!(supervisor.run(LONG).await, Exit::Drained);
    }

    #[tokio::test]
    async fn who_does_not_drain_in_time_is_left_behind() {
        let mut supervisor = Supervisor::new();
        supervisor.own("deaf", std::future::pending::<Result<(), io::Error>>());
        supervisor.stop().cancel();
        assert_eq!(supervisor.run(SHORT).await, Exit::NotDrained);
    }

    #[tokio::test]
    async fn an_owner_that_ends_fails_or_panics_is_lost_and_the_others_still_drain() {
        for how in ["ends", "fails", "panics"] {
            let mut supervisor = Supervisor::new();
            obedient(&mut supervisor, "other");
            supervisor.own("lost", async move {
                match how {
                    "ends" => Ok(()),
                    "fails" => Err(io::Error::other("broken")),
                    _ => panic!("planned by the test"),
                }
            });
            let stop = supervisor.stop();
            assert_eq!(supervisor.run(LONG).await, Exit::OwnerLost, "{how}");
            assert!(stop.is_cancelled(), "{how}");
        }
    }

    #[tokio::test]
    async fn who_has_no_error_to_end_with_is_lost_too_when_it_ends_early() {
        let mut supervisor = Supervisor::new();
        let stop = supervisor.stop();
        supervisor.own_infallible("obedient", async move { stop.cancelled().await });
        supervisor.stop().cancel();
        assert_eq!(supervisor.run(LONG).await, Exit::Drained);

        let mut supervisor = Supervisor::new();
        supervisor.own_infallible("early", async {});
        assert_eq!(supervisor.run(LONG).await, Exit::OwnerLost);
    }

    #[tokio::test]
    async fn threads_are_owners_too() {
        let mut supervisor = Supervisor::new();
        let (close, closed) = std::sync::mpsc::channel::<()>();
        supervisor.own_thread("disk", move || {
            // Ends when the channel closes.
            let _ = closed.recv();
            Ok::<(), io::Error>(())
        });
        let stop = supervisor.stop();
        supervisor.own("before it", async move {
            stop.cancelled().await;
            drop(close);
            Ok::<(), io::Error>(())
        });
        supervisor.stop().cancel();
        assert_eq!(supervisor.run(LONG).await, Exit::Drained);

        let mut supervisor = Supervisor::new();
        supervisor.own_thread("disk", || -> Result<(), io::Error> { panic!("planned by the test") });
        assert_eq!(supervisor.run(LONG).await, Exit::OwnerLost);
    }

    #[test]
    fn an_error_is_said_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("the queue cannot be opened")]
        struct Outer(#[source] io::Error);
        let error = Outer(io::Error::other("disk full"));
        assert_eq!(chain(&error), "the queue cannot be opened: disk full");
    }
}
