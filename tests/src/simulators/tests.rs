//! The agent reads what simulated oximeters send.

use agent::decode::StreamDecoder;
use shared::observation::Captured;
use shared::reading::Outcome;
use shared::time::{ClockState, Tick, Timestamp};

use super::*;

fn shown(protocol: Protocol, courses: &[Vitals]) -> Vec<Vec<Option<i64>>> {
    let mut decoder = StreamDecoder::new(protocol.name().parse().unwrap());
    let mut moments = Vec::new();
    for (second, vitals) in courses.iter().enumerate() {
        let frames = protocol.second(vitals, second as u64);
        for (place, frame) in frames.iter().enumerate() {
            let at = second as u64 * 1000 + place as u64 * 1000 / frames.len() as u64;
            let (tick, wall) = (Tick::from_millis(at), Timestamp::from_millis(0));
            decoder
                .push(frame, Captured { tick, wall, clock: ClockState::NeverSet }, &mut |moment| moments.push(moment));
        }
    }
    let value = |outcome: &Outcome| match outcome {
        Outcome::Value(value) => Some(value.decimal.mantissa()),
        Outcome::None(_) => None,
    };
    moments
        .iter()
        .map(|moment| moment.report.readings.iter().map(|reading| value(&reading.outcome)).collect())
        .collect()
}

#[test]
fn the_agent_reads_what_was_shown_in_every_protocol() {
    let good = Vitals { pulse: Some(140), spo2: Some(93), finger: true };
    for protocol in Protocol::ALL {
        let seen = shown(protocol, &[good.clone(), good.clone(), good.clone(), good.clone()]);
        assert!(seen.len() >= 3, "{protocol:?}: {seen:?}");
        assert!(seen.iter().all(|readings| *readings == [Some(93), Some(140)]), "{protocol:?}: {seen:?}");
    }
}

#[test]
fn without_a_finger_there_is_no_value_in_any_protocol() {
    for protocol in Protocol::ALL {
        let seen = shown(protocol, &[Vitals::OFF, Vitals::OFF, Vitals::OFF, Vitals::OFF]);
        assert!(seen.len() >= 3 && seen.iter().flatten().all(Option::is_none), "{protocol:?}: {seen:?}");
    }
}
