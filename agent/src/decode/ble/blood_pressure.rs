//! Blood Pressure Measurement (2A35), Intermediate Cuff Pressure (2A36), Enhanced Blood Pressure Measurement (2B34).
//!
//! Source: Bluetooth Blood Pressure Service 1.1.1, 3.1 and 3.2; GATT Specification Supplement, Blood Pressure Measurement and
//! Enhanced Blood Pressure Measurement (STANDARDS §1.3).
//! ```text
//! flags      b0 kPa, b1 time, b2 pulse, b3 user, b4 status; 2B34: b5 time on the display, b6 times count from 2000
//! pressures  SFLOAT × 3: systolic, diastolic, mean; 2A36: cuff and two without meaning
//! time       Date Time, if b1; 2B34: u32, seconds since the beginning of 1900 or 2000
//! pulse      SFLOAT, per minute, if b2
//! user       u8, 255 unknown, if b3
//! status     u16, if b4: b0 movement, b1 cuff loose, b2 irregular pulse, b3-4 pulse rate (0 within the range, 1 above, 2
//!            below, 3 reserved), b5 wrong position
//! displayed  u32, if b5 (2B34)
//! ```
//! Octets that no flag announces are not looked at, unless a reserved flag is set: then fields of unknown length may stand
//! anywhere, and the value is refused.

use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::Quality;
use shared::units::{Decimal, Unit};

use super::of_float;
use crate::decode::cursor::Cursor;
use crate::decode::medfloat::{Medfloat, Special, sfloat};
use crate::decode::quirks::Quirks;
use crate::decode::{RefusedFrame, Report, date_time};

const KILOPASCAL: u8 = 1 << 0;
const TIME: u8 = 1 << 1;
const PULSE: u8 = 1 << 2;
const USER: u8 = 1 << 3;
const STATUS: u8 = 1 << 4;
const DISPLAYED_TIME: u8 = 1 << 5;
const SINCE_2000: u8 = 1 << 6;
const RESERVED: u8 = 0b1110_0000;
const RESERVED_ENHANCED: u8 = 0b1000_0000;
const USER_UNKNOWN: u8 = 255;

/// What the cuff says of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(u16);

/// The pulse rate and the range that the device can measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PulseRange {
    /// Within it.
    Within,
    /// Above its upper end.
    Above,
    /// Below its lower end.
    Below,
    /// A number that the standard reserves.
    Reserved,
}

impl PulseRange {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Above => "above",
            Self::Below => "below",
            Self::Reserved => "reserved",
        }
    }
}

impl Status {
    /// The body moved.
    #[must_use]
    pub const fn movement(self) -> bool {
        self.0 & 1 != 0
    }

    /// The cuff was too loose.
    #[must_use]
    pub const fn loose_cuff(self) -> bool {
        self.0 & (1 << 1) != 0
    }

    /// The pulse was irregular.
    #[must_use]
    pub const fn irregular_pulse(self) -> bool {
        self.0 & (1 << 2) != 0
    }

    /// Whether the pulse rate was in the device's range.
    #[must_use]
    pub const fn pulse_range(self) -> PulseRange {
        match (self.0 >> 3) & 3 {
            0 => PulseRange::Within,
            1 => PulseRange::Above,
            2 => PulseRange::Below,
            _ => PulseRange::Reserved,
        }
    }

    /// The cuff was not at the heart's height, or otherwise wrongly placed.
    #[must_use]
    pub const fn wrong_position(self) -> bool {
        self.0 & (1 << 5) != 0
    }

    /// The flags of all that was measured.
    #[must_use]
    pub const fn quality(self) -> Quality {
        Quality::ARTEFACT
            .when(self.movement())
            .and(Quality::LOOSE_CUFF.when(self.loose_cuff()))
            .and(Quality::IRREGULAR_PULSE.when(self.irregular_pulse()))
            .and(Quality::WRONG_POSITION.when(self.wrong_position()))
    }

    /// The flags of the pulse rate: a rate outside its range is a doubtful one.
    #[must_use]
    pub fn pulse_quality(self) -> Quality {
        self.quality().and(Quality::QUESTIONABLE.when(self.pulse_range() != PulseRange::Within))
    }
}

