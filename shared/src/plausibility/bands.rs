//! The tables: possible and likely values, and codes for missing data.

use crate::metric::Metric;
use crate::units::{Decimal, Unit};

/// Possible values, inclusive at both ends, and the likely ones inside them, as `(mantissa, exponent)`.
pub(super) struct Bands {
    pub(super) possible: (Decimal, Decimal),
    pub(super) likely: (Decimal, Decimal),
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
///
/// Pressures: no cuff measures below 40 mmHg systolic or 26 mmHg mean (SunTech Advantage OEM, ranges for all patients); 35
/// and 20 leave room, and keep kilopascals from passing for millimetres. Glucose: no meter gives a number below 10 mg/dL
/// (0.6 mmol/L), it says "low"; so millimoles do not pass for milligrams. Nor does any give one above 33.3 mmol/L
/// (600 mg/dL), it says "high"; 35 leaves room, and keeps a hypoglycaemia of 40 mg/dL from passing for 40 mmol/L.
pub(super) fn bands(metric: Metric, unit: Unit) -> Option<Bands> {
    let (possible, likely) = match (metric, unit) {
        (Metric::HeartRate | Metric::PulseRate, Unit::PerMinute) => (whole(1, 350), whole(20, 250)),
        (Metric::SpO2, Unit::Percent) => (whole(1, 100), whole(40, 100)),
        (Metric::RespiratoryRate, Unit::PerMinute) => (whole(1, 150), whole(3, 69)),
        (Metric::Temperature, Unit::Celsius) => (hundredths(1001, 4999), tenths(300, 430)),
        (Metric::Temperature, Unit::Fahrenheit) => (hundredths(5001, 12199), tenths(860, 1094)),
        (Metric::SystolicPressure, Unit::MillimetreOfMercury) => (tenths(350, 3999), whole(50, 260)),
        (Metric::SystolicPressure, Unit::Kilopascal) => (hundredths(467, 5332), tenths(67, 347)),
        (Metric::DiastolicPressure, Unit::MillimetreOfMercury) => (tenths(1, 2999), whole(20, 160)),
        (Metric::DiastolicPressure, Unit::Kilopascal) => (hundredths(1, 3999), tenths(27, 213)),
        (Metric::MeanPressure, Unit::MillimetreOfMercury) => (tenths(200, 2999), whole(30, 200)),
        (Metric::MeanPressure, Unit::Kilopascal) => (hundredths(267, 3999), tenths(40, 267)),
        (Metric::Weight, Unit::Kilogram) => (tenths(1, 6500), whole(2, 300)),
        (Metric::Weight, Unit::Pound) => (tenths(2, 14330), whole(4, 660)),
        (Metric::Glucose, Unit::MillimolePerLitre) => (tenths(5, 350), tenths(11, 333)),
        (Metric::Glucose, Unit::MilligramPerDecilitre) => (whole(10, 1500), whole(20, 600)),
        (Metric::PerfusionIndex, Unit::Percent) => (hundredths(1, 10_000), hundredths(2, 2000)),
        (Metric::Battery, Unit::Percent) => (whole(0, 100), whole(0, 100)),
        (Metric::InterstitialGlucose, Unit::MillimolePerLitre) => (tenths(5, 350), tenths(22, 222)),
        (Metric::InterstitialGlucose, Unit::MilligramPerDecilitre) => (whole(10, 1500), whole(40, 400)),
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

/// Codes devices send where they have no number, among the possible values of the metric.
const MISSING_DATA_CODES: &[(Metric, Unit, Decimal)] = &[
    (Metric::HeartRate, Unit::PerMinute, Decimal::new(255, 0)),
    (Metric::PulseRate, Unit::PerMinute, Decimal::new(255, 0)),
    (Metric::Weight, Unit::Kilogram, KILOGRAMS_FFFF),
    (Metric::Weight, Unit::Pound, POUNDS_FFFF),
    (Metric::MuscleMass, Unit::Kilogram, KILOGRAMS_FFFF),
    (Metric::MuscleMass, Unit::Pound, POUNDS_FFFF),
    (Metric::FatFreeMass, Unit::Kilogram, KILOGRAMS_FFFF),
    (Metric::FatFreeMass, Unit::Pound, POUNDS_FFFF),
    (Metric::BodyWater, Unit::Kilogram, KILOGRAMS_FFFF),
    (Metric::BodyWater, Unit::Pound, POUNDS_FFFF),
];

/// 0xFFFF in steps of 0.005 kg.
const KILOGRAMS_FFFF: Decimal = Decimal::new(327_675, -3);
/// 0xFFFF in steps of 0.01 lb.
const POUNDS_FFFF: Decimal = Decimal::new(65_535, -2);

/// Codes that are believed to be one wherever they are no possible value: oximeters' 127, 255 and 511, the mantissas of
/// special floats read as numbers (2047, 8388607), monitors' -100, and 0xFFFF in the steps that profiles have.
const GENERAL_CODES: &[Decimal] = &[
    Decimal::new(127, 0),
    Decimal::new(255, 0),
    Decimal::new(511, 0),
    Decimal::new(2047, 0),
    Decimal::new(-100, 0),
    Decimal::new(8_388_607, 0),
    Decimal::new(65_535, 0),
    Decimal::new(65_535, -1),
    Decimal::new(65_535, -2),
    Decimal::new(65_535, -3),
    KILOGRAMS_FFFF,
];

/// Whether this metric's devices say with the number that they have none.
pub(super) fn is_missing_data_code(metric: Metric, unit: Unit, decimal: Decimal) -> bool {
    MISSING_DATA_CODES.contains(&(metric, unit, decimal))
}

/// Whether a number that cannot be a value is a known code.
pub(super) fn is_general_code(decimal: Decimal) -> bool {
    GENERAL_CODES.contains(&decimal)
}

/// Whether a number would be a likely value in another unit of the metric.
pub(super) fn fits_other_unit(metric: Metric, unit: Unit, decimal: Decimal) -> bool {
    let likely_in = |other: Unit| {
        bands(metric, other).is_some_and(|Bands { likely: (low, high), .. }| decimal >= low && decimal <= high)
    };
    metric.units().iter().any(|other| *other != unit && likely_in(*other))
}
