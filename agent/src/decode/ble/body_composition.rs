//! Body Composition Measurement (2A9C).
//!
//! Source: Bluetooth Body Composition Service 1.0, 3.2; GATT Specification Supplement, Body Composition Measurement
//! (STANDARDS §1.3).
//! ```text
//! flags       u16: b0 imperial, b1 time, b2 user, b3 basal metabolism, b4 muscle share, b5 muscle mass, b6 fat-free mass,
//!             b7 soft lean mass, b8 water, b9 impedance, b10 weight, b11 height, b12 in several packets
//! fat         u16, 0.1 %; FFFF the measurement failed
//! time        Date Time
//! user        u8, 255 unknown
//! metabolism  u16, kJ
//! share       u16, 0.1 %
//! masses      u16, 0.005 kg or 0.01 lb; weight too
//! impedance   u16, 0.1 Ohm
//! height      u16, 0.001 m or 0.1 in
//! ```
//! A value that does not fit one packet is sent in two, each with flags and fat of its own ([`BodyParts`]).

use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::units::Unit;

use super::weight::{Field, Steps, user};
use crate::decode::cursor::Cursor;
use crate::decode::quirks::Quirks;
use crate::decode::{RefusedFrame, Report, date_time};

const IMPERIAL: u16 = 1 << 0;
const TIME: u16 = 1 << 1;
const USER: u16 = 1 << 2;
const METABOLISM: u16 = 1 << 3;
const MUSCLE_SHARE: u16 = 1 << 4;
const MUSCLE_MASS: u16 = 1 << 5;
const FAT_FREE_MASS: u16 = 1 << 6;
const SOFT_LEAN_MASS: u16 = 1 << 7;
const WATER: u16 = 1 << 8;
const IMPEDANCE: u16 = 1 << 9;
const WEIGHT: u16 = 1 << 10;
const HEIGHT: u16 = 1 << 11;
const SEVERAL_PACKETS: u16 = 1 << 12;

/// A measurement, or a packet of one, as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyComposition {
    /// What its steps are worth.
    pub steps: Steps,
    /// Fat, per cent.
    pub fat: Field,
    /// By the scale's clock; `None` if not sent, or no time.
    pub time: Option<DeviceTime>,
    /// The user's octet, 255 for unknown.
    pub user: Option<u8>,
    /// Basal metabolism in kJ.
    pub metabolism_kj: Option<u16>,
    /// Muscle, per cent.
    pub muscle_share: Option<Field>,
    /// Muscle.
    pub muscle_mass: Option<Field>,
    /// The body without its fat.
    pub fat_free_mass: Option<Field>,
    /// The body without its fat and bones.
    pub soft_lean_mass: Option<Field>,
    /// Water.
    pub water: Option<Field>,
    /// Impedance in Ohm.
    pub impedance: Option<Field>,
    /// Weight.
    pub weight: Option<Field>,
    /// The height that was typed in.
    pub height: Option<Field>,
    /// Whether this is one of several packets.
    pub several_packets: bool,
    /// Whether a time or a user stands in it: the first packet of a measurement has them, the second has not.
    pub says_whose: bool,
}

