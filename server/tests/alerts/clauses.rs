//! A test for each clause, on both sides of its boundary.

use server::alerts::{AlertChange, AlertKind, Alerts, Pack, Priority, Subject};
use server::store::AlertSink;
use shared::metric::Metric;
use shared::reading::{NoReading, Quality};
use shared::wire::DeviceState;

use crate::bench::*;

const RAISED: AlertChange = AlertChange::Raised;
const RETURNED: AlertChange = AlertChange::Returned;

/// A bench that has raised `limit` at 60 s.
fn raised(clear_delay_s: u64) -> Bench {
    let mut bench = Bench::new(one_rule(clear_delay_s));
    for s in [0, 20, 40, 60] {
        bench.spo2(s, "88");
    }
    assert_eq!(bench.told(), [(60, RAISED, "limit", Priority::High)]);
    bench
}

#[test]
fn limits_are_exclusive() {
    for (text, raises) in [("90", false), ("90.0", false), ("89.9", true)] {
        let mut bench = Bench::new(one_rule(0));
        for s in (0..=60).step_by(10) {
            bench.spo2(s, text);
        }
        assert_eq!(bench.events.len(), usize::from(raises), "{text}");
    }
}

#[test]
fn persistence_is_reached_at_its_instant_and_not_before() {
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "88");
    bench.spo2(59, "88");
    bench.pass(59);
    assert!(bench.events.is_empty());
    bench.pass(60);
    assert_eq!(bench.told(), [(60, RAISED, "limit", Priority::High)]);
}

#[test]
fn an_observation_at_the_deadlines_instant_comes_before_it() {
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "88");
    bench.spo2(60, "95");
    bench.pass(61);
    assert!(bench.events.is_empty());
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "88");
    bench.spo2(61, "95");
    let told = bench.told();
    assert_eq!(told[0], (60, RAISED, "limit", Priority::High));
    assert_eq!(told[1], (61, RETURNED, "limit", Priority::High));
}

#[test]
fn a_gap_counts_and_says_signal_lost() {
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "70");
    bench.spo2(29, "70");
    bench.pass(100);
    assert_eq!(bench.told(), [(60, RAISED, "limit", Priority::High)]);
    assert!(bench.events[0].words.contains("last known 70 % at"), "{}", bench.events[0].words);
    assert!(bench.events[0].words.contains("signal lost"));
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "70");
    bench.spo2(30, "70");
    bench.pass(100);
    assert!(!bench.events[0].words.contains("signal lost"), "30 s is within the max-gap");
}

#[test]
fn gated_implausible_and_absent_neither_end_nor_start_a_run() {
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "88");
    bench.gated(20, "97");
    bench.none(30, NoReading::MissingData);
    bench.spo2(32, "0");
    bench.spo2(33, "88");
    bench.pass(60);
    assert_eq!(bench.told(), [(60, RAISED, "limit", Priority::High)]);
    let mut bench = Bench::new(one_rule(0));
    bench.gated(0, "80");
    bench.spo2(50, "88");
    bench.pass(109);
    assert!(bench.events.is_empty());
    bench.pass(110);
    assert_eq!(bench.events.len(), 1);
}

#[test]
fn a_valid_observation_that_does_not_breach_ends_the_run() {
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "88");
    bench.spo2(50, "90");
    bench.spo2(51, "88");
    bench.pass(110);
    assert!(bench.events.is_empty());
    bench.pass(111);
    assert_eq!(bench.events.len(), 1);
}

#[test]
fn the_deadband_applies_to_returning() {
    let mut bench = raised(0);
    bench.spo2(70, "91.9");
    assert_eq!(bench.events.len(), 1);
    bench.spo2(80, "92");
    assert_eq!(bench.told()[1], (80, RETURNED, "limit", Priority::High));
}

#[test]
fn recovery_is_shown_by_an_observation_at_the_clear_delays_end() {
    let mut bench = raised(30);
    bench.spo2(70, "95");
    bench.spo2(99, "95");
    bench.pass(101);
    assert_eq!(bench.events.len(), 1);
    bench.spo2(101, "95");
    assert_eq!(bench.told()[1], (101, RETURNED, "limit", Priority::High));
}

#[test]
fn a_gap_over_max_gap_restarts_the_clear_delay() {
    for (second, returns) in [(100, true), (101, false)] {
        let mut bench = raised(30);
        bench.spo2(70, "95");
        bench.spo2(second, "95");
        assert_eq!(bench.events.len() == 2, returns, "{second}");
    }
}

#[test]
fn a_breach_or_the_deadband_restarts_the_clear_delay() {
    for text in ["89", "91"] {
        let mut bench = raised(30);
        bench.spo2(70, "95");
        bench.spo2(80, text);
        bench.spo2(90, "95");
        bench.spo2(119, "95");
        assert_eq!(bench.events.len(), 1);
        bench.spo2(120, "95");
        assert_eq!(bench.events.len(), 2);
    }
}

