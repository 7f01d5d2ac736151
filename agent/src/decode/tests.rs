//! Frames to decode, the shared vectors, and what holds for every protocol.
#![allow(clippy::arithmetic_side_effects, clippy::print_stdout)]

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::Value as Json;
use shared::hex;
use shared::metric::Metric;
use shared::observation::Captured;
use shared::reading::{NoReading, Outcome};
use shared::time::{ClockState, Tick, Timestamp};

use super::nonin_packet::Variant;
use super::*;

pub(crate) fn at(millis: u64) -> Captured {
    let wall = Timestamp::from_millis(1_774_000_000_000 + i64::try_from(millis).unwrap());
    Captured { tick: Tick::from_millis(millis), wall, clock: ClockState::Synchronised }
}

pub(crate) fn nonin_packet(variant: Variant, pulse: u16, spo2: u8, status: u8) -> Vec<u8> {
    let (high, low) = (u8::try_from(pulse >> 7).unwrap(), u8::try_from(pulse & 127).unwrap());
    let mut packet = Vec::new();
    for number in 1..=25 {
        let status = status | u8::from(number == 1);
        let float = match number {
            1 | 14 | 20 | 22 => high,
            2 | 15 | 21 | 23 => low,
            3 | 9 | 16 | 17 => spo2,
            4 => 48,
            _ => 0,
        };
        let head = match variant {
            Variant::Df2 => [1, status, 100, float],
            Variant::Df7 => [status, 0x12, 0x34, float],
        };
        packet.extend(head);
        packet.push(head.iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet)));
    }
    packet
}

pub(crate) fn df13_frame(status: u16, pulse: u16, spo2: u8) -> Vec<u8> {
    let mut body = vec![0x20, 0x26, 0x07, 0x28, 0x14, 0x30, 0x15, 0];
    body.extend(status.to_be_bytes());
    body.extend(pulse.to_be_bytes());
    body.extend([0, spo2]);
    let sum = body.iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
    [vec![0, 2, 0, 13, 0, 14], body, vec![sum, 3]].concat()
}

/// One second of a protocol's line.
pub(super) fn second(protocol: Protocol, pulse: u16, spo2: u8) -> Vec<u8> {
    let [high, low] = [u8::try_from(pulse >> 7).unwrap(), u8::try_from(pulse & 127).unwrap()];
    match protocol {
        Protocol::NoninDf2 => nonin_packet(Variant::Df2, pulse, spo2, 0x80).repeat(3),
        Protocol::NoninDf7 => nonin_packet(Variant::Df7, pulse, spo2, 0x80).repeat(3),
        Protocol::NoninDf8 => vec![0x80 | high, low, spo2, 0],
        Protocol::NoninDf13 => df13_frame(0, pulse, spo2),
        Protocol::Bci => [0x85, 50, (high << 6) | 7, low, spo2].repeat(60),
        Protocol::Cms50V7 => {
            let pulse = u8::try_from(pulse).unwrap();
            [1, 0x80 | pulse >> 7 << 3, 0x85, 0xBC, 0x87, 0x80 | pulse, 0x80 | spo2, 0x80, 0x80].repeat(60)
        }
        Protocol::MasimoAscii1 => {
            format!("02/22/16 22:47:46 SN=1 SPO2={spo2:03}% BPM={pulse:03} PI=03.95% ALARM=0000 EXC=000800\r\n").into()
        }
        other => measurement(other, u8::try_from(pulse).unwrap()),
    }
}

/// One frame of a protocol, or one packet where frames stand for nothing alone.
fn frame(protocol: Protocol, pulse: u8) -> Vec<u8> {
    let mut second = second(protocol, pulse.into(), 97);
    let per_second = match protocol {
        Protocol::NoninDf2 | Protocol::NoninDf7 => 3,
        Protocol::Bci | Protocol::Cms50V7 => 60,
        _ => 1,
    };
    second.truncate(second.len() / per_second);
    second
}