impl BodyComposition {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: a field that a flag announces is not there.
    pub fn of(value: &[u8], quirks: Quirks) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let flags = cursor.u16()?;
        let has = |flag| flags & flag != 0;
        let steps = Steps::of(has(IMPERIAL), quirks);
        let share = |cursor: &mut Cursor<'_>| Ok(steps.tenths(cursor.u16()?, Unit::Percent));
        let mass = |cursor: &mut Cursor<'_>| Ok(steps.mass(cursor.u16()?));
        Ok(Self {
            steps,
            fat: share(&mut cursor)?,
            time: cursor.when(has(TIME), date_time::read_beside)?.flatten(),
            user: cursor.when(has(USER), Cursor::u8)?,
            metabolism_kj: cursor.when(has(METABOLISM), Cursor::u16)?,
            muscle_share: cursor.when(has(MUSCLE_SHARE), share)?,
            muscle_mass: cursor.when(has(MUSCLE_MASS), mass)?,
            fat_free_mass: cursor.when(has(FAT_FREE_MASS), mass)?,
            soft_lean_mass: cursor.when(has(SOFT_LEAN_MASS), mass)?,
            water: cursor.when(has(WATER), mass)?,
            impedance: cursor.when(has(IMPEDANCE), |cursor| Ok(steps.tenths(cursor.u16()?, Unit::Ohm)))?,
            weight: cursor.when(has(WEIGHT), mass)?,
            height: cursor.when(has(HEIGHT), |cursor| Ok(steps.height(cursor.u16()?)))?,
            several_packets: has(SEVERAL_PACKETS),
            says_whose: has(TIME) || has(USER),
        })
    }

    /// Whether both have a field beside the fat.
    fn shares_with(&self, other: &Self) -> bool {
        let (own, others) = (self.report().readings, other.report().readings);
        let is_shared = |metric| metric != Metric::BodyFat && others.iter().any(|reading| reading.metric == metric);
        own.iter().any(|reading| is_shared(reading.metric))
    }

    /// What of it is a reading. Where fat has no value, shares and masses that are computed with it have none either. Basal
    /// metabolism and soft lean mass are decoded and kept by nobody: no rule or chart has a use for them.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report { device_time: self.time, slot: user(self.user), ..Report::default() };
        let with_fat = |field: Field| Field { value: self.fat.value.and(field.value), ..field };
        let fields = [
            (Metric::BodyFat, Some(self.fat)),
            (Metric::MuscleShare, self.muscle_share.map(with_fat)),
            (Metric::MuscleMass, self.muscle_mass.map(with_fat)),
            (Metric::FatFreeMass, self.fat_free_mass.map(with_fat)),
            (Metric::BodyWater, self.water.map(with_fat)),
            (Metric::Impedance, self.impedance),
            (Metric::Weight, self.weight),
            (Metric::Height, self.height),
        ];
        for (metric, field) in fields {
            if let Some(field) = field {
                report.add(field.reading(metric));
            }
        }
        report
    }
}

/// The packets of one measurement. Each is reported when it comes; the fat, which the second repeats, is not reported twice, and
/// it is of the user and the time of the first. A packet that says whose it is, or that has a further field of the one before
/// it, is the first of another measurement: the second of the one before was lost.
#[derive(Debug, Clone, Copy, Default)]
pub struct BodyParts {
    first: Option<BodyComposition>,
}

