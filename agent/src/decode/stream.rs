//! One line of one device: bytes in, moments out.

use std::time::Duration;

use shared::observation::{Captured, DeviceTime};
use shared::reading::{NoReading, Quality};
use shared::units::Decimal;

use super::and_scale::ScaleLine;
use super::and_ua767::Ua767Line;
use super::bci::{self, BciLine, Bit5};
use super::beurer_bm65::Bm65Line;
use super::cms50_line::{self, Cms50V7Line};
use super::framing::Marked;
use super::lifescan::LifescanLine;
use super::masimo::MasimoLine;
use super::nonin_df8::Df8Line;
use super::nonin_df13::Df13Line;
use super::nonin_packet::{self, PacketLine, Variant};
use super::suntech::SuntechLine;
use super::window::Window;
use super::{Memory, Moment, Protocol, RefusedFrame, Report, Tally};

/// What an oximeter said in one frame or packet, before seconds are made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Pulse rate per minute, or why none.
    pub pulse: Result<u16, NoReading>,
    /// Saturation in per cent, or why none.
    pub spo2: Result<u8, NoReading>,
    /// Perfusion index in per cent, or why none; `None` from a device that does not measure it.
    pub perfusion: Option<Result<Decimal, NoReading>>,
    /// What it said about all of them.
    pub quality: Quality,
    /// What it says of its battery, if it does.
    pub battery_low: Option<bool>,
    /// Its own clock, if it sent one.
    pub device_time: Option<DeviceTime>,
    /// Which record it is, if it is from the device's memory.
    pub memory: Option<Memory>,
    /// How many frames of its second it stands for: more than one where a run has just proved itself.
    pub frames: u32,
}

impl Unit {
    /// A unit of now, without a clock of its own.
    #[must_use]
    pub const fn live(
        pulse: Result<u16, NoReading>,
        spo2: Result<u8, NoReading>,
        quality: Quality,
        battery_low: Option<bool>,
    ) -> Self {
        Self { pulse, spo2, perfusion: None, quality, battery_low, device_time: None, memory: None, frames: 1 }
    }
}

/// What a line heard: a part of a second, or something whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // kept in place, so that decoding takes no memory
pub enum Heard {
    /// A frame or packet of an oximeter that speaks all the time; seconds are made of them.
    Unit(Unit),
    /// A whole measurement, or a record of the device's memory; a moment of its own.
    Report(Report),
}

impl From<Unit> for Heard {
    fn from(unit: Unit) -> Self {
        Self::Unit(unit)
    }
}

impl From<Report> for Heard {
    fn from(report: Report) -> Self {
        Self::Report(report)
    }
}

#[allow(clippy::large_enum_variant)] // one for each line, kept in place
enum Line {
    Packets(PacketLine),
    Df8(Df8Line),
    Df13(Df13Line),
    Bci(BciLine),
    Cms50V7(Cms50V7Line),
    Masimo(MasimoLine),
    Suntech(SuntechLine),
    Ua767(Ua767Line),
    Scale(ScaleLine),
    Lifescan(LifescanLine),
    Bm65(Bm65Line),
}

impl Line {
    fn of(protocol: Protocol, bit5: Bit5) -> Self {
        match protocol {
            Protocol::NoninDf2 => Self::Packets(PacketLine::new(Variant::Df2)),
            Protocol::NoninDf7 => Self::Packets(PacketLine::new(Variant::Df7)),
            Protocol::NoninDf8 => Self::Df8(Df8Line::default()),
            Protocol::NoninDf13 => Self::Df13(Df13Line::default()),
            Protocol::Bci => Self::Bci(BciLine::of(bit5)),
            Protocol::Cms50V7 => Self::Cms50V7(Cms50V7Line::default()),
            Protocol::MasimoAscii1 => Self::Masimo(MasimoLine::default()),
            Protocol::SuntechNibp => Self::Suntech(SuntechLine::default()),
            Protocol::AndUa767pc => Self::Ua767(Ua767Line::default()),
            Protocol::AndScale => Self::Scale(ScaleLine::default()),
            Protocol::Lifescan | Protocol::LifescanVerio => Self::Lifescan(LifescanLine::default()),
            Protocol::BeurerBm65 => Self::Bm65(Bm65Line::default()),
        }
    }

    /// Takes bytes from the front until something is heard or none are left.
    fn hear(&mut self, bytes: &mut &[u8], tally: &mut Tally) -> Option<Heard> {
        match self {
            Self::Packets(line) => line.hear(bytes, tally).map(Heard::Unit),
            Self::Df8(line) => line.hear(bytes, tally).map(Heard::Unit),
            Self::Df13(line) => line.hear(bytes, tally).map(Heard::Unit),
            Self::Bci(line) => line.hear(bytes, tally).map(Heard::Unit),
            Self::Cms50V7(line) => line.hear(bytes, tally),
            Self::Masimo(line) => line.hear(bytes, tally).map(Heard::Unit),
            Self::Suntech(line) => by_byte(bytes, |byte| line.byte(byte, tally)),
            Self::Ua767(line) => by_byte(bytes, |byte| line.byte(byte, tally)),
            Self::Scale(line) => by_byte(bytes, |byte| line.byte(byte, tally)),
            Self::Lifescan(line) => by_byte(bytes, |byte| line.byte(byte, tally)),
            Self::Bm65(line) => by_byte(bytes, |byte| line.byte(byte, tally)),
        }
    }

