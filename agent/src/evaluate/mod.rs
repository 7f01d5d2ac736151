//! The areas of the port for independent verification (`runtime::evaluate`): each calls the decoders the agent runs. Beside the
//! fields of a frame stands what the product would store of it (`readings`).

mod basics;
mod ble_body;
mod ble_makers;
mod ble_vitals;
mod json;
mod readings;
mod serial_cuffs;
mod serial_extra;
mod serial_nonin;
mod serial_oximeters;

use runtime::evaluate::{Answer, Area, Input, UnusableInput};

use crate::decode::RefusedFrame;
use crate::decode::quirks::{Identity, Quirks};

/// The areas, by name.
pub const AREAS: &[Area] = &[
    ("ble-blood-pressure", |input| readings::beside_value(input, ble_vitals::blood_pressure)),
    ("ble-cgm", |input| readings::beside_value(input, ble_body::cgm)),
    ("ble-glucose", |input| readings::beside_value(input, ble_body::glucose)),
    ("ble-heart-rate", |input| readings::beside_value(input, ble_vitals::heart_rate)),
    ("ble-misc", |input| readings::beside_value(input, ble_vitals::misc)),
    ("ble-pulse-oximeter", |input| readings::beside_value(input, ble_vitals::pulse_oximeter)),
    ("ble-thermometer", |input| readings::beside_value(input, ble_vitals::thermometer)),
    ("ble-weight-bodycomp", |input| readings::beside_value(input, ble_body::weight_and_body_composition)),
    ("crc", basics::crc),
    ("datetime", basics::date_time),
    ("medfloat", basics::medfloat),
    ("serial-bci-cms50", |input| readings::beside_line(input, serial_oximeters::bci_cms50)),
    ("serial-extra", |input| readings::beside_line(input, serial_extra::extra)),
    ("serial-masimo", |input| readings::beside_line(input, serial_oximeters::masimo)),
    ("serial-nonin", |input| readings::beside_line(input, serial_nonin::nonin)),
    ("serial-suntech", |input| readings::beside_line(input, serial_cuffs::suntech)),
];

/// What is known of the model that a case names; without one a device is taken at its standard's word.
fn quirks(input: &Input) -> Result<Quirks, UnusableInput> {
    Ok(if input.has("model") { Quirks::of(&Identity::named(input.text("model")?)) } else { Quirks::NONE })
}

/// A frame that is refused, with the reason.
fn rejected(why: RefusedFrame) -> Answer {
    Answer::of("rejected").with("reason", why.explained().into())
}
