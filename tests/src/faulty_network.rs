//! A network that fails: a TCP proxy that can cut, stall and delay what passes.
//!
//! - *cut*: every connection ends, and new ones are closed at once;
//! - *stalled*: connections stay and new ones are taken, and nothing passes either way;
//! - *delay*: what passes arrives later, in order.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const OPEN: u8 = 0;
const CUT: u8 = 1;
const STALLED: u8 = 2;

/// How often a pump looks whether the network's state changed.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Octets moved at a time.
const BUFFER_BYTES: usize = 16 * 1024;

struct Shared {
    target: SocketAddr,
    state: AtomicU8,
    delay_ms: AtomicU64,
    ended: AtomicBool,
    accepted: AtomicU64,
    pumps: Mutex<Vec<JoinHandle<()>>>,
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
            state: AtomicU8::new(OPEN),
            delay_ms: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            pumps: Mutex::new(Vec::new()),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&listener, &serving));
        Ok(Self { address, shared, listener: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and takes none.
    pub fn cut(&self) {
        self.shared.state.store(CUT, Ordering::SeqCst);
    }

    /// Lets nothing pass, without ending anything.
    pub fn stall(&self) {
        self.shared.state.store(STALLED, Ordering::SeqCst);
    }

    /// Works again.
    pub fn resume(&self) {
        self.shared.state.store(OPEN, Ordering::SeqCst);
    }

    /// What passes arrives so much later.
    pub fn delay(&self, delay: Duration) {
        self.shared.delay_ms.store(delay.as_millis().try_into().unwrap_or(u64::MAX), Ordering::SeqCst);
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
    while !shared.ended.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((near, _)) if shared.state.load(Ordering::SeqCst) != CUT => {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                // A server that is down refuses; so does this.
                let Ok(far) = TcpStream::connect(shared.target) else { continue };
                let _ = connect(near, far, shared);
            }
            Ok(_) => {}
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

fn connect(near: TcpStream, far: TcpStream, shared: &Arc<Shared>) -> std::io::Result<()> {
    for stream in [&near, &far] {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK_EVERY))?;
    }
    let ways = [(near.try_clone()?, far.try_clone()?), (far, near)];
    let mut pumps = shared.pumps.lock().unwrap_or_else(PoisonError::into_inner);
    pumps.retain(|pump| !pump.is_finished());
    for (from, to) in ways {
        let shared = Arc::clone(shared);
        pumps.push(std::thread::spawn(move || {
            pump(&from, &to, &shared);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        }));
    }
    Ok(())
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        match shared.state.load(Ordering::SeqCst) {
            CUT => return,
            STALLED => {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            _ => {}
        }
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                std::thread::sleep(Duration::from_millis(shared.delay_ms.load(Ordering::SeqCst)));
                // What was read when the network stalled waits with it.
                while shared.state.load(Ordering::SeqCst) == STALLED && !shared.ended.load(Ordering::SeqCst) {
                    std::thread::sleep(LOOK_EVERY);
                }
                if shared.state.load(Ordering::SeqCst) == CUT || to.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut buffer = [0; 64];
                    while let Ok(count @ 1..) = (&stream).read(&mut buffer) {
                        let _ = (&stream).write_all(&buffer[..count]);
                    }
                });
            }
        });
        address
    }

    fn client(network: &FaultyNetwork) -> TcpStream {
        let stream = TcpStream::connect(network.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream
    }

    fn passes(mut stream: &TcpStream) -> bool {
        let mut byte = [0];
        stream.write_all(b"x").is_ok() && matches!(stream.read(&mut byte), Ok(1))
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
}