/// A measurement as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BloodPressure {
    /// Systolic pressure, in `unit`; of an intermediate value (2A36) the pressure in the cuff.
    pub systolic: Medfloat,
    /// Diastolic pressure, in `unit`.
    pub diastolic: Medfloat,
    /// Mean arterial pressure, in `unit`.
    pub mean: Medfloat,
    /// Millimetre of mercury or kilopascal.
    pub unit: Unit,
    /// The device's own time, if it sent one that is a time; the displayed one where it sent two.
    pub time: Option<DeviceTime>,
    /// Pulse rate per minute, if sent.
    pub pulse: Option<Medfloat>,
    /// The device's user slot, if sent; 255 is unknown.
    pub user: Option<u8>,
    /// What the cuff says of the measurement, if it does.
    pub status: Option<Status>,
}

impl BloodPressure {
    /// Reads a value of 2A35 or 2A36.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a flag announces is not there. [`RefusedFrame::Contradiction`]: a reserved flag
    /// is set and there are octets that no flag known here announces.
    pub fn of(value: &[u8], quirks: Quirks) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u8()?;
        let mut read = Self::pressures(flags, &mut cursor)?;
        read.time = cursor.when(flags & TIME != 0, date_time::read_beside)?.flatten();
        read.tail(flags, quirks, &mut cursor)?;
        all_announced(flags & RESERVED, &cursor)?;
        Ok(read)
    }

    /// Reads a value of 2B34.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_enhanced(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u8()?;
        let mut read = Self::pressures(flags, &mut cursor)?;
        let taken = cursor.when(flags & TIME != 0, Cursor::u32)?;
        read.tail(flags, Quirks::default(), &mut cursor)?;
        let displayed = cursor.when(flags & DISPLAYED_TIME != 0, Cursor::u32)?;
        all_announced(flags & RESERVED_ENHANCED, &cursor)?;
        let year = if flags & SINCE_2000 == 0 { 1900 } else { 2000 };
        let epoch = DeviceTime { year, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        read.time = displayed.or(taken).and_then(|seconds| date_time::shifted(&epoch, i64::from(seconds)));
        Ok(read)
    }

    fn pressures(flags: u8, cursor: &mut Cursor<'_>) -> Result<Self, RefusedFrame> {
        let unit = if flags & KILOPASCAL == 0 { Unit::MillimetreOfMercury } else { Unit::Kilopascal };
        let [systolic, diastolic, mean] = [cursor.sfloat()?, cursor.sfloat()?, cursor.sfloat()?];
        Ok(Self { systolic, diastolic, mean, unit, time: None, pulse: None, user: None, status: None })
    }

    fn tail(&mut self, flags: u8, quirks: Quirks, cursor: &mut Cursor<'_>) -> Result<(), RefusedFrame> {
        let order = if quirks.cuff_tail_big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
        self.pulse = cursor.when(flags & PULSE != 0, Cursor::octets)?.map(order).map(sfloat);
        self.user = cursor.when(flags & USER != 0 || quirks.cuff_user_always, Cursor::u8)?;
        self.status = cursor.when(flags & STATUS != 0, Cursor::octets)?.map(order).map(Status);
        Ok(())
    }

    /// What of a measurement (2A35, 2B34) is a reading: the pressures and the pulse rate. The pressure in the cuff (2A36) is
    /// none. A device that does not compute the mean sends NaN there, or zero: no reading either.
    #[must_use]
    pub fn report(&self) -> Report {
        let slot = self.user.filter(|user| *user != USER_UNKNOWN);
        let mut report = Report { device_time: self.time, slot, ..Report::default() };
        let quality = self.status.map_or(Quality::GOOD, Status::quality);
        report.add(of_float(Metric::SystolicPressure, self.systolic, self.unit, quality));
        report.add(of_float(Metric::DiastolicPressure, self.diastolic, self.unit, quality));
        if ![Err(Special::NaN), Ok(Decimal::new(0, 0))].contains(&self.mean) {
            report.add(of_float(Metric::MeanPressure, self.mean, self.unit, quality));
        }
        if let Some(pulse) = self.pulse {
            let quality = self.status.map_or(Quality::GOOD, Status::pulse_quality);
            report.add(of_float(Metric::PulseRate, pulse, Unit::PerMinute, quality));
        }
        report
    }
}

/// Refuses octets behind the last known field where a reserved flag may have announced others before it.
const fn all_announced(reserved: u8, cursor: &Cursor<'_>) -> Result<(), RefusedFrame> {
    if reserved == 0 || cursor.rest().is_empty() { Ok(()) } else { Err(RefusedFrame::Contradiction) }
}

