//! Nonin data formats 2 and 7: 9600 8N1, 75 frames of five octets a second, 25 frames a packet, three packets a
//! second. The first frame of a packet alone has the sync bit.
//!
//! Source: Nonin OEM specification 6470-000-01 (STANDARDS §2.1).
//! ```text
//! DF2  01     STATUS   PLETH    FLOAT  CHK        CHK = sum of the four octets before it, modulo 256
//! DF7  STATUS PLETH_H  PLETH_L  FLOAT  CHK
//! STATUS  b7 always 1, b5 artefact, b4 out of track, b3 sensor alarm, b2 red, b1 green perfusion (both: yellow), b0 sync
//! FLOAT   by frame from 1: 1 HR b8-b7, 2 HR b6-b0, 3 SpO2, 8 STAT2 (b5 SmartPoint, b0 low battery),
//!         9 SpO2-D, 20 and 21 HR-D
//! ```
//! 511 and 127 mean no data. The "-D" values are for displays and are held for ten seconds after the finger left:
//! they are stale and not used here.

use arrayvec::ArrayVec;
use shared::reading::{NoReading, Quality};

use super::Unit;
use super::framing::Marked;
use super::refused::{RefusedFrame, Tally};

/// Packets in a second.
pub const PACKETS_PER_SECOND: u32 = 3;
/// Frames in a packet.
pub const FRAMES_PER_PACKET: usize = 25;
const FRAME_BYTES: usize = 5;

const ARTEFACT: u8 = 1 << 5;
const OUT_OF_TRACK: u8 = 1 << 4;
const SENSOR_ALARM: u8 = 1 << 3;
const RED: u8 = 1 << 2;
const GREEN: u8 = 1 << 1;
const SYNC: u8 = 1;
const SMART_POINT: u8 = 1 << 5;
const LOW_BATTERY: u8 = 1;
/// No pulse rate.
pub(super) const PULSE_MISSING: u16 = 511;
/// No saturation.
pub(super) const SPO2_MISSING: u8 = 127;

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Pleth of 8 bits.
    Df2,
    /// Pleth of 16 bits.
    Df7,
}

/// What matters of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    status: u8,
    float: u8,
}

impl Variant {
    /// Reads one frame.
    ///
    /// # Errors
    /// [`RefusedFrame::Marker`] or [`RefusedFrame::Checksum`].
    pub fn frame(self, bytes: [u8; FRAME_BYTES]) -> Result<Frame, RefusedFrame> {
        let [first, second, third, float, checksum] = bytes;
        let status = match self {
            Self::Df2 if first != 0x01 => return Err(RefusedFrame::Marker),
            Self::Df2 => second,
            Self::Df7 => first,
        };
        if status & 0x80 == 0 {
            return Err(RefusedFrame::Marker);
        }
        let sum = first.wrapping_add(second).wrapping_add(third).wrapping_add(float);
        if sum == checksum { Ok(Frame { status, float }) } else { Err(RefusedFrame::Checksum) }
    }
}

/// The fields of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Pulse rate, average of four beats, per minute; 511 is none.
    pub pulse: u16,
    /// Saturation, average of four beats, per cent; 127 is none.
    pub spo2: u8,
    /// Pulse rate for displays; 511 is none.
    pub pulse_display: u16,
    /// Saturation for displays; 127 is none.
    pub spo2_display: u8,
    /// Status bits seen in any of the frames.
    any: u8,
    /// Low perfusion in any frame: red without green.
    pub low_perfusion: bool,
    /// Marginal perfusion in any frame: red with green.
    pub marginal_perfusion: bool,
    /// STAT2.
    stat2: u8,
}

impl Packet {
    /// Reads the frames of one packet.
    ///
    /// # Errors
    /// [`RefusedFrame::FrameLoss`] unless there are 25 of which the first alone has the sync bit.
    pub fn of(frames: &[Frame]) -> Result<Self, RefusedFrame> {
        let [first, rest @ ..] = frames else { return Err(RefusedFrame::FrameLoss) };
        let in_step = first.status & SYNC != 0 && rest.iter().all(|frame| frame.status & SYNC == 0);
        if frames.len() != FRAMES_PER_PACKET || !in_step {
            return Err(RefusedFrame::FrameLoss);
        }
        let float = |number: usize| number.checked_sub(1).and_then(|at| frames.get(at)).map_or(0, |frame| frame.float);
        let rate = |high: u8, low: u8| (u16::from(high & 3) << 7) | u16::from(low & 0x7F);
        let red = |green: u8| frames.iter().any(|frame| frame.status & (RED | GREEN) == RED | green);
        Ok(Self {
            pulse: rate(float(1), float(2)),
            spo2: float(3) & 0x7F,
            spo2_display: float(9) & 0x7F,
            pulse_display: rate(float(20), float(21)),
            any: frames.iter().fold(0, |any, frame| any | frame.status),
            low_perfusion: red(0),
            marginal_perfusion: red(GREEN),
            stat2: float(8),
        })
    }

