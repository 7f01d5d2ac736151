//! Viatom and Wellue O2Ring: commands, replies in pieces, the values of now.
//!
//! Source: STANDARDS §1.4, with captured commands and replies (vectors `serial-extra`); the pulse rate's width after the maker's
//! own headers (viatom-dev/VTProductLib). Low octet first.
//! ```text
//! command  AA  command u8  its complement  block u16  length u16  data  CRC-8
//! reply    55  result u8 (0 good)  its complement  block u16  length u16  data  CRC-8
//! values   (command 17) SpO2 u8  pulse u16  ...  [7] battery u8 per cent  [8] charging  [9] motion  [10] perfusion index u8,
//!          0.1 %  [11] worn  ...
//! ```
//! A reply is longer than a notification: [`Reassembly`] joins the pieces. 255 and zero are no numbers.

use arrayvec::ArrayVec;
use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::decode::checksum::crc8;
use crate::decode::cursor::Cursor;
use crate::decode::{RefusedFrame, Report};

const COMMAND: u8 = 0xAA;
const REPLY: u8 = 0x55;
const HEAD_BYTES: usize = 7;
const CRC_BYTES: usize = 1;
const SENSORS_BYTES: usize = 13;
/// The longest reply that is joined; the values of now need 21 octets. A longer one is refused.
pub const REPLY_BYTES_MAX: usize = 64;

/// The command for the values of now.
pub const READ_SENSORS: u8 = 0x17;

/// A command without data.
#[must_use]
pub fn encode(command: u8) -> [u8; 8] {
    let head = [COMMAND, command, !command, 0, 0, 0, 0];
    let [a, b, c, d, e, f, g] = head;
    [a, b, c, d, e, f, g, crc8(&head)]
}

/// How many octets the reply that begins here has in all, once its head is there.
fn reply_bytes(bytes: &[u8]) -> Option<usize> {
    let [_, _, _, _, _, low, high, ..] = *bytes else { return None };
    let data = usize::from(u16::from_le_bytes([low, high]));
    Some(data.saturating_add(HEAD_BYTES).saturating_add(CRC_BYTES))
}

/// The data of a whole reply.
///
/// # Errors
/// [`RefusedFrame`]: marker, complement ([`RefusedFrame::Contradiction`]), length, checksum; [`RefusedFrame::Unknown`] where the
/// device says that it cannot.
pub fn data(reply: &[u8]) -> Result<&[u8], RefusedFrame> {
    let [marker, result, complement, ..] = *reply else { return Err(RefusedFrame::Length) };
    if marker != REPLY {
        return Err(RefusedFrame::Marker);
    }
    if complement != !result {
        return Err(RefusedFrame::Contradiction);
    }
    if reply_bytes(reply) != Some(reply.len()) {
        return Err(RefusedFrame::Length);
    }
    let (crc, covered) = reply.split_last().ok_or(RefusedFrame::Length)?;
    if crc8(covered) != *crc {
        return Err(RefusedFrame::Checksum);
    }
    if result != 0 {
        return Err(RefusedFrame::Unknown);
    }
    covered.get(HEAD_BYTES..).ok_or(RefusedFrame::Length)
}

/// The values of now as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sensors {
    /// Saturation in per cent, if there is one.
    pub spo2: Option<u8>,
    /// Pulse rate per minute, if there is one.
    pub pulse: Option<u16>,
    /// The battery in per cent.
    pub battery: u8,
    /// Zero if it is not being charged.
    pub charging: u8,
    /// How much it moved; the unit is not known.
    pub motion: u8,
    /// Perfusion index in tenths of a per cent; zero is none.
    pub perfusion_percent10: u8,
    /// It is worn.
    pub worn: bool,
}

