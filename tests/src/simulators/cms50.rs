//! Contec CMS50D+, CMS50E and CMS50F of protocol V4.6 to V7: nine octets 60 times a second (STANDARDS §2.3).
//!
//! It says nothing until its host tells it to, and falls silent when the host does not say often enough that it is still
//! there.

use std::time::Duration;

use super::device::{Device, Ear, Now};
use super::{Bytes, Vitals};

/// Packages in a second.
const PACKAGES_PER_SECOND: usize = 60;
/// Silence of the host after which it stops; the host speaks each five seconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

const LIVE: u8 = 0x01;
const LEAVES: u8 = 0x0D;
const COMMAND: u8 = 0x7D;
const COMMAND_BYTES: usize = 9;
const START: u8 = 0xA1;
const STOP: u8 = 0xA2;
const STOP_STORED: u8 = 0xA7;
const KEEP_ALIVE: u8 = 0xAF;

const PROBE: u8 = 1 << 6;
const STRENGTH: u8 = 7;
const STRENGTH_NONE: u8 = 15;
const SEARCHING: u8 = 1 << 7;
const PERFUSION_VALID: u8 = 1 << 4;
const NO_PULSE: u8 = 255;
const NO_SPO2: u8 = 127;
const NO_PERFUSION: u16 = 0xFFFF;

/// An oximeter of Contec's.
#[derive(Debug, Default)]
pub struct Cms50 {
    ear: Ear,
    /// When its host last said that it is there, while it speaks.
    told: Option<Duration>,
}

impl Device for Cms50 {
    fn second(&mut self, shown: &Vitals, now: Now) -> Vec<Bytes> {
        let Some(told) = self.told else { return Vec::new() };
        if now.elapsed.saturating_sub(told) > PATIENCE {
            self.told = None;
            return vec![package(LEAVES, &[0])];
        }
        (0..PACKAGES_PER_SECOND).map(|place| package(LIVE, &live(shown, place))).collect()
    }

    fn hear(&mut self, bytes: &[u8], now: Now) -> Vec<Bytes> {
        let length = |bytes: &[u8]| Some(if bytes[0] == COMMAND { COMMAND_BYTES } else { 0 });
        for command in self.ear.commands(bytes, length) {
            match command[2] {
                START => self.told = Some(now.elapsed),
                KEEP_ALIVE => self.told = self.told.map(|_| now.elapsed),
                STOP | STOP_STORED => self.told = None,
                _ => {}
            }
        }
        Vec::new()
    }

    fn switched_on(&mut self) {
        self.ear.clear();
        self.told = None;
    }
}

/// The payload of a live package.
fn live(shown: &Vitals, place: usize) -> [u8; 7] {
    let pulse = shown.pulse.map_or(NO_PULSE, |pulse| pulse.min(254) as u8);
    let beats = place * usize::from(pulse) * 100 / (60 * PACKAGES_PER_SECOND);
    let wave = 100 - (beats % 100) as u8;
    let [low, high] = shown.perfusion.unwrap_or(NO_PERFUSION).to_le_bytes();
    let valid = if shown.perfusion.is_some() { PERFUSION_VALID } else { 0 };
    let [strength, wave, bar] =
        if shown.finger { [STRENGTH, wave, wave / 7] } else { [PROBE | STRENGTH_NONE, SEARCHING, 0] };
    [strength, wave, bar | valid, pulse, shown.spo2.unwrap_or(NO_SPO2), low, high]
}

/// A package: its type, the high bits, and the payload with bit 7 set.
fn package(kind: u8, payload: &[u8]) -> Bytes {
    let high = payload.iter().enumerate().fold(0x80, |high, (place, octet)| high | (octet >> 7) << place);
    let mut package = vec![kind, high];
    package.extend(payload.iter().map(|octet| octet | 0x80));
    package
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAY_START: [u8; 9] = [0x7D, 0x81, 0xA1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
    const SAY_ALIVE: [u8; 9] = [0x7D, 0x81, 0xAF, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];

    fn at(seconds: u64) -> Now {
        Now { second: 0, elapsed: Duration::from_secs(seconds) }
    }

    #[test]
    fn it_speaks_when_told_and_stops_when_its_host_is_gone() {
        let mut device = Cms50::default();
        let shown = Vitals { perfusion: Some(291), ..Vitals::on_finger(Some(200), Some(98)) };
        assert!(device.second(&shown, at(0)).is_empty());
        device.hear(&SAY_ALIVE, at(1));
        assert!(device.second(&shown, at(1)).is_empty(), "being alive is no start");
        device.hear(&SAY_START, at(1));
        let packages = device.second(&shown, at(1));
        assert_eq!(packages.len(), 60);
        // PR 200 has its bit 7 in the second octet, at place 3; PI 291 is 0123.
        assert_eq!((packages[0][0], packages[0][1]), (0x01, 0x88));
        assert_eq!(packages[0][5..], [0xC8, 0xE2, 0xA3, 0x81]);
        assert_eq!(device.second(&shown, at(11)).len(), 60);
        device.hear(&SAY_ALIVE, at(11));
        assert_eq!(device.second(&shown, at(21)).len(), 60);
        assert_eq!(device.second(&shown, at(22)), [[0x0D, 0x80, 0x80]]);
        assert!(device.second(&shown, at(23)).is_empty());
        device.hear(&SAY_START, at(24));
        device.switched_on();
        assert!(device.second(&shown, at(24)).is_empty());
    }
}
