//! Turns at work that takes the processor and then waits for somebody else: a place is held while it works, and none
//! while it waits.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;

/// The places that somebody needs at once, in the order they are waited for: those of fewer first, so that who shares
/// them queues among themselves.
#[derive(Debug, Clone)]
pub(crate) struct Turns<const N: usize> {
    /// The places.
    pub(crate) places: [Arc<Semaphore>; N],
    /// How long a turn may take to come, each time.
    pub(crate) wait_max: Duration,
}

/// Why there was no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoTurn {
    /// None came in time.
    TooLate,
    /// The places are closed: the process stops.
    Stopping,
}

impl<const N: usize> Turns<N> {
    /// Does the work. Each time it can go on it waits for its turn, in order of asking, and goes on until it would have
    /// to wait for something else.
    ///
    /// # Errors
    /// [`NoTurn`]
    pub(crate) async fn take<F: Future>(&self, work: F) -> Result<F::Output, NoTurn> {
        let mut work = pin!(work);
        loop {
            let places = async {
                let mut held = [const { None }; N];
                for (held, places) in held.iter_mut().zip(&self.places) {
                    *held = Some(places.acquire().await.map_err(|_| NoTurn::Stopping)?);
                }
                Ok(held)
            };
            let places = tokio::time::timeout(self.wait_max, places).await.unwrap_or(Err(NoTurn::TooLate))?;
            // Whatever the work waits for wakes this task, also if it comes while the places are given back.
            let went_on = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
            drop(places);
            if let Poll::Ready(output) = went_on {
                return Ok(output);
            }
            woken().await;
        }
    }
}

/// Until this task is woken, for whatever reason.
async fn woken() {
    let mut slept = false;
    poll_fn(|_| if std::mem::replace(&mut slept, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use std::cell::Cell;

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    fn turns(of_few: usize, of_all: usize) -> Turns<2> {
        let places = [of_few, of_all].map(|places| Arc::new(Semaphore::new(places)));
        Turns { places, wait_max: Duration::from_secs(10) }
    }

    fn free(turns: &Turns<2>) -> [usize; 2] {
        [0, 1].map(|which| turns.places[which].available_permits())
    }

    #[tokio::test]
    async fn a_place_is_held_while_it_works_and_not_while_it_waits() {
        let turns = turns(1, 1);
        let worked = Cell::new(0);
        let (say, mut said) = oneshot::channel();
        let work = poll_fn(|context| {
            assert_eq!(free(&turns), [0, 0]);
            worked.set(worked.get() + 1);
            said.poll_unpin(context)
        });
        let mut taking = Box::pin(turns.take(work));
        // Somebody else's turn: it does not work.
        let others = turns.places[1].acquire().await.unwrap();
        assert!((&mut taking).now_or_never().is_none());
        assert_eq!(worked.get(), 0);
        drop(others);
        assert!((&mut taking).now_or_never().is_none());
        assert_eq!(worked.get(), 1);
        assert_eq!(free(&turns), [1, 1], "it waits");
        say.send(7).unwrap();
        assert_eq!(taking.await, Ok(Ok(7)));
        assert_eq!(free(&turns), [1, 1]);
    }

    #[tokio::test]
    async fn it_goes_on_whenever_what_it_waits_for_comes() {
        let turns = turns(1, 1);
        let (to, mut from) = tokio::sync::mpsc::channel(1);
        let work = async {
            let mut sum = 0_u32;
            while let Some(number) = from.recv().await {
                sum = sum.saturating_add(number);
            }
            sum
        };
        let feeding = async {
            for _ in 0..1_000 {
                to.send(1_u32).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(to);
        };
        let taking = tokio::time::timeout(Duration::from_secs(10), turns.take(work));
        let (sum, ()) = tokio::join!(taking, feeding);
        assert_eq!(sum.unwrap(), Ok(1_000));
    }

    #[tokio::test]
    async fn who_gets_no_turn_in_time_is_told_so() {
        let turns = Turns { wait_max: Duration::from_millis(20), ..turns(1, 0) };
        assert_eq!(turns.take(async {}).await, Err(NoTurn::TooLate));
    }
}
