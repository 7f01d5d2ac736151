//! What is measured.

use serde::{Deserialize, Serialize};

use crate::units::Unit;

/// A metric. JSON, rules and storage use its name; the wire uses its place: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Heart rate from the heart's electricity, per minute.
    HeartRate,
    /// Pulse rate from the pulse wave, per minute.
    PulseRate,
    /// Oxygen saturation by pulse oximetry, per cent.
    #[serde(rename = "spo2")]
    SpO2,
    /// Breaths per minute.
    RespiratoryRate,
    /// Body temperature.
    Temperature,
    /// Systolic blood pressure.
    SystolicPressure,
    /// Diastolic blood pressure.
    DiastolicPressure,
    /// Mean arterial pressure.
    MeanPressure,
    /// Body weight.
    Weight,
    /// Blood glucose concentration.
    Glucose,
    /// Perfusion index: pulsatile share of the oximeter's signal, per cent.
    PerfusionIndex,
    /// A device's battery, per cent.
    Battery,
    /// Glucose of the interstitial fluid, from a sensor under the skin; not that of blood.
    InterstitialGlucose,
    /// Fat, as a share of the body's weight, per cent.
    BodyFat,
    /// Muscle, as a share of the body's weight, per cent.
    MuscleShare,
    /// Muscle, by weight.
    MuscleMass,
    /// The body without its fat, by weight.
    FatFreeMass,
    /// Water of the body, by weight.
    BodyWater,
    /// Electrical impedance of the body, ohm.
    Impedance,
    /// Body mass index, as the device computed it.
    BodyMassIndex,
    /// Body height, as it was typed into the device.
    Height,
}

impl Metric {
    /// Every metric, in wire order.
    pub const ALL: [Self; 21] = [
        Self::HeartRate,
        Self::PulseRate,
        Self::SpO2,
        Self::RespiratoryRate,
        Self::Temperature,
        Self::SystolicPressure,
        Self::DiastolicPressure,
        Self::MeanPressure,
        Self::Weight,
        Self::Glucose,
        Self::PerfusionIndex,
        Self::Battery,
        Self::InterstitialGlucose,
        Self::BodyFat,
        Self::MuscleShare,
        Self::MuscleMass,
        Self::FatFreeMass,
        Self::BodyWater,
        Self::Impedance,
        Self::BodyMassIndex,
        Self::Height,
    ];

    /// Its name in JSON, rules and storage.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeartRate => "heart_rate",
            Self::PulseRate => "pulse_rate",
            Self::SpO2 => "spo2",
            Self::RespiratoryRate => "respiratory_rate",
            Self::Temperature => "temperature",
            Self::SystolicPressure => "systolic_pressure",
            Self::DiastolicPressure => "diastolic_pressure",
            Self::MeanPressure => "mean_pressure",
            Self::Weight => "weight",
            Self::Glucose => "glucose",
            Self::PerfusionIndex => "perfusion_index",
            Self::Battery => "battery",
            Self::InterstitialGlucose => "interstitial_glucose",
            Self::BodyFat => "body_fat",
            Self::MuscleShare => "muscle_share",
            Self::MuscleMass => "muscle_mass",
            Self::FatFreeMass => "fat_free_mass",
            Self::BodyWater => "body_water",
            Self::Impedance => "impedance",
            Self::BodyMassIndex => "body_mass_index",
            Self::Height => "height",
        }
    }

    /// Its words for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::HeartRate => "Heart rate",
            Self::PulseRate => "Pulse",
            Self::SpO2 => "SpO₂",
            Self::RespiratoryRate => "Respiratory rate",
            Self::Temperature => "Temperature",
            Self::SystolicPressure => "Systolic pressure",
            Self::DiastolicPressure => "Diastolic pressure",
            Self::MeanPressure => "Mean pressure",
            Self::Weight => "Weight",
            Self::Glucose => "Glucose",
            Self::PerfusionIndex => "Perfusion index",
            Self::Battery => "Battery",
            Self::InterstitialGlucose => "Interstitial glucose",
            Self::BodyFat => "Body fat",
            Self::MuscleShare => "Muscle share",
            Self::MuscleMass => "Muscle mass",
            Self::FatFreeMass => "Fat-free mass",
            Self::BodyWater => "Body water",
            Self::Impedance => "Impedance",
            Self::BodyMassIndex => "Body mass index",
            Self::Height => "Height",
        }
    }

    /// The metric of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// The units a device may send it in; the first is the one rules and charts use.
    #[must_use]
    pub const fn units(self) -> &'static [Unit] {
        match self {
            Self::HeartRate | Self::PulseRate | Self::RespiratoryRate => &[Unit::PerMinute],
            Self::SpO2 | Self::PerfusionIndex | Self::Battery | Self::BodyFat | Self::MuscleShare => &[Unit::Percent],
            Self::Temperature => &[Unit::Celsius, Unit::Fahrenheit],
            Self::SystolicPressure | Self::DiastolicPressure | Self::MeanPressure => {
                &[Unit::MillimetreOfMercury, Unit::Kilopascal]
            }
            Self::Weight | Self::MuscleMass | Self::FatFreeMass | Self::BodyWater => &[Unit::Kilogram, Unit::Pound],
            Self::Impedance => &[Unit::Ohm],
            Self::BodyMassIndex => &[Unit::KilogramPerSquareMetre],
            Self::Height => &[Unit::Metre, Unit::Inch],
            Self::Glucose | Self::InterstitialGlucose => &[Unit::MillimolePerLitre, Unit::MilligramPerDecilitre],
        }
    }

    /// Whether it tells of the device, not of the patient.
    #[must_use]
    pub const fn is_technical(self) -> bool {
        matches!(self, Self::Battery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_found_by_its_name() {
        for metric in Metric::ALL {
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
            assert!(!metric.units().is_empty());
        }
    }
}
