//! What a serial line is set to, and what is spoken on it. Pure.

use std::fmt;
use std::str::FromStr;

use crate::decode::Protocol;

/// A protocol and what the port is set to for it; always one stop bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSettings {
    /// What is spoken.
    pub protocol: Protocol,
    /// The line's speed, in bits a second.
    pub baud: u32,
    /// Its parity.
    pub parity: Parity,
    /// Its data bits.
    pub data_bits: DataBits,
}

impl LineSettings {
    /// What the protocol's description says: 8N1, but 7E1 for A&D scales (STANDARDS §2).
    #[must_use]
    pub const fn of(protocol: Protocol) -> Self {
        let (parity, data_bits) = match protocol {
            Protocol::AndScale => (Parity::Even, DataBits::Seven),
            _ => (Parity::None, DataBits::Eight),
        };
        Self { protocol, baud: protocol.baud(), parity, data_bits }
    }

    /// The same at another speed and parity.
    #[must_use]
    pub const fn at(self, baud: u32, parity: Parity) -> Self {
        Self { baud, parity, ..self }
    }
}

/// `bci at 19200 8O1`.
impl fmt::Display for LineSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match self.data_bits {
            DataBits::Seven => 7,
            DataBits::Eight => 8,
        };
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Odd => 'O',
            Parity::Even => 'E',
        };
        write!(f, "{} at {} {bits}{parity}1", self.protocol, self.baud)
    }
}

/// Parity of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parity {
    /// None.
    #[default]
    None,
    /// Odd.
    Odd,
    /// Even.
    Even,
}

/// Why a text names no parity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("parity is one of none, odd, even")]
pub struct UnknownParity;

impl FromStr for Parity {
    type Err = UnknownParity;
    fn from_str(text: &str) -> Result<Self, UnknownParity> {
        match text {
            "none" => Ok(Self::None),
            "odd" => Ok(Self::Odd),
            "even" => Ok(Self::Even),
            _ => Err(UnknownParity),
        }
    }
}

/// Data bits of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataBits {
    /// Seven.
    Seven,
    /// Eight.
    #[default]
    Eight,
}

/// Why a number is not one of data bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line has 7 or 8 data bits")]
pub struct UnusableDataBits;

impl TryFrom<u8> for DataBits {
    type Error = UnusableDataBits;
    fn try_from(bits: u8) -> Result<Self, UnusableDataBits> {
        match bits {
            7 => Ok(Self::Seven),
            8 => Ok(Self::Eight),
            _ => Err(UnusableDataBits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_scale_has_seven_bits() {
        assert_eq!(LineSettings::of(Protocol::AndScale).to_string(), "and-scale at 2400 7E1");
        for protocol in Protocol::ALL.into_iter().filter(|protocol| *protocol != Protocol::AndScale) {
            assert!(LineSettings::of(protocol).to_string().ends_with(" 8N1"), "{protocol}");
        }
        let old = LineSettings::of(Protocol::Bci).at(19_200, Parity::Odd);
        assert_eq!(old.to_string(), "bci at 19200 8O1");
    }

    #[test]
    fn bits_and_parities_that_no_line_has_are_refused() {
        assert_eq!([6, 7, 8, 9].map(|bits| DataBits::try_from(bits).is_ok()), [false, true, true, false]);
        assert_eq!("mark".parse::<Parity>(), Err(UnknownParity));
    }
}
