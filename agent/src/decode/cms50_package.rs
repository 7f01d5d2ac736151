//! Contec CMS50D+, CMS50E and CMS50F of protocol V4.6 to V7: 115200 8N1 with XON/XOFF, 60 packages a second while live.
//!
//! Source: STANDARDS §2.3, where a second public decoder agrees; lengths, and the date and time of a stored segment, as
//! OSCAR's CMS50F loader reads them.
//! ```text
//! 0  type, bit 7 clear
//! 1  1 h6..h0                        h(i) is bit 7 of payload octet i
//! 2  up to seven octets of payload, bit 7 set in each
//! 01 live     probe beep low toolong sig3..0 | search pleth | 000 PIvalid bar3..0 | PR | SpO2 | PI low, PI high
//! 07 stored   user, segment, hundreds, year, month, day: when the segment began
//! 12 stored   user, segment, hour, minute, second, ...
//! 0F stored   three times SpO2, PR: a second each
//! 09 stored   SpO2, PR, PI low, PI high: a second
//! 0D          the device leaves; why
//! ```
//! PR 255, SpO2 127 and PI FFFF mean no data, and 0 of either of the first two; PI is in hundredths of a per cent.

use arrayvec::ArrayVec;
use shared::reading::{NoReading, Quality};
use shared::units::Decimal;

use super::{RefusedFrame, Unit};

/// The longest package.
pub const PACKAGE_BYTES_MAX: usize = 9;
/// The longest payload.
pub const PAYLOAD_BYTES_MAX: usize = 7;

pub(super) const LIVE: u8 = 0x01;
pub(super) const STORED_DATE: u8 = 0x07;
pub(super) const STORED_WITH_PERFUSION: u8 = 0x09;
const LEAVES: u8 = 0x0D;
pub(super) const STORED: u8 = 0x0F;
pub(super) const STORED_TIME: u8 = 0x12;
const COMMAND: u8 = 0x7D;

/// What the host may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Speak live.
    Start,
    /// Stop speaking live.
    Stop,
    /// Go on; the device stops speaking without it. To be said each five seconds.
    KeepAlive,
    /// Say when a stored segment began.
    WhenStored {
        /// The user, as the device numbers them.
        user: u8,
        /// The segment, from 0.
        segment: u8,
    },
    /// Give a stored segment.
    GiveStored {
        /// The user, as the device numbers them.
        user: u8,
        /// The segment, from 0.
        segment: u8,
    },
    /// Stop giving it.
    StopStored,
}

impl Command {
    /// The package of it.
    #[must_use]
    pub const fn package(self) -> [u8; PACKAGE_BYTES_MAX] {
        let (code, first, second) = match self {
            Self::Start => (0xA1, 0, 0),
            Self::Stop => (0xA2, 0, 0),
            Self::KeepAlive => (0xAF, 0, 0),
            Self::WhenStored { user, segment } => (0xA5, user, segment),
            Self::GiveStored { user, segment } => (0xA6, user, segment),
            Self::StopStored => (0xA7, 0, 0),
        };
        let high = 0x80 | (code >> 7) | (first >> 7) << 1 | (second >> 7) << 2;
        [COMMAND, high, code | 0x80, first | 0x80, second | 0x80, 0x80, 0x80, 0x80, 0x80]
    }
}

/// Octets of a whole package of this type; `None` for a type that no device of this family is known to send.
pub(super) const fn length_of(kind: u8) -> Option<usize> {
    match kind {
        LIVE..=0x05 | 0x11 | 0x13 | 0x14 => Some(9),
        STORED_DATE | 0x08 | STORED | STORED_TIME => Some(8),
        STORED_WITH_PERFUSION => Some(6),
        0x06 | 0x0A | 0x0B => Some(4),
        LEAVES | 0x0E | 0x10 => Some(3),
        0x0C => Some(2),
        _ => None,
    }
}

/// A package with its payload's high bits in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its type.
    pub kind: u8,
    /// Its payload.
    pub payload: ArrayVec<u8, PAYLOAD_BYTES_MAX>,
}

