//! Values as received: a decimal (mantissa and exponent, never a float) and a unit. Nothing is rounded here.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A decimal exactly as a device sent it: `mantissa × 10^exponent`. `98.60` keeps its last zero, because the
/// digits tell the precision. Equality and order are by value (`98.6 == 98.60`). JSON shows it as text.
#[derive(Clone, Copy)]
pub struct Decimal {
    mantissa: i64,
    exponent: i8,
}

/// Why a text is not a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableDecimal {
    /// Not `[-+]digits[.digits]` in ASCII.
    #[error("a decimal is written like 98.6 or -0.5")]
    Shape,
    /// More than 18 significant digits.
    #[error("a decimal has at most 18 digits")]
    TooLong,
}

impl Decimal {
    /// `mantissa × 10^exponent`.
    #[must_use]
    pub const fn new(mantissa: i64, exponent: i8) -> Self {
        Self { mantissa, exponent }
    }

    /// The digits as one whole number.
    #[must_use]
    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }

    /// The power of ten.
    #[must_use]
    pub const fn exponent(self) -> i8 {
        self.exponent
    }

    /// Whether the value is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The sum, exactly; `None` where 64 bits cannot hold it.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let sum = self.mantissa_at(exponent)?.checked_add(other.mantissa_at(exponent)?)?;
        Some(Self::new(sum, exponent))
    }

    /// The difference, exactly; `None` where 64 bits cannot hold it.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self::new(other.mantissa.checked_neg()?, other.exponent))
    }

    fn mantissa_at(self, exponent: i8) -> Option<i64> {
        let shift = u32::try_from(i16::from(self.exponent).checked_sub(i16::from(exponent))?).ok()?;
        if self.mantissa == 0 {
            return Some(0);
        }
        self.mantissa.checked_mul(10_i64.checked_pow(shift)?)
    }

    /// Without trailing zeros: one spelling for each value.
    fn reduced(self) -> (i64, i16) {
        let (mut mantissa, mut exponent) = (self.mantissa, i16::from(self.exponent));
        if mantissa == 0 {
            return (0, 0);
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent = exponent.saturating_add(1);
        }
        (mantissa, exponent)
    }
}

impl From<i64> for Decimal {
    fn from(whole: i64) -> Self {
        Self::new(whole, 0)
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.reduced() == other.reduced()
    }
}

impl Eq for Decimal {}

impl std::hash::Hash for Decimal {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.reduced().hash(state);
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((a, a_exponent), (b, b_exponent)) = (self.reduced(), other.reduced());
        if a.signum() != b.signum() || a == 0 {
            return a.signum().cmp(&b.signum());
        }
        // Same sign, neither zero: the place of the leading digit decides unless it is the same.
        let place = |mantissa: i64, exponent: i16| {
            let digits = mantissa.unsigned_abs().checked_ilog10().unwrap_or(0);
            i32::from(exponent).saturating_add(i32::try_from(digits).unwrap_or(i32::MAX))
        };
        let by_place = place(a, a_exponent).cmp(&place(b, b_exponent));
        let by_size = by_place.then_with(|| {
            // Equal leading places, so the exponents differ by at most 18 and 128 bits hold both.
            let lowest = a_exponent.min(b_exponent);
            let lift = |mantissa: i64, exponent: i16| {
                let shift = u32::from(exponent.abs_diff(lowest));
                u128::from(mantissa.unsigned_abs()).saturating_mul(10_u128.saturating_pow(shift))
            };
            lift(a, a_exponent).cmp(&lift(b, b_exponent))
        });
        if a < 0 { by_size.reverse() } else { by_size }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa < 0 {
            f.write_str("-")?;
        }
        let digits = self.mantissa.unsigned_abs().to_string();
        if self.exponent >= 0 {
            let zeros = if self.mantissa == 0 { 0 } else { usize::from(self.exponent.unsigned_abs()) };
            return write!(f, "{digits}{:0<zeros$}", "");
        }
        let places = usize::from(self.exponent.unsigned_abs());
        let padded = format!("{digits:0>width$}", width = places.saturating_add(1));
        let (whole, fraction) = padded.split_at(padded.len().saturating_sub(places));
        write!(f, "{whole}.{fraction}")
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Decimal {
    type Err = UnreadableDecimal;
    fn from_str(text: &str) -> Result<Self, UnreadableDecimal> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let empty_fraction = unsigned.contains('.') && fraction.is_empty();
        if whole.is_empty() || empty_fraction || !all_digits(whole) || !all_digits(fraction) {
            return Err(UnreadableDecimal::Shape);
        }
        let digits = format!("{whole}{fraction}");
        if digits.trim_start_matches('0').len() > 18 || fraction.len() > 18 {
            return Err(UnreadableDecimal::TooLong);
        }
        let magnitude: i64 = digits.parse().map_err(|_| UnreadableDecimal::TooLong)?;
        let places = i8::try_from(fraction.len()).map_err(|_| UnreadableDecimal::TooLong)?;
        let mantissa = if negative { magnitude.saturating_neg() } else { magnitude };
        Ok(Self::new(mantissa, places.saturating_neg()))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            (self.mantissa, self.exponent).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <(i64, i8)>::deserialize(deserializer).map(|(mantissa, exponent)| Self::new(mantissa, exponent))
        }
    }
}

