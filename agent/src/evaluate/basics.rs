//! Areas `medfloat`, `datetime` and `crc`.

use crc::{CRC_16_ARC, CRC_16_KERMIT, CRC_16_SPI_FUJITSU, Crc};
use runtime::evaluate::{Answer, Input, UnusableInput};
use serde_json::Value as Json;

use super::{json, rejected};
use crate::decode::cursor::Cursor;
use crate::decode::{checksum, date_time};

pub(super) fn medfloat(input: &Input) -> Result<Answer, UnusableInput> {
    let octets = input.hex("hex_le")?;
    let mut cursor = Cursor::new(&octets);
    let read = match input.text("format")? {
        "SFLOAT" => cursor.sfloat(),
        "FLOAT" => cursor.float(),
        _ => return Err(UnusableInput::Value("format")),
    };
    Ok(match read {
        Err(why) => rejected(why),
        Ok(Ok(value)) => {
            let Json::Object(parts) = json::decimal(value) else { return Err(UnusableInput::Value("hex_le")) };
            parts.into_iter().fold(Answer::of("ok"), |answer, (key, value)| answer.with(&key, value))
        }
        Ok(Err(special)) => Answer::of("not-a-value").with("special", special.name().into()).with("value", Json::Null),
    })
}

pub(super) fn date_time(input: &Input) -> Result<Answer, UnusableInput> {
    let octets = input.hex("hex")?;
    Ok(match date_time::read(&mut Cursor::new(&octets)) {
        Ok(time) => Answer::fields(json::date_time(time)),
        Err(why) => rejected(why),
    })
}

pub(super) fn crc(input: &Input) -> Result<Answer, UnusableInput> {
    let octets = input.hex("hex")?;
    let sum = match input.text("algorithm")? {
        "CRC-16/MCRF4XX" => format!("0x{:04X}", checksum::crc16_mcrf4xx(&octets)),
        "CRC-16/CCITT-FALSE" => format!("0x{:04X}", checksum::crc16_ccitt_false(&octets)),
        // Not of any device here; from the same library, for comparison.
        "CRC-16/KERMIT" => format!("0x{:04X}", Crc::<u16>::new(&CRC_16_KERMIT).checksum(&octets)),
        "CRC-16/ARC" => format!("0x{:04X}", Crc::<u16>::new(&CRC_16_ARC).checksum(&octets)),
        "CRC-16/AUG-CCITT" => format!("0x{:04X}", Crc::<u16>::new(&CRC_16_SPI_FUJITSU).checksum(&octets)),
        "CRC-8/SMBUS" => format!("0x{:02X}", checksum::crc8(&octets)),
        _ => return Err(UnusableInput::Value("algorithm")),
    };
    Ok(Answer::of("ok").with("crc", sum.into()))
}
