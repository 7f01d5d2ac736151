//! Temperature Measurement (2A1C) and Intermediate Temperature (2A1E).
//!
//! Source: Bluetooth Health Thermometer Service 1.0, 3.1 and 3.3; GATT Specification Supplement, Temperature Measurement
//! (STANDARDS §1.3).
//! ```text
//! flags        b0 degrees Fahrenheit, b1 time, b2 type
//! temperature  FLOAT
//! time         Date Time, if b1
//! type         u8, where on the body, if b2
//! ```
//! Reserved flag bits are not looked at, nor octets that no flag announces.

use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::Quality;
use shared::units::Unit;

use super::of_float;
use crate::decode::cursor::Cursor;
use crate::decode::medfloat::Medfloat;
use crate::decode::{RefusedFrame, Report, date_time};

const FAHRENHEIT: u8 = 1 << 0;
const TIME: u8 = 1 << 1;
const TYPE: u8 = 1 << 2;

/// Where on the body a temperature was taken (Temperature Type, 2A1D).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// Armpit.
    Armpit,
    /// Body, general.
    Body,
    /// Ear, usually the lobe.
    Ear,
    /// Finger.
    Finger,
    /// Gastro-intestinal tract.
    GastroIntestinalTract,
    /// Mouth.
    Mouth,
    /// Rectum.
    Rectum,
    /// Toe.
    Toe,
    /// Eardrum.
    Tympanum,
    /// A number that the standard reserves.
    Reserved,
}

impl Site {
    /// The site of this number.
    #[must_use]
    pub const fn of(number: u8) -> Self {
        match number {
            1 => Self::Armpit,
            2 => Self::Body,
            3 => Self::Ear,
            4 => Self::Finger,
            5 => Self::GastroIntestinalTract,
            6 => Self::Mouth,
            7 => Self::Rectum,
            8 => Self::Toe,
            9 => Self::Tympanum,
            _ => Self::Reserved,
        }
    }

    /// Whether the skin there may be many degrees colder than the body: a finger or a toe.
    #[must_use]
    pub const fn is_cold(self) -> bool {
        matches!(self, Self::Finger | Self::Toe)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Armpit => "armpit",
            Self::Body => "body",
            Self::Ear => "ear",
            Self::Finger => "finger",
            Self::GastroIntestinalTract => "gastro-intestinal-tract",
            Self::Mouth => "mouth",
            Self::Rectum => "rectum",
            Self::Toe => "toe",
            Self::Tympanum => "tympanum",
            Self::Reserved => "reserved",
        }
    }
}

/// A temperature as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Temperature {
    /// The temperature, in `unit`.
    pub temperature: Medfloat,
    /// Degrees Celsius or Fahrenheit.
    pub unit: Unit,
    /// The device's own time, if it sent one that is a time.
    pub time: Option<DeviceTime>,
    /// Where it was taken, if the device says so here.
    pub site: Option<Site>,
}

impl Temperature {
    /// Reads a value of either characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a flag announces is not there.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u8()?;
        let unit = if flags & FAHRENHEIT == 0 { Unit::Celsius } else { Unit::Fahrenheit };
        let temperature = cursor.float()?;
        let time = cursor.when(flags & TIME != 0, date_time::read_beside)?.flatten();
        let site = cursor.when(flags & TYPE != 0, Cursor::u8)?.map(Site::of);
        Ok(Self { temperature, unit, time, site })
    }

    /// What of a measurement (2A1C) is a reading: the temperature, in the unit it was sent in. An intermediate one (2A1E) still
    /// rises, and is none. One of a finger or a toe is in the wrong place for a temperature of the body.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report { device_time: self.time, ..Report::default() };
        let quality = Quality::WRONG_POSITION.when(self.site.is_some_and(Site::is_cold));
        report.add(of_float(Metric::Temperature, self.temperature, self.unit, quality));
        report
    }
}

#[cfg(test)]
mod tests {
    use shared::reading::{NoReading, Reading};
    use shared::units::Decimal;

    use super::*;

    #[test]
    fn the_unit_and_the_digits_are_those_sent() {
        let report = Temperature::of(&[0x07, 0xDA, 3, 0, 0xFF, 0xEA, 7, 1, 21, 10, 30, 0, 6]).map(|read| read.report());
        let reading = Reading::value(Metric::Temperature, Decimal::new(986, -1), Unit::Fahrenheit, Quality::GOOD);
        let report = report.unwrap();
        assert_eq!(report.readings[..], [reading]);
        let time = DeviceTime { year: 2026, month: 1, day: 21, hour: 10, minute: 30, second: 0 };
        assert_eq!(report.device_time, Some(time));
        let nothing = Temperature::of(&[0, 0xFF, 0xFF, 0x7F, 0]).unwrap().report().readings[0].clone();
        assert_eq!(nothing, Reading::none(Metric::Temperature, NoReading::NotANumber, Quality::GOOD));
    }

    #[test]
    fn a_finger_and_a_toe_are_no_place_for_the_bodys_temperature() {
        for site in 0..=10 {
            let report = Temperature::of(&[0x04, 0x2E, 1, 0, 0xFF, site]).unwrap().report();
            assert_eq!(report.readings[0].quality.is_gated(), site == 4 || site == 8, "{site}");
        }
    }

    #[test]
    fn sites_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = (0..=10).map(|number| Site::of(number).name()).collect();
        assert_eq!(names.len(), 10);
        assert_eq!((Site::of(0), Site::of(9), Site::of(10)), (Site::Reserved, Site::Tympanum, Site::Reserved));
    }
}
