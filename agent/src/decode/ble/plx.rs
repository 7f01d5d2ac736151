//! PLX Spot-Check Measurement (2A5E), PLX Continuous Measurement (2A5F), PLX Features (2A60).
//!
//! Source: Bluetooth Pulse Oximeter Service 1.0.1, 3.1 to 3.3; GATT Specification Supplement (STANDARDS §1.3).
//! ```text
//! 2A5E  flags     b0 time, b1 measurement status, b2 device status, b3 pulse amplitude index, b4 clock not set
//!       normal    SFLOAT saturation in per cent, SFLOAT pulse rate per minute
//!       then      Date Time, status u16, device u24, index SFLOAT in per cent, each if its flag is set
//! 2A5F  flags     b0 fast, b1 slow, b2 measurement status, b3 device status, b4 pulse amplitude index
//!       normal    as above; then fast and slow, two SFLOAT each; then as above, without a time
//! 2A60  features  u16: b0 measurement status, b1 device status, b2 storage, b3 time, b4 fast, b5 slow, b6 index, b7 bonds;
//!                 then u16 and u24, what statuses can say, if b0 and b1
//! ```
//! Reserved flag bits are not looked at, nor octets that no flag announces.

use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::Unit;

use super::of_float;
use super::plx_status::{DeviceStatus, Kind, MeasurementStatus};
use crate::decode::cursor::Cursor;
use crate::decode::medfloat::{Medfloat, Special};
use crate::decode::{Memory, RefusedFrame, Report, date_time};

/// Saturation in per cent and pulse rate per minute, measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Saturation in per cent.
    pub spo2: Medfloat,
    /// Pulse rate per minute.
    pub pulse: Medfloat,
}

impl Pair {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, RefusedFrame> {
        Ok(Self { spo2: cursor.sfloat()?, pulse: cursor.sfloat()? })
    }
}

/// What may come with either measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    /// What is said of the measurement.
    pub measurement: Option<MeasurementStatus>,
    /// What is said of the device and its sensor.
    pub device: Option<DeviceStatus>,
    /// Pulse amplitude index in per cent.
    pub amplitude: Option<Medfloat>,
}

impl Beside {
    /// `flags` begin with the one for the measurement's status.
    fn read(flags: u8, cursor: &mut Cursor<'_>) -> Result<Self, RefusedFrame> {
        Ok(Self {
            measurement: cursor.when(flags & 1 != 0, Cursor::u16)?.map(MeasurementStatus),
            device: cursor.when(flags & 2 != 0, Cursor::u24)?.map(DeviceStatus),
            amplitude: cursor.when(flags & 4 != 0, Cursor::sfloat)?,
        })
    }

    fn add(&self, report: &mut Report, pair: &Pair, kind: Kind, also: Quality, no_reading: Option<NoReading>) {
        let measurement = self.measurement.unwrap_or_default();
        let device = self.device.unwrap_or_default();
        let quality = measurement.quality(kind).and(device.quality()).and(also);
        // Not of a patient: nothing the device says of its sensor matters then.
        let no_reading = match measurement.no_reading() {
            Some(NoReading::NotOfAPatient) => Some(NoReading::NotOfAPatient),
            other => no_reading.or(device.no_reading()).or(other),
        };
        let searching = device.analysing().then_some(NoReading::Searching);
        let mut reading = |metric, value: Medfloat, unit| {
            let absent =
                no_reading.or_else(|| value.err().and_then(|why| (why == Special::NaN).then_some(searching)?));
            report.add(match absent {
                Some(why) => Reading::none(metric, why, quality),
                None => of_float(metric, value, unit, quality),
            });
        };
        reading(Metric::SpO2, pair.spo2, Unit::Percent);
        reading(Metric::PulseRate, pair.pulse, Unit::PerMinute);
        if let Some(amplitude) = self.amplitude {
            reading(Metric::PerfusionIndex, amplitude, Unit::Percent);
        }
    }
}

/// A spot check as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlxSpot {
    /// What was measured.
    pub normal: Pair,
    /// The device's own time, if it sent one that is a time.
    pub time: Option<DeviceTime>,
    /// What came with it.
    pub beside: Beside,
    /// The device says that its clock is not set.
    pub clock_not_set: bool,
}

impl PlxSpot {
    /// Reads a value of 2A5E.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a flag announces is not there.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u8()?;
        Ok(Self {
            normal: Pair::read(&mut cursor)?,
            time: cursor.when(flags & 1 != 0, date_time::read_beside)?.flatten(),
            beside: Beside::read(flags >> 1, &mut cursor)?,
            clock_not_set: flags & (1 << 4) != 0,
        })
    }

    /// What of it is a reading; `value` are its own octets. One from storage is a record of the device's memory.
    #[must_use]
    pub fn report(&self, value: &[u8]) -> Report {
        let stored = self.beside.measurement.is_some_and(MeasurementStatus::from_storage);
        // The profile has no numbers of records: time and octets tell one from another.
        let memory = stored.then(|| Memory::of(0, value));
        let mut report = Report { device_time: self.time, memory, ..Report::default() };
        let clock = Quality::DEVICE_CLOCK.when(self.clock_not_set);
        self.beside.add(&mut report, &self.normal, Kind::Spot, clock, None);
        report
    }
}

/// A continuous measurement as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlxContinuous {
    /// With the usual averaging.
    pub normal: Pair,
    /// With faster averaging, if sent.
    pub fast: Option<Pair>,
    /// With slower averaging, if sent.
    pub slow: Option<Pair>,
    /// What came with it.
    pub beside: Beside,
}

