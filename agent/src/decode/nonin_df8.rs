//! Nonin data format 8: 9600 8N1, one frame a second.
//!
//! Source: Nonin OEM specification 6470-000-01 (STANDARDS §2.1).
//! ```text
//! 1  1 R OOT LPRF MPRF ARTF HR8 HR7
//! 2  0 HR6..HR0
//! 3  0 SpO2                                    511 and 127 mean no data
//! 4  0 R SPA R SNSA R R LOWBAT                 older boards send no fourth octet
//! ```
//! There is no checksum: two frames in a row are needed. With the sensor alarm the values are those held after the
//! finger left: stale. A board counts as an older one only after two short frames in a row and no long one, because
//! a lost octet must not hide the sensor alarm.

use arrayvec::ArrayVec;
use shared::reading::{NoReading, Quality};

use super::Unit;
use super::belief::Belief;
use super::framing::Marked;
use super::nonin_packet::{PULSE_MISSING, SPO2_MISSING, absence};
use super::refused::{RefusedFrame, Tally};

/// Good frames in a row before one is believed.
pub const FRAMES_BEFORE_BELIEF: u64 = 2;
/// Short frames in a row, and no long one, before a board counts as one that sends three octets.
pub const SHORT_FRAMES_BEFORE_BELIEF: u32 = 2;
const FRAME_BYTES_MAX: usize = 4;

/// The fields of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    first: u8,
    second: u8,
    third: u8,
    fourth: u8,
}

impl Frame {
    /// Reads a frame of three or four octets.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`] for another length, [`RefusedFrame::Marker`] where bit 7 is not set in the first
    /// octet alone.
    pub fn of(bytes: &[u8]) -> Result<Self, RefusedFrame> {
        let (first, second, third, fourth) = match *bytes {
            [first, second, third] => (first, second, third, 0),
            [first, second, third, fourth] => (first, second, third, fourth),
            _ => return Err(RefusedFrame::Length),
        };
        let marked = first & 0x80 != 0 && (second | third | fourth) & 0x80 == 0;
        if marked { Ok(Self { first, second, third, fourth }) } else { Err(RefusedFrame::Marker) }
    }

    /// The frame of four octets, if bit 7 is set in the first alone.
    const fn long([first, second, third, fourth]: [u8; FRAME_BYTES_MAX]) -> Option<Self> {
        let marked = first & 0x80 != 0 && (second | third | fourth) & 0x80 == 0;
        if marked { Some(Self { first, second, third, fourth }) } else { None }
    }

    /// Pulse rate per minute; 511 is none.
    #[must_use]
    pub fn pulse(&self) -> u16 {
        (u16::from(self.first & 3) << 7) | u16::from(self.second)
    }

    /// Saturation in per cent; 127 is none.
    #[must_use]
    pub const fn spo2(&self) -> u8 {
        self.third
    }

    /// No consecutive pulses.
    #[must_use]
    pub const fn out_of_track(&self) -> bool {
        self.first & (1 << 5) != 0
    }

    /// Low perfusion.
    #[must_use]
    pub const fn low_perfusion(&self) -> bool {
        self.first & (1 << 4) != 0
    }

    /// Marginal perfusion.
    #[must_use]
    pub const fn marginal_perfusion(&self) -> bool {
        self.first & (1 << 3) != 0
    }

    /// Movement.
    #[must_use]
    pub const fn artefact(&self) -> bool {
        self.first & (1 << 2) != 0
    }

    /// The device averaged until it was sure.
    #[must_use]
    pub const fn smart_point(&self) -> bool {
        self.fourth & (1 << 5) != 0
    }

    /// The sensor is off or faulty.
    #[must_use]
    pub const fn sensor_alarm(&self) -> bool {
        self.fourth & (1 << 3) != 0
    }

    /// The battery is low.
    #[must_use]
    pub const fn low_battery(&self) -> bool {
        self.fourth & 1 != 0
    }

    /// The frame as a unit of its second.
    #[must_use]
    pub fn unit(&self, tells_battery: bool) -> Unit {
        let quality = Quality::ARTEFACT
            .when(self.artefact())
            .and(Quality::OUT_OF_TRACK.when(self.out_of_track()))
            .and(Quality::SENSOR_ALARM.when(self.sensor_alarm()))
            .and(Quality::LOW_PERFUSION.when(self.low_perfusion()))
            .and(Quality::MARGINAL_PERFUSION.when(self.marginal_perfusion()))
            .and(Quality::SMART_POINT.when(self.smart_point()))
            .and(Quality::LOW_BATTERY.when(self.low_battery()));
        let missing = absence(self.sensor_alarm(), self.out_of_track());
        let held = self.sensor_alarm().then_some(NoReading::Stale);
        let pulse = match (self.pulse(), held) {
            (PULSE_MISSING, _) => Err(missing),
            (_, Some(stale)) => Err(stale),
            (pulse, None) => Ok(pulse),
        };
        let spo2 = match (self.spo2(), held) {
            (SPO2_MISSING, _) => Err(missing),
            (_, Some(stale)) => Err(stale),
            (spo2, None) => Ok(spo2),
        };
        Unit::live(pulse, spo2, quality, tells_battery.then_some(self.low_battery()))
    }
}

