//! Cases of makers' own services, which stand among those of serial lines.

use runtime::evaluate::{Answer, Input, UnusableInput};
use serde_json::json;
use shared::hex;
use shared::units::Decimal;

use super::json::number;
use super::rejected;
use crate::decode::ble::nonin_oximetry::NoninOximetry;
use crate::decode::ble::viatom::{Sensors, encode};

/// Protocol `nonin-3230-ble`.
///
/// # Errors
/// [`UnusableInput`]: a key is missing.
pub(super) fn nonin_3230(input: &Input) -> Result<Answer, UnusableInput> {
    let value = input.hex("hex")?;
    Ok(match NoninOximetry::of(&value) {
        Err(why) => rejected(why),
        Ok(read) => Answer::fields(json!({
            "weak_signal": read.weak_signal(),
            "smartpoint": read.smart_point(),
            "searching": read.searching(),
            "sensor_on": read.sensor_on(),
            "low_battery": read.low_battery(),
            "encrypted": read.encrypted(),
            "battery_volts": number(Decimal::new(i64::from(read.battery_decivolt), -1)),
            "pai": number(Decimal::new(i64::from(read.amplitude_percent100), -2)),
            "counter": read.counter,
            "spo2": read.spo2,
            "pulse": read.pulse,
        })),
    })
}

/// Protocols `viatom-o2` (a command to encode) and `viatom-o2-sensors` (a reply).
///
/// # Errors
/// [`UnusableInput`]: a key is missing, or has a value that is not known.
pub(super) fn viatom(input: &Input) -> Result<Answer, UnusableInput> {
    match input.text("protocol")? {
        "viatom-o2" => {
            let code = input.text("encode")?.split_once("0x").map(|(_, rest)| rest.trim_end_matches(')'));
            let command = code.and_then(|code| u8::from_str_radix(code, 16).ok());
            let command = command.ok_or(UnusableInput::Value("encode"))?;
            Ok(Answer::of("ok").with("hex", hex::encode(&encode(command)).into()))
        }
        "viatom-o2-sensors" => {
            let reply = input.hex("hex")?;
            Ok(match Sensors::of(&reply) {
                Err(why) => rejected(why),
                Ok(read) => Answer::fields(json!({
                    "spo2": read.spo2,
                    "pulse": read.pulse,
                    "battery": read.battery,
                    "charging": read.charging != 0,
                    "motion": read.motion,
                    "pi": number(Decimal::new(i64::from(read.perfusion_percent10), -1)),
                    "worn": read.worn,
                })),
            })
        }
        _ => Err(UnusableInput::Value("protocol")),
    }
}

#[cfg(test)]
mod tests {
    use runtime::evaluate::answer;

    use super::*;

    #[test]
    fn each_protocol_has_its_answer() {
        let case =
            |evaluate, input: serde_json::Value| answer(("makers", evaluate), &json!({ "input": input }).to_string());
        let nonin = case(nonin_3230, json!({ "hex": "0a141d0190002a610048" }));
        assert_eq!((&nonin["fields"]["spo2"], &nonin["fields"]["pulse"]), (&json!(97), &json!(72)));
        assert_eq!(case(nonin_3230, json!({ "hex": "0b141d0190002a610048" }))["outcome"], "rejected");
        let command = case(viatom, json!({ "protocol": "viatom-o2", "encode": "read sensors (0x17)" }));
        assert_eq!(command["hex"], "aa17e8000000001b");
        let off = "5500ff00000d00ffffff0000000060000500000043";
        let off = case(viatom, json!({ "protocol": "viatom-o2-sensors", "hex": off }));
        assert_eq!((&off["fields"]["battery"], &off["fields"]["worn"]), (&json!(96), &json!(false)));
    }
}
