//! BCI, five octets 60 times a second: 4800 8N1 (BCI, Smiths, Berry, ChipOx class) or 19200 8O1 (Contec CMS50D+/E
//! before V4.6).
//!
//! Source: STANDARDS §2.2, where a second public decoder agrees.
//! ```text
//! 1  1 beep b5 b4 sig3..0     b5: saturation falling (Contec) or probe unplugged (Berry)
//!                             b4: searching too long (Contec) or no signal (Berry)
//! 2  0 pleth
//! 3  0 PR7 search probe bar3..0
//! 4  0 PR6..PR0               255 and 0 mean no data
//! 5  0 SpO2                   127 and 0 mean no data
//! ```
//! No checksum: a run of frames must prove itself before any is believed, and a value must come several times.

use arrayvec::ArrayVec;
use shared::reading::{NoReading, Quality};

use super::Unit;
use super::belief::Belief;
use super::framing::Marked;
use super::refused::{RefusedFrame, Tally};

/// Frames in a second.
pub const FRAMES_PER_SECOND: u32 = 60;
/// Good frames in a row before one is believed: noise looks like a frame once in 32 times.
pub const FRAMES_BEFORE_BELIEF: u32 = 10;
/// How often a value must come in a row.
pub const REPEATS_BEFORE_BELIEF: u32 = 3;
const FRAME_BYTES: usize = 5;

/// What bit 5 of the first octet means, which differs by maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bit5 {
    /// The saturation is falling: Contec, and what is taken of a serial line, where nobody says who made the device.
    #[default]
    Falling,
    /// The probe is unplugged: Berry.
    Unplugged,
}
/// A strength that means that there is none.
const STRENGTH_INVALID: u8 = 15;

