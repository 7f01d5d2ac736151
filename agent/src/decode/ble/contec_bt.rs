//! Contec CMS50D-BT.
//!
//! Source: a captured frame and what its reporter says of it (tobiasisenberg/OxiVis, issue 2): `EB 01 04 53 63 7F 00 25`, pulse
//! 83, saturation 99; the third octet is 04 without a finger and 06 with one. The last octet is the sum of the others.
//! ```text
//! EB 01  04 no finger, 06 finger  pulse u8 per minute  SpO2 u8 per cent  two octets, not known  sum
//! ```
//! What is not known of it is refused.

use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::Unit;

use crate::decode::checksum::sum8;
use crate::decode::quirks::Quirks;
use crate::decode::{RefusedFrame, Report};

const HEAD: u8 = 0xEB;
const VALUES: u8 = 0x01;
const NO_FINGER: u8 = 0x04;
const FINGER: u8 = 0x06;

/// A notification with values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContecBt {
    /// A finger is in the sensor.
    pub finger: bool,
    /// Pulse rate per minute; 0 and 255 are none.
    pub pulse: u8,
    /// Saturation in per cent; 0 and 127 are none.
    pub spo2: u8,
}

impl ContecBt {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame`]: length, marker, checksum; or a kind of notification or a status that is not known.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let [head, kind, status, pulse, spo2, _, _, sum] = *value else { return Err(RefusedFrame::Length) };
        if head != HEAD {
            return Err(RefusedFrame::Marker);
        }
        if value.split_last().is_none_or(|(_, others)| sum8(others) != sum) {
            return Err(RefusedFrame::Checksum);
        }
        match (kind, status) {
            (VALUES, NO_FINGER | FINGER) => Ok(Self { finger: status == FINGER, pulse, spo2 }),
            _ => Err(RefusedFrame::Unknown),
        }
    }

    /// Saturation and pulse rate; none of them without a finger, whatever numbers come.
    #[must_use]
    pub fn report(&self, quirks: Quirks) -> Report {
        let mut report = Report::default();
        let off = if quirks.holds_values_without_finger { NoReading::Stale } else { NoReading::SensorOff };
        let mut add = |metric, number: u8, none: u8, unit| {
            report.add(match (number == 0 || number == none, self.finger) {
                (true, true) => Reading::none(metric, NoReading::MissingData, Quality::GOOD),
                (true, false) => Reading::none(metric, NoReading::SensorOff, Quality::GOOD),
                (false, false) => Reading::none(metric, off, Quality::GOOD),
                (false, true) => Reading::value(metric, i64::from(number).into(), unit, Quality::GOOD),
            });
        };
        add(Metric::SpO2, self.spo2, 127, Unit::Percent);
        add(Metric::PulseRate, self.pulse, 255, Unit::PerMinute);
        report
    }
}

#[cfg(test)]
mod tests {
    use shared::reading::Outcome;

    use super::*;

    fn frame(kind: u8, status: u8, pulse: u8, spo2: u8) -> [u8; 8] {
        let head = [0xEB, kind, status, pulse, spo2, 0x7F, 0];
        let [a, b, c, d, e, f, g] = head;
        [a, b, c, d, e, f, g, sum8(&head)]
    }

    #[test]
    fn without_a_finger_the_numbers_are_old() {
        let captured = [0xEB, 0x01, 0x04, 0x53, 0x63, 0x7F, 0x00, 0x25];
        let read = ContecBt::of(&captured).unwrap();
        assert_eq!(read, ContecBt { finger: false, pulse: 83, spo2: 99 });
        let why = |quirks| read.report(quirks).readings[0].outcome;
        assert_eq!(why(Quirks::NONE), Outcome::None(NoReading::SensorOff));
        let holds = Quirks { holds_values_without_finger: true, ..Quirks::NONE };
        assert_eq!(why(holds), Outcome::None(NoReading::Stale));
        let worn = ContecBt::of(&frame(1, 6, 83, 99)).unwrap().report(holds);
        assert_eq!(worn.readings[0], Reading::value(Metric::SpO2, 99.into(), Unit::Percent, Quality::GOOD));
        let none = ContecBt::of(&frame(1, 6, 255, 127)).unwrap().report(holds).readings[1].outcome;
        assert_eq!(none, Outcome::None(NoReading::MissingData));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert_eq!(ContecBt::of(&frame(0, 6, 83, 99)), Err(RefusedFrame::Unknown));
        assert_eq!(ContecBt::of(&frame(1, 7, 83, 99)), Err(RefusedFrame::Unknown));
        assert_eq!(ContecBt::of(&[0xEB, 1, 6, 83, 99, 0x7F, 0, 0x25]), Err(RefusedFrame::Checksum));
        assert_eq!(ContecBt::of(&[0xEC, 1, 4, 83, 99, 0x7F, 0, 0x26]), Err(RefusedFrame::Marker));
        assert_eq!(ContecBt::of(&frame(1, 6, 83, 99)[..7]), Err(RefusedFrame::Length));
    }
}
