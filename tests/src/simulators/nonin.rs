//! Nonin data formats 2, 7, 8 and 13, as a device sends them (STANDARDS §2.1; OEM specification 6470-000-01).
//!
//! Formats 2 and 7 send 75 frames of five octets a second: three packets of 25, of which the first frame alone has
//! the sync bit, each frame with its checksum. Formats 8 and 13 send one frame a second.

use super::{Bytes, Vitals};

/// Frames in a packet of formats 2 and 7.
pub const FRAMES_PER_PACKET: usize = 25;
/// Packets in a second of formats 2 and 7.
pub const PACKETS_PER_SECOND: usize = 3;

const SENSOR_ALARM: u8 = 1 << 3;
const SENSOR_ALARM_DF8: u8 = 1 << 3;
const NO_PULSE: u16 = 511;
const NO_SPO2: u8 = 127;
const REVISION: u8 = 48;

/// Which of the two formats of 75 frames a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wide {
    /// Format 2: pleth of eight bits.
    Df2,
    /// Format 7: pleth of sixteen bits.
    Df7,
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

/// The 75 frames of a second. `timer` counts packets.
#[must_use]
pub fn wide_second(format: Wide, vitals: &Vitals, timer: u16) -> Vec<Bytes> {
    let status = if vitals.finger { 0x80 } else { 0x80 | SENSOR_ALARM };
    let mut frames = Vec::new();
    for place in 0..FRAMES_PER_PACKET * PACKETS_PER_SECOND {
        let number = place % FRAMES_PER_PACKET + 1;
        let timer = timer.wrapping_add((place / FRAMES_PER_PACKET) as u16);
        let status = status | u8::from(number == 1);
        let (wave, float) = (pleth(vitals, place), float(number, vitals, timer));
        let head = match format {
            Wide::Df2 => [0x01, status, (wave >> 8) as u8, float],
            Wide::Df7 => [status, (wave >> 8) as u8, wave as u8, float],
        };
        let mut frame = head.to_vec();
        frame.push(head.iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet)));
        frames.push(frame);
    }
    frames
}

/// The frame of a second in format 8.
#[must_use]
pub fn df8(vitals: &Vitals) -> Bytes {
    let (pulse, spo2) = numbers(vitals);
    let fourth = if vitals.finger { 0 } else { SENSOR_ALARM_DF8 };
    vec![0x80 | high(pulse), low(pulse), spo2, fourth]
}

fn bcd(number: u64) -> u8 {
    (((number / 10 % 10) << 4) | (number % 10)) as u8
}

/// A spot measurement in format 13, at a made-up time of day.
#[must_use]
pub fn df13(vitals: &Vitals, second: u64) -> Bytes {
    let (pulse, spo2) = numbers(vitals);
    let status: u16 = if vitals.finger { 0x0200 } else { 0x0100 };
    let mut body = vec![0x20, 0x26, 0x05, 0x04, bcd(second / 3600 % 24), bcd(second / 60 % 60), bcd(second % 60), 0];
    body.extend(status.to_be_bytes());
    body.extend(pulse.to_be_bytes());
    body.extend([0, spo2]);
    let mut frame = vec![0x00, 0x02, 0x00, 0x0D, 0x00, body.len() as u8];
    frame.extend(&body);
    frame.push(body.iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet)));
    frame.push(0x03);
    frame
}
