//! Nonin data format 8: 9600 8N1, one frame a second.
//!
//! Source: Nonin OEM specification 6470-000-01 (STANDARDS §2.1).
//! ```text
//! 1  1 R OOT LPRF MPRF ARTF HR8 HR7            R: "sensor disconnected" in two public decoders
//! 2  0 HR6..HR0
//! 3  0 SpO2                                    511 and 127 mean no data
//! 4  0 R SPA R SNSA R R LOWBAT                 older boards send no fourth octet
//! ```
//! There is no checksum: two frames in a row are needed, and a frame that cannot be one is refused by the line: a saturation
//! between 100 and 127, or a fourth octet with its bit 6 or 4 set, as a saturation from 48 on has that an octet too many pushed
//! there. Bits 2 and 1 are not looked at: another public decoder has them as the mode and a critical battery.
//!
//! With the sensor alarm the values are those held after the finger left: stale. Bit 6 of the first octet is reserved in the
//! specification; where two public decoders (Pufferfish of Pez Globo, Format8 of IHA) say that no sensor is connected, the
//! values are flagged and not taken away.
//!
//! A board counts as an older one only after two short frames in a row, because a lost octet must not hide the sensor alarm;
//! after long frames were believed, only when ten came in a row. Boards that send three octets cannot say that values are held,
//! and an octet that is added to such a frame cannot be seen before it was handed on.

use arrayvec::ArrayVec;
use shared::reading::{NoReading, Quality};

use super::Unit;
use super::belief::Belief;
use super::framing::Marked;
use super::nonin_packet::{PULSE_MISSING, SPO2_MISSING, absence};
use super::refused::{RefusedFrame, Tally};

