//! The protocols of serial lines, by name, and what a port must be set to for them.

use std::fmt;
use std::str::FromStr;

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
    /// Contec CMS50 of protocol V4.6 to V7: packages of up to nine octets, 60 times a second.
    Cms50V7,
    /// Masimo ASCII 1: a line of text each second.
    MasimoAscii1,
    /// SunTech Advantage OEM: a module that is asked for its results.
    SuntechNibp,
    /// A&D UA-767PC: ten hexadecimal digits for each measurement.
    AndUa767pc,
    /// A&D scales, standard format: a line for each weight.
    AndScale,
    /// LifeScan Ultra Easy and Ultra Mini: the memory is read.
    Lifescan,
    /// LifeScan Verio IQ: the memory is read.
    LifescanVerio,
    /// Beurer BM65 and BM58: the memory is read.
    BeurerBm65,
}

/// Why a text names no protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a protocol is one of {}", Protocol::NAMES)]
pub struct UnknownProtocol;

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 13] = [
        Self::NoninDf2,
        Self::NoninDf7,
        Self::NoninDf8,
        Self::NoninDf13,
        Self::Bci,
        Self::Cms50V7,
        Self::MasimoAscii1,
        Self::SuntechNibp,
        Self::AndUa767pc,
        Self::AndScale,
        Self::Lifescan,
        Self::LifescanVerio,
        Self::BeurerBm65,
    ];

    /// The names of all, for people.
    pub const NAMES: &str = "nonin-df2, nonin-df7, nonin-df8, nonin-df13, bci, cms50-v7, masimo-ascii1, suntech-nibp, \
        and-ua767pc, and-scale, lifescan, lifescan-verio, beurer-bm65";

    /// Its name in a configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoninDf2 => "nonin-df2",
            Self::NoninDf7 => "nonin-df7",
            Self::NoninDf8 => "nonin-df8",
            Self::NoninDf13 => "nonin-df13",
            Self::Bci => "bci",
            Self::Cms50V7 => "cms50-v7",
            Self::MasimoAscii1 => "masimo-ascii1",
            Self::SuntechNibp => "suntech-nibp",
            Self::AndUa767pc => "and-ua767pc",
            Self::AndScale => "and-scale",
            Self::Lifescan => "lifescan",
            Self::LifescanVerio => "lifescan-verio",
            Self::BeurerBm65 => "beurer-bm65",
        }
    }

    /// The line's speed unless configured, in bits a second.
    #[must_use]
    pub const fn baud(self) -> u32 {
        match self {
            Self::NoninDf2 | Self::NoninDf7 | Self::NoninDf8 | Self::NoninDf13 | Self::MasimoAscii1 => 9600,
            Self::Cms50V7 => 115_200,
            Self::SuntechNibp | Self::AndUa767pc | Self::Lifescan => 9600,
            Self::Bci | Self::BeurerBm65 => 4800,
            Self::AndScale => 2400,
            Self::LifescanVerio => 38_400,
        }
    }

    /// Whether it speaks all the time, so that silence means something.
    #[must_use]
    pub const fn is_continuous(self) -> bool {
        match self {
            Self::NoninDf13 | Self::AndUa767pc | Self::AndScale => false,
            Self::Lifescan | Self::LifescanVerio | Self::BeurerBm65 => false,
            Self::NoninDf2 | Self::NoninDf7 | Self::NoninDf8 | Self::Bci => true,
            // A module answers each question; it is asked all the time.
            Self::Cms50V7 | Self::MasimoAscii1 | Self::SuntechNibp => true,
        }
    }

    /// Nonin's number of the format, for the command that selects it.
    #[must_use]
    pub const fn nonin_format(self) -> Option<u8> {
        match self {
            Self::NoninDf2 => Some(0x02),
            Self::NoninDf7 => Some(0x07),
            Self::NoninDf8 => Some(0x08),
            Self::NoninDf13 => Some(0x0D),
            _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_found_by_name() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert_eq!("nonin".parse::<Protocol>(), Err(UnknownProtocol));
        assert_eq!(Protocol::NAMES, Protocol::ALL.map(Protocol::name).join(", "));
    }
}