impl PlxContinuous {
    /// Reads a value of 2A5F.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a flag announces is not there.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u8()?;
        Ok(Self {
            normal: Pair::read(&mut cursor)?,
            fast: cursor.when(flags & 1 != 0, Pair::read)?,
            slow: cursor.when(flags & 2 != 0, Pair::read)?,
            beside: Beside::read(flags >> 2, &mut cursor)?,
        })
    }

    /// What of it is a reading: the values with the usual averaging. One from storage has no time in this profile, so it is
    /// neither of now nor of any other moment.
    #[must_use]
    pub fn report(&self) -> Report {
        let stored = self.beside.measurement.is_some_and(MeasurementStatus::from_storage);
        let mut report = Report::default();
        let stale = stored.then_some(NoReading::Stale);
        self.beside.add(&mut report, &self.normal, Kind::Continuous, Quality::GOOD, stale);
        report
    }
}

/// What a pulse oximeter can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlxFeatures {
    /// The bits, as in the layout above.
    pub features: u16,
    /// The bits of the measurement's status that it uses, if it has one.
    pub measurement: Option<MeasurementStatus>,
    /// The bits of the device's status that it uses, if it has one.
    pub device: Option<DeviceStatus>,
}

impl PlxFeatures {
    const NAMES: [(u16, &'static str); 8] = [
        (1 << 0, "measurement-status"),
        (1 << 1, "device-status"),
        (1 << 2, "storage"),
        (1 << 3, "timestamp"),
        (1 << 4, "fast"),
        (1 << 5, "slow"),
        (1 << 6, "pai"),
        (1 << 7, "multiple-bonds"),
    ];

    /// Reads a value of 2A60.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a bit announces is not there.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let features = cursor.u16()?;
        Ok(Self {
            features,
            measurement: cursor.when(features & 1 != 0, Cursor::u16)?.map(MeasurementStatus),
            device: cursor.when(features & 2 != 0, Cursor::u24)?.map(DeviceStatus),
        })
    }

    /// The names of the features, reserved bits left out.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bit, _)| self.features & bit != 0).map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use shared::hex;
    use shared::reading::Outcome;

    use super::*;

    fn spot(value: &str) -> Report {
        let value = hex::decode(value).unwrap();
        PlxSpot::of(&value).unwrap().report(&value)
    }

    fn continuous(value: &str) -> Report {
        PlxContinuous::of(&hex::decode(value).unwrap()).unwrap().report()
    }

    fn absences(report: &Report) -> Vec<NoReading> {
        let absence = |reading: &Reading| match reading.outcome {
            Outcome::None(why) => Some(why),
            Outcome::Value(_) => None,
        };
        report.readings.iter().filter_map(absence).collect()
    }

    #[test]
    fn a_demonstration_is_of_no_patient_whatever_else_is_said() {
        let demonstration = absences(&spot("02620048000004"));
        assert_eq!(demonstration, [NoReading::NotOfAPatient; 2]);
        assert_eq!(absences(&spot("0662004800000c008000")), demonstration);
    }

    #[test]
    fn a_stored_spot_check_is_a_record_and_a_stored_continuous_one_is_stale() {
        let report = spot("0360004600ea0701020304050002");
        let record = Memory::of(0, &hex::decode("0360004600ea0701020304050002").unwrap());
        assert_eq!((report.memory, report.device_time.map(|time| time.year)), (Some(record), Some(2026)));
        assert_eq!(absences(&report), []);
        assert_eq!(spot("0160004600ea070102030405").memory, None, "a time alone makes no record");
        assert_eq!(absences(&continuous("04600046000002")), [NoReading::Stale; 2]);
    }

    #[test]
    fn values_index_and_flags() {
        let report = continuous("1f6000480061004a005f00460020012000000cf0");
        let value = |metric, mantissa, exponent, unit| {
            let quality = Quality::SMART_POINT.and(Quality::LOW_PERFUSION);
            Reading::value(metric, shared::units::Decimal::new(mantissa, exponent), unit, quality)
        };
        let readings = [
            value(Metric::SpO2, 96, 0, Unit::Percent),
            value(Metric::PulseRate, 72, 0, Unit::PerMinute),
            value(Metric::PerfusionIndex, 12, -1, Unit::Percent),
        ];
        assert_eq!(report.readings[..], readings);
        assert_eq!(spot("1061004800").readings[0].quality, Quality::DEVICE_CLOCK);
    }

    #[test]
    fn reasons_for_no_number() {
        assert_eq!(absences(&spot("00ff07ff07")), [NoReading::NotANumber; 2]);
        assert_eq!(absences(&spot("04ff07ff07000800")), [NoReading::SensorOff; 2]);
        assert_eq!(absences(&spot("04ff07ff07000200")), [NoReading::Searching; 2]);
        assert_eq!(absences(&spot("0461004800000200")), [], "a value while the signal is analysed is one");
        assert_eq!(absences(&continuous("0461004800008000")), [NoReading::DeclaredInvalid; 2]);
    }

    #[test]
    fn features() {
        let read = PlxFeatures::of(&[0x43, 0, 0x20, 0, 1, 0x80, 0, 9]).unwrap();
        assert_eq!(read.names().collect::<Vec<_>>(), ["measurement-status", "device-status", "pai"]);
        assert_eq!((read.measurement, read.device), (Some(MeasurementStatus(0x20)), Some(DeviceStatus(0x8001))));
        assert_eq!(PlxFeatures::of(&[2, 0, 1, 0]), Err(RefusedFrame::Length));
    }
}
