//! One octet lost, added or changed on the way, at every place of a clean run of every protocol: what is handed on was sent,
//! or no rule takes it for a value.
#![allow(clippy::arithmetic_side_effects)]

use shared::plausibility::{Usability, mark_inconsistent, usability};
use shared::reading::Outcome;

use super::tests::{at, measurement, second};
use super::*;

/// What a rule would take for values in a report: each metric's digits and unit.
type Told = Vec<(String, String)>;

fn told(report: &Report) -> Told {
    let mut readings = report.readings.clone();
    mark_inconsistent(&mut readings);
    let valid = readings.iter().filter(|reading| matches!(usability(reading), Usability::Valid { .. }));
    let value = |reading: &shared::reading::Reading| match reading.outcome {
        Outcome::Value(value) => Some((format!("{:?}", reading.metric), format!("{} {:?}", value.decimal, value.unit))),
        Outcome::None(_) => None,
    };
    valid.filter_map(value).collect()
}

/// What a line comes to that brings these octets and then is silent.
fn heard(protocol: Protocol, octets: &[u8]) -> Vec<Told> {
    let mut decoder = StreamDecoder::new(protocol);
    let mut moments = decoder.moments(octets, at(0));
    moments.extend(std::iter::from_fn(|| decoder.expire(at(10_000))));
    moments.extend(decoder.finish());
    moments.iter().map(|moment| told(&moment.report)).collect()
}

/// A clean run of a protocol: its frames one behind the other.
struct Run {
    name: &'static str,
    protocol: Protocol,
    frames: Vec<Vec<u8>>,
    /// Every report that its frames come to.
    sent: Vec<Told>,
    /// One moment may have values of two frames: seconds are made of many.
    mixes: bool,
}

impl Run {
    /// `repeats`: how often a frame must come before all that it says is handed on.
    fn of(name: &'static str, protocol: Protocol, frames: Vec<Vec<u8>>, repeats: usize) -> Self {
        let sent: Vec<Told> = frames.iter().flat_map(|frame| heard(protocol, &frame.repeat(repeats))).collect();
        assert!(sent.iter().any(|told| !told.is_empty()), "{name}: nothing was sent");
        let mixes = matches!(protocol, Protocol::Bci | Protocol::Cms50V7 | Protocol::NoninDf2 | Protocol::NoninDf7);
        Self { name, protocol, frames, sent, mixes }
    }

    /// The moments of these octets that hold a value that was not sent, or values that were not sent together.
    fn wrong(&self, octets: &[u8]) -> Vec<Told> {
        let was_sent = |told: &Told| {
            let together = self.sent.iter().any(|sent| told.iter().all(|value| sent.contains(value)));
            together || (self.mixes && told.iter().all(|value| self.sent.iter().any(|sent| sent.contains(value))))
        };
        heard(self.protocol, octets).into_iter().filter(|told| !was_sent(told)).collect()
    }
}

/// The run of a board that sends no fourth octet.
const SHORT_DF8: &str = "nonin-df8, three octets";
const SHOWN: [(u16, u8); 3] = [(72, 97), (140, 91), (61, 88)];

/// A run of each protocol.
fn runs() -> Vec<Run> {
    let shown = |protocol| SHOWN.map(|(pulse, spo2)| second(protocol, pulse, spo2)).to_vec();
    let part = |protocol, count: usize| {
        let part = |frames: Vec<u8>| frames[..frames.len() / count].to_vec();
        shown(protocol).into_iter().map(part).collect::<Vec<_>>()
    };
    let measured = |protocol| [72, 140, 61].map(|pulse| measurement(protocol, pulse)).to_vec();
    let text = |lines: &[&str]| lines.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
    let with_line_feeds =
        shown(Protocol::MasimoAscii1).into_iter().map(|line| line.strip_suffix(b"\r\n").unwrap().to_vec());
    let with_line_feeds = with_line_feeds.map(|line| [&line[..], b"\n"].concat()).collect();
    vec![
        Run::of("nonin-df2", Protocol::NoninDf2, part(Protocol::NoninDf2, 3), 3),
        Run::of("nonin-df7", Protocol::NoninDf7, part(Protocol::NoninDf7, 3), 3),
        Run::of("nonin-df8, four octets", Protocol::NoninDf8, again(&shown(Protocol::NoninDf8)), 4),
        Run::of(SHORT_DF8, Protocol::NoninDf8, short_df8(), 6),
        Run::of("nonin-df13", Protocol::NoninDf13, shown(Protocol::NoninDf13), 1),
        Run::of("bci", Protocol::Bci, shown(Protocol::Bci), 1),
        Run::of("cms50-v7", Protocol::Cms50V7, shown(Protocol::Cms50V7), 1),
        Run::of("cms50-v7, stored", Protocol::Cms50V7, cms50_line::tests::stored(), 1),
        Run::of("masimo-ascii1", Protocol::MasimoAscii1, shown(Protocol::MasimoAscii1), 1),
        Run::of("masimo-ascii1, line feeds", Protocol::MasimoAscii1, with_line_feeds, 1),
        Run::of("suntech-nibp", Protocol::SuntechNibp, measured(Protocol::SuntechNibp), 1),
        Run::of("and-ua767pc", Protocol::AndUa767pc, text(&["804C4C4960\r\n", "80283C485D\r\n", "803250505D\r\n"]), 1),
        Run::of("and-scale", Protocol::AndScale, measured(Protocol::AndScale), 1),
        Run::of("lifescan", Protocol::Lifescan, measured(Protocol::Lifescan), 1),
        Run::of("lifescan-verio", Protocol::LifescanVerio, measured(Protocol::LifescanVerio), 1),
        Run::of("beurer-bm65", Protocol::BeurerBm65, measured(Protocol::BeurerBm65), 1),
    ]
}

