//! IEEE 11073-20601 floats: SFLOAT of 16 bits and FLOAT of 32, decoded to decimals with their digits kept.
//!
//! Source: IEEE 11073-20601, annex F.8; Bluetooth Personal Health Devices Transcoding, 2.2 (STANDARDS §1.1). Exponent
//! and mantissa are two's complement. Special values count with exponent 0 only: 0xF7FF is 204.7.

use shared::reading::NoReading;
use shared::units::Decimal;

use super::RefusedFrame;
use super::cursor::Cursor;

/// A number that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Special {
    /// Not a number.
    NaN,
    /// Not at this resolution.
    NRes,
    /// Above the range.
    PlusInfinity,
    /// Below the range.
    MinusInfinity,
    /// Reserved for future use.
    Reserved,
}

impl Special {
    /// Why there is no reading.
    #[must_use]
    pub const fn no_reading(self) -> NoReading {
        match self {
            Self::NaN => NoReading::NotANumber,
            Self::NRes => NoReading::NotAtThisResolution,
            Self::PlusInfinity => NoReading::AboveRange,
            Self::MinusInfinity => NoReading::BelowRange,
            Self::Reserved => NoReading::Reserved,
        }
    }

    /// Its name in the standard.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NaN => "NaN",
            Self::NRes => "NRes",
            Self::PlusInfinity => "+INF",
            Self::MinusInfinity => "-INF",
            Self::Reserved => "RFU",
        }
    }
}

/// A float as received.
pub type Medfloat = Result<Decimal, Special>;

/// SFLOAT: exponent in the four high bits, mantissa in the twelve low.
///
/// # Errors
/// [`Special`]: the bits are no number.
pub const fn sfloat(raw: u16) -> Medfloat {
    match raw {
        0x07FF => return Err(Special::NaN),
        0x0800 => return Err(Special::NRes),
        0x07FE => return Err(Special::PlusInfinity),
        0x0802 => return Err(Special::MinusInfinity),
        0x0801 => return Err(Special::Reserved),
        _ => {}
    }
    // An arithmetic shift carries the sign.
    let exponent = ((raw.cast_signed()) >> 12) as i8;
    let mantissa = (raw << 4).cast_signed() >> 4;
    Ok(Decimal::new(mantissa as i64, exponent))
}

/// FLOAT: exponent in the high octet, mantissa in the 24 low bits.
///
/// # Errors
/// [`Special`]: the bits are no number.
pub const fn float(raw: u32) -> Medfloat {
    match raw {
        0x007F_FFFF => return Err(Special::NaN),
        0x0080_0000 => return Err(Special::NRes),
        0x007F_FFFE => return Err(Special::PlusInfinity),
        0x0080_0002 => return Err(Special::MinusInfinity),
        0x0080_0001 => return Err(Special::Reserved),
        _ => {}
    }
    let exponent = ((raw.cast_signed()) >> 24) as i8;
    let mantissa = (raw << 8).cast_signed() >> 8;
    Ok(Decimal::new(mantissa as i64, exponent))
}

impl Cursor<'_> {
    /// An SFLOAT.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn sfloat(&mut self) -> Result<Medfloat, RefusedFrame> {
        self.u16().map(sfloat)
    }

    /// A FLOAT.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn float(&mut self) -> Result<Medfloat, RefusedFrame> {
        self.u32().map(float)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;

    #[test]
    fn digits_are_kept() {
        assert_eq!(sfloat(0xF0BD).map(|value| value.to_string()), Ok("18.9".into()));
        assert_eq!(sfloat(0xF3AC).map(|value| value.to_string()), Ok("94.0".into()));
        assert_eq!(float(0xFF00_016C).map(|value| value.to_string()), Ok("36.4".into()));
        assert_eq!(sfloat(0xF7FF).map(|value| value.to_string()), Ok("204.7".into()));
        assert_eq!(sfloat(0x17FE).map(|value| value.to_string()), Ok("20460".into()));
        assert_eq!(sfloat(0xFFFF).map(|value| value.to_string()), Ok("-0.1".into()));
        assert_eq!(float(0xFFFF_FFFF).map(|value| value.to_string()), Ok("-0.1".into()));
    }

    #[test]
    fn every_sfloat_is_its_mantissa_times_ten_to_its_exponent_or_special() {
        let mut specials = 0;
        for raw in 0..=u16::MAX {
            let (exponent, mantissa) = (i32::from(raw >> 12), i32::from(raw & 0xFFF));
            let exponent = if exponent > 7 { exponent - 16 } else { exponent };
            let mantissa = if mantissa > 2047 { mantissa - 4096 } else { mantissa };
            match sfloat(raw) {
                Ok(value) => {
                    assert_eq!((value.mantissa(), i32::from(value.exponent())), (i64::from(mantissa), exponent));
                }
                Err(_) => specials += 1,
            }
        }
        assert_eq!(specials, 5);
    }
}
