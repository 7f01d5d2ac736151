//! Every kind of device: what was measured is what the agent's decoders read.

use agent::decode::ble::viatom::{self, Reassembly};
use agent::decode::ble::{Characteristic, Values};
use agent::decode::quirks::Quirks;
use mockbluez::Client;
use serde_json::{Value, json};
use shared::metric::Metric;
use shared::reading::Outcome;
use shared::units::Decimal;

use super::rig::Rig;

const VIATOM_COMMAND: &str = "8B00ACE7-EB0B-49B0-BBE9-9AEE0A26E1A3";

/// A kind of device and one measurement of it.
struct Case {
    kind: &'static str,
    options: Value,
    /// Given before it is subscribed, or `Null` where values come by themselves.
    measured: Value,
    /// Read first, as the agent does.
    read: &'static [&'static str],
    /// Where the values come.
    subscribed: Characteristic,
    /// How many notifications make the measurement.
    notifications: usize,
    expected: &'static [(Metric, i64, i8)],
}

impl Case {
    const fn new(kind: &'static str, subscribed: Characteristic, expected: &'static [(Metric, i64, i8)]) -> Self {
        Self { kind, options: Value::Null, measured: Value::Null, read: &[], subscribed, notifications: 1, expected }
    }
}

fn profiles() -> Vec<Case> {
    vec![
        Case {
            options: json!({ "values": { "rate": 72, "rr": [819, 808] } }),
            ..Case::new("heart_rate", Characteristic::HeartRate, &[(Metric::HeartRate, 72, 0)])
        },
        Case {
            measured: json!({ "celsius": 38.4 }),
            ..Case::new("thermometer", Characteristic::Temperature, &[(Metric::Temperature, 384, -1)])
        },
        Case {
            measured: json!({ "systolic": 151, "diastolic": 94, "mean": 113, "pulse": 81 }),
            ..Case::new(
                "blood_pressure",
                Characteristic::BloodPressure,
                &[
                    (Metric::SystolicPressure, 151, 0),
                    (Metric::DiastolicPressure, 94, 0),
                    (Metric::MeanPressure, 113, 0),
                    (Metric::PulseRate, 81, 0),
                ],
            )
        },
        Case {
            measured: json!({ "spo2": 91, "pulse": 104 }),
            ..Case::new(
                "pulse_oximeter",
                Characteristic::PlxSpot,
                &[(Metric::SpO2, 91, 0), (Metric::PulseRate, 104, 0)],
            )
        },
        Case {
            options: json!({ "values": { "spo2": 94, "pulse": 66 } }),
            ..Case::new(
                "pulse_oximeter",
                Characteristic::PlxContinuous,
                &[(Metric::SpO2, 94, 0), (Metric::PulseRate, 66, 0)],
            )
        },
        Case {
            options: json!({ "crc": true, "values": { "mg_per_dl": 123 } }),
            read: &["2aa8", "2aaa"],
            ..Case::new("continuous_glucose", Characteristic::Cgm, &[(Metric::InterstitialGlucose, 123, 0)])
        },
        Case {
            measured: json!({ "kg": 81.76 }),
            ..Case::new("weight", Characteristic::Weight, &[(Metric::Weight, 8176, -2)])
        },
    ]
}