impl Sensors {
    /// Reads a whole reply to [`READ_SENSORS`].
    ///
    /// # Errors
    /// As [`data`].
    pub fn of(reply: &[u8]) -> Result<Self, RefusedFrame> {
        let data = data(reply)?;
        if data.len() != SENSORS_BYTES {
            return Err(RefusedFrame::Length);
        }
        let mut cursor = Cursor::new(data);
        let (spo2, pulse) = (cursor.u8()?, cursor.u16()?);
        let _unknown: [u8; 4] = cursor.octets()?;
        let [battery, charging, motion, perfusion_percent10, worn]: [u8; 5] = cursor.octets()?;
        Ok(Self {
            spo2: Some(spo2).filter(|spo2| !matches!(*spo2, 0 | 255)),
            pulse: Some(pulse).filter(|pulse| !matches!(*pulse, 0 | 255 | u16::MAX)),
            battery,
            charging,
            motion,
            perfusion_percent10,
            worn: worn != 0,
        })
    }

    /// Saturation, pulse rate, perfusion index and battery. While it is not worn no number is of a finger; while it looks for a
    /// pulse it sends none.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report::default();
        let perfusion = Some(self.perfusion_percent10).filter(|index| *index != 0);
        let mut add = |metric, number: Option<u16>, exponent, unit| {
            report.add(match (number, self.worn) {
                (_, false) => Reading::none(metric, NoReading::SensorOff, Quality::GOOD),
                (None, true) => Reading::none(metric, NoReading::MissingData, Quality::GOOD),
                (Some(number), true) => {
                    Reading::value(metric, Decimal::new(i64::from(number), exponent), unit, Quality::GOOD)
                }
            });
        };
        add(Metric::SpO2, self.spo2.map(u16::from), 0, Unit::Percent);
        add(Metric::PulseRate, self.pulse, 0, Unit::PerMinute);
        add(Metric::PerfusionIndex, perfusion.map(u16::from), -1, Unit::Percent);
        if self.battery <= 100 {
            report.add(Reading::value(Metric::Battery, i64::from(self.battery).into(), Unit::Percent, Quality::GOOD));
        }
        report
    }
}

/// Joins the pieces of replies. Holds at most one reply.
#[derive(Debug, Clone, Default)]
pub struct Reassembly {
    bytes: ArrayVec<u8, REPLY_BYTES_MAX>,
}

impl Reassembly {
    /// Takes a notification; gives the reply that it completes. What does not fit is dropped, and a reply may begin with the
    /// notification that showed it.
    ///
    /// # Errors
    /// [`RefusedFrame`]: of pieces that are no reply. The next notification may begin one.
    pub fn take(&mut self, notification: &[u8]) -> Result<Option<ArrayVec<u8, REPLY_BYTES_MAX>>, RefusedFrame> {
        let was_empty = self.bytes.is_empty();
        match self.join(notification) {
            Err(why) => {
                self.bytes.clear();
                if was_empty {
                    return Err(why);
                }
                // The end of the earlier reply was lost: what came now is a beginning, if anything.
                match self.join(notification) {
                    Ok(found) => Ok(found),
                    Err(_) => {
                        self.bytes.clear();
                        Err(why)
                    }
                }
            }
            found => found,
        }
    }

    /// Forgets the pieces so far: a new command was sent.
    pub fn restart(&mut self) {
        self.bytes.clear();
    }

