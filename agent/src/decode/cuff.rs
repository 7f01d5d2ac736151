//! What a cuff on a serial line measured → readings.

use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use super::Report;

/// A measurement: pressures in mmHg, pulse per minute. `None` is a metric that the device does not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cuff {
    /// Systolic pressure.
    pub systolic: u16,
    /// Diastolic pressure.
    pub diastolic: u16,
    /// Mean arterial pressure.
    pub mean: Option<u16>,
    /// Pulse; 0 is none.
    pub pulse: u16,
}

/// The report of a measurement, or of one that came to nothing.
#[must_use]
pub fn report(measured: Result<Cuff, NoReading>) -> Report {
    let mut report = Report::default();
    match measured {
        Err(why) => {
            for metric in [Metric::SystolicPressure, Metric::DiastolicPressure, Metric::PulseRate] {
                report.add(Reading::none(metric, why, Quality::GOOD));
            }
        }
        Ok(Cuff { systolic, diastolic, mean, pulse }) => {
            let pressures = [
                (Metric::SystolicPressure, Some(systolic)),
                (Metric::DiastolicPressure, Some(diastolic)),
                (Metric::MeanPressure, mean),
            ];
            for (metric, pressure) in pressures {
                if let Some(pressure) = pressure {
                    report.add(Reading::value(metric, whole(pressure), Unit::MillimetreOfMercury, Quality::GOOD));
                }
            }
            report.add(match pulse {
                0 => Reading::none(Metric::PulseRate, NoReading::MissingData, Quality::GOOD),
                pulse => Reading::value(Metric::PulseRate, whole(pulse), Unit::PerMinute, Quality::GOOD),
            });
        }
    }
    report
}

fn whole(number: u16) -> Decimal {
    Decimal::from(i64::from(number))
}