/// The fields of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    first: u8,
    second: u8,
    third: u8,
    fourth: u8,
    fifth: u8,
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`], or [`RefusedFrame::Marker`] where bit 7 is not set in the first octet alone.
    pub fn of(bytes: &[u8]) -> Result<Self, RefusedFrame> {
        let octets = <[u8; FRAME_BYTES]>::try_from(bytes).map_err(|_| RefusedFrame::Length)?;
        Self::in_step(octets).ok_or(RefusedFrame::Marker)
    }

    /// The frame, if bit 7 is set in its first octet alone.
    const fn in_step([first, second, third, fourth, fifth]: [u8; FRAME_BYTES]) -> Option<Self> {
        let marked = first & 0x80 != 0 && (second | third | fourth | fifth) & 0x80 == 0;
        if marked { Some(Self { first, second, third, fourth, fifth }) } else { None }
    }

    /// Pulse rate per minute, if there is one.
    #[must_use]
    pub const fn pulse(&self) -> Option<u8> {
        match ((self.third & 0x40) << 1) | self.fourth {
            0 | 255 => None,
            pulse => Some(pulse),
        }
    }

    /// Saturation in per cent, if there is one.
    #[must_use]
    pub const fn spo2(&self) -> Option<u8> {
        match self.fifth {
            0 | 127 => None,
            spo2 => Some(spo2),
        }
    }

    /// Saturation is falling (Contec) or the probe is unplugged (Berry).
    #[must_use]
    pub const fn bit5(&self) -> bool {
        self.first & (1 << 5) != 0
    }

    /// Searching for too long (Contec) or no signal (Berry).
    #[must_use]
    pub const fn bit4(&self) -> bool {
        self.first & (1 << 4) != 0
    }

    /// Signal strength, 0 to 8; 15 is none.
    #[must_use]
    pub const fn strength(&self) -> u8 {
        self.first & 15
    }

    /// A heart beat.
    #[must_use]
    pub const fn beep(&self) -> bool {
        self.first & (1 << 6) != 0
    }

    /// The pulse wave, 0 to 127.
    #[must_use]
    pub const fn pleth(&self) -> u8 {
        self.second
    }

    /// Looking for a pulse.
    #[must_use]
    pub const fn searching(&self) -> bool {
        self.third & (1 << 5) != 0
    }

    /// The probe is off the finger or faulty.
    #[must_use]
    pub const fn probe_error(&self) -> bool {
        self.third & (1 << 4) != 0
    }

    /// The bar of the pulse wave, 0 to 15.
    #[must_use]
    pub const fn bar(&self) -> u8 {
        self.third & 15
    }

    /// Why there is no number, where there is none.
    const fn absence(&self) -> NoReading {
        if self.probe_error() {
            NoReading::SensorOff
        } else if self.bit5() {
            NoReading::SensorDisconnected
        } else if self.searching() || self.bit4() {
            NoReading::Searching
        } else {
            NoReading::MissingData
        }
    }

    /// The frame as a unit of its second. `tells_strength`: the device has sent a strength other than zero, so
    /// that zero means something. A number beside a probe that is unplugged or off is none of a patient.
    #[must_use]
    pub fn unit(&self, tells_strength: bool, bit5: Bit5) -> Unit {
        let unplugged = self.bit5() && bit5 == Bit5::Unplugged;
        let quality = Quality::SEARCHING
            .when(self.searching() || self.bit4())
            .and(Quality::DESATURATION.when(self.bit5() && !unplugged && self.spo2().is_some()))
            .and(Quality::WEAK_SIGNAL.when(tells_strength && self.strength() == 0))
            .and(Quality::SENSOR_ALARM.when(self.probe_error() || unplugged));
        let believed = !self.probe_error() && !unplugged;
        let absence = if unplugged { NoReading::SensorDisconnected } else { self.absence() };
        let pulse = self.pulse().filter(|_| believed).map(u16::from).ok_or(absence);
        let spo2 = self.spo2().filter(|_| believed).ok_or(absence);
        Unit::live(pulse, spo2, quality, None)
    }
}

/// Finds frames in a line. Holds at most four octets.
#[derive(Debug)]
pub struct BciLine {
    bytes: ArrayVec<u8, FRAME_BYTES>,
    belief: Belief,
    /// Flags of frames that are not yet believed.
    unproven: Quality,
    tells_strength: bool,
    bit5: Bit5,
}

impl Default for BciLine {
    fn default() -> Self {
        Self::of(Bit5::default())
    }
}

impl BciLine {
    /// A line of devices that mean this with bit 5.
    #[must_use]
    pub const fn of(bit5: Bit5) -> Self {
        Self {
            bytes: ArrayVec::new_const(),
            belief: Belief::after(FRAMES_BEFORE_BELIEF as u64),
            unproven: Quality::GOOD,
            tells_strength: false,
            bit5,
        }
    }
}

impl Marked<FRAME_BYTES> for BciLine {
    type Frame = Frame;
    type Heard = Unit;

    fn whole(&self, octets: [u8; FRAME_BYTES]) -> Option<Frame> {
        if self.bytes.is_empty() { Frame::in_step(octets) } else { None }
    }

    fn octet(&mut self, byte: u8, tally: &mut Tally) -> Option<Unit> {
        match (byte & 0x80 != 0, self.bytes.is_empty()) {
            (true, false) => {
                tally.refuse(RefusedFrame::Length, 1);
                self.break_off(tally);
            }
            (false, true) => {
                self.break_off(tally);
                tally.garbage();
                return None;
            }
            _ => {}
        }
        self.bytes.push(byte);
        if self.bytes.len() < FRAME_BYTES {
            return None;
        }
        let frame = Frame::of(&self.bytes);
        self.bytes.clear();
        match frame {
            Ok(frame) => self.take(frame, tally),
            Err(why) => {
                tally.refuse(why, 1);
                self.break_off(tally);
                None
            }
        }
    }

    fn take(&mut self, frame: Frame, tally: &mut Tally) -> Option<Unit> {
        let believed = self.belief.good(tally);
        self.tells_strength |= believed && !matches!(frame.strength(), 0 | STRENGTH_INVALID);
        let mut unit = frame.unit(self.tells_strength, self.bit5);
        if !believed {
            self.unproven = self.unproven.and(unit.quality);
            return None;
        }
        if self.belief.just_now() {
            unit.frames = FRAMES_BEFORE_BELIEF;
            unit.quality = unit.quality.and(std::mem::take(&mut self.unproven));
        }
        Some(unit)
    }
}

impl BciLine {
    fn break_off(&mut self, tally: &mut Tally) {
        self.bytes.clear();
        self.unproven = Quality::GOOD;
        self.belief.broken(tally);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(bytes: &[u8]) -> (Vec<Unit>, Tally) {
        let (mut line, mut tally, mut rest) = (BciLine::default(), Tally::default(), bytes);
        let units = std::iter::from_fn(|| line.hear(&mut rest, &mut tally)).collect();
        (units, tally)
    }

    const GOOD: [u8; 5] = [0x85, 50, 7, 72, 97];

    #[test]
    fn belief_begins_with_the_tenth_frame_in_a_row() {
        assert!(units(&GOOD.repeat(9)).0.is_empty());
        let (found, tally) = units(&GOOD.repeat(10));
        assert_eq!(found, [Unit { frames: 10, ..Unit::live(Ok(72), Ok(97), Quality::GOOD, None) }]);
        assert_eq!(tally.accepted, 10);
    }

    #[test]
    fn a_lost_octet_starts_the_proof_again() {
        let mut bytes = GOOD.repeat(12);
        bytes.extend([0x85, 50, 7, 72]);
        bytes.extend(GOOD.repeat(9));
        let (found, tally) = units(&bytes);
        assert_eq!(found.len(), 3);
        assert_eq!(tally.refused(RefusedFrame::Length), 1);
    }

    #[test]
    fn reasons_for_no_number() {
        let outcome = |frame: [u8; 5]| Frame::of(&frame).unwrap().unit(false, Bit5::Falling).spo2;
        assert_eq!(outcome([0x85, 0, 0x10, 72, 97]), Err(NoReading::SensorOff));
        assert_eq!(outcome([0xA0, 0, 0x40, 127, 127]), Err(NoReading::SensorDisconnected));
        assert_eq!(outcome([0x80, 0, 0x20, 0, 0]), Err(NoReading::Searching));
        assert_eq!(outcome([0x90, 0, 0, 0, 0]), Err(NoReading::Searching));
        assert_eq!(outcome([0x80, 0, 0x40, 127, 127]), Err(NoReading::MissingData));
    }

    #[test]
    fn an_unplugged_probe_measures_nobody() {
        let unit = |bit5| Frame::of(&[0xA5, 0, 0, 72, 88]).unwrap().unit(false, bit5);
        let (falling, unplugged) = (unit(Bit5::Falling), unit(Bit5::Unplugged));
        assert_eq!((falling.spo2, falling.pulse, falling.quality), (Ok(88), Ok(72), Quality::DESATURATION));
        let off = NoReading::SensorDisconnected;
        assert_eq!((unplugged.spo2, unplugged.pulse, unplugged.quality), (Err(off), Err(off), Quality::SENSOR_ALARM));
        let plugged = Frame::of(&[0x85, 0, 0, 72, 88]).unwrap();
        assert_eq!(plugged.unit(false, Bit5::Unplugged), plugged.unit(false, Bit5::Falling));
    }

    #[test]
    fn flags() {
        let quality = |frame: [u8; 5], tells| Frame::of(&frame).unwrap().unit(tells, Bit5::Falling).quality;
        assert_eq!(quality([0xA5, 0, 0, 72, 88], true), Quality::DESATURATION);
        assert_eq!(quality([0x95, 0, 0, 72, 97], true), Quality::SEARCHING);
        assert_eq!(quality([0x80, 0, 0, 72, 97], true), Quality::WEAK_SIGNAL);
        assert_eq!(quality([0x80, 0, 0, 72, 97], false), Quality::GOOD, "a field never used says nothing");
    }
}
