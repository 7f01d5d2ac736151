//! Is a value possible at all? Two bands for each metric: outside *impossible* it is kept but judged
//! `implausible`; outside *unlikely* it is `valid` and flagged. An abnormal but possible value must alarm.
//!
//! Sources: the widest published filters (MIMIC-IV derived `vitalsign`, ricu dictionary), widened where a living
//! patient was seen outside; the missing-data codes of oximeters (Nonin OEM 6470-000-01: 511, 127; BCI: 255, 127)
//! and of the weight scale profile (0xFFFF). One place for hub and server. [`together`] looks at the readings of one
//! report beside each other.

mod bands;
mod together;

use crate::metric::Metric;
use crate::reading::{NoReading, Outcome, Quality, Reading, Value};
use crate::units::Decimal;
use bands::{Bands, bands};
pub use together::{mark_inconsistent, pressures_fit};

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

impl Usability {
    /// It in one word, for JSON and people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Valid { unlikely: false } => "valid",
            Self::Valid { unlikely: true } => "unlikely",
            Self::Gated => "gated",
            Self::Implausible(_) => "implausible",
            Self::Absent(_) => "absent",
        }
    }
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
    /// A number that fits the metric's other unit and not this one: 98.6 in °C, 16 mmHg, 120 kPa.
    OtherUnit,
    /// It cannot be beside the other readings of its report: a systolic pressure below the diastolic.
    Inconsistent,
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
            Self::OtherUnit => "other_unit",
            Self::Inconsistent => "inconsistent",
        }
    }
}

/// Judges a value of a metric: `Ok(unlikely)` or why it cannot be.
///
/// # Errors
/// [`Implausible`] says why the value is impossible.
pub fn judge(metric: Metric, value: Value) -> Result<bool, Implausible> {
    let Value { decimal, unit } = value;
    let Bands { possible, likely } = bands(metric, unit).ok_or(Implausible::WrongUnit)?;
    let is_impossible = decimal < possible.0 || decimal > possible.1;
    if bands::is_missing_data_code(metric, unit, decimal) || (is_impossible && bands::is_general_code(decimal)) {
        return Err(Implausible::MissingDataCode);
    }
    if decimal.is_negative() {
        return Err(Implausible::Negative);
    }
    if !is_impossible {
        return Ok(decimal < likely.0 || decimal > likely.1);
    }
    Err(match decimal {
        decimal if decimal == Decimal::new(0, 0) => Implausible::Zero,
        decimal if bands::fits_other_unit(metric, unit, decimal) => Implausible::OtherUnit,
        decimal if decimal < possible.0 => Implausible::TooLow,
        _ => Implausible::TooHigh,
    })
}

