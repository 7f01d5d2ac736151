//! Xiaomi Mi scale: service data of an advertisement. The first model sends weight under 181D, the second weight and impedance
//! under 181B; the layouts are the maker's, not those of the services.
//!
//! Source: captured frames of both models (custom-components/ble_monitor, test_miscale_parser.py).
//! ```text
//! 181D  control u8, weight u16, Date Time                        control: b5 settled, b7 stepped off
//! 181B  unit u8, control u8, Date Time, impedance u16, weight u16      and b1 impedance
//! ```
//! Only kilograms are captured, in steps of 0.005; a frame whose bits say pound or jin is refused.

use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::{Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::decode::cursor::Cursor;
use crate::decode::{RefusedFrame, Report, date_time};

/// The service under which the first model advertises.
pub const SERVICE_WEIGHT: u16 = 0x181D;
/// The service under which the second model advertises.
pub const SERVICE_BODY: u16 = 0x181B;

const SETTLED: u8 = 1 << 5;
const STEPPED_OFF: u8 = 1 << 7;
const IMPEDANCE: u8 = 1 << 1;
const POUND: u8 = 1 << 0;
const JIN: u8 = 1 << 4;
const BODY_JIN: u8 = 1 << 6;
const BODY_UNIT_KILOGRAM: u8 = 2;

/// An advertisement as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MiScale {
    /// In steps of 0.005 kg.
    pub weight_steps: u16,
    /// Whether the weight no longer changes.
    pub settled: bool,
    /// Whether the person has stepped off: the weight is that of before.
    pub stepped_off: bool,
    /// Ohm, if measured.
    pub impedance: Option<u16>,
    /// By the scale's clock.
    pub time: Option<DeviceTime>,
}

impl MiScale {
    /// Reads the data of one of the two services, without its number.
    ///
    /// # Errors
    /// [`RefusedFrame::Unknown`]: another service, or another unit than kilogram. [`RefusedFrame::Length`]: not of the length
    /// that the service has.
    pub fn of(service: u16, data: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(data);
        let read = match service {
            SERVICE_WEIGHT => Self::first_model(&mut cursor)?,
            SERVICE_BODY => Self::second_model(&mut cursor)?,
            _ => return Err(RefusedFrame::Unknown),
        };
        if cursor.rest().is_empty() { Ok(read) } else { Err(RefusedFrame::Length) }
    }

    fn first_model(cursor: &mut Cursor<'_>) -> Result<Self, RefusedFrame> {
        let (control, weight_steps, time) = (cursor.u8()?, cursor.u16()?, date_time::read_beside(cursor)?);
        if control & (POUND | JIN) != 0 {
            return Err(RefusedFrame::Unknown);
        }
        let (settled, stepped_off) = (control & SETTLED != 0, control & STEPPED_OFF != 0);
        Ok(Self { weight_steps, settled, stepped_off, impedance: None, time })
    }

    fn second_model(cursor: &mut Cursor<'_>) -> Result<Self, RefusedFrame> {
        let (unit, control, time) = (cursor.u8()?, cursor.u8()?, date_time::read_beside(cursor)?);
        let (impedance, weight_steps) = (cursor.u16()?, cursor.u16()?);
        if unit != BODY_UNIT_KILOGRAM || control & BODY_JIN != 0 {
            return Err(RefusedFrame::Unknown);
        }
        let impedance = Some(impedance).filter(|_| control & IMPEDANCE != 0);
        let (settled, stepped_off) = (control & SETTLED != 0, control & STEPPED_OFF != 0);
        Ok(Self { weight_steps, settled, stepped_off, impedance, time })
    }

    /// The weight.
    #[must_use]
    pub fn weight_kg(&self) -> Decimal {
        Decimal::new(i64::from(self.weight_steps).saturating_mul(5), -3)
    }

    /// What of it is a reading: nothing before the weight has settled, nor after the person has stepped off.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report { device_time: self.time, ..Report::default() };
        if self.settled && !self.stepped_off {
            report.add(Reading::value(Metric::Weight, self.weight_kg(), Unit::Kilogram, Quality::GOOD));
            if let Some(ohm) = self.impedance {
                report.add(Reading::value(Metric::Impedance, i64::from(ohm).into(), Unit::Ohm, Quality::GOOD));
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: [u8; 10] = [0x22, 0x9E, 0x43, 0xE5, 7, 4, 11, 16, 19, 1];
    const SECOND: [u8; 13] = [0x02, 0x26, 0xB2, 7, 5, 4, 15, 2, 1, 0xAC, 1, 0x86, 0x42];

    fn readings(service: u16, data: &[u8]) -> Vec<String> {
        let report = MiScale::of(service, data).unwrap().report();
        report
            .readings
            .iter()
            .map(|reading| match reading.outcome {
                shared::reading::Outcome::Value(value) => format!("{} {}", value.decimal, value.unit.ucum()),
                shared::reading::Outcome::None(why) => why.name().into(),
            })
            .collect()
    }

    #[test]
    fn a_weight_counts_when_settled_and_before_stepping_off() {
        let with = |control| readings(SERVICE_WEIGHT, &[&[control], &FIRST[1..]].concat());
        assert_eq!(with(0x22), ["86.550 kg"]);
        assert!(with(0x02).is_empty() && with(0xA2).is_empty() && with(0x82).is_empty());
        let with = |control| readings(SERVICE_BODY, &[&[2, control], &SECOND[2..]].concat());
        assert_eq!(with(0x26), ["85.150 kg", "428 Ohm"]);
        assert_eq!(with(0x24), ["85.150 kg"]);
        assert!(with(0x06).is_empty() && with(0xA6).is_empty());
    }

    #[test]
    fn other_units_are_refused() {
        for control in [0x23, 0x32] {
            let data = [&[control], &FIRST[1..]].concat();
            assert_eq!(MiScale::of(SERVICE_WEIGHT, &data), Err(RefusedFrame::Unknown));
        }
        for head in [[3, 0x26], [2, 0x66]] {
            assert_eq!(MiScale::of(SERVICE_BODY, &[&head, &SECOND[2..]].concat()), Err(RefusedFrame::Unknown));
        }
        assert_eq!(MiScale::of(0x1810, &FIRST), Err(RefusedFrame::Unknown));
    }

    proptest! {
        #[test]
        fn another_length_is_refused(data in proptest::collection::vec(any::<u8>(), 0..20)) {
            let is = |service, length| MiScale::of(service, &data).is_err() || data.len() == length;
            prop_assert!(is(SERVICE_WEIGHT, FIRST.len()) && is(SERVICE_BODY, SECOND.len()));
        }
    }
}
