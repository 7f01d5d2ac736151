//! Checksums of devices' frames.

use crc::{CRC_8_SMBUS, CRC_16_IBM_3740, CRC_16_MCRF4XX, Crc, Table};

const MCRF4XX: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_MCRF4XX);
const CCITT_FALSE: Crc<u16, Table<1>> = Crc::<u16, Table<1>>::new(&CRC_16_IBM_3740);
const CRC8: Crc<u8, Table<1>> = Crc::<u8, Table<1>>::new(&CRC_8_SMBUS);

/// CRC-16/MCRF4XX: the E2E-CRC of the continuous glucose profile (CGMS 1.0.2, 3.11; STANDARDS §1.3). Sent low octet
/// first.
#[must_use]
pub fn crc16_mcrf4xx(octets: &[u8]) -> u16 {
    MCRF4XX.checksum(octets)
}

/// CRC-16/CCITT-FALSE, also CRC-16/IBM-3740: LifeScan meters (STANDARDS §2.6). Sent low octet first.
#[must_use]
pub fn crc16_ccitt_false(octets: &[u8]) -> u16 {
    CCITT_FALSE.checksum(octets)
}

/// CRC-8 with polynomial 07 and start 00, also CRC-8/SMBUS: Viatom (STANDARDS §1.4).
#[must_use]
pub fn crc8(octets: &[u8]) -> u8 {
    CRC8.checksum(octets)
}

/// The sum of octets, modulo 256.
#[must_use]
pub fn sum8(octets: &[u8]) -> u8 {
    octets.iter().fold(0, |sum, octet| sum.wrapping_add(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of parametrised CRC algorithms.
    #[test]
    fn check_values() {
        let check = b"123456789";
        assert_eq!(crc16_mcrf4xx(check), 0x6F91);
        assert_eq!(crc16_ccitt_false(check), 0x29B1);
        assert_eq!(crc8(check), 0xF4);
        assert_eq!(sum8(&[0xFF, 2]), 1);
    }
}
