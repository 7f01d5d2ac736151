//! A reading: a frame decoded. A value with its unit, or the named reason for none; it has no time, no patient
//! and no identity of ours.

use serde::{Deserialize, Serialize};

use crate::metric::Metric;
use crate::units::{Decimal, Unit};

/// One metric as a device reported it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What was measured.
    pub metric: Metric,
    /// The value, or why there is none.
    pub outcome: Outcome,
    /// What the device said about the quality of it.
    pub quality: Quality,
}

/// A value, or the reason for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As received.
    Value(Value),
    /// None, and why.
    None(NoReading),
}

/// A number as received, with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// The digits as received.
    pub decimal: Decimal,
    /// Their unit.
    pub unit: Unit,
}

/// Why a device gave no number. The order is part of the wire: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoReading {
    /// IEEE 11073-20601 NaN, or a protocol's own "not a number".
    NotANumber,
    /// IEEE 11073-20601 NRes: not at this resolution.
    NotAtThisResolution,
    /// IEEE 11073-20601 +INF: above the device's range.
    AboveRange,
    /// IEEE 11073-20601 −INF: below the device's range.
    BelowRange,
    /// A value the standard reserves.
    Reserved,
    /// The protocol's own code for missing data (Nonin 511 and 127, BCI 255 and 127).
    MissingData,
    /// No sensor is connected.
    SensorDisconnected,
    /// The sensor is not on the patient.
    SensorOff,
    /// The device is still looking for a pulse.
    Searching,
    /// The device says the sensor or probe is faulty.
    SensorFault,
    /// The device holds an old value after losing the patient; it is not a measurement of now.
    Stale,
    /// The measurement failed.
    MeasurementFailed,
    /// The device says that its own value is not valid.
    DeclaredInvalid,
    /// Demonstration, test or calibration: not of a patient.
    NotOfAPatient,
    /// A control solution was measured, not blood.
    ControlSolution,
    /// The device itself is faulty.
    DeviceFault,
    /// The value is of an earlier measurement or a zero in place of one, and this device (by its model) is known for it.
    ModelQuirk,
}

impl NoReading {
    /// Its name in JSON and storage.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotANumber => "not_a_number",
            Self::NotAtThisResolution => "not_at_this_resolution",
            Self::AboveRange => "above_range",
            Self::BelowRange => "below_range",
            Self::Reserved => "reserved",
            Self::MissingData => "missing_data",
            Self::SensorDisconnected => "sensor_disconnected",
            Self::SensorOff => "sensor_off",
            Self::Searching => "searching",
            Self::SensorFault => "sensor_fault",
            Self::Stale => "stale",
            Self::MeasurementFailed => "measurement_failed",
            Self::DeclaredInvalid => "declared_invalid",
            Self::NotOfAPatient => "not_of_a_patient",
            Self::ControlSolution => "control_solution",
            Self::DeviceFault => "device_fault",
            Self::ModelQuirk => "model_quirk",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub const fn explained(self) -> &'static str {
        match self {
            Self::NotANumber => "the device sent \"not a number\"",
            Self::NotAtThisResolution => "the device cannot give it at this resolution",
            Self::AboveRange => "it is above what the device can measure",
            Self::BelowRange => "it is below what the device can measure",
            Self::Reserved => "the device sent a value that its standard reserves",
            Self::MissingData => "the device sent its code for missing data",
            Self::SensorDisconnected => "no sensor is connected to the device",
            Self::SensorOff => "the sensor is not on the patient",
            Self::Searching => "the device is still looking for a pulse",
            Self::SensorFault => "the device says that its sensor is faulty",
            Self::Stale => "the device repeats an old value, it does not measure now",
            Self::MeasurementFailed => "the measurement failed: measure again",
            Self::DeclaredInvalid => "the device says that its own value is not valid",
            Self::NotOfAPatient => "demonstration, test or calibration: not of a patient",
            Self::ControlSolution => "a control solution was measured, not blood",
            Self::DeviceFault => "the device says that it is faulty",
            Self::ModelQuirk => "this model is known to send old values or zeros here",
        }
    }
}

/// What a device said about a reading's quality: a set of flags. The bits are part of the wire: add above only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Quality(u32);

