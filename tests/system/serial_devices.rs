//! Devices on serial lines that must be spoken to, through the real agent and server: each measurement that was shown is stored
//! once, with the value that was shown, whatever is pulled and started again.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use rusqlite::Connection;
use shared::metric::Metric;
use tests::hub::{HubDevice, HubSource};
use tests::simulators::ledger::{Fate, Played};
use tests::simulators::patient::{Course, number_of};
use tests::simulators::{DevicePlan, Pressure, Protocol, SimulatedDevice, Vitals};
use tests::wait;

use crate::home::{World, gaps, repeated};

/// Seconds of a course in one of the clock.
const SPEED: f64 = 8.0;
/// Seconds of the oximeter's course: it is kept awake for longer than it would stay so by itself.
const OXIMETER_SECONDS: u64 = 240;
const WITHIN: Duration = Duration::from_secs(20);

/// What is measured, and in which second of its course.
type Shown = Vec<(usize, Vitals)>;

fn course(shown: Shown) -> Course {
    // Longer than the test: a course that is over is a pulled plug.
    let mut rows = vec![Vitals::OFF; 400];
    for (second, vitals) in shown {
        rows[second] = vitals;
    }
    Course::Recording(rows)
}

fn pressure(systolic: u16, diastolic: u16, pulse: u16) -> Vitals {
    Vitals { pressure: Some(Pressure::of(systolic, diastolic)), pulse: Some(pulse), ..Vitals::OFF }
}

fn weight(grams: u32) -> Vitals {
    Vitals { weight_g: Some(grams), ..Vitals::OFF }
}

fn glucose(mg_dl: u16) -> Vitals {
    Vitals { glucose_mg_dl: Some(mg_dl), ..Vitals::OFF }
}