impl BodyParts {
    /// A packet came.
    pub fn report(&mut self, packet: &BodyComposition) -> Report {
        let may_be_second = packet.several_packets && !packet.says_whose;
        let first =
            self.first.take().filter(|first| may_be_second && first.fat == packet.fat && !first.shares_with(packet));
        let Some(first) = first else {
            self.first = packet.several_packets.then_some(*packet);
            return packet.report();
        };
        let (before, mut report) = (first.report(), packet.report());
        report.readings.retain(|reading| reading.metric != Metric::BodyFat);
        report.device_time = report.device_time.or(before.device_time);
        report.slot = report.slot.or(before.slot);
        report
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::reading::{NoReading, Outcome};

    use super::*;

    /// Every field: 23.5 % fat, 2026-05-12 18:53:54, user 1, 7000 kJ, 40.7 %, 30, 60, 57, 44 kg, 500 Ohm, 80 kg, 1.83 m.
    const WHOLE: [u8; 30] = [
        0xFE, 0x0F, 0xEB, 0x00, 0xEA, 7, 5, 12, 18, 53, 54, 1, 0x58, 0x1B, 0x97, 0x01, 0x70, 0x17, 0xE0, 0x2E, 0x88,
        0x2C, 0x60, 0x22, 0x88, 0x13, 0x80, 0x3E, 0x26, 0x07,
    ];

    fn of(value: &[u8]) -> BodyComposition {
        BodyComposition::of(value, Quirks::NONE).unwrap()
    }

    #[test]
    fn every_field_in_its_order() {
        let report = of(&WHOLE).report();
        let shown: Vec<_> = report
            .readings
            .iter()
            .map(|reading| match reading.outcome {
                Outcome::Value(value) => (reading.metric, format!("{} {}", value.decimal, value.unit.ucum())),
                Outcome::None(why) => (reading.metric, why.name().into()),
            })
            .collect();
        let expected = [
            (Metric::BodyFat, "23.5 %"),
            (Metric::MuscleShare, "40.7 %"),
            (Metric::MuscleMass, "30.000 kg"),
            (Metric::FatFreeMass, "60.000 kg"),
            (Metric::BodyWater, "44.000 kg"),
            (Metric::Impedance, "500.0 Ohm"),
            (Metric::Weight, "80.000 kg"),
            (Metric::Height, "1.830 m"),
        ];
        assert_eq!(shown, expected.map(|(metric, text)| (metric, text.to_owned())));
        assert_eq!((report.slot, report.device_time.map(|time| time.second)), (Some(1), Some(54)));
        assert_eq!(of(&WHOLE).metabolism_kj, Some(7000));
        assert_eq!(of(&WHOLE).soft_lean_mass.map(|mass| mass.value), Some(Ok("57.000".parse().unwrap())));
    }

    #[test]
    fn no_fat_no_composition_but_the_weight_stays() {
        let mut value = WHOLE;
        value[2..4].copy_from_slice(&[0xFF, 0xFF]);
        let report = of(&value).report();
        let failed =
            |reading: &shared::reading::Reading| reading.outcome == Outcome::None(NoReading::MeasurementFailed);
        assert_eq!(
            report.readings.iter().map(failed).collect::<Vec<_>>(),
            [true, true, true, true, true, false, false, false]
        );
    }

    #[test]
    fn zeros_of_a_model_known_for_them_are_no_values() {
        // As the source of the entry in `quirks` says of a BF788: basal metabolism, and zeros. Built here from the layout.
        let stub = [0x98, 0x03, 0, 0, 0xDF, 0x1A, 0, 0, 0, 0, 0, 0, 0, 0];
        let quirks = Quirks { zero_is_no_value: true, ..Quirks::NONE };
        let report = BodyComposition::of(&stub, quirks).unwrap().report();
        assert_eq!(report.readings.len(), 4);
        assert!(report.readings.iter().all(|reading| reading.outcome == Outcome::None(NoReading::ModelQuirk)));
    }

    #[test]
    fn a_second_packet_belongs_to_the_first() {
        let mut parts = BodyParts::default();
        let first = of(&[0x06, 0x10, 0xEB, 0, 0xEA, 7, 5, 12, 18, 53, 54, 1]);
        let second = of(&[0x00, 0x14, 0xEB, 0, 0x80, 0x3E]);
        assert_eq!(parts.report(&first).readings.len(), 1);
        let report = parts.report(&second);
        assert_eq!(report.readings.iter().map(|reading| reading.metric).collect::<Vec<_>>(), [Metric::Weight]);
        assert_eq!((report.slot, report.device_time), (Some(1), first.time));
        assert_eq!(parts.report(&second).slot, None, "a third packet is the first of another measurement");
        assert_eq!(parts.report(&second).readings.len(), 2, "and one with the same field again of yet another");
        let other = of(&[0x00, 0x14, 0xEC, 0, 0x80, 0x3E]);
        assert_eq!(parts.report(&other).readings.len(), 2, "of another measurement");
        assert_eq!(parts.report(&of(&WHOLE)).readings.len(), 8, "in one packet");
    }

    #[test]
    fn a_packet_does_not_join_anothers_measurement() {
        // The fat failed in both, and the second packet of the first was lost.
        let first = of(&[0x06, 0x10, 0xFF, 0xFF, 0xEA, 7, 5, 12, 18, 53, 54, 1]);
        for (other, slot) in [
            (of(&[0x06, 0x10, 0xFF, 0xFF, 0xEA, 7, 5, 13, 8, 0, 0, 2]), Some(2)),
            (of(&[0x02, 0x10, 0xFF, 0xFF, 0, 0, 13, 0, 0, 0, 0]), None),
            (of(&[0x04, 0x14, 0xFF, 0xFF, 2, 0x80, 0x3E]), Some(2)),
        ] {
            let mut parts = BodyParts::default();
            parts.report(&first);
            let report = parts.report(&other);
            assert_eq!((report.slot, report.device_time), (slot, other.time));
            assert_eq!(report.readings[0].metric, Metric::BodyFat, "it is the first of its own");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..36)) {
            if let Ok(read) = BodyComposition::of(&value, Quirks::NONE) {
                prop_assert!(!read.report().readings.is_empty());
            }
        }

        #[test]
        fn a_cut_value_is_refused(cut in 0_usize..30) {
            prop_assert_eq!(BodyComposition::of(&WHOLE[..cut], Quirks::NONE), Err(RefusedFrame::Length));
        }
    }
}
