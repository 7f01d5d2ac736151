//! What a simulated device can speak, by name.

use std::str::FromStr;

use super::and_cuff::AndCuff;
use super::and_scale::AndScale;
use super::bci::Bci;
use super::beurer::Beurer;
use super::cms50::Cms50;
use super::device::Device;
use super::lifescan::LifeScan;
use super::masimo::Masimo;
use super::nonin::{self, Nonin};
use super::suntech::SunTech;
use super::verio::Verio;

/// What a simulated device speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Nonin data format 2.
    NoninDf2,
    /// Nonin data format 7.
    NoninDf7,
    /// Nonin data format 8.
    NoninDf8,
    /// Nonin data format 13.
    NoninDf13,
    /// BCI.
    Bci,
    /// Contec CMS50, V4.6 to V7.
    Cms50V7,
    /// Masimo ASCII 1.
    MasimoAscii1,
    /// SunTech Advantage OEM.
    SunTechNibp,
    /// A&D UA-767PC.
    AndUa767Pc,
    /// A&D scales.
    AndScale,
    /// LifeScan's binary protocol, as the OneTouch Ultra Easy speaks it.
    LifeScan,
    /// The same, as the OneTouch Verio IQ speaks it.
    LifeScanVerio,
    /// Beurer BM65 and BM58.
    BeurerBm65,
}

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
        Self::SunTechNibp,
        Self::AndUa767Pc,
        Self::AndScale,
        Self::LifeScan,
        Self::LifeScanVerio,
        Self::BeurerBm65,
    ];

    /// Those of oximeters.
    pub const OXIMETERS: [Self; 7] =
        [Self::NoninDf2, Self::NoninDf7, Self::NoninDf8, Self::NoninDf13, Self::Bci, Self::Cms50V7, Self::MasimoAscii1];

    /// Its name in an agent's configuration.
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
            Self::SunTechNibp => "suntech-nibp",
            Self::AndUa767Pc => "and-ua767pc",
            Self::AndScale => "and-scale",
            Self::LifeScan => "lifescan",
            Self::LifeScanVerio => "lifescan-verio",
            Self::BeurerBm65 => "beurer-bm65",
        }
    }

    /// A device that speaks it, just switched on.
    #[must_use]
    pub fn device(self) -> Box<dyn Device> {
        match self {
            Self::NoninDf2 => Box::new(Nonin::new(nonin::Format::Df2)),
            Self::NoninDf7 => Box::new(Nonin::new(nonin::Format::Df7)),
            Self::NoninDf8 => Box::new(Nonin::new(nonin::Format::Df8)),
            Self::NoninDf13 => Box::new(Nonin::new(nonin::Format::Df13)),
            Self::Bci => Box::new(Bci),
            Self::Cms50V7 => Box::new(Cms50::default()),
            Self::MasimoAscii1 => Box::new(Masimo),
            Self::SunTechNibp => Box::new(SunTech::default()),
            Self::AndUa767Pc => Box::new(AndCuff),
            Self::AndScale => Box::new(AndScale),
            Self::LifeScan => Box::new(LifeScan::default()),
            Self::LifeScanVerio => Box::new(Verio::default()),
            Self::BeurerBm65 => Box::new(Beurer::default()),
        }
    }

    /// Whether the frame at this place in a second completes something a reader could use.
    pub(super) const fn completes(self, place: usize) -> bool {
        match self {
            Self::NoninDf2 | Self::NoninDf7 => place % nonin::FRAMES_PER_PACKET == nonin::FRAMES_PER_PACKET - 1,
            _ => true,
        }
    }
}

impl FromStr for Protocol {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            anyhow::anyhow!("a protocol is one of {names}")
        })
    }
}
