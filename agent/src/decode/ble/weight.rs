//! Weight Measurement (2A9D), and the steps of masses and lengths that body composition ([`super::body_composition`]) shares.
//!
//! Source: Bluetooth Weight Scale Service 1.0, 3.2; GATT Specification Supplement, Weight Measurement (STANDARDS §1.3).
//! ```text
//! flags   b0 imperial, b1 time, b2 user, b3 body mass index and height
//! weight  u16, 0.005 kg or 0.01 lb; FFFF the measurement failed
//! time    Date Time, if b1
//! user    u8, if b2; 255 unknown
//! index   u16, 0.1 kg/m², and height u16, 0.001 m or 0.1 in, if b3
//! ```

use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::decode::cursor::Cursor;
use crate::decode::quirks::Quirks;
use crate::decode::{RefusedFrame, Report, date_time};

const IMPERIAL: u8 = 1 << 0;
const TIME: u8 = 1 << 1;
const USER: u8 = 1 << 2;
const INDEX_AND_HEIGHT: u8 = 1 << 3;

/// Sent in place of a number when the measurement failed.
const FAILED: u16 = 0xFFFF;
const USER_UNKNOWN: u8 = 0xFF;

/// What one step of a field is worth in this frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    imperial: bool,
    quirks: Quirks,
}

impl Steps {
    /// Of a frame whose flags say `imperial`.
    #[must_use]
    pub const fn of(imperial: bool, quirks: Quirks) -> Self {
        Self { imperial, quirks }
    }

    /// A mass: 0.005 kg or 0.01 lb.
    #[must_use]
    pub fn mass(self, raw: u16) -> Field {
        let places = if self.imperial { -2 } else { -3 };
        let places = if self.quirks.mass_in_tenfold_steps { 1_i8.saturating_add(places) } else { places };
        let steps = if self.imperial { 1 } else { 5 };
        self.field(raw, Decimal::new(i64::from(raw).saturating_mul(steps), places), self.mass_unit())
    }

    /// A height: 0.001 m or 0.1 in.
    #[must_use]
    pub fn height(self, raw: u16) -> Field {
        let places = if self.imperial { -1 } else { -3 };
        self.field(raw, Decimal::new(raw.into(), places), self.height_unit())
    }

    /// A field in tenths of a unit.
    #[must_use]
    pub fn tenths(self, raw: u16, unit: Unit) -> Field {
        self.field(raw, Decimal::new(raw.into(), -1), unit)
    }

    /// Whether they are pounds and inches.
    #[must_use]
    pub const fn is_imperial(self) -> bool {
        self.imperial
    }

    /// The unit of masses.
    #[must_use]
    pub const fn mass_unit(self) -> Unit {
        if self.imperial { Unit::Pound } else { Unit::Kilogram }
    }

    /// The unit of heights.
    #[must_use]
    pub const fn height_unit(self) -> Unit {
        if self.imperial { Unit::Inch } else { Unit::Metre }
    }

    const fn field(self, raw: u16, decimal: Decimal, unit: Unit) -> Field {
        let value = match raw {
            FAILED => Err(NoReading::MeasurementFailed),
            0 if self.quirks.zero_is_no_value => Err(NoReading::ModelQuirk),
            _ => Ok(decimal),
        };
        Field { value, unit }
    }
}

/// A field as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its value, or why there is none.
    pub value: Result<Decimal, NoReading>,
    /// The unit.
    pub unit: Unit,
}

impl Field {
    /// It as a reading of this metric.
    #[must_use]
    pub const fn reading(self, metric: Metric) -> Reading {
        match self.value {
            Ok(decimal) => Reading::value(metric, decimal, self.unit, Quality::GOOD),
            Err(why) => Reading::none(metric, why, Quality::GOOD),
        }
    }
}

/// The user of a scale: `None` if it does not say, or does not know.
pub(super) fn user(octet: Option<u8>) -> Option<u8> {
    octet.filter(|user| *user != USER_UNKNOWN)
}

/// A measurement as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// What its steps are worth.
    pub steps: Steps,
    /// The weight.
    pub weight: Field,
    /// By the scale's clock; `None` if not sent, or no time.
    pub time: Option<DeviceTime>,
    /// The user's octet, 255 for unknown.
    pub user: Option<u8>,
    /// Body mass index as the scale computed it, and the height that was typed in.
    pub index_and_height: Option<(Field, Field)>,
}

