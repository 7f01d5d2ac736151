//! Makers' layouts that no characteristic of ours stands for, and what describes a device: the same random octets for them.

use std::fmt;

use agent::decode::ble::device_information::{PnpId, SystemId, TEXT_CHARS_MAX, text};
use agent::decode::ble::mi_scale::{MiScale, SERVICE_BODY, SERVICE_WEIGHT};
use agent::decode::ble::omron::{Layout, OmronRecord};
use agent::decode::ble::polar::PolarAdvertisement;
use agent::decode::ble::sanitas::{SanitasWeight, SettlingWeight};
use agent::decode::ble::viatom::{Reassembly, Sensors};
use agent::decode::{RefusedFrame, Report};

use super::{Counts, readings_of};

/// A layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layouts {
    /// Omron's records, as an HEM-7142T2 has them.
    OmronLittleEndian,
    /// Omron's records, as an HEM-7600T has them.
    OmronBigEndian,
    /// Advertisements of the first Mi scale.
    MiScale,
    /// Advertisements of the second Mi scale.
    MiBodyScale,
    /// Weights of a Sanitas SBF70, one behind the other.
    Sanitas,
    /// Advertisements of Polar's straps.
    Polar,
    /// Pieces of a Viatom ring's replies, joined.
    ViatomPieces,
    /// Texts of Device Information.
    DeviceText,
    /// PnP ID.
    PnpId,
    /// System ID.
    SystemId,
}

impl Layouts {
    /// Every layout.
    pub const ALL: [Self; 10] = [
        Self::OmronLittleEndian,
        Self::OmronBigEndian,
        Self::MiScale,
        Self::MiBodyScale,
        Self::Sanitas,
        Self::Polar,
        Self::ViatomPieces,
        Self::DeviceText,
        Self::PnpId,
        Self::SystemId,
    ];

    /// A frame of it: captured ones (STANDARDS, the frames' sources), and of what describes a device ones that are built.
    pub(super) const fn frame(self) -> &'static str {
        match self {
            Self::OmronLittleEndian => "6558541a331ade1800004c00ba00",
            Self::OmronBigEndian => "5b781a4819d71b42000014006996",
            Self::MiScale => "229e43e507040b101301",
            Self::MiBodyScale => "0226b20705040f0201ac018642",
            Self::Sanitas => "e75801085e",
            Self::Polar => "6b003b164446",
            Self::ViatomPieces => "5500ff00000d00ffffff0000000060000500000043",
            Self::DeviceText => "4e6f6e696e204d65646963616c2c20496e632e00",
            Self::PnpId => "0157045f001001",
            Self::SystemId => "0102030405060708",
        }
    }

    /// Gives the layout's decoder these pieces, one after the other.
    pub(super) fn decode(self, parts: &[Vec<u8>]) -> Result<Counts, String> {
        let mut counts = Counts::default();
        let mut device = Device::default();
        for part in parts {
            match self.read(part, &mut device) {
                Ok(None) => counts.accepted += 1,
                Ok(Some(report)) => {
                    counts.accepted += 1;
                    counts.readings += readings_of(&report)?;
                }
                Err(_) => counts.refused += 1,
            }
            if device.longest > TEXT_CHARS_MAX {
                return Err(format!("a text of {} characters", device.longest));
            }
        }
        Ok(counts)
    }

    fn read(self, octets: &[u8], device: &mut Device) -> Result<Option<Report>, RefusedFrame> {
        let omron = |layout| Ok(OmronRecord::of(octets, layout)?.map(|record| record.report(octets)));
        match self {
            Self::OmronLittleEndian => omron(Layout::LittleEndian),
            Self::OmronBigEndian => omron(Layout::BigEndian),
            Self::MiScale => MiScale::of(SERVICE_WEIGHT, octets).map(|read| Some(read.report())),
            Self::MiBodyScale => MiScale::of(SERVICE_BODY, octets).map(|read| Some(read.report())),
            Self::Sanitas => SanitasWeight::of(octets).map(|frame| Some(device.settling.report(frame))),
            Self::Polar => PolarAdvertisement::of(octets).map(|read| Some(read.report())),
            Self::ViatomPieces => viatom(octets, &mut device.ring),
            Self::DeviceText => {
                let read = text(octets).ok_or(RefusedFrame::Length)?;
                device.longest = device.longest.max(read.chars().count());
                Ok(None)
            }
            Self::PnpId => PnpId::of(octets).map(|_| None),
            Self::SystemId => SystemId::of(octets).map(|_| None),
        }
    }
}

/// In notifications of 20 octets, as without a larger packet agreed on.
fn viatom(octets: &[u8], ring: &mut Reassembly) -> Result<Option<Report>, RefusedFrame> {
    let mut last = Ok(None);
    for piece in octets.chunks(20) {
        if let Some(reply) = ring.take(piece)? {
            last = Sensors::of(&reply).map(|read| Some(read.report()));
        }
    }
    last
}

/// What a layout's decoder knows of the pieces before.
#[derive(Default)]
struct Device {
    settling: SettlingWeight,
    ring: Reassembly,
    longest: usize,
}

impl fmt::Display for Layouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
