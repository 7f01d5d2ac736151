//! Records of continuous glucose, and what they come to.
#![allow(clippy::arithmetic_side_effects)]
use proptest::prelude::*;
use shared::reading::Outcome;

use super::*;

/// A record of 120 mg/dL in minute 6 with these octets of status, calibration and warning.
fn record(octets: [u8; 3]) -> Vec<u8> {
    [&[9, 0xE0, 0x78, 0x00, 6, 0][..], &octets].concat()
}

fn report(value: &[u8]) -> Report {
    CgmRecords::of(value, E2eCrc::NotSent).unwrap().iter().next().unwrap().report(None, false, Sample::Interstitial)
}

#[test]
fn a_record_is_of_interstitial_fluid() {
    let value = Reading::value(Metric::InterstitialGlucose, 120.into(), Unit::MilligramPerDecilitre, Quality::GOOD);
    assert_eq!(report(&record([0; 3])).readings[..], [value]);
}

#[test]
fn each_bit_of_status_and_calibration() {
    let none = [
        ([1, 0, 0], NoReading::Stale),
        ([4, 0, 0], NoReading::SensorFault),
        ([8, 0, 0], NoReading::SensorFault),
        ([0x20, 0, 0], NoReading::DeviceFault),
        ([0, 0, 0x40], NoReading::BelowRange),
        ([0, 0, 0x80], NoReading::AboveRange),
    ];
    for (octets, why) in none {
        assert_eq!(report(&record(octets)).readings[0].outcome, Outcome::None(why), "{octets:?}");
    }
    let kept = [
        ([2, 0, 0], Quality::LOW_BATTERY),
        ([0x10, 0, 0], Quality::GOOD),
        ([0, 1, 0], Quality::DEVICE_CLOCK),
        ([0, 2, 0], Quality::GOOD),
        ([0, 4, 0], Quality::GOOD),
        ([0, 8, 0], Quality::CALIBRATION_DUE),
        ([0, 0x10, 0], Quality::WRONG_CONDITIONS),
        ([0, 0x20, 0], Quality::WRONG_CONDITIONS),
        ([0, 0, 0x3F], Quality::GOOD),
    ];
    for (octets, quality) in kept {
        let reading = report(&record(octets)).readings[0].clone();
        assert!(matches!(reading.outcome, Outcome::Value(_)) && reading.quality == quality, "{octets:?}");
    }
    assert_eq!(CgmRecords::of(&record([0, 0, 0xC0]), E2eCrc::NotSent), Err(RefusedFrame::Contradiction));
}

#[test]
fn what_is_measured_decides_what_the_value_is_of() {
    let value = record([0; 3]);
    let read = CgmRecords::of(&value, E2eCrc::NotSent).unwrap().iter().next().unwrap();
    let reading = |number| read.report(None, false, Sample::of(number)).readings[0].clone();
    let value = |metric| Reading::value(metric, 120.into(), Unit::MilligramPerDecilitre, Quality::GOOD);
    let none = |why| Reading::none(Metric::InterstitialGlucose, why, Quality::GOOD);
    for number in 0..16 {
        let expected = match number {
            1..=8 => value(Metric::Glucose),
            9 => value(Metric::InterstitialGlucose),
            10 => none(NoReading::ControlSolution),
            _ => none(NoReading::Reserved),
        };
        assert_eq!(reading(number), expected, "{number}");
    }
}

#[test]
fn a_value_of_low_quality_is_questionable() {
    // 50, 49, 100, 101 and 0 per cent, 49.9, NaN and beyond range.
    for (octets, is_doubted) in [
        ([0x32, 0], false),
        ([0x31, 0], true),
        ([0x64, 0], false),
        ([0x65, 0], true),
        ([0, 0], true),
        ([0xF3, 0xF1], true),
        ([0xFF, 0x07], true),
        ([0xFE, 0x07], true),
    ] {
        let value = [&[8, 2, 120, 0, 6, 0][..], &octets].concat();
        assert_eq!(report(&value).readings[0].quality.contains(Quality::QUESTIONABLE), is_doubted, "{octets:02X?}");
    }
}

#[test]
fn trend_and_quality_stand_behind_the_octets() {
    let value = [11, 0xA3, 0x78, 0x00, 6, 0, 0, 0x04, 0x02, 0xF0, 0x64];
    assert_eq!(CgmRecords::of(&value, E2eCrc::NotSent), Err(RefusedFrame::Length), "the flags say 12");
    let value = [12, 0xA3, 0x78, 0x00, 6, 0, 0, 0x04, 0x02, 0xF0, 0x64, 0];
    let read = CgmRecords::of(&value, E2eCrc::NotSent).unwrap().iter().next().unwrap();
    assert_eq!(read.trend.map(|trend| trend.unwrap().to_string()), Some("0.2".into()));
    assert_eq!(read.quality.map(|quality| quality.unwrap().to_string()), Some("100".into()));
    assert_eq!(read.warning.map(|warning| warning.names().collect::<Vec<_>>()), Some(vec!["below-hypo"]));
}

#[test]
fn a_crc_is_asked_for_when_it_was_announced() {
    let with: &[u8] = &[8, 0, 0x0C, 0x10, 6, 0, 0x59, 0x6F];
    let without: &[u8] = &[6, 0, 0x0C, 0x10, 6, 0];
    for (crc, with_is, without_is) in [
        (E2eCrc::Sent, Ok(1), Err(RefusedFrame::Length)),
        (E2eCrc::NotSent, Err(RefusedFrame::Length), Ok(1)),
        (E2eCrc::BySize, Ok(1), Ok(1)),
    ] {
        let count = |value| CgmRecords::of(value, crc).map(|records| records.iter().count());
        assert_eq!((count(with), count(without)), (with_is, without_is), "{crc:?}");
    }
    let wrong = [8, 0, 0x0C, 0x10, 6, 0, 0x6F, 0x59];
    assert_eq!(CgmRecords::of(&wrong, E2eCrc::BySize), Err(RefusedFrame::Checksum));
}

#[test]
fn one_bad_record_refuses_the_notification() {
    let good = record([0; 3]);
    let two = [&good[..], &good[..]].concat();
    assert_eq!(CgmRecords::of(&two, E2eCrc::BySize).map(|records| records.iter().count()), Ok(2));
    for cut in 1..9 {
        assert_eq!(CgmRecords::of(&two[..18 - cut], E2eCrc::BySize), Err(RefusedFrame::Length));
    }
    assert_eq!(CgmRecords::of(&[], E2eCrc::BySize), Err(RefusedFrame::Length));
    assert_eq!(CgmRecords::of(&[0, 0], E2eCrc::BySize), Err(RefusedFrame::Length), "no endless record of no octets");
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..40)) {
        for crc in [E2eCrc::Sent, E2eCrc::NotSent, E2eCrc::BySize] {
            if let Ok(records) = CgmRecords::of(&value, crc) {
                prop_assert!(records.iter().all(|record| record.report(None, true, Sample::Interstitial).readings.len() == 1));
            }
        }
    }
}
