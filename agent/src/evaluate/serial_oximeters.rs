//! Areas of the serial oximeters but Nonin's.

use runtime::evaluate::{Answer, Input, UnusableInput};
use serde_json::{Value as Json, json};

use super::json::{self, optional};
use super::rejected;
use crate::decode::cms50_package::{Live, Package};
use crate::decode::masimo::{LINE_BYTES_MAX, Record};
use crate::decode::{RefusedFrame, bci};

pub(super) fn bci_cms50(input: &Input) -> Result<Answer, UnusableInput> {
    let protocol = input.text("protocol")?;
    let octets = input.hex("hex")?;
    let read = match protocol {
        "bci-5" => bci::Frame::of(&octets).map(|frame| {
            json!({
                "pulse": frame.pulse(),
                "spo2": frame.spo2(),
                "bar": frame.bar(),
                "signal": frame.strength(),
                "searching": frame.searching(),
                "probe_error": frame.probe_error(),
                "bit5": frame.bit5(),
                "bit4_no_signal": frame.bit4(),
                "beep": frame.beep(),
                "pleth": frame.pleth(),
            })
        }),
        "cms50-v7" => Live::of(&octets).map(|live| {
            json!({
                "signal": live.strength(),
                "pleth": live.pleth(),
                "bar": live.bar(),
                "pi_valid": live.perfusion_valid(),
                "pulse": live.pulse(),
                "spo2": live.spo2(),
                "pi_raw": live.perfusion(),
                "searching": live.searching(),
                "searching_too_long": live.searching_too_long(),
                "probe_error": live.probe_error(),
                "low_spo2": live.falling(),
                "beep": live.beep(),
            })
        }),
        "cms50-v7-unpack" => Package::of(&octets)
            .map(|package| json!({ "type": package.kind, "payload": shared::hex::encode(&package.payload) })),
        _ => return Err(UnusableInput::Value("protocol")),
    };
    Ok(read.map_or_else(rejected, Answer::fields))
}

pub(super) fn masimo(input: &Input) -> Result<Answer, UnusableInput> {
    if input.text("protocol")? != "masimo-ascii1" {
        return Err(UnusableInput::Value("protocol"));
    }
    // Of several lines the first, as a line of them is read; `readings` has those of all.
    let lines = input.text("text")?.split(['\r', '\n']).filter(|line| !line.trim_ascii().is_empty());
    let line = lines.map(str::as_bytes).next().unwrap_or_default();
    let read = if line.len() > LINE_BYTES_MAX { Err(RefusedFrame::Length) } else { Record::of(line) };
    let read = read.map(|record| {
        json!({
            "time": optional(record.time, json::iso),
            "serial": record.serial,
            "spo2": record.spo2,
            "pulse": record.pulse,
            "pi": optional(record.perfusion.flatten(), json::number),
            "exceptions": Json::from_iter(record.exceptions.names()),
            "alarm_raw": record.alarm,
        })
    });
    Ok(read.map_or_else(rejected, Answer::fields))
}
