//! A&D scales, standard format: 2400 7E1, a line of 17 octets.
//!
//! Source: STANDARDS §2.6.
//! ```text
//! ST,+0083.760 kg CR LF    ST stable, US unstable, OL overload; sign, eight characters, a unit of three
//! ```
//! A weight that still changes is no reading. Nor is nothing on the scale, zero or less. A scale may say a stable weight many
//! times: it is one reading until it changes, becomes unstable, the scale is empty, or the line is silent.

use arrayvec::ArrayVec;
use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use super::Report;
use super::refused::{RefusedFrame, Tally};

/// Octets of a line, its end included.
const LINE: usize = 17;

/// How the weight is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It has settled.
    Stable(Decimal, Unit),
    /// It changes.
    Unstable(Decimal, Unit),
    /// More than the scale can weigh.
    Overload,
}

impl Weight {
    /// Reads a line with its end.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`], [`RefusedFrame::Marker`] where the line has another shape, [`RefusedFrame::Unknown`] for a
    /// header or a unit that is none of a person's weight.
    pub fn of(line: &[u8]) -> Result<Self, RefusedFrame> {
        if line.len() != LINE {
            return Err(RefusedFrame::Length);
        }
        let text = str::from_utf8(line).ok().and_then(|text| text.strip_suffix("\r\n"));
        let (header, rest) = text.and_then(|text| text.split_once(',')).ok_or(RefusedFrame::Marker)?;
        match header {
            "OL" => return Ok(Self::Overload),
            "ST" | "US" => {}
            _ => return Err(RefusedFrame::Unknown),
        }
        let (number, unit) = rest.split_at_checked(9).ok_or(RefusedFrame::Marker)?;
        let weight: Decimal = number.parse().map_err(|_| RefusedFrame::Marker)?;
        let unit = match unit.trim_start_matches(' ') {
            "kg" => Unit::Kilogram,
            "lb" => Unit::Pound,
            _ => return Err(RefusedFrame::Unknown),
        };
        Ok(if header == "ST" { Self::Stable(weight, unit) } else { Self::Unstable(weight, unit) })
    }

    /// What of it is a reading.
    #[must_use]
    pub fn reading(&self) -> Option<Reading> {
        match *self {
            Self::Stable(weight, unit) if weight.mantissa() > 0 => {
                Some(Reading::value(Metric::Weight, weight, unit, Quality::GOOD))
            }
            Self::Stable(..) | Self::Unstable(..) => None,
            Self::Overload => Some(Reading::none(Metric::Weight, NoReading::AboveRange, Quality::GOOD)),
        }
    }
}

/// Finds lines, and tells a weight said again from a new one.
#[derive(Debug, Default)]
pub struct ScaleLine {
    octets: ArrayVec<u8, { LINE + 1 }>,
    said: Option<Weight>,
}

impl ScaleLine {
    /// Takes one octet; gives the report that it completes.
    pub fn byte(&mut self, octet: u8, tally: &mut Tally) -> Option<Report> {
        // One more than a line has: more say nothing new.
        let _ = self.octets.try_push(octet);
        if octet != b'\n' {
            return None;
        }
        let weight = Weight::of(&self.octets);
        self.octets.clear();
        match weight {
            Ok(weight) => {
                tally.accept(1);
                self.take(weight)
            }
            Err(why) => {
                tally.refuse(why, 1);
                None
            }
        }
    }

    fn take(&mut self, weight: Weight) -> Option<Report> {
        let reading = weight.reading();
        let is_repeat = self.said == Some(weight);
        self.said = reading.is_some().then_some(weight);
        let mut report = Report::default();
        report.add(reading.filter(|_| !is_repeat)?);
        Some(report)
    }

    /// The line is silent: the next weight is a new one, and what came of a line is none.
    pub fn quiet(&mut self, tally: &mut Tally) {
        self.said = None;
        if !self.octets.is_empty() {
            tally.refuse(RefusedFrame::Length, 1);
            self.octets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::reading::Outcome;

    use super::*;

    fn run(line: &mut ScaleLine, text: &str) -> (Vec<String>, Tally) {
        let mut tally = Tally::default();
        let found = text.bytes().filter_map(|octet| line.byte(octet, &mut tally));
        let said = found.map(|report| match report.readings[0].outcome {
            Outcome::Value(value) => format!("{} {:?}", value.decimal, value.unit),
            Outcome::None(why) => why.name().to_owned(),
        });
        (said.collect(), tally)
    }

    #[test]
    fn only_a_weight_that_has_settled_is_a_reading_and_once() {
        let text = "US,+0083.800 kg\r\nST,+0083.760 kg\r\nST,+0083.760 kg\r\nST,+0083.780 kg\r\nST,+0000.000 kg\r\n\
                    ST,-0000.020 kg\r\nST,+0083.780 kg\r\nUS,+0083.700 kg\r\nST,+0083.780 kg\r\n";
        let (said, tally) = run(&mut ScaleLine::default(), text);
        assert_eq!(said, ["83.760 Kilogram", "83.780 Kilogram", "83.780 Kilogram", "83.780 Kilogram"]);
        assert_eq!((tally.accepted, tally.refused_in_all()), (9, 0));
    }

    #[test]
    fn the_same_weight_after_silence_is_a_new_one() {
        let mut line = ScaleLine::default();
        assert_eq!(run(&mut line, "ST,+0083.760 kg\r\nST,+0083.760 kg\r\n").0.len(), 1);
        line.quiet(&mut Tally::default());
        assert_eq!(run(&mut line, "ST,+0083.760 kg\r\n").0.len(), 1);
    }

    #[test]
    fn pounds_overload_and_what_is_no_persons_weight() {
        let mut line = ScaleLine::default();
        assert_eq!(run(&mut line, "ST,+00184.66 lb\r\n").0, ["184.66 Pound"]);
        assert_eq!(run(&mut line, "OL,+9999999E+19\r\n").0, ["above_range"]);
        for (text, why) in [
            ("ST,+0083.760  g\r\n", RefusedFrame::Unknown),
            ("QT,+0083.760 kg\r\n", RefusedFrame::Unknown),
            ("ST,+0083.76O kg\r\n", RefusedFrame::Marker),
            ("ST,+083.760 kg\r\n", RefusedFrame::Length),
            ("ST,+0083.760 kgST,+0083.760 kg\r\n", RefusedFrame::Length),
        ] {
            let (said, tally) = run(&mut line, text);
            assert_eq!((said.len(), tally.refused(why)), (0, 1), "{text:?}");
        }
        let (mut line, mut tally) = (ScaleLine::default(), Tally::default());
        assert!(b"ST,+0083".iter().all(|octet| line.byte(*octet, &mut tally).is_none()));
        line.quiet(&mut tally);
        assert_eq!(tally.refused(RefusedFrame::Length), 1);
    }
}
