//! One seat for each hub: a newer session takes it when the older one has ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use shared::id::HubId;
use shared::time::Tick;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::limits::TAKE_OVER_MAX;
use super::mailbox::Mailbox;
use super::pace::{Pace, Paces};
use super::refusal::Refusal;
use super::tls::Shown;

/// Who sits at the door, and how fast those come and talk who sat there of late. Private to the broker; as many seats
/// as connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roster(Arc<Mutex<Seats>>);

#[derive(Debug, Default)]
struct Seats {
    by_hub: HashMap<HubId, Place>,
    last_number: u64,
    paces: Paces,
    // The last that was shown: most hubs' certificates have the same ones above them.
    last_shown: Option<Shown>,
}

#[derive(Debug)]
struct Place {
    // One sits at a time, in the order they came.
    chair: Arc<Semaphore>,
    // How many sit or wait. The place is kept for as long as one does, also when those who came last have given up:
    // whoever comes next waits for the same chair.
    present: usize,
    // The newest that came and has not given up.
    newest: Option<Holder>,
}

impl Default for Place {
    fn default() -> Self {
        Self { chair: Arc::new(Semaphore::new(1)), present: 0, newest: None }
    }
}

#[derive(Debug)]
struct Holder {
    number: u64,
    asked_to_leave: CancellationToken,
    why: Arc<Mutex<Refusal>>,
    // Where its messages go, once it listens.
    mailbox: Option<Mailbox>,
    // What it showed, once it sits.
    shown: Option<Shown>,
}

/// A hub's seat. Dropped, it is free.
#[derive(Debug)]
pub(crate) struct Seat {
    roster: Roster,
    hub: HubId,
    number: u64,
    asked_to_leave: CancellationToken,
    why: Arc<Mutex<Refusal>>,
    // How fast the hub talks, once the older session has gone: the pace goes from seat to seat.
    pace: Option<Pace>,
    // Once it sits.
    sitting: Option<OwnedSemaphorePermit>,
}

impl Holder {
    fn ask_to_leave(&self, reason: Refusal) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        self.asked_to_leave.cancel();
    }
}

impl Seats {
    fn newest(&self, hub: HubId) -> Option<&Holder> {
        self.by_hub.get(&hub)?.newest.as_ref()
    }

    /// The seat's, unless a newer one came.
    fn own(&mut self, seat: &Seat) -> Option<&mut Holder> {
        let newest = self.by_hub.get_mut(&seat.hub)?.newest.as_mut();
        newest.filter(|holder| holder.number == seat.number)
    }
}

impl Roster {
    fn seats<R>(&self, look: impl FnOnce(&mut Seats) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection proved to be the hub's, which may not come too often.
    ///
    /// # Errors
    /// [`Refusal::ConnectsTooFast`], [`Refusal::Full`]
    pub(crate) fn connect(&self, hub: HubId, now: Tick) -> Result<(), Refusal> {
        self.seats(|seats| seats.paces.connect(hub, now))
    }

    /// Takes the hub's seat; asks whoever holds it to leave, and waits until they have. Two sessions of a hub never sit
    /// at once, so what an older one says of the hub's coming and going is said before the newer one's. May be dropped
    /// half-way.
    ///
    /// # Errors
    /// [`Refusal::OlderSessionStuck`] after [`TAKE_OVER_MAX`]; the older one keeps the seat until it ends.
    pub(crate) async fn take(&self, hub: HubId) -> Result<Seat, Refusal> {
        let asked_to_leave = CancellationToken::new();
        let why = Arc::new(Mutex::new(Refusal::TakenOver));
        let (number, chair) = self.seats(|seats| {
            seats.last_number = seats.last_number.saturating_add(1);
            let number = seats.last_number;
            let place = seats.by_hub.entry(hub).or_default();
            place.present = place.present.saturating_add(1);
            let (asked_to_leave, why) = (asked_to_leave.clone(), why.clone());
            let older = place.newest.replace(Holder { number, asked_to_leave, why, mailbox: None, shown: None });
            if let Some(older) = older {
                older.asked_to_leave.cancel();
            }
            (number, place.chair.clone())
        });
        let roster = self.clone();
        let mut seat = Seat { roster, hub, number, asked_to_leave, why, pace: None, sitting: None };
        let sitting = tokio::time::timeout(TAKE_OVER_MAX, chair.acquire_owned()).await;
        seat.sitting = Some(sitting.map_err(|_| Refusal::OlderSessionStuck)?.map_err(|_| Refusal::Stopping)?);
        seat.pace = Some(self.seats(|seats| seats.paces.of(hub)));
        Ok(seat)
    }

    /// Asks the hub's session to leave. Whether there was one.
    pub(crate) fn ask_to_leave(&self, hub: HubId, reason: Refusal) -> bool {
        self.seats(|seats| {
            let holder = seats.newest(hub);
            holder.map(|holder| holder.ask_to_leave(reason)).is_some()
        })
    }

    /// The sessions and what they showed.
    pub(crate) fn shown(&self) -> Vec<(HubId, u64, Shown)> {
        self.seats(|seats| {
            let shown = |(hub, place): (&HubId, &Place)| {
                let holder = place.newest.as_ref()?;
                Some((*hub, holder.number, holder.shown.clone()?))
            };
            seats.by_hub.iter().filter_map(shown).collect()
        })
    }

    /// Asks this session of the hub to leave. Whether it is here.
    pub(crate) fn ask_session_to_leave(&self, hub: HubId, number: u64, reason: Refusal) -> bool {
        self.seats(|seats| {
            let holder = seats.newest(hub).filter(|holder| holder.number == number);
            holder.map(|holder| holder.ask_to_leave(reason)).is_some()
        })
    }

    /// Whether the hub is here and listens for messages.
    pub(crate) fn is_subscribed(&self, hub: HubId) -> bool {
        self.mailbox(hub).is_some()
    }

    /// Where the hub's messages go, if it is here and listens.
    pub(crate) fn mailbox(&self, hub: HubId) -> Option<Mailbox> {
        self.seats(|seats| seats.newest(hub).and_then(|holder| holder.mailbox.clone()))
    }

    /// How many are here.
    pub(crate) fn len(&self) -> usize {
        self.seats(|seats| seats.by_hub.len())
    }
}

impl Seat {
    /// What the session showed, so that it can be looked at again.
    pub(crate) fn showed(&self, shown: Shown) {
        self.roster.seats(|seats| {
            let shown = match &seats.last_shown {
                Some(last) => shown.sharing(last),
                None => shown,
            };
            seats.last_shown = Some(shown.clone());
            if let Some(holder) = seats.own(self) {
                holder.shown = Some(shown);
            }
        });
    }

