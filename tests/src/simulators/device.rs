//! What every simulated device does: speak, and answer.

use std::time::Duration;

use super::{Bytes, Vitals};

/// A moment of a device's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Seconds of the course; faster than life where the course is played so.
    pub second: u64,
    /// How long the device has been there, in real time: a host keeps real time, however fast a course is played.
    pub elapsed: Duration,
}

/// A device at its end of a line.
pub trait Device: Send {
    /// What it says by itself in this second: frames in order, evenly spread over the second.
    fn second(&mut self, shown: &Vitals, now: Now) -> Vec<Bytes>;

    /// What it answers to these bytes of its host, at once. A device that only speaks answers nothing.
    fn hear(&mut self, _bytes: &[u8], _now: Now) -> Vec<Bytes> {
        Vec::new()
    }

    /// It was pulled and plugged in again, and so switched off and on: what its host told it is forgotten, what it keeps
    /// in its memory is not.
    fn switched_on(&mut self) {}
}

/// Gathers a host's bytes until there is a whole command.
#[derive(Debug, Default)]
pub struct Ear {
    bytes: Bytes,
}

/// Bytes kept of a host that says nothing a device knows.
const KEPT_MAX: usize = 256;

impl Ear {
    /// Takes bytes, and gives every whole command. `length` says how long the command at the front is: `Some(0)` where none
    /// begins there, `None` while that is not yet known.
    pub fn commands(&mut self, bytes: &[u8], length: impl Fn(&[u8]) -> Option<usize>) -> Vec<Bytes> {
        self.bytes.extend(bytes);
        let mut commands = Vec::new();
        while !self.bytes.is_empty() {
            match length(&self.bytes) {
                Some(0) => drop(self.bytes.remove(0)),
                Some(whole) if whole <= self.bytes.len() => commands.push(self.bytes.drain(..whole).collect()),
                Some(whole) if whole > KEPT_MAX => drop(self.bytes.remove(0)),
                _ => break,
            }
        }
        commands
    }

    /// Forgets a part of a command.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}
