//! Frames of real devices whose truth their source gives: each is decoded to that truth, by its model's quirk where it has
//! one, or refused with the reason. A frame this test does not know fails it.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, clippy::tests_outside_test_module)]

use std::io::Write;
use std::path::{Path, PathBuf};

use agent::decode::ble::mi_scale::{MiScale, SERVICE_BODY, SERVICE_WEIGHT};
use agent::decode::ble::omron::{Layout, OmronRecord};
use agent::decode::ble::polar::PolarAdvertisement;
use agent::decode::ble::sanitas::{SanitasWeight, SettlingWeight};
use agent::decode::ble::{Characteristic, Values};
use agent::decode::nonin_packet::Variant;
use agent::decode::quirks::{Identity, Quirks};
use agent::decode::{Protocol, RefusedFrame, Report, StreamDecoder};
use serde_json::Value as Json;
use shared::hex;
use shared::metric::Metric;
use shared::observation::{Captured, DeviceTime};
use shared::reading::{NoReading, Outcome};
use shared::time::{ClockState, Tick, Timestamp};

/// The frames of a file; `None`, said aloud, where there is no folder of data. In CI that is a failure.
fn frames(file: &str) -> Option<Vec<Json>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("RPM_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join("data/frames").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(std::env::var_os("CI").is_none(), "{}: the frames are missing", path.display());
        let line = format!("skipped: no frames at {}; set RPM_DATA to the folder that has them\n", path.display());
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    };
    Some(text.lines().map(|line| line.parse().unwrap()).collect())
}

/// Values of a report, in the order of `metrics`: digits, the name of an absence, or nothing.
fn told(report: &Report, metrics: &[Metric]) -> Vec<String> {
    let of = |metric: &Metric| report.readings.iter().find(|reading| reading.metric == *metric);
    let text = |metric: &Metric| match of(metric).map(|reading| reading.outcome) {
        None => "-".to_owned(),
        Some(Outcome::Value(value)) => value.decimal.to_string(),
        Some(Outcome::None(why)) => why.name().to_owned(),
    };
    metrics.iter().map(text).collect()
}

/// One value of a characteristic of a device of this name.
fn value(characteristic: Characteristic, device: &str, bytes: &[u8]) -> Result<Report, RefusedFrame> {
    let mut found = None;
    Values::new(Quirks::of(&Identity::named(device)))
        .read(characteristic, bytes, &mut |report| found = Some(report))?;
    Ok(found.unwrap())
}