/// A measurement of a device that makes one at a time. Beside the pulse, all is the same each time.
pub(super) fn measurement(protocol: Protocol, pulse: u8) -> Vec<u8> {
    match protocol {
        Protocol::SuntechNibp => {
            let mut packet = vec![0x3E, 0x18, 120, 0, 80, 0, 30, 1, 0, 0, 0, 0, 0, 0, 0, 0, pulse, 0, 93, 0, 0, 0, 0];
            packet.push(checksum::sum8(&packet).wrapping_neg());
            packet
        }
        Protocol::AndUa767pc => format!("802850{pulse:02X}5D\r\n").into_bytes(),
        Protocol::AndScale => format!("US,+0080.000 kg\r\nST,+0{pulse:03}.760 kg\r\n").into_bytes(),
        Protocol::Lifescan => lifescan::tests::packet(2, &lifescan::tests::record(1_785_249_000, pulse.into())),
        Protocol::LifescanVerio => lifescan::tests::packet(0, &[3, 6, 0x18, 0xBF, 0xFA, 0x31, pulse, 0, 0, 0, 0, 0]),
        _ => vec![0xAC, 0x5F, 0x37, pulse, 7, 28, 14, 30, 26],
    }
}

/// Protocols of devices that make a measurement at a time.
const MEASURING: [Protocol; 6] = [
    Protocol::SuntechNibp,
    Protocol::AndUa767pc,
    Protocol::AndScale,
    Protocol::Lifescan,
    Protocol::LifescanVerio,
    Protocol::BeurerBm65,
];

/// Pulse and saturation of a moment.
fn values(moment: &Moment) -> (Option<i64>, Option<i64>) {
    let of = |metric| {
        let reading = moment.report.readings.iter().find(|reading| reading.metric == metric);
        reading.and_then(|reading| match reading.outcome {
            Outcome::Value(value) => Some(value.decimal.mantissa()),
            Outcome::None(_) => None,
        })
    };
    (of(Metric::PulseRate), of(Metric::SpO2))
}

/// The project's data folder, unless this machine has none.
pub(crate) fn data(path: &str) -> Option<String> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let file = std::env::var_os("RPM_DATA").map_or_else(beside, PathBuf::from).join(path);
    if !file.exists() {
        assert!(std::env::var_os("CI").is_none(), "{path} is missing: set RPM_DATA to the data folder");
        println!("skipped: no {path}; set RPM_DATA to the data folder");
        return None;
    };
    Some(std::fs::read_to_string(file).unwrap())
}

/// Whether these bytes as a line give a moment, in a second of them or of what is left of them; `None` for a protocol
/// that is none of a line.
fn line_gives(protocol: &str, bytes: &[u8]) -> Option<bool> {
    let (protocol, repeats) = match protocol {
        "nonin-df2" => (Protocol::NoninDf2, 3),
        "nonin-df7" => (Protocol::NoninDf7, 3),
        // Two frames of three octets in a row are what an older board sends, whatever one frame is.
        "nonin-df8-3" | "nonin-df8-4" => (Protocol::NoninDf8, 6),
        "nonin-df13" => (Protocol::NoninDf13, 1),
        "bci-5" => (Protocol::Bci, 60),
        "cms50-v7" => (Protocol::Cms50V7, 60),
        "masimo-ascii1" => (Protocol::MasimoAscii1, 1),
        _ => return None,
    };
    Some(!StreamDecoder::new(protocol).moments(&bytes.repeat(repeats), at(0)).is_empty())
}