/// A unit. JSON and storage use its UCUM code (ucum.org; the codes UK Core fixes for vital signs). The order of
/// variants is part of the wire: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Per minute (beats or breaths), `/min`.
    #[serde(rename = "/min")]
    PerMinute,
    /// Per cent, `%`.
    #[serde(rename = "%")]
    Percent,
    /// Degree Celsius, `Cel`.
    #[serde(rename = "Cel")]
    Celsius,
    /// Degree Fahrenheit, `[degF]`.
    #[serde(rename = "[degF]")]
    Fahrenheit,
    /// Millimetre of mercury, `mm[Hg]`.
    #[serde(rename = "mm[Hg]")]
    MillimetreOfMercury,
    /// Kilopascal, `kPa`.
    #[serde(rename = "kPa")]
    Kilopascal,
    /// Kilogram, `kg`.
    #[serde(rename = "kg")]
    Kilogram,
    /// Pound (avoirdupois), `[lb_av]`.
    #[serde(rename = "[lb_av]")]
    Pound,
    /// Millimole per litre, `mmol/L`.
    #[serde(rename = "mmol/L")]
    MillimolePerLitre,
    /// Milligram per decilitre, `mg/dL`.
    #[serde(rename = "mg/dL")]
    MilligramPerDecilitre,
    /// Ohm, `Ohm`.
    #[serde(rename = "Ohm")]
    Ohm,
    /// Kilogram per square metre, `kg/m2`.
    #[serde(rename = "kg/m2")]
    KilogramPerSquareMetre,
    /// Metre, `m`.
    #[serde(rename = "m")]
    Metre,
    /// International inch, `[in_i]`.
    #[serde(rename = "[in_i]")]
    Inch,
}

impl Unit {
    /// Every unit, in wire order.
    pub const ALL: [Self; 14] = [
        Self::PerMinute,
        Self::Percent,
        Self::Celsius,
        Self::Fahrenheit,
        Self::MillimetreOfMercury,
        Self::Kilopascal,
        Self::Kilogram,
        Self::Pound,
        Self::MillimolePerLitre,
        Self::MilligramPerDecilitre,
        Self::Ohm,
        Self::KilogramPerSquareMetre,
        Self::Metre,
        Self::Inch,
    ];

    /// Its UCUM code.
    #[must_use]
    pub const fn ucum(self) -> &'static str {
        match self {
            Self::PerMinute => "/min",
            Self::Percent => "%",
            Self::Celsius => "Cel",
            Self::Fahrenheit => "[degF]",
            Self::MillimetreOfMercury => "mm[Hg]",
            Self::Kilopascal => "kPa",
            Self::Kilogram => "kg",
            Self::Pound => "[lb_av]",
            Self::MillimolePerLitre => "mmol/L",
            Self::MilligramPerDecilitre => "mg/dL",
            Self::Ohm => "Ohm",
            Self::KilogramPerSquareMetre => "kg/m2",
            Self::Metre => "m",
            Self::Inch => "[in_i]",
        }
    }

    /// What people write for it.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Celsius => "°C",
            Self::Fahrenheit => "°F",
            Self::MillimetreOfMercury => "mmHg",
            Self::Pound => "lb",
            Self::Ohm => "Ω",
            Self::KilogramPerSquareMetre => "kg/m²",
            Self::Inch => "in",
            other => other.ucum(),
        }
    }

    /// The unit with this UCUM code.
    #[must_use]
    pub fn from_ucum(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.ucum() == code)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn digits_are_kept_and_values_compared() {
        assert_eq!(decimal("98.60").to_string(), "98.60");
        assert_eq!(decimal("98.60"), decimal("98.6"));
        assert!(decimal("-0.5") < decimal("0"));
        assert!(decimal("-2") < decimal("-1.9"));
        assert!(Decimal::new(1, 127) > Decimal::new(i64::MAX, 100));
        assert!(Decimal::new(1, -128) > Decimal::new(0, 0));
        assert_eq!(Decimal::new(5, 2).to_string(), "500");
        assert_eq!(Decimal::new(0, 2).to_string(), "0");
        assert_eq!(Decimal::new(-5, -3).to_string(), "-0.005");
        assert_eq!(decimal("97").checked_sub(decimal("0.5")), Some(decimal("96.5")));
        for text in ["", ".", "1.", ".5", "1e3", "0x1", "١", "--1", "1 "] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_unit_is_found_by_its_code() {
        for unit in Unit::ALL {
            assert_eq!(Unit::from_ucum(unit.ucum()), Some(unit));
            assert_eq!(serde_json::to_value(unit).unwrap(), unit.ucum());
        }
    }

    proptest! {
        #[test]
        fn text_and_back(mantissa in -999_999_999_999_999_999_i64..=999_999_999_999_999_999, exponent in -18_i8..=0) {
            let value = Decimal::new(mantissa, exponent);
            let back: Decimal = value.to_string().parse().unwrap();
            prop_assert_eq!((back.mantissa(), back.exponent()), (mantissa, exponent));
        }

        #[test]
        fn order_is_that_of_the_numbers(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000,
                                        x in -6_i8..6, y in -6_i8..6) {
            let scaled = |mantissa: i64, exponent: i8| i128::from(mantissa) * 10_i128.pow(u32::try_from(exponent + 6).unwrap());
            prop_assert_eq!(Decimal::new(a, x).cmp(&Decimal::new(b, y)), scaled(a, x).cmp(&scaled(b, y)));
        }

        #[test]
        fn nothing_panics(a: i64, b: i64, x: i8, y: i8, text: String) {
            let (a, b) = (Decimal::new(a, x), Decimal::new(b, y));
            let _ = (a.cmp(&b), a == b, a.to_string(), a.checked_add(b), a.checked_sub(b));
            let _ = text.parse::<Decimal>();
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        }
    }
}