/// The one usability of a reading.
#[must_use]
pub fn usability(reading: &Reading) -> Usability {
    match reading.outcome {
        Outcome::None(why) => Usability::Absent(why),
        Outcome::Value(value) => match judge(reading.metric, value) {
            Err(why) => Usability::Implausible(why),
            Ok(_) if reading.quality.contains(Quality::INCONSISTENT) => {
                Usability::Implausible(Implausible::Inconsistent)
            }
            Ok(_) if reading.quality.is_gated() => Usability::Gated,
            Ok(unlikely) => Usability::Valid { unlikely },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Unit;

    fn judged(metric: Metric, text: &str, unit: Unit) -> Result<bool, Implausible> {
        judge(metric, Value { decimal: text.parse().unwrap(), unit })
    }

    #[test]
    fn abnormal_but_possible_values_stay_valid() {
        assert_eq!(judged(Metric::SpO2, "49", Unit::Percent), Ok(false));
        assert_eq!(judged(Metric::SpO2, "39", Unit::Percent), Ok(true));
        assert_eq!(judged(Metric::HeartRate, "300", Unit::PerMinute), Ok(true));
        assert_eq!(judged(Metric::RespiratoryRate, "70", Unit::PerMinute), Ok(true));
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
        assert_eq!(judged(Metric::Temperature, "50", Unit::Celsius), Err(Implausible::TooHigh));
        assert_eq!(judged(Metric::SpO2, "97", Unit::PerMinute), Err(Implausible::WrongUnit));
        assert_eq!(judged(Metric::HeartRate, "-1", Unit::PerMinute), Err(Implausible::Negative));
    }

    #[test]
    fn codes_for_missing_data_on_both_sides() {
        let code = Err(Implausible::MissingDataCode);
        for text in ["-100", "8388607", "65535", "511", "255"] {
            assert_eq!(judged(Metric::SpO2, text, Unit::Percent), code, "{text}");
            assert_eq!(judged(Metric::PulseRate, text, Unit::PerMinute), code, "{text}");
        }
        for text in ["-100", "8388607", "65535", "2047"] {
            assert_eq!(judged(Metric::SystolicPressure, text, Unit::MillimetreOfMercury), code, "{text}");
            assert_eq!(judged(Metric::Temperature, text, Unit::Celsius), code, "{text}");
        }
        // A code of another metric is a number here.
        assert_eq!(judged(Metric::HeartRate, "127", Unit::PerMinute), Ok(false));
        assert_eq!(judged(Metric::SystolicPressure, "255", Unit::MillimetreOfMercury), Ok(false));
        assert_eq!(judged(Metric::Glucose, "511", Unit::MilligramPerDecilitre), Ok(false));
        assert_eq!(judged(Metric::HeartRate, "254", Unit::PerMinute), Ok(true));
        // 0xFFFF in the steps of the weight scale profile.
        for (metric, text, unit) in [
            (Metric::Weight, "327.675", Unit::Kilogram),
            (Metric::Weight, "655.35", Unit::Pound),
            (Metric::BodyWater, "327.675", Unit::Kilogram),
            (Metric::BodyFat, "6553.5", Unit::Percent),
            (Metric::Height, "65.535", Unit::Metre),
        ] {
            assert_eq!(judged(metric, text, unit), code, "{metric:?}");
        }
        assert_eq!(judged(Metric::Weight, "327.67", Unit::Kilogram), Ok(true));
    }

    #[test]
    fn a_number_of_the_other_unit_is_named() {
        let other = Err(Implausible::OtherUnit);
        assert_eq!(judged(Metric::Temperature, "98.6", Unit::Celsius), other);
        assert_eq!(judged(Metric::Temperature, "37.0", Unit::Fahrenheit), other);
        assert_eq!(judged(Metric::Temperature, "55", Unit::Celsius), Err(Implausible::TooHigh));
        assert_eq!(judged(Metric::SystolicPressure, "16.0", Unit::MillimetreOfMercury), other);
        assert_eq!(judged(Metric::SystolicPressure, "120", Unit::Kilopascal), other);
        assert_eq!(judged(Metric::SystolicPressure, "34.9", Unit::MillimetreOfMercury), Err(Implausible::TooLow));
        assert_eq!(judged(Metric::SystolicPressure, "35", Unit::MillimetreOfMercury), Ok(true));
        assert_eq!(judged(Metric::MeanPressure, "12.4", Unit::MillimetreOfMercury), other);
        assert_eq!(judged(Metric::Glucose, "99", Unit::MillimolePerLitre), other);
        assert_eq!(judged(Metric::Glucose, "40", Unit::MillimolePerLitre), other, "a hypoglycaemia in mg/dL");
        assert_eq!(judged(Metric::Glucose, "35.1", Unit::MillimolePerLitre), other);
        assert_eq!(judged(Metric::Glucose, "35.0", Unit::MillimolePerLitre), Ok(true));
        assert_eq!(judged(Metric::InterstitialGlucose, "45", Unit::MillimolePerLitre), other);
        assert_eq!(judged(Metric::Glucose, "5.5", Unit::MilligramPerDecilitre), other);
        assert_eq!(judged(Metric::Glucose, "10", Unit::MilligramPerDecilitre), Ok(true));
    }

    #[test]
    fn a_gated_impossible_value_is_implausible() {
        let reading = |text: &str, quality| Reading::value(Metric::SpO2, text.parse().unwrap(), Unit::Percent, quality);
        assert_eq!(usability(&reading("97", Quality::GOOD)), Usability::Valid { unlikely: false });
        assert_eq!(usability(&reading("97", Quality::ARTEFACT)), Usability::Gated);
        assert_eq!(usability(&reading("0", Quality::ARTEFACT)), Usability::Implausible(Implausible::Zero));
        let beside = usability(&reading("97", Quality::INCONSISTENT.and(Quality::ARTEFACT)));
        assert_eq!(beside, Usability::Implausible(Implausible::Inconsistent));
        let none = Reading::none(Metric::SpO2, NoReading::SensorOff, Quality::GOOD);
        assert_eq!(usability(&none), Usability::Absent(NoReading::SensorOff));
    }
}