    /// Movement in any frame.
    #[must_use]
    pub const fn artefact(&self) -> bool {
        self.any & ARTEFACT != 0
    }

    /// No consecutive pulses in any frame.
    #[must_use]
    pub const fn out_of_track(&self) -> bool {
        self.any & OUT_OF_TRACK != 0
    }

    /// The sensor gives no usable signal in any frame.
    #[must_use]
    pub const fn sensor_alarm(&self) -> bool {
        self.any & SENSOR_ALARM != 0
    }

    /// The device averaged until it was sure.
    #[must_use]
    pub const fn smart_point(&self) -> bool {
        self.stat2 & SMART_POINT != 0
    }

    /// The battery is low.
    #[must_use]
    pub const fn low_battery(&self) -> bool {
        self.stat2 & LOW_BATTERY != 0
    }

    /// The packet as a unit of its second.
    #[must_use]
    pub fn unit(&self) -> Unit {
        let quality = Quality::ARTEFACT
            .when(self.artefact())
            .and(Quality::OUT_OF_TRACK.when(self.out_of_track()))
            .and(Quality::SENSOR_ALARM.when(self.sensor_alarm()))
            .and(Quality::LOW_PERFUSION.when(self.low_perfusion))
            .and(Quality::MARGINAL_PERFUSION.when(self.marginal_perfusion))
            .and(Quality::SMART_POINT.when(self.smart_point()))
            .and(Quality::LOW_BATTERY.when(self.low_battery()));
        let why = absence(self.sensor_alarm(), self.out_of_track());
        let pulse = if self.pulse == PULSE_MISSING { Err(why) } else { Ok(self.pulse) };
        let spo2 = if self.spo2 == SPO2_MISSING { Err(why) } else { Ok(self.spo2) };
        Unit::live(pulse, spo2, quality, Some(self.low_battery()))
    }
}

/// Why a Nonin device gives no number.
pub(super) const fn absence(sensor_alarm: bool, out_of_track: bool) -> NoReading {
    match (sensor_alarm, out_of_track) {
        (true, _) => NoReading::SensorOff,
        (false, true) => NoReading::Searching,
        (false, false) => NoReading::MissingData,
    }
}

/// Finds frames and packets in a line. Holds at most four octets and 24 frames.
#[derive(Debug)]
pub struct PacketLine {
    variant: Variant,
    bytes: ArrayVec<u8, FRAME_BYTES>,
    frames: ArrayVec<Frame, FRAMES_PER_PACKET>,
    /// Frames without a packet to belong to are passing; the run was counted.
    orphans: bool,
}

impl PacketLine {
    /// A line that may begin anywhere.
    #[must_use]
    pub const fn new(variant: Variant) -> Self {
        Self { variant, bytes: ArrayVec::new_const(), frames: ArrayVec::new_const(), orphans: false }
    }
}

impl Marked<FRAME_BYTES> for PacketLine {
    type Frame = Frame;
    type Heard = Unit;

    fn whole(&self, octets: [u8; FRAME_BYTES]) -> Option<Frame> {
        if self.bytes.is_empty() { self.variant.frame(octets).ok() } else { None }
    }

    fn octet(&mut self, byte: u8, tally: &mut Tally) -> Option<Unit> {
        self.bytes.push(byte);
        let bytes = <[u8; FRAME_BYTES]>::try_from(self.bytes.as_slice()).ok()?;
        match self.variant.frame(bytes) {
            Ok(frame) => {
                self.bytes.clear();
                self.take(frame, tally)
            }
            Err(why) => {
                self.lose(why, tally);
                // The next frame may begin inside these bytes.
                self.bytes.remove(0);
                None
            }
        }
    }

