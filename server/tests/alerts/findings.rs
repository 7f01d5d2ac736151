//! Findings about what does not come: devices never heard, falls before a loss.

use server::alerts::{AlertChange, Pack, Priority, Subject};
use server::store::AlertSink;
use shared::reading::NoReading;

use crate::bench::*;

const RAISED: AlertChange = AlertChange::Raised;
const RETURNED: AlertChange = AlertChange::Returned;

#[test]
fn a_slow_fall_is_told_also_right_after_its_second_point() {
    let mut bench = Bench::new(Pack::adult_default(1).unwrap());
    for (second, value) in (0..=302).zip(std::iter::repeat_n("97", 60).chain(std::iter::repeat("93"))) {
        bench.spo2(second, value);
    }
    bench.none(303, NoReading::SensorOff);
    bench.pass(308);
    assert_eq!(bench.told(), [(308, RAISED, "no_reading:spo2", Priority::High)]);
}

#[test]
fn a_bound_device_that_is_never_heard_raises() {
    let mut bench = Bench::new(one_rule(0));
    let Subject::Patient(patient) = patient() else { panic!("a patient") };
    bench.alerts.bound(patient, hub(), &"oximeter".parse().unwrap(), true, at_ms(0));
    bench.pass(299);
    assert!(bench.events.is_empty());
    bench.pass(300);
    assert_eq!(bench.told(), [(300, RAISED, "bound_device_not_heard", Priority::Low)]);
    bench.none(310, NoReading::SensorOff);
    assert_eq!(bench.events.len(), 1, "a device without a value is not heard");
    bench.spo2(320, "95");
    assert!(bench.told().contains(&(320, RETURNED, "bound_device_not_heard", Priority::Low)));
}

#[test]
fn a_bound_device_that_is_heard_in_time_raises_nothing() {
    let mut bench = Bench::new(one_rule(0));
    let Subject::Patient(patient) = patient() else { panic!("a patient") };
    bench.alerts.bound(patient, hub(), &"oximeter".parse().unwrap(), true, at_ms(0));
    bench.spo2(299, "95");
    bench.pass(301);
    assert!(bench.events.is_empty());
    bench.alerts.bound(patient, hub(), &"cuff".parse().unwrap(), true, at_ms(302_000));
    bench.alerts.bound(patient, hub(), &"cuff".parse().unwrap(), false, at_ms(303_000));
    bench.alerts.bound(patient, hub(), &"oximeter".parse().unwrap(), false, at_ms(303_000));
    bench.pass(2000);
    assert!(bench.events.is_empty());
}
