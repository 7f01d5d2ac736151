//! A network that fails: a TCP proxy before one address, of which every fault is switched while it runs.
//!
//! | Fault | What happens | Way back |
//! | --- | --- | --- |
//! | [`cut`](FaultyNetwork::cut) | every connection ends, and new ones are closed at once | [`resume`](FaultyNetwork::resume) |
//! | [`stall`](FaultyNetwork::stall) | connections stay, new ones are taken, and nothing passes either way | [`resume`](FaultyNetwork::resume): what waited arrives |
//! | [`delay`](FaultyNetwork::delay) | what passes arrives later, in order | `Duration::ZERO` |
//! | [`throttle`](FaultyNetwork::throttle) | each direction of each connection moves no more octets a second; who writes faster is held back | 0 |
//! | [`reorder`](FaultyNetwork::reorder) | new connections wait a while, and then the last to come is connected through first | `Duration::ZERO` |
//! | [`corrupt`](FaultyNetwork::corrupt) | one octet in so many of a direction is another one | one in 0 |
//! | [`half_close`](FaultyNetwork::half_close) | one direction of every present connection ends and the other goes on | none: it happens once |
//!
//! [`heal`](FaultyNetwork::heal) switches everything off. Faults add up: a throttled network can be stalled. An end that
//! one side makes itself is passed on as what it is, the end of its direction.
//!
//! ```no_run
//! # fn main() -> std::io::Result<()> {
//! use tests::faulty_network::{Direction, FaultyNetwork};
//! let door = std::net::SocketAddr::from(([127, 0, 0, 1], 8883));
//! let network = FaultyNetwork::before(door)?;
//! println!("connect to {}", network.address());
//! network.throttle(2000);
//! network.corrupt(7, 10_000, Direction::Up);
//! // … what must hold in spite of it …
//! network.heal();
//! # Ok(())
//! # }
//! ```

mod faults;
mod pump;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use faults::{Corruption, Corruptor, Faults, State};
pub use faults::{Direction, Seeded};
use pump::Pump;

/// How often a pump looks whether the network's state changed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

struct Shared {
    target: SocketAddr,
    faults: Mutex<Faults>,
    ended: AtomicBool,
    accepted: AtomicU64,
    pumps: Mutex<Vec<JoinHandle<()>>>,
}