#[test]
fn a_line_gives_what_the_vectors_say() {
    let mut ran = 0;
    for file in ["vectors/serial-nonin.json", "vectors/serial-bci-cms50.json", "vectors/serial-masimo.json"] {
        let Some(text) = data(file) else { return };
        let all: Json = serde_json::from_str(&text).unwrap();
        for entry in all["entries"].as_array().unwrap() {
            let (id, input) = (entry["id"].as_str().unwrap(), &entry["input"]);
            let bytes = match (input["hex"].as_str(), input["text"].as_str()) {
                (Some(digits), _) => hex::decode(digits).unwrap(),
                (None, text) => format!("{}\r\n", text.unwrap()).into_bytes(),
            };
            let Some(gives) = line_gives(input["protocol"].as_str().unwrap(), &bytes) else { continue };
            assert_eq!(gives, entry["expected"]["outcome"] == "ok", "{id}");
            ran += 1;
        }
    }
    assert!(ran >= 45, "only {ran} vectors were found");
}

#[test]
fn captured_frames() {
    let Some(text) = data("data/frames/frames.jsonl") else { return };
    let mut ran = 0;
    for line in text.lines() {
        let frame: Json = serde_json::from_str(line).unwrap();
        let variant = match frame["channel"].as_str().unwrap() {
            "serial:nonin-df2" => Variant::Df2,
            "serial:nonin-df7" => Variant::Df7,
            _ => continue,
        };
        let bytes = hex::decode(frame["hex"].as_str().unwrap()).unwrap();
        let (chunks, rest) = bytes.as_chunks::<5>();
        assert!(rest.is_empty());
        assert!(chunks.iter().all(|chunk| variant.frame(*chunk).is_ok()));
        ran += 1;
    }
    assert!(ran > 0);
}

#[test]
fn a_minute_of_bytes_is_sixty_observations_of_each_metric() {
    for protocol in [Protocol::NoninDf2, Protocol::NoninDf7, Protocol::Bci, Protocol::Cms50V7, Protocol::MasimoAscii1] {
        let mut decoder = StreamDecoder::new(protocol);
        let minute: Vec<u8> = (0..60).flat_map(|n| second(protocol, 60 + n, 97)).collect();
        let moments = decoder.moments(&minute, at(0));
        assert_eq!(moments.len(), 60, "{protocol}");
        for (n, moment) in moments.iter().enumerate() {
            assert_eq!(values(moment), (Some(60 + i64::try_from(n).unwrap()), Some(97)), "{protocol} second {n}");
        }
        assert_eq!(decoder.take_tally().refused_in_all(), 0, "{protocol}");
    }
}

#[test]
fn silence_completes_what_nothing_else_does() {
    let mut decoder = StreamDecoder::new(Protocol::AndUa767pc);
    assert!(decoder.moments(b"804C4C4960", at(0)).is_empty());
    assert_eq!(decoder.expire(at(299)), None);
    let moment = decoder.expire(at(300)).unwrap();
    assert_eq!((moment.captured, values(&moment)), (at(0), (Some(73), None)));
    assert_eq!(decoder.expire(at(900)), None);
    // The next result finds the one before still in its digits, if nobody looked in between.
    assert!(decoder.moments(b"804C4C4960", at(60_000)).is_empty());
    assert_eq!(decoder.moments(b"803250485D\r\n", at(120_000)).len(), 2);
    assert!(decoder.moments(b"803250485D", at(180_000)).is_empty());
    assert!(decoder.finish().is_some());
    let mut decoder = StreamDecoder::new(Protocol::BeurerBm65);
    decoder.moments(&[0xAC, 1, 2], at(0));
    assert_eq!(decoder.moments(&measurement(Protocol::BeurerBm65, 72), at(1000)).len(), 1);
}

#[test]
fn a_finger_off_is_an_observation_each_second() {
    let off = nonin_packet(Variant::Df7, 511, 127, 0x88).repeat(9);
    let moments = StreamDecoder::new(Protocol::NoninDf7).moments(&off, at(0));
    assert_eq!(moments.len(), 3);
    let probe_out = [0x80, 0, 0x50, 127, 127].repeat(180);
    let moments = StreamDecoder::new(Protocol::Bci).moments(&probe_out, at(0));
    assert_eq!(moments.len(), 3);
    let outcomes = moments[2].report.readings.iter().map(|reading| reading.outcome).collect::<Vec<_>>();
    assert_eq!(outcomes, [Outcome::None(NoReading::SensorOff); 2]);
}

