//! The command `decode`: a capture that somebody sent in, read by the decoders that the agent runs.

use std::io::{self, Read, Write};

use serde_json::json;
use shared::observation::Captured;
use shared::time::{ClockState, Tick, Timestamp};

use crate::decode::ble::{self, Characteristic};
use crate::decode::quirks::Quirks;
use crate::decode::{Protocol, RefusedFrame, Report, StreamDecoder, Tally};
use crate::show;

/// How a capture's bytes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Each piece is one value of a characteristic.
    Characteristic(Characteristic, Quirks),
    /// The pieces follow each other on a serial line.
    Protocol(Protocol),
}

/// Octets of a capture that is read from standard input. More: it is refused.
pub const CAPTURE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why a text is no capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableCapture {
    /// Not octets.
    #[error(
        "octets are two hexadecimal digits each; blanks, colons, hyphens, commas and 0x between them do not matter"
    )]
    Hex,
    /// Standard input cannot be read, is no text, or has more than [`CAPTURE_BYTES_MAX`].
    #[error("standard input cannot be read, is no text, or has more than 16 MiB")]
    Input,
}

/// Pieces from lines of octets; empty lines do not count.
///
/// # Errors
/// [`UnreadableCapture`]
pub fn lines(input: impl Read) -> Result<Vec<Vec<u8>>, UnreadableCapture> {
    let mut text = String::new();
    input.take(CAPTURE_BYTES_MAX.saturating_add(1)).read_to_string(&mut text).map_err(|_| UnreadableCapture::Input)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > CAPTURE_BYTES_MAX) {
        return Err(UnreadableCapture::Input);
    }
    text.lines().filter(|line| !line.trim().is_empty()).map(octets).collect()
}

/// Octets as people copy them: `06 48`, `06:48`, `0x06, 0x48`.
///
/// # Errors
/// [`UnreadableCapture::Hex`]
pub fn octets(text: &str) -> Result<Vec<u8>, UnreadableCapture> {
    let separates = |c: char| c.is_ascii_whitespace() || [':', '-', ','].contains(&c);
    let parts = text.split(separates).map(|part| part.strip_prefix("0x").unwrap_or(part).to_ascii_lowercase());
    let octets: Option<Vec<Vec<u8>>> = parts.map(|part| shared::hex::decode(&part)).collect();
    octets.map(|octets| octets.concat()).ok_or(UnreadableCapture::Hex)
}

/// One thing that a capture comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Report { piece: usize, report: Box<Report> },
    Refused { piece: usize, why: RefusedFrame },
    Counted(Tally),
}