    fn join(&mut self, notification: &[u8]) -> Result<Option<ArrayVec<u8, REPLY_BYTES_MAX>>, RefusedFrame> {
        self.bytes.try_extend_from_slice(notification).map_err(|_| RefusedFrame::Length)?;
        match (self.bytes.first(), reply_bytes(&self.bytes)) {
            (Some(first), _) if *first != REPLY => Err(RefusedFrame::Marker),
            (_, Some(length)) if length > REPLY_BYTES_MAX || length < self.bytes.len() => Err(RefusedFrame::Length),
            (_, Some(length)) if length == self.bytes.len() => match data(&self.bytes) {
                // What the device cannot do is a whole reply too.
                Ok(_) | Err(RefusedFrame::Unknown) => Ok(Some(std::mem::take(&mut self.bytes))),
                Err(why) => Err(why),
            },
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::hex;
    use shared::reading::Outcome;

    use super::*;

    fn reply(data: [u8; SENSORS_BYTES]) -> Vec<u8> {
        let mut reply = vec![REPLY, 0, 0xFF, 0, 0, 13, 0];
        reply.extend(data);
        reply.push(crc8(&reply));
        reply
    }

    const WORN: [u8; SENSORS_BYTES] = [98, 66, 0, 0, 0, 0, 0, 97, 0, 0x92, 10, 1, 0];

    #[test]
    fn values_while_worn_and_none_while_not() {
        let report = Sensors::of(&reply(WORN)).unwrap().report();
        let values = [
            Reading::value(Metric::SpO2, 98.into(), Unit::Percent, Quality::GOOD),
            Reading::value(Metric::PulseRate, 66.into(), Unit::PerMinute, Quality::GOOD),
            Reading::value(Metric::PerfusionIndex, Decimal::new(10, -1), Unit::Percent, Quality::GOOD),
            Reading::value(Metric::Battery, 97.into(), Unit::Percent, Quality::GOOD),
        ];
        assert_eq!(report.readings[..], values);
        let mut off = WORN;
        off[11] = 0;
        let off = Sensors::of(&reply(off)).unwrap().report();
        assert_eq!(off.readings[0].outcome, Outcome::None(NoReading::SensorOff));
        let captured = hex::decode("5500ff00000d00ffffff0000000060000500000043").unwrap();
        let captured = Sensors::of(&captured).unwrap();
        assert_eq!((captured.spo2, captured.pulse, captured.battery, captured.worn), (None, None, 96, false));
    }

    #[test]
    fn a_command_and_what_is_refused() {
        assert_eq!(hex::encode(&encode(READ_SENSORS)), "aa17e8000000001b");
        let mut cannot = vec![REPLY, 1, 0xFE, 0, 0, 0, 0];
        cannot.push(crc8(&cannot));
        assert_eq!(data(&cannot), Err(RefusedFrame::Unknown));
        let mut damaged = reply(WORN);
        damaged[7] ^= 1;
        assert_eq!(data(&damaged), Err(RefusedFrame::Checksum));
        damaged[2] = 0xFE;
        assert_eq!(data(&damaged), Err(RefusedFrame::Contradiction));
        assert_eq!(data(&reply(WORN)[..20]), Err(RefusedFrame::Length));
        assert_eq!(data(&encode(READ_SENSORS)), Err(RefusedFrame::Marker));
    }

    #[test]
    fn a_lost_piece_costs_one_reply() {
        let whole = reply(WORN);
        let (first, second) = whole.split_at(20);
        let mut pieces = Reassembly::default();
        let mut take = |piece: &[u8]| pieces.take(piece).map(|found| found.map(|reply| reply.to_vec()));
        assert_eq!(take(first), Ok(None));
        assert_eq!(take(second), Ok(Some(whole.clone())));
        assert_eq!(take(second), Err(RefusedFrame::Marker), "an end without a beginning");
        assert_eq!(take(first), Ok(None));
        assert_eq!(take(first), Ok(None), "a beginning again");
        assert_eq!(take(second), Ok(Some(whole.clone())));
        assert_eq!(take(&[REPLY, 0, 0xFF, 0, 0, 0xFF, 0xFF]), Err(RefusedFrame::Length));
        assert_eq!(take(&[0; 80]), Err(RefusedFrame::Length));
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_are_joined_after_any_garbage(garbage: Vec<u8>, size in 1_usize..21) {
            let mut pieces = Reassembly::default();
            let _ = pieces.take(&garbage);
            pieces.restart();
            let found: Vec<_> = reply(WORN).chunks(size).filter_map(|piece| pieces.take(piece).unwrap()).collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&found[0][..], &reply(WORN)[..]);
        }
    }
}
