//! Device Information (service 180A): who made a device, and which one it is.
//!
//! Source: Bluetooth Device Information Service 1.1, 3 (STANDARDS §1.3). Texts are UTF-8; makers pad them with zeros and
//! blanks, and some send other octets.
//! ```text
//! 2A23  system id  u40 given by the maker, then u24 of the maker (an OUI)
//! 2A50  PnP id     u8 source of the vendor's number (1 Bluetooth, 2 USB), u16 vendor, u16 product, u16 version
//! ```

use std::str::FromStr;

use super::UnknownCharacteristic;
use crate::decode::RefusedFrame;
use crate::decode::cursor::Cursor;

/// The most characters of a text that are kept; the rest is cut off.
pub const TEXT_CHARS_MAX: usize = 64;

/// A characteristic that is a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextField {
    /// Manufacturer Name, 2A29.
    Maker,
    /// Model Number, 2A24.
    Model,
    /// Serial Number, 2A25.
    Serial,
    /// Firmware Revision, 2A26.
    Firmware,
    /// Hardware Revision, 2A27.
    Hardware,
    /// Software Revision, 2A28.
    Software,
}

impl TextField {
    /// Every field.
    pub const ALL: [Self; 6] = [Self::Maker, Self::Model, Self::Serial, Self::Firmware, Self::Hardware, Self::Software];

    /// The four digits of its assigned number.
    #[must_use]
    pub const fn uuid(self) -> &'static str {
        match self {
            Self::Maker => "2A29",
            Self::Model => "2A24",
            Self::Serial => "2A25",
            Self::Firmware => "2A26",
            Self::Hardware => "2A27",
            Self::Software => "2A28",
        }
    }
}

impl FromStr for TextField {
    type Err = UnknownCharacteristic;
    /// Takes what [`super::Characteristic`] takes.
    fn from_str(text: &str) -> Result<Self, UnknownCharacteristic> {
        Self::ALL.into_iter().find(|field| super::is_uuid(text, field.uuid())).ok_or(UnknownCharacteristic)
    }
}

/// A text without what is no text: it ends at the first zero; control characters and octets that are not UTF-8 are left out,
/// runs of blanks become one, and there are none at its ends. `None` if nothing is left.
#[must_use]
pub fn text(value: &[u8]) -> Option<String> {
    let before_zero = value.split(|octet| *octet == 0).next().unwrap_or_default();
    let mut text = String::new();
    for chunk in before_zero.utf8_chunks() {
        text.extend(chunk.valid().chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !c.is_control()));
    }
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let short: String = words.join(" ").chars().take(TEXT_CHARS_MAX).collect();
    let trimmed = short.trim_end();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// System ID, 2A23.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SystemId {
    /// Given by the maker, 40 bits.
    pub device: u64,
    /// The maker's OUI, 24 bits.
    pub maker: u32,
}

impl SystemId {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let [a, b, c, d, e] = cursor.octets()?;
        Ok(Self { device: u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]), maker: cursor.u24()? })
    }
}

/// PnP ID, 2A50.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PnpId {
    /// Who gave the vendor's number: 1 the Bluetooth SIG, 2 the USB Implementers Forum.
    pub source: u8,
    /// The vendor's number.
    pub vendor: u16,
    /// The product's number.
    pub product: u16,
    /// The product's version.
    pub version: u16,
}

impl PnpId {
    /// Reads a value of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        Ok(Self { source: cursor.u8()?, vendor: cursor.u16()?, product: cursor.u16()?, version: cursor.u16()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cleaned() {
        let clean = |octets: &[u8]| text(octets);
        assert_eq!(clean(b"Nonin Medical, Inc.\0\0"), Some("Nonin Medical, Inc.".into()));
        assert_eq!(clean(b"  A&D \t Medical\r\n"), Some("A&D Medical".into()));
        assert_eq!(clean(b"V\x07\xFF1.0"), Some("V1.0".into()));
        assert_eq!((clean(b"\0x"), clean(b" \x1B "), clean(b"")), (None, None, None));
        assert_eq!(clean(&[b'a'; 200]).map(|text| text.len()), Some(TEXT_CHARS_MAX));
    }

    #[test]
    fn numbers() {
        let id = SystemId::of(&[1, 2, 3, 4, 5, 0xA1, 0xB2, 0xC3]);
        assert_eq!(id, Ok(SystemId { device: 0x05_0403_0201, maker: 0x00C3_B2A1 }));
        let pnp = PnpId::of(&[2, 0x34, 0x12, 1, 0, 0x10, 1]);
        assert_eq!(pnp, Ok(PnpId { source: 2, vendor: 0x1234, product: 1, version: 0x0110 }));
        assert_eq!(
            (SystemId::of(&[0; 7]).err(), PnpId::of(&[0; 6]).err()),
            (Some(RefusedFrame::Length), Some(RefusedFrame::Length))
        );
    }

    #[test]
    fn fields_are_found_by_their_numbers() {
        for field in TextField::ALL {
            assert_eq!(field.uuid().to_ascii_lowercase().parse(), Ok(field));
        }
        assert_eq!("2A37".parse::<TextField>(), Err(UnknownCharacteristic));
    }
}