#[cfg(test)]
mod tests {
    use shared::hex;
    use shared::reading::{NoReading, Reading};

    use super::*;

    fn read(value: &str) -> Result<BloodPressure, RefusedFrame> {
        BloodPressure::of(&hex::decode(value).unwrap(), Quirks::default())
    }

    fn qualities(report: &Report) -> Vec<(Metric, Quality)> {
        report.readings.iter().map(|reading| (reading.metric, reading.quality)).collect()
    }

    #[test]
    fn each_bit_of_the_status_is_a_flag() {
        let report = |status: u16| {
            let [low, high] = status.to_le_bytes();
            BloodPressure::of(&[0x14, 120, 0, 80, 0, 93, 0, 70, 0, low, high], Quirks::default()).unwrap().report()
        };
        for (bit, flag) in [
            (0, Quality::ARTEFACT),
            (1, Quality::LOOSE_CUFF),
            (2, Quality::IRREGULAR_PULSE),
            (5, Quality::WRONG_POSITION),
            (6, Quality::GOOD),
        ] {
            assert!(qualities(&report(1 << bit)).iter().all(|(_, quality)| *quality == flag), "bit {bit}");
        }
        for range in 1..=3 {
            for (metric, quality) in qualities(&report(range << 3)) {
                let doubtful = metric == Metric::PulseRate;
                assert_eq!(quality, Quality::QUESTIONABLE.when(doubtful), "range {range}, {metric:?}");
            }
        }
    }

    #[test]
    fn a_mean_that_is_not_computed_is_no_reading_and_a_user_may_be_unknown() {
        for mean in ["ff07", "0000"] {
            let report = read(&format!("0878005000{mean}ff")).unwrap().report();
            let metrics: Vec<_> = report.readings.iter().map(|reading| reading.metric).collect();
            assert_eq!(
                (metrics.as_slice(), report.slot),
                (&[Metric::SystolicPressure, Metric::DiastolicPressure][..], None)
            );
        }
        assert_eq!(read("08780050005d0002").unwrap().report().slot, Some(2));
        let failed = read("00ff07ff07fe07").unwrap().report();
        assert_eq!(failed.readings[0], Reading::none(Metric::SystolicPressure, NoReading::NotANumber, Quality::GOOD));
        assert_eq!(failed.readings[2], Reading::none(Metric::MeanPressure, NoReading::AboveRange, Quality::GOOD));
    }

    #[test]
    fn octets_behind_a_reserved_flag_are_refused() {
        assert!(read("00780050005d0099").is_ok(), "nothing was announced, so nothing is looked at");
        assert!(read("e0780050005d00").is_ok());
        assert_eq!(read("e0780050005d0099"), Err(RefusedFrame::Contradiction));
        assert_eq!(read("fe202700750055005f00e407091810093a690001"), Err(RefusedFrame::Contradiction));
    }

    #[test]
    fn a_tail_with_the_high_octet_first_and_a_user_without_a_flag() {
        let quirks = Quirks { cuff_tail_big_endian: true, cuff_user_always: true, ..Quirks::NONE };
        let value = hex::decode("56760050000000ea07080b141b00003c010004").unwrap();
        let report = BloodPressure::of(&value, quirks).unwrap().report();
        let value = |number: i64, metric, unit| Reading::value(metric, number.into(), unit, Quality::IRREGULAR_PULSE);
        let pressures = [
            value(118, Metric::SystolicPressure, Unit::MillimetreOfMercury),
            value(80, Metric::DiastolicPressure, Unit::MillimetreOfMercury),
            value(60, Metric::PulseRate, Unit::PerMinute),
        ];
        assert_eq!((&report.readings[..], report.slot), (&pressures[..], Some(1)));
    }

    #[test]
    fn enhanced_times_count_from_either_epoch() {
        let time = |value: &str| BloodPressure::of_enhanced(&hex::decode(value).unwrap()).map(|read| read.time);
        let day = |year| Ok(Some(DeviceTime { year, month: 1, day: 2, hour: 0, minute: 0, second: 0 }));
        assert_eq!(time("02780050005d0080510100"), day(1900));
        assert_eq!(time("42780050005d0080510100"), day(2000));
        assert_eq!(time("62780050005d000000000080510100"), day(2000), "the displayed time is the patient's");
        assert_eq!(time("62780050005d0000000000805101"), Err(RefusedFrame::Length));
    }
}
