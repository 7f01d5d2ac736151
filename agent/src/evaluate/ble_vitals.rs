//! Areas of the Bluetooth profiles for vital signs, and of what describes a device.

use runtime::evaluate::{Answer, Input, UnusableInput};
use serde_json::{Map, Value as Json, json};
use shared::units::Unit;

use super::json::{date_time, float, optional};
use super::{quirks, rejected};
use crate::decode::RefusedFrame;
use crate::decode::ble::Characteristic;
use crate::decode::ble::battery::BatteryLevel;
use crate::decode::ble::blood_pressure::{BloodPressure, Status};
use crate::decode::ble::current_time::CurrentTime;
use crate::decode::ble::device_information::{self, PnpId, SystemId, TextField};
use crate::decode::ble::heart_rate::{BodySensorLocation, HeartRate};
use crate::decode::ble::plx::{Beside, Pair, PlxContinuous, PlxFeatures, PlxSpot};
use crate::decode::ble::plx_status::{DeviceStatus, MeasurementStatus};
use crate::decode::ble::thermometer::Temperature;

const UNKNOWN: UnusableInput = UnusableInput::Value("characteristic");

/// The characteristic that a case names, and the value.
fn characteristic(input: &Input) -> Result<(Characteristic, Vec<u8>), UnusableInput> {
    let characteristic = input.text("characteristic")?.parse().map_err(|_| UNKNOWN)?;
    Ok((characteristic, input.hex("hex")?))
}

/// The fields of a value, or that it is refused.
fn answer<T>(read: Result<T, RefusedFrame>, fields: impl FnOnce(T) -> Json) -> Answer {
    match read {
        Ok(read) => Answer::fields(fields(read)),
        Err(why) => rejected(why),
    }
}

pub(super) fn heart_rate(input: &Input) -> Result<Answer, UnusableInput> {
    match characteristic(input)? {
        (Characteristic::HeartRate, value) => Ok(answer(HeartRate::of(&value), |read| {
            json!({
                "heart_rate": read.rate,
                "unit": "/min",
                "sensor_contact": read.contact,
                "energy_kj": read.energy_kj,
                "rr_1024": optional(read.rr_1024(), Json::from_iter),
            })
        })),
        (Characteristic::BodySensorLocation, _) => misc(input),
        _ => Err(UNKNOWN),
    }
}

pub(super) fn thermometer(input: &Input) -> Result<Answer, UnusableInput> {
    let (Characteristic::Temperature | Characteristic::IntermediateTemperature, value) = characteristic(input)? else {
        return Err(UNKNOWN);
    };
    Ok(answer(Temperature::of(&value), |read| {
        json!({
            "temperature": float(read.temperature),
            "unit": read.unit.ucum(),
            "timestamp": optional(read.time, date_time),
            "type": read.site.map(|site| site.name()),
        })
    }))
}

fn cuff_status(status: Status) -> Json {
    json!({
        "body_movement": status.movement(),
        "cuff_too_loose": status.loose_cuff(),
        "irregular_pulse": status.irregular_pulse(),
        "pulse_rate_range": status.pulse_range().name(),
        "improper_position": status.wrong_position(),
    })
}

pub(super) fn blood_pressure(input: &Input) -> Result<Answer, UnusableInput> {
    let (characteristic, value) = characteristic(input)?;
    let read = match characteristic {
        Characteristic::BloodPressure | Characteristic::CuffPressure => BloodPressure::of(&value, quirks(input)?),
        Characteristic::EnhancedBloodPressure => BloodPressure::of_enhanced(&value),
        _ => return Err(UNKNOWN),
    };
    Ok(answer(read, |read| {
        let mut fields = Map::from_iter([
            ("unit".to_owned(), read.unit.ucum().into()),
            ("timestamp".to_owned(), optional(read.time, date_time)),
            ("pulse".to_owned(), optional(read.pulse, float)),
            ("user_id".to_owned(), read.user.into()),
            ("status".to_owned(), optional(read.status, cuff_status)),
        ]);
        if characteristic == Characteristic::CuffPressure {
            fields.insert("cuff".to_owned(), float(read.systolic));
        } else {
            fields.insert("systolic".to_owned(), float(read.systolic));
            fields.insert("diastolic".to_owned(), float(read.diastolic));
            fields.insert("map".to_owned(), float(read.mean));
        }
        Json::Object(fields)
    }))
}