    /// The line has been silent: gives what only silence completes.
    fn quiet(&mut self, tally: &mut Tally) -> Option<Report> {
        match self {
            Self::Ua767(line) => return line.quiet(tally),
            Self::Scale(line) => line.quiet(tally),
            Self::Bm65(line) => line.quiet(tally),
            Self::Cms50V7(line) => return line.quiet(),
            _ => {}
        }
        None
    }
}

/// Gives a line its bytes one after the other until it hears something.
pub(super) fn by_byte<T: Into<Heard>>(bytes: &mut &[u8], mut hear: impl FnMut(u8) -> Option<T>) -> Option<Heard> {
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        if let Some(heard) = hear(*byte) {
            return Some(heard.into());
        }
    }
    None
}

/// Decodes one line of one device. Holds at most one frame of bytes and one second of results, in place: taking bytes in
/// takes no memory.
pub struct StreamDecoder {
    protocol: Protocol,
    bit5: Bit5,
    line: Line,
    window: Window,
    tally: Tally,
    /// How long no byte is silence, where silence means something.
    quiet_after: Option<Duration>,
    /// When the last bytes came, until the silence after them was noted.
    heard: Option<Captured>,
}

impl StreamDecoder {
    /// A decoder that knows nothing yet of its line.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self::with_second(protocol, Duration::from_secs(1))
    }

    /// A decoder of the frames that Berry's oximeters send over Bluetooth: [`Protocol::Bci`] with its maker's meaning of a bit.
    #[must_use]
    pub fn of_berry() -> Self {
        let bit5 = Bit5::Unplugged;
        Self { bit5, line: Line::of(Protocol::Bci, bit5), ..Self::new(Protocol::Bci) }
    }

    /// The same for a recording that is played faster or slower: `second` is how long a second of it lasts.
    #[must_use]
    pub fn with_second(protocol: Protocol, second: Duration) -> Self {
        let window = match protocol {
            Protocol::NoninDf2 | Protocol::NoninDf7 => Window::of(second, nonin_packet::PACKETS_PER_SECOND, 1),
            Protocol::Bci => Window::of(second, bci::FRAMES_PER_SECOND, bci::REPEATS_BEFORE_BELIEF),
            Protocol::Cms50V7 => Window::of(second, cms50_line::PACKAGES_PER_SECOND, cms50_line::REPEATS_BEFORE_BELIEF),
            // One unit is a second of its own; reports do not pass through the window.
            _ => Window::of(second, 1, 1),
        };
        let quiet_after = match protocol {
            Protocol::Cms50V7 => second.checked_div(5),
            Protocol::AndUa767pc => second.saturating_mul(3).checked_div(10),
            Protocol::BeurerBm65 => Some(second),
            Protocol::AndScale => Some(second.saturating_mul(3)),
            _ => None,
        };
        let bit5 = Bit5::default();
        Self {
            protocol,
            bit5,
            line: Line::of(protocol, bit5),
            window,
            tally: Tally::default(),
            quiet_after,
            heard: None,
        }
    }

    /// Takes bytes that came in at `at` and gives each moment that they complete to `out`, in order.
    pub fn push(&mut self, bytes: &[u8], at: Captured, out: &mut impl FnMut(Moment)) {
        if !bytes.is_empty() {
            while let Some(moment) = self.quiet(at) {
                out(moment);
            }
            self.heard = Some(at);
        }
        let mut rest = bytes;
        while let Some(heard) = self.line.hear(&mut rest, &mut self.tally) {
            match heard {
                Heard::Unit(unit) => self.window.add(unit, at, &mut self.tally, out),
                Heard::Report(report) => out(report.at(at)),
            }
        }
    }

    /// [`Self::push`], with the moments gathered.
    pub fn moments(&mut self, bytes: &[u8], at: Captured) -> Vec<Moment> {
        let mut moments = Vec::new();
        self.push(bytes, at, &mut |moment| moments.push(moment));
        moments
    }

    /// Gives the moment of a second that has passed without the frames that would have completed it, or the next of those that
    /// silence completes.
    pub fn expire(&mut self, now: Captured) -> Option<Moment> {
        self.quiet(now).or_else(|| self.window.expire(now, &mut self.tally))
    }

    /// Notes silence, once; gives one after the other what only silence completes.
    fn quiet(&mut self, now: Captured) -> Option<Moment> {
        let (heard, after) = (self.heard?, self.quiet_after?);
        if now.tick.since(heard.tick) < after {
            return None;
        }
        let completed = self.line.quiet(&mut self.tally);
        if completed.is_none() {
            self.heard = None;
        }
        Some(completed?.at(heard))
    }

    /// Ends the line: gives what the second so far holds, and forgets everything but the tally. Of several moments that only
    /// silence completes it gives the first and counts the others as refused; [`Self::expire`] gives all.
    pub fn finish(&mut self) -> Option<Moment> {
        let heard = self.heard.take();
        let last = heard.and_then(|heard| Some(self.line.quiet(&mut self.tally)?.at(heard)));
        while last.is_some() && self.line.quiet(&mut self.tally).is_some() {
            self.tally.refuse(RefusedFrame::Unproven, 1);
        }
        self.line = Line::of(self.protocol, self.bit5);
        last.or_else(|| self.window.finish(&mut self.tally))
    }

    /// What was accepted and refused since this was last asked.
    pub fn take_tally(&mut self) -> Tally {
        self.tally.take()
    }
}
