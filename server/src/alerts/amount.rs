//! A value in the unit rules use, as an exact fraction: limits are exclusive, so nothing may be rounded on the way.

use shared::metric::Metric;
use shared::reading::Value;
use shared::units::{Decimal, Unit};

/// Nano-units of a metric's first unit, as a fraction; the denominator is above zero.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    numerator: i128,
    denominator: i128,
}

/// A limit in nano-units of its metric's first unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(i128);

fn nano(decimal: Decimal) -> Option<i128> {
    let mantissa = i128::from(decimal.mantissa());
    let shift = i16::from(decimal.exponent()).checked_add(9)?;
    let power = 10_i128.checked_pow(u32::from(shift.unsigned_abs()))?;
    if shift < 0 { mantissa.checked_div(power) } else { mantissa.checked_mul(power) }
}

impl Limit {
    /// At zero.
    pub const ZERO: Self = Self(0);

    /// The limit; `None` if it has more than nine places or is too large.
    #[must_use]
    pub fn new(decimal: Decimal) -> Option<Self> {
        if decimal.exponent() < -9 { None } else { nano(decimal).map(Self) }
    }

    /// Moved by the distance.
    #[must_use]
    pub const fn moved(self, by: i128) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// Its nano-units.
    #[must_use]
    pub const fn nano(self) -> i128 {
        self.0
    }
}

impl Amount {
    /// The value in the metric's first unit: `(value + offset) × numerator ÷ denominator`. `None` where there is no
    /// conversion. Factors: 1 kPa = 7.50062 mmHg (NIST SP 811), 1 lb = 0.45359237 kg and 1 in = 0.0254 m exactly, glucose 18.0156 mg/dL
    /// for 1 mmol/L (molar mass 180.156 g).
    #[must_use]
    pub fn of(metric: Metric, value: Value) -> Option<Self> {
        let first = *metric.units().first()?;
        let (offset, numerator, denominator) = match (value.unit, first) {
            (unit, first) if unit == first => (0, 1, 1),
            (Unit::Fahrenheit, Unit::Celsius) => (-32_000_000_000_i128, 5, 9),
            (Unit::Kilopascal, Unit::MillimetreOfMercury) => (0, 750_062, 100_000),
            (Unit::Pound, Unit::Kilogram) => (0, 45_359_237, 100_000_000),
            (Unit::MilligramPerDecilitre, Unit::MillimolePerLitre) => (0, 10_000, 180_156),
            (Unit::Inch, Unit::Metre) => (0, 254, 10_000),
            _ => return None,
        };
        let numerator = nano(value.decimal)?.checked_add(offset)?.checked_mul(numerator)?;
        Some(Self { numerator, denominator })
    }

    /// How it stands to a limit.
    #[must_use]
    pub fn against(self, limit: Limit) -> std::cmp::Ordering {
        self.numerator.cmp(&limit.0.saturating_mul(self.denominator))
    }

    /// Whether it lies at least `by` nano-units under an earlier one.
    #[must_use]
    pub const fn fell_by(self, earlier: Self, by: i128) -> bool {
        let here = self.numerator.saturating_mul(earlier.denominator);
        let there = earlier.numerator.saturating_mul(self.denominator);
        let distance = by.saturating_mul(self.denominator).saturating_mul(earlier.denominator);
        there.saturating_sub(here) >= distance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn limits_compare_exactly_across_units() {
        let amount = |metric, text: &str, unit| Amount::of(metric, Value { decimal: text.parse().unwrap(), unit });
        let limit = |text: &str| Limit::new(text.parse().unwrap()).unwrap();
        let f = amount(Metric::Temperature, "95.18", Unit::Fahrenheit).unwrap();
        assert_eq!(f.against(limit("35.1")), Ordering::Equal);
        let f = amount(Metric::Temperature, "95.17", Unit::Fahrenheit).unwrap();
        assert_eq!(f.against(limit("35.1")), Ordering::Less);
        let spo2 = amount(Metric::SpO2, "90.0", Unit::Percent).unwrap();
        assert_eq!(spo2.against(limit("90")), Ordering::Equal);
        assert!(amount(Metric::SpO2, "90", Unit::Celsius).is_none());
        assert!(amount(Metric::SystolicPressure, "12.1", Unit::Kilopascal).unwrap().against(limit("91")).is_lt());
    }
}