impl Package {
    /// Unpacks a package.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`] without payload or beyond nine octets, [`RefusedFrame::Marker`] where bit 7 is not clear
    /// in the first octet alone.
    pub fn of(bytes: &[u8]) -> Result<Self, RefusedFrame> {
        let [kind, high, packed @ ..] = bytes else { return Err(RefusedFrame::Length) };
        if packed.is_empty() || packed.len() > PAYLOAD_BYTES_MAX {
            return Err(RefusedFrame::Length);
        }
        if kind & 0x80 != 0 || high & 0x80 == 0 || packed.iter().any(|octet| octet & 0x80 == 0) {
            return Err(RefusedFrame::Marker);
        }
        Ok(Self { kind: *kind, payload: unpacked(*high, packed).collect() })
    }
}

fn unpacked(high: u8, packed: &[u8]) -> impl Iterator<Item = u8> {
    packed.iter().zip(0..PAYLOAD_BYTES_MAX).map(move |(octet, place)| (octet & 0x7F) | ((high >> place) & 1) << 7)
}

/// The fields of a live package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live([u8; PAYLOAD_BYTES_MAX]);

impl Live {
    /// Reads a live package.
    ///
    /// # Errors
    /// As [`Package::of`]; [`RefusedFrame::Unknown`] for a package of another type, [`RefusedFrame::Length`] for one
    /// that is short.
    pub fn of(bytes: &[u8]) -> Result<Self, RefusedFrame> {
        let Package { kind, payload } = Package::of(bytes)?;
        if kind != LIVE {
            return Err(RefusedFrame::Unknown);
        }
        payload.into_inner().map(Self).map_err(|_| RefusedFrame::Length)
    }

    /// The live package that these octets are, if they are one: the way of [`Self::of`] without its reasons.
    #[must_use]
    pub fn whole(octets: [u8; PACKAGE_BYTES_MAX]) -> Option<Self> {
        let [kind, high, packed @ ..] = octets;
        let marked = packed.iter().fold(high, |all, octet| all & octet) & 0x80 != 0;
        let mut payload = [0; PAYLOAD_BYTES_MAX];
        payload.iter_mut().zip(unpacked(high, &packed)).for_each(|(place, octet)| *place = octet);
        (kind == LIVE && marked).then_some(Self(payload))
    }

    /// Pulse rate per minute, if there is one.
    #[must_use]
    pub const fn pulse(&self) -> Option<u8> {
        pulse(self.0[3])
    }

    /// Saturation in per cent, if there is one.
    #[must_use]
    pub const fn spo2(&self) -> Option<u8> {
        spo2(self.0[4])
    }

    /// Perfusion index in hundredths of a per cent, if there is one.
    #[must_use]
    pub const fn perfusion(&self) -> Option<u16> {
        perfusion(self.0[5], self.0[6])
    }

    /// Whether the device measures perfusion.
    #[must_use]
    pub const fn perfusion_valid(&self) -> bool {
        self.0[2] & (1 << 4) != 0
    }

    /// The probe is off the finger or faulty.
    #[must_use]
    pub const fn probe_error(&self) -> bool {
        self.0[0] & (1 << 7) != 0
    }

    /// A heart beat.
    #[must_use]
    pub const fn beep(&self) -> bool {
        self.0[0] & (1 << 6) != 0
    }

    /// Saturation is falling.
    #[must_use]
    pub const fn falling(&self) -> bool {
        self.0[0] & (1 << 5) != 0
    }

    /// Searching for too long.
    #[must_use]
    pub const fn searching_too_long(&self) -> bool {
        self.0[0] & (1 << 4) != 0
    }

    /// Signal strength, 0 to 8; 15 is none.
    #[must_use]
    pub const fn strength(&self) -> u8 {
        self.0[0] & 15
    }

    /// Looking for a pulse.
    #[must_use]
    pub const fn searching(&self) -> bool {
        self.0[1] & (1 << 7) != 0
    }

    /// The pulse wave, 0 to 127.
    #[must_use]
    pub const fn pleth(&self) -> u8 {
        self.0[1] & 0x7F
    }

    /// The bar of the pulse wave, 0 to 15.
    #[must_use]
    pub const fn bar(&self) -> u8 {
        self.0[2] & 15
    }

