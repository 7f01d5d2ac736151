//! Whom an observation is about, how old it is, and in which lane it goes.

use std::collections::BTreeSet;

use shared::id::TokenId;
use shared::metric::Metric;
use shared::observation::{DeviceRecordId, DeviceTime, Observation};
use shared::wire::Entry;

use super::*;
use crate::access::{Role, Scope};
use crate::audit::AuditOutcome;

fn told(world: &World) -> Vec<(Subject, Observed)> {
    let each =
        |(subject, list): &(Subject, Vec<Observed>)| list.iter().map(|o| (*subject, o.clone())).collect::<Vec<_>>();
    world.alerts.told.iter().flat_map(each).collect()
}

#[test]
fn a_fresh_one_is_live_and_timed_on_the_engines_clock() {
    let mut world = World::new();
    world.store.set_engine_clock(Tick::from_millis(700), at(100_000));
    let mut send = batch(vec![record(1, 1, vec![Entry::Observation(world.observation(49_000, 85))])]);
    send.arrived.tick = Tick::from_millis(600);
    send.arrived.wall = at(-5_000_000);
    send.transit_ms = 40;
    let committed = world.take(send);
    let (subject, observed) = told(&world).remove(0);
    assert_eq!(subject, Subject::Patient(world.patient));
    assert_eq!((observed.age_ms, observed.taken, observed.history), (Some(1_040), at(100_000 - 100 - 1_040), false));
    assert_eq!(committed.live.len(), 1);
    assert_eq!((committed.live[0].age_ms, committed.live[0].captured_wall), (1_040, at(49_000)));
    assert_eq!(committed.events[0].number.0, 1);
    assert_eq!(committed.events[0].wards[0].as_str(), "Ward 3");
}

#[test]
fn each_subjects_observations_come_in_order_of_capture() {
    let mut world = World::new();
    let entries = [49_500, 49_100, 49_900].map(|tick| Entry::Observation(world.observation(tick, 97))).to_vec();
    let committed = world.take(batch(vec![record(1, 1, entries)]));
    let taken: Vec<_> = told(&world).into_iter().map(|(_, observed)| observed.taken).collect();
    assert!(taken.is_sorted() && taken.len() == 3);
    assert_eq!(committed.live.len(), 1);
    assert_eq!(committed.live[0].taken, at(100_000 - 100));
}

#[test]
fn old_unknown_and_overtaken_ones_are_late() {
    let mut world = World::new();
    let send = |world: &World, number, tick| {
        batch(vec![record(number, 1, vec![Entry::Observation(world.observation(tick, 97))])])
    };
    let late = |world: &World| world.number("SELECT late FROM observation ORDER BY place DESC LIMIT 1");
    let first = send(&world, 1, 49_000);
    world.take(first);
    assert_eq!(late(&world), 0);
    for (number, batch) in [
        (2, send(&world, 2, 48_999)),
        (3, send(&world, 3, 10_000)),
        (4, OpenedBatch { sent: None, ..send(&world, 4, 49_900) }),
    ] {
        assert!(world.take(batch).live.is_empty());
        assert_eq!(late(&world), 1, "{number}");
    }
    let mut world = world.crash();
    let again = send(&world, 5, 48_999);
    world.take(again);
    assert_eq!(late(&world), 1, "the newest capture is known after a restart");
    assert_eq!(world.number("SELECT count(*) FROM observation WHERE age_ms IS NULL"), 1);
}

#[test]
fn another_hubs_binding_attributes_nothing() {
    let mut world = World::new();
    let stranger = HubId::from_bytes([0xA2; 16]);
    world.store.hub_enrol(&allow(Action::HubEnrol), &new_hub(stranger, 2, "02"), at(0)).unwrap();
    let records = vec![record(1, 1, vec![Entry::Observation(world.observation(49_000, 97))])];
    let committed = world.take(OpenedBatch { hub: stranger, ..batch(records) });
    assert!(committed.live.is_empty());
    assert_eq!(told(&world)[0].0, Subject::Hub(stranger));
    assert_eq!(world.number("SELECT count(*) FROM observation WHERE patient IS NULL"), 1);
    assert_eq!(world.number("SELECT count(*) FROM technical_entry WHERE kind = 'foreign_binding'"), 1);
}

