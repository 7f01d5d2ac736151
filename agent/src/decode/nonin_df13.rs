//! Nonin data format 13: 9600 8N1, one frame for each spot measurement, with the device's own time.
//!
//! Source: Nonin OEM specification 6470-000-01 (STANDARDS §2.1).
//! ```text
//! 00 02 00 0D  LEN16  cc yy mm dd hh mm ss 00  STATUS16  HR16  00 SpO2 ...  SUM 03
//! ```
//! Big-endian; LEN counts from `cc` to before SUM, is at least 14 and may grow; the time is BCD; SUM is that of the LEN
//! octets, modulo 256. STATUS: 0200 SmartPoint, 0100 no measurement, 0010 from memory, 0001 low battery.

use arrayvec::ArrayVec;
use shared::observation::DeviceTime;
use shared::reading::{NoReading, Quality};

use super::date_time::is_a_time;
use super::nonin_packet::{PULSE_MISSING, SPO2_MISSING};
use super::refused::{RefusedFrame, Tally};
use super::{Memory, Unit};

const HEADER: [u8; 4] = [0x00, 0x02, 0x00, 0x0D];
const HEAD_BYTES: usize = 6;
const TAIL_BYTES: usize = 2;
const BODY_BYTES_MIN: usize = 14;
/// Longest body; a longer one is refused.
pub const BODY_BYTES_MAX: usize = 64;
const FRAME_BYTES_MAX: usize = HEAD_BYTES + BODY_BYTES_MAX + TAIL_BYTES;

const SMART_POINT: u16 = 0x0200;
const NO_MEASUREMENT: u16 = 0x0100;
const FROM_MEMORY: u16 = 0x0010;
const LOW_BATTERY: u16 = 0x0001;

/// The fields of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The device's own time: digits in their ranges, and perhaps a day that the calendar does not have.
    pub time: DeviceTime,
    status: u16,
    /// Pulse rate per minute; 511 is none.
    pub pulse: u16,
    /// Saturation in per cent; 127 is none.
    pub spo2: u8,
}

/// What the first octets of a line hold.
#[derive(Debug)]
enum Head {
    /// Nothing yet that could not be a frame of this many octets (or of a length yet unknown).
    Wanting,
    /// A frame of this many octets.
    Whole(usize),
    /// No frame begins here.
    Not(RefusedFrame),
}

fn head(bytes: &[u8]) -> Head {
    let header = bytes.get(..bytes.len().min(HEADER.len())).unwrap_or_default();
    if !HEADER.starts_with(header) {
        return Head::Not(RefusedFrame::Marker);
    }
    let [_, _, _, _, high, low, rest @ ..] = bytes else { return Head::Wanting };
    let body = usize::from(u16::from_be_bytes([*high, *low]));
    if !(BODY_BYTES_MIN..=BODY_BYTES_MAX).contains(&body) {
        return Head::Not(RefusedFrame::Length);
    }
    let behind = body.saturating_add(TAIL_BYTES);
    if rest.len() < behind { Head::Wanting } else { Head::Whole(HEAD_BYTES.saturating_add(behind)) }
}

fn bcd(octet: u8, max: u8) -> Result<u8, RefusedFrame> {
    let (tens, ones) = (octet >> 4, octet & 15);
    let value = tens.saturating_mul(10).saturating_add(ones);
    if tens > 9 || ones > 9 || value > max { Err(RefusedFrame::DeviceTime) } else { Ok(value) }
}

