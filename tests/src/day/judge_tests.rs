//! The judge finds each fault that is planted.

use super::*;
use crate::day::align::tests::{all, reading, whole};

/// A day of a hundred seconds: noise in second 20, unplugged from 50 to 69.
fn played() -> Played {
    let mut ledger = whole(100);
    ledger[20].fate = Fate::Noisy;
    ledger[50..70].iter_mut().for_each(|second| second.fate = Fate::Unheard);
    ledger[70..].iter_mut().for_each(|second| second.opening = 2);
    Played { seconds: 100, noises: 1, unplugs: 1, ledger, ..Played::default() }
}

fn stored() -> Vec<Reading> {
    let heard = |reading: &Reading| !(490 < reading.tick && reading.tick < 700);
    all(&whole(100)).into_iter().filter(heard).collect()
}

fn states() -> Vec<State> {
    let state = |(tick, state): (i64, &str)| State { tick, state: state.to_owned() };
    [(0, "connected"), (495, "absent"), (700, "connected"), (1200, "absent")].map(state).to_vec()
}

fn failures_of(protocol: Protocol, readings: &[Reading], states: &[State], refused: u64, overrun: u64) -> Vec<String> {
    let played = played();
    judge(&Evidence { protocol, played: &played, readings, states, refused, overrun }).failures
}

fn failures(readings: &[Reading]) -> Vec<String> {
    failures_of(Protocol::NoninDf8, readings, &states(), 3, 0)
}

#[test]
fn a_day_as_it_was_shown_is_in_order() {
    let played = played();
    let (readings, states) = (stored(), states());
    let evidence = Evidence {
        protocol: Protocol::NoninDf8,
        played: &played,
        readings: &readings,
        states: &states,
        refused: 3,
        overrun: 0,
    };
    let verdict = judge(&evidence);
    let expected = Verdict { required: 76, stored: 80, gaps: 1, ..Verdict::default() };
    assert_eq!(verdict, expected);
}

#[test]
fn a_row_that_is_not_stored_is_found_unless_a_loss_entry_tells_of_it() {
    for gone in [1, 30, 49, 79] {
        let mut readings = stored();
        readings.remove(gone);
        assert_eq!(failures(&readings).len(), 1, "{gone}");
        assert!(failures(&readings)[0].contains("is not stored"));
        assert!(failures_of(Protocol::NoninDf8, &readings, &states(), 3, 1).is_empty());
    }
    // Noise costs its own second and the next.
    let mut readings = stored();
    readings.drain(20..22);
    assert!(failures(&readings).is_empty());
}

#[test]
fn a_row_that_is_stored_twice_is_found() {
    let mut readings = stored();
    readings.insert(31, readings[30]);
    for protocol in [Protocol::NoninDf8, Protocol::NoninDf7, Protocol::Bci] {
        let failures = failures_of(protocol, &readings, &states(), 3, 0);
        assert_eq!(failures, ["second 30 is stored twice"], "{protocol:?}");
    }
    // Before noise, and before a pulled plug, the hub's second of many frames may say the last one again.
    for place in [19, 49] {
        let mut readings = stored();
        readings.insert(place + 1, readings[place]);
        assert!(failures_of(Protocol::Bci, &readings, &states(), 3, 0).is_empty());
        assert_eq!(failures(&readings).len(), 1);
    }
}

#[test]
fn a_row_in_the_wrong_place_or_of_no_second_is_found() {
    let mut readings = stored();
    readings[30].pulse = Some(60);
    assert!(failures(&readings).iter().any(|failure| failure.contains("never shown")));
    let mut readings = stored();
    (readings[30], readings[31]) = (Reading { tick: 300, ..reading(31) }, Reading { tick: 310, ..reading(30) });
    assert!(failures(&readings).iter().any(|failure| failure.contains("never shown")));
    let mut readings = stored();
    readings.insert(50, Reading { tick: 600, ..reading(60) });
    assert!(failures(&readings).iter().any(|failure| failure.contains("never shown")), "nobody heard second 60");
}

#[test]
fn noise_may_make_a_few_readings_where_it_was_and_where_there_is_no_checksum() {
    let made = Reading { tick: 200, pulse: Some(300), spo2: Some(12) };
    let mut readings = stored();
    readings.insert(20, made);
    assert!(failures(&readings).is_empty());
    assert_eq!(failures_of(Protocol::Bci, &readings, &states(), 3, 0).len(), 1);
    readings.insert(20, made);
    readings.insert(20, made);
    assert_eq!(failures(&readings).len(), 1, "three of one noise are too many");
    let mut readings = stored();
    readings.insert(23, made);
    readings[19..24].iter_mut().for_each(|reading| reading.tick = 200);
    assert!(failures(&readings).is_empty(), "one read of the port held it and what was before and behind");
    let mut readings = stored();
    readings.insert(40, Reading { tick: 395, ..made });
    assert_eq!(failures(&readings).len(), 1, "no noise was there");
}

#[test]
fn gaps_without_a_state_and_noise_without_a_refusal_are_found() {
    let mut without = states();
    without.drain(1..3);
    let failures = failures_of(Protocol::NoninDf7, &stored(), &without, 3, 0);
    assert_eq!(failures.len(), 2, "{failures:?}");
    let mut reopened = played();
    reopened.ledger[80..].iter_mut().for_each(|second| second.opening = 3);
    let mut more = states();
    more.insert(3, State { tick: 795, state: "absent".to_owned() });
    more.insert(4, State { tick: 800, state: "connected".to_owned() });
    let readings = stored();
    let evidence = Evidence {
        protocol: Protocol::Bci,
        played: &reopened,
        readings: &readings,
        states: &more,
        refused: 3,
        overrun: 0,
    };
    assert_eq!(judge(&evidence).failures, ["unplugged 1 times and heard in 3 openings"]);
    assert_eq!(failures_of(Protocol::Bci, &stored(), &states(), 0, 0), Vec::<String>::new(), "one noise may pass");
    let mut played = played();
    played.noises = 100;
    let (readings, states) = (stored(), states());
    let evidence = Evidence {
        protocol: Protocol::Bci,
        played: &played,
        readings: &readings,
        states: &states,
        refused: 60,
        overrun: 0,
    };
    assert_eq!(judge(&evidence).failures.len(), 1);
}