#[test]
fn a_second_in_which_the_finger_left_is_gated() {
    let (bci, bci_off) = ([0x85, 50, 7, 72, 97], [0x85, 50, 0x17, 72, 97]);
    let (cms50, cms50_off) =
        (&second(Protocol::Cms50V7, 72, 97)[..9], [1, 0x81, 0x85, 0xBC, 0x87, 0xC8, 0xE1, 0x80, 0x80]);
    for (protocol, good, off) in [(Protocol::Bci, &bci[..], &bci_off[..]), (Protocol::Cms50V7, cms50, &cms50_off)] {
        let bytes = [good.repeat(60), good.repeat(3), off.repeat(57)].concat();
        let moments = StreamDecoder::new(protocol).moments(&bytes, at(0));
        let gated: Vec<bool> = moments.iter().map(|moment| moment.report.readings[0].quality.is_gated()).collect();
        assert_eq!(gated, [false, true], "{protocol}");
        assert_eq!(values(&moments[1]), (Some(72), Some(97)), "{protocol}: kept, and flagged");
    }
}

#[test]
fn a_cut_line_gives_its_last_second_and_starts_afresh() {
    let mut decoder = StreamDecoder::new(Protocol::NoninDf7);
    let mut cut = nonin_packet(Variant::Df7, 70, 97, 0x80);
    cut.extend(&nonin_packet(Variant::Df7, 71, 97, 0x80)[..57]);
    assert!(decoder.moments(&cut, at(0)).is_empty());
    assert_eq!(decoder.finish().map(|moment| values(&moment)), Some((Some(70), Some(97))));
    assert_eq!(decoder.finish(), None);
    assert_eq!(decoder.moments(&second(Protocol::NoninDf7, 80, 96), at(5000)).len(), 1);
}

#[test]
fn one_protocol_read_as_another_is_never_believed() {
    for spoken in Protocol::ALL {
        for read in Protocol::ALL {
            let mut decoder = StreamDecoder::new(read);
            let bytes: Vec<u8> = (0..20).flat_map(|n| second(spoken, 60 + n, 97)).collect();
            let moments = decoder.moments(&bytes, at(0));
            let meters = [Protocol::Lifescan, Protocol::LifescanVerio];
            let is_read = spoken == read || (meters.contains(&spoken) && meters.contains(&read));
            // The records of a BM65 have no marks: only the questions tell where one begins.
            if is_read || read != Protocol::BeurerBm65 {
                assert_eq!(moments.is_empty(), !is_read, "{spoken} read as {read}");
            }
        }
    }
}

fn any_protocol() -> impl Strategy<Value = Protocol> {
    proptest::sample::select(Protocol::ALL.to_vec())
}

