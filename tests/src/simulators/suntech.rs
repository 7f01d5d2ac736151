//! SunTech Advantage OEM: a module that measures blood pressure and speaks when it is spoken to (STANDARDS §2.5).

use super::device::{Device, Ear, Now};
use super::{Bytes, Pressure, Vitals};

const HOST: u8 = 0x3A;
const MODULE: u8 = 0x3E;
const START: &[u8] = &[HOST, 0x20, 0xA6];
const CUFF_PRESSURE: &[u8] = &[HOST, 0x79, 0x05, 0x00, 0x48];
const RESULT: &[u8] = &[HOST, 0x79, 0x03, 0x00, 0x4A];
/// The answer to a command that was obeyed.
const OBEYED: u8 = 0x4F;
/// How long a measurement lasts, in seconds of the course.
pub const MEASURES_FOR: u64 = 32;
/// How far it inflates, mmHg.
const INFLATES_TO: u64 = 180;
/// How long that takes, in seconds of the course; the rest of a measurement it deflates.
const INFLATES_FOR: u64 = 8;
/// An error: no pulse was found.
const NO_PULSE: u8 = 2;
const WHOLE: u8 = 1;

/// A measurement that is over, or will be.
#[derive(Debug, Clone, Copy)]
struct Measured {
    pressure: Pressure,
    pulse: Option<u16>,
}

/// The module. It measures when its host says so, or when the course has a pressure (somebody pressed its button).
#[derive(Debug, Default)]
pub struct SunTech {
    ear: Ear,
    newest: Option<Measured>,
    result: Option<Measured>,
    began: Option<u64>,
}

impl SunTech {
    fn settle(&mut self, second: u64) {
        if self.began.is_some_and(|began| second >= began + MEASURES_FOR) {
            self.began = None;
            self.result = self.newest;
        }
    }

    fn answer(&mut self, command: &[u8], second: u64) -> Option<Bytes> {
        self.settle(second);
        match command {
            START => {
                self.began.get_or_insert(second);
                Some(packet(&[OBEYED]))
            }
            CUFF_PRESSURE => {
                let since = self.began.map_or(MEASURES_FOR, |began| second.saturating_sub(began)).min(MEASURES_FOR);
                let mmhg = if since < INFLATES_FOR {
                    INFLATES_TO * since / INFLATES_FOR
                } else {
                    INFLATES_TO * (MEASURES_FOR - since) / (MEASURES_FOR - INFLATES_FOR)
                };
                Some(packet(&(mmhg as u16).to_le_bytes()))
            }
            RESULT => Some(packet(&result(self.result))),
            _ => None,
        }
    }
}

impl Device for SunTech {
    fn second(&mut self, shown: &Vitals, now: Now) -> Vec<Bytes> {
        if let Some(pressure) = shown.pressure {
            self.newest = Some(Measured { pressure, pulse: shown.pulse });
            self.began.get_or_insert(now.second);
        }
        self.settle(now.second);
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], now: Now) -> Vec<Bytes> {
        let length = |bytes: &[u8]| match bytes {
            [HOST] => None,
            [HOST, 0x20, ..] => Some(3),
            [HOST, 0x79, ..] => Some(5),
            [HOST, 0x0C, ..] => Some(6),
            _ => Some(0),
        };
        let commands = self.ear.commands(bytes, length);
        commands.iter().filter_map(|command| self.answer(command, now.second)).collect()
    }

    fn switched_on(&mut self) {
        *self = Self { newest: self.newest, ..Self::default() };
    }
}

/// The 21 octets of a result; zeros where nothing was measured.
fn result(measured: Option<Measured>) -> [u8; 21] {
    let mut octets = [0; 21];
    let Some(Measured { pressure, pulse }) = measured else { return octets };
    octets[0..2].copy_from_slice(&pressure.systolic.to_le_bytes());
    octets[2..4].copy_from_slice(&pressure.diastolic.to_le_bytes());
    octets[4] = 30;
    octets[5] = WHOLE;
    octets[14] = pulse.unwrap_or(0).min(255) as u8;
    octets[16..18].copy_from_slice(&pressure.mean.to_le_bytes());
    octets[18] = if pulse.is_some() { 0 } else { NO_PULSE };
    octets
}

/// A packet of the module: all its octets sum to 0.
fn packet(data: &[u8]) -> Bytes {
    let mut packet = vec![MODULE, data.len() as u8 + 3];
    packet.extend(data);
    let sum = packet.iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet));
    packet.push(sum.wrapping_neg());
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_inflates_the_cuff_and_then_has_a_result() {
        let at = |second| Now { second, ..Now::default() };
        let pressure = Pressure { systolic: 115, diastolic: 74, mean: 88 };
        let shown = Vitals { pressure: Some(pressure), pulse: Some(85), ..Vitals::OFF };
        let mut module = SunTech::default();
        assert_eq!(module.hear(CUFF_PRESSURE, at(0)), [[0x3E, 0x05, 0, 0, 0xBD]]);
        let nothing = module.hear(RESULT, at(0));
        assert_eq!((nothing[0].len(), nothing[0][2..23].iter().max()), (24, Some(&0)));
        assert!(module.second(&shown, at(1)).is_empty(), "it speaks when it is spoken to");
        assert!(module.hear(CUFF_PRESSURE, at(9))[0][2] == 180);
        assert_eq!(module.hear(RESULT, at(6)), nothing);
        let found = module.hear(RESULT, at(1 + MEASURES_FOR));
        assert_eq!(found[0][..7], [0x3E, 0x18, 115, 0, 74, 0, 30]);
        assert_eq!((found[0][16], found[0][18], found[0][20]), (85, 88, 0));
        assert_eq!(found[0].iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet)), 0);
        assert_eq!(module.hear(START, at(40)), [[0x3E, 0x04, OBEYED, 0x6F]]);
    }
}