fn short_df8() -> Vec<Vec<u8>> {
    let short = |(pulse, spo2): (u16, u8)| vec![0x80 | u8::try_from(pulse >> 7).unwrap(), (pulse & 127) as u8, spo2];
    again(&SHOWN.map(short))
}

/// The frames four times over: a line that has no checksum asks for several before it believes any.
fn again(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    frames.iter().cycle().take(frames.len() * 4).cloned().collect()
}

/// Octets to add or to put in another's place: all of them in a short run, in a long one those that frames begin with, that
/// separate lines, and some of each half.
fn octets(run: &[u8]) -> Vec<u8> {
    let some = [0x00, 0x01, 0x0A, 0x0D, 0x10, 0x20, 0x2D, 0x31, 0x3E, 0x48, 0x7F, 0x80, 0x85, 0xAC, 0xE2, 0xFF];
    if run.len() <= 160 { (0..=255).collect() } else { some.to_vec() }
}

/// What is wrong with what `change` makes of each place of the run; of a long one, of its middle.
fn wrong(run: &Run, octets: &[u8], change: impl Fn(&mut Vec<u8>, usize, u8) -> bool) -> Vec<String> {
    let clean = run.frames.concat();
    let third = if run.mixes { clean.len() / 3 } else { 0 };
    let mut found = Vec::new();
    for place in third..clean.len() - third {
        for octet in octets {
            let mut line = clean.clone();
            if !change(&mut line, place, *octet) {
                continue;
            }
            for told in run.wrong(&line) {
                found.push(format!("{}: {octet:02X} at {place}: {told:?} of {}", run.name, shared::hex::encode(&line)));
            }
        }
    }
    found
}

/// Nothing is wrong with any run.
fn none_is_wrong(wrong: impl Fn(&Run) -> Vec<String>) {
    let found: Vec<String> = runs().iter().flat_map(|run| wrong(run).into_iter().take(3)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_lost_octet_makes_no_value_that_was_not_sent() {
    none_is_wrong(|run| {
        wrong(run, &[0], |line, place, _| {
            line.remove(place);
            true
        })
    });
}

#[test]
fn an_added_octet_makes_no_value_that_was_not_sent() {
    none_is_wrong(|run| {
        wrong(run, &octets(&run.frames.concat()), |line, place, octet| {
            line.insert(place, octet);
            run.name != SHORT_DF8
        })
    });
}

/// Whether a changed octet of this protocol cannot be seen, and why.
fn cannot_be_seen(run: &Run, before: u8, after: u8) -> Option<&'static str> {
    let digits = |is_digit: fn(&u8) -> bool| is_digit(&before) && is_digit(&after);
    match run.name {
        "nonin-df8, four octets" | SHORT_DF8 => Some("one frame a second without a checksum"),
        "cms50-v7, stored" => Some("a second is said once, without a checksum"),
        "beurer-bm65" => Some("a result is said once, without a checksum"),
        "masimo-ascii1" | "masimo-ascii1, line feeds" | "and-scale" if digits(u8::is_ascii_digit) => {
            Some("a digit in another's place, without a checksum")
        }
        "and-ua767pc" if digits(u8::is_ascii_hexdigit) => Some("a digit in another's place, without a checksum"),
        _ => None,
    }
}

#[test]
fn a_changed_octet_makes_no_value_that_was_not_sent_where_that_can_be_seen() {
    none_is_wrong(|run| {
        wrong(run, &octets(&run.frames.concat()), |line, place, octet| {
            let before = std::mem::replace(&mut line[place], octet);
            before != octet && cannot_be_seen(run, before, octet).is_none()
        })
    });
}

#[test]
fn an_octet_added_to_a_frame_of_three_costs_one_second_at_most() {
    // Without a fourth octet nothing in the frame tells; the octet that is left over does, for what follows.
    let runs = runs();
    let run = runs.iter().find(|run| run.name == SHORT_DF8).unwrap();
    let clean = run.frames.concat();
    for place in 0..clean.len() {
        for octet in 0..=255 {
            let mut line = clean.clone();
            line.insert(place, octet);
            let wrong = run.wrong(&line);
            assert!(wrong.len() <= 1, "{octet:02X} at {place}: {wrong:?}");
            let saturation = wrong.iter().flatten().find(|(metric, _)| metric == "SpO2");
            let is_range = |digits: &str| digits.split(' ').next().unwrap().parse::<u8>().unwrap() <= 100;
            assert!(saturation.is_none_or(|(_, digits)| is_range(digits)), "{wrong:?}");
        }
    }
}
