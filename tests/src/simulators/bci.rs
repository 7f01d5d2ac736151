//! BCI, five octets 60 times a second (STANDARDS §2.2): no checksum, bit 7 marks the first octet alone.

use super::device::{Device, Now};
use super::{Bytes, Vitals};

/// An oximeter that only speaks.
#[derive(Debug)]
pub struct Bci;

impl Device for Bci {
    fn second(&mut self, shown: &Vitals, _now: Now) -> Vec<Bytes> {
        second(shown)
    }
}

/// Frames in a second.
const FRAMES_PER_SECOND: usize = 60;

const STRENGTH: u8 = 7;
const STRENGTH_NONE: u8 = 15;
const SEARCHING: u8 = 1 << 5;
const PROBE: u8 = 1 << 4;
const BEEP: u8 = 1 << 6;

/// The 60 frames of a second.
fn second(vitals: &Vitals) -> Vec<Bytes> {
    let pulse = vitals.pulse.map_or(255, |pulse| pulse.min(254) as u8);
    let spo2 = vitals.spo2.unwrap_or(127);
    (0..FRAMES_PER_SECOND)
        .map(|place| {
            let beats = place * usize::from(pulse) * 100 / (60 * FRAMES_PER_SECOND);
            let phase = (beats % 100) as u8;
            let (first, wave, marks) = if vitals.finger {
                let beep = if phase < 2 { BEEP } else { 0 };
                (0x80 | beep | STRENGTH, 100 - phase, (100 - phase) / 7)
            } else {
                (0x80 | STRENGTH_NONE, 0, SEARCHING | PROBE)
            };
            vec![first, wave & 0x7F, ((pulse >> 7) << 6) | marks, pulse & 0x7F, spo2 & 0x7F]
        })
        .collect()
}