fn pair(Pair { spo2, pulse }: Pair) -> Json {
    json!([float(spo2), float(pulse)])
}

/// The fields that both measurements of an oximeter have, and these others.
fn oximetry(normal: &Pair, beside: &Beside, others: [(&str, Json); 2]) -> Json {
    let mut fields = Map::from_iter([
        ("spo2".to_owned(), float(normal.spo2)),
        ("pulse".to_owned(), float(normal.pulse)),
        ("unit".to_owned(), Unit::Percent.ucum().into()),
        ("measurement_status".to_owned(), optional(beside.measurement, |it| Json::from_iter(it.names()))),
        ("device_status".to_owned(), optional(beside.device, |it| Json::from_iter(it.names()))),
        ("pai".to_owned(), optional(beside.amplitude, float)),
    ]);
    fields.extend(others.map(|(key, value)| (key.to_owned(), value)));
    Json::Object(fields)
}

pub(super) fn pulse_oximeter(input: &Input) -> Result<Answer, UnusableInput> {
    let (characteristic, value) = characteristic(input)?;
    Ok(match characteristic {
        Characteristic::PlxSpot => answer(PlxSpot::of(&value), |read| {
            let others = [("timestamp", optional(read.time, date_time)), ("clock_not_set", read.clock_not_set.into())];
            oximetry(&read.normal, &read.beside, others)
        }),
        Characteristic::PlxContinuous => answer(PlxContinuous::of(&value), |read| {
            let others = [("fast", optional(read.fast, pair)), ("slow", optional(read.slow, pair))];
            oximetry(&read.normal, &read.beside, others)
        }),
        Characteristic::PlxFeatures => answer(PlxFeatures::of(&value), |read| {
            json!({
                "features": Json::from_iter(read.names()),
                "measurement_status_support": optional(read.measurement, |it: MeasurementStatus| Json::from_iter(it.names())),
                "device_status_support": optional(read.device, |it: DeviceStatus| Json::from_iter(it.names())),
            })
        }),
        _ => return Err(UNKNOWN),
    })
}

pub(super) fn misc(input: &Input) -> Result<Answer, UnusableInput> {
    let (name, value) = (input.text("characteristic")?, input.hex("hex")?);
    if name.parse::<TextField>().is_ok() {
        return Ok(Answer::fields(json!({ "text": device_information::text(&value) })));
    }
    Ok(match name {
        "2A23" => answer(SystemId::of(&value), |id| json!({ "manufacturer_id": id.device, "oui": id.maker })),
        "2A50" => answer(PnpId::of(&value), |id| {
            json!({
                "vendor_id_source": id.source, "vendor_id": id.vendor, "product_id": id.product, "product_version": id.version,
            })
        }),
        _ => match characteristic(input)?.0 {
            Characteristic::BodySensorLocation => {
                answer(BodySensorLocation::of(&value), |read| json!({ "location": read.name() }))
            }
            Characteristic::BatteryLevel => answer(BatteryLevel::of(&value), |read| json!({ "percent": read.percent })),
            Characteristic::CurrentTime => answer(CurrentTime::of(&value), current_time),
            Characteristic::DateTime => return super::basics::date_time(input),
            _ => return Err(UNKNOWN),
        },
    })
}

fn current_time(read: CurrentTime) -> Json {
    let mut fields = date_time(read.time);
    if let Json::Object(fields) = &mut fields {
        fields.insert("day_of_week".to_owned(), read.day_of_week.into());
        fields.insert("fractions256".to_owned(), read.fractions256.into());
        fields.insert("adjust".to_owned(), Json::from_iter(read.reasons()));
    }
    fields
}
