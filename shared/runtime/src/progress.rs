//! How an owner shows that it is alive, and how the supervisor sees who stands still.

use std::future::Future;

use tokio::sync::watch;

/// What an owner last said of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Standing {
    turns: u64,
    waiting: Option<&'static str>,
}

/// An owner's hand to the watchdog. One that stands still without a reason stops the feeding, and systemd restarts
/// the process; so each owner completes a turn, or says what it waits for outside the process, at least every few
/// seconds. When it is dropped, the owner is no longer watched.
#[derive(Debug)]
pub struct Progress {
    sender: watch::Sender<Standing>,
}

impl Progress {
    /// A turn is complete.
    pub fn turn(&self) {
        self.sender.send_modify(|standing| {
            standing.turns = standing.turns.wrapping_add(1);
            standing.waiting = None;
        });
    }

    /// From now until the next turn it waits for something outside the process: "network", "device", "patient".
    pub fn waiting(&self, what: &'static str) {
        self.sender.send_modify(|standing| standing.waiting = Some(what));
    }

    /// Waits for a future that depends on something outside the process; its end is a turn.
    pub async fn while_waiting<F: Future>(&self, what: &'static str, future: F) -> F::Output {
        self.waiting(what);
        let output = future.await;
        self.turn();
        output
    }
}

#[derive(Debug)]
struct Watched {
    name: &'static str,
    standing: watch::Receiver<Standing>,
    turns_fed: u64,
}

/// Everyone who is watched.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    watched: Vec<Watched>,
}

impl Roster {
    /// Watches one more.
    pub(crate) fn add(&mut self, name: &'static str) -> Progress {
        let (sender, standing) = watch::channel(Standing::default());
        self.watched.push(Watched { name, standing, turns_fed: 0 });
        Progress { sender }
    }

    /// Whether the watchdog may be fed: everyone made a turn since it was last fed or waits for something outside.
    /// Otherwise the names of those who stand still; then nothing counts as fed.
    pub(crate) fn feed(&mut self) -> Result<(), Vec<&'static str>> {
        // A closed channel: the owner ended, which the supervisor learns from its task.
        self.watched.retain(|watched| watched.standing.has_changed().is_ok());
        let still = |watched: &&Watched| {
            let standing = *watched.standing.borrow();
            standing.waiting.is_none() && standing.turns == watched.turns_fed
        };
        let names: Vec<&'static str> = self.watched.iter().filter(still).map(|watched| watched.name).collect();
        if !names.is_empty() {
            return Err(names);
        }
        for watched in &mut self.watched {
            watched.turns_fed = watched.standing.borrow().turns;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_owner_must_turn_between_two_feedings() {
        let mut roster = Roster::default();
        let (queue, uplink) = (roster.add("queue"), roster.add("uplink"));
        assert_eq!(roster.feed(), Err(vec!["queue", "uplink"]));
        queue.turn();
        assert_eq!(roster.feed(), Err(vec!["uplink"]));
        uplink.turn();
        assert_eq!(roster.feed(), Ok(()), "the queue's turn still counts: nothing was fed since");
        assert_eq!(roster.feed(), Err(vec!["queue", "uplink"]));
    }

    #[test]
    fn waiting_outside_counts_until_the_next_turn() {
        let mut roster = Roster::default();
        let uplink = roster.add("uplink");
        uplink.waiting("network");
        assert_eq!((roster.feed(), roster.feed()), (Ok(()), Ok(())));
        uplink.turn();
        assert_eq!(roster.feed(), Ok(()));
        assert_eq!(roster.feed(), Err(vec!["uplink"]));
    }

    #[test]
    fn who_ended_is_not_watched() {
        let mut roster = Roster::default();
        drop(roster.add("intake"));
        assert_eq!(roster.feed(), Ok(()));
    }

    #[tokio::test]
    async fn the_end_of_a_wait_is_a_turn() {
        let mut roster = Roster::default();
        let device = roster.add("device");
        assert_eq!(device.while_waiting("device", async { 5 }).await, 5);
        assert_eq!(roster.feed(), Ok(()));
        assert_eq!(roster.feed(), Err(vec!["device"]));
    }
}
