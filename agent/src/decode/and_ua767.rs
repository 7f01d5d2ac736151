//! A&D UA-767PC and UA-767PBT, cuffs for home: 9600 8N1, ten hexadecimal digits for each measurement.
//!
//! Source: STANDARDS §2.6, from a public parser and its sample `804C4C4960` (152/76, pulse 73).
//! ```text
//! code  80 a result, 81 to 83 an error
//! SYS-DIA, DIA mmHg, pulse per minute, and a fifth octet that is probably the mean pressure
//! ```
//! The fifth octet is not a reading, because nobody has published what it is. There is no checksum: the digits must stand
//! alone, between other characters or silence, so that a lost one is noticed.

use arrayvec::ArrayVec;
use shared::reading::NoReading;

use super::Report;
use super::cuff::{self, Cuff};
use super::refused::{RefusedFrame, Tally};

/// Digits of a result.
const DIGITS: usize = 10;

/// The fields of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// 0x80 a result, 0x81 to 0x83 an error.
    pub code: u8,
    /// Systolic less diastolic, mmHg.
    pub difference: u8,
    /// mmHg.
    pub diastolic: u8,
    /// Per minute.
    pub pulse: u8,
    /// The fifth octet.
    pub last: u8,
}

impl Frame {
    /// Reads the digits.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: not ten characters; [`RefusedFrame::Marker`]: not hexadecimal digits;
    /// [`RefusedFrame::Unknown`]: a code that is none of the four.
    pub fn of(digits: &[u8]) -> Result<Self, RefusedFrame> {
        if digits.len() != DIGITS {
            return Err(RefusedFrame::Length);
        }
        let (pairs, _) = digits.as_chunks::<2>();
        let mut octets = [0_u8; DIGITS / 2];
        for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
            *octet = (nibble(*high)? << 4) | nibble(*low)?;
        }
        let [code, difference, diastolic, pulse, last] = octets;
        match code {
            0x80..=0x83 => Ok(Self { code, difference, diastolic, pulse, last }),
            _ => Err(RefusedFrame::Unknown),
        }
    }

    /// Whether it is a result, and not an error.
    #[must_use]
    pub const fn is_a_result(&self) -> bool {
        self.code == 0x80
    }

    /// mmHg.
    #[must_use]
    pub const fn systolic(&self) -> u16 {
        (self.difference as u16).saturating_add(self.diastolic as u16)
    }

    /// The frame as a report.
    #[must_use]
    pub fn report(&self) -> Report {
        let measured =
            Cuff { systolic: self.systolic(), diastolic: self.diastolic.into(), mean: None, pulse: self.pulse.into() };
        cuff::report(if self.is_a_result() { Ok(measured) } else { Err(NoReading::MeasurementFailed) })
    }
}

fn nibble(digit: u8) -> Result<u8, RefusedFrame> {
    let value = char::from(digit).to_digit(16).ok_or(RefusedFrame::Marker)?;
    u8::try_from(value).map_err(|_| RefusedFrame::Marker)
}

/// Finds results in a line. Holds at most one and a digit.
#[derive(Debug, Default)]
pub struct Ua767Line {
    digits: ArrayVec<u8, { DIGITS + 1 }>,
}

impl Ua767Line {
    /// Takes one octet; gives the report that it ends.
    pub fn byte(&mut self, octet: u8, tally: &mut Tally) -> Option<Report> {
        if octet.is_ascii_hexdigit() {
            // One more than a result has: more say nothing new.
            let _ = self.digits.try_push(octet);
            return None;
        }
        if !octet.is_ascii_whitespace() && !octet.is_ascii_control() {
            tally.garbage();
        }
        self.quiet(tally)
    }

    /// Nothing more comes for now: gives the report of the digits so far.
    pub fn quiet(&mut self, tally: &mut Tally) -> Option<Report> {
        if self.digits.is_empty() {
            return None;
        }
        let frame = Frame::of(&self.digits);
        self.digits.clear();
        match frame {
            Ok(frame) => {
                tally.accept(1);
                Some(frame.report())
            }
            Err(why) => {
                tally.refuse(why, 1);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::reading::Outcome;

    use super::*;

    fn run(text: &str) -> (Vec<Report>, Tally) {
        let (mut line, mut tally) = (Ua767Line::default(), Tally::default());
        let mut found: Vec<_> = text.bytes().filter_map(|octet| line.byte(octet, &mut tally)).collect();
        found.extend(line.quiet(&mut tally));
        (found, tally)
    }

    fn numbers(report: &Report) -> Vec<String> {
        let number = |outcome| match outcome {
            Outcome::Value(value) => value.decimal.to_string(),
            Outcome::None(why) => why.name().to_owned(),
        };
        report.readings.iter().map(|reading| number(reading.outcome)).collect()
    }

    #[test]
    fn digits_alone_are_a_result() {
        for text in ["804C4C4960", "804C4C4960\r\n", "\r804c4c4960\r"] {
            let (found, tally) = run(text);
            assert_eq!(found.iter().map(numbers).collect::<Vec<_>>(), [["152", "76", "73"]], "{text:?}");
            assert_eq!((tally.accepted, tally.refused_in_all()), (1, 0));
        }
        assert_eq!(run("804C4C4960\n803250485D\n").0.len(), 2);
        assert_eq!(numbers(&run("80FFFF4960").0[0]), ["510", "255", "73"]);
    }

    #[test]
    fn a_lost_digit_or_two_results_in_one_are_refused() {
        for text in ["804C4C496\r\n", "804C4C4960803250485D\r\n", "804C4C49608\n"] {
            let (found, tally) = run(text);
            assert!(found.is_empty(), "{text:?}");
            assert_eq!(tally.refused(RefusedFrame::Length), 1);
        }
        let (found, tally) = run("904C4C4960\n");
        assert_eq!((found.len(), tally.refused(RefusedFrame::Unknown)), (0, 1));
    }

    #[test]
    fn each_error_is_a_measurement_that_failed() {
        for code in ["81", "82", "83"] {
            let (found, _) = run(&format!("{code}00000000\n"));
            assert_eq!(numbers(&found[0]), ["measurement_failed"; 3]);
        }
    }
}
