//! The agent reads what simulated devices send, and they answer what it asks.

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use agent::decode::{Moment, StreamDecoder};
use shared::observation::Captured;
use shared::reading::Outcome;
use shared::time::{ClockState, Tick, Timestamp};

use super::device::Now;
use super::ledger::Fate;
use super::patient::{Course, Synthetic};
use super::script::Script;
use super::*;

/// What a host says so that the device speaks.
fn opening_words(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Cms50V7 => &[0x7D, 0x81, 0xA1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
        _ => &[],
    }
}

/// What a host asks once a minute.
fn questions(protocol: Protocol) -> &'static [&'static [u8]] {
    match protocol {
        Protocol::SunTechNibp => &[&[0x3A, 0x79, 0x05, 0x00, 0x48], &[0x3A, 0x79, 0x03, 0x00, 0x4A]],
        Protocol::LifeScan => &[&[0x02, 0x06, 0x08, 0x03, 0xC2, 0x62], &[2, 10, 0, 5, 0x1F, 0, 0, 3, 0xAB, 0x91]],
        Protocol::LifeScanVerio => &[&[2, 10, 0, 3, 0x21, 0, 0, 3, 0x9D, 0xD2]],
        Protocol::BeurerBm65 => &[&[0xA3, 1]],
        _ => &[],
    }
}

fn moments(protocol: Protocol, course: &[Vitals]) -> Vec<Moment> {
    let mut decoder = StreamDecoder::new(protocol.name().parse().unwrap());
    let mut device = protocol.device();
    device.hear(opening_words(protocol), Now::default());
    let mut moments = Vec::new();
    for (number, vitals) in course.iter().enumerate() {
        let now = Now { second: number as u64, elapsed: Duration::ZERO };
        let mut frames = device.second(vitals, now);
        if number % 60 == 59 {
            frames.extend(questions(protocol).iter().flat_map(|question| device.hear(question, now)));
        }
        for (place, frame) in frames.iter().enumerate() {
            let at = number as u64 * 1000 + place as u64 * 1000 / frames.len() as u64;
            let (tick, wall) = (Tick::from_millis(at), Timestamp::from_millis(0));
            let captured = Captured { tick, wall, clock: ClockState::NeverSet };
            decoder.push(frame, captured, &mut |moment| moments.push(moment));
        }
    }
    moments
}

fn shown(protocol: Protocol, course: &[Vitals]) -> Vec<Vec<Option<String>>> {
    let value = |outcome: &Outcome| match outcome {
        Outcome::Value(value) => Some(value.decimal.to_string()),
        Outcome::None(_) => None,
    };
    let readings = |moment: &Moment| moment.report.readings.iter().map(|reading| value(&reading.outcome)).collect();
    moments(protocol, course).iter().map(readings).collect()
}