    /// A message of the hub came, of so many octets.
    pub(crate) fn spend(&mut self, bytes: usize, now: Tick) {
        self.pace.get_or_insert_default().spend(bytes, now);
    }

    /// When the hub's next message may be read; `None` is now.
    pub(crate) fn wait_until(&self, now: Tick) -> Option<Tick> {
        self.pace.and_then(|pace| pace.wait_until(now))
    }

    /// Resolves when the session is asked to leave, with the reason.
    pub(crate) async fn asked_to_leave(&self) -> Refusal {
        self.asked_to_leave.cancelled().await;
        *self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub listens from now on. A newer session of it may have its seat already: then nothing comes any more.
    pub(crate) fn subscribed(&self) -> Mailbox {
        let mailbox = Mailbox::default();
        self.roster.seats(|seats| {
            if let Some(holder) = seats.own(self) {
                holder.mailbox = Some(mailbox.clone());
            }
        });
        mailbox
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.roster.seats(|seats| {
            if let Some(pace) = self.pace {
                seats.paces.keep(self.hub, pace);
            }
            let Some(place) = seats.by_hub.get_mut(&self.hub) else { return };
            place.newest.take_if(|holder| holder.number == self.number);
            place.present = place.present.saturating_sub(1);
            if place.present == 0 {
                seats.by_hub.remove(&self.hub);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const NOW: Tick = Tick::from_millis(1_000_000);
    const HUB: HubId = HubId::from_bytes([1; 16]);

    #[tokio::test]
    async fn the_newest_sits_when_all_older_have_gone() {
        let roster = Roster::default();
        let first = roster.take(HUB).await.unwrap();
        first.subscribed();
        assert!(roster.is_subscribed(HUB));
        let mut second = Box::pin(roster.take(HUB));
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(first.asked_to_leave().await, Refusal::TakenOver);
        assert!(!roster.is_subscribed(HUB));
        let mut third = Box::pin(roster.take(HUB));
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        let second = second.await.unwrap();
        assert_eq!(second.asked_to_leave().await, Refusal::TakenOver);
        assert!((&mut third).now_or_never().is_none());
        drop(second);
        let third = third.await.unwrap();
        assert_eq!(roster.len(), 1);
        assert!(roster.ask_to_leave(HUB, Refusal::Revoked));
        assert_eq!(third.asked_to_leave().await, Refusal::Revoked);
        drop(third);
        assert_eq!(roster.len(), 0);
        assert!(!roster.ask_to_leave(HUB, Refusal::Revoked));
    }

    #[tokio::test]
    async fn who_does_not_end_keeps_the_seat_from_all_that_come() {
        let roster = Roster::default();
        let stuck = roster.take(HUB).await.unwrap();
        stuck.subscribed();
        for _ in 0..3 {
            // As when the time for it to end is over: each gives up, and it is here still.
            let mut waits = Box::pin(roster.take(HUB));
            assert!((&mut waits).now_or_never().is_none());
            drop(waits);
            assert_eq!((roster.len(), roster.is_subscribed(HUB)), (1, false));
        }
        let mut next = Box::pin(roster.take(HUB));
        assert!((&mut next).now_or_never().is_none(), "it would sit beside the stuck one");
        drop(stuck);
        let next = next.await.unwrap();
        assert_eq!(roster.len(), 1);
        assert!(next.asked_to_leave().now_or_never().is_none());
        drop(next);
        assert_eq!(roster.len(), 0, "nothing stays behind");
    }

    #[tokio::test]
    async fn the_pace_goes_from_seat_to_seat() {
        let roster = Roster::default();
        roster.connect(HUB, NOW).unwrap();
        let mut first = roster.take(HUB).await.unwrap();
        while first.wait_until(NOW).is_none() {
            first.spend(1, NOW);
        }
        let mut second = Box::pin(roster.take(HUB));
        assert!((&mut second).now_or_never().is_none());
        // It talks on while the newer one waits.
        first.spend(1, NOW);
        let owed = first.wait_until(NOW);
        drop(first);
        let second = second.await.unwrap();
        assert_eq!(second.wait_until(NOW), owed);
        drop(second);
        assert_eq!(roster.take(HUB).await.unwrap().wait_until(NOW), owed);
        let other = roster.take(HubId::from_bytes([2; 16])).await.unwrap();
        assert_eq!(other.wait_until(NOW), None);
    }
}