fn more_profiles() -> Vec<Case> {
    vec![
        Case {
            measured: json!({ "fat": 19.4, "kg": 79.96, "ohm": 501.2, "packets": 2 }),
            notifications: 2,
            ..Case::new(
                "body_composition",
                Characteristic::BodyComposition,
                &[(Metric::BodyFat, 194, -1), (Metric::Weight, 7996, -2), (Metric::Impedance, 5012, -1)],
            )
        },
        Case {
            options: json!({ "values": { "spo2": 88, "pulse": 131 } }),
            ..Case::new("nonin", Characteristic::NoninOximetry, &[(Metric::SpO2, 88, 0), (Metric::PulseRate, 131, 0)])
        },
        Case {
            options: json!({ "values": { "spo2": 95, "pulse": 180 } }),
            ..Case::new("berry", Characteristic::Berry, &[(Metric::SpO2, 95, 0), (Metric::PulseRate, 180, 0)])
        },
        Case {
            options: json!({ "values": { "spo2": 99, "pulse": 58, "perfusion": 6.8 } }),
            ..Case::new(
                "jumper",
                Characteristic::Jumper,
                &[(Metric::SpO2, 99, 0), (Metric::PulseRate, 58, 0), (Metric::PerfusionIndex, 68, -1)],
            )
        },
        Case {
            measured: json!({ "spo2": 97, "pulse": 301, "perfusion": 12 }),
            ..Case::new(
                "viatom",
                Characteristic::Viatom,
                &[(Metric::SpO2, 97, 0), (Metric::PulseRate, 301, 0), (Metric::PerfusionIndex, 12, -1)],
            )
        },
    ]
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn every_profile_of_the_sig_arrives_as_it_was_measured() {
    all_arrive(profiles());
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn every_makers_service_and_a_measurement_in_two_packets_arrive_as_measured() {
    all_arrive(more_profiles());
}

fn all_arrive(cases: Vec<Case>) {
    let mut rig = Rig::fresh();
    let mut client = rig.client();
    client.scan().unwrap();
    for case in cases {
        let address = add(&mut rig, &case);
        let device = client.find(&address).unwrap();
        client.connect_device(&device).unwrap();
        let found = measured(&mut client, &device, &case);
        for (metric, mantissa, exponent) in case.expected {
            let wanted = Decimal::new(*mantissa, *exponent);
            assert!(found.contains(&(*metric, wanted)), "{}: {metric:?} {wanted} is not in {found:?}", case.kind);
        }
        assert_eq!(client.read(&device, 0x2A19).unwrap(), [87], "{}: the battery", case.kind);
        assert_eq!(client.read(&device, 0x2A24).unwrap(), case.kind.as_bytes(), "{}: the model", case.kind);
        rig.tell("one", "remove");
        client.remove_device(&device).unwrap();
    }
}

fn add(rig: &mut Rig, case: &Case) -> String {
    let mut options = if case.options.is_null() { json!({}) } else { case.options.clone() };
    let values = options.as_object_mut().expect("an object").remove("values");
    // Each at an address of its own, so that nothing BlueZ remembers of the last is taken for this one.
    let address = rig.add("one", case.kind, options);
    if let Some(values) = values {
        rig.sim(&json!({ "cmd": "change", "name": "one", "values": values }));
    }
    if !case.measured.is_null() {
        rig.sim(&json!({ "cmd": "measure", "name": "one", "value": case.measured }));
    }
    address
}

/// The numbers that the agent's decoders find in what arrives.
fn measured(client: &mut Client, device: &str, case: &Case) -> Vec<(Metric, Decimal)> {
    let mut values = Values::new(Quirks::default());
    let mut found = Vec::new();
    let mut read = |characteristic: Characteristic, octets: &[u8]| {
        let mut keep = |report: agent::decode::Report| {
            found.extend(report.readings.iter().filter_map(|reading| match reading.outcome {
                Outcome::Value(value) => Some((reading.metric, value.decimal)),
                Outcome::None(_) => None,
            }));
        };
        values.read(characteristic, octets, &mut keep).expect(case.kind);
    };
    for uuid in case.read {
        let octets = client.read(device, short(uuid)).unwrap();
        read(uuid.parse().unwrap(), &octets);
    }
    let uuid = full(case.subscribed);
    client.subscribe(device, &uuid).unwrap();
    if case.subscribed == Characteristic::Viatom {
        client.write(device, VIATOM_COMMAND, &viatom::encode(viatom::READ_SENSORS)).unwrap();
        let mut reply = Reassembly::default();
        let whole = (0..4).find_map(|_| reply.take(&client.next_value(device, &uuid).unwrap()).unwrap());
        read(case.subscribed, &whole.expect("a reply in four pieces at most"));
        return found;
    }
    for _ in 0..case.notifications {
        read(case.subscribed, &client.next_value(device, &uuid).unwrap());
    }
    found
}

fn short(uuid: &str) -> u16 {
    u16::from_str_radix(uuid, 16).expect("an assigned number")
}

fn full(characteristic: Characteristic) -> mockbluez::Uuid {
    match characteristic.uuid() {
        number if number.len() == 4 => short(number).into(),
        whole => whole.into(),
    }
}
