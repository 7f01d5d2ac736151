//! A serial device's part of the configuration.

use std::time::Duration;

use serde::Deserialize;

use super::{Found, RawDevice, parse, refuse};
use crate::decode::Protocol;
use crate::devices::models::Model;
use crate::devices::port::{PortName, UsbId, UsbName};
use crate::devices::{DataBits, LineSettings, Parity, SerialConfig};
use crate::limits::{MEASURE_EVERY_MAX, MEASURE_EVERY_MIN};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUsb {
    vendor: String,
    product: String,
    serial: Option<String>,
}

/// The keys that mean nothing for another source, and whether they are given.
pub(super) fn fields(raw: &RawDevice) -> [(&'static str, bool); 9] {
    [
        ("by_id", raw.by_id.is_some()),
        ("usb", raw.usb.is_some()),
        ("model", raw.model.is_some()),
        ("baud", raw.baud.is_some()),
        ("parity", raw.parity.is_some()),
        ("data_bits", raw.data_bits.is_some()),
        ("select_format", raw.select_format.is_some()),
        ("set_clock", raw.set_clock.is_some()),
        ("measure_every_s", raw.measure_every_s.is_some()),
    ]
}

pub(super) fn read(raw: &RawDevice, found: &mut Found) -> Option<SerialConfig> {
    let others = [("speed", raw.speed.is_some()), ("loop", raw.repeat.is_some()), ("columns", raw.columns.is_some())];
    refuse(found, &others, "serial");
    let (port, lines) = (port(raw, found), lines(raw, found));
    let lines = lines?;
    let (first, others) = lines.split_first()?;
    let mut serial = SerialConfig::with(port?, *first, others);
    talk(raw, &mut serial, found);
    Some(serial)
}

/// Which port: named in exactly one way.
fn port(raw: &RawDevice, found: &mut Found) -> Option<PortName> {
    match (&raw.path, &raw.by_id, &raw.usb) {
        (Some(path), None, None) if path.as_os_str().is_empty() => {
            found.push(("path", "is empty; give a path".into()));
            None
        }
        (Some(path), None, None) => Some(PortName::Path(path.clone())),
        (None, Some(_), None) => parse("by_id", raw.by_id.as_ref(), found).map(PortName::ById),
        (None, None, Some(usb)) => {
            let vendor: Option<UsbId> = parse("usb.vendor", Some(&usb.vendor), found);
            let product: Option<UsbId> = parse("usb.product", Some(&usb.product), found);
            Some(PortName::Usb(UsbName { vendor: vendor?, product: product?, serial: usb.serial.clone() }))
        }
        (None, None, None) => {
            found.push(("path", "is missing: name the port by one of path, by_id and usb".into()));
            None
        }
        _ => {
            found.push(("path", "the port is named more than once: give one of path, by_id and usb".into()));
            None
        }
    }
}

/// What may be spoken and how: as the model has it, but for what is given besides.
fn lines(raw: &RawDevice, found: &mut Found) -> Option<Vec<LineSettings>> {
    let model: Option<Model> = parse("model", raw.model.as_ref(), found);
    let protocol: Option<Protocol> = parse("protocol", raw.protocol.as_ref(), found);
    let baud = raw.baud.filter(|baud| {
        let is_speed = (1_200..=921_600).contains(baud);
        if !is_speed {
            found.push(("baud", "is from 1200 to 921600".into()));
        }
        is_speed
    });
    let parity: Option<Parity> = parse("parity", raw.parity.as_ref(), found);
    let data_bits = raw
        .data_bits
        .and_then(|bits| DataBits::try_from(bits).map_err(|error| found.push(("data_bits", error.to_string()))).ok());
    let known: Vec<LineSettings> = model
        .into_iter()
        .flat_map(|model| std::iter::once(model.first()).chain(model.others().iter().copied()))
        .collect();
    let mut lines: Vec<LineSettings> = match protocol {
        None => known,
        Some(protocol) => known.into_iter().filter(|line| line.protocol == protocol).collect(),
    };
    match protocol {
        Some(_) if lines.is_empty() && model.is_some() => {
            found.push(("protocol", format!("this model does not speak it: it speaks {}", spoken(model))));
            return None;
        }
        Some(protocol) if lines.is_empty() => lines.push(LineSettings::of(protocol)),
        None if raw.model.is_none() && raw.protocol.is_none() => {
            found.push(("protocol", "is missing: give a protocol or a model".into()));
        }
        _ => {}
    }
    for line in &mut lines {
        line.baud = baud.unwrap_or(line.baud);
        line.parity = parity.unwrap_or(line.parity);
        line.data_bits = data_bits.unwrap_or(line.data_bits);
    }
    Some(lines)
}

/// The names of what a model speaks, each once.
fn spoken(model: Option<Model>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for line in model.into_iter().flat_map(|model| std::iter::once(model.first()).chain(model.others().iter().copied()))
    {
        if !names.contains(&line.protocol.name()) {
            names.push(line.protocol.name());
        }
    }
    names.join(", ")
}

/// What is said to the device, where it can be said to it.
fn talk(raw: &RawDevice, serial: &mut SerialConfig, found: &mut Found) {
    let speaks = |is: fn(Protocol) -> bool| serial.lines().iter().any(|line| is(line.protocol));
    let (is_nonin, is_suntech) =
        (speaks(|protocol| protocol.nonin_format().is_some()), speaks(|protocol| protocol == Protocol::SuntechNibp));
    let mut refuse = |key, is_given: bool, is_right: bool, whose: &str| {
        if is_given && !is_right {
            found.push((key, format!("means nothing to this device: it is for {whose}")));
        }
    };
    refuse("select_format", raw.select_format.is_some(), is_nonin, "Nonin's");
    refuse("set_clock", raw.set_clock.is_some(), is_nonin, "Nonin's");
    refuse("measure_every_s", raw.measure_every_s.is_some(), is_suntech, "SunTech's");
    let mut formats = serial.lines().iter().map(|line| line.protocol);
    let first = formats.next();
    if raw.select_format == Some(true) && is_nonin && formats.any(|format| Some(format) != first) {
        // The one that is tried would be the one it is told to speak.
        found.push((
            "select_format",
            "this model has several formats: give the one that it shall speak as protocol".into(),
        ));
    }
    serial.talk.select_format = raw.select_format.unwrap_or(false);
    serial.talk.set_clock = raw.set_clock.unwrap_or(false);
    serial.talk.measure_every = raw.measure_every_s.map(Duration::from_secs);
    if serial.talk.measure_every.is_some_and(|every| !(MEASURE_EVERY_MIN..=MEASURE_EVERY_MAX).contains(&every)) {
        let (shortest, longest) = (MEASURE_EVERY_MIN.as_secs(), MEASURE_EVERY_MAX.as_secs());
        found.push(("measure_every_s", format!("is from {shortest} to {longest} seconds")));
    }
}

#[cfg(test)]
#[path = "serial_tests.rs"]
mod tests;