/// Good frames in a row before one is believed.
pub const FRAMES_BEFORE_BELIEF: u64 = 2;
/// Short frames in a row before a board counts as one that sends three octets.
pub const SHORT_FRAMES_BEFORE_BELIEF: u32 = 2;
/// The same behind long frames that were believed: no line loses the same octet so often in a row.
pub const SHORT_FRAMES_AGAINST_LONG: u32 = 10;
/// Bits of the fourth octet that no board sets.
const NEVER_SET: u8 = 1 << 6 | 1 << 4;
/// The highest saturation, per cent.
const SPO2_MAX: u8 = 100;
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

    /// Whether a board can have sent it. Others are octets of two frames, or of a frame and one too many.
    #[must_use]
    pub const fn is_credible(&self) -> bool {
        self.fourth & NEVER_SET == 0 && (self.third <= SPO2_MAX || self.third == SPO2_MISSING)
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

    /// No sensor is connected, where two public decoders are right about a bit that the specification reserves.
    #[must_use]
    pub const fn sensor_disconnected(&self) -> bool {
        self.first & (1 << 6) != 0
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
            .and(Quality::SENSOR_ALARM.when(self.sensor_alarm() || self.sensor_disconnected()))
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

/// How many octets the frames of a run have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Short,
    Long,
}

/// Finds frames in a line. Holds at most three octets.
#[derive(Debug)]
pub struct Df8Line {
    bytes: ArrayVec<u8, FRAME_BYTES_MAX>,
    belief: Belief,
    /// What the frames counted by `belief` were.
    run: Form,
    /// Short frames since the last that was none.
    short_in_a_row: u32,
    /// Long frames were believed, and no others since.
    is_long: bool,
}

impl Default for Df8Line {
    fn default() -> Self {
        Self {
            bytes: ArrayVec::new(),
            belief: Belief::after(FRAMES_BEFORE_BELIEF),
            run: Form::Long,
            short_in_a_row: 0,
            is_long: false,
        }
    }
}

impl Marked<FRAME_BYTES_MAX> for Df8Line {
    type Frame = Frame;
    type Heard = Unit;

    /// Long frames only.
    fn whole(&self, octets: [u8; FRAME_BYTES_MAX]) -> Option<Frame> {
        let in_step = self.bytes.is_empty() && !self.is_short();
        if in_step { Frame::long(octets).filter(Frame::is_credible) } else { None }
    }

    fn take(&mut self, frame: Frame, tally: &mut Tally) -> Option<Unit> {
        self.short_in_a_row = 0;
        let is_believed = self.good(Form::Long, tally);
        self.is_long |= is_believed;
        is_believed.then(|| frame.unit(true))
    }

    fn octet(&mut self, byte: u8, tally: &mut Tally) -> Option<Unit> {
        if byte & 0x80 != 0 {
            self.cut_off(tally);
            self.bytes.clear();
            self.bytes.push(byte);
            return None;
        }
        if self.bytes.is_empty() {
            self.broken(tally);
            tally.garbage();
            return None;
        }
        self.bytes.push(byte);
        let is_short = self.is_short();
        if self.bytes.len() < if is_short { 3 } else { 4 } {
            return None;
        }
        let frame = Frame::of(&self.bytes);
        self.bytes.clear();
        match frame {
            Ok(frame) if !frame.is_credible() => {
                tally.refuse_frame(RefusedFrame::Unknown);
                self.broken(tally);
                None
            }
            Ok(frame) if is_short => self.good(Form::Short, tally).then(|| frame.unit(false)),
            Ok(frame) => self.take(frame, tally),
            Err(why) => {
                tally.refuse(why, 1);
                self.broken(tally);
                None
            }
        }
    }
}

impl Df8Line {
    /// Whether the board counts as one that sends three octets.
    const fn is_short(&self) -> bool {
        !self.is_long && self.short_in_a_row >= SHORT_FRAMES_BEFORE_BELIEF
    }

    /// A good frame of this form came: whether to believe it. A run is of one form.
    fn good(&mut self, form: Form, tally: &mut Tally) -> bool {
        if self.run != form {
            self.belief.broken(tally);
            self.run = form;
        }
        self.belief.good(tally)
    }

    /// Octets that are no frame.
    fn broken(&mut self, tally: &mut Tally) {
        self.belief.broken(tally);
        self.short_in_a_row = 0;
    }

    /// A new frame begins while one was in progress.
    fn cut_off(&mut self, tally: &mut Tally) {
        match self.bytes.len() {
            0 => {}
            3 => {
                self.short_in_a_row = self.short_in_a_row.saturating_add(1);
                self.is_long &= self.short_in_a_row < SHORT_FRAMES_AGAINST_LONG;
                if self.is_long {
                    tally.refuse(RefusedFrame::Length, 1);
                    self.belief.broken(tally);
                } else {
                    self.good(Form::Short, tally);
                }
            }
            _ => {
                tally.refuse(RefusedFrame::Length, 1);
                self.broken(tally);
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
    fn garbage_that_looks_like_a_long_frame_does_not_lock_an_older_board_out() {
        let short = [0x80, 72, 97].repeat(6);
        for garbage in
            [&[0x10, 0x90, 0x10, 0x20, 0x30][..], &[0x90, 0x10, 0x20, 0x01], &[0x10], &[0x90, 16, 32, 1, 0x90]]
        {
            let (found, _) = units(&[&short, garbage, &short].concat());
            let good = found.iter().rev().take_while(|unit| unit.spo2 == Ok(97)).count();
            assert!(good >= 4, "{garbage:02X?}: two of six frames prove that the board is an older one");
        }
    }

    #[test]
    fn a_board_that_is_exchanged_for_an_older_one_is_read_after_ten_frames() {
        let mut bytes = [0x80, 72, 97, 0].repeat(3);
        bytes.extend([0x80, 75, 95].repeat(9));
        assert_eq!(units(&bytes).0.len(), 2, "on this side of the edge");
        bytes.extend([0x80, 75, 95].repeat(4));
        let (found, _) = units(&bytes);
        assert!(found.len() > 2 && found[2..].iter().all(|unit| unit.pulse == Ok(75)), "{found:?}");
    }

    #[test]
    fn a_frame_that_no_board_sends_is_refused() {
        let good = [0x80, 72, 97, 0];
        for (frame, is_sent) in [
            ([0x80, 72, 100, 0], true),
            ([0x80, 72, 101, 0], false),
            ([0x80, 72, 126, 0], false),
            ([0x80, 72, 127, 0], true),
            ([0x80, 72, 97, 0x27], true),
            ([0x80, 72, 97, 0x10], false),
            ([0x80, 72, 97, 0x40], false),
        ] {
            let (found, tally) = units(&[&good.repeat(2)[..], &frame].concat());
            assert_eq!((found.len() == 2, tally.refused(RefusedFrame::Unknown)), (is_sent, u64::from(!is_sent)));
        }
        // The octet too many is the saturation then, and the saturation stands in the fourth octet's place.
        let (found, _) = units(&[&good.repeat(2)[..], &[0x80, 72, 16, 97, 0], &good.repeat(2)].concat());
        assert!(found.iter().all(|unit| unit.spo2 == Ok(97)), "{found:?}");
    }

    #[test]
    fn a_sensor_that_may_be_disconnected_is_a_flag_and_no_absence() {
        for frame in [&[0xC0, 72, 97][..], &[0xC0, 72, 97, 0]] {
            let (found, _) = units(&frame.repeat(4));
            assert_eq!((found[0].spo2, found[0].quality), (Ok(97), Quality::SENSOR_ALARM));
            assert!(found[0].quality.is_gated());
        }
    }

    #[test]
    fn five_octets_of_another_protocol_are_never_believed() {
        let (found, tally) = units(&[0x85, 50, 7, 72, 97].repeat(50));
        assert_eq!((found.len(), tally.accepted), (0, 0));
    }
}
