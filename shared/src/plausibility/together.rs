//! Readings of one report beside each other: what each could be alone and both cannot be together.

use crate::metric::Metric;
use crate::plausibility::judge;
use crate::reading::{Outcome, Quality, Reading, Value};
use crate::units::{Decimal, Unit};

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

/// Parts of the body's weight, which none of them exceeds.
const PARTS: [Metric; 3] = [Metric::MuscleMass, Metric::FatFreeMass, Metric::BodyWater];

/// Marks what cannot be together with [`Quality::INCONSISTENT`]: nothing is taken away, and a reading so marked is
/// judged implausible. `readings` are of one report.
///
/// - A pair of pressures that does not fit ([`pressures_fit`]), or of which one is impossible: all pressures.
/// - A mean pressure outside a pair that fits: the mean alone.
/// - A part of the body that is heavier than the body: the part alone, because the weight is measured and the part is
///   computed.
pub fn mark_inconsistent(readings: &mut [Reading]) {
    let (systolic, diastolic) = (of(readings, Metric::SystolicPressure), of(readings, Metric::DiastolicPressure));
    if let (Some(systolic), Some(diastolic)) = (systolic, diastolic) {
        let possible = |metric, value| judge(metric, value).is_ok();
        let fit = possible(Metric::SystolicPressure, systolic)
            && possible(Metric::DiastolicPressure, diastolic)
            && systolic.unit == diastolic.unit
            && pressures_fit(systolic.decimal, diastolic.decimal, systolic.unit);
        let between = |mean: Value| {
            mean.unit == systolic.unit && mean.decimal >= diastolic.decimal && mean.decimal <= systolic.decimal
        };
        if !fit {
            mark(readings, &[Metric::SystolicPressure, Metric::DiastolicPressure, Metric::MeanPressure]);
        } else if of(readings, Metric::MeanPressure).is_some_and(|mean| !between(mean)) {
            mark(readings, &[Metric::MeanPressure]);
        }
    }
    if let Some(weight) = of(readings, Metric::Weight) {
        for part in PARTS {
            if of(readings, part).is_some_and(|mass| mass.unit == weight.unit && mass.decimal > weight.decimal) {
                mark(readings, &[part]);
            }
        }
    }
}

fn of(readings: &[Reading], metric: Metric) -> Option<Value> {
    readings.iter().find(|reading| reading.metric == metric).and_then(|reading| match reading.outcome {
        Outcome::Value(value) => Some(value),
        Outcome::None(_) => None,
    })
}

fn mark(readings: &mut [Reading], metrics: &[Metric]) {
    let marked = readings.iter_mut().filter(|reading| metrics.contains(&reading.metric));
    let values = marked.filter(|reading| matches!(reading.outcome, Outcome::Value(_)));
    values.for_each(|reading| reading.quality = reading.quality.and(Quality::INCONSISTENT));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::NoReading;

    use Metric::{DiastolicPressure, MeanPressure, SystolicPressure};
    use Unit::{Kilogram, Kilopascal, MillimetreOfMercury, Pound};

    /// The metrics marked among readings of these values.
    fn marked(readings: &[(Metric, &str, Unit)]) -> Vec<Metric> {
        let reading = |(metric, text, unit): &(Metric, &str, Unit)| {
            Reading::value(*metric, text.parse().unwrap(), *unit, Quality::LOW_BATTERY)
        };
        let mut readings: Vec<Reading> = readings.iter().map(reading).collect();
        mark_inconsistent(&mut readings);
        assert!(readings.iter().all(|reading| reading.quality.contains(Quality::LOW_BATTERY)));
        let marked = readings.iter().filter(|reading| reading.quality.contains(Quality::INCONSISTENT));
        marked.map(|reading| reading.metric).collect()
    }

    fn cuff(systolic: &'static str, diastolic: &'static str, mean: &'static str, unit: Unit) -> Vec<Metric> {
        marked(&[(SystolicPressure, systolic, unit), (DiastolicPressure, diastolic, unit), (MeanPressure, mean, unit)])
    }

    #[test]
    fn cuff_pairs() {
        let fit = |s: i64, d: i64| pressures_fit(s.into(), d.into(), MillimetreOfMercury);
        assert!(fit(120, 80) && fit(90, 80));
        assert!(!fit(89, 80) && !fit(80, 80) && !fit(70, 90) && !fit(230, 225));
        assert!(pressures_fit("16.0".parse().unwrap(), "14.7".parse().unwrap(), Kilopascal));
        assert!(!pressures_fit("16.0".parse().unwrap(), "14.8".parse().unwrap(), Kilopascal));
    }

    #[test]
    fn pressures_that_cannot_belong_together_are_all_marked() {
        let all = [SystolicPressure, DiastolicPressure, MeanPressure];
        assert_eq!(cuff("120", "80", "93", MillimetreOfMercury), []);
        assert_eq!(cuff("16.0", "10.7", "12.4", Kilopascal), []);
        assert_eq!(cuff("80", "120", "93", MillimetreOfMercury), all);
        assert_eq!(cuff("16.0", "10.7", "12.4", MillimetreOfMercury), all, "kilopascals in the name of millimetres");
        assert_eq!(cuff("20.0", "8.0", "12.0", MillimetreOfMercury), all, "and also where they are far apart");
        let mixed = [(SystolicPressure, "120", MillimetreOfMercury), (DiastolicPressure, "10.7", Kilopascal)];
        assert_eq!(marked(&mixed), [SystolicPressure, DiastolicPressure]);
    }

    #[test]
    fn a_mean_outside_its_pair_is_marked_alone() {
        assert_eq!(cuff("120", "80", "80", MillimetreOfMercury), []);
        assert_eq!(cuff("120", "80", "79", MillimetreOfMercury), [MeanPressure]);
        assert_eq!(cuff("120", "80", "120", MillimetreOfMercury), []);
        assert_eq!(cuff("120", "80", "121", MillimetreOfMercury), [MeanPressure]);
    }

    #[test]
    fn no_part_is_heavier_than_the_body() {
        let body =
            |part: &'static str, unit| marked(&[(Metric::Weight, "70.0", Kilogram), (Metric::MuscleMass, part, unit)]);
        assert_eq!(body("70.0", Kilogram), []);
        assert_eq!(body("70.1", Kilogram), [Metric::MuscleMass]);
        assert_eq!(body("110", Pound), [], "other units are not compared");
    }

    #[test]
    fn what_is_not_there_contradicts_nothing() {
        let mut readings = [
            Reading::value(SystolicPressure, 80.into(), MillimetreOfMercury, Quality::GOOD),
            Reading::none(DiastolicPressure, NoReading::NotANumber, Quality::GOOD),
        ];
        mark_inconsistent(&mut readings);
        assert!(readings.iter().all(|reading| reading.quality == Quality::GOOD));
        mark_inconsistent(&mut []);
    }
}