#[test]
fn gated_and_implausible_values_do_not_recover() {
    let mut bench = raised(0);
    bench.spo2(64, "0");
    bench.gated(66, "98");
    bench.pass(100);
    assert!(bench.events.iter().all(|event| event.change == RAISED));
}

#[test]
fn a_breach_while_returned_raises_the_same_alert_again() {
    let mut bench = raised(0);
    bench.spo2(70, "95");
    bench.spo2(80, "88");
    bench.pass(140);
    let last = bench.events.last().unwrap();
    assert_eq!((last.change, last.occurrence, last.version), (AlertChange::RaisedAgain, 2, 3));
    assert_eq!(last.alert, bench.events[0].alert);
    assert!(bench.events.windows(2).all(|pair| pair[0].version + 1 == pair[1].version));
}

#[test]
fn a_gate_delays_and_never_suppresses() {
    let mut bench = Bench::new(one_rule(0));
    for s in (0..60).step_by(10) {
        bench.gated(s, "80");
    }
    bench.pass(59);
    assert!(bench.events.is_empty());
    bench.gated(60, "80");
    bench.gated(90, "80");
    assert_eq!(bench.told(), [(60, RAISED, "signal_poor:spo2", Priority::Medium)]);
    assert!(bench.events[0].words.contains("abnormal, signal poor: check patient"));
}

#[test]
fn a_valid_value_ends_the_gates_run() {
    let mut bench = Bench::new(one_rule(0));
    bench.gated(0, "80");
    bench.spo2(59, "95");
    bench.gated(60, "80");
    bench.pass(119);
    assert!(bench.events.is_empty());
    bench.pass(120);
    assert_eq!(bench.told(), [(120, RAISED, "signal_poor:spo2", Priority::Medium)]);
}

#[test]
fn a_spot_metric_raises_on_the_first_breaching_reading() {
    let mut bench = Bench::new(Pack::adult_default(1).unwrap());
    bench.value(0, Metric::Temperature, "39.0");
    assert!(bench.events.is_empty());
    bench.value(1, Metric::Temperature, "39.1");
    assert_eq!(bench.told(), [(1, RAISED, "temperature-high", Priority::Medium)]);
}

#[test]
fn zero_and_sensor_off_are_findings_within_seconds() {
    for off in [true, false] {
        let mut bench = Bench::new(one_rule(0));
        bench.spo2(0, "97");
        if off {
            bench.none(1, NoReading::SensorOff)
        } else {
            bench.spo2(1, "0")
        }
        bench.pass(5);
        assert!(bench.events.is_empty());
        bench.pass(6);
        assert_eq!(bench.told(), [(6, RAISED, "no_reading:spo2", Priority::Low)]);
        assert_eq!(bench.events[0].kind, AlertKind::Technical);
        bench.spo2(8, "97");
        assert_eq!(bench.told()[1].1, RETURNED);
    }
}

#[test]
fn a_finding_takes_the_priority_of_a_recent_red_state() {
    for (second, priority) in [(895, Priority::High), (896, Priority::Low)] {
        let mut bench = Bench::new(one_rule(0));
        bench.spo2(0, "88");
        bench.none(second, NoReading::SensorOff);
        bench.pass(second + 5);
        let found = bench.told().into_iter().find(|told| told.2 == "no_reading:spo2").unwrap();
        assert_eq!(found.3, priority, "{second}");
    }
}

#[test]
fn a_finding_takes_the_priority_of_a_falling_state() {
    for (text, priority) in [("94", Priority::High), ("95", Priority::Low)] {
        let mut bench = Bench::new(Pack::adult_default(1).unwrap());
        bench.spo2(0, "98");
        bench.spo2(60, text);
        bench.none(61, NoReading::SensorOff);
        bench.pass(66);
        assert_eq!(bench.told(), [(66, RAISED, "no_reading:spo2", priority)]);
    }
}

#[test]
fn absence_is_moved_by_live_valid_values_only() {
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "95");
    bench.gated(100, "95");
    bench.take(&observed(&reading(Metric::SpO2, "95", Quality::GOOD), 150_000, None), 150_000);
    bench.take(&observed(&reading(Metric::SpO2, "95", Quality::GOOD), 160_000, Some(30_001)), 190_001);
    let mut history = observed(&reading(Metric::SpO2, "95", Quality::GOOD), 200_000, Some(0));
    history.history = true;
    bench.take(&history, 200_000);
    bench.pass(299);
    assert!(bench.events.is_empty());
    bench.pass(300);
    assert_eq!(bench.told(), [(300, RAISED, "absent", Priority::Low)]);
    bench.spo2(400, "95");
    assert_eq!(bench.told()[1], (400, RETURNED, "absent", Priority::Low));
    bench.pass(700);
    assert_eq!(bench.told()[2].1, AlertChange::RaisedAgain);
}

