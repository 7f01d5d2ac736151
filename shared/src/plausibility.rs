//! Is a value possible at all? Two bands for each metric: outside *impossible* it is kept but judged
//! `implausible`; outside *unlikely* it is `valid` and flagged. An abnormal but possible value must alarm.
//!
//! Sources: the widest published filters (MIMIC-IV derived `vitalsign`, ricu dictionary), widened where a living
//! patient was seen outside; the missing-data codes of oximeters (Nonin OEM 6470-000-01: 511, 127; BCI: 255, 127)
//! and of the weight scale profile (0xFFFF). One place for hub and server.

use crate::metric::Metric;
use crate::reading::{NoReading, Outcome, Reading, Value};
use crate::units::{Decimal, Unit};

/// What rules may do with an observation (SEMANTICS §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usability {
    /// Usable; `unlikely` marks a value outside the narrower band.
    Valid {
        /// Outside the band of likely values.
        unlikely: bool,
    },
    /// A value the rule's quality gate holds back.
    Gated,
    /// Not a possible value of this metric, or in a unit it does not have.
    Implausible(Implausible),
    /// No value, and why.
    Absent(NoReading),
}

/// Why a value cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Implausible {
    /// Below zero.
    Negative,
    /// Zero where zero cannot be told from a sensor that is off.
    Zero,
    /// Below the lowest possible value.
    TooLow,
    /// Above the highest possible value.
    TooHigh,
    /// A code some devices send for missing data.
    MissingDataCode,
    /// A unit this metric is never sent in.
    WrongUnit,
}

impl Implausible {
    /// Its name in JSON and storage.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Zero => "zero",
            Self::TooLow => "too_low",
            Self::TooHigh => "too_high",
            Self::MissingDataCode => "missing_data_code",
            Self::WrongUnit => "wrong_unit",
        }
    }
}

/// Possible values, inclusive at both ends, and the likely ones inside them, as `(mantissa, exponent)`.
struct Bands {
    possible: (Decimal, Decimal),
    likely: (Decimal, Decimal),
}

const fn whole(low: i64, high: i64) -> (Decimal, Decimal) {
    (Decimal::new(low, 0), Decimal::new(high, 0))
}

const fn tenths(low: i64, high: i64) -> (Decimal, Decimal) {
    (Decimal::new(low, -1), Decimal::new(high, -1))
}

const fn hundredths(low: i64, high: i64) -> (Decimal, Decimal) {
    (Decimal::new(low, -2), Decimal::new(high, -2))
}