impl Weight {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a flag announces is not there.
    pub fn of(value: &[u8], quirks: Quirks) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u8()?;
        let steps = Steps::of(flags & IMPERIAL != 0, quirks);
        let weight = steps.mass(cursor.u16()?);
        let time = cursor.when(flags & TIME != 0, date_time::read_beside)?.flatten();
        let user = cursor.when(flags & USER != 0, Cursor::u8)?;
        let index_and_height = cursor.when(flags & INDEX_AND_HEIGHT != 0, |cursor| {
            let index = steps.tenths(cursor.u16()?, Unit::KilogramPerSquareMetre);
            Ok((index, steps.height(cursor.u16()?)))
        })?;
        Ok(Self { steps, weight, time, user, index_and_height })
    }

    /// What of it is a reading. The index of a failed measurement is none.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report { device_time: self.time, slot: user(self.user), ..Report::default() };
        report.add(self.weight.reading(Metric::Weight));
        if let Some((index, height)) = self.index_and_height {
            let index = Field { value: self.weight.value.and(index.value), ..index };
            report.add(index.reading(Metric::BodyMassIndex));
            report.add(height.reading(Metric::Height));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::reading::Outcome;

    use super::*;

    const NONE: Quirks = Quirks::NONE;

    fn shown(reading: &Reading) -> String {
        match reading.outcome {
            Outcome::Value(value) => format!("{} {}", value.decimal, value.unit.ucum()),
            Outcome::None(why) => why.name().into(),
        }
    }

    fn report(value: &[u8], quirks: Quirks) -> Vec<String> {
        Weight::of(value, quirks).unwrap().report().readings.iter().map(shown).collect()
    }

    #[test]
    fn steps_of_both_systems() {
        assert_eq!(report(&[0x08, 0x70, 0x41, 0x04, 0x01, 0xF6, 0x06], NONE), ["83.760 kg", "26.0 kg/m2", "1.782 m"]);
        assert_eq!(
            report(&[0x09, 0x24, 0x48, 0x04, 0x01, 0xBE, 0x02], NONE),
            ["184.68 [lb_av]", "26.0 kg/m2", "70.2 [in_i]"]
        );
    }

    #[test]
    fn a_failed_measurement_has_no_index_either() {
        let failed = "measurement_failed";
        assert_eq!(report(&[0x08, 0xFF, 0xFF, 0x04, 0x01, 0xF6, 0x06], NONE), [failed, failed, "1.782 m"]);
    }

    #[test]
    fn what_a_model_does_otherwise() {
        let tenfold = Quirks { mass_in_tenfold_steps: true, ..NONE };
        assert_eq!(report(&[0x00, 0x6A, 0x07], tenfold), ["94.90 kg"]);
        assert_eq!(report(&[0x01, 0x6A, 0x07], tenfold), ["189.8 [lb_av]"]);
        let zeros = Quirks { zero_is_no_value: true, ..NONE };
        assert_eq!(report(&[0x08, 0x6A, 0x07, 0, 0, 0, 0], zeros), ["9.490 kg", "model_quirk", "model_quirk"]);
        assert_eq!(report(&[0, 0, 0], zeros), ["model_quirk"]);
        assert_eq!(report(&[0, 0, 0], NONE), ["0.000 kg"], "as sent; it is judged implausible");
    }

    #[test]
    fn the_user_is_a_slot_unless_unknown() {
        let slot = |user| Weight::of(&[0x04, 0x70, 0x41, user], NONE).unwrap().report().slot;
        assert_eq!((slot(0), slot(3), slot(255)), (Some(0), Some(3), None));
    }

    #[test]
    fn a_time_that_is_none_is_dropped_and_the_weight_stays() {
        let read = Weight::of(&[0x02, 0x70, 0x41, 0xEA, 7, 2, 30, 7, 10, 0], NONE).unwrap();
        assert_eq!((read.time, read.report().readings.len()), (None, 1));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(read) = Weight::of(&value, NONE) {
                prop_assert!(read.report().readings.len() <= 3);
            }
        }

        #[test]
        fn a_cut_value_is_refused(cut in 0_usize..15) {
            let whole = [0x0E, 0x70, 0x41, 0xEA, 7, 3, 1, 7, 10, 0, 1, 0x04, 0x01, 0xF6, 0x06];
            prop_assert_eq!(Weight::of(&whole[..cut], NONE), Err(RefusedFrame::Length));
        }
    }
}
