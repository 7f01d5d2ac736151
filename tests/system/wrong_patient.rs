//! A hub with three days of one patient's readings is bound to another patient. Whatever its clock said: nothing of
//! the first is ever the second's.

use std::time::Duration;

use runtime::clock::ManualClock;
use rusqlite::Connection;
use shared::enrolment::Enrolment;
use shared::id::BootId;
use shared::metric::Metric;
use shared::observation::Captured;
use shared::time::{ClockState, Tick, Timestamp};
use shared::units::{Decimal, Unit};
use shared::wire::{BindingInForce, SignedSettings, from_bytes};
use tests::hub::Hub;
use tests::wait;

use crate::backlog::Queue;
use crate::home::World;

/// Three days, a reading every half hour.
const READINGS: u32 = 3 * 48;
const EVERY: Duration = Duration::from_secs(30 * 60);
const DEVICE: &str = "oximeter";
/// The first patient's saturation; the second's is another.
const OF_FIRST: i64 = 71;
const OF_SECOND: u8 = 99;

/// A clock as it could have been: its state, and what it said at the end of the three days.
struct ClockThen {
    name: &'static str,
    state: ClockState,
    wall_at_end_ms: i64,
}

fn clocks() -> Vec<ClockThen> {
    let now = tests::simulators::wall_ms();
    let day = 86_400_000;
    let clock = |name, state, wall_at_end_ms| ClockThen { name, state, wall_at_end_ms };
    vec![
        clock("right", ClockState::Synchronised, now - 60_000),
        clock("held over", ClockState::HeldOver, now - 60_000),
        clock("never set", ClockState::NeverSet, 3 * day),
        // As if everything had been taken after the device changed hands.
        clock("ahead", ClockState::Synchronised, now + 10 * day),
        clock("held over and ahead", ClockState::HeldOver, now + 4 * day),
        clock("far behind", ClockState::Synchronised, now - 400 * day),
    ]
}

/// Three days of the first patient's readings on the hub's disk, none of them sent.
fn take_three_days(hub: &Hub, binding: &str, clock: &ClockThen, place: u8) {
    let enrolment: Enrolment = serde_json::from_str(&std::fs::read_to_string(hub.enrolment()).unwrap()).unwrap();
    let signed: SignedSettings = from_bytes(&shared::hex::decode(&enrolment.settings).unwrap()).unwrap();
    let settings = signed.read().unwrap();
    let span = i64::from(READINGS) * i64::try_from(EVERY.as_millis()).unwrap();
    let at = Captured {
        tick: Tick::from_millis(1000),
        wall: Timestamp::from_millis(clock.wall_at_end_ms - span),
        clock: clock.state,
    };
    let manual = ManualClock::new(at, BootId::from_bytes([place; 16]));
    let bindings =
        vec![BindingInForce { binding: binding.parse().unwrap(), device: DEVICE.parse().unwrap(), slot: None }];
    let folder = hub.state_dir().join("queue");
    let key = hub.folder().join("key.pem");
    let mut queue = Queue::open(&folder, enrolment.hub, &key, settings.sealing_key, bindings, manual.clone());
    for _ in 0..READINGS {
        queue.take(DEVICE, Metric::SpO2, Decimal::from(OF_FIRST), Unit::Percent);
        manual.advance(EVERY);
    }
    queue.close();
}

fn rows(store: &Connection, patient: &str, sql_condition: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM observation WHERE lower(hex(patient)) = ?1 AND {sql_condition}");
    store.query_row(&sql, [patient], |row| row.get(0)).unwrap()
}

#[test]
fn nothing_of_one_patient_is_ever_stored_under_another_under_any_clock() {
    let mut world = World::new(1);
    let mut pairs = Vec::new();
    for (place, clock) in clocks().iter().enumerate() {
        let hub = world.add_hub(&format!("home-{place}"));
        let index = place as u64 * 2;
        let first = world.server.add_patient("Example, Ada", &tests::patients::nhs_number(index), "Test ward").unwrap();
        let second =
            world.server.add_patient("Sample, Bert", &tests::patients::nhs_number(index + 1), "Test ward").unwrap();
        let id = world.hubs[hub].id.clone();
        let bound = world.server.bind(&id, DEVICE, &first).unwrap();
        take_three_days(&world.hubs[hub], bound["binding"].as_str().unwrap(), clock, place as u8 + 1);
        let rebound = world.server.bind(&id, DEVICE, &second).unwrap();
        assert_eq!(rebound["ended"], bound["binding"], "the old binding ends");
        let rows = [(64, OF_SECOND); 30];
        let mut device = world.looping(&format!("second-{place}"), &rows, 5.0);
        device.name = DEVICE.into();
        world.hubs[hub].configure(&[device]).unwrap();
        world.hubs[hub].start().unwrap();
        pairs.push((hub, first, second, clock.name));
    }
    for (hub, first, second, clock) in pairs {
        world.hubs[hub].caught_up(Duration::from_secs(60)).unwrap();
        // The hub learns of the new binding over its settings, and then takes readings under it.
        wait::until("readings of the second patient", Duration::from_secs(60), || {
            (rows(&world.store(), &second, "true") > 4).then_some(())
        })
        .unwrap_or_else(|error| panic!("clock {clock}: {error}; the agent said:\n{}", world.hubs[hub].said()));
        world.hubs[hub].stop_and_count().unwrap();
        let store = world.store();
        let value = format!("mantissa = {OF_FIRST}");
        assert_eq!(rows(&store, &first, &value), i64::from(READINGS), "clock {clock}: all of the first's are there");
        assert_eq!(rows(&store, &second, &value), 0, "clock {clock}: nothing of the first's is the second's");
        let live = rows(&store, &first, &format!("{value} AND late = 0 AND history = 0"));
        assert_eq!(live, 0, "clock {clock}: nothing of an ended binding is live");
    }
}
