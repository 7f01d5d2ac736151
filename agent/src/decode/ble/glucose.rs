//! Glucose Measurement (2A18): a record that the meter kept and sends when asked ([`super::record_access`]).
//!
//! Source: Bluetooth Glucose Service 1.0.1, 3.1; GATT Specification Supplement, Glucose Measurement (STANDARDS §1.3).
//! ```text
//! flags          b0 offset, b1 concentration with type and site, b2 mol/L (else kg/L), b3 status, b4 a context follows
//! sequence       u16
//! base time      Date Time
//! offset         i16, minutes, if b0; the time that people see is base time + offset
//! concentration  SFLOAT, then type (low nibble) and site (high nibble), if b1
//! status         u16, if b3
//! ```

use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::decode::cursor::Cursor;
use crate::decode::medfloat::{Medfloat, Special};
use crate::decode::{Memory, RefusedFrame, Report, date_time};

const OFFSET: u8 = 1 << 0;
const CONCENTRATION: u8 = 1 << 1;
const MOLES: u8 = 1 << 2;
const STATUS: u8 = 1 << 3;
const CONTEXT_FOLLOWS: u8 = 1 << 4;

const TYPE_INTERSTITIAL: u8 = 9;
const TYPE_CONTROL: u8 = 10;
const SITE_CONTROL: u8 = 4;

/// The sensor status annunciation of a measurement, with the names of its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status(u16);

impl Status {
    const BATTERY_LOW: u16 = 1 << 0;
    const SENSOR_MALFUNCTION: u16 = 1 << 1;
    const SAMPLE_INSUFFICIENT: u16 = 1 << 2;
    const STRIP_INSERTION: u16 = 1 << 3;
    const STRIP_TYPE: u16 = 1 << 4;
    const TOO_HIGH: u16 = 1 << 5;
    const TOO_LOW: u16 = 1 << 6;
    const TOO_HOT: u16 = 1 << 7;
    const TOO_COLD: u16 = 1 << 8;
    const INTERRUPTED: u16 = 1 << 9;
    const DEVICE_FAULT: u16 = 1 << 10;
    const TIME_FAULT: u16 = 1 << 11;

    const NAMES: [(u16, &'static str); 12] = [
        (Self::BATTERY_LOW, "battery-low"),
        (Self::SENSOR_MALFUNCTION, "sensor-malfunction"),
        (Self::SAMPLE_INSUFFICIENT, "sample-insufficient"),
        (Self::STRIP_INSERTION, "strip-insertion-error"),
        (Self::STRIP_TYPE, "strip-type-incorrect"),
        (Self::TOO_HIGH, "result-too-high"),
        (Self::TOO_LOW, "result-too-low"),
        (Self::TOO_HOT, "sensor-temp-high"),
        (Self::TOO_COLD, "sensor-temp-low"),
        (Self::INTERRUPTED, "read-interrupted"),
        (Self::DEVICE_FAULT, "general-fault"),
        (Self::TIME_FAULT, "time-fault"),
    ];

    const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    /// The names of the bits that are set, the lowest first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| name)
    }

    /// Why there is no value, if a bit says so.
    const fn no_reading(self) -> Option<NoReading> {
        if self.has(Self::DEVICE_FAULT) {
            Some(NoReading::DeviceFault)
        } else if self.has(Self::SENSOR_MALFUNCTION) {
            Some(NoReading::SensorFault)
        } else if self.has(Self::INTERRUPTED) {
            Some(NoReading::MeasurementFailed)
        } else if self.has(Self::TOO_HIGH) {
            Some(NoReading::AboveRange)
        } else if self.has(Self::TOO_LOW) {
            Some(NoReading::BelowRange)
        } else {
            None
        }
    }

    const fn quality(self) -> Quality {
        const CONDITIONS: u16 = Status::SAMPLE_INSUFFICIENT
            | Status::STRIP_INSERTION
            | Status::STRIP_TYPE
            | Status::TOO_HOT
            | Status::TOO_COLD;
        Quality::LOW_BATTERY
            .when(self.has(Self::BATTERY_LOW))
            .and(Quality::WRONG_CONDITIONS.when(self.has(CONDITIONS)))
            .and(Quality::DEVICE_CLOCK.when(self.has(Self::TIME_FAULT)))
    }
}

/// A concentration as sent, with what was measured and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concentration {
    /// The value in mol/L or kg/L, or why it is none.
    pub value: Medfloat,
    /// Whether it is in mol/L; else in kg/L.
    pub in_moles: bool,
    sample: u8,
    site: u8,
}