impl Frame {
    /// Reads a whole frame.
    ///
    /// # Errors
    /// [`RefusedFrame`] says what is wrong with the bytes.
    pub fn of(bytes: &[u8]) -> Result<Self, RefusedFrame> {
        match head(bytes) {
            Head::Not(why) => return Err(why),
            Head::Wanting => return Err(RefusedFrame::Length),
            Head::Whole(length) if length != bytes.len() => return Err(RefusedFrame::Length),
            Head::Whole(_) => {}
        }
        let (body, tail) = bytes
            .get(HEAD_BYTES..)
            .and_then(|rest| rest.split_last_chunk::<TAIL_BYTES>())
            .ok_or(RefusedFrame::Length)?;
        let [sum, end] = *tail;
        if end != 0x03 {
            return Err(RefusedFrame::Marker);
        }
        if body.iter().fold(0_u8, |so_far, octet| so_far.wrapping_add(*octet)) != sum {
            return Err(RefusedFrame::Checksum);
        }
        let [century, year, month, day, hour, minute, second, _, s1, s0, p1, p0, _, spo2, ..] = *body else {
            return Err(RefusedFrame::Length);
        };
        let hundreds = u16::from(bcd(century, 99)?).saturating_mul(100);
        let time = DeviceTime {
            year: hundreds.saturating_add(u16::from(bcd(year, 99)?)),
            month: bcd(month, 12)?,
            day: bcd(day, 31)?,
            hour: bcd(hour, 23)?,
            minute: bcd(minute, 59)?,
            second: bcd(second, 59)?,
        };
        let (status, pulse) = (u16::from_be_bytes([s1, s0]), u16::from_be_bytes([p1, p0]));
        Ok(Self { time, status, pulse, spo2 })
    }

    /// The device averaged until it was sure.
    #[must_use]
    pub const fn smart_point(&self) -> bool {
        self.status & SMART_POINT != 0
    }

    /// It was stored earlier and is not of now.
    #[must_use]
    pub const fn from_memory(&self) -> bool {
        self.status & FROM_MEMORY != 0
    }

    /// There was no measurement.
    #[must_use]
    pub const fn no_measurement(&self) -> bool {
        self.status & NO_MEASUREMENT != 0
    }

    /// The battery is low, or was when it was stored.
    #[must_use]
    pub const fn low_battery(&self) -> bool {
        self.status & LOW_BATTERY != 0
    }

    /// The frame as a unit; `bytes` are its own.
    #[must_use]
    pub fn unit(&self, bytes: &[u8]) -> Unit {
        let quality = Quality::SMART_POINT.when(self.smart_point()).and(Quality::LOW_BATTERY.when(self.low_battery()));
        let failed = self.no_measurement().then_some(NoReading::MeasurementFailed);
        let missing = failed.unwrap_or(NoReading::MissingData);
        let pulse = if failed.is_some() || self.pulse == PULSE_MISSING { Err(missing) } else { Ok(self.pulse) };
        let spo2 = if failed.is_some() || self.spo2 == SPO2_MISSING { Err(missing) } else { Ok(self.spo2) };
        // The protocol has no numbers of records: time and bytes tell one from another.
        let memory = self.from_memory().then(|| Memory::of(0, bytes));
        // What a stored frame says of the battery was true when it was stored.
        let battery_low = (!self.from_memory()).then_some(self.low_battery());
        let device_time = Some(self.time).filter(is_a_time);
        Unit { device_time, memory, ..Unit::live(pulse, spo2, quality, battery_low) }
    }
}

/// Finds frames in a line. Holds at most one frame.
#[derive(Debug, Default)]
pub struct Df13Line {
    bytes: ArrayVec<u8, FRAME_BYTES_MAX>,
}

impl Df13Line {
    /// Takes bytes from the front until a frame is whole or none are left.
    pub fn hear(&mut self, bytes: &mut &[u8], tally: &mut Tally) -> Option<Unit> {
        loop {
            // A frame that is whole in the bytes is read where it is.
            if self.bytes.is_empty()
                && let Head::Whole(length) = head(bytes)
                && let Some((octets, rest)) = bytes.split_at_checked(length)
                && let Ok(frame) = Frame::of(octets)
            {
                *bytes = rest;
                tally.accept(1);
                return Some(frame.unit(octets));
            }
            let (byte, rest) = bytes.split_first()?;
            *bytes = rest;
            self.bytes.push(*byte);
            let unit = self.settle(tally);
            if unit.is_some() {
                return unit;
            }
        }
    }