fn time(report: &Report) -> String {
    let DeviceTime { year, month, day, hour, minute, second } = report.device_time.unwrap();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

const CUFF: [Metric; 4] =
    [Metric::SystolicPressure, Metric::DiastolicPressure, Metric::MeanPressure, Metric::PulseRate];

fn cuff(device: &str, bytes: &[u8]) -> Result<(Vec<String>, Option<u8>, String), RefusedFrame> {
    let report = value(Characteristic::BloodPressure, device, bytes)?;
    Ok((told(&report, &CUFF), report.slot, time(&report)))
}

fn omron(model: &str, bytes: &[u8]) -> Result<Option<(Vec<String>, String)>, RefusedFrame> {
    let record = OmronRecord::of(bytes, Layout::of_model(model).unwrap())?;
    let told = |record: OmronRecord| {
        let report = record.report(bytes);
        assert!(report.memory.is_some(), "it is out of the cuff's memory");
        (told(&report, &[Metric::SystolicPressure, Metric::DiastolicPressure, Metric::PulseRate]), time(&report))
    };
    Ok(record.map(told))
}

/// The service data of an advertisement as the host controller gave it.
fn mi_scale(event: &[u8]) -> Result<MiScale, RefusedFrame> {
    let find = |service: u16| {
        let [low, high] = service.to_le_bytes();
        let place = event.windows(3).position(|part| part == [0x16, low, high])?;
        // The octet before the kind is the length of what follows it.
        let length = usize::from(event[place.checked_sub(1)?]);
        event.get(place.checked_add(3)?..place.checked_add(length)?).map(|data| (service, data))
    };
    let (service, data) = find(SERVICE_WEIGHT).or_else(|| find(SERVICE_BODY)).unwrap();
    MiScale::of(service, data)
}

fn texts<const N: usize>(values: [&str; N]) -> Vec<String> {
    values.map(str::to_owned).to_vec()
}

fn check_cuff(id: &str, bytes: &[u8]) -> bool {
    let expected = match id {
        "bp-std-1" => (texts(["124", "86", "97", "51"]), None, "2024-06-15T17:17:27".to_owned()),
        // The mean that this cuff sends is zero: it has none.
        "bp-bm85-user0" => (texts(["106", "71", "-", "63"]), Some(0), "2026-08-11T18:31:00".to_owned()),
        "bp-nan-movement" => {
            let (found, slot, at) = cuff("", bytes).unwrap();
            assert_eq!(
                (&found[..2], slot, at.as_str()),
                (&texts(["not_a_number"; 2])[..], None, "2024-06-23T14:35:10")
            );
            return true;
        }
        "bp-nonstandard-fe" => {
            assert!(cuff("", bytes).is_err(), "it claims fields that it does not have");
            return true;
        }
        _ => return false,
    };
    let device = if id == "bp-bm85-user0" { "Beurer BM85" } else { "" };
    assert_eq!(cuff(device, bytes), Ok(expected), "{id}");
    true
}

fn check_scale(id: &str, bytes: &[u8]) -> bool {
    let weight = |device| value(Characteristic::Weight, device, bytes).unwrap();
    match id {
        "wt-bf720" => {
            let report = weight("Beurer BF720");
            let metrics = [Metric::Weight, Metric::BodyMassIndex, Metric::Height];
            assert_eq!(told(&report, &metrics), ["79.960", "23.8", "1.830"]);
            assert_eq!((report.slot, time(&report).as_str()), (Some(1), "2026-05-12T18:53:54"));
        }
        "wt-renpho" => {
            let report = weight("Renpho scale");
            let [kilogram] = &told(&report, &[Metric::Weight])[..] else { panic!("one metric") };
            assert_eq!(kilogram.parse::<f64>().unwrap().to_string(), "94.9");
            assert_eq!(time(&report), "2026-07-04T12:26:06");
        }
        "bc-bf720" => {
            let report = value(Characteristic::BodyComposition, "Beurer BF720", bytes).unwrap();
            assert_eq!(told(&report, &[Metric::BodyFat, Metric::MuscleShare]), ["19.4", "40.7"]);
        }
        "wt-sbf70" | "wt-sbf70-settling" => {
            let frame = SanitasWeight::of(bytes).unwrap();
            let truth = if id == "wt-sbf70" { "107.10" } else { "14.95" };
            assert_eq!(frame.weight_kg().to_string(), truth);
            let report = SettlingWeight::default().report(frame);
            assert!(report.readings.is_empty(), "one frame alone is no reading");
        }
        "miscale-miscale_v1" | "miscale-miscale_v1_ext_weight" | "miscale-miscale_v2_impedance" => {
            let scale = mi_scale(bytes).unwrap();
            let (truth, stepped_off, impedance) = match id {
                "miscale-miscale_v1" => ("87.200", true, None),
                "miscale-miscale_v1_ext_weight" => ("86.550", false, None),
                _ => ("85.150", false, Some(428)),
            };
            let found = (scale.weight_kg().to_string(), scale.settled, scale.stepped_off, scale.impedance);
            assert_eq!(found, (truth.to_owned(), true, stepped_off, impedance), "{id}");
        }
        _ => return false,
    }
    true
}

fn check_memory(id: &str, bytes: &[u8]) -> bool {
    let (model, expected) = match id {
        "omron-7142t2-13" => ("HEM-7142T2", Some((texts(["126", "88", "84"]), "2026-06-17T19:35:30".to_owned()))),
        "omron-issue-13" => ("HEM-7142T2", Some((texts(["120", "90", "98"]), "2026-06-11T18:06:12".to_owned()))),
        "omron-empty" => ("HEM-7142T2", None),
        "omron-7600t-23" => {
            // The source gives no time.
            let (found, _) = omron("HEM-7600T", bytes).unwrap().unwrap();
            assert_eq!(found, ["145", "91", "72"]);
            return true;
        }
        _ => return false,
    };
    assert_eq!(omron(model, bytes), Ok(expected), "{id}");
    true
}

fn check_other(id: &str, bytes: &[u8]) -> bool {
    let pair = [Metric::SpO2, Metric::PulseRate];
    match id {
        "glu-120" => {
            let report = value(Characteristic::Glucose, "", bytes).unwrap();
            assert_eq!(told(&report, &[Metric::Glucose]), ["120"]);
            assert_eq!((time(&report).as_str(), report.memory.unwrap().record), ("2020-04-13T16:38:10", 6));
        }
        // Half an interval stands at its end.
        "hr-trailing-byte-1" => {
            assert_eq!(value(Characteristic::HeartRate, "", bytes), Err(RefusedFrame::Length));
        }
        "polar-h10-adv-1" => assert_eq!(PolarAdvertisement::of(bytes).unwrap().rate, 70),
        "cms50d-bt" => {
            let report = value(Characteristic::ContecBt, "Contec CMS50D-BT", bytes).unwrap();
            let values = report.readings.iter().any(|reading| matches!(reading.outcome, Outcome::Value(_)));
            assert!(!values && !report.readings.is_empty(), "without a finger the numbers are old: {report:?}");
        }
        "masimo-rad8-line-off" => {
            let at =
                Captured { tick: Tick::from_millis(0), wall: Timestamp::from_millis(0), clock: ClockState::NeverSet };
            let moments = StreamDecoder::new(Protocol::MasimoAscii1).moments(bytes, at);
            let off = NoReading::SensorDisconnected.name();
            assert_eq!(told(&moments[0].report, &pair), [off, off]);
        }
        "nonin-oem3-frames-ok" => {
            let (chunks, []) = bytes.as_chunks::<5>() else { panic!("whole frames") };
            assert!(chunks.iter().all(|chunk| Variant::Df2.frame(*chunk).is_ok()));
        }
        _ => return false,
    }
    true
}

#[test]
fn every_captured_frame_is_decoded_to_its_truth_or_refused() {
    for file in ["frames.jsonl", "quoted_facts.jsonl"] {
        for frame in frames(file).unwrap_or_default() {
            let id = frame["id"].as_str().unwrap();
            let bytes = hex::decode(frame["hex"].as_str().unwrap()).unwrap();
            let checks = [check_cuff, check_scale, check_memory, check_other];
            assert!(checks.iter().any(|check| check(id, &bytes)), "{id}: this frame is not looked at");
        }
    }
}
