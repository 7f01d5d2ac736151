//! CGM Measurement (2AA7): continuous glucose of the interstitial fluid. One notification may hold several records.
//!
//! Source: Bluetooth CGM Service 1.0.2, 3.1; GATT Specification Supplement, CGM Measurement (STANDARDS §1.3).
//! ```text
//! size      u8, of the whole record with this octet
//! flags     b0 trend, b1 quality, b5 warning, b6 calibration and temperature, b7 status
//! glucose   SFLOAT, mg/dL
//! offset    u16, minutes since the session began
//! status, calibration and temperature, warning: an octet each, if flagged
//! trend     SFLOAT, mg/dL a minute
//! quality   SFLOAT, per cent
//! CRC       u16, if the device says in its features that it sends one
//! ```
//! The quality is of the sensor's own; the standard gives no limit. Below [`QUALITY_PERCENT_MIN`], or where it is no number of per
//! cent, the value is questionable.
//!
//! The size must be what the flags say. Warnings about the patient are alarms of the device: they speak of its limits, not of
//! the quality of the value, and neither does an alert of its own.

use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::decode::checksum::crc16_mcrf4xx;
use crate::decode::cursor::Cursor;
use crate::decode::medfloat::{Medfloat, Special};
use crate::decode::{Memory, RefusedFrame, Report};

const TREND: u8 = 1 << 0;
const QUALITY: u8 = 1 << 1;
const WARNING: u8 = 1 << 5;
const CALIBRATION: u8 = 1 << 6;
const STATUS: u8 = 1 << 7;

/// The lowest quality in per cent at which a value is not questionable. No standard has a limit; this one is ours.
pub const QUALITY_PERCENT_MIN: i64 = 50;

const RECORD_BYTES_MIN: usize = 6;
const CRC_BYTES: usize = 2;

/// Whether a device closes its values with an E2E-CRC (CGM Service 1.0.2, 3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum E2eCrc {
    /// It does; a value without is refused.
    Sent,
    /// It does not.
    NotSent,
    /// Its features have not been read: a value that is two octets longer than it says has one, and it must fit.
    #[default]
    BySize,
}

impl E2eCrc {
    /// Takes the CRC off a value that without it has `bare` octets, and checks it.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: neither with nor without a CRC of this length. [`RefusedFrame::Checksum`]
    pub fn checked(self, value: &[u8], bare: usize) -> Result<&[u8], RefusedFrame> {
        let has_crc = match self {
            Self::Sent => true,
            Self::NotSent => false,
            Self::BySize => value.len() != bare,
        };
        if !has_crc {
            return if value.len() == bare { Ok(value) } else { Err(RefusedFrame::Length) };
        }
        match value.split_last_chunk::<CRC_BYTES>() {
            Some((body, crc)) if body.len() == bare => {
                if crc16_mcrf4xx(body) == u16::from_le_bytes(*crc) {
                    Ok(body)
                } else {
                    Err(RefusedFrame::Checksum)
                }
            }
            _ => Err(RefusedFrame::Length),
        }
    }
}

/// What a sensor measures: the type of CGM Feature (2AA8). A sensor that has not said it measures interstitial fluid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sample {
    /// Interstitial fluid, 9.
    #[default]
    Interstitial,
    /// Blood, or the plasma of it: 1 to 8.
    Blood,
    /// A control solution, 10: not of a patient.
    ControlSolution,
    /// A number that the standard reserves.
    Reserved,
}

impl Sample {
    /// The sample of this number.
    #[must_use]
    pub const fn of(number: u8) -> Self {
        match number {
            1..=8 => Self::Blood,
            9 => Self::Interstitial,
            10 => Self::ControlSolution,
            _ => Self::Reserved,
        }
    }

    const fn metric(self) -> Metric {
        match self {
            Self::Blood => Metric::Glucose,
            Self::Interstitial | Self::ControlSolution | Self::Reserved => Metric::InterstitialGlucose,
        }
    }

    const fn no_reading(self) -> Option<NoReading> {
        match self {
            Self::Interstitial | Self::Blood => None,
            Self::ControlSolution => Some(NoReading::ControlSolution),
            Self::Reserved => Some(NoReading::Reserved),
        }
    }
}