fn values(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

#[test]
fn the_agent_reads_what_was_shown_in_every_oximeters_protocol() {
    let good = Vitals { perfusion: Some(291), ..Vitals::on_finger(Some(140), Some(93)) };
    for protocol in Protocol::OXIMETERS {
        let seen = shown(protocol, &[good.clone(), good.clone(), good.clone(), good.clone()]);
        let has_perfusion = matches!(protocol, Protocol::Cms50V7 | Protocol::MasimoAscii1);
        let expected = if has_perfusion { values(&["93", "140", "2.91"]) } else { values(&["93", "140"]) };
        assert!(seen.len() >= 3, "{protocol:?}: {seen:?}");
        assert!(seen.iter().all(|readings| *readings == expected), "{protocol:?}: {seen:?}");
    }
}

#[test]
fn without_a_finger_there_is_no_value_in_any_oximeters_protocol() {
    for protocol in Protocol::OXIMETERS {
        let seen = shown(protocol, &[Vitals::OFF, Vitals::OFF, Vitals::OFF, Vitals::OFF]);
        assert!(seen.len() >= 3 && seen.iter().flatten().all(Option::is_none), "{protocol:?}: {seen:?}");
    }
}

#[test]
fn the_agent_sees_a_low_battery_where_the_protocol_tells_of_it() {
    let low = Vitals { battery_low: true, ..Vitals::on_finger(Some(72), Some(97)) };
    for protocol in [Protocol::NoninDf2, Protocol::NoninDf7, Protocol::NoninDf8, Protocol::NoninDf13] {
        let seen = moments(protocol, &[low.clone(), low.clone(), low.clone()]);
        assert!(seen.last().is_some_and(|moment| moment.report.battery_low == Some(true)), "{protocol:?}: {seen:?}");
    }
}

#[test]
fn the_agent_reads_what_cuffs_scales_and_meters_measured() {
    let mut course = vec![Vitals::OFF; 121];
    course[20] = Vitals {
        pulse: Some(72),
        pressure: Some(Pressure { systolic: 124, diastolic: 79, mean: 94 }),
        weight_g: Some(81_300),
        glucose_mg_dl: Some(104),
        ..Vitals::OFF
    };
    let expected = [
        (Protocol::SunTechNibp, values(&["124", "79", "94", "72"])),
        (Protocol::AndUa767Pc, values(&["124", "79", "72"])),
        (Protocol::AndScale, values(&["81.300"])),
        (Protocol::LifeScan, values(&["104"])),
        (Protocol::LifeScanVerio, values(&["104"])),
        (Protocol::BeurerBm65, values(&["124", "79", "72"])),
    ];
    for (protocol, expected) in expected {
        let seen = shown(protocol, &course);
        assert!(!seen.is_empty() && seen.iter().all(|readings| *readings == expected), "{protocol:?}: {seen:?}");
    }
}

fn open(device: &SimulatedDevice) -> File {
    let file = File::options().read(true).write(true).open(device.link()).unwrap();
    let mut termios = nix::sys::termios::tcgetattr(&file).unwrap();
    nix::sys::termios::cfmakeraw(&mut termios);
    nix::sys::termios::tcsetattr(&file, nix::sys::termios::SetArg::TCSANOW, &termios).unwrap();
    file
}

#[test]
fn a_device_on_a_line_waits_for_its_hosts_word_and_knows_what_it_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = DevicePlan::new(folder.path().join("a"), Protocol::Cms50V7, Course::Numbered(40), 20.0);
    plan.keeps_ledger = true;
    let device = SimulatedDevice::start(plan).unwrap();
    let mut line = open(&device);
    std::thread::sleep(Duration::from_millis(400));
    line.write_all(opening_words(Protocol::Cms50V7)).unwrap();
    let mut package = [0; 9];
    line.read_exact(&mut package).unwrap();
    assert_eq!(package[0], 0x01);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        // The end of a pulled line is an error on some systems.
        let _ = line.read_to_end(&mut all);
        all.len()
    });
    let played = device.play_out();
    let fates: Vec<Fate> = played.ledger.iter().map(|second| second.fate).collect();
    assert_eq!((fates[0], fates[39]), (Fate::Silent, Fate::Whole), "{fates:?}");
    let whole: usize = played.ledger.iter().map(|second| second.bytes).sum();
    assert_eq!(reader.join().unwrap() + package.len(), whole);
}

#[test]
fn troubles_of_the_script_are_in_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = DevicePlan::new(folder.path().join("a"), Protocol::NoninDf8, Course::Numbered(400), 80.0);
    (plan.keeps_ledger, plan.waits_for_reader) = (true, true);
    plan.script = Script {
        seed: 1,
        noise_per_mille: 100,
        unplug_every: Some(150),
        unplugged_for: Duration::from_millis(100),
        finger_out_every: Some(200),
        ..Script::default()
    };
    let device = SimulatedDevice::start(plan).unwrap();
    let reader = std::thread::spawn({
        let link = device.link().to_owned();
        move || {
            let mut openings = 0;
            while let Ok(mut line) = wait_for(&link) {
                openings += 1;
                let _ = line.read_to_end(&mut Vec::new());
            }
            openings
        }
    });
    let played = device.play_out();
    assert_eq!(played.ledger.len(), 400);
    let count = |fate| played.ledger.iter().filter(|second| second.fate == fate).count();
    assert!(count(Fate::Whole) > 100 && count(Fate::Noisy) > 10 && count(Fate::Unheard) > 5, "{played:?}");
    assert_eq!(played.noises, count(Fate::Noisy) as u64);
    assert!(played.ledger.iter().any(|second| !second.shown.finger));
    assert_eq!(u64::from(played.ledger[399].opening), played.unplugs + 1);
    assert_eq!(reader.join().unwrap(), played.unplugs + 1);
}

/// Opens a port as soon as it is there; an error after half a second without one.
fn wait_for(link: &std::path::Path) -> std::io::Result<File> {
    for _ in 0..50 {
        if let Ok(line) = File::open(link) {
            return Ok(line);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    File::open(link)
}

#[test]
fn a_made_up_patient_measures_everything() {
    let course = Course::Synthetic(Synthetic { seed: 1, pulse: 72, spo2: 97, falls_from: None });
    let seen: Vec<Vitals> = (0..240).filter_map(|second| course.at(second)).collect();
    let count = |is: fn(&Vitals) -> bool| seen.iter().filter(|vitals| is(vitals)).count();
    assert_eq!(count(|vitals| vitals.pressure.is_some()), 4);
    assert_eq!(count(|vitals| vitals.weight_g.is_some()), 2);
    assert_eq!(count(|vitals| vitals.glucose_mg_dl.is_some()), 3);
}

#[test]
fn every_protocol_of_the_agent_is_simulated() {
    assert_eq!(Protocol::ALL.map(Protocol::name), agent::decode::Protocol::ALL.map(agent::decode::Protocol::name));
}
