//! The state of a device on a line, from what is heard of it. Pure.

use shared::time::Tick;
use shared::wire::DeviceState;

use crate::limits::{SILENT_AFTER, SILENT_REOPEN_AFTER, STRAY_FORGOTTEN_AFTER, UNREADABLE_AFTER};

/// How a device is, and whether it says its battery is low.
type Said = (DeviceState, Option<bool>);

/// Follows one device.
#[derive(Debug)]
pub struct Presence {
    continuous: bool,
    is_asked: bool,
    state: Option<DeviceState>,
    battery_low: Option<bool>,
    said: Option<Said>,
    /// While the port is open: the last byte, or the opening.
    last_byte: Option<Tick>,
    /// The first byte since the last readings.
    heard_since: Option<Tick>,
}

impl Presence {
    /// Nothing is known. `continuous`: silence means something.
    #[must_use]
    pub const fn new(continuous: bool) -> Self {
        Self {
            continuous,
            is_asked: false,
            state: None,
            battery_low: None,
            said: None,
            last_byte: None,
            heard_since: None,
        }
    }

    /// The port is open. A device that speaks all the time counts as connected once it has spoken, and one whose memory
    /// `is_asked` once it has answered.
    pub fn opened(&mut self, now: Tick, is_asked: bool) {
        self.last_byte = Some(now);
        self.heard_since = None;
        self.is_asked = is_asked;
        if !self.continuous && !is_asked {
            self.state = Some(DeviceState::Connected);
        }
    }

    /// Bytes came.
    pub fn bytes(&mut self, now: Tick) {
        self.last_byte = Some(now);
        self.heard_since.get_or_insert(now);
    }

    /// They made readings.
    pub fn readings(&mut self) {
        self.heard_since = None;
        self.state = Some(DeviceState::Connected);
    }

    /// It let all questions go unanswered.
    pub fn unanswering(&mut self) {
        self.state = Some(DeviceState::Silent);
    }

    /// They made none, and need not have: what the line is set to is only tried.
    pub fn excused(&mut self) {
        self.heard_since = None;
    }

    /// The device spoke of its battery.
    pub fn battery(&mut self, low: bool) {
        self.battery_low = Some(low);
    }

    /// The port is gone or cannot be opened.
    pub fn closed(&mut self, why: DeviceState) {
        self.last_byte = None;
        self.heard_since = None;
        self.state = Some(why);
    }

    /// Looks at the time.
    pub fn look(&mut self, now: Tick) {
        let Some(last_byte) = self.last_byte else { return };
        if self.continuous && now.since(last_byte) >= SILENT_AFTER {
            self.heard_since = None;
            self.state = Some(DeviceState::Silent);
        } else if self.heard_since.is_some_and(|since| now.since(since) >= UNREADABLE_AFTER) {
            self.state = Some(DeviceState::Unreadable);
            // One that speaks only when it measured is not unreadable for ever because of a stray octet.
            if !self.continuous && !self.is_asked && now.since(last_byte) >= STRAY_FORGOTTEN_AFTER {
                self.heard_since = None;
                self.state = Some(DeviceState::Connected);
            }
        }
    }

    /// Whether an open port has been silent for so long that it may be the port that does not hear.
    #[must_use]
    pub fn is_deaf(&self, now: Tick) -> bool {
        self.continuous && self.last_byte.is_some_and(|last| now.since(last) >= SILENT_REOPEN_AFTER)
    }

    /// What is new since this was last asked.
    pub fn change(&mut self) -> Option<Said> {
        let now = (self.state?, self.battery_low);
        if self.said == Some(now) {
            return None;
        }
        self.said = Some(now);
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    #[test]
    fn each_state_is_said_once() {
        let mut presence = Presence::new(true);
        presence.opened(tick(0), false);
        presence.look(tick(2999));
        assert_eq!(presence.change(), None, "open and not yet heard");
        presence.look(tick(3000));
        assert_eq!(presence.change(), Some((DeviceState::Silent, None)));
        presence.look(tick(9000));
        assert_eq!(presence.change(), None);
        presence.bytes(tick(9000));
        presence.look(tick(11_999));
        presence.bytes(tick(11_999));
        assert_eq!(presence.change(), None, "bytes are not yet readings");
        presence.look(tick(12_000));
        assert_eq!(presence.change(), Some((DeviceState::Unreadable, None)));
        presence.bytes(tick(12_100));
        presence.readings();
        presence.battery(false);
        assert_eq!(presence.change(), Some((DeviceState::Connected, Some(false))));
        presence.battery(true);
        assert_eq!(presence.change(), Some((DeviceState::Connected, Some(true))));
        presence.closed(DeviceState::Absent);
        presence.look(tick(99_000));
        assert_eq!(presence.change(), Some((DeviceState::Absent, Some(true))));
        assert_eq!(presence.change(), None);
    }

    #[test]
    fn a_port_that_hears_nothing_for_long_is_deaf_until_it_is_opened_again() {
        let mut presence = Presence::new(true);
        presence.opened(tick(0), false);
        assert!(!presence.is_deaf(tick(59_999)));
        assert!(presence.is_deaf(tick(60_000)));
        presence.opened(tick(60_000), false);
        assert!(!presence.is_deaf(tick(60_001)));
        let mut spot = Presence::new(false);
        spot.opened(tick(0), false);
        assert!(!spot.is_deaf(tick(600_000)));
    }

    #[test]
    fn a_device_for_spot_measurements_may_be_silent() {
        let mut presence = Presence::new(false);
        presence.opened(tick(0), false);
        presence.look(tick(100_000));
        assert_eq!(presence.change(), Some((DeviceState::Connected, None)));
        presence.bytes(tick(100_000));
        presence.look(tick(103_000));
        assert_eq!(presence.change(), Some((DeviceState::Unreadable, None)));
        presence.look(tick(109_999));
        assert_eq!(presence.change(), None);
        presence.look(tick(110_000));
        assert_eq!(presence.change(), Some((DeviceState::Connected, None)), "a stray octet is forgotten");
    }
}