    /// Gives the frame that the bytes make; drops from their front what can be no frame.
    fn settle(&mut self, tally: &mut Tally) -> Option<Unit> {
        while !self.bytes.is_empty() {
            match head(&self.bytes) {
                Head::Wanting => return None,
                Head::Not(RefusedFrame::Marker) => tally.garbage(),
                Head::Not(why) => tally.refuse_frame(why),
                Head::Whole(length) => match self.bytes.get(..length).map_or(Err(RefusedFrame::Length), Frame::of) {
                    Ok(frame) => {
                        let unit = frame.unit(self.bytes.get(..length).unwrap_or_default());
                        self.bytes.drain(..length);
                        tally.accept(1);
                        return Some(unit);
                    }
                    Err(why) => tally.refuse_frame(why),
                },
            }
            // The next frame may begin inside these bytes.
            self.bytes.remove(0);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::super::tests::df13_frame;
    use super::*;

    fn units(bytes: &[u8]) -> (Vec<Unit>, Tally) {
        let (mut line, mut tally, mut rest) = (Df13Line::default(), Tally::default(), bytes);
        let units = std::iter::from_fn(|| line.hear(&mut rest, &mut tally)).collect();
        (units, tally)
    }

    #[test]
    fn time_values_and_memory() {
        let live = df13_frame(0x0200, 72, 97);
        let stored = df13_frame(0x0010, 511, 127);
        let (found, tally) = units(&[live, stored.clone()].concat());
        let time = DeviceTime { year: 2026, month: 7, day: 28, hour: 14, minute: 30, second: 15 };
        assert_eq!((found[0].pulse, found[0].device_time), (Ok(72), Some(time)));
        assert_eq!((found[0].quality, found[0].memory), (Quality::SMART_POINT, None));
        assert_eq!((found[1].pulse, found[1].memory), (Err(NoReading::MissingData), Some(Memory::of(0, &stored))));
        assert_eq!((tally.accepted, tally.refused_in_all()), (2, 0));
        assert_eq!(units(&df13_frame(0x0100, 72, 97)).0[0].spo2, Err(NoReading::MeasurementFailed));
    }

    #[test]
    fn a_day_that_the_calendar_does_not_have_is_dropped_and_the_values_stay() {
        let mut frame = df13_frame(0, 72, 97);
        (frame[8], frame[9]) = (0x02, 0x30);
        frame[20] = frame[6..20].iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet));
        let (found, _) = units(&frame);
        assert_eq!((found[0].pulse, found[0].device_time), (Ok(72), None));
    }

    #[test]
    fn a_torn_frame_costs_itself_only() {
        for cut in 1..24 {
            let mut bytes = df13_frame(0, 72, 97);
            bytes.truncate(bytes.len().min(cut));
            bytes.extend(df13_frame(0, 73, 97));
            bytes.extend(df13_frame(0, 74, 97));
            let (found, _) = units(&bytes);
            assert_eq!(found.last().map(|unit| unit.pulse), Some(Ok(74)), "cut at {cut}");
            assert!(found.iter().all(|unit| unit.pulse == Ok(72) || unit.pulse == Ok(73) || unit.pulse == Ok(74)));
        }
    }

    #[test]
    fn lengths_on_both_sides_of_each_edge() {
        for (length, fits) in [(13_u8, false), (14, true), (64, true), (65, false)] {
            let mut bytes = vec![0, 2, 0, 13, 0, length, 0x20, 0x26, 7, 0x28, 0x14, 0x30, 0x15, 0, 0, 0, 0, 72, 0, 97];
            bytes.resize(6 + usize::from(length), 0);
            let sum = bytes[6..].iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
            bytes.extend([sum, 3]);
            let (found, tally) = units(&bytes);
            assert_eq!((found.len() == 1, tally.refused(RefusedFrame::Length) > 0), (fits, !fits), "{length}");
        }
    }
}
