//! The areas of the port for independent verification (`runtime::evaluate`): each calls the decoders the agent runs.

mod basics;
mod ble_body;
mod ble_makers;
mod ble_vitals;
mod json;
mod serial_cuffs;
mod serial_extra;
mod serial_nonin;
mod serial_oximeters;

use runtime::evaluate::{Answer, Area};

use crate::decode::RefusedFrame;

/// The areas, by name.
pub const AREAS: &[Area] = &[
    ("ble-blood-pressure", ble_vitals::blood_pressure),
    ("ble-cgm", ble_body::cgm),
    ("ble-glucose", ble_body::glucose),
    ("ble-heart-rate", ble_vitals::heart_rate),
    ("ble-misc", ble_vitals::misc),
    ("ble-pulse-oximeter", ble_vitals::pulse_oximeter),
    ("ble-thermometer", ble_vitals::thermometer),
    ("ble-weight-bodycomp", ble_body::weight_and_body_composition),
    ("crc", basics::crc),
    ("datetime", basics::date_time),
    ("medfloat", basics::medfloat),
    ("serial-bci-cms50", serial_oximeters::bci_cms50),
    ("serial-extra", serial_extra::extra),
    ("serial-masimo", serial_oximeters::masimo),
    ("serial-nonin", serial_nonin::nonin),
    ("serial-suntech", serial_cuffs::suntech),
];

/// A frame that is refused, with the reason.
fn rejected(why: RefusedFrame) -> Answer {
    Answer::of("rejected").with("reason", why.explained().into())
}