    fn take(&mut self, frame: Frame, tally: &mut Tally) -> Option<Unit> {
        tally.framed();
        let sync = frame.status & SYNC != 0;
        match (sync, self.frames.is_empty()) {
            (true, false) => {
                tally.refuse(RefusedFrame::FrameLoss, 1);
                self.frames.clear();
            }
            (false, true) => {
                if !self.orphans {
                    tally.refuse(RefusedFrame::FrameLoss, 1);
                    self.orphans = true;
                }
                return None;
            }
            _ => {}
        }
        self.orphans = false;
        self.frames.push(frame);
        if self.frames.len() < FRAMES_PER_PACKET {
            return None;
        }
        let packet = Packet::of(&self.frames);
        self.frames.clear();
        match packet {
            Ok(packet) => {
                tally.accept(1);
                Some(packet.unit())
            }
            Err(why) => {
                tally.refuse(why, 1);
                None
            }
        }
    }
}

impl PacketLine {
    /// Bytes that are no frame: inside a packet the packet is refused, outside they are garbage.
    fn lose(&mut self, why: RefusedFrame, tally: &mut Tally) {
        if self.frames.is_empty() {
            tally.garbage();
        } else {
            tally.refuse_frame(why);
            self.frames.clear();
            // The frames that remain of this packet are part of the same loss.
            self.orphans = true;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::super::tests::nonin_packet;
    use super::*;

    fn units(variant: Variant, bytes: &[u8]) -> (Vec<Unit>, Tally) {
        let (mut line, mut tally, mut rest) = (PacketLine::new(variant), Tally::default(), bytes);
        let units = std::iter::from_fn(|| line.hear(&mut rest, &mut tally)).collect();
        (units, tally)
    }

    #[test]
    fn both_formats_give_the_same_values() {
        for variant in [Variant::Df2, Variant::Df7] {
            let (units, tally) = units(variant, &nonin_packet(variant, 300, 97, 0x80));
            assert_eq!(units, [Unit::live(Ok(300), Ok(97), Quality::GOOD, Some(false))]);
            assert_eq!((tally.accepted, tally.refused_in_all()), (1, 0));
        }
    }

    #[test]
    fn status_bits_become_flags_and_reasons() {
        let unit =
            |pulse, spo2, status| units(Variant::Df7, &nonin_packet(Variant::Df7, pulse, spo2, status)).0.remove(0);
        assert_eq!(unit(511, 127, 0x80 | SENSOR_ALARM).pulse, Err(NoReading::SensorOff));
        assert_eq!(unit(511, 127, 0x80 | OUT_OF_TRACK).spo2, Err(NoReading::Searching));
        assert_eq!(unit(511, 97, 0x80).pulse, Err(NoReading::MissingData));
        assert_eq!(unit(70, 97, 0x80 | RED).quality, Quality::LOW_PERFUSION);
        assert_eq!(unit(70, 97, 0x80 | RED | GREEN).quality, Quality::MARGINAL_PERFUSION);
        assert_eq!(unit(70, 97, 0x80 | GREEN | ARTEFACT).quality, Quality::ARTEFACT);
    }

    #[test]
    fn a_lost_frame_costs_its_packet_only() {
        let mut bytes = nonin_packet(Variant::Df2, 70, 97, 0x80);
        bytes.drain(50..55);
        bytes.extend(nonin_packet(Variant::Df2, 71, 97, 0x80));
        let (found, tally) = units(Variant::Df2, &bytes);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pulse, Ok(71));
        assert_eq!(tally.refused(RefusedFrame::FrameLoss), 1);
    }

    #[test]
    fn a_bad_checksum_counts_once_and_costs_its_packet_only() {
        let mut bytes = nonin_packet(Variant::Df7, 70, 97, 0x80);
        bytes[54] ^= 1;
        bytes.extend(nonin_packet(Variant::Df7, 71, 97, 0x80));
        let (found, tally) = units(Variant::Df7, &bytes);
        assert_eq!(found.len(), 1);
        assert_eq!(tally.refused(RefusedFrame::Checksum), 1);
    }

    #[test]
    fn a_line_may_begin_inside_a_packet() {
        for cut in 1..125 {
            let mut bytes = nonin_packet(Variant::Df7, 70, 97, 0x80).split_off(cut);
            bytes.extend(nonin_packet(Variant::Df7, 71, 97, 0x80));
            let (found, _) = units(Variant::Df7, &bytes);
            assert_eq!(found.len(), 1, "cut at {cut}");
            assert_eq!(found[0].pulse, Ok(71));
        }
    }
}
