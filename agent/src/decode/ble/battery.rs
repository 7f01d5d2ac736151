//! Battery Level (2A19).
//!
//! Source: Bluetooth Battery Service 1.1, 3.1 (STANDARDS §1.3): one octet, 0 to 100 per cent; more is reserved.

use shared::metric::Metric;
use shared::reading::{Quality, Reading};
use shared::units::Unit;

use crate::decode::cursor::Cursor;
use crate::decode::{RefusedFrame, Report};

/// A battery's charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatteryLevel {
    /// Per cent, 0 to 100.
    pub percent: u8,
}

impl BatteryLevel {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`], or [`RefusedFrame::Unknown`] for a reserved value.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        match Cursor::new(value).u8()? {
            percent @ 0..=100 => Ok(Self { percent }),
            _ => Err(RefusedFrame::Unknown),
        }
    }

    /// The battery as a reading.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report::default();
        report.add(Reading::value(Metric::Battery, i64::from(self.percent).into(), Unit::Percent, Quality::GOOD));
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_both_sides_of_the_edge() {
        let reading = Reading::value(Metric::Battery, 100.into(), Unit::Percent, Quality::GOOD);
        assert_eq!(BatteryLevel::of(&[100]).unwrap().report().readings[..], [reading]);
        assert_eq!(BatteryLevel::of(&[101]), Err(RefusedFrame::Unknown));
        assert_eq!(BatteryLevel::of(&[]), Err(RefusedFrame::Length));
    }
}
