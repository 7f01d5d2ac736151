//! Area `serial-suntech`: a cuff on a serial line.

use runtime::evaluate::{Answer, Input, UnusableInput};
use serde_json::{Value as Json, json};
use shared::hex;

use super::rejected;
use crate::decode::RefusedFrame;
use crate::decode::suntech::{self, Command};

fn answer(read: Result<Json, RefusedFrame>) -> Answer {
    read.map_or_else(rejected, Answer::fields)
}

pub(super) fn suntech(input: &Input) -> Result<Answer, UnusableInput> {
    match input.text("protocol")? {
        "suntech-nibp-host" => {
            let command = match input.text("encode")? {
                "get cuff pressure" => Command::CuffPressure,
                "get BP data" => Command::Result,
                "start BP" | "start" => Command::Start,
                "control pneumatics, all closed" => Command::CloseValves,
                _ => return Err(UnusableInput::Value("encode")),
            };
            Ok(Answer::of("ok").with("hex", hex::encode(command.octets()).into()))
        }
        "suntech-nibp" => Ok(answer(suntech::Packet::of(&input.hex("hex")?).map(suntech_fields))),
        _ => Err(UnusableInput::Value("protocol")),
    }
}

fn suntech_fields(packet: suntech::Packet) -> Json {
    match packet {
        suntech::Packet::CuffPressure(mmhg) => json!({ "kind": "cuff-pressure", "mmhg": mmhg }),
        suntech::Packet::Answer(code) => json!({ "kind": "answer", "code": code }),
        suntech::Packet::Other => json!({ "kind": "other" }),
        suntech::Packet::Result(result) => {
            let good = |value: u16| if result.error == 0 { json!(value) } else { Json::Null };
            json!({
                "kind": "bp-data",
                "systolic": good(result.systolic),
                "diastolic": good(result.diastolic),
                "map": good(result.mean),
                "pulse": good(result.pulse.into()),
                "beats": result.beats,
                "bp_status": result.status,
                "error": result.error,
            })
        }
    }
}
