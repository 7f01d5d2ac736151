//! Heart Rate Measurement (2A37) and Body Sensor Location (2A38).
//!
//! Source: Bluetooth Heart Rate Service 1.0, 3.1; GATT Specification Supplement, Heart Rate Measurement (STANDARDS §1.3).
//! ```text
//! flags   b0 rate of 16 bits, b1-2 contact (0, 1 not supported, 2 none, 3 contact), b3 energy, b4 RR intervals
//! rate    u8 or u16, per minute
//! energy  u16, kJ, if b3
//! RR      u16 × n, 1/1024 s, oldest first, if b4
//! ```
//! Reserved flag bits are not looked at, nor octets that no flag announces. The location is one octet (Heart Rate Service,
//! 3.2).

use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::decode::cursor::Cursor;
use crate::decode::{RefusedFrame, Report};

const RATE_OF_16_BITS: u8 = 1 << 0;
const CONTACT_SUPPORTED: u8 = 1 << 2;
const CONTACT: u8 = 1 << 1;
const ENERGY: u8 = 1 << 3;
const RR_INTERVALS: u8 = 1 << 4;

/// A measurement as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartRate<'a> {
    /// Beats per minute.
    pub rate: u16,
    /// Whether the sensor touches the skin, if it can tell.
    pub contact: Option<bool>,
    /// Energy expended since the last reset, in kJ.
    pub energy_kj: Option<u16>,
    rr: Option<&'a [[u8; 2]]>,
}

impl<'a> HeartRate<'a> {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a flag announces is not there, or an RR interval is cut off.
    pub fn of(value: &'a [u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u8()?;
        let rate = if flags & RATE_OF_16_BITS == 0 { u16::from(cursor.u8()?) } else { cursor.u16()? };
        let contact = (flags & CONTACT_SUPPORTED != 0).then_some(flags & CONTACT != 0);
        let energy_kj = cursor.when(flags & ENERGY != 0, Cursor::u16)?;
        let rr = match (flags & RR_INTERVALS != 0).then(|| cursor.rest().as_chunks::<2>()) {
            None => None,
            Some((intervals, [])) => Some(intervals),
            Some(_) => return Err(RefusedFrame::Length),
        };
        Ok(Self { rate, contact, energy_kj, rr })
    }

    /// RR intervals in 1/1024 s, oldest first; `None` if the device sends none.
    pub fn rr_1024(&self) -> Option<impl Iterator<Item = u16> + 'a> {
        Some(self.rr?.iter().map(|interval| u16::from_le_bytes(*interval)))
    }

    /// What of it is a reading: the rate. One without contact is not of a person. Energy and RR intervals are decoded, and
    /// kept by nobody: no rule or chart has a use for them.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report::default();
        report.add(match self.contact {
            Some(false) => Reading::none(Metric::HeartRate, NoReading::SensorOff, Quality::GOOD),
            _ => Reading::value(Metric::HeartRate, Decimal::from(i64::from(self.rate)), Unit::PerMinute, Quality::GOOD),
        });
        report
    }
}

/// Where on the body the sensor is worn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodySensorLocation {
    /// None of the others.
    Other,
    /// Chest.
    Chest,
    /// Wrist.
    Wrist,
    /// Finger.
    Finger,
    /// Hand.
    Hand,
    /// Ear lobe.
    EarLobe,
    /// Foot.
    Foot,
    /// A number that the standard reserves.
    Reserved,
}

impl BodySensorLocation {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: it is empty.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        Ok(match Cursor::new(value).u8()? {
            0 => Self::Other,
            1 => Self::Chest,
            2 => Self::Wrist,
            3 => Self::Finger,
            4 => Self::Hand,
            5 => Self::EarLobe,
            6 => Self::Foot,
            _ => Self::Reserved,
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Chest => "chest",
            Self::Wrist => "wrist",
            Self::Finger => "finger",
            Self::Hand => "hand",
            Self::EarLobe => "ear-lobe",
            Self::Foot => "foot",
            Self::Reserved => "reserved",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_have_names_of_their_own() {
        let name = |number| BodySensorLocation::of(&[number]).unwrap().name();
        assert_eq!((0..=255).map(name).collect::<std::collections::BTreeSet<_>>().len(), 8);
        assert_eq!((name(0), name(5), name(6), name(7)), ("other", "ear-lobe", "foot", "reserved"));
        assert_eq!(BodySensorLocation::of(&[]), Err(RefusedFrame::Length));
    }

    #[test]
    fn a_rate_without_contact_is_no_reading() {
        let report = |value: &[u8]| HeartRate::of(value).unwrap().report().readings[0].clone();
        let off = Reading::none(Metric::HeartRate, NoReading::SensorOff, Quality::GOOD);
        assert_eq!(report(&[0x04, 85]), off);
        let rate = Reading::value(Metric::HeartRate, 85.into(), Unit::PerMinute, Quality::GOOD);
        assert_eq!((report(&[0x06, 85]), report(&[0x02, 85])), (rate.clone(), rate));
    }

    #[test]
    fn intervals_are_whole() {
        let intervals = |value: &[u8]| HeartRate::of(value).map(|read| read.rr_1024().map(Iterator::collect::<Vec<_>>));
        assert_eq!(intervals(&[0x10, 62, 0xB1, 0x03]), Ok(Some(vec![945])));
        assert_eq!(intervals(&[0x00, 62, 0xB1, 0x03]), Ok(None));
        assert_eq!(intervals(&[0x10, 62, 0xB1, 0x03, 0xDE]), Err(RefusedFrame::Length));
        assert_eq!(intervals(&[0x08, 62, 1]), Err(RefusedFrame::Length));
    }
}
