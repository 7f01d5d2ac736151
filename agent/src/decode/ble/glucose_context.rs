//! Glucose Measurement Context (2A34): what the user told the meter about a measurement.
//!
//! Source: Bluetooth Glucose Service 1.0.1, 3.2; GATT Specification Supplement, Glucose Measurement Context (STANDARDS §1.3).
//! ```text
//! flags        b0 carbohydrate, b1 meal, b2 tester and health, b3 exercise, b4 medication, b5 its unit is litre (else kg),
//!              b6 HbA1c, b7 a second octet of flags follows the sequence number
//! sequence     u16, that of the measurement
//! carbohydrate u8 kind, SFLOAT kg
//! meal         u8
//! tester       low nibble tester, high nibble health
//! exercise     u16 s (65535 more than it can say), u8 %
//! medication   u8 kind, SFLOAT kg or L
//! HbA1c        SFLOAT %
//! ```
//! None of it is a reading: no rule or chart has a use for it. What it belongs to is looked at all the same ([`GlucoseJoin`]).

use crate::decode::RefusedFrame;
use crate::decode::cursor::Cursor;
use crate::decode::medfloat::Medfloat;

use super::glucose::Glucose;

const CARBOHYDRATE: u8 = 1 << 0;
const MEAL: u8 = 1 << 1;
const TESTER: u8 = 1 << 2;
const EXERCISE: u8 = 1 << 3;
const MEDICATION: u8 = 1 << 4;
const LITRES: u8 = 1 << 5;
const HBA1C: u8 = 1 << 6;
const EXTENDED: u8 = 1 << 7;

/// A context as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlucoseContext {
    /// The number of the measurement it belongs to.
    pub sequence: u16,
    /// What was eaten (1 breakfast to 7 brunch) and how much, in kg.
    pub carbohydrate: Option<(u8, Medfloat)>,
    /// 1 before the meal, 2 after it, 3 fasting, 4 casual, 5 bedtime.
    pub meal: Option<u8>,
    /// 1 the patient, 2 a professional, 3 a laboratory; 15 is not said.
    pub tester: Option<u8>,
    /// 1 minor issues, 2 major issues, 3 menses, 4 stress, 5 none; 15 is not said.
    pub health: Option<u8>,
    /// Seconds and per cent.
    pub exercise: Option<(u16, u8)>,
    /// Which (1 rapid, 2 short, 3 intermediate, 4 long acting insulin, 5 mixed) and how much.
    pub medication: Option<(u8, Medfloat)>,
    /// Whether the medication is in litre; else in kg.
    pub medication_in_litres: bool,
    /// HbA1c in per cent.
    pub hba1c: Option<Medfloat>,
}

impl GlucoseContext {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a flag announces is not there.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u8()?;
        let sequence = cursor.u16()?;
        // Every bit of the second octet is reserved.
        cursor.when(flags & EXTENDED != 0, Cursor::u8)?;
        let carbohydrate = cursor.when(flags & CARBOHYDRATE != 0, |cursor| Ok((cursor.u8()?, cursor.sfloat()?)))?;
        let meal = cursor.when(flags & MEAL != 0, Cursor::u8)?;
        let people = cursor.when(flags & TESTER != 0, Cursor::u8)?;
        let exercise = cursor.when(flags & EXERCISE != 0, |cursor| Ok((cursor.u16()?, cursor.u8()?)))?;
        let medication = cursor.when(flags & MEDICATION != 0, |cursor| Ok((cursor.u8()?, cursor.sfloat()?)))?;
        let hba1c = cursor.when(flags & HBA1C != 0, Cursor::sfloat)?;
        Ok(Self {
            sequence,
            carbohydrate,
            meal,
            tester: people.map(|octet| octet & 0x0F),
            health: people.map(|octet| octet >> 4),
            exercise,
            medication,
            medication_in_litres: flags & LITRES != 0,
            hba1c,
        })
    }
}

/// Joins a context to its measurement. A meter sends it right behind the measurement that announces it (Glucose Service 1.0.1,
/// 3.2), with the same number.
#[derive(Debug, Clone, Copy, Default)]
pub struct GlucoseJoin {
    awaited: Option<Glucose>,
}

impl GlucoseJoin {
    /// A measurement came.
    pub fn measured(&mut self, measurement: &Glucose) {
        self.awaited = measurement.context_follows.then_some(*measurement);
    }

    /// A context came: the measurement it belongs to. Each is given once.
    ///
    /// # Errors
    /// [`RefusedFrame::OutOfOrder`]: the measurement before it announced none, or has another number.
    pub fn context(&mut self, context: &GlucoseContext) -> Result<Glucose, RefusedFrame> {
        let own = self.awaited.filter(|measurement| measurement.sequence == context.sequence);
        if own.is_some() {
            self.awaited = None;
        }
        own.ok_or(RefusedFrame::OutOfOrder)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every field, with the second octet of flags, and two octets that no flag announces.
    const WHOLE: [u8; 19] =
        [0xFF, 7, 0, 0, 1, 0x3C, 0xD0, 3, 0x51, 0x10, 0x0E, 50, 4, 0x05, 0xA0, 0x41, 0xF0, 0xAA, 0xAA];

    #[test]
    fn every_field_in_its_order() {
        let read = GlucoseContext::of(&WHOLE).unwrap();
        assert_eq!((read.sequence, read.meal, read.tester, read.health), (7, Some(3), Some(1), Some(5)));
        assert_eq!(read.carbohydrate.map(|(kind, mass)| (kind, mass.unwrap().to_string())), Some((1, "0.060".into())));
        assert_eq!((read.exercise, read.medication_in_litres), (Some((3600, 50)), true));
        assert_eq!(read.medication.map(|(kind, much)| (kind, much.unwrap().to_string())), Some((4, "0.000005".into())));
        assert_eq!(read.hba1c.map(|share| share.unwrap().to_string()), Some("6.5".into()));
        for cut in 0..17 {
            assert_eq!(GlucoseContext::of(&WHOLE[..cut]), Err(RefusedFrame::Length));
        }
    }

    #[test]
    fn a_context_belongs_to_the_measurement_before_it() {
        let measurement = |flags| Glucose::of(&[flags, 7, 0, 0xEA, 7, 1, 15, 8, 0, 0]).unwrap();
        let context = |number| GlucoseContext::of(&[0, number, 0]).unwrap();
        let mut join = GlucoseJoin::default();
        assert_eq!(join.context(&context(7)), Err(RefusedFrame::OutOfOrder), "nothing was measured");
        join.measured(&measurement(0x10));
        assert_eq!(join.context(&context(8)), Err(RefusedFrame::OutOfOrder), "another number");
        assert_eq!(join.context(&context(7)), Ok(measurement(0x10)));
        assert_eq!(join.context(&context(7)), Err(RefusedFrame::OutOfOrder), "a second one");
        join.measured(&measurement(0x10));
        join.measured(&measurement(0));
        assert_eq!(join.context(&context(7)), Err(RefusedFrame::OutOfOrder), "none was announced");
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..24)) {
            let _ = GlucoseContext::of(&value);
        }
    }
}