impl Concentration {
    /// The value's unit as sent.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        if self.in_moles { "mol/L" } else { "kg/L" }
    }

    /// What was measured; `None` for a number that is reserved.
    #[must_use]
    pub const fn sample(self) -> Option<&'static str> {
        Some(match self.sample {
            1 => "capillary-whole-blood",
            2 => "capillary-plasma",
            3 => "venous-whole-blood",
            4 => "venous-plasma",
            5 => "arterial-whole-blood",
            6 => "arterial-plasma",
            7 => "undetermined-whole-blood",
            8 => "undetermined-plasma",
            TYPE_INTERSTITIAL => "interstitial-fluid",
            TYPE_CONTROL => "control-solution",
            _ => return None,
        })
    }

    /// Where the sample was taken; `None` for a number that is reserved.
    #[must_use]
    pub const fn site(self) -> Option<&'static str> {
        Some(match self.site {
            1 => "finger",
            2 => "alternate-site",
            3 => "earlobe",
            SITE_CONTROL => "control-solution",
            15 => "not-available",
            _ => return None,
        })
    }

    const fn metric(self) -> Metric {
        if self.sample == TYPE_INTERSTITIAL { Metric::InterstitialGlucose } else { Metric::Glucose }
    }

    /// The value in mmol/L or mg/dL: 1 mol/L is 10³ mmol/L, 1 kg/L is 10⁵ mg/dL, so only the exponent changes.
    fn reading(self, decimal: Decimal, quality: Quality) -> Reading {
        let (powers, unit) =
            if self.in_moles { (3, Unit::MillimolePerLitre) } else { (5, Unit::MilligramPerDecilitre) };
        let scaled = Decimal::new(decimal.mantissa(), decimal.exponent().saturating_add(powers));
        Reading::value(self.metric(), scaled, unit, quality)
    }
}

/// A measurement as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glucose {
    /// The record's number in the meter.
    pub sequence: u16,
    /// The meter's clock, without the offset; `None` where the octets are no time.
    pub base_time: Option<DeviceTime>,
    /// What the user has set the clock forward by since, in minutes.
    pub offset_minutes: Option<i16>,
    /// The concentration, if the record has one.
    pub concentration: Option<Concentration>,
    /// The status, if the record has one.
    pub status: Option<Status>,
    /// Whether a context with the same number follows.
    pub context_follows: bool,
}

