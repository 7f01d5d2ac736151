//! One direction of one connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::faults::{Corruptor, Direction, Faults, State};
use super::{LOOK_EVERY, Shared};

/// Octets moved at a time.
const BUFFER_BYTES: usize = 16 * 1024;
/// A throttled direction moves what fits in such a part of a second.
const THROTTLED_PARTS_PER_S: u64 = 20;

/// How a direction ended.
enum End {
    /// Who wrote has ended its own direction: that is passed on, and the other direction lives.
    OfDirection,
    /// The connection is over.
    OfConnection,
}

/// One direction of one connection.
pub(super) struct Pump {
    pub(super) from: TcpStream,
    pub(super) to: TcpStream,
    pub(super) direction: Direction,
    pub(super) corruptor: Corruptor,
    /// How often this direction had been ended when the connection was taken.
    pub(super) half_closes: u64,
}

impl Pump {
    /// Moves octets until an end.
    pub(super) fn run(mut self, shared: &Shared) {
        match self.moved(shared) {
            End::OfDirection => {
                let _ = self.to.shutdown(Shutdown::Write);
            }
            End::OfConnection => {
                for stream in [&self.from, &self.to] {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
        }
    }

    fn moved(&mut self, shared: &Shared) -> End {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut is_ended = false;
        while let Some(faults) = going_on(shared) {
            if !is_ended && faults.half_closes[self.direction.place()] != self.half_closes {
                let _ = self.to.shutdown(Shutdown::Write);
                is_ended = true;
            }
            let room = match faults.throttle_bytes_per_s {
                0 => BUFFER_BYTES,
                rate => {
                    usize::try_from(rate / THROTTLED_PARTS_PER_S).map_or(BUFFER_BYTES, |n| n.clamp(1, BUFFER_BYTES))
                }
            };
            match self.from.read(&mut buffer[..room]) {
                Ok(0) => return End::OfDirection,
                // Taken, as the kernel takes it, and seen by nobody.
                Ok(_) if is_ended => {}
                Ok(count) => {
                    if !self.passed_on(&mut buffer[..count], faults, shared) {
                        return End::OfConnection;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return End::OfConnection,
            }
        }
        End::OfConnection
    }

    /// Late, slow and changed, as the faults are. `false` ends the connection.
    fn passed_on(&mut self, octets: &mut [u8], faults: Faults, shared: &Shared) -> bool {
        std::thread::sleep(faults.delay);
        // What was read when the network stalled waits with it.
        let Some(now) = going_on(shared) else { return false };
        self.corruptor.pass(octets, now.corruption[self.direction.place()]);
        if self.to.write_all(octets).is_err() {
            return false;
        }
        let count = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        let Some(takes_us) = count.saturating_mul(1_000_000).checked_div(faults.throttle_bytes_per_s) else {
            return true;
        };
        let (begin, takes) = (Instant::now(), Duration::from_micros(takes_us));
        while let Some(left) = takes.checked_sub(begin.elapsed()) {
            std::thread::sleep(left.min(LOOK_EVERY));
            match shared.now() {
                Some(now) if now.throttle_bytes_per_s == faults.throttle_bytes_per_s => {}
                _ => break,
            }
        }
        true
    }
}

/// Waits out a stall; nothing if connections are to end.
fn going_on(shared: &Shared) -> Option<Faults> {
    loop {
        let faults = shared.now()?;
        match faults.state {
            State::Open => return Some(faults),
            State::Cut => return None,
            State::Stalled => std::thread::sleep(LOOK_EVERY),
        }
    }
}