impl Quality {
    /// Nothing was said against it.
    pub const GOOD: Self = Self(0);
    /// Short-term artefact: movement (Nonin ARTF).
    pub const ARTEFACT: Self = Self(1 << 0);
    /// The device lost track of consecutive pulses (Nonin OOT).
    pub const OUT_OF_TRACK: Self = Self(1 << 1);
    /// Low perfusion: weak signal (Nonin red).
    pub const LOW_PERFUSION: Self = Self(1 << 2);
    /// Marginal perfusion (Nonin yellow): flagged, does not gate.
    pub const MARGINAL_PERFUSION: Self = Self(1 << 3);
    /// The sensor alarm is set.
    pub const SENSOR_ALARM: Self = Self(1 << 4);
    /// The device's battery is low: flagged, does not gate.
    pub const LOW_BATTERY: Self = Self(1 << 5);
    /// The device averaged until it was sure (Nonin SmartPoint): in favour of it.
    pub const SMART_POINT: Self = Self(1 << 6);
    /// Searching for the pulse for too long.
    pub const SEARCHING: Self = Self(1 << 7);
    /// The device saw a drop of saturation (BCI): flagged, does not gate.
    pub const DESATURATION: Self = Self(1 << 8);
    /// Signal strength at the lowest step.
    pub const WEAK_SIGNAL: Self = Self(1 << 9);
    /// The measurement was not at its end: an early estimate, or a value that still changes.
    pub const PROVISIONAL: Self = Self(1 << 10);
    /// The device doubts its own value.
    pub const QUESTIONABLE: Self = Self(1 << 11);
    /// The pulse was irregular: flagged, does not gate; it may be the patient's heart.
    pub const IRREGULAR_PULSE: Self = Self(1 << 12);
    /// The cuff was too loose.
    pub const LOOSE_CUFF: Self = Self(1 << 13);
    /// The body or the sensor was not in the right place.
    pub const WRONG_POSITION: Self = Self(1 << 14);
    /// Light or electricity from outside disturbed the signal.
    pub const INTERFERENCE: Self = Self(1 << 15);
    /// The sensor must be calibrated before it can be believed.
    pub const CALIBRATION_DUE: Self = Self(1 << 16);
    /// The device was too hot, too cold, or its sample or strip not as it must be.
    pub const WRONG_CONDITIONS: Self = Self(1 << 17);
    /// The clock of the device is not set, or ran wrong: flagged, does not gate; the hub has a clock of its own.
    pub const DEVICE_CLOCK: Self = Self(1 << 18);
    /// It cannot be beside the other readings of its report (`plausibility`): the hub says so, not the device.
    pub const INCONSISTENT: Self = Self(1 << 19);

    const GATES: u32 = Self::ARTEFACT.0
        | Self::OUT_OF_TRACK.0
        | Self::LOW_PERFUSION.0
        | Self::SENSOR_ALARM.0
        | Self::SEARCHING.0
        | Self::WEAK_SIGNAL.0
        | Self::PROVISIONAL.0
        | Self::QUESTIONABLE.0
        | Self::LOOSE_CUFF.0
        | Self::WRONG_POSITION.0
        | Self::INTERFERENCE.0
        | Self::CALIBRATION_DUE.0
        | Self::WRONG_CONDITIONS.0
        | Self::INCONSISTENT.0;

    const NAMES: [(Self, &'static str); 20] = [
        (Self::ARTEFACT, "artefact"),
        (Self::OUT_OF_TRACK, "out_of_track"),
        (Self::LOW_PERFUSION, "low_perfusion"),
        (Self::MARGINAL_PERFUSION, "marginal_perfusion"),
        (Self::SENSOR_ALARM, "sensor_alarm"),
        (Self::LOW_BATTERY, "low_battery"),
        (Self::SMART_POINT, "smart_point"),
        (Self::SEARCHING, "searching"),
        (Self::DESATURATION, "desaturation"),
        (Self::WEAK_SIGNAL, "weak_signal"),
        (Self::PROVISIONAL, "provisional"),
        (Self::QUESTIONABLE, "questionable"),
        (Self::IRREGULAR_PULSE, "irregular_pulse"),
        (Self::LOOSE_CUFF, "loose_cuff"),
        (Self::WRONG_POSITION, "wrong_position"),
        (Self::INTERFERENCE, "interference"),
        (Self::CALIBRATION_DUE, "calibration_due"),
        (Self::WRONG_CONDITIONS, "wrong_conditions"),
        (Self::DEVICE_CLOCK, "device_clock"),
        (Self::INCONSISTENT, "inconsistent"),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags if `condition`, else none.
    #[must_use]
    pub const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::GOOD }
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a rule's quality gate holds the reading back (SEMANTICS: *gated*).
    #[must_use]
    pub const fn is_gated(self) -> bool {
        self.0 & Self::GATES != 0
    }

    /// The set as a number, for storage.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set kept as this number; unknown bits are kept too.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }
}

impl std::fmt::Debug for Quality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Reading {
    /// A reading with a value.
    #[must_use]
    pub const fn value(metric: Metric, decimal: Decimal, unit: Unit, quality: Quality) -> Self {
        Self { metric, outcome: Outcome::Value(Value { decimal, unit }), quality }
    }

    /// A reading without one.
    #[must_use]
    pub const fn none(metric: Metric, why: NoReading, quality: Quality) -> Self {
        Self { metric, outcome: Outcome::None(why), quality }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_gate_or_do_not() {
        assert!(!Quality::GOOD.is_gated());
        assert!(!Quality::MARGINAL_PERFUSION.and(Quality::LOW_BATTERY).and(Quality::SMART_POINT).is_gated());
        assert!(Quality::LOW_PERFUSION.is_gated());
        let both = Quality::ARTEFACT.and(Quality::LOW_BATTERY);
        assert_eq!(both.names().collect::<Vec<_>>(), ["artefact", "low_battery"]);
        assert_eq!(Quality::from_bits(both.bits()), both);
    }

    #[test]
    fn names_in_json_are_those_of_the_code() {
        for why in [NoReading::NotANumber, NoReading::Stale, NoReading::MeasurementFailed] {
            assert_eq!(serde_json::to_value(why).unwrap(), why.name());
        }
    }
}