/// An octet of named bits.
macro_rules! bits {
    ($(#[$doc:meta])* $name:ident { $($bit:ident = $place:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name(u8);

        impl $name {
            $(const $bit: u8 = 1 << $place;)*

            const fn has(self, bits: u8) -> bool {
                self.0 & bits != 0
            }

            /// The names of the bits that are set, the lowest first.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$((Self::$bit, $text)),*].into_iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| name)
            }
        }
    };
}

bits!(
    /// What the sensor says of itself.
    Status {
        STOPPED = 0 "session-stopped",
        BATTERY_LOW = 1 "battery-low",
        WRONG_SENSOR = 2 "sensor-type-incorrect",
        SENSOR_FAULT = 3 "sensor-malfunction",
        DEVICE_ALERT = 4 "device-specific-alert",
        GENERAL_FAULT = 5 "general-fault",
    }
);

bits!(
    /// What it says of calibration, temperature and time.
    Calibration {
        TIME_SYNC = 0 "time-sync-required",
        NOT_ALLOWED = 1 "calibration-not-allowed",
        RECOMMENDED = 2 "calibration-recommended",
        REQUIRED = 3 "calibration-required",
        TOO_HOT = 4 "sensor-temp-high",
        TOO_COLD = 5 "sensor-temp-low",
    }
);

bits!(
    /// What it warns of.
    Warning {
        PATIENT_LOW = 0 "below-patient-low",
        PATIENT_HIGH = 1 "above-patient-high",
        HYPO = 2 "below-hypo",
        HYPER = 3 "above-hyper",
        FALLING = 4 "rate-of-decrease-exceeded",
        RISING = 5 "rate-of-increase-exceeded",
        TOO_LOW = 6 "result-too-low",
        TOO_HIGH = 7 "result-too-high",
    }
);

/// A record as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cgm<'a> {
    /// mg/dL, or why there is no number.
    pub glucose: Medfloat,
    /// Minutes since the session began; also the record's number in the device.
    pub offset_minutes: u16,
    /// The status, if sent.
    pub status: Option<Status>,
    /// Calibration, temperature and time, if sent.
    pub calibration: Option<Calibration>,
    /// Warnings, if sent.
    pub warning: Option<Warning>,
    /// mg/dL a minute, if sent.
    pub trend: Option<Medfloat>,
    /// Per cent, if sent.
    pub quality: Option<Medfloat>,
    octets: &'a [u8],
}

impl<'a> Cgm<'a> {
    /// Reads the record at the beginning of `value`; gives it and what is behind it.
    fn first(value: &'a [u8], crc: E2eCrc) -> Result<(Self, &'a [u8]), RefusedFrame> {
        let [size, flags, ..] = value else { return Err(RefusedFrame::Length) };
        let (octets, behind) = value.split_at_checked(usize::from(*size)).ok_or(RefusedFrame::Length)?;
        let single = (flags & (STATUS | CALIBRATION | WARNING)).count_ones();
        let double = (flags & (TREND | QUALITY)).count_ones().saturating_mul(2);
        let optional = usize::try_from(single.saturating_add(double)).map_err(|_| RefusedFrame::Length)?;
        let body = crc.checked(octets, RECORD_BYTES_MIN.saturating_add(optional))?;
        let mut cursor = Cursor::new(body);
        let [_, flags] = cursor.octets()?;
        let record = Self {
            glucose: cursor.sfloat()?,
            offset_minutes: cursor.u16()?,
            status: cursor.when(flags & STATUS != 0, Cursor::u8)?.map(Status),
            calibration: cursor.when(flags & CALIBRATION != 0, Cursor::u8)?.map(Calibration),
            warning: cursor.when(flags & WARNING != 0, Cursor::u8)?.map(Warning),
            trend: cursor.when(flags & TREND != 0, Cursor::sfloat)?,
            quality: cursor.when(flags & QUALITY != 0, Cursor::sfloat)?,
            octets,
        };
        if record.warns(Warning::TOO_LOW) && record.warns(Warning::TOO_HIGH) {
            return Err(RefusedFrame::Contradiction);
        }
        Ok((record, behind))
    }