/// Decodes pieces and prints what they come to; whether there was any report.
///
/// # Errors
/// The output's.
pub fn print(reader: Reader, pieces: &[Vec<u8>], as_json: bool, out: &mut impl Write) -> io::Result<bool> {
    let found = match reader {
        Reader::Characteristic(characteristic, quirks) => values(characteristic, quirks, pieces),
        Reader::Protocol(protocol) => line(protocol, pieces),
    };
    for found in &found {
        if as_json {
            writeln!(out, "{}", json_line(found))?;
        } else {
            text_lines(found).iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
    }
    let is_report = |found: &Found| matches!(found, Found::Report { .. });
    let any = found.iter().any(is_report);
    if !any && !as_json && matches!(reader, Reader::Protocol(_)) {
        writeln!(out, "no reading: no whole frame, or too few of them to believe a protocol without a checksum")?;
    }
    Ok(any)
}

fn values(characteristic: Characteristic, quirks: Quirks, pieces: &[Vec<u8>]) -> Vec<Found> {
    let mut values = ble::Values::new(quirks);
    let mut found = Vec::new();
    for (place, value) in pieces.iter().enumerate() {
        let piece = place.saturating_add(1);
        let read = values.read(characteristic, value, &mut |report| {
            found.push(Found::Report { piece, report: Box::new(report) });
        });
        if let Err(why) = read {
            found.push(Found::Refused { piece, why });
        }
    }
    found
}

fn line(protocol: Protocol, pieces: &[Vec<u8>]) -> Vec<Found> {
    let mut decoder = StreamDecoder::new(protocol);
    let mut found = Vec::new();
    // A capture has no times of its own: seconds are told by the count of frames.
    let at = Captured { tick: Tick::from_millis(0), wall: Timestamp::from_millis(0), clock: ClockState::NeverSet };
    for (place, bytes) in pieces.iter().enumerate() {
        let piece = place.saturating_add(1);
        decoder.push(bytes, at, &mut |moment| found.push(Found::Report { piece, report: Box::new(moment.report) }));
    }
    let silence = Captured { tick: Tick::from_millis(3_600_000), ..at };
    let last = std::iter::from_fn(|| decoder.expire(silence));
    found.extend(last.map(|moment| Found::Report { piece: pieces.len(), report: Box::new(moment.report) }));
    found.push(Found::Counted(decoder.take_tally()));
    found
}

fn json_line(found: &Found) -> serde_json::Value {
    match found {
        Found::Report { piece, report } => json!({ "piece": piece, "report": show::report_json(report) }),
        Found::Refused { piece, why } => json!({ "piece": piece, "refused": show::refused_json(*why) }),
        Found::Counted(tally) => show::tally_json(tally),
    }
}

fn text_lines(found: &Found) -> Vec<String> {
    match found {
        Found::Report { piece, report } => {
            show::report_text(report).into_iter().map(|line| format!("{piece}: {line}")).collect()
        }
        Found::Refused { piece, why } => vec![format!("{piece}: refused ({}): {}", why.name(), why.explained())],
        Found::Counted(tally) => show::tally_text(tally),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(reader: Reader, pieces: &[&str], as_json: bool) -> (bool, Vec<String>) {
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| octets(piece).unwrap()).collect();
        let mut out = Vec::new();
        let any = print(reader, &pieces, as_json, &mut out).unwrap();
        (any, String::from_utf8(out).unwrap().lines().map(str::to_owned).collect())
    }

    const HEART_RATE: Reader = Reader::Characteristic(Characteristic::HeartRate, Quirks::NONE);

    #[test]
    fn octets_as_people_copy_them() {
        for text in ["0648", "06 48", "06:48", "0x06, 0x48", "06-48", " 06\n48 ", "0x0648"] {
            assert_eq!(octets(text), Ok(vec![6, 0x48]), "{text:?}");
        }
        assert_eq!(octets("DE ad"), Ok(vec![0xDE, 0xAD]));
        assert_eq!(octets(""), Ok(Vec::new()));
        assert_eq!(lines("06\n\n48 01\n".as_bytes()), Ok(vec![vec![6], vec![0x48, 1]]));
        assert_eq!(lines(&[0xFF, 0xFE][..]), Err(UnreadableCapture::Input));
        for text in ["6", "064", "06 4", "zz", "06;48", "0x0x06"] {
            assert_eq!(octets(text), Err(UnreadableCapture::Hex), "{text:?}");
        }
    }

    #[test]
    fn each_value_is_told_or_refused_with_its_reason() {
        let (any, lines) = printed(HEART_RATE, &["0648", "01 48", "04 48"], false);
        assert!(any);
        assert_eq!(lines[0], "1: Heart rate 72 /min");
        assert!(lines[1].starts_with("2: refused (length): "), "{lines:?}");
        assert_eq!(lines[2], "3: Heart rate: no value, the sensor is not on the patient (sensor_off)");
        let (any, lines) = printed(HEART_RATE, &["01 48"], true);
        let line: serde_json::Value = lines[0].parse().unwrap();
        assert_eq!((any, &line["refused"]["reason"], lines.len()), (false, &json!("length"), 1));
    }

    #[test]
    fn a_stretch_of_a_line_is_told_and_counted() {
        let second = ["1: SpO₂ 97 %", "1: Pulse 72 /min"];
        // Nonin data format 8: 72 a minute and 97 per cent; the battery is not low.
        let (any, lines) =
            printed(Reader::Protocol(Protocol::NoninDf8), &["80 48 61 00 80 48 61 00 80 48 61 00"], false);
        assert!(
            any && lines.iter().any(|line| line == second[0]) && lines.iter().any(|line| line == second[1]),
            "{lines:?}"
        );
        assert!(lines.last().unwrap().ends_with("frames accepted"), "{lines:?}");
        let (any, lines) = printed(Reader::Protocol(Protocol::Bci), &["80 00 50 48 61"], false);
        assert!(!any && lines.last().unwrap().contains("too few"), "{lines:?}");
    }
}