/// The bands of a metric in one of its units; `None` where the metric is never sent in the unit.
fn bands(metric: Metric, unit: Unit) -> Option<Bands> {
    let (possible, likely) = match (metric, unit) {
        (Metric::HeartRate | Metric::PulseRate, Unit::PerMinute) => (whole(1, 350), whole(20, 250)),
        (Metric::SpO2, Unit::Percent) => (whole(1, 100), whole(50, 100)),
        (Metric::RespiratoryRate, Unit::PerMinute) => (whole(1, 150), whole(3, 70)),
        (Metric::Temperature, Unit::Celsius) => (hundredths(1001, 4999), tenths(300, 430)),
        (Metric::Temperature, Unit::Fahrenheit) => (hundredths(5001, 12199), tenths(860, 1094)),
        (Metric::SystolicPressure, Unit::MillimetreOfMercury) => (tenths(1, 3999), whole(50, 260)),
        (Metric::SystolicPressure, Unit::Kilopascal) => (hundredths(1, 5332), tenths(67, 347)),
        (Metric::DiastolicPressure, Unit::MillimetreOfMercury) => (tenths(1, 2999), whole(20, 160)),
        (Metric::DiastolicPressure, Unit::Kilopascal) => (hundredths(1, 3999), tenths(27, 213)),
        (Metric::MeanPressure, Unit::MillimetreOfMercury) => (tenths(1, 2999), whole(30, 200)),
        (Metric::MeanPressure, Unit::Kilopascal) => (hundredths(1, 3999), tenths(40, 267)),
        (Metric::Weight, Unit::Kilogram) => (tenths(1, 6500), whole(2, 300)),
        (Metric::Weight, Unit::Pound) => (tenths(2, 14330), whole(4, 660)),
        (Metric::Glucose, Unit::MillimolePerLitre) => (tenths(1, 830), tenths(11, 333)),
        (Metric::Glucose, Unit::MilligramPerDecilitre) => (whole(1, 1500), whole(20, 600)),
        (Metric::PerfusionIndex, Unit::Percent) => (hundredths(1, 10_000), hundredths(2, 2000)),
        (Metric::Battery, Unit::Percent) => (whole(0, 100), whole(0, 100)),
        (Metric::InterstitialGlucose, Unit::MillimolePerLitre) => (tenths(1, 830), tenths(22, 222)),
        (Metric::InterstitialGlucose, Unit::MilligramPerDecilitre) => (whole(1, 1500), whole(40, 400)),
        (Metric::BodyFat | Metric::MuscleShare, Unit::Percent) => (tenths(1, 999), whole(3, 75)),
        (Metric::MuscleMass | Metric::FatFreeMass | Metric::BodyWater, Unit::Kilogram) => {
            (tenths(1, 6500), whole(1, 200))
        }
        (Metric::MuscleMass | Metric::FatFreeMass | Metric::BodyWater, Unit::Pound) => {
            (tenths(2, 14330), whole(2, 440))
        }
        (Metric::Impedance, Unit::Ohm) => (tenths(1, 65_534), whole(100, 1500)),
        (Metric::BodyMassIndex, Unit::KilogramPerSquareMetre) => (tenths(10, 2500), whole(10, 80)),
        (Metric::Height, Unit::Metre) => (hundredths(10, 300), hundredths(40, 250)),
        (Metric::Height, Unit::Inch) => (tenths(40, 1180), tenths(157, 985)),
        _ => return None,
    };
    Some(Bands { possible, likely })
}

/// Codes devices send where they have no number.
const MISSING_DATA_CODES: &[(Metric, Unit, Decimal)] = &[
    (Metric::HeartRate, Unit::PerMinute, Decimal::new(511, 0)),
    (Metric::HeartRate, Unit::PerMinute, Decimal::new(255, 0)),
    (Metric::PulseRate, Unit::PerMinute, Decimal::new(511, 0)),
    (Metric::PulseRate, Unit::PerMinute, Decimal::new(255, 0)),
    (Metric::SpO2, Unit::Percent, Decimal::new(127, 0)),
    (Metric::SpO2, Unit::Percent, Decimal::new(255, 0)),
    (Metric::Weight, Unit::Kilogram, Decimal::new(327_675, -3)),
    (Metric::Weight, Unit::Pound, Decimal::new(65_535, -2)),
];

/// Judges a value of a metric: `Ok(unlikely)` or why it cannot be.
///
/// # Errors
/// [`Implausible`] says why the value is impossible.
pub fn judge(metric: Metric, value: Value) -> Result<bool, Implausible> {
    let Value { decimal, unit } = value;
    let Bands { possible, likely } = bands(metric, unit).ok_or(Implausible::WrongUnit)?;
    if decimal.is_negative() {
        return Err(Implausible::Negative);
    }
    if MISSING_DATA_CODES.contains(&(metric, unit, decimal)) {
        return Err(Implausible::MissingDataCode);
    }
    if decimal < possible.0 {
        let zero = decimal == Decimal::new(0, 0);
        return Err(if zero { Implausible::Zero } else { Implausible::TooLow });
    }
    if decimal > possible.1 {
        return Err(Implausible::TooHigh);
    }
    Ok(decimal < likely.0 || decimal > likely.1)
}