proptest! {
    #[test]
    fn no_bytes_panic(protocol in any_protocol(), bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut decoder = StreamDecoder::new(protocol);
        decoder.moments(&bytes, at(0));
        decoder.expire(at(5000));
        decoder.finish();
    }

    #[test]
    fn chunks_make_no_difference(
        protocol in any_protocol(),
        garbage in proptest::collection::vec(any::<u8>(), 0..40),
        cuts in proptest::collection::vec(1_usize..200, 1..60),
        flip in any::<prop::sample::Index>(),
    ) {
        let mut bytes = second(protocol, 72, 97).repeat(4);
        bytes.extend(&garbage);
        bytes.extend(second(protocol, 140, 91).repeat(4));
        let flipped = flip.index(bytes.len());
        bytes[flipped] ^= 0x10;
        let mut whole = StreamDecoder::new(protocol);
        let expected = (whole.moments(&bytes, at(0)), whole.take_tally());
        let mut parts = StreamDecoder::new(protocol);
        let (mut found, mut rest) = (Vec::new(), bytes.as_slice());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            found.extend(parts.moments(now, at(0)));
            rest = later;
        }
        prop_assert_eq!((found, parts.take_tally()), expected);
    }

    #[test]
    fn garbage_between_measurements_costs_one_at_most(
        protocol in proptest::sample::select(MEASURING.to_vec()),
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
        after in 100_u8..130,
    ) {
        let mut decoder = StreamDecoder::new(protocol);
        decoder.moments(&measurement(protocol, 70), at(0));
        decoder.moments(&garbage, at(3000));
        let measured: Vec<_> = measurement(protocol, after).repeat(8);
        // Silence, as there is between measurements.
        let moments = decoder.moments(&measured, at(9000));
        let expected = StreamDecoder::new(protocol).moments(&measured, at(9000));
        prop_assert_eq!(moments.last().map(|moment| &moment.report), expected.last().map(|moment| &moment.report));
    }

    #[test]
    fn garbage_between_frames_is_survived(
        protocol in any_protocol().prop_filter("speaks all the time", |protocol| !MEASURING.contains(protocol)),
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
        before in 60_u16..90,
        after in 100_u16..130,
    ) {
        let mut decoder = StreamDecoder::new(protocol);
        decoder.moments(&second(protocol, before, 97).repeat(3), at(0));
        decoder.moments(&garbage, at(3000));
        let moments = decoder.moments(&second(protocol, after, 91).repeat(6), at(5000));
        let last = moments.last().map(values);
        prop_assert_eq!(last, Some((Some(i64::from(after)), Some(91))));
    }

    #[test]
    fn a_board_that_sends_three_octets_is_read_again_behind_garbage(
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
        after in 100_u8..127,
    ) {
        let mut decoder = StreamDecoder::new(Protocol::NoninDf8);
        decoder.moments(&[0x80, 72, 97].repeat(6), at(0));
        decoder.moments(&garbage, at(8000));
        let moments = decoder.moments(&[0x80, after, 91].repeat(20), at(30_000));
        let good = moments.iter().rev().take_while(|it| values(it) == (Some(after.into()), Some(91))).count();
        // Garbage may have looked like frames of four octets.
        prop_assert!(good >= 9, "{good} of 20");
    }

    #[test]
    fn garbage_alone_is_no_reading(
        // These two have neither a checksum nor many frames in a row to prove themselves by.
        protocol in any_protocol().prop_filter("prove themselves", |it| !matches!(it, Protocol::NoninDf8 | Protocol::BeurerBm65)),
        garbage in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut decoder = StreamDecoder::new(protocol);
        let moments = decoder.moments(&garbage, at(0));
        prop_assert!(moments.is_empty() && decoder.expire(at(9000)).is_none(), "{moments:?}");
    }

    /// Garbage costs at most two of the frames behind it, beside those that a protocol without a checksum asks for before it
    /// believes any: 40 frames behind garbage count for at least as many as 38 at the beginning of a line.
    #[test]
    fn garbage_costs_two_frames_at_most(
        protocol in any_protocol(),
        garbage in proptest::collection::vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
        pulse in 100_u8..130,
    ) {
        let frame = frame(protocol, pulse);
        let accepted = |before: &[&[u8]], frames: usize| {
            let mut decoder = StreamDecoder::new(protocol);
            before.iter().for_each(|bytes| drop(decoder.moments(bytes, at(0))));
            decoder.take_tally();
            decoder.moments(&frame.repeat(frames), at(0));
            decoder.take_tally().accepted
        };
        let least = accepted(&[], 38);
        prop_assert!(least > 0);
        // Garbage, and then what is left of a frame.
        let half = &frame[..cut.index(frame.len())];
        prop_assert!(accepted(&[&garbage], 40) >= least);
        prop_assert!(accepted(&[&frame.repeat(12), &garbage, half], 40) >= least);
    }
}
