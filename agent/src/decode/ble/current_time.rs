//! Current Time (2A2B), read and written. A device's clock is set by writing it, or by writing a Date Time (2A08,
//! [`date_time::encode`]) where the device has that instead.
//!
//! Source: Bluetooth Current Time Service 1.1, 3.1; GATT Specification Supplement, Current Time (STANDARDS §1.3).
//! ```text
//! time      Date Time
//! weekday   u8, 1 Monday to 7 Sunday, 0 unknown
//! fraction  u8, 1/256 s
//! reason    u8, why it was adjusted: b0 by hand, b1 from an external reference, b2 time zone, b3 daylight saving
//! ```

use shared::observation::DeviceTime;

use crate::decode::cursor::Cursor;
use crate::decode::{RefusedFrame, Report, date_time};

/// A clock as read, or as to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentTime {
    /// Local time.
    pub time: DeviceTime,
    /// 1 for Monday to 7 for Sunday, if known.
    pub day_of_week: Option<u8>,
    /// Parts of a second, 1/256 each.
    pub fractions256: u8,
    reason: u8,
}

impl CurrentTime {
    const REASONS: [&'static str; 4] = ["manual", "external", "time-zone", "dst"];
    const FROM_A_REFERENCE: u8 = 1 << 1;

    /// A clock set from the hub's, which is a reference outside the device.
    #[must_use]
    pub fn to_write(time: DeviceTime) -> Self {
        let day_of_week = date_time::day_of_week(&time);
        Self { time, day_of_week, fractions256: 0, reason: Self::FROM_A_REFERENCE }
    }

    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`], [`RefusedFrame::DeviceTime`] where the octets are no time, [`RefusedFrame::Unknown`] for a
    /// reserved day of the week.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        // All of it must be there before any of it is judged.
        let octets: [u8; 10] = cursor.octets()?;
        let mut cursor = Cursor::new(&octets);
        let time = date_time::read(&mut cursor)?;
        let day_of_week = match cursor.u8()? {
            0 => None,
            day @ 1..=7 => Some(day),
            _ => return Err(RefusedFrame::Unknown),
        };
        Ok(Self { time, day_of_week, fractions256: cursor.u8()?, reason: cursor.u8()? })
    }

    /// The octets to write.
    #[must_use]
    pub fn encode(&self) -> [u8; 10] {
        let [a, b, month, day, hour, minute, second] = date_time::encode(&self.time);
        [a, b, month, day, hour, minute, second, self.day_of_week.unwrap_or(0), self.fractions256, self.reason]
    }

    /// Why the clock was adjusted, reserved bits left out.
    pub fn reasons(self) -> impl Iterator<Item = &'static str> {
        Self::REASONS.into_iter().zip(0..4).filter(move |(_, bit)| self.reason & (1 << bit) != 0).map(|(name, _)| name)
    }

    /// What the device's clock shows; no reading.
    #[must_use]
    pub fn report(&self) -> Report {
        Report { device_time: Some(self.time), ..Report::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let time = DeviceTime { year: 2026, month: 7, day: 28, hour: 14, minute: 30, second: 15 };
        let written = CurrentTime::to_write(time);
        assert_eq!(written.encode(), [0xEA, 7, 7, 28, 14, 30, 15, 2, 0, 2]);
        assert_eq!(CurrentTime::of(&written.encode()), Ok(written));
        assert_eq!(written.reasons().collect::<Vec<_>>(), ["external"]);
        assert_eq!(written.report().device_time, Some(time));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        assert_eq!(CurrentTime::of(&[0xEA, 7, 7, 28, 14, 30, 15, 8, 0, 0]), Err(RefusedFrame::Unknown));
        assert_eq!(CurrentTime::of(&[0xEA, 7, 2, 30, 14, 30, 15, 1, 0, 0]), Err(RefusedFrame::DeviceTime));
        assert_eq!(CurrentTime::of(&[0xEA, 7, 2, 30, 14, 30, 15, 1, 0]), Err(RefusedFrame::Length));
    }
}
