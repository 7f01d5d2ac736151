#![allow(clippy::arithmetic_side_effects)]

use super::*;
use shared::observation::Captured;
use shared::reading::{NoReading, Quality};
use shared::time::{ClockState, Timestamp};
use shared::units::Unit;

fn captured(millis: u64) -> Captured {
    Captured { tick: Tick::from_millis(millis), wall: Timestamp::from_millis(0), clock: ClockState::NeverSet }
}

fn observation(reading: Reading, millis: u64) -> Entry {
    Entry::Observation(Observation {
        device: "oximeter".parse().unwrap(),
        slot: None,
        binding: None,
        reading,
        captured: captured(millis),
        device_time: None,
        from_memory: None,
    })
}

fn spo2(value: i64) -> Reading {
    Reading::value(Metric::SpO2, Decimal::from(value), Unit::Percent, Quality::GOOD)
}

fn pulse(value: i64) -> Reading {
    Reading::value(Metric::PulseRate, Decimal::from(value), Unit::PerMinute, Quality::GOOD)
}

/// Pushes one reading at a moment and says whether it was kept.
fn kept(open: &mut OpenRecords, reading: Reading, millis: u64) -> bool {
    open.push(observation(reading, millis), 40, Tick::from_millis(millis));
    let closed = open.next_closed(Tick::from_millis(millis));
    let kept = closed.is_some_and(|closed| closed.keep);
    let _ = open.close_all();
    kept
}

#[test]
fn the_first_of_each_minute_is_kept_and_the_rest_is_thinnable() {
    let mut open = OpenRecords::default();
    assert!(kept(&mut open, spo2(97), 0));
    assert!(!kept(&mut open, spo2(97), 1_000));
    assert!(!kept(&mut open, spo2(96), 59_999));
    assert!(kept(&mut open, spo2(97), 60_000));
    assert!(kept(&mut open, pulse(70), 60_001), "each metric has its own first");
}

#[test]
fn values_outside_the_widest_limits_are_kept_on_both_sides() {
    let mut open = OpenRecords::default();
    let _ = (kept(&mut open, spo2(97), 0), kept(&mut open, pulse(70), 0));
    assert!(!kept(&mut open, spo2(92), 1));
    assert!(kept(&mut open, spo2(91), 2));
    assert!(!kept(&mut open, pulse(41), 3));
    assert!(kept(&mut open, pulse(40), 4));
    assert!(!kept(&mut open, pulse(130), 5));
    assert!(kept(&mut open, pulse(131), 6));
}

#[test]
fn a_change_of_standing_is_kept_both_ways() {
    let mut open = OpenRecords::default();
    let _ = kept(&mut open, spo2(97), 0);
    let off = Reading::none(Metric::SpO2, NoReading::SensorOff, Quality::GOOD);
    assert!(kept(&mut open, off.clone(), 1_000));
    assert!(!kept(&mut open, off, 2_000));
    assert!(kept(&mut open, spo2(97), 3_000));
    let gated = Reading { quality: Quality::ARTEFACT, ..spo2(97) };
    assert!(kept(&mut open, gated, 4_000));
}

#[test]
fn spot_measurements_and_technical_entries_are_kept() {
    let mut open = OpenRecords::default();
    let weight = Reading::value(Metric::Weight, Decimal::new(725, -1), Unit::Kilogram, Quality::GOOD);
    assert!(kept(&mut open, weight.clone(), 0));
    assert!(kept(&mut open, weight, 1));
    open.push(Entry::Void(shared::sequence::Range::one(shared::sequence::Sequence::FIRST)), 4, Tick::from_millis(2));
    assert!(open.next_closed(Tick::from_millis(2)).unwrap().keep);
}

#[test]
fn a_thinnable_record_closes_by_age_and_by_size() {
    let mut open = OpenRecords::default();
    let _ = kept(&mut open, spo2(97), 0);
    open.push(observation(spo2(97), 1_000), 40, Tick::from_millis(1_000));
    assert_eq!(open.next_deadline(), Some(Tick::from_millis(1_250)));
    assert_eq!(open.next_closed(Tick::from_millis(1_249)), None);
    assert_eq!(open.next_closed(Tick::from_millis(1_250)).unwrap().entries.len(), 1);
    assert_eq!(open.next_deadline(), None);
    open.push(observation(spo2(97), 2_000), limits::RECORD_CLOSES_AT_BYTES - 1, Tick::from_millis(2_000));
    assert_eq!(open.next_closed(Tick::from_millis(2_000)), None);
    open.push(observation(spo2(97), 2_001), 1, Tick::from_millis(2_001));
    assert_eq!(open.next_closed(Tick::from_millis(2_001)).unwrap().entries.len(), 2);
}

fn summary(number: u32, keep_pending: u64, thinnable: u64, pending: u64, is_head: bool) -> Summary {
    Summary { number, keep_pending, thinnable, pending, is_head }
}

#[test]
fn relief_takes_released_then_thinnable_then_keep_each_oldest_first() {
    let released = [summary(1, 5, 5, 10, false), summary(2, 0, 9, 0, false), summary(3, 1, 1, 2, true)];
    assert_eq!(relieve(&released), Some(Relief::RemoveReleased(2)));
    let mixed = [summary(1, 5, 0, 5, false), summary(2, 3, 9, 12, false), summary(3, 1, 1, 2, true)];
    assert_eq!(relieve(&mixed), Some(Relief::Thin(2)));
    let only_thinnable = [summary(1, 0, 9, 9, false), summary(3, 1, 1, 2, true)];
    assert_eq!(relieve(&only_thinnable), Some(Relief::Remove(1)));
    let head_has_thinnable = [summary(1, 5, 0, 5, false), summary(3, 1, 1, 2, true)];
    assert_eq!(relieve(&head_has_thinnable), Some(Relief::EndHead));
    let keep_only = [summary(1, 5, 0, 5, false), summary(2, 5, 0, 5, false), summary(3, 1, 0, 1, true)];
    assert_eq!(relieve(&keep_only), Some(Relief::Remove(1)));
    assert_eq!(relieve(&[summary(3, 0, 0, 0, true)]), None);
}