/// The devices that say nothing but measurements, and what they show: before the plug is pulled, and after.
fn spot_devices() -> [(Protocol, &'static str, Shown); 4] {
    [
        (Protocol::SunTechNibp, "module", vec![(8, pressure(124, 79, 72)), (120, pressure(131, 84, 75))]),
        (Protocol::AndScale, "scale", vec![(8, weight(83_760)), (80, weight(83_900))]),
        // A memory is read when its port opens: what is not in it by then is read when the port opens again.
        (Protocol::LifeScan, "meter", vec![(0, glucose(104)), (40, glucose(117)), (41, glucose(98))]),
        (Protocol::BeurerBm65, "cuff", vec![(0, pressure(118, 76, 64)), (1, pressure(119, 77, 65))]),
    ]
}

struct Line {
    device: SimulatedDevice,
    name: &'static str,
}

impl Line {
    fn start(world: &World, protocol: Protocol, name: &'static str, course: Course) -> Self {
        let mut plan = DevicePlan::new(world.path(name), protocol, course, SPEED);
        plan.keeps_ledger = protocol == Protocol::Cms50V7;
        Self { device: SimulatedDevice::start(plan).unwrap(), name }
    }

    fn configured(&self) -> HubDevice {
        let path = self.device.link().to_owned();
        let source = match self.device.protocol() {
            Protocol::Cms50V7 => HubSource::Model { path, model: "contec-cms50e" },
            protocol => HubSource::Serial { path, protocol: protocol.name() },
        };
        HubDevice { name: self.name.to_owned(), source }
    }

    /// Lets its course begin before the hub does.
    fn begun(self) -> Self {
        let port = File::open(self.device.link()).unwrap();
        std::thread::sleep(Duration::from_millis(800));
        drop(port);
        self
    }

    fn replug(&self) {
        self.device.plugged(false);
        std::thread::sleep(Duration::from_millis(100));
        self.device.plugged(true);
    }
}

/// What is stored of a device, with how often: metric and value, without what was sent again out of a memory.
fn stored(store: &Connection, device: &str) -> BTreeMap<(&'static str, String), i64> {
    let sql = "SELECT metric, mantissa, exponent FROM observation WHERE device = ?1 AND repeat_of IS NULL";
    let mut statement = store.prepare(sql).unwrap();
    let mut counts = BTreeMap::new();
    let rows = statement.query_map([device], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    for row in rows {
        let (metric, mantissa, exponent): (i64, Option<i64>, Option<i8>) = row.unwrap();
        let value = mantissa.zip(exponent).map(|(mantissa, exponent)| shared::units::Decimal::new(mantissa, exponent));
        let value = value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        *counts.entry((Metric::ALL[metric as usize].name(), value)).or_default() += 1;
    }
    counts
}

/// What should be stored of a spot device after so many of its measurements.
fn expected(shown: &[(usize, Vitals)], has_mean: bool) -> BTreeMap<(&'static str, String), i64> {
    let mut counts = BTreeMap::new();
    let mut add = |metric: Metric, value: String| *counts.entry((metric.name(), value)).or_default() += 1;
    for (_, vitals) in shown {
        if let Some(Pressure { systolic, diastolic, mean }) = vitals.pressure {
            add(Metric::SystolicPressure, systolic.to_string());
            add(Metric::DiastolicPressure, diastolic.to_string());
            if has_mean {
                add(Metric::MeanPressure, mean.to_string());
            }
        }
        vitals.pulse.into_iter().for_each(|pulse| add(Metric::PulseRate, pulse.to_string()));
        let kilograms = |grams: u32| format!("{}.{:03}", grams / 1000, grams % 1000);
        vitals.weight_g.into_iter().for_each(|grams| add(Metric::Weight, kilograms(grams)));
        vitals.glucose_mg_dl.into_iter().for_each(|value| add(Metric::Glucose, value.to_string()));
    }
    counts
}

/// Every whole second of a numbered course is stored once. The hub's seconds may begin inside the device's, so one that was cut off
/// by the plug may be gone with it, or be the last of one moment and a short one of its own.
fn check_oximeter(store: &Connection, played: &Played) {
    let sql = "SELECT pulse.mantissa, spo2.mantissa FROM observation pulse JOIN observation spo2
         ON spo2.stream = pulse.stream AND spo2.captured_tick = pulse.captured_tick AND spo2.device = pulse.device
       WHERE pulse.device = 'oximeter' AND pulse.metric = ?1 AND spo2.metric = ?2";
    let mut statement = store.prepare(sql).unwrap();
    let metrics = [Metric::PulseRate as i64, Metric::SpO2 as i64];
    let rows = statement.query_map(metrics, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let mut counted: BTreeMap<u64, i64> = BTreeMap::new();
    for (pulse, spo2) in rows.map(Result::unwrap) {
        let number = number_of(pulse as u64, spo2 as u64).expect("a value that was never shown");
        *counted.entry(number).or_default() += 1;
    }
    let mut whole = 0;
    for (place, second) in played.ledger.iter().enumerate() {
        let times = counted.get(&second.number).copied().unwrap_or(0);
        let is_last = played.ledger.get(place + 1).is_none_or(|next| next.bytes == 0);
        match second.fate {
            Fate::Whole if !is_last => assert_eq!(times, 1, "{second:?}"),
            Fate::Whole | Fate::Partly => assert!(times <= 2, "{second:?}"),
            Fate::Silent | Fate::Unheard | Fate::Noisy => assert_eq!(times, 0, "{second:?}"),
        }
        whole += u64::from(second.fate == Fate::Whole);
    }
    assert!(whole > 80, "{whole} whole seconds of {OXIMETER_SECONDS}: it was not kept awake");
    let alone = "SELECT count(*) FROM observation WHERE device = 'oximeter' AND mantissa IS NOT NULL";
    let all: i64 = store.query_row(alone, [], |row| row.get(0)).unwrap();
    assert_eq!(all, 2 * counted.values().sum::<i64>(), "each moment has both");
}

#[test]
fn what_devices_on_lines_show_is_stored_once_whatever_is_pulled_or_started_again() {
    let mut world = World::new(1);
    let hub = world.add_hub("home");
    let spot = spot_devices();
    let lines: Vec<Line> = spot
        .iter()
        .map(|(protocol, name, shown)| Line::start(&world, *protocol, name, course(shown.clone())))
        .collect();
    let [module, scale, meter, cuff] = lines.try_into().unwrap_or_else(|_| unreachable!());
    let lines = [module, scale, meter.begun(), cuff.begun()];
    let oximeter = Line::start(&world, Protocol::Cms50V7, "oximeter", Course::Numbered(OXIMETER_SECONDS));
    for (index, name) in (0..).zip(lines.iter().chain([&oximeter]).map(|line| line.name)) {
        world.add_patient(hub, name, tests::patients::NAMES[index as usize], index);
    }
    let devices: Vec<HubDevice> = lines.iter().chain([&oximeter]).map(Line::configured).collect();
    world.hubs[hub].learn_settings(5).unwrap();
    world.hubs[hub].configure(&devices).unwrap();
    world.hubs[hub].start().unwrap();
    let store = world.store();
    let all_of = |count: usize| {
        wait::until("the measurements to be stored", WITHIN, || {
            let is_stored = |(protocol, name, shown): &(Protocol, &str, Shown)| {
                let shown = &shown[..count.min(shown.len())];
                expected(shown, *protocol == Protocol::SunTechNibp)
                    .iter()
                    .all(|(key, _)| stored(&store, name).contains_key(key))
            };
            spot.iter().all(is_stored).then_some(())
        })
    };
    let in_vain = |error: anyhow::Error| -> () {
        let stored = spot.iter().map(|(_, name, _)| (name, stored(&store, name))).collect::<Vec<_>>();
        panic!("{error}; stored were {stored:?}; the agent said:\n{}", world.hubs[hub].said());
    };
    all_of(1).unwrap_or_else(in_vain);
    lines.iter().chain([&oximeter]).for_each(Line::replug);
    all_of(2).unwrap_or_else(in_vain);
    let status = world.hubs[hub].status().unwrap();
    assert_eq!(status["devices"][4]["line"], "cms50-v7 at 115200 8N1", "{status}");
    assert!(status["devices"].as_array().unwrap().iter().all(|device| device["state"] == "connected"), "{status}");
    let played = oximeter.device.play_out();
    // An agent that has just started remembers no record: what it reads again, the server knows.
    world.hubs[hub].stop().unwrap();
    world.hubs[hub].start().unwrap();
    let again = |device: &str| -> i64 {
        let sql = "SELECT count(*) FROM observation WHERE device = ?1 AND repeat_of IS NOT NULL";
        store.query_row(sql, [device], |row| row.get(0)).unwrap()
    };
    wait::until("the memories to be read again", WITHIN, || (again("meter") == 3 && again("cuff") == 6).then_some(()))
        .unwrap();
    world.hubs[hub].drained(WITHIN).unwrap();
    for (protocol, name, shown) in &spot {
        assert_eq!(stored(&store, name), expected(shown, *protocol == Protocol::SunTechNibp), "{name}");
    }
    assert_eq!((again("module"), again("scale"), again("oximeter")), (0, 0, 0));
    check_oximeter(&store, &played);
    assert!(repeated(&store).is_empty() && gaps(&store).is_empty());
}
