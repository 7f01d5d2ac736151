//! The area of Nonin's serial formats, and of the oximeter that sends over Bluetooth what they do.

use runtime::evaluate::{Answer, Input, UnusableInput};
use serde_json::{Value as Json, json};

use super::json::{iso, optional};
use super::{ble_makers, rejected};
use crate::decode::nonin_packet::{Packet, Variant};
use crate::decode::{RefusedFrame, nonin_df8, nonin_df13};

pub(super) fn nonin(input: &Input) -> Result<Answer, UnusableInput> {
    let protocol = input.text("protocol")?;
    if protocol == "nonin-3230-ble" {
        return ble_makers::nonin_3230(input);
    }
    let octets = input.hex("hex")?;
    let read = match protocol {
        "nonin-df2" => nonin_packet(Variant::Df2, &octets),
        "nonin-df7" => nonin_packet(Variant::Df7, &octets),
        "nonin-df8-3" => nonin_df8(3, &octets),
        "nonin-df8-4" => nonin_df8(4, &octets),
        "nonin-df13" => nonin_df13(&octets),
        _ => return Err(UnusableInput::Value("protocol")),
    };
    Ok(read.map_or_else(rejected, Answer::fields))
}

fn nonin_packet(variant: Variant, octets: &[u8]) -> Result<Json, RefusedFrame> {
    let (chunks, []) = octets.as_chunks::<5>() else { return Err(RefusedFrame::Length) };
    let frames: Vec<_> = chunks.iter().map(|chunk| variant.frame(*chunk)).collect::<Result<_, _>>()?;
    let packet = Packet::of(&frames)?;
    let pulse = |rate: u16| optional(Some(rate).filter(|rate| *rate != 511), Json::from);
    let spo2 = |spo2: u8| optional(Some(spo2).filter(|spo2| *spo2 != 127), Json::from);
    Ok(json!({
        "pulse": pulse(packet.pulse),
        "spo2": spo2(packet.spo2),
        "pulse_display": pulse(packet.pulse_display),
        "spo2_display": spo2(packet.spo2_display),
        "artifact": packet.artefact(),
        "out_of_track": packet.out_of_track(),
        "sensor_alarm": packet.sensor_alarm(),
        "low_perfusion": packet.low_perfusion,
        "marginal_perfusion": packet.marginal_perfusion,
        "smartpoint": packet.smart_point(),
        "low_battery": packet.low_battery(),
    }))
}

/// A frame of that many octets: how many a board sends is told by the line, not by the frame.
fn nonin_df8(length: usize, octets: &[u8]) -> Result<Json, RefusedFrame> {
    if octets.len() != length {
        return Err(RefusedFrame::Length);
    }
    let frame = nonin_df8::Frame::of(octets)?;
    Ok(json!({
        "pulse": optional(Some(frame.pulse()).filter(|pulse| *pulse != 511), Json::from),
        "spo2": optional(Some(frame.spo2()).filter(|spo2| *spo2 != 127), Json::from),
        "out_of_track": frame.out_of_track(),
        "low_perfusion": frame.low_perfusion(),
        "marginal_perfusion": frame.marginal_perfusion(),
        "artifact": frame.artefact(),
        "smartpoint": frame.smart_point(),
        "sensor_alarm": frame.sensor_alarm(),
        "low_battery": frame.low_battery(),
    }))
}

fn nonin_df13(octets: &[u8]) -> Result<Json, RefusedFrame> {
    let frame = nonin_df13::Frame::of(octets)?;
    Ok(json!({
        "time": iso(frame.time),
        "pulse": optional(Some(frame.pulse).filter(|pulse| *pulse != 511), Json::from),
        "spo2": optional(Some(frame.spo2).filter(|spo2| *spo2 != 127), Json::from),
        "smartpoint": frame.smart_point(),
        "from_memory": frame.from_memory(),
        "no_measurement": frame.no_measurement(),
        "low_battery": frame.low_battery(),
    }))
}
