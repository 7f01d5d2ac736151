//! The device's end of a line that is opened, closed, pulled and plugged in again.

use std::time::{Duration, Instant};

use super::port::{Port, Sent};

/// How long a port must be open before the device speaks: its host sets the line first.
pub(super) const SETTLES_WITHIN: Duration = Duration::from_millis(100);
/// How soon a full line is tried again.
const ROOM_EVERY: Duration = Duration::from_millis(2);

/// The device's end of its line, and who has it open.
pub(super) struct Line {
    pub(super) port: Port,
    /// Since when somebody has it open.
    pub(super) opened: Option<Instant>,
    pub(super) opening: u32,
    pub(super) replug_at: Option<Instant>,
    pub(super) waits: bool,
}

impl Line {
    /// Looks who has it open, and puts the plug back when it is time. Returns whether it was put back.
    pub(super) fn look(&mut self) -> bool {
        let is_time = self.replug_at.is_some_and(|at| Instant::now() >= at);
        if is_time {
            self.replug_at = None;
            self.plug();
        }
        match (self.port.is_open(), self.opened) {
            (true, None) => {
                self.opened = Some(Instant::now());
                self.opening += 1;
            }
            (false, Some(_)) => self.opened = None,
            _ => {}
        }
        is_time
    }

    pub(super) fn plug(&mut self) {
        if let Err(error) = self.port.plug() {
            eprintln!("the simulated device cannot be plugged in again: {error:#}");
        }
    }

    pub(super) fn unplug(&mut self) {
        self.port.unplug();
        self.opened = None;
    }

    pub(super) fn hears(&self) -> bool {
        self.opened.is_some_and(|opened| opened.elapsed() >= SETTLES_WITHIN)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Sent {
        if !self.hears() {
            return Sent::Unheard;
        }
        if !self.waits {
            return self.port.send(bytes);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.port.send_some(rest) {
                Some(0) => std::thread::sleep(ROOM_EVERY),
                Some(count) => rest = &rest[count..],
                None => return Sent::Unheard,
            }
        }
        Sent::Taken
    }
}
