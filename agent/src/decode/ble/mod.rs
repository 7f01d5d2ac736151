//! Bluetooth LE: a characteristic's value → a report. One file for each profile or maker's service; each has the frame's
//! fields as a type of their own and says what of them becomes a reading.
//!
//! What a value means depends on those before it in three profiles only: a glucose context belongs to its measurement, a body
//! composition may come in two packets, and the time of a continuous glucose record counts from the session's start.

pub mod battery;
pub mod berry;
pub mod blood_pressure;
pub mod body_composition;
pub mod cgm;
pub mod cgm_session;
pub mod contec_bt;
pub mod current_time;
pub mod device_information;
pub mod glucose;
pub mod glucose_context;
pub mod heart_rate;
pub mod jumper;
pub mod mi_scale;
pub mod nonin_oximetry;
pub mod omron;
pub mod plx;
pub mod plx_status;
pub mod polar;
pub mod record_access;
pub mod sanitas;
pub mod thermometer;
pub mod viatom;
pub mod weight;

use std::fmt;
use std::str::FromStr;

use shared::metric::Metric;
use shared::reading::{Quality, Reading};
use shared::units::Unit;

use battery::BatteryLevel;
use blood_pressure::BloodPressure;
use body_composition::{BodyComposition, BodyParts};
use cgm_session::CgmSession;
use contec_bt::ContecBt;
use current_time::CurrentTime;
use glucose::Glucose;
use glucose_context::{GlucoseContext, GlucoseJoin};
use heart_rate::{BodySensorLocation, HeartRate};
use jumper::Jumper;
use nonin_oximetry::NoninOximetry;
use plx::{PlxContinuous, PlxFeatures, PlxSpot};
use thermometer::Temperature;
use weight::Weight;

use super::cursor::Cursor;
use super::medfloat::Medfloat;
use super::quirks::Quirks;
use super::{RefusedFrame, Report, date_time};

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
        Self::ALL.into_iter().find(|one| is_uuid(text, one.uuid())).ok_or(UnknownCharacteristic)
    }
}

/// Whether a text is this UUID, in any case; an assigned number may have the Bluetooth base around it.
fn is_uuid(text: &str, uuid: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("0000").and_then(|rest| rest.strip_suffix("-0000-1000-8000-00805F9B34FB"));
    short.unwrap_or(&upper) == uuid
}

/// A float as a reading: its digits, or what its special value says.
const fn of_float(metric: Metric, value: Medfloat, unit: Unit, quality: Quality) -> Reading {
    match value {
        Ok(decimal) => Reading::value(metric, decimal, unit, quality),
        Err(special) => Reading::none(metric, special.no_reading(), quality),
    }
}

/// Reads the values of one device, one after the other. It holds what a value needs to know of those before it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values {
    quirks: Quirks,
    cgm: CgmSession,
    glucose: GlucoseJoin,
    body: BodyParts,
}

impl Values {
    /// The values of a device with these quirks, of which nothing has been read.
    #[must_use]
    pub fn new(quirks: Quirks) -> Self {
        Self { quirks, ..Self::default() }
    }

    /// Reads a value and hands out what it says: several reports where one notification holds several records. One that
    /// describes the device, that is part of a conversation with it, or of a measurement that is still in progress, gives a
    /// report without readings, or none.
    ///
    /// # Errors
    /// [`RefusedFrame`] says what is wrong with the value.
    pub fn read(
        &mut self,
        characteristic: Characteristic,
        value: &[u8],
        out: &mut impl FnMut(Report),
    ) -> Result<(), RefusedFrame> {
        match characteristic {
            Characteristic::CgmFeature => self.cgm.feature(value),
            Characteristic::CgmSessionStart => self.cgm.start(value),
            Characteristic::Cgm => self.cgm.records(value, false).map(|records| records.for_each(out)),
            Characteristic::Glucose => {
                let read = Glucose::of(value)?;
                self.glucose.measured(&read);
                out(read.report(value));
                Ok(())
            }
            Characteristic::GlucoseContext => {
                self.glucose.context(&GlucoseContext::of(value)?)?;
                out(Report::default());
                Ok(())
            }
            Characteristic::BodyComposition | Characteristic::Weight if self.quirks.mass_steps_unknown => {
                Err(RefusedFrame::ModelQuirk)
            }
            Characteristic::BodyComposition => {
                out(self.body.report(&BodyComposition::of(value, self.quirks)?));
                Ok(())
            }
            _ => decode(characteristic, self.quirks, value).map(out),
        }
    }
}

/// A value that needs nothing before it. The others are read by [`Values::read`].
fn decode(characteristic: Characteristic, quirks: Quirks, value: &[u8]) -> Result<Report, RefusedFrame> {
    match characteristic {
        Characteristic::HeartRate => HeartRate::of(value).map(|read| read.report()),
        Characteristic::BodySensorLocation => BodySensorLocation::of(value).map(|_| Report::default()),
        Characteristic::Temperature => Temperature::of(value).map(|read| read.report()),
        Characteristic::IntermediateTemperature => Temperature::of(value).map(|_| Report::default()),
        Characteristic::BloodPressure => BloodPressure::of(value, quirks).map(|read| read.report()),
        Characteristic::CuffPressure => BloodPressure::of(value, quirks).map(|_| Report::default()),
        Characteristic::EnhancedBloodPressure => BloodPressure::of_enhanced(value).map(|read| read.report()),
        Characteristic::PlxSpot => PlxSpot::of(value).map(|read| read.report(value)),
        Characteristic::PlxContinuous => PlxContinuous::of(value).map(|read| read.report()),
        Characteristic::PlxFeatures => PlxFeatures::of(value).map(|_| Report::default()),
        Characteristic::BatteryLevel => BatteryLevel::of(value).map(|read| read.report()),
        Characteristic::CurrentTime => CurrentTime::of(value).map(|read| read.report()),
        Characteristic::DateTime => {
            date_time::read(&mut Cursor::new(value)).map(|time| Report { device_time: Some(time), ..Report::default() })
        }
        Characteristic::NoninOximetry => NoninOximetry::of(value).map(|read| read.report()),
        Characteristic::Berry => berry::report(value),
        Characteristic::Jumper => Jumper::of(value).map(|read| read.report()),
        Characteristic::Viatom => viatom::Sensors::of(value).map(|read| read.report()),
        Characteristic::ContecBt => ContecBt::of(value).map(|read| read.report(quirks)),
        Characteristic::RecordAccess => record_access::Answer::of(value).map(|_| Report::default()),
        Characteristic::Weight => Weight::of(value, quirks).map(|read| read.report()),
        Characteristic::Cgm
        | Characteristic::CgmFeature
        | Characteristic::CgmSessionStart
        | Characteristic::Glucose
        | Characteristic::GlucoseContext
        | Characteristic::BodyComposition => Err(RefusedFrame::OutOfOrder),
    }
}

#[cfg(test)]
mod tests;