    fn warns(&self, bit: u8) -> bool {
        self.warning.is_some_and(|warning| warning.has(bit))
    }

    /// Why there is no value, if the record says so. A result that the sensor cannot process is none.
    fn no_reading(&self) -> Option<NoReading> {
        let status = self.status.unwrap_or_default();
        if status.has(Status::GENERAL_FAULT) {
            Some(NoReading::DeviceFault)
        } else if status.has(Status::SENSOR_FAULT | Status::WRONG_SENSOR) {
            Some(NoReading::SensorFault)
        } else if status.has(Status::STOPPED) {
            Some(NoReading::Stale)
        } else if self.warns(Warning::TOO_LOW) {
            Some(NoReading::BelowRange)
        } else if self.warns(Warning::TOO_HIGH) {
            Some(NoReading::AboveRange)
        } else {
            self.glucose.err().map(Special::no_reading)
        }
    }

    /// Whether the sensor says that its value is of low quality, or says nothing that can be one.
    fn is_doubted(&self) -> bool {
        let enough = Decimal::from(QUALITY_PERCENT_MIN)..=Decimal::from(100);
        self.quality.is_some_and(|quality| quality.map_or(true, |percent| !enough.contains(&percent)))
    }

    /// What of it is a reading: `start` is when the session began, by the device's clock; `from_memory` if the record was asked
    /// for; `sample` is what the sensor measures.
    #[must_use]
    pub fn report(&self, start: Option<DeviceTime>, from_memory: bool, sample: Sample) -> Report {
        let (status, calibration) = (self.status.unwrap_or_default(), self.calibration.unwrap_or_default());
        let quality = Quality::LOW_BATTERY
            .when(status.has(Status::BATTERY_LOW))
            .and(Quality::DEVICE_CLOCK.when(calibration.has(Calibration::TIME_SYNC)))
            .and(Quality::QUESTIONABLE.when(self.is_doubted()))
            .and(Quality::CALIBRATION_DUE.when(calibration.has(Calibration::REQUIRED)))
            .and(Quality::WRONG_CONDITIONS.when(calibration.has(Calibration::TOO_HOT | Calibration::TOO_COLD)));
        let mut report = Report {
            device_time: start.and_then(|start| self.time(&start)),
            memory: from_memory.then(|| Memory::of(u32::from(self.offset_minutes), self.octets)),
            battery_low: self.status.map(|status| status.has(Status::BATTERY_LOW)),
            ..Report::default()
        };
        let metric = sample.metric();
        report.add(match (sample.no_reading().or(self.no_reading()), self.glucose) {
            (None, Ok(decimal)) => Reading::value(metric, decimal, Unit::MilligramPerDecilitre, quality),
            (why, _) => Reading::none(metric, why.unwrap_or(NoReading::NotANumber), quality),
        });
        report
    }

    /// Its time by the device's clock: the session's start and its offset.
    fn time(&self, start: &DeviceTime) -> Option<DeviceTime> {
        crate::decode::date_time::shifted(start, i64::from(self.offset_minutes).saturating_mul(60))
    }
}

/// The records of one notification, in the order sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgmRecords<'a> {
    value: &'a [u8],
    crc: E2eCrc,
}

impl<'a> CgmRecords<'a> {
    /// Reads a value of the characteristic: at least one record, and every record of it, or none.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: nothing, or a record whose size is not what its flags say, or that is cut off.
    /// [`RefusedFrame::Checksum`]: its CRC does not fit. [`RefusedFrame::Contradiction`]: its result is said to be too high and
    /// too low.
    pub fn of(value: &'a [u8], crc: E2eCrc) -> Result<Self, RefusedFrame> {
        let (_, mut rest) = Cgm::first(value, crc)?;
        while !rest.is_empty() {
            (_, rest) = Cgm::first(rest, crc)?;
        }
        Ok(Self { value, crc })
    }

    /// Each record.
    pub fn iter(self) -> impl Iterator<Item = Cgm<'a>> {
        let mut rest = self.value;
        std::iter::from_fn(move || {
            let (record, behind) = Cgm::first(rest, self.crc).ok()?;
            rest = behind;
            Some(record)
        })
    }
}

#[cfg(test)]
#[path = "cgm_tests.rs"]
mod tests;