#[test]
fn an_ended_binding_is_its_patients_history() {
    let mut world = World::new();
    let next = world.store.patient_add(&allow(Action::PatientAdd), &new_patient("9990548609"), at(1)).unwrap();
    let new = NewBinding { hub: HUB, device: "oximeter".parse().unwrap(), slot: None, patient: next };
    let (bound, _) = world.store.bind(&allow(Action::Bind), &new, &mut world.alerts, at(2)).unwrap();
    assert_eq!(bound.ended, Some(world.binding));
    assert_eq!(world.alerts.bound[1..], [(world.patient, false), (next, true)]);
    let records = vec![record(1, 1, vec![Entry::Observation(world.observation(49_900, 97))])];
    assert!(world.take(batch(records)).live.is_empty());
    let (subject, observed) = told(&world).remove(0);
    assert_eq!((subject, observed.history), (Subject::Patient(world.patient), true));
}

#[test]
fn a_repeat_out_of_a_devices_memory_is_not_evaluated() {
    let mut world = World::new();
    let mut observation = world.observation(49_000, 97);
    observation.from_memory =
        Some(DeviceRecordId { identity: "501234".to_owned(), record: 7, time: None, digest: [1; 16] });
    for number in [1, 2] {
        world.take(batch(vec![record(number, 1, vec![Entry::Observation(observation.clone())])]));
    }
    let told = told(&world);
    assert_eq!((told.len(), told[0].1.history), (1, true));
    assert_eq!(world.number("SELECT count(*) FROM observation WHERE repeat_of = 1"), 1);
}

#[test]
fn each_metric_of_one_record_of_a_memory_counts_once() {
    let mut world = World::new();
    let mut pulse = world.observation(49_000, 97);
    pulse.from_memory = Some(DeviceRecordId { identity: "501234".to_owned(), record: 7, time: None, digest: [1; 16] });
    let mut other = pulse.clone();
    other.reading.metric = if pulse.reading.metric == Metric::PulseRate { Metric::SpO2 } else { Metric::PulseRate };
    for number in [1, 2] {
        let both = [&pulse, &other].map(|observation| Entry::Observation(observation.clone()));
        world.take(batch(vec![record(number, 1, both.to_vec())]));
    }
    assert_eq!(told(&world).len(), 2);
    assert_eq!(world.number("SELECT count(*) FROM observation WHERE repeat_of IS NULL"), 2);
    assert_eq!(world.number("SELECT count(*) FROM observation WHERE repeat_of = 2 AND place = 4"), 1);
}

/// A record out of a device's memory, made at this time of the device's own clock.
fn remembered(world: &World, time: Option<DeviceTime>) -> Observation {
    let from_memory = Some(DeviceRecordId { identity: "cuff".to_owned(), record: 7, time, digest: [1; 16] });
    Observation { from_memory, device_time: time, ..world.observation(49_000, 97) }
}

#[test]
fn what_a_device_remembers_from_before_its_binding_is_nobodys() {
    // The binding begins on 15 January 2027 at 8:00:00.
    let time = |hour, second| Some(DeviceTime { year: 2027, month: 1, day: 15, hour, minute: 0, second });
    for (time, subject_is_patient) in [(time(7, 59), false), (time(8, 0), true), (time(9, 0), true), (None, true)] {
        let mut world = World::new();
        let observation = remembered(&world, time);
        world.take(batch(vec![record(1, 1, vec![Entry::Observation(observation)])]));
        let expected = if subject_is_patient { Subject::Patient(world.patient) } else { Subject::Hub(HUB) };
        assert_eq!(told(&world)[0].0, expected, "{time:?}");
        let told = world.number("SELECT count(*) FROM technical_entry WHERE kind = 'made_before_binding'");
        assert_eq!(told, i64::from(!subject_is_patient), "{time:?}");
    }
}

