//! Jumper JPD-500F.
//!
//! Source: STANDARDS §1.4 and public decoders: one notification for the values, others for the pulse wave.
//! ```text
//! 81  pulse u8 per minute, 255 none  SpO2 u8 per cent, 127 none  perfusion index u8, 0.1 %  ...
//! 80  pulse wave
//! ```
//! Zero is no number either. There is no checksum of its own; Bluetooth has one.

use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::decode::{RefusedFrame, Report};

const VALUES: u8 = 0x81;
const PULSE_WAVE: u8 = 0x80;

/// A notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jumper {
    /// The values of now.
    Values {
        /// Pulse rate per minute; 0 and 255 are none.
        pulse: u8,
        /// Saturation in per cent; 0 and 127 are none.
        spo2: u8,
        /// Perfusion index in tenths of a per cent; 0 is none.
        perfusion_percent10: u8,
    },
    /// A piece of the pulse wave, which is not kept.
    PulseWave,
}

impl Jumper {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`], or [`RefusedFrame::Unknown`] for another kind of notification.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        match *value {
            [VALUES, pulse, spo2, perfusion_percent10, ..] => Ok(Self::Values { pulse, spo2, perfusion_percent10 }),
            [PULSE_WAVE, ..] => Ok(Self::PulseWave),
            [VALUES, ..] | [] => Err(RefusedFrame::Length),
            _ => Err(RefusedFrame::Unknown),
        }
    }

    /// Saturation, pulse rate and perfusion index.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report::default();
        let Self::Values { pulse, spo2, perfusion_percent10 } = *self else { return report };
        let mut add = |metric, number: u8, none: u8, exponent, unit| {
            report.add(if number == 0 || number == none {
                Reading::none(metric, NoReading::MissingData, Quality::GOOD)
            } else {
                Reading::value(metric, Decimal::new(i64::from(number), exponent), unit, Quality::GOOD)
            });
        };
        add(Metric::SpO2, spo2, 127, 0, Unit::Percent);
        add(Metric::PulseRate, pulse, 255, 0, Unit::PerMinute);
        add(Metric::PerfusionIndex, perfusion_percent10, 255, -1, Unit::Percent);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_or_none() {
        let report = |value: &[u8]| Jumper::of(value).map(|read| read.report().readings);
        let values = [
            Reading::value(Metric::SpO2, 99.into(), Unit::Percent, Quality::GOOD),
            Reading::value(Metric::PulseRate, 56.into(), Unit::PerMinute, Quality::GOOD),
            Reading::value(Metric::PerfusionIndex, Decimal::new(68, -1), Unit::Percent, Quality::GOOD),
        ];
        assert_eq!(report(&[0x81, 56, 99, 68]).unwrap()[..], values);
        for none in [[0x81, 255, 127, 0], [0x81, 0, 0, 255]] {
            let none = report(&none).unwrap();
            let missing = |metric| Reading::none(metric, NoReading::MissingData, Quality::GOOD);
            assert_eq!(none[..], [Metric::SpO2, Metric::PulseRate, Metric::PerfusionIndex].map(missing));
        }
        assert_eq!(report(&[0x80, 1, 2]).map(|readings| readings.len()), Ok(0));
        assert_eq!((report(&[0x81, 56, 99]), report(&[0x2D])), (Err(RefusedFrame::Length), Err(RefusedFrame::Unknown)));
    }
}
