//! What a source keeps that may not wait for the queue's owner: a little, and then a count of what it could not keep.
//! Pure: the channel is a closure.

use std::collections::VecDeque;

use shared::id::DeviceId;
use shared::observation::Captured;
use shared::wire::DeviceStatus;

use crate::intake_item::Taken;
use crate::limits::OUTBOX_MAX;

/// Readings that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gone {
    count: u64,
    first: Captured,
    last: Captured,
}

/// Holds at most [`OUTBOX_MAX`] things, one count and one state.
#[derive(Debug)]
pub struct Outbox {
    device: DeviceId,
    kept: VecDeque<Taken>,
    gone: Option<Gone>,
    /// The newest state that found no room; an older one that did not either says nothing any more.
    state: Option<DeviceStatus>,
}

impl Outbox {
    /// An empty one.
    #[must_use]
    pub const fn new(device: DeviceId) -> Self {
        Self { device, kept: VecDeque::new(), gone: None, state: None }
    }

    /// Takes readings of a moment; returns how many moments had to be given up (0 or 1).
    pub fn readings(&mut self, readings: Taken, captured: Captured) -> u64 {
        self.settle(captured);
        if self.gone.is_none() && self.kept.len() < OUTBOX_MAX {
            self.kept.push_back(readings);
            return 0;
        }
        let gone = self.gone.get_or_insert(Gone { count: 0, first: captured, last: captured });
        gone.count = gone.count.saturating_add(1);
        gone.last = captured;
        1
    }

    /// Takes a change of state.
    pub fn state(&mut self, status: DeviceStatus) {
        self.settle(status.at);
        if self.gone.is_none() && self.kept.len() < OUTBOX_MAX {
            self.kept.push_back(Taken::Device(status));
        } else {
            self.state = Some(status);
        }
    }

    /// Hands over in order while `send` takes; what finds no room comes back and is kept.
    pub fn flush(&mut self, now: Captured, mut send: impl FnMut(Taken) -> Option<Taken>) {
        loop {
            while let Some(next) = self.kept.pop_front() {
                if let Some(back) = send(next) {
                    self.kept.push_front(back);
                    return;
                }
            }
            self.settle(now);
            if self.kept.is_empty() {
                return;
            }
        }
    }

    /// Whether all has been handed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.gone.is_none() && self.state.is_none()
    }

    /// Things that are kept or counted.
    #[must_use]
    pub fn held(&self) -> u64 {
        let gone = self.gone.map_or(0, |gone| gone.count);
        u64::try_from(self.kept.len()).unwrap_or(u64::MAX).saturating_add(gone)
    }

    /// Puts the count, and the state behind it, in line as soon as there is room for both.
    fn settle(&mut self, now: Captured) {
        if self.kept.len().saturating_add(2) > OUTBOX_MAX {
            return;
        }
        if let Some(Gone { count, first, last }) = self.gone.take() {
            let (from, until) = (first.tick, last.tick);
            self.kept.push_back(Taken::Overrun { device: self.device.clone(), count, from, until, at: now });
        }
        if let Some(status) = self.state.take() {
            self.kept.push_back(Taken::Device(status));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use shared::time::Tick;
    use shared::wire::DeviceState;

    use super::*;
    use crate::decode::tests::at;

    fn device() -> DeviceId {
        "oximeter".parse().unwrap()
    }

    fn readings(millis: u64) -> Taken {
        let captured = at(millis);
        let (device, readings) = (device(), Vec::new());
        Taken::Readings { device, slot: None, captured, device_time: None, from_memory: None, readings }
    }

    fn status(millis: u64, state: DeviceState) -> DeviceStatus {
        DeviceStatus { at: at(millis), device: device(), state, battery_low: None }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_the_count_keeps_its_place() {
        let mut outbox = Outbox::new(device());
        let mut gone = 0;
        for n in 0..100 {
            gone += outbox.readings(readings(n), at(n));
        }
        assert_eq!(gone, 36);
        outbox.state(status(100, DeviceState::Absent));
        outbox.state(status(101, DeviceState::Connected));
        let mut sent = Vec::new();
        // One thing only has room, and then all.
        outbox.flush(at(200), |taken| {
            if sent.is_empty() {
                sent.push(taken);
                return None;
            }
            Some(taken)
        });
        assert_eq!(outbox.readings(readings(201), at(201)), 1, "no room for count and state yet");
        outbox.flush(at(300), |taken| {
            sent.push(taken);
            None
        });
        let expected: Vec<Taken> = (0..64)
            .map(readings)
            .chain([
                Taken::Overrun {
                    device: device(),
                    count: 37,
                    from: Tick::from_millis(64),
                    until: Tick::from_millis(201),
                    at: at(300),
                },
                Taken::Device(status(101, DeviceState::Connected)),
            ])
            .collect();
        assert_eq!(sent, expected);
        assert!(outbox.is_empty());
        assert_eq!(outbox.readings(readings(400), at(400)), 0);
    }
}
