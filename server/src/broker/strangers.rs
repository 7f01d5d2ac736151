//! Connections that have not proved who they are: how many of each address, how many in all, and who goes when there
//! are too many. Pure, but for the tokens that end connections.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::limits::{HANDSHAKES_PER_ADDRESS_MAX, STRANGERS_MAX, STRANGERS_PER_ADDRESS_MAX};
use super::refusal::Refusal;

/// Bits of an IPv6 address that name a network; whoever has the network has all addresses below (RFC 4291 §2.5.1,
/// RFC 6177 §2).
const NETWORK_BITS: u32 = 64;

/// What counts as one address: an IPv4 address, also one that is written as IPv6, or the /64 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Origin(IpAddr);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (u128::BITS - NETWORK_BITS))))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// One stranger's entry in the books, to be given back by [`Strangers::forget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    origin: Origin,
    number: u64,
}

/// What a stranger was given.
#[derive(Debug)]
pub(super) struct Entered {
    /// Its entry.
    pub(super) entry: Entry,
    /// The turns of its address.
    pub(super) of_address: Arc<Semaphore>,
    /// Cancelled when it must go, so that somebody of another address can come.
    pub(super) pushed_out: CancellationToken,
}

/// All strangers, by address.
#[derive(Debug)]
pub(super) struct Strangers {
    by_origin: HashMap<Origin, OfOne>,
    in_all: usize,
    in_all_max: usize,
    last_number: u64,
}

#[derive(Debug)]
struct OfOne {
    // The oldest first.
    waiting: VecDeque<(u64, CancellationToken)>,
    handshakes: Arc<Semaphore>,
}

impl Default for OfOne {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), handshakes: Arc::new(Semaphore::new(HANDSHAKES_PER_ADDRESS_MAX)) }
    }
}

impl Default for Strangers {
    fn default() -> Self {
        Self::with_most(STRANGERS_MAX)
    }
}

impl Strangers {
    /// So many at most.
    pub(super) fn with_most(in_all_max: usize) -> Self {
        Self { by_origin: HashMap::new(), in_all: 0, in_all_max, last_number: 0 }
    }

    /// One more comes. When there are too many in all, the oldest of the address that has most goes for it, if that
    /// address has at least two more than this one's; so who comes from few addresses cannot keep others out.
    ///
    /// # Errors
    /// [`Refusal::AddressFull`], and [`Refusal::StrangersFull`] if nobody goes for it.
    pub(super) fn enter(&mut self, address: IpAddr) -> Result<Entered, Refusal> {
        let origin = Origin::from(address);
        let own = self.by_origin.get(&origin).map_or(0, |of_one| of_one.waiting.len());
        if own >= STRANGERS_PER_ADDRESS_MAX {
            return Err(Refusal::AddressFull);
        }
        if self.in_all >= self.in_all_max && !self.push_out_for(own) {
            return Err(Refusal::StrangersFull);
        }
        self.last_number = self.last_number.saturating_add(1);
        self.in_all = self.in_all.saturating_add(1);
        let entry = Entry { origin, number: self.last_number };
        let pushed_out = CancellationToken::new();
        let of_one = self.by_origin.entry(origin).or_default();
        of_one.waiting.push_back((entry.number, pushed_out.clone()));
        Ok(Entered { entry, of_address: of_one.handshakes.clone(), pushed_out })
    }

    /// Makes room for one of an address that has so many already. Whether it could.
    fn push_out_for(&mut self, own: usize) -> bool {
        let fullest = self.by_origin.iter().max_by_key(|(_, of_one)| of_one.waiting.len());
        let Some((origin, oldest)) = fullest
            .filter(|(_, of_one)| of_one.waiting.len() > own.saturating_add(1))
            .and_then(|(origin, of_one)| Some((*origin, of_one.waiting.front()?.clone())))
        else {
            return false;
        };
        let (number, pushed_out) = oldest;
        self.forget(Entry { origin, number });
        pushed_out.cancel();
        true
    }

    /// It has proved who it is, or has ended. One that is not in the books any more changes nothing.
    pub(super) fn forget(&mut self, entry: Entry) {
        let Some(of_one) = self.by_origin.get_mut(&entry.origin) else { return };
        let Ok(place) = of_one.waiting.binary_search_by_key(&entry.number, |(number, _)| *number) else { return };
        of_one.waiting.remove(place);
        self.in_all = self.in_all.saturating_sub(1);
        if of_one.waiting.is_empty() {
            self.by_origin.remove(&entry.origin);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_each_of_ipv4_is_one() {
        let origin = |text| Origin::from(address(text));
        assert_eq!(origin("2001:db8:0:1::1"), origin("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(origin("2001:db8:0:1::1"), origin("2001:db8:0:2::1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
        assert_eq!(origin("192.0.2.1"), origin("::ffff:192.0.2.1"));
        assert_ne!(origin("::ffff:192.0.2.1"), origin("::ffff:192.0.2.2"));
    }

    #[test]
    fn a_network_of_ipv6_has_the_places_of_one_address() {
        let mut strangers = Strangers::default();
        for number in 0..STRANGERS_PER_ADDRESS_MAX {
            strangers.enter(address(&format!("2001:db8::{number:x}"))).unwrap();
        }
        assert_eq!(strangers.enter(address("2001:db8::f:1")).unwrap_err(), Refusal::AddressFull);
        assert!(strangers.enter(address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn with_too_many_in_all_the_fullest_address_gives_way_and_equals_do_not() {
        let mut strangers = Strangers::with_most(4);
        let (few, many) = (address("192.0.2.1"), address("192.0.2.2"));
        let held: Vec<_> = (0..4).map(|_| strangers.enter(many).unwrap()).collect();
        let pushed = |held: &[Entered]| held.iter().map(|one| one.pushed_out.is_cancelled()).collect::<Vec<_>>();
        assert_eq!(strangers.enter(many).unwrap_err(), Refusal::StrangersFull);
        assert_eq!(pushed(&held), [false; 4]);
        let first = strangers.enter(few).unwrap();
        assert_eq!(pushed(&held), [true, false, false, false], "the oldest goes");
        let second = strangers.enter(few).unwrap();
        assert_eq!(pushed(&held), [true, true, false, false]);
        for one in [few, many] {
            assert_eq!(strangers.enter(one).unwrap_err(), Refusal::StrangersFull, "they have two each");
        }
        assert!(!first.pushed_out.is_cancelled() && !second.pushed_out.is_cancelled());
        // Who was pushed out says so later, and that frees nothing twice.
        strangers.forget(held[0].entry);
        assert_eq!(strangers.in_all, 4);
        strangers.forget(first.entry);
        strangers.forget(first.entry);
        assert_eq!(strangers.in_all, 3);
        for one in [&held[2], &held[3], &second] {
            strangers.forget(one.entry);
        }
        assert_eq!((strangers.in_all, strangers.by_origin.len()), (0, 0));
    }

    #[test]
    fn all_strangers_together_leave_ten_thousand_connections_to_hubs() {
        let mut strangers = Strangers::default();
        let refused = (0..=STRANGERS_MAX).find_map(|number| {
            let [.., high, low] = number.to_be_bytes();
            strangers.enter(IpAddr::from([10, 0, high, low])).err()
        });
        assert_eq!((refused, strangers.in_all), (Some(Refusal::StrangersFull), STRANGERS_MAX));
        assert_eq!(super::super::limits::CONNECTIONS_MAX - STRANGERS_MAX, 10_000);
    }
}
