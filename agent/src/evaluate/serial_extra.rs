//! Area `serial-extra`: A&D cuffs and scales, Beurer and LifeScan meters, Viatom.

use runtime::evaluate::{Answer, Input, UnusableInput};
use serde_json::{Value as Json, json};
use shared::units::{Decimal, Unit};

use super::json::{date_time, number, optional};
use super::{ble_makers, rejected};
use crate::decode::and_scale::Weight;
use crate::decode::and_ua767::Frame;
use crate::decode::beurer_bm65::Record;
use crate::decode::checksum;
use crate::decode::lifescan::Packet;

pub(super) fn extra(input: &Input) -> Result<Answer, UnusableInput> {
    let read = match input.text("protocol")? {
        // The line's end is none of the digits, as on a line.
        "and-ua767pc" => Frame::of(input.text("text")?.trim_ascii().as_bytes()).map(|frame| cuff(&frame)),
        "beurer-bm65" => Record::of(&input.hex("hex")?).map(|record| {
            json!({
                "systolic": record.systolic, "diastolic": record.diastolic, "pulse": record.pulse,
                "time": date_time(record.time),
            })
        }),
        "and-scale" => Weight::of(input.text("text")?.as_bytes()).map(scale),
        "lifescan-binary" => Packet::of(&input.hex("hex")?)
            .map(|packet| json!({ "link": packet.link, "message": shared::hex::encode(packet.message) })),
        "crc16-ccitt-false" => {
            let sum = checksum::crc16_ccitt_false(&input.hex("hex")?);
            return Ok(Answer::of("ok").with("crc", format!("0x{sum:04X}").into()));
        }
        "viatom-o2" | "viatom-o2-sensors" => return ble_makers::viatom(input),
        _ => return Err(UnusableInput::Value("protocol")),
    };
    Ok(read.map_or_else(rejected, Answer::fields))
}

fn cuff(frame: &Frame) -> Json {
    let good = |value: u16| frame.is_a_result().then_some(value);
    json!({
        "code": format!("{:02X}", frame.code),
        "systolic": good(frame.systolic()),
        "diastolic": good(frame.diastolic.into()),
        "pulse": good(frame.pulse.into()),
    })
}

fn scale(weight: Weight) -> Json {
    let (status, value) = match weight {
        Weight::Stable(value, unit) => ("stable", Some((value, unit))),
        Weight::Unstable(value, unit) => ("unstable", Some((value, unit))),
        Weight::Overload => ("overload", None),
    };
    json!({
        "status": status,
        "value": optional(value, |(value, _): (Decimal, Unit)| number(value)),
        // The vectors' words, as in the area of Bluetooth scales.
        "unit": value.map(|(_, unit)| if unit == Unit::Pound { "lb" } else { "kg" }),
    })
}
