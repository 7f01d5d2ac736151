//! Bluetooth LE: a characteristic's value → a report. One file for each profile or maker's service; each has the frame's
//! fields as a type of their own and says what of them becomes a reading.
//!
//! What a value means never depends on the one before it, but for two profiles: a glucose context belongs to its
//! measurement, and the time of a continuous glucose record counts from the session's start.

pub mod heart_rate;

use std::fmt;
use std::str::FromStr;

use heart_rate::HeartRate;

use super::quirks::Quirks;
use super::{RefusedFrame, Report};

/// A characteristic that is decoded, by its 16-bit assigned number or by the maker's service it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Characteristic {
    /// Heart Rate Measurement, 2A37.
    HeartRate,
    /// Body Sensor Location, 2A38.
    BodySensorLocation,
    /// Temperature Measurement, 2A1C.
    Temperature,
    /// Intermediate Temperature, 2A1E.
    IntermediateTemperature,
    /// Blood Pressure Measurement, 2A35.
    BloodPressure,
    /// Intermediate Cuff Pressure, 2A36.
    CuffPressure,
    /// Enhanced Blood Pressure Measurement, 2B34.
    EnhancedBloodPressure,
    /// PLX Spot-Check Measurement, 2A5E.
    PlxSpot,
    /// PLX Continuous Measurement, 2A5F.
    PlxContinuous,
    /// PLX Features, 2A60.
    PlxFeatures,
    /// Glucose Measurement, 2A18.
    Glucose,
    /// Glucose Measurement Context, 2A34.
    GlucoseContext,
    /// Record Access Control Point, 2A52.
    RecordAccess,
    /// CGM Measurement, 2AA7.
    Cgm,
    /// CGM Feature, 2AA8.
    CgmFeature,
    /// CGM Session Start Time, 2AAA.
    CgmSessionStart,
    /// Weight Measurement, 2A9D.
    Weight,
    /// Body Composition Measurement, 2A9C.
    BodyComposition,
    /// Battery Level, 2A19.
    BatteryLevel,
    /// Current Time, 2A2B.
    CurrentTime,
    /// Date Time, 2A08.
    DateTime,
    /// Nonin oximetry: 0AAD7EA0-0D60-11E2-8E3C-0002A5D5C51B.
    NoninOximetry,
    /// Berry BM1000: 49535343-1E4D-4BD9-BA61-23C647249616, BCI frames.
    Berry,
    /// Jumper JPD-500F: CDEACB81-5235-4C07-8846-93A37EE6B86D.
    Jumper,
    /// Viatom O2Ring: 0734594A-A8E7-4B1A-A6B1-CD5243059A57.
    Viatom,
    /// Contec CMS50D-BT: FF02.
    ContecBt,
}

/// Why a text names no characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a characteristic that is decoded; give its number, such as 2A37, or its whole UUID")]
pub struct UnknownCharacteristic;

impl Characteristic {
    /// Every characteristic.
    pub const ALL: [Self; 26] = [
        Self::HeartRate,
        Self::BodySensorLocation,
        Self::Temperature,
        Self::IntermediateTemperature,
        Self::BloodPressure,
        Self::CuffPressure,
        Self::EnhancedBloodPressure,
        Self::PlxSpot,
        Self::PlxContinuous,
        Self::PlxFeatures,
        Self::Glucose,
        Self::GlucoseContext,
        Self::RecordAccess,
        Self::Cgm,
        Self::CgmFeature,
        Self::CgmSessionStart,
        Self::Weight,
        Self::BodyComposition,
        Self::BatteryLevel,
        Self::CurrentTime,
        Self::DateTime,
        Self::NoninOximetry,
        Self::Berry,
        Self::Jumper,
        Self::Viatom,
        Self::ContecBt,
    ];

    /// Its UUID: the four digits of an assigned number, or all 128 bits (STANDARDS §1.3, §1.4).
    #[must_use]
    pub const fn uuid(self) -> &'static str {
        match self {
            Self::HeartRate => "2A37",
            Self::BodySensorLocation => "2A38",
            Self::Temperature => "2A1C",
            Self::IntermediateTemperature => "2A1E",
            Self::BloodPressure => "2A35",
            Self::CuffPressure => "2A36",
            Self::EnhancedBloodPressure => "2B34",
            Self::PlxSpot => "2A5E",
            Self::PlxContinuous => "2A5F",
            Self::PlxFeatures => "2A60",
            Self::Glucose => "2A18",
            Self::GlucoseContext => "2A34",
            Self::RecordAccess => "2A52",
            Self::Cgm => "2AA7",
            Self::CgmFeature => "2AA8",
            Self::CgmSessionStart => "2AAA",
            Self::Weight => "2A9D",
            Self::BodyComposition => "2A9C",
            Self::BatteryLevel => "2A19",
            Self::CurrentTime => "2A2B",
            Self::DateTime => "2A08",
            Self::NoninOximetry => "0AAD7EA0-0D60-11E2-8E3C-0002A5D5C51B",
            Self::Berry => "49535343-1E4D-4BD9-BA61-23C647249616",
            Self::Jumper => "CDEACB81-5235-4C07-8846-93A37EE6B86D",
            Self::Viatom => "0734594A-A8E7-4B1A-A6B1-CD5243059A57",
            Self::ContecBt => "FF02",
        }
    }
}

impl fmt::Display for Characteristic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uuid())
    }
}

impl FromStr for Characteristic {
    type Err = UnknownCharacteristic;
    /// Takes the four digits or the whole UUID, in any case; an assigned number also with the Bluetooth base.
    fn from_str(text: &str) -> Result<Self, UnknownCharacteristic> {
        let upper = text.to_ascii_uppercase();
        let short = upper.strip_prefix("0000").and_then(|rest| rest.strip_suffix("-0000-1000-8000-00805F9B34FB"));
        let name = short.unwrap_or(&upper);
        Self::ALL.into_iter().find(|characteristic| characteristic.uuid() == name).ok_or(UnknownCharacteristic)
    }
}

/// What a value of a characteristic says. One that describes the device, or that is part of a conversation with it,
/// gives a report without readings.
///
/// # Errors
/// [`RefusedFrame`] says what is wrong with the value.
pub fn decode(characteristic: Characteristic, _quirks: Quirks, value: &[u8]) -> Result<Report, RefusedFrame> {
    match characteristic {
        Characteristic::HeartRate => HeartRate::of(value).map(|read| read.report()),
        _ => Ok(Report::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_by_number_and_by_uuid() {
        for characteristic in Characteristic::ALL {
            assert_eq!(characteristic.to_string().parse(), Ok(characteristic));
            assert_eq!(characteristic.uuid().to_ascii_lowercase().parse(), Ok(characteristic));
        }
        assert_eq!("00002a37-0000-1000-8000-00805f9b34fb".parse(), Ok(Characteristic::HeartRate));
        assert_eq!("2A00".parse::<Characteristic>(), Err(UnknownCharacteristic));
    }

    #[test]
    fn a_value_goes_to_its_profile() {
        let report = |characteristic| decode(characteristic, Quirks::default(), &[0x06, 85]);
        assert_eq!(report(Characteristic::HeartRate).map(|report| report.readings.len()), Ok(1));
        assert_eq!(report(Characteristic::PlxFeatures), Ok(Report::default()));
    }
}
