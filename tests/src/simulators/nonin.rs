//! Nonin data formats 2, 7, 8 and 13, as a device sends them (STANDARDS §2.1; OEM specification 6470-000-01).
//!
//! Formats 2 and 7 send 75 frames of five octets a second: three packets of 25, of which the first frame alone has
//! the sync bit, each frame with its checksum. Formats 8 and 13 send one frame a second.

use super::device::{Device, Ear, Now};
use super::{Bytes, Vitals};

/// Frames in a packet of formats 2 and 7.
pub const FRAMES_PER_PACKET: usize = 25;
/// Packets in a second of formats 2 and 7.
pub const PACKETS_PER_SECOND: usize = 3;

const SENSOR_ALARM: u8 = 1 << 3;
const SENSOR_ALARM_DF8: u8 = 1 << 3;
const LOW_BATTERY: u8 = 1;
const LOW_BATTERY_DF13: u16 = 1;
const NO_PULSE: u16 = 511;
const NO_SPO2: u8 = 127;
const REVISION: u8 = 48;
const ACKNOWLEDGED: u8 = 0x06;
const REFUSED: u8 = 0x15;

/// A data format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Format 2: packets, pleth of eight bits.
    Df2,
    /// Format 7: packets, pleth of sixteen bits.
    Df7,
    /// Format 8: a frame each second.
    Df8,
    /// Format 13: a frame for each spot measurement.
    Df13,
}

impl Format {
    const fn of(code: u8) -> Option<Self> {
        match code {
            0x02 => Some(Self::Df2),
            0x07 => Some(Self::Df7),
            0x08 => Some(Self::Df8),
            0x0D => Some(Self::Df13),
            _ => None,
        }
    }
}

/// An oximeter of Nonin's.
#[derive(Debug)]
pub struct Nonin {
    first: Format,
    format: Format,
    clock: [u8; 6],
    ear: Ear,
}

impl Nonin {
    /// One that speaks this format until it is told another.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { first: format, format, clock: [26, 5, 4, 12, 0, 0], ear: Ear::default() }
    }

    fn answer(&mut self, command: &[u8]) -> Bytes {
        match *command {
            [0x02, 0x70, 0x02, 0x02, code, 0x03] => match Format::of(code) {
                Some(format) => {
                    self.format = format;
                    vec![ACKNOWLEDGED]
                }
                None => vec![REFUSED],
            },
            [0x02, 0x72, 0x06, a, b, c, d, e, f, 0x03] => {
                self.clock = [a, b, c, d, e, f];
                vec![ACKNOWLEDGED]
            }
            [0x02, 0x72, 0x00, 0x03] => [&[0x02, 0xF2, 0x06][..], &self.clock, &[0x03]].concat(),
            _ => vec![REFUSED],
        }
    }
}

impl Device for Nonin {
    fn second(&mut self, shown: &Vitals, now: Now) -> Vec<Bytes> {
        match self.format {
            Format::Df8 => vec![df8(shown)],
            Format::Df13 => vec![df13(shown, now.second)],
            wide => wide_second(wide, shown, (now.second as u16).wrapping_mul(PACKETS_PER_SECOND as u16)),
        }
    }

    fn hear(&mut self, bytes: &[u8], _now: Now) -> Vec<Bytes> {
        let length = |bytes: &[u8]| match bytes {
            [0x02] | [0x02, _] => None,
            [0x02, _, length, ..] => Some(4 + usize::from(*length)),
            _ => Some(0),
        };
        let commands = self.ear.commands(bytes, length);
        commands.iter().map(|command| self.answer(command)).collect()
    }

    fn switched_on(&mut self) {
        self.ear.clear();
        self.format = self.first;
    }
}

fn numbers(vitals: &Vitals) -> (u16, u8) {
    (vitals.pulse.unwrap_or(NO_PULSE), vitals.spo2.unwrap_or(NO_SPO2))
}

fn high(rate: u16) -> u8 {
    (rate >> 7) as u8 & 3
}

fn low(rate: u16) -> u8 {
    rate as u8 & 0x7F
}

/// The FLOAT octet of a packet's frame, counted from 1.
fn float(number: usize, vitals: &Vitals, timer: u16) -> u8 {
    let (pulse, spo2) = numbers(vitals);
    match number {
        1 | 14 | 20 | 22 => high(pulse),
        2 | 15 | 21 | 23 => low(pulse),
        3 | 9 | 10 | 11 | 16 | 17 => spo2,
        4 => REVISION,
        6 => (timer >> 7) as u8 & 0x7F,
        7 => timer as u8 & 0x7F,
        8 if vitals.battery_low => LOW_BATTERY,
        _ => 0,
    }
}