/// Whether a cuff's pair of pressures (same unit) can belong together: systolic above diastolic by at least
/// 10 mmHg (1.3 kPa).
#[must_use]
pub fn pressures_fit(systolic: Decimal, diastolic: Decimal, unit: Unit) -> bool {
    let least = match unit {
        Unit::Kilopascal => Decimal::new(13, -1),
        _ => Decimal::new(10, 0),
    };
    systolic.checked_sub(diastolic).is_some_and(|difference| difference >= least)
}

/// The one usability of a reading.
#[must_use]
pub fn usability(reading: &Reading) -> Usability {
    match reading.outcome {
        Outcome::None(why) => Usability::Absent(why),
        Outcome::Value(value) => match judge(reading.metric, value) {
            Err(why) => Usability::Implausible(why),
            Ok(_) if reading.quality.is_gated() => Usability::Gated,
            Ok(unlikely) => Usability::Valid { unlikely },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Quality;

    fn judged(metric: Metric, text: &str, unit: Unit) -> Result<bool, Implausible> {
        judge(metric, Value { decimal: text.parse().unwrap(), unit })
    }

    #[test]
    fn abnormal_but_possible_values_stay_valid() {
        assert_eq!(judged(Metric::SpO2, "49", Unit::Percent), Ok(true));
        assert_eq!(judged(Metric::SpO2, "78", Unit::Percent), Ok(false));
        assert_eq!(judged(Metric::Temperature, "41.8", Unit::Celsius), Ok(false));
        assert_eq!(judged(Metric::HeartRate, "38", Unit::PerMinute), Ok(false));
    }

    #[test]
    fn both_sides_of_each_edge() {
        assert_eq!(judged(Metric::SpO2, "100", Unit::Percent), Ok(false));
        assert_eq!(judged(Metric::SpO2, "101", Unit::Percent), Err(Implausible::TooHigh));
        assert_eq!(judged(Metric::SpO2, "0", Unit::Percent), Err(Implausible::Zero));
        assert_eq!(judged(Metric::SpO2, "127", Unit::Percent), Err(Implausible::MissingDataCode));
        assert_eq!(judged(Metric::Temperature, "10", Unit::Celsius), Err(Implausible::TooLow));
        assert_eq!(judged(Metric::SystolicPressure, "399.9", Unit::MillimetreOfMercury), Ok(true));
        assert_eq!(judged(Metric::SystolicPressure, "400", Unit::MillimetreOfMercury), Err(Implausible::TooHigh));
        assert_eq!(judged(Metric::Weight, "327.675", Unit::Kilogram), Err(Implausible::MissingDataCode));
        assert_eq!(judged(Metric::Glucose, "99", Unit::MillimolePerLitre), Err(Implausible::TooHigh));
        assert_eq!(judged(Metric::Temperature, "98.6", Unit::Celsius), Err(Implausible::TooHigh));
        assert_eq!(judged(Metric::SpO2, "97", Unit::PerMinute), Err(Implausible::WrongUnit));
        assert_eq!(judged(Metric::HeartRate, "-1", Unit::PerMinute), Err(Implausible::Negative));
    }

    #[test]
    fn cuff_pairs() {
        let fit = |s: i64, d: i64| pressures_fit(s.into(), d.into(), Unit::MillimetreOfMercury);
        assert!(fit(120, 80) && fit(90, 80));
        assert!(!fit(80, 80) && !fit(70, 90) && !fit(230, 225));
    }

    #[test]
    fn a_gated_impossible_value_is_implausible() {
        let reading = |text: &str, quality| Reading::value(Metric::SpO2, text.parse().unwrap(), Unit::Percent, quality);
        assert_eq!(usability(&reading("97", Quality::GOOD)), Usability::Valid { unlikely: false });
        assert_eq!(usability(&reading("97", Quality::ARTEFACT)), Usability::Gated);
        assert_eq!(usability(&reading("0", Quality::ARTEFACT)), Usability::Implausible(Implausible::Zero));
        let none = Reading::none(Metric::SpO2, NoReading::SensorOff, Quality::GOOD);
        assert_eq!(usability(&none), Usability::Absent(NoReading::SensorOff));
    }
}
