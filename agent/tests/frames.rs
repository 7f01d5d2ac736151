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
use shared::observation::{Captured, DeviceTime};
use shared::reading::{Outcome, Reading};
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

/// All that a report says: each reading with its unit, or its absence, and its flags; then the device's time, its user, the record's
/// number, and its battery.
fn whole(report: &Report) -> Vec<String> {
    let reading = |reading: &Reading| {
        let outcome = match reading.outcome {
            Outcome::Value(value) => format!("{} {}", value.decimal, value.unit.ucum()),
            Outcome::None(why) => why.name().to_owned(),
        };
        let flags = reading.quality.names().map(|name| format!(" [{name}]"));
        format!("{} {outcome}{}", reading.metric.name(), flags.collect::<String>())
    };
    let time = report.device_time.map(|time| {
        let DeviceTime { year, month, day, hour, minute, second } = time;
        format!("at {year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    });
    let beside = [
        time,
        report.slot.map(|slot| format!("user {slot}")),
        report.memory.map(|memory| format!("record {}", memory.record)),
        report.battery_low.map(|low| format!("battery low {low}")),
    ];
    report.readings.iter().map(reading).chain(beside.into_iter().flatten()).collect()
}

/// One value of a characteristic of a device of this name.
fn value(characteristic: Characteristic, device: &str, bytes: &[u8]) -> Result<Report, RefusedFrame> {
    let mut found = None;
    Values::new(Quirks::of(&Identity::named(device)))
        .read(characteristic, bytes, &mut |report| found = Some(report))?;
    Ok(found.unwrap())
}

/// What a value of a characteristic says, of a device of this name; an empty name is of a device that nobody knows.
fn said(characteristic: Characteristic, device: &str, bytes: &[u8]) -> Result<Vec<String>, RefusedFrame> {
    value(characteristic, device, bytes).map(|report| whole(&report))
}

fn omron(model: &str, bytes: &[u8]) -> Result<Option<Vec<String>>, RefusedFrame> {
    let record = OmronRecord::of(bytes, Layout::of_model(model).unwrap())?;
    Ok(record.map(|record| whole(&record.report(bytes))))
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

fn check_cuff(id: &str, bytes: &[u8]) -> bool {
    let said = |device| said(Characteristic::BloodPressure, device, bytes);
    match id {
        "bp-std-1" => assert_eq!(
            said("").unwrap(),
            [
                "systolic_pressure 124 mm[Hg]",
                "diastolic_pressure 86 mm[Hg]",
                "mean_pressure 97 mm[Hg]",
                "pulse_rate 51 /min",
                "at 2024-06-15T17:17:27"
            ]
        ),
        "bp-bm85-user0" => {
            // The mean that this cuff sends is zero: it has none.
            assert_eq!(
                said("Beurer BM85").unwrap(),
                [
                    "systolic_pressure 106 mm[Hg]",
                    "diastolic_pressure 71 mm[Hg]",
                    "pulse_rate 63 /min",
                    "at 2026-08-11T18:31:00",
                    "user 0"
                ]
            );
            assert_eq!(said(""), Err(RefusedFrame::Contradiction), "of a model that nobody knows");
        }
        "bp-nan-movement" => assert_eq!(
            said("").unwrap(),
            [
                "systolic_pressure not_a_number",
                "diastolic_pressure not_a_number",
                "pulse_rate not_a_number",
                "at 2024-06-23T14:35:10"
            ]
        ),
        "bp-nonstandard-fe" => {
            assert_eq!(said(""), Err(RefusedFrame::Contradiction), "it claims fields that it does not have");
        }
        _ => return false,
    }
    true
}

fn check_scale(id: &str, bytes: &[u8]) -> bool {
    let weight = |device| said(Characteristic::Weight, device, bytes);
    match id {
        "wt-bf720" => {
            let truth = [
                "weight 79.960 kg",
                "body_mass_index 23.8 kg/m2",
                "height 1.830 m",
                "at 2026-05-12T18:53:54",
                "user 1",
            ];
            assert_eq!(
                (weight("Beurer BF720").unwrap(), weight("").unwrap()),
                (truth.map(String::from).to_vec(), truth.map(String::from).to_vec())
            );
        }
        "wt-renpho" => {
            let quirky = [
                "weight 94.90 kg",
                "body_mass_index model_quirk",
                "height model_quirk",
                "at 2026-07-04T12:26:06",
                "user 170",
            ];
            assert_eq!(weight("Renpho scale").unwrap(), quirky);
            assert_eq!(weight("RENPHO-SCALE-1234"), Err(RefusedFrame::ModelQuirk));
            // Of a scale that says no name at all a tenth is believed: nothing in the frame tells.
            assert_eq!(weight("").unwrap()[0], "weight 9.490 kg");
        }
        "bc-bf720" => {
            let said = |device| said(Characteristic::BodyComposition, device, bytes).unwrap();
            let truth = ["body_fat 19.4 %", "muscle_share 40.7 %", "body_water 43.250 kg", "impedance 452.0 Ohm"];
            assert_eq!(
                (said("Beurer BF720"), said("")),
                (truth.map(String::from).to_vec(), truth.map(String::from).to_vec())
            );
        }
        "wt-sbf70" | "wt-sbf70-settling" => {
            let frame = SanitasWeight::of(bytes).unwrap();
            let truth = if id == "wt-sbf70" { "weight 107.10 kg" } else { "weight 14.95 kg" };
            let mut settling = SettlingWeight::default();
            let reports: Vec<_> = (0..4).map(|_| whole(&settling.report(frame))).collect();
            assert_eq!(reports, [vec![], vec![], vec![truth.to_owned()], vec![]], "the third alike is a reading, once");
        }
        "miscale-miscale_v1" | "miscale-miscale_v1_ext_weight" | "miscale-miscale_v2_impedance" => {
            check_mi_scale(id, bytes)
        }
        _ => return false,
    }
    true
}

fn check_mi_scale(id: &str, bytes: &[u8]) {
    let scale = mi_scale(bytes).unwrap();
    let (truth, weight) = match id {
        // The person has stepped off: the weight is that of before.
        "miscale-miscale_v1" => (&["at 1970-01-01T10:26:21"][..], "87.200"),
        "miscale-miscale_v1_ext_weight" => (&["weight 86.550 kg", "at 2021-04-11T16:19:01"][..], "86.550"),
        _ => (&["weight 85.150 kg", "impedance 428 Ohm", "at 1970-05-04T15:02:01"][..], "85.150"),
    };
    assert_eq!(whole(&scale.report()), truth, "{id}");
    assert_eq!((scale.weight_kg().to_string().as_str(), scale.settled), (weight, true), "{id}");
}

fn check_memory(id: &str, bytes: &[u8]) -> bool {
    let cuff = |systolic, diastolic, pulse, rest: &[&str]| {
        let pressures =
            [format!("systolic_pressure {systolic} mm[Hg]"), format!("diastolic_pressure {diastolic} mm[Hg]")];
        let rest = rest.iter().map(|text| (*text).to_owned());
        Some(pressures.into_iter().chain([format!("pulse_rate {pulse} /min")]).chain(rest).collect::<Vec<_>>())
    };
    let (model, expected) = match id {
        "omron-7142t2-13" => ("HEM-7142T2", cuff(126, 88, 84, &["at 2026-06-17T19:35:30", "record 76"])),
        "omron-issue-13" => ("HEM-7142T2", cuff(120, 90, 98, &["at 2026-06-11T18:06:12", "record 14"])),
        "omron-empty" => ("HEM-7142T2", None),
        // The source gives no time, and where this model keeps the record's number is not known.
        "omron-7600t-23" => ("HEM-7600T", cuff(145, 91, 72, &["at 2026-06-14T23:45:02", "record 0"])),
        _ => return false,
    };
    assert_eq!(omron(model, bytes), Ok(expected), "{id}");
    true
}

fn check_other(id: &str, bytes: &[u8]) -> bool {
    match id {
        "glu-120" => assert_eq!(
            said(Characteristic::Glucose, "", bytes).unwrap(),
            ["glucose 120 mg/dL", "at 2020-04-13T16:38:10", "record 6"]
        ),
        // Half an interval stands at its end.
        "hr-trailing-byte-1" => {
            assert_eq!(value(Characteristic::HeartRate, "", bytes), Err(RefusedFrame::Length));
        }
        "polar-h10-adv-1" => {
            assert_eq!(whole(&PolarAdvertisement::of(bytes).unwrap().report()), ["heart_rate 70 /min"]);
        }
        "cms50d-bt" => {
            let said = |device| said(Characteristic::ContecBt, device, bytes).unwrap();
            assert_eq!(said("Contec CMS50D-BT"), ["spo2 stale", "pulse_rate stale"]);
            assert_eq!(
                said(""),
                ["spo2 sensor_off", "pulse_rate sensor_off"],
                "the frame itself says that no finger is there"
            );
        }
        "masimo-rad8-line-off" => {
            let off = ["spo2 sensor_disconnected", "pulse_rate sensor_disconnected", "at 2016-03-19T13:37:12"];
            assert_eq!(line(Protocol::MasimoAscii1, bytes), [off.map(String::from).to_vec()]);
        }
        "nonin-oem3-frames-ok" => {
            let (chunks, []) = bytes.as_chunks::<5>() else { panic!("whole frames") };
            assert!(chunks.iter().all(|chunk| Variant::Df2.frame(*chunk).is_ok()));
            assert!(line(Protocol::NoninDf2, bytes).is_empty(), "four frames are no packet");
        }
        _ => return false,
    }
    true
}

/// What a line says in these octets and the silence behind them.
fn line(protocol: Protocol, bytes: &[u8]) -> Vec<Vec<String>> {
    let at = |millis| Captured {
        tick: Tick::from_millis(millis),
        wall: Timestamp::from_millis(0),
        clock: ClockState::NeverSet,
    };
    let mut decoder = StreamDecoder::new(protocol);
    let mut moments = decoder.moments(bytes, at(0));
    moments.extend(decoder.expire(at(60_000)));
    moments.iter().map(|moment| whole(&moment.report)).collect()
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