    /// The package as a unit of its second. `tells_strength`: the device has sent a strength other than zero, so that
    /// zero means something.
    #[must_use]
    pub fn unit(&self, tells_strength: bool) -> Unit {
        let searching = self.searching() || self.searching_too_long();
        let quality = Quality::SEARCHING
            .when(searching)
            .and(Quality::DESATURATION.when(self.falling() && self.spo2().is_some()))
            .and(Quality::WEAK_SIGNAL.when(tells_strength && self.strength() == 0))
            .and(Quality::SENSOR_ALARM.when(self.probe_error()));
        let absence = match (self.probe_error(), searching) {
            (true, _) => NoReading::SensorOff,
            (false, true) => NoReading::Searching,
            (false, false) => NoReading::MissingData,
        };
        // Without a finger a number is not of a finger.
        let believed = !self.probe_error();
        let pulse = self.pulse().filter(|_| believed).map(u16::from).ok_or(absence);
        let spo2 = self.spo2().filter(|_| believed).ok_or(absence);
        let perfusion = || self.perfusion().filter(|_| believed).map(hundredths).ok_or(absence);
        let perfusion = self.perfusion_valid().then(perfusion);
        Unit { perfusion, ..Unit::live(pulse, spo2, quality, None) }
    }
}

pub(super) const fn pulse(octet: u8) -> Option<u8> {
    if matches!(octet, 0 | 255) { None } else { Some(octet) }
}

pub(super) const fn spo2(octet: u8) -> Option<u8> {
    if matches!(octet, 0 | 127) { None } else { Some(octet) }
}

pub(super) const fn perfusion(low: u8, high: u8) -> Option<u16> {
    match u16::from_le_bytes([low, high]) {
        0xFFFF => None,
        hundredths => Some(hundredths),
    }
}

pub(super) fn hundredths(perfusion: u16) -> Decimal {
    Decimal::new(perfusion.into(), -2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(p: [u8; 7]) -> Unit {
        Live(p).unit(true)
    }

    #[test]
    fn status_bits_become_flags_and_reasons() {
        let none = |unit: Unit| unit.spo2.unwrap_err();
        assert_eq!(none(live([0x85, 60, 4, 72, 98, 0, 0])), NoReading::SensorOff);
        assert_eq!(none(live([0x05, 0x80, 4, 255, 127, 0, 0])), NoReading::Searching);
        assert_eq!(none(live([0x15, 0, 4, 255, 127, 0, 0])), NoReading::Searching);
        assert_eq!(none(live([0x05, 0, 4, 0, 0, 0, 0])), NoReading::MissingData);
        assert_eq!(live([0x25, 60, 4, 72, 88, 0, 0]).quality, Quality::DESATURATION);
        assert_eq!(live([0x15, 60, 4, 72, 98, 0, 0]).quality, Quality::SEARCHING);
        assert_eq!(live([0x00, 60, 4, 72, 98, 0, 0]).quality, Quality::WEAK_SIGNAL);
        assert_eq!(Live([0x00, 60, 4, 72, 98, 0, 0]).unit(false).quality, Quality::GOOD);
    }

    #[test]
    fn perfusion_only_where_the_device_measures_it() {
        assert_eq!(live([5, 60, 0x14, 72, 98, 0x23, 1]).perfusion, Some(Ok(Decimal::new(291, -2))));
        assert_eq!(live([5, 60, 0x04, 72, 98, 0x23, 1]).perfusion, None);
        assert_eq!(live([5, 60, 0x14, 72, 98, 255, 255]).perfusion, Some(Err(NoReading::MissingData)));
    }

    #[test]
    fn commands_have_their_high_bits_apart() {
        assert_eq!(Command::Start.package(), [0x7D, 0x81, 0xA1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]);
        assert_eq!(Command::KeepAlive.package(), [0x7D, 0x81, 0xAF, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]);
        let asked = Command::GiveStored { user: 1, segment: 0xFF }.package();
        assert_eq!(Package::of(&asked).map(|it| it.payload.to_vec()), Ok(vec![0xA6, 1, 0xFF, 0, 0, 0, 0]));
    }
}