impl Shared {
    /// The faults of now; nothing once the network is taken away.
    fn now(&self) -> Option<Faults> {
        (!self.ended.load(Ordering::SeqCst)).then(|| *self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A proxy in front of one address. Dropped, it closes everything.
pub struct FaultyNetwork {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl FaultyNetwork {
    /// Listens on a free port of this machine and passes everything on to `target`.
    ///
    /// # Errors
    /// If there is no port.
    pub fn before(target: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            faults: Mutex::default(),
            ended: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            pumps: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&listener, &serving));
        Ok(Self { address, shared, listener: Some(thread) })
    }

    fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and takes none.
    pub fn cut(&self) {
        self.set(|faults| faults.state = State::Cut);
    }

    /// Lets nothing pass, without ending anything.
    pub fn stall(&self) {
        self.set(|faults| faults.state = State::Stalled);
    }

    /// Is neither cut nor stalled any more; the other faults stay.
    pub fn resume(&self) {
        self.set(|faults| faults.state = State::Open);
    }

    /// What passes arrives so much later.
    pub fn delay(&self, delay: Duration) {
        self.set(|faults| faults.delay = delay);
    }

    /// No more octets a second pass, in each direction of each connection. 0 is no limit.
    pub fn throttle(&self, bytes_per_s: u64) {
        self.set(|faults| faults.throttle_bytes_per_s = bytes_per_s);
    }

    /// New connections wait until the first of them has waited so long; then the last to come is connected through
    /// first. What they write meanwhile waits with them. `Duration::ZERO` connects each at once, and what waits too.
    pub fn reorder(&self, within: Duration) {
        self.set(|faults| faults.reorder = within);
    }

    /// One octet in `one_in`, on average, is another one in this direction; 0 changes none. The same octets are hit for
    /// the same seed, connection (by its number) and place after the switch.
    pub fn corrupt(&self, seed: u64, one_in: u64, direction: Direction) {
        self.set(|faults| faults.corruption[direction.place()] = Corruption { seed, one_in });
    }

    /// Ends this direction of every connection there is now: who reads sees its end, and what is written into it is
    /// taken and arrives nowhere. The other direction goes on. Connections taken later are whole.
    pub fn half_close(&self, direction: Direction) {
        self.set(|faults| faults.half_closes[direction.place()] += 1);
    }

    /// Ends every fault. Directions that were ended stay so.
    pub fn heal(&self) {
        self.set(|faults| *faults = Faults { half_closes: faults.half_closes, ..Faults::default() });
    }

    /// Connections taken so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for FaultyNetwork {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = self.listener.take().map(JoinHandle::join);
        let pumps = std::mem::take(&mut *self.shared.pumps.lock().unwrap_or_else(PoisonError::into_inner));
        for pump in pumps {
            let _ = pump.join();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    // Connections that wait for later ones; a test makes few of them.
    let mut waiting: Vec<(TcpStream, Instant)> = Vec::new();
    while let Some(faults) = shared.now() {
        match listener.accept() {
            Ok((near, _)) if faults.state != State::Cut => waiting.push((near, Instant::now())),
            Ok(_) => {}
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
        if faults.state == State::Cut {
            waiting.clear();
        }
        if waiting.first().is_some_and(|(_, since)| since.elapsed() >= faults.reorder) {
            for (near, _) in waiting.drain(..).rev() {
                let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                // A server that is down refuses; so does this.
                let Ok(far) = TcpStream::connect(shared.target) else { continue };
                let _ = connect(near, far, number, shared);
            }
        }
    }
}

fn connect(near: TcpStream, far: TcpStream, number: u64, shared: &Arc<Shared>) -> std::io::Result<()> {
    for stream in [&near, &far] {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK_EVERY))?;
    }
    let Some(faults) = shared.now() else { return Ok(()) };
    let ways = [(Direction::Up, near.try_clone()?, far.try_clone()?), (Direction::Down, far, near)];
    let mut pumps = shared.pumps.lock().unwrap_or_else(PoisonError::into_inner);
    pumps.retain(|pump| !pump.is_finished());
    for (direction, from, to) in ways {
        let corruptor = Corruptor::new(number, direction);
        let pump = Pump { from, to, direction, corruptor, half_closes: faults.half_closes[direction.place()] };
        let shared = Arc::clone(shared);
        pumps.push(std::thread::spawn(move || pump.run(&shared)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const SOON: Duration = Duration::from_millis(300);

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn echo() -> SocketAddr {
        let (listener, address) = listener();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = (&stream).read(&mut buffer) {
                        let _ = (&stream).write_all(&buffer[..count]);
                    }
                });
            }
        });
        address
    }

