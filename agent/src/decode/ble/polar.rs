//! Polar: the heart rate in the manufacturer's data of an advertisement, company 006B.
//!
//! Source: the maker's own SDK (polar-ble-sdk, BlePolarHrAdvertisement); a captured frame of an H10 (theengs/decoder,
//! test_ble.cpp).
//! ```text
//! 6B 00  flags  code  fast average  slow average      per minute
//! flags: b1 contact, b2-4 counter of frames, b5 meant for everybody
//! ```
//! The slow average is what the maker's apps show. Battery and status bits are not explained there and not looked at.

use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::Unit;

use crate::decode::cursor::Cursor;
use crate::decode::{RefusedFrame, Report};

/// The company's number, as assigned by Bluetooth SIG.
pub const COMPANY: u16 = 0x006B;

const CONTACT: u8 = 1 << 1;

/// An advertisement as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolarAdvertisement {
    /// Whether the strap touches the skin.
    pub contact: bool,
    /// Counts frames from 0 to 7: one with the number of the frame before is a repeat.
    pub counter: u8,
    /// Beats per minute.
    pub rate: u8,
}

impl PolarAdvertisement {
    /// Reads manufacturer's data, the company's number included.
    ///
    /// # Errors
    /// [`RefusedFrame::Marker`]: another company. [`RefusedFrame::Length`]: not six octets.
    pub fn of(data: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(data);
        if cursor.u16()? != COMPANY {
            return Err(RefusedFrame::Marker);
        }
        let [flags, _, _, rate] = cursor.octets()?;
        if !cursor.rest().is_empty() {
            return Err(RefusedFrame::Length);
        }
        Ok(Self { contact: flags & CONTACT != 0, counter: (flags >> 2) & 0b111, rate })
    }

    /// What of it is a reading. Without contact the strap goes on sending the last rate.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report::default();
        report.add(if self.contact {
            Reading::value(Metric::HeartRate, i64::from(self.rate).into(), Unit::PerMinute, Quality::GOOD)
        } else {
            Reading::none(Metric::HeartRate, NoReading::SensorOff, Quality::GOOD)
        });
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_without_contact_is_none() {
        let read = PolarAdvertisement::of(&[0x6B, 0, 0x3B, 0x16, 0x44, 0x46]).unwrap();
        assert_eq!(read, PolarAdvertisement { contact: true, counter: 6, rate: 70 });
        let off = PolarAdvertisement::of(&[0x6B, 0, 0x39, 0x16, 0, 0x46]).unwrap().report();
        assert_eq!(off.readings[..], [Reading::none(Metric::HeartRate, NoReading::SensorOff, Quality::GOOD)]);
    }

    #[test]
    fn other_lengths_and_companies_are_refused() {
        let frame = [0x6B, 0, 0x3B, 0x16, 0x44, 0x46, 0];
        for length in [0, 1, 2, 5, 7] {
            assert_eq!(PolarAdvertisement::of(&frame[..length]), Err(RefusedFrame::Length));
        }
        assert_eq!(PolarAdvertisement::of(&[0x6C, 0, 0x3B, 0x16, 0x44, 0x46]), Err(RefusedFrame::Marker));
    }
}
