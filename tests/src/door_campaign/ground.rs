//! What all attackers share: the way to the door, and what became of each case.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::case::{CLASSES, Class};
use super::draw::Draw;
use crate::door_client::dial;
use crate::door_counts::DoorCounts;

/// Connections opened that the door has not accepted yet, as far as is known. A further one waits: beyond 1,024 the
/// kernel would let some fall that their client takes for open, and nothing could be counted.
const UNACCEPTED_MAX: u64 = 800;
/// How long the door may take to close a connection: TLS with its turns, and CONNECT, have 15 s together.
pub const CLOSED_WITHIN: Duration = Duration::from_secs(40);
/// Complaints kept. Further ones are counted only.
const COMPLAINTS_MAX: usize = 20;

/// The way to the door, and what is counted on it.
#[derive(Debug)]
pub struct Ground {
    /// The door.
    pub door: SocketAddr,
    /// Where its counts are.
    pub metrics: SocketAddr,
    opened: AtomicU64,
    accepted: AtomicU64,
    asking: tokio::sync::Mutex<()>,
    done: [AtomicU64; CLASSES],
    expected: Mutex<BTreeMap<&'static str, u64>>,
    complaints: Mutex<Vec<String>>,
    complained: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ground {
    /// Of a running server.
    #[must_use]
    pub fn new(door: SocketAddr, metrics: SocketAddr) -> Self {
        Self {
            door,
            metrics,
            opened: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            asking: tokio::sync::Mutex::new(()),
            done: [const { AtomicU64::new(0) }; CLASSES],
            expected: Mutex::default(),
            complaints: Mutex::default(),
            complained: AtomicU64::new(0),
        }
    }

    /// Opens a connection and counts it.
    ///
    /// # Errors
    /// The system's.
    pub async fn dial(&self, from: Option<IpAddr>) -> io::Result<TcpStream> {
        while self.is_too_far_ahead() {
            let _turn = self.asking.lock().await;
            if self.is_too_far_ahead() {
                let metrics = self.metrics;
                let counts = tokio::task::spawn_blocking(move || DoorCounts::read(metrics)).await?;
                self.accepted.store(counts.map_err(io::Error::other)?.accepted, Relaxed);
            }
        }
        self.opened.fetch_add(1, Relaxed);
        let dialled = dial(self.door, from).await;
        if let Err(error) = &dialled {
            self.opened.fetch_sub(1, Relaxed);
            self.complain(format!("a connection could not be opened: {error}"));
        }
        dialled
    }

    fn is_too_far_ahead(&self) -> bool {
        self.opened.load(Relaxed) >= self.accepted.load(Relaxed) + UNACCEPTED_MAX
    }

    /// Connections opened so far.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    /// A case is over.
    pub fn done(&self, class: Class) {
        if let Some(count) = self.done.get(class.place()) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Cases that are over, of a class.
    #[must_use]
    pub fn count(&self, class: Class) -> u64 {
        self.done.get(class.place()).map_or(0, |count| count.load(Relaxed))
    }

    /// The door must count so many refusals for this reason, or more.
    pub fn expect(&self, reason: &'static str, count: u64) {
        *locked(&self.expected).entry(reason).or_insert(0) += count;
    }

    /// The least the door must have counted, by reason.
    #[must_use]
    pub fn expected(&self) -> BTreeMap<&'static str, u64> {
        locked(&self.expected).clone()
    }

    /// Something was not as it must be.
    pub fn complain(&self, what: String) {
        self.complained.fetch_add(1, Relaxed);
        let mut complaints = locked(&self.complaints);
        if complaints.len() < COMPLAINTS_MAX {
            complaints.push(what);
        }
    }

    /// How often something was not as it must be.
    #[must_use]
    pub fn complained(&self) -> u64 {
        self.complained.load(Relaxed)
    }

    /// What was not as it must be, and how often in all.
    #[must_use]
    pub fn complaints(&self) -> (Vec<String>, u64) {
        (locked(&self.complaints).clone(), self.complained())
    }

    /// Reads until the door closes. Whether it did in time.
    pub async fn is_closed(&self, class: Class, socket: &mut TcpStream) -> bool {
        let mut answer = [0; 512];
        let closing = async { while matches!(socket.read(&mut answer).await, Ok(count) if count > 0) {} };
        let closed = tokio::time::timeout(CLOSED_WITHIN, closing).await.is_ok();
        if !closed {
            self.complain(format!("{class:?}: the door did not close within {} s", CLOSED_WITHIN.as_secs()));
        }
        closed
    }
}

/// An address that strangers come from: half of them of a few, the others of anywhere in 127.0.0.0/8.
pub fn address(draw: &mut Draw) -> IpAddr {
    let [a, b, c, ..] = draw.number().to_le_bytes();
    // 127.0.*: the honest hubs; 127.255.*: broadcast.
    if draw.once_in(2) {
        IpAddr::V4(Ipv4Addr::new(127, 1, 1, 1 + c % 32))
    } else {
        IpAddr::V4(Ipv4Addr::new(127, 2 + a % 250, b, 1 + c % 250))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_complaints_and_expectations_are_counted() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let ground = Ground::new(nowhere, nowhere);
        ground.done(Class::Ping);
        ground.expect("tls", 2);
        ground.expect("tls", 1);
        (0..30).for_each(|number| ground.complain(format!("{number}")));
        assert_eq!((ground.count(Class::Ping), ground.count(Class::Odd)), (1, 0));
        assert_eq!(ground.expected().get("tls"), Some(&3));
        assert_eq!((ground.complaints().0.len(), ground.complaints().1), (COMPLAINTS_MAX, 30));
    }

    #[test]
    fn strangers_come_from_many_addresses() {
        let from: std::collections::BTreeSet<IpAddr> = (0..1_000).map(|n| address(&mut Draw::new(1, n))).collect();
        assert!(from.len() > 400 && from.iter().all(IpAddr::is_loopback), "{}", from.len());
    }
}
