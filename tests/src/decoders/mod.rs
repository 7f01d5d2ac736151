//! Random and changed octets for every decoder: each serial protocol, each Bluetooth characteristic and each maker's layout. No octets may make a
//! decoder panic, go on for ever, or say what no reading can be.

mod makers;
mod octets;
mod seeds;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use agent::decode::ble::{Characteristic, Values};
use agent::decode::quirks::Quirks;
use agent::decode::{Protocol, RefusedFrame, Report, StreamDecoder};
use serde_json::{Value as Json, json};
use shared::observation::Captured;
use shared::reading::Outcome;
use shared::time::{ClockState, Tick, Timestamp};

use crate::door_campaign::draw::Draw;
pub use makers::Layouts;
pub use seeds::Seeds;

/// The longest that one case may take; its octets are a few kilobytes at most.
const CASE_WITHIN: Duration = Duration::from_secs(1);
/// Failures that are told of one decoder; more are counted.
const FAILURES_TOLD: usize = 5;

/// The glucose measurement of sequence number 7, which says that its context follows.
const GLUCOSE: [u8; 17] = [0x1B, 7, 0, 0xE3, 7, 2, 0x1B, 0x0B, 0x0A, 0x1E, 0xFB, 0xFF, 0x1E, 0, 0x12, 5, 1];

/// What is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoder {
    /// A serial line.
    Line(Protocol),
    /// A characteristic's values.
    Value(Characteristic),
    /// A maker's layout, or what describes a device.
    Layout(Layouts),
}

impl Decoder {
    /// Every decoder.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let lines = Protocol::ALL.into_iter().map(Self::Line);
        let values = Characteristic::ALL.into_iter().map(Self::Value);
        lines.chain(values).chain(Layouts::ALL.into_iter().map(Self::Layout)).collect()
    }
}

impl fmt::Display for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(protocol) => protocol.fmt(f),
            Self::Value(characteristic) => write!(f, "{characteristic:?}"),
            Self::Layout(layout) => layout.fmt(f),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many cases for each decoder.
    pub cases: u64,
    /// What they are drawn from.
    pub seed: u64,
}

/// What one decoder did.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Which.
    pub decoder: Decoder,
    /// How many cases it was given.
    pub cases: u64,
    /// How many octets they had.
    pub octets: u64,
    /// Frames or values that were believed.
    pub accepted: u64,
    /// Frames or values that were refused.
    pub refused: u64,
    /// Readings that came of them.
    pub readings: u64,
    /// How long all took.
    pub took: Duration,
    /// How long the slowest took.
    pub slowest: Duration,
    /// How many cases failed.
    pub failed: u64,
    /// What the first of them did, with the number of the case.
    pub failures: Vec<String>,
}

impl Figures {
    /// Cases a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)] // figures for people
        let cases = self.cases as f64;
        cases / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "decoder": self.decoder.to_string(),
            "cases": self.cases,
            "octets": self.octets,
            "accepted": self.accepted,
            "refused": self.refused,
            "readings": self.readings,
            "cases_per_second": self.rate().round(),
            "slowest_us": self.slowest.as_micros(),
            "failed": self.failed,
            "failures": self.failures,
        })
    }
}

/// What one case came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    accepted: u64,
    refused: u64,
    readings: u64,
}

/// Gives a decoder its cases. The same plan and seeds give the same octets.
#[must_use]
pub fn run(decoder: Decoder, plan: Plan, seeds: &Seeds) -> Figures {
    let frames = seeds.of(decoder);
    let mut figures = Figures {
        decoder,
        cases: plan.cases,
        octets: 0,
        accepted: 0,
        refused: 0,
        readings: 0,
        took: Duration::ZERO,
        slowest: Duration::ZERO,
        failed: 0,
        failures: Vec::new(),
    };
    for case in 0..plan.cases {
        let mut draw = Draw::new(plan.seed, case);
        let parts = match decoder {
            Decoder::Line(_) => octets::line(&mut draw, frames),
            Decoder::Value(_) | Decoder::Layout(_) => octets::values(&mut draw, frames),
        };
        figures.octets += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let begin = Instant::now();
        let found = attempt(|| match decoder {
            Decoder::Line(protocol) => decode_line(protocol, &parts),
            Decoder::Value(characteristic) => decode_values(characteristic, quirks(&mut draw), &parts),
            Decoder::Layout(layout) => layout.decode(&parts),
        });
        let took = begin.elapsed();
        figures.took += took;
        figures.slowest = figures.slowest.max(took);
        let failure = match found {
            Ok(_) if took > CASE_WITHIN => format!("it took {took:?}"),
            Ok(counts) => {
                figures.accepted += counts.accepted;
                figures.refused += counts.refused;
                figures.readings += counts.readings;
                continue;
            }
            Err(why) => why,
        };
        figures.failed += 1;
        if figures.failures.len() < FAILURES_TOLD {
            figures.failures.push(format!("case {case}: {failure}: {}", shared::hex::encode(&parts.concat())));
        }
    }
    figures
}

