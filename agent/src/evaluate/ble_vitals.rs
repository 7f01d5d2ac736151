//! Areas of the Bluetooth profiles for vital signs.

use runtime::evaluate::{Answer, Input, UnusableInput};
use serde_json::{Value as Json, json};

use super::json::optional;
use super::rejected;
use crate::decode::ble::heart_rate::HeartRate;

pub(super) fn heart_rate(input: &Input) -> Result<Answer, UnusableInput> {
    if input.text("characteristic")? != "2A37" {
        return Err(UnusableInput::Value("characteristic"));
    }
    let value = input.hex("hex")?;
    Ok(match HeartRate::of(&value) {
        Err(why) => rejected(why),
        Ok(read) => Answer::fields(json!({
            "heart_rate": read.rate,
            "unit": "/min",
            "sensor_contact": read.contact,
            "energy_kj": read.energy_kj,
            "rr_1024": optional(read.rr_1024(), Json::from_iter),
        })),
    })
}