impl Glucose {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a flag announces is not there. [`RefusedFrame::Contradiction`]: the result is
    /// said to be too high and too low.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u8()?;
        let sequence = cursor.u16()?;
        let base_time = date_time::read_beside(&mut cursor)?;
        let offset_minutes = cursor.when(flags & OFFSET != 0, Cursor::i16)?;
        let concentration = cursor.when(flags & CONCENTRATION != 0, |cursor| {
            let (value, place) = (cursor.sfloat()?, cursor.u8()?);
            Ok(Concentration { value, in_moles: flags & MOLES != 0, sample: place & 0x0F, site: place >> 4 })
        })?;
        let status = cursor.when(flags & STATUS != 0, Cursor::u16)?.map(Status);
        let read = Self {
            sequence,
            base_time,
            offset_minutes,
            concentration,
            status,
            context_follows: flags & CONTEXT_FOLLOWS != 0,
        };
        if read.contradicts_itself() { Err(RefusedFrame::Contradiction) } else { Ok(read) }
    }

    fn contradicts_itself(&self) -> bool {
        let special = self.concentration.and_then(|concentration| concentration.value.err());
        let says = |bit| self.status.is_some_and(|status| status.has(bit));
        let high = says(Status::TOO_HIGH) || special == Some(Special::PlusInfinity);
        let low = says(Status::TOO_LOW) || special == Some(Special::MinusInfinity);
        high && low
    }

    /// The time that the user saw: the base time with its offset. `None` where an offset cannot be added to it.
    #[must_use]
    pub fn time(&self) -> Option<DeviceTime> {
        let base = self.base_time?;
        match self.offset_minutes {
            None | Some(0) => Some(base),
            Some(minutes) => date_time::shifted(&base, i64::from(minutes).saturating_mul(60)),
        }
    }

    /// What of it is a reading. `value` are the octets it was read from. A result beyond the meter's range is no value, even
    /// if a number stands beside it; a sample of a reserved kind cannot be said to be blood.
    #[must_use]
    pub fn report(&self, value: &[u8]) -> Report {
        let status = self.status.unwrap_or_default();
        let mut report = Report {
            device_time: self.time(),
            memory: Some(Memory::of(u32::from(self.sequence), value)),
            battery_low: self.status.map(|status| status.has(Status::BATTERY_LOW)),
            ..Report::default()
        };
        let Some(concentration) = self.concentration else {
            if let Some(why) = status.no_reading() {
                report.add(Reading::none(Metric::Glucose, why, status.quality()));
            }
            return report;
        };
        let control = concentration.sample == TYPE_CONTROL || concentration.site == SITE_CONTROL;
        let why = if control { Some(NoReading::ControlSolution) } else { status.no_reading() };
        let why = why.or_else(|| concentration.value.err().map(Special::no_reading));
        let why = why.or_else(|| concentration.sample().is_none().then_some(NoReading::Reserved));
        report.add(match (why, concentration.value) {
            (None, Ok(decimal)) => concentration.reading(decimal, status.quality()),
            (why, _) => Reading::none(concentration.metric(), why.unwrap_or(NoReading::NotANumber), status.quality()),
        });
        report
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use proptest::prelude::*;
    use shared::reading::Outcome;

    use super::*;

    /// A record of 120 mg/dL (or 5.5 mmol/L) with these flags beside the concentration's, place and status.
    fn record(flags: u8, place: u8, status: u16) -> Vec<u8> {
        let sfloat: u16 = if flags & MOLES == 0 { 0xB078 } else { 0xC037 };
        let mut value = vec![flags | CONCENTRATION | STATUS, 6, 0, 0xEA, 7, 1, 15, 8, 0, 0];
        if flags & OFFSET != 0 {
            value.extend(120_i16.to_le_bytes());
        }
        value.extend(sfloat.to_le_bytes());
        value.push(place);
        value.extend(status.to_le_bytes());
        value
    }

    fn reading(value: &[u8]) -> Reading {
        Glucose::of(value).unwrap().report(value).readings[0].clone()
    }

    #[test]
    fn units_change_by_the_exponent_alone() {
        let value = reading(&record(0, 0x11, 0));
        assert_eq!(value, Reading::value(Metric::Glucose, 120.into(), Unit::MilligramPerDecilitre, Quality::GOOD));
        let Outcome::Value(value) = reading(&record(MOLES, 0x11, 0)).outcome else { panic!() };
        assert_eq!((value.decimal.to_string().as_str(), value.unit), ("5.5", Unit::MillimolePerLitre));
    }

    #[test]
    fn what_is_not_blood_is_not_glucose_of_blood() {
        assert_eq!(reading(&record(0, 0x19, 0)).metric, Metric::InterstitialGlucose);
        for (place, why) in [
            (0x1A, NoReading::ControlSolution),
            (0x41, NoReading::ControlSolution),
            (0x10, NoReading::Reserved),
            (0x1B, NoReading::Reserved),
        ] {
            assert_eq!(reading(&record(0, place, 0)).outcome, Outcome::None(why), "{place:02X}");
        }
        assert!(matches!(reading(&record(0, 0xF1, 0)).outcome, Outcome::Value(_)), "site not available");
    }

    #[test]
    fn each_bit_of_the_status() {
        let none = [
            (1, NoReading::SensorFault),
            (5, NoReading::AboveRange),
            (6, NoReading::BelowRange),
            (9, NoReading::MeasurementFailed),
            (10, NoReading::DeviceFault),
        ];
        for (bit, why) in none {
            assert_eq!(reading(&record(0, 0x11, 1 << bit)).outcome, Outcome::None(why), "{bit}");
        }
        let wrong = Quality::WRONG_CONDITIONS;
        for (bit, flag) in [
            (0, Quality::LOW_BATTERY),
            (2, wrong),
            (3, wrong),
            (4, wrong),
            (7, wrong),
            (8, wrong),
            (11, Quality::DEVICE_CLOCK),
        ] {
            let reading = reading(&record(0, 0x11, 1 << bit));
            assert!(matches!(reading.outcome, Outcome::Value(_)) && reading.quality == flag, "{bit}");
        }
        let low_battery = record(0, 0x11, 1);
        assert_eq!(Glucose::of(&low_battery).unwrap().report(&low_battery).battery_low, Some(true));
    }

    #[test]
    fn beyond_the_range_with_and_without_a_number() {
        assert_eq!(Glucose::of(&record(0, 0x11, 0x60)), Err(RefusedFrame::Contradiction));
        let mut below = record(0, 0x11, 0x20);
        below[10..12].copy_from_slice(&[0x02, 0x08]);
        assert_eq!(Glucose::of(&below), Err(RefusedFrame::Contradiction), "-INF, and too high");
        below[13] = 0;
        assert_eq!(reading(&below).outcome, Outcome::None(NoReading::BelowRange));
        let no_number = [STATUS, 6, 0, 0xEA, 7, 1, 15, 8, 0, 0, 0x20, 0];
        assert_eq!(reading(&no_number).outcome, Outcome::None(NoReading::AboveRange));
        let nothing = [0, 6, 0, 0xEA, 7, 1, 15, 8, 0, 0];
        assert!(Glucose::of(&nothing).unwrap().report(&nothing).readings.is_empty());
    }

    #[test]
    fn the_time_people_saw_and_the_records_number() {
        let value = record(OFFSET, 0x11, 0);
        let report = Glucose::of(&value).unwrap().report(&value);
        assert_eq!(report.device_time.map(|time| (time.hour, time.minute)), Some((10, 0)));
        assert_eq!(report.memory.map(|memory| memory.record), Some(6));
        let mut no_date = value;
        no_date[5] = 13;
        let report = Glucose::of(&no_date).unwrap().report(&no_date);
        assert!(report.device_time.is_none() && report.readings.len() == 1, "the reading stays");
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..24)) {
            if let Ok(read) = Glucose::of(&value) {
                prop_assert!(read.report(&value).readings.len() <= 1);
            }
        }

        #[test]
        fn a_cut_record_is_refused(cut in 0_usize..17) {
            prop_assert_eq!(Glucose::of(&record(OFFSET, 0x11, 1)[..cut]), Err(RefusedFrame::Length));
        }
    }
}
