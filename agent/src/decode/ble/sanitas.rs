//! Sanitas SBF70: weights on FFE1 while a person stands on the scale.
//!
//! Source: captured frames (KristianP26/ble-scale-sync, beurer-sanitas.test.ts).
//! ```text
//! E7 58 01  weight u16, big-endian, 0.05 kg
//! ```
//! The frames of a weight that still changes and of the final one look alike. No frame is a reading by itself: the weight
//! counts when it has come alike several times in a row ([`SettlingWeight`]). Other commands are refused: their layout is not
//! captured.

use shared::metric::Metric;
use shared::reading::{Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::decode::{RefusedFrame, Report};

const HEAD: [u8; 3] = [0xE7, 0x58, 0x01];

/// How many frames alike, one behind the other, make a weight. The scale was seen to send a first one that is wrong by far.
pub const FRAMES_ALIKE: u8 = 3;

/// A frame as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SanitasWeight {
    /// In steps of 0.05 kg.
    pub steps: u16,
}

impl SanitasWeight {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Unknown`]: another command. [`RefusedFrame::Length`]: not five octets.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        match value.split_first_chunk() {
            Some((&HEAD, [high, low])) => Ok(Self { steps: u16::from_be_bytes([*high, *low]) }),
            Some((&HEAD, _)) | None => Err(RefusedFrame::Length),
            Some(_) => Err(RefusedFrame::Unknown),
        }
    }

    /// The weight.
    #[must_use]
    pub fn weight_kg(self) -> Decimal {
        Decimal::new(i64::from(self.steps).saturating_mul(5), -2)
    }
}

/// Waits for a weight to settle. One for each connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct SettlingWeight {
    last: Option<SanitasWeight>,
    alike: u8,
}

impl SettlingWeight {
    /// A frame came: a report with the weight the moment it has settled, once; else one without readings.
    pub fn report(&mut self, frame: SanitasWeight) -> Report {
        self.alike = if self.last == Some(frame) { self.alike.saturating_add(1) } else { 1 };
        self.last = Some(frame);
        let mut report = Report::default();
        if self.alike == FRAMES_ALIKE {
            report.add(Reading::value(Metric::Weight, frame.weight_kg(), Unit::Kilogram, Quality::GOOD));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(steps: &[u16]) -> Vec<String> {
        let mut settling = SettlingWeight::default();
        steps
            .iter()
            .flat_map(|steps| settling.report(SanitasWeight { steps: *steps }).readings)
            .map(|reading| match reading.outcome {
                shared::reading::Outcome::Value(value) => value.decimal.to_string(),
                shared::reading::Outcome::None(why) => why.name().into(),
            })
            .collect()
    }

    #[test]
    fn only_what_comes_alike_three_times_in_a_row_counts_and_once() {
        assert!(weights(&[299, 2142, 2142]).is_empty());
        assert!(weights(&[2142, 2142, 2141, 2142, 2142]).is_empty());
        assert_eq!(weights(&[299, 2142, 2142, 2142, 2142, 2142]), ["107.10"]);
        assert_eq!(weights(&[2142, 2142, 2142, 300, 1500, 1500, 1500]), ["107.10", "75.00"]);
        assert_eq!(weights(&[2142; 600]), ["107.10"], "and not again after 256 frames");
    }

    #[test]
    fn other_commands_and_lengths_are_refused() {
        assert_eq!(SanitasWeight::of(&[0xE7, 0x58, 0x01, 0x08, 0x5E]), Ok(SanitasWeight { steps: 2142 }));
        for value in [&[0xE7, 0x59, 0x01, 0x08, 0x5E][..], &[0xE7, 0x58, 0x00, 0x08, 0x5E], &[0xF7, 0x58, 0x01]] {
            assert_eq!(SanitasWeight::of(value), Err(RefusedFrame::Unknown));
        }
        for value in [&[][..], &[0xE7], &[0xE7, 0x58, 0x01, 0x08], &[0xE7, 0x58, 0x01, 0x08, 0x5E, 0]] {
            assert_eq!(SanitasWeight::of(value), Err(RefusedFrame::Length));
        }
    }
}
