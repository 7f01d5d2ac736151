//! Bytes of a serial line → moments of readings. Pure: what a clock says comes in with the bytes.
//!
//! Three steps: a protocol's file finds frames in a stream that may begin anywhere, lose bytes and hold garbage
//! ([`nonin_packet`] for DF2 and DF7, [`nonin_df8`], [`nonin_df13`], [`bci`]); what has no checksum must prove
//! itself before it is believed ([`belief`]); what comes many times a second is gathered into one moment a second
//! ([`window`]).

pub mod bci;
pub mod belief;
pub mod ble;
pub mod checksum;
pub mod cursor;
pub mod date_time;
pub mod medfloat;
pub mod nonin_df13;
pub mod nonin_df8;
pub mod nonin_packet;
pub mod quirks;
mod refused;
pub mod report;
pub mod window;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use shared::observation::{Captured, DeviceTime};
use shared::reading::{NoReading, Quality};

pub use refused::{RefusedFrame, Tally};
pub use report::{Memory, Moment, Readings, Report};

use bci::BciLine;
use nonin_df8::Df8Line;
use nonin_df13::Df13Line;
use nonin_packet::{PacketLine, Variant};
use window::Window;

/// A protocol of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Nonin data format 2: packets of 25 frames, three a second, pleth of 8 bits.
    NoninDf2,
    /// Nonin data format 7: as 2, pleth of 16 bits.
    NoninDf7,
    /// Nonin data format 8: a frame of 3 or 4 octets each second.
    NoninDf8,
    /// Nonin data format 13: one frame for each spot measurement.
    NoninDf13,
    /// BCI, five octets 60 times a second.
    Bci,
}

/// Why a text names no protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a protocol is one of nonin-df2, nonin-df7, nonin-df8, nonin-df13, bci")]
pub struct UnknownProtocol;

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 5] = [Self::NoninDf2, Self::NoninDf7, Self::NoninDf8, Self::NoninDf13, Self::Bci];

    /// Its name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoninDf2 => "nonin-df2",
            Self::NoninDf7 => "nonin-df7",
            Self::NoninDf8 => "nonin-df8",
            Self::NoninDf13 => "nonin-df13",
            Self::Bci => "bci",
        }
    }

    /// The line's speed unless configured, in bits a second.
    #[must_use]
    pub const fn baud(self) -> u32 {
        match self {
            Self::NoninDf2 | Self::NoninDf7 | Self::NoninDf8 | Self::NoninDf13 => 9600,
            Self::Bci => 4800,
        }
    }

    /// Whether it speaks all the time, so that silence means something.
    #[must_use]
    pub const fn is_continuous(self) -> bool {
        !matches!(self, Self::NoninDf13)
    }

    /// Nonin's number of the format, for the command that selects it.
    #[must_use]
    pub const fn nonin_format(self) -> Option<u8> {
        match self {
            Self::NoninDf2 => Some(0x02),
            Self::NoninDf7 => Some(0x07),
            Self::NoninDf8 => Some(0x08),
            Self::NoninDf13 => Some(0x0D),
            Self::Bci => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;
    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == text).ok_or(UnknownProtocol)
    }
}

/// What an oximeter said in one frame or packet, before seconds are made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Pulse rate per minute, or why none.
    pub pulse: Result<u16, NoReading>,
    /// Saturation in per cent, or why none.
    pub spo2: Result<u8, NoReading>,
    /// What it said about both.
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
        Self { pulse, spo2, quality, battery_low, device_time: None, memory: None, frames: 1 }
    }
}

enum Line {
    Packets(PacketLine),
    Df8(Df8Line),
    Df13(Df13Line),
    Bci(BciLine),
}

/// Decodes one line of one device. Holds at most one frame of bytes and one second of results.
pub struct StreamDecoder {
    line: Line,
    window: Window,
    tally: Tally,
}

impl StreamDecoder {
    /// A decoder that knows nothing yet of its line.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self::with_second(protocol, Duration::from_secs(1))
    }

    /// The same for a recording that is played faster or slower: `second` is how long a second of it lasts.
    #[must_use]
    pub fn with_second(protocol: Protocol, second: Duration) -> Self {
        let line = match protocol {
            Protocol::NoninDf2 => Line::Packets(PacketLine::new(Variant::Df2)),
            Protocol::NoninDf7 => Line::Packets(PacketLine::new(Variant::Df7)),
            Protocol::NoninDf8 => Line::Df8(Df8Line::default()),
            Protocol::NoninDf13 => Line::Df13(Df13Line::default()),
            Protocol::Bci => Line::Bci(BciLine::default()),
        };
        let window = match protocol {
            Protocol::NoninDf2 | Protocol::NoninDf7 => Window::of(second, nonin_packet::PACKETS_PER_SECOND, 1),
            Protocol::NoninDf8 | Protocol::NoninDf13 => Window::of(second, 1, 1),
            Protocol::Bci => Window::of(second, bci::FRAMES_PER_SECOND, bci::REPEATS_BEFORE_BELIEF),
        };
        Self { line, window, tally: Tally::default() }
    }

    /// Takes bytes that came in at `at` and gives the moments they complete, in order.
    pub fn push(&mut self, bytes: &[u8], at: Captured) -> Vec<Moment> {
        let mut moments = Vec::new();
        for byte in bytes {
            let unit = match &mut self.line {
                Line::Packets(line) => line.byte(*byte, &mut self.tally),
                Line::Df8(line) => line.byte(*byte, &mut self.tally),
                Line::Df13(line) => line.byte(*byte, &mut self.tally),
                Line::Bci(line) => line.byte(*byte, &mut self.tally),
            };
            if let Some(unit) = unit {
                self.window.add(unit, at, &mut self.tally, &mut moments);
            }
        }
        moments
    }

    /// Gives the moment of a second that has passed without the frames that would have completed it.
    pub fn expire(&mut self, now: Captured) -> Option<Moment> {
        self.window.expire(now, &mut self.tally)
    }

    /// Ends the line: gives what the second so far holds, and forgets everything but the tally.
    pub fn finish(&mut self) -> Option<Moment> {
        let last = self.window.finish(&mut self.tally);
        match &mut self.line {
            Line::Packets(line) => *line = PacketLine::new(line.variant()),
            Line::Df8(line) => *line = Df8Line::default(),
            Line::Df13(line) => *line = Df13Line::default(),
            Line::Bci(line) => *line = BciLine::default(),
        }
        last
    }

    /// What was accepted and refused since this was last asked.
    pub fn take_tally(&mut self) -> Tally {
        self.tally.take()
    }
}

#[cfg(test)]
pub(crate) mod tests;