/// Finds frames in a line. Holds at most three octets.
#[derive(Debug)]
pub struct Df8Line {
    bytes: ArrayVec<u8, FRAME_BYTES_MAX>,
    belief: Belief,
    short_in_a_row: u32,
    seen_long: bool,
}

impl Default for Df8Line {
    fn default() -> Self {
        Self {
            bytes: ArrayVec::new(),
            belief: Belief::after(FRAMES_BEFORE_BELIEF),
            short_in_a_row: 0,
            seen_long: false,
        }
    }
}

impl Df8Line {
    /// Whether the board counts as one that sends three octets.
    const fn is_short(&self) -> bool {
        !self.seen_long && self.short_in_a_row >= SHORT_FRAMES_BEFORE_BELIEF
    }
}

impl Marked<FRAME_BYTES_MAX> for Df8Line {
    type Frame = Frame;
    type Heard = Unit;

    /// Long frames only.
    fn whole(&self, octets: [u8; FRAME_BYTES_MAX]) -> Option<Frame> {
        if self.bytes.is_empty() && !self.is_short() { Frame::long(octets) } else { None }
    }

    fn take(&mut self, frame: Frame, tally: &mut Tally) -> Option<Unit> {
        self.seen_long = true;
        self.belief.good(tally).then(|| frame.unit(true))
    }

    fn octet(&mut self, byte: u8, tally: &mut Tally) -> Option<Unit> {
        if byte & 0x80 != 0 {
            self.cut_off(tally);
            self.bytes.clear();
            self.bytes.push(byte);
            return None;
        }
        if self.bytes.is_empty() {
            self.belief.broken(tally);
            self.short_in_a_row = 0;
            tally.garbage();
            return None;
        }
        self.bytes.push(byte);
        let is_short = self.is_short();
        let length = if is_short { 3 } else { 4 };
        if self.bytes.len() < length {
            return None;
        }
        let frame = Frame::of(&self.bytes);
        self.bytes.clear();
        self.seen_long |= !is_short;
        match frame {
            Ok(frame) => self.belief.good(tally).then(|| frame.unit(!is_short)),
            Err(why) => {
                tally.refuse(why, 1);
                self.belief.broken(tally);
                None
            }
        }
    }
}

impl Df8Line {
    /// A new frame begins while one was in progress.
    fn cut_off(&mut self, tally: &mut Tally) {
        match self.bytes.len() {
            0 => {}
            3 if !self.seen_long => {
                self.short_in_a_row = self.short_in_a_row.saturating_add(1);
                self.belief.good(tally);
            }
            _ => {
                tally.refuse(RefusedFrame::Length, 1);
                self.belief.broken(tally);
                self.short_in_a_row = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(bytes: &[u8]) -> (Vec<Unit>, Tally) {
        let (mut line, mut tally, mut rest) = (Df8Line::default(), Tally::default(), bytes);
        let units = std::iter::from_fn(|| line.hear(&mut rest, &mut tally)).collect();
        (units, tally)
    }

    #[test]
    fn the_second_frame_in_a_row_is_the_first_believed() {
        let (found, tally) = units(&[0x80, 72, 97, 0, 0x80, 73, 97, 0x21]);
        let quality = Quality::SMART_POINT.and(Quality::LOW_BATTERY);
        assert_eq!(found, [Unit::live(Ok(73), Ok(97), quality, Some(true))]);
        assert_eq!((tally.accepted, tally.refused_in_all()), (2, 0));
    }

    #[test]
    fn values_held_after_the_finger_left_are_stale() {
        let (found, _) = units(&[0x80, 75, 98, 8, 0x80, 75, 98, 8, 0x83, 127, 127, 8]);
        assert_eq!((found[0].pulse, found[0].spo2), (Err(NoReading::Stale), Err(NoReading::Stale)));
        assert_eq!((found[1].pulse, found[1].spo2), (Err(NoReading::SensorOff), Err(NoReading::SensorOff)));
    }

    #[test]
    fn an_older_board_is_believed_after_two_short_frames() {
        let (found, _) = units(&[0x80, 72, 97].repeat(6));
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].battery_low, None);
    }

    #[test]
    fn a_lost_octet_does_not_make_an_older_board() {
        let mut bytes = [0x80, 72, 97, 0].repeat(3);
        for _ in 0..5 {
            bytes.extend([0x80, 72, 97]);
        }
        assert_eq!(units(&bytes).0.len(), 2);
    }

    #[test]
    fn five_octets_of_another_protocol_are_never_believed() {
        let (found, tally) = units(&[0x85, 50, 7, 72, 97].repeat(50));
        assert_eq!((found.len(), tally.accepted), (0, 0));
    }
}