/// The pulse wave at a place in the second: a saw that begins with each beat.
fn pleth(vitals: &Vitals, place: usize) -> u16 {
    let Some(pulse) = vitals.pulse.filter(|_| vitals.finger) else { return 32_768 };
    let beats = place * usize::from(pulse) * 1000 / (60 * FRAMES_PER_PACKET * PACKETS_PER_SECOND);
    let phase = beats % 1000;
    (48_000 - phase * 32).try_into().unwrap_or(u16::MAX)
}

/// The 75 frames of a second in format 2 or 7. `timer` counts packets.
fn wide_second(format: Format, vitals: &Vitals, timer: u16) -> Vec<Bytes> {
    let status = if vitals.finger { 0x80 } else { 0x80 | SENSOR_ALARM };
    let mut frames = Vec::new();
    for place in 0..FRAMES_PER_PACKET * PACKETS_PER_SECOND {
        let number = place % FRAMES_PER_PACKET + 1;
        let timer = timer.wrapping_add((place / FRAMES_PER_PACKET) as u16);
        let status = status | u8::from(number == 1);
        let (wave, float) = (pleth(vitals, place), float(number, vitals, timer));
        let head = match format {
            Format::Df2 => [0x01, status, (wave >> 8) as u8, float],
            _ => [status, (wave >> 8) as u8, wave as u8, float],
        };
        let mut frame = head.to_vec();
        frame.push(sum(&head));
        frames.push(frame);
    }
    frames
}

/// The frame of a second in format 8.
fn df8(vitals: &Vitals) -> Bytes {
    let (pulse, spo2) = numbers(vitals);
    let alarm = if vitals.finger { 0 } else { SENSOR_ALARM_DF8 };
    let battery = if vitals.battery_low { LOW_BATTERY } else { 0 };
    vec![0x80 | high(pulse), low(pulse), spo2, alarm | battery]
}

fn bcd(number: u64) -> u8 {
    (((number / 10 % 10) << 4) | (number % 10)) as u8
}

/// A spot measurement in format 13, at a made-up time of day.
fn df13(vitals: &Vitals, second: u64) -> Bytes {
    let (pulse, spo2) = numbers(vitals);
    let measured: u16 = if vitals.finger { 0x0200 } else { 0x0100 };
    let status = measured | if vitals.battery_low { LOW_BATTERY_DF13 } else { 0 };
    let mut body = vec![0x20, 0x26, 0x05, 0x04, bcd(second / 3600 % 24), bcd(second / 60 % 60), bcd(second % 60), 0];
    body.extend(status.to_be_bytes());
    body.extend(pulse.to_be_bytes());
    body.extend([0, spo2]);
    let mut frame = vec![0x00, 0x02, 0x00, 0x0D, 0x00, body.len() as u8];
    frame.extend(&body);
    frame.push(sum(&body));
    frame.push(0x03);
    frame
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_selects_the_format_and_sets_the_clock() {
        let (mut nonin, now) = (Nonin::new(Format::Df2), Now::default());
        let shown = Vitals::on_finger(Some(72), Some(97));
        assert_eq!(nonin.second(&shown, now).len(), 75);
        // In two parts, behind noise.
        assert!(nonin.hear(&[0x55, 0x02, 0x70, 0x02], now).is_empty());
        assert_eq!(nonin.hear(&[0x02, 0x08, 0x03], now), [[ACKNOWLEDGED]]);
        assert_eq!(nonin.second(&shown, now), [[0x80, 72, 97, 0]]);
        assert_eq!(nonin.hear(&[0x02, 0x70, 0x02, 0x02, 0x09, 0x03], now), [[REFUSED]]);
        let set = [0x02, 0x72, 0x06, 0x32, 0x0C, 0x1F, 0x0E, 0x1E, 0x0F, 0x03];
        assert_eq!(nonin.hear(&set, now), [[ACKNOWLEDGED]]);
        let told = [0x02, 0xF2, 0x06, 0x32, 0x0C, 0x1F, 0x0E, 0x1E, 0x0F, 0x03];
        assert_eq!(nonin.hear(&[0x02, 0x72, 0x00, 0x03], now), [told]);
        nonin.switched_on();
        assert_eq!(nonin.second(&shown, now).len(), 75, "the format is forgotten");
    }
}
