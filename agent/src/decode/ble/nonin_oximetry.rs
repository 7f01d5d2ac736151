//! Nonin 3230 and 3150 over Bluetooth LE: the maker's oximetry characteristic, once a second.
//!
//! Source: STANDARDS §1.4, where two public decoders agree, one of them after Nonin's document 113142-000-02. High octet first.
//! ```text
//! length    u8, of all octets, itself included: 10
//! status    b1 weak signal, b2 SmartPoint, b3 searching, b4 finger in the sensor, b5 low battery, b6 encrypted
//! battery   u8, 0.1 V
//! PAI       u16, pulse amplitude index, 0.01 %
//! counter   u16, goes up by one each second
//! SpO2      u8, per cent; 127 is none
//! pulse     u16, per minute; 511 is none
//! ```

use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::decode::nonin_packet::{PULSE_MISSING, SPO2_MISSING};
use crate::decode::{RefusedFrame, Report};

/// A value as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoninOximetry {
    status: u8,
    /// Of the battery, in tenths of a volt.
    pub battery_decivolt: u8,
    /// Pulse amplitude index, in hundredths of a per cent.
    pub amplitude_percent100: u16,
    /// Seconds counted by the device.
    pub counter: u16,
    /// Saturation in per cent, if there is one.
    pub spo2: Option<u8>,
    /// Pulse rate per minute, if there is one.
    pub pulse: Option<u16>,
}

impl NoninOximetry {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: it has fewer than ten octets, or another number than it says.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let [length, status, battery_decivolt, a1, a0, c1, c0, spo2, p1, p0, ..] = *value else {
            return Err(RefusedFrame::Length);
        };
        if usize::from(length) != value.len() {
            return Err(RefusedFrame::Length);
        }
        Ok(Self {
            status,
            battery_decivolt,
            amplitude_percent100: u16::from_be_bytes([a1, a0]),
            counter: u16::from_be_bytes([c1, c0]),
            spo2: Some(spo2).filter(|spo2| *spo2 != SPO2_MISSING),
            pulse: Some(u16::from_be_bytes([p1, p0])).filter(|pulse| *pulse != PULSE_MISSING),
        })
    }

    /// The signal is weak.
    #[must_use]
    pub const fn weak_signal(&self) -> bool {
        self.status & (1 << 1) != 0
    }

    /// The device averaged until it was sure.
    #[must_use]
    pub const fn smart_point(&self) -> bool {
        self.status & (1 << 2) != 0
    }

    /// The device looks for a pulse.
    #[must_use]
    pub const fn searching(&self) -> bool {
        self.status & (1 << 3) != 0
    }

    /// A finger is in the sensor.
    #[must_use]
    pub const fn sensor_on(&self) -> bool {
        self.status & (1 << 4) != 0
    }

    /// The battery is low.
    #[must_use]
    pub const fn low_battery(&self) -> bool {
        self.status & (1 << 5) != 0
    }

    /// The connection is encrypted.
    #[must_use]
    pub const fn encrypted(&self) -> bool {
        self.status & (1 << 6) != 0
    }

    /// Saturation, pulse rate and pulse amplitude index. Without a finger no number is of a finger.
    #[must_use]
    pub fn report(&self) -> Report {
        let quality = Quality::WEAK_SIGNAL
            .when(self.weak_signal())
            .and(Quality::SMART_POINT.when(self.smart_point()))
            .and(Quality::SEARCHING.when(self.searching()))
            .and(Quality::LOW_BATTERY.when(self.low_battery()));
        let missing = match (self.sensor_on(), self.searching()) {
            (false, _) => NoReading::SensorOff,
            (true, true) => NoReading::Searching,
            (true, false) => NoReading::MissingData,
        };
        let mut report = Report { battery_low: Some(self.low_battery()), ..Report::default() };
        let mut add = |metric, number: Option<u16>, exponent, unit| {
            report.add(match (number, self.sensor_on()) {
                (None, _) => Reading::none(metric, missing, quality),
                (Some(_), false) => Reading::none(metric, NoReading::Stale, quality),
                (Some(number), true) => {
                    Reading::value(metric, Decimal::new(i64::from(number), exponent), unit, quality)
                }
            });
        };
        let amplitude = Some(self.amplitude_percent100).filter(|index| *index != 0 && self.pulse.is_some());
        add(Metric::SpO2, self.spo2.map(u16::from), 0, Unit::Percent);
        add(Metric::PulseRate, self.pulse, 0, Unit::PerMinute);
        add(Metric::PerfusionIndex, amplitude, -2, Unit::Percent);
        report
    }
}

#[cfg(test)]
mod tests {
    use shared::reading::Outcome;

    use super::*;

    fn report(status: u8, spo2: u8, pulse: [u8; 2]) -> Report {
        NoninOximetry::of(&[10, status, 29, 1, 0x90, 0, 42, spo2, pulse[0], pulse[1]]).unwrap().report()
    }

    #[test]
    fn values_and_flags() {
        let quality = Quality::SMART_POINT.and(Quality::LOW_BATTERY);
        let found = report(0x34, 97, [0, 72]);
        let readings = [
            Reading::value(Metric::SpO2, 97.into(), Unit::Percent, quality),
            Reading::value(Metric::PulseRate, 72.into(), Unit::PerMinute, quality),
            Reading::value(Metric::PerfusionIndex, Decimal::new(400, -2), Unit::Percent, quality),
        ];
        assert_eq!((&found.readings[..], found.battery_low), (&readings[..], Some(true)));
        assert_eq!(report(0x12, 97, [0, 72]).readings[0].quality, Quality::WEAK_SIGNAL);
        assert_eq!(report(0x18, 97, [0, 72]).readings[0].quality, Quality::SEARCHING);
    }

    #[test]
    fn reasons_for_no_number() {
        let outcome = |status, spo2| report(status, spo2, [1, 0xFF]).readings[0].outcome;
        assert_eq!(outcome(0x08, 127), Outcome::None(NoReading::SensorOff));
        assert_eq!(outcome(0x18, 127), Outcome::None(NoReading::Searching));
        assert_eq!(outcome(0x10, 127), Outcome::None(NoReading::MissingData));
        assert_eq!(outcome(0x00, 97), Outcome::None(NoReading::Stale), "no finger, and yet a number");
    }

    #[test]
    fn the_length_is_looked_at() {
        assert_eq!(NoninOximetry::of(&[11, 0x14, 29, 1, 0x90, 0, 42, 97, 0, 72]), Err(RefusedFrame::Length));
        assert_eq!(NoninOximetry::of(&[9, 0x14, 29, 1, 0x90, 0, 42, 97, 0]), Err(RefusedFrame::Length));
        assert!(NoninOximetry::of(&[11, 0x14, 29, 1, 0x90, 0, 42, 97, 0, 72, 9]).is_ok(), "it may grow");
    }
}