#[test]
fn absence_names_its_cause_and_says_when_it_changes() {
    let mut bench = Bench::new(one_rule(0));
    bench.alerts.hub_connected(hub(), true, at_ms(0));
    bench.spo2(0, "95");
    bench.alerts.device_state(hub(), &"oximeter".parse().unwrap(), DeviceState::Absent, at_ms(10_000));
    bench.pass(300);
    assert!(bench.events[0].words.contains("device not there"), "{}", bench.events[0].words);
    let events = bench.alerts.hub_connected(hub(), false, at_ms(310_000));
    assert_eq!((events.len(), events[0].change, events[0].version), (1, AlertChange::Updated, 2));
    assert!(events[0].words.contains("hub not connected"), "{}", events[0].words);
    assert!(bench.alerts.hub_connected(hub(), false, at_ms(311_000)).is_empty());
}

#[test]
fn an_ended_binding_expects_nothing() {
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "95");
    let Subject::Patient(patient) = patient() else { panic!("a patient") };
    bench.alerts.bound(patient, hub(), &"oximeter".parse().unwrap(), false, at_ms(1000));
    bench.pass(1000);
    assert!(bench.events.is_empty());
}

#[test]
fn late_observations_are_not_evaluated() {
    let breach = reading(Metric::SpO2, "70", Quality::GOOD);
    for (age, counts) in [(Some(30_000), true), (Some(30_001), false), (None, false)] {
        let mut bench = Bench::new(one_rule(0));
        bench.take(&observed(&breach, 0, age), 30_000);
        bench.pass(60);
        assert_eq!(bench.events.len(), usize::from(counts), "{age:?}");
    }
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(10, "95");
    bench.take(&observed(&breach, 9_999, Some(1)), 10_000);
    bench.pass(100);
    assert!(bench.events.is_empty(), "captured before the newest evaluated");
    bench.take(&observed(&breach, 100_000, Some(0)), 100_000);
    bench.pass(160);
    assert_eq!(bench.events.len(), 1);
}

#[test]
fn an_unattributed_red_reading_raises_high_for_the_home() {
    let mut bench = Bench::new(Pack::adult_default(1).unwrap());
    bench.subject = Subject::Hub(hub());
    bench.spo2(0, "92");
    assert!(bench.events.is_empty());
    bench.spo2(1, "91");
    assert_eq!(bench.told(), [(1, RAISED, "unattributed:spo2-low", Priority::High)]);
    assert!(bench.events[0].words.starts_with(&format!("unattributed reading from home {}", hub())));
}

#[test]
fn heart_and_pulse_are_judged_apart() {
    let mut bench = Bench::new(Pack::adult_default(1).unwrap());
    for s in 0..=60 {
        bench.value(s, Metric::HeartRate, "135");
        bench.value(s, Metric::PulseRate, "80");
    }
    let rules: Vec<&str> = bench.events.iter().map(|event| event.rule.as_str()).collect();
    assert_eq!(rules, ["rate-very-high:heart_rate", "rate-high:heart_rate"]);
}

#[test]
fn a_restart_keeps_runs_deadlines_and_alerts() {
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "88");
    let states = bench.alerts.dirty_states();
    assert!(states.iter().all(|(_, bytes)| bytes.len() < 8192));
    let mut again = Alerts::new(one_rule(0));
    again.restore(states[0].0, &states[0].1).unwrap();
    assert_eq!(again.next_deadline(), bench.alerts.next_deadline());
    assert_eq!(again.deadlines(at_ms(400_000)), {
        // The causes differ: a server that restarted has not heard the hub.
        bench.alerts.hub_connected(hub(), true, at_ms(0));
        let mut events = bench.alerts.deadlines(at_ms(400_000));
        for event in &mut events {
            event.words = event.words.replace("cause unknown", "server was restarted, hub not heard since");
        }
        events
    });
    assert!(again.restore(patient(), b"\xffnonsense").is_err());
}

#[test]
fn what_does_not_commit_leaves_nothing() {
    let mut bench = Bench::new(one_rule(0));
    bench.spo2(0, "88");
    bench.alerts.commit();
    let before = bench.alerts.next_deadline();
    bench.spo2(10, "95");
    bench.alerts.roll_back();
    assert_eq!(bench.alerts.next_deadline(), before);
    assert!(bench.alerts.dirty_states().is_empty());
    bench.pass(60);
    assert_eq!(bench.events.len(), 1);
    bench.alerts.roll_back();
    bench.pass(60);
    assert_eq!(bench.events[0], bench.events[1], "the same deadline says the same again");
}