#[test]
fn two_patients_devices_of_one_name_do_not_hide_each_others_records() {
    let mut world = World::new();
    let other = world.store.patient_add(&allow(Action::PatientAdd), &new_patient("9990548609"), at(1)).unwrap();
    let new = NewBinding { hub: HUB, device: "cuff".parse().unwrap(), slot: None, patient: other };
    let (bound, _) = world.store.bind(&allow(Action::Bind), &new, &mut world.alerts, at(2)).unwrap();
    let first = remembered(&world, None);
    let second = Observation { binding: Some(bound.binding), ..first.clone() };
    for (number, observation) in [(1, &first), (2, &second), (3, &second)] {
        world.take(batch(vec![record(number, 1, vec![Entry::Observation(observation.clone())])]));
    }
    assert_eq!(world.number("SELECT count(*) FROM observation WHERE repeat_of IS NULL"), 2);
    assert_eq!(world.number("SELECT repeat_of FROM observation WHERE place = 3"), 2);
}

#[test]
fn a_counter_is_never_given_out_twice_even_by_a_restored_store() {
    let mut world = World::new();
    let mut bind = |device: &str, now| {
        let new = NewBinding { hub: HUB, device: device.parse().unwrap(), slot: None, patient: world.patient };
        world.store.bind(&allow(Action::Bind), &new, &mut world.alerts, now).unwrap().0.settings_counter
    };
    let lost = [bind("thermometer", at(5)), bind("scale", at(5))];
    assert_eq!(lost[1], lost[0] + 1, "two in one millisecond differ");
    // A store from before both, and a moment later.
    let mut restored = World::new();
    restored.store.renew(at(60_000)).unwrap();
    let (counter, _) = restored.store.hub_settings(HUB).unwrap();
    let new = NewBinding { hub: HUB, device: "cuff".parse().unwrap(), slot: None, patient: restored.patient };
    let (bound, _) = restored.store.bind(&allow(Action::Bind), &new, &mut restored.alerts, at(60_001)).unwrap();
    assert!(counter < lost[0] && bound.settings_counter > lost[1], "{counter} {lost:?} {}", bound.settings_counter);
}

#[test]
fn nobody_ends_a_binding_of_a_patient_out_of_their_scope() {
    let mut world = World::new();
    let mine = NewPatient { ward: Ward::try_from("Ward 4".to_owned()).unwrap(), ..new_patient("9990548609") };
    let patient = world.store.patient_add(&allow(Action::PatientAdd), &mine, at(1)).unwrap();
    let scope = Scope::Wards(BTreeSet::from([mine.ward.clone()]));
    let token = TokenId::from_bytes([1; 16]);
    let actor = Actor::Bearer { token, name: "Fitter".to_owned(), role: Role::Administrator, scope };
    let bind = permit(&actor, Action::Bind).unwrap();
    let new = NewBinding { hub: HUB, device: "oximeter".parse().unwrap(), slot: None, patient };
    assert!(matches!(world.store.bind(&bind, &new, &mut world.alerts, at(2)), Err(StoreError::Unknown(_))));
    let (_, bindings) = world.store.hub_settings(HUB).unwrap();
    assert_eq!(bindings.iter().map(|row| row.binding).collect::<Vec<_>>(), [world.binding]);
    assert_eq!(super::people::entries(&world).pop().unwrap().outcome, AuditOutcome::OutOfScope);
    let other = NewBinding { device: "cuff".parse().unwrap(), ..new };
    assert!(world.store.bind(&bind, &other, &mut world.alerts, at(3)).is_ok());
}
