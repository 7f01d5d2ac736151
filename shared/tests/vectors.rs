//! The public test vectors that lie beside the repository, where they do: `RPM_DATA`, or `../shared`.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use shared::metric::Metric;
use shared::nhs_number::{NhsNumber, NhsNumberRange};
use shared::plausibility::{Usability, pressures_fit, usability};
use shared::reading::{Quality, Reading};
use shared::units::{Decimal, Unit};

/// The entries of a file of vectors; `None`, said aloud, where there is no folder of data. In CI that is a failure.
fn entries(file: &str) -> Option<Vec<Json>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("RPM_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join("vectors").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(std::env::var_os("CI").is_none(), "{}: the vectors are missing", path.display());
        // Not by `eprintln!`, which the test runner keeps to itself as long as the test passes.
        let place = path.display();
        let line = format!("skipped: no test vectors at {place}; set RPM_DATA to the folder that has them\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    };
    let file: Json = serde_json::from_str(&text).unwrap();
    let entries = file["entries"].as_array().unwrap().clone();
    assert_eq!(Some(entries.len() as u64), file["count"].as_u64());
    Some(entries)
}

#[test]
fn nhs_numbers() {
    for entry in entries("nhs-number.json").unwrap_or_default() {
        let (id, expected) = (&entry["id"], &entry["expected"]);
        let number = entry["input"]["text"].as_str().unwrap().parse::<NhsNumber>();
        match number {
            Ok(number) => {
                assert_eq!(expected["outcome"], "ok", "{id}");
                assert_eq!(expected["normalised"], number.reveal(), "{id}");
                assert_eq!(expected["range"], name_of(number.range()), "{id}");
            }
            Err(_) => assert_eq!(expected["outcome"], "rejected", "{id}"),
        }
    }
}

fn name_of(range: NhsNumberRange) -> &'static str {
    match range {
        NhsNumberRange::EnglandWalesIsleOfMan => "england-wales-iom",
        NhsNumberRange::NorthernIreland => "northern-ireland",
        NhsNumberRange::Scotland => "scotland",
        NhsNumberRange::Ireland => "ireland",
        NhsNumberRange::TestSynthetic => "test-synthetic",
        NhsNumberRange::Unallocated => "unallocated",
    }
}

#[test]
fn plausibility() {
    for entry in entries("plausibility.json").unwrap_or_default() {
        let (id, input) = (&entry["id"], &entry["input"]);
        let unit = Unit::from_ucum(input["unit"].as_str().unwrap()).unwrap();
        let plausible = if let Some(name) = input["parameter"].as_str() {
            let reading = Reading::value(metric(name), decimal(&input["value"]), unit, Quality::GOOD);
            matches!(usability(&reading), Usability::Valid { unlikely: false })
        } else {
            pressures_fit(decimal(&input["systolic"]), decimal(&input["diastolic"]), unit)
        };
        let outcome = if plausible { "plausible" } else { "implausible" };
        assert_eq!(entry["expected"]["outcome"], outcome, "{id}");
    }
}

fn decimal(number: &Json) -> Decimal {
    number.to_string().parse().unwrap()
}

fn metric(name: &str) -> Metric {
    match name {
        "heart_rate" => Metric::HeartRate,
        "resp_rate" => Metric::RespiratoryRate,
        "temperature" => Metric::Temperature,
        "systolic" => Metric::SystolicPressure,
        "diastolic" => Metric::DiastolicPressure,
        "glucose" => Metric::Glucose,
        "spo2" => Metric::SpO2,
        "weight" => Metric::Weight,
        _ => panic!("{name}: a parameter this test does not know"),
    }
}