/// Does it, and makes of a panic what it said.
fn attempt(case: impl FnOnce() -> Result<Counts, String>) -> Result<Counts, String> {
    catch_unwind(AssertUnwindSafe(case)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("it panicked: {}", said.unwrap_or("without a word")))
    })
}

fn decode_line(protocol: Protocol, parts: &[Vec<u8>]) -> Result<Counts, String> {
    let mut decoder = StreamDecoder::new(protocol);
    let mut counts = Counts::default();
    let mut wrong = None;
    for (part, millis) in parts.iter().zip((0..).step_by(100)) {
        decoder.push(part, at(millis), &mut |moment| match readings_of(&moment.report) {
            Ok(0) => wrong = Some("a moment of a line has no readings".to_owned()),
            Ok(readings) => counts.readings += readings,
            Err(why) => wrong = Some(why),
        });
    }
    for moment in [decoder.expire(at(60_000)), decoder.finish()].into_iter().flatten() {
        counts.readings += readings_of(&moment.report)?;
    }
    let tally = decoder.take_tally();
    (counts.accepted, counts.refused) = (tally.accepted, tally.refused_in_all());
    let octets = parts.iter().map(|part| part.len() as u64).sum::<u64>();
    if counts.accepted.saturating_mul(2) > octets {
        wrong = Some(format!("{} frames in {octets} octets", counts.accepted));
    }
    wrong.map_or(Ok(counts), Err)
}

fn decode_values(characteristic: Characteristic, quirks: Quirks, parts: &[Vec<u8>]) -> Result<Counts, String> {
    let mut values = Values::new(quirks);
    let mut counts = Counts::default();
    let mut wrong = None;
    for part in parts {
        // A glucose context is believed behind its measurement only.
        if characteristic == Characteristic::GlucoseContext
            && let Err(why) = values.read(Characteristic::Glucose, &GLUCOSE, &mut |_| {})
        {
            wrong = Some(format!("the measurement before it: {}", why.explained()));
        }
        let read = values.read(characteristic, part, &mut |report| match readings_of(&report) {
            Ok(readings) => counts.readings += readings,
            Err(why) => wrong = Some(why),
        });
        match read {
            Ok(()) => counts.accepted += 1,
            // These are reasons for a recording only.
            Err(RefusedFrame::Line | RefusedFrame::Cell) => wrong = Some("refused as a recording is".to_owned()),
            Err(_) => counts.refused += 1,
        }
    }
    wrong.map_or(Ok(counts), Err)
}

/// How many readings it has, if each can be one: its metric once, in a unit that the metric has.
fn readings_of(report: &Report) -> Result<u64, String> {
    for (place, reading) in report.readings.iter().enumerate() {
        if report.readings[..place].iter().any(|other| other.metric == reading.metric) {
            return Err(format!("{} twice", reading.metric.name()));
        }
        if let Outcome::Value(value) = reading.outcome
            && !reading.metric.units().contains(&value.unit)
        {
            return Err(format!("{} in {}", reading.metric.name(), value.unit.ucum()));
        }
    }
    Ok(report.readings.len() as u64)
}

fn quirks(draw: &mut Draw) -> Quirks {
    let mut once_in_four = || draw.once_in(4);
    Quirks {
        cuff_tail_big_endian: once_in_four(),
        cuff_user_always: once_in_four(),
        mass_in_tenfold_steps: once_in_four(),
        zero_is_no_value: once_in_four(),
        mass_steps_unknown: once_in_four(),
        holds_values_without_finger: once_in_four(),
    }
}

fn at(millis: u64) -> Captured {
    let wall = Timestamp::from_millis(1_774_000_000_000);
    Captured { tick: Tick::from_millis(millis), wall, clock: ClockState::Synchronised }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Plan = Plan { cases: 300, seed: 1 };

    #[test]
    fn no_octets_harm_a_decoder() {
        let seeds = Seeds::read().unwrap();
        for decoder in Decoder::all() {
            let figures = run(decoder, SHORT, &seeds);
            assert!(figures.failures.is_empty(), "{decoder}: {:#?}", figures.failures);
            assert!(figures.refused > 0, "{decoder}: nothing was refused");
            let seeded = !seeds.of(decoder).is_empty();
            assert!(!seeded || figures.accepted > 0, "{decoder}: nothing that was changed a little was believed");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same() {
        let seeds = Seeds::read().unwrap();
        let counts = |seed| {
            let figures = run(Decoder::Line(Protocol::NoninDf7), Plan { cases: 100, seed }, &seeds);
            (figures.octets, figures.accepted, figures.refused)
        };
        assert_eq!(counts(7), counts(7));
        assert_ne!(counts(7), counts(8));
    }

    #[test]
    fn a_panic_is_a_failure() {
        let panics = |text: &'static str| attempt(|| Err(Vec::<String>::new().remove(text.len())));
        assert!(panics("octets").unwrap_err().starts_with("it panicked: removal index"));
        assert_eq!(attempt(|| Ok(Counts::default())), Ok(Counts::default()));
    }
}
