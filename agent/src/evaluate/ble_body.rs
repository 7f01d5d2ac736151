//! Areas of the Bluetooth profiles for glucose, weight and body composition.

use runtime::evaluate::{Answer, Input, UnusableInput};
use serde_json::{Value as Json, json};

use super::json::{date_time, decimal, float, optional};
use super::{quirks, rejected};
use crate::decode::RefusedFrame;
use crate::decode::ble::body_composition::BodyComposition;
use crate::decode::ble::cgm::{Cgm, CgmRecords, E2eCrc};
use crate::decode::ble::cgm_session::{Feature, SessionStart};
use crate::decode::ble::glucose::Glucose;
use crate::decode::ble::glucose_context::GlucoseContext;
use crate::decode::ble::record_access;
use crate::decode::ble::weight::{Field, Weight};
use crate::decode::medfloat::Medfloat;

const UNKNOWN: UnusableInput = UnusableInput::Value("characteristic");

/// The fields of a value, or that it is refused.
fn answer<T>(read: Result<T, RefusedFrame>, fields: impl FnOnce(T) -> Json) -> Answer {
    match read {
        Ok(read) => Answer::fields(fields(read)),
        Err(why) => rejected(why),
    }
}

pub(super) fn glucose(input: &Input) -> Result<Answer, UnusableInput> {
    let value = input.hex("hex")?;
    Ok(match input.text("characteristic")? {
        "2A18" => answer(Glucose::of(&value), measurement),
        "2A34" => answer(GlucoseContext::of(&value), context),
        "2A52" => answer(record_access::Answer::of(&value), |read| match read {
            record_access::Answer::Count(count) => json!({ "op": "number-of-records", "count": count }),
            record_access::Answer::Ended { request, code } => {
                json!({ "op": "response", "request": request, "code": code })
            }
        }),
        _ => return Err(UNKNOWN),
    })
}

fn measurement(read: Glucose) -> Json {
    let concentration = read.concentration;
    json!({
        "sequence": read.sequence,
        "base_time": optional(read.base_time, date_time),
        "time_offset_min": read.offset_minutes,
        "concentration": optional(concentration, |it| float(it.value)),
        "unit": concentration.map(|it| it.unit()),
        "type": concentration.and_then(|it| it.sample()),
        "location": concentration.and_then(|it| it.site()),
        "status": optional(read.status, |status| Json::from_iter(status.names())),
        "context_follows": read.context_follows,
    })
}

fn context(read: GlucoseContext) -> Json {
    let of_kind = |(kind, much): (u8, Medfloat)| json!({ "kind": kind, "quantity": float(much) });
    json!({
        "sequence": read.sequence,
        "carbohydrate": optional(read.carbohydrate, of_kind),
        "meal": read.meal,
        "tester": read.tester,
        "health": read.health,
        "exercise": optional(read.exercise, |(seconds, percent)| json!({ "seconds": seconds, "percent": percent })),
        "medication": optional(read.medication, of_kind),
        "medication_unit": read.medication.map(|_| if read.medication_in_litres { "L" } else { "kg" }),
        "hba1c": optional(read.hba1c, float),
    })
}

pub(super) fn cgm(input: &Input) -> Result<Answer, UnusableInput> {
    let value = input.hex("hex")?;
    let characteristic = input.text("characteristic")?;
    if characteristic == "2AA8" {
        return Ok(answer(
            Feature::of(&value),
            |read| json!({ "flags": read.flags, "e2e_crc": read.crc() == E2eCrc::Sent, "type": read.sample, "location": read.site }),
        ));
    }
    let crc = if input.flag("e2e_crc")? { E2eCrc::Sent } else { E2eCrc::NotSent };
    Ok(match characteristic {
        "2AA7" => answer(CgmRecords::of(&value, crc), |records| records.iter().map(cgm_record).collect()),
        "2AAA" => answer(SessionStart::of(&value, crc), |read| {
            let mut fields = date_time(read.time);
            if let Json::Object(fields) = &mut fields {
                fields.insert("tz_quarter_hours".to_owned(), read.zone_quarter_hours.into());
                fields.insert("dst".to_owned(), read.daylight_saving().into());
            }
            fields
        }),
        _ => return Err(UNKNOWN),
    })
}

fn cgm_record(record: Cgm<'_>) -> Json {
    json!({
        "glucose": float(record.glucose),
        "unit": "mg/dL",
        "time_offset_min": record.offset_minutes,
        "status": optional(record.status, |octet| Json::from_iter(octet.names())),
        "cal_temp": optional(record.calibration, |octet| Json::from_iter(octet.names())),
        "warning": optional(record.warning, |octet| Json::from_iter(octet.names())),
        "trend": optional(record.trend, float),
        "quality": optional(record.quality, float),
    })
}

pub(super) fn weight_and_body_composition(input: &Input) -> Result<Answer, UnusableInput> {
    let (value, quirks) = (input.hex("hex")?, quirks(input)?);
    Ok(match input.text("characteristic")? {
        "2A9D" | "2A9C" if quirks.mass_steps_unknown => rejected(RefusedFrame::ModelQuirk),
        "2A9D" => answer(Weight::of(&value, quirks), weight),
        "2A9C" => answer(BodyComposition::of(&value, quirks), body_composition),
        _ => return Err(UNKNOWN),
    })
}

/// The vectors' words for the units of a scale.
const fn system(imperial: bool) -> (&'static str, &'static str) {
    if imperial { ("lb", "in") } else { ("kg", "m") }
}

fn number(field: Field) -> Json {
    optional(field.value.ok(), decimal)
}

fn weight(read: Weight) -> Json {
    let (mass_unit, height_unit) = system(read.steps.is_imperial());
    json!({
        "weight": number(read.weight),
        "unit": mass_unit,
        "unsuccessful": read.weight.value.is_err(),
        "timestamp": optional(read.time, date_time),
        "user_id": read.report().slot,
        "user_unknown": read.user.is_some() && read.report().slot.is_none(),
        "bmi": optional(read.index_and_height, |(index, _)| number(index)),
        "height": optional(read.index_and_height, |(_, height)| number(height)),
        "height_unit": read.index_and_height.map(|_| height_unit),
    })
}

fn body_composition(read: BodyComposition) -> Json {
    let (mass_unit, height_unit) = system(read.steps.is_imperial());
    json!({
        "body_fat_pct": number(read.fat),
        "unsuccessful": read.fat.value.is_err(),
        "mass_unit": mass_unit,
        "timestamp": optional(read.time, date_time),
        "user_id": read.report().slot,
        "basal_metabolism_kj": read.metabolism_kj,
        "muscle_pct": optional(read.muscle_share, number),
        "muscle_mass": optional(read.muscle_mass, number),
        "fat_free_mass": optional(read.fat_free_mass, number),
        "soft_lean_mass": optional(read.soft_lean_mass, number),
        "body_water_mass": optional(read.water, number),
        "impedance_ohm": optional(read.impedance, number),
        "weight": optional(read.weight, number),
        "height": optional(read.height, number),
        "height_unit": read.height.map(|_| height_unit),
        "multiple_packet": read.several_packets,
    })
}