    /// Tells the first octet of each connection in the order in which they come.
    fn first_octets() -> (SocketAddr, Receiver<u8>) {
        let (listener, address) = listener();
        let (told, heard) = channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut octet = [0];
                stream.read_exact(&mut octet).unwrap();
                let _ = told.send(octet[0]);
            }
        });
        (address, heard)
    }

    fn client(network: &FaultyNetwork) -> TcpStream {
        let stream = TcpStream::connect(network.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    fn passes(mut stream: &TcpStream) -> bool {
        let mut byte = [0];
        stream.write_all(b"x").is_ok() && matches!(stream.read(&mut byte), Ok(1))
    }

    /// Sends so many zeros, ends its direction and returns what came back and how long it took.
    fn there_and_back(network: &FaultyNetwork, count: usize) -> (Vec<u8>, Duration) {
        let mut stream = client(network);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let begin = Instant::now();
        stream.write_all(&vec![0; count]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        (back, begin.elapsed())
    }

    #[test]
    fn each_fault_and_the_way_back() {
        let network = FaultyNetwork::before(echo()).unwrap();
        let stream = client(&network);
        assert!(passes(&stream));
        network.stall();
        std::thread::sleep(LOOK_EVERY * 3);
        assert!(!passes(&stream));
        network.resume();
        let mut byte = [0];
        assert_eq!((&stream).read(&mut byte).unwrap(), 1, "what was stalled arrives");
        network.cut();
        assert!(matches!((&stream).read(&mut byte), Ok(0) | Err(_)));
        assert!(!passes(&client(&network)));
        network.resume();
        assert!(passes(&client(&network)));
    }

    #[test]
    fn a_throttled_network_is_as_slow_as_said_and_loses_nothing() {
        let network = FaultyNetwork::before(echo()).unwrap();
        network.throttle(20_000);
        let (back, took) = there_and_back(&network, 20_000);
        assert_eq!(back.len(), 20_000);
        assert!(took >= Duration::from_millis(900), "{took:?}");
        network.heal();
        let (back, took) = there_and_back(&network, 20_000);
        assert_eq!(back.len(), 20_000);
        assert!(took < Duration::from_millis(900), "{took:?}");
    }

    #[test]
    fn of_several_new_connections_the_last_is_connected_through_first() {
        let (target, heard) = first_octets();
        let network = FaultyNetwork::before(target).unwrap();
        let in_order = |reordered: bool| {
            network.reorder(if reordered { SOON } else { Duration::ZERO });
            let kept: Vec<_> = (1..=3_u8)
                .map(|number| {
                    let mut stream = client(&network);
                    stream.write_all(&[number]).unwrap();
                    std::thread::sleep(LOOK_EVERY * 2);
                    stream
                })
                .collect();
            let octets: Vec<u8> = heard.iter().take(kept.len()).collect();
            octets
        };
        assert_eq!(in_order(false), [1, 2, 3]);
        assert_eq!(in_order(true), [3, 2, 1]);
        assert_eq!(in_order(false), [1, 2, 3]);
    }

    #[test]
    fn octets_are_changed_in_one_direction_and_then_no_more() {
        let network = FaultyNetwork::before(echo()).unwrap();
        let changed = || there_and_back(&network, 100_000).0.iter().filter(|octet| **octet != 0).count();
        assert_eq!(changed(), 0);
        for direction in Direction::BOTH {
            network.corrupt(3, 1000, direction);
            let count = changed();
            assert!((50..200).contains(&count), "{count} of 100000 in {direction:?}, one in 1000");
            network.heal();
            assert_eq!(changed(), 0);
        }
    }

    #[test]
    fn one_direction_ends_and_the_other_goes_on() {
        let (listener, address) = listener();
        let network = FaultyNetwork::before(address).unwrap();
        let near = client(&network);
        let far = listener.accept().unwrap().0;
        far.set_read_timeout(Some(SOON)).unwrap();
        let mut octet = [0];
        assert_eq!((&far).read(&mut octet).unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "no end yet");
        network.half_close(Direction::Up);
        assert_eq!((&far).read(&mut octet).unwrap(), 0, "the end");
        (&near).write_all(b"nobody reads this").unwrap();
        (&far).write_all(b"x").unwrap();
        (&near).read_exact(&mut octet).unwrap();
        assert_eq!(&octet, b"x");
        // Connections that come later are whole.
        let near = client(&network);
        let far = listener.accept().unwrap().0;
        (&near).write_all(b"y").unwrap();
        (&far).read_exact(&mut octet).unwrap();
        assert_eq!(&octet, b"y");
        network.half_close(Direction::Down);
        assert_eq!((&near).read(&mut octet).unwrap(), 0);
    }
}
