//! LifeScan meters for blood glucose, binary protocol: OneTouch Ultra Easy and Ultra Mini (9600 8N1), Verio IQ (38400 8N1).
//!
//! Source: STANDARDS §2.6, from a public driver and its tests.
//! ```text
//! 02  LEN  LINK  message ...  03  CRC16     LEN counts every octet; CRC-16/CCITT-FALSE up to 03, low octet first
//! LINK: b0 sequence sent, b1 sequence expected, b2 acknowledgement, b3 disconnect, b4 more; 00 with the Verio
//! Ultra Easy: 05 0F number16 | 05 06 time32 value32              time since 1970, value mg/dL
//! Verio:      03 06 number16 | 03 06 time32 value16 control8 meal8 2 octets    time since 2000
//! ```
//! Little-endian. What the host says is in [`Request`].

use arrayvec::ArrayVec;
use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit};

use super::cursor::Cursor;
use super::framing::{Gather, Head, with_length};
use super::refused::{RefusedFrame, Tally};
use super::{Memory, Report, checksum, date_time};

/// Longest packet; a longer one is refused. What the hub asks for has at most 18 octets, a serial number or a version less
/// than 40.
pub const PACKET_BYTES_MAX: usize = 64;
/// Octets of a packet besides its message.
const ENVELOPE: u8 = 6;
const START: u8 = 0x02;
const END: u8 = 0x03;

/// Link bit: the sequence of the sender.
pub const LINK_SENT: u8 = 1 << 0;
/// Link bit: the sequence that the sender expects.
pub const LINK_EXPECTED: u8 = 1 << 1;
/// Link bit: an acknowledgement, without a message.
pub const LINK_ACKNOWLEDGED: u8 = 1 << 2;
/// Link bit: both sequences begin again.
pub const LINK_DISCONNECT: u8 = 1 << 3;

/// Which meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Ultra Easy, Ultra Mini: packets are acknowledged.
    UltraEasy,
    /// Verio IQ: an answer is its own acknowledgement.
    Verio,
}

/// A whole packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The link bits.
    pub link: u8,
    /// What it says.
    pub message: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`RefusedFrame`] says what is wrong with the bytes.
    pub fn of(bytes: &'a [u8]) -> Result<Self, RefusedFrame> {
        match head(bytes) {
            Head::Whole(length) if length == bytes.len() => {}
            Head::Not(why) => return Err(why),
            Head::Whole(_) | Head::Wanting => return Err(RefusedFrame::Length),
        }
        let (summed, sum) = bytes.split_last_chunk::<2>().ok_or(RefusedFrame::Length)?;
        let [_, _, link, message @ .., end] = summed else { return Err(RefusedFrame::Length) };
        if *end != END {
            return Err(RefusedFrame::Marker);
        }
        if checksum::crc16_ccitt_false(summed) != u16::from_le_bytes(*sum) {
            return Err(RefusedFrame::Checksum);
        }
        Ok(Self { link: *link, message })
    }

    /// What the meter answers.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: never, because the lengths were looked at.
    pub fn answer(&self) -> Result<Answer, RefusedFrame> {
        let mut cursor = Cursor::new(self.message);
        let kind: [u8; 2] = cursor.octets().unwrap_or_default();
        Ok(match (kind, self.message.len()) {
            (_, 0) => Answer::Acknowledged,
            ([0x05, 0x0F] | [0x03, 0x06], 4) => Answer::Records(cursor.u16()?),
            ([0x05, 0x06], 10) => {
                let time = date_time::of_seconds(cursor.u32()?.into());
                let mg_dl = cursor.u32()?;
                Answer::Record(Record { time, mg_dl, control: false, memory: Memory::of(0, self.message) })
            }
            ([0x03, 0x06], 12) => {
                let seconds = i64::from(cursor.u32()?).saturating_add(date_time::YEAR_2000);
                let (mg_dl, control) = (cursor.u16()?.into(), cursor.u8()? != 0);
                let memory = Memory::of(0, self.message);
                Answer::Record(Record { time: date_time::of_seconds(seconds), mg_dl, control, memory })
            }
            _ => Answer::Other,
        })
    }
}

/// What a meter answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It has the request.
    Acknowledged,
    /// How many records it has.
    Records(u16),
    /// A record.
    Record(Record),
    /// Something else.
    Other,
}

/// A record of a meter's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The meter's clock at the measurement.
    pub time: Option<DeviceTime>,
    /// Blood glucose, mg/dL, whatever the meter shows.
    pub mg_dl: u32,
    /// A control solution was measured.
    pub control: bool,
    memory: Memory,
}

impl Record {
    /// The record as a report of the device's memory. Its number in the meter moves with each new record, so time and bytes
    /// tell one from another.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = Report { device_time: self.time, memory: Some(self.memory), ..Report::default() };
        report.add(if self.control {
            Reading::none(Metric::Glucose, NoReading::ControlSolution, Quality::GOOD)
        } else {
            let value = Decimal::from(i64::from(self.mg_dl));
            Reading::value(Metric::Glucose, value, Unit::MilligramPerDecilitre, Quality::GOOD)
        });
        report
    }
}

/// What the host asks. Nothing here changes or deletes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Begin both sequences again (Ultra Easy).
    Disconnect,
    /// The answer is here (Ultra Easy).
    Acknowledge,
    /// How many records there are.
    Records,
    /// The record of this number, from 0.
    Record(u16),
}

/// A number of a record that no meter has: the Ultra Easy answers it with how many it has.
const NO_RECORD: u16 = 501;

impl Request {
    /// Its packet; `sequences` are the link bits [`LINK_SENT`] and [`LINK_EXPECTED`], 0 with the Verio.
    #[must_use]
    pub fn packet(self, dialect: Dialect, sequences: u8) -> ArrayVec<u8, 16> {
        let [low, high] = match self {
            Self::Record(number) => number,
            _ => NO_RECORD,
        }
        .to_le_bytes();
        let message: &[u8] = match (dialect, self) {
            (_, Self::Disconnect | Self::Acknowledge) => &[],
            (Dialect::UltraEasy, Self::Records | Self::Record(_)) => &[0x05, 0x1F, low, high],
            (Dialect::Verio, Self::Records) => &[0x03, 0x27, 0x00],
            (Dialect::Verio, Self::Record(_)) => &[0x03, 0x21, low, high],
        };
        let link = match self {
            Self::Disconnect => LINK_DISCONNECT,
            Self::Acknowledge => LINK_ACKNOWLEDGED,
            Self::Records | Self::Record(_) => 0,
        };
        let length = ENVELOPE.saturating_add(u8::try_from(message.len()).unwrap_or(u8::MAX));
        let mut packet = ArrayVec::new();
        // At most ten octets: there is room.
        let _ = packet.try_extend_from_slice(&[START, length, link | sequences]);
        let _ = packet.try_extend_from_slice(message);
        let _ = packet.try_extend_from_slice(&[END]);
        let sum = checksum::crc16_ccitt_false(&packet).to_le_bytes();
        let _ = packet.try_extend_from_slice(&sum);
        packet
    }
}

fn head(bytes: &[u8]) -> Head {
    with_length(bytes, START, usize::from(ENVELOPE)..=PACKET_BYTES_MAX)
}

/// Finds packets in a line.
#[derive(Debug, Default)]
pub struct LifescanLine(Gather<PACKET_BYTES_MAX>);

impl LifescanLine {
    /// Takes one octet; gives the link bits and the answer of the packet that it completes.
    pub fn answer(&mut self, octet: u8, tally: &mut Tally) -> Option<(u8, Answer)> {
        let read = |bytes: &[u8]| Packet::of(bytes).and_then(|packet| Ok((packet.link, packet.answer()?)));
        self.0.octet(octet, tally, head, read)
    }

    /// Takes one octet; gives the report that it completes.
    pub fn byte(&mut self, octet: u8, tally: &mut Tally) -> Option<Report> {
        match self.answer(octet, tally)? {
            (_, Answer::Record(record)) => Some(record.report()),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use shared::reading::Outcome;

    use super::*;

    /// A packet of a meter.
    pub(in crate::decode) fn packet(link: u8, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![START, ENVELOPE + u8::try_from(message.len()).unwrap(), link];
        bytes.extend(message);
        bytes.push(END);
        let sum = checksum::crc16_ccitt_false(&bytes).to_le_bytes();
        bytes.extend(sum);
        bytes
    }

    /// A record as the Ultra Easy sends it.
    pub(in crate::decode) fn record(seconds: u32, mg_dl: u32) -> Vec<u8> {
        [&[5, 6][..], &seconds.to_le_bytes(), &mg_dl.to_le_bytes()].concat()
    }

    #[test]
    fn packets_of_the_public_tests() {
        // The checksums that the driver's own tests have: 41CD of 02 06 06 03 and 62C2 of 02 06 08 03.
        assert_eq!(Packet::of(&[2, 6, 6, 3, 0xCD, 0x41]), Ok(Packet { link: 6, message: &[] }));
        assert_eq!(Request::Disconnect.packet(Dialect::UltraEasy, 0).as_slice(), [2, 6, 8, 3, 0xC2, 0x62]);
        assert_eq!(Request::Acknowledge.packet(Dialect::UltraEasy, 2).as_slice(), [2, 6, 6, 3, 0xCD, 0x41]);
        assert_eq!(Packet::of(&[2, 7, 6, 3, 0xCD, 0x41]), Err(RefusedFrame::Length));
        assert_eq!(Packet::of(&[2, 6, 7, 3, 0xCD, 0x41]), Err(RefusedFrame::Checksum));
        assert_eq!(Packet::of(&[2, 6, 6, 4, 0xCD, 0x41]), Err(RefusedFrame::Marker));
    }

    #[test]
    fn a_record_is_a_report_of_the_memory() {
        let message = record(1_785_249_000, 104);
        let bytes = packet(2, &message);
        let Ok(Answer::Record(found)) = Packet::of(&bytes).unwrap().answer() else { panic!("no record") };
        let report = found.report();
        let time = DeviceTime { year: 2026, month: 7, day: 28, hour: 14, minute: 30, second: 0 };
        assert_eq!(report.device_time, Some(time));
        assert_eq!(report.memory, Some(Memory::of(0, &message)), "the link bits are not of the record");
        assert_eq!(
            report.readings[0],
            Reading::value(Metric::Glucose, 104.into(), Unit::MilligramPerDecilitre, Quality::GOOD)
        );
    }

    #[test]
    fn the_verio_has_its_own_epoch_and_tells_a_control_solution() {
        let record = |control| {
            let time = (1_785_249_000_u32 - 946_684_800).to_le_bytes();
            let message = [&[3, 6][..], &time, &[104, 0, control, 1, 0, 0]].concat();
            match Packet::of(&packet(0, &message)).unwrap().answer() {
                Ok(Answer::Record(record)) => record.report(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(record(0).device_time.unwrap().year, 2026);
        assert!(matches!(record(0).readings[0].outcome, Outcome::Value(_)));
        assert_eq!(record(1).readings[0].outcome, Outcome::None(NoReading::ControlSolution));
    }

    #[test]
    fn counts_and_requests_of_both() {
        let answer = |message: &[u8]| Packet::of(&packet(0, message)).unwrap().answer();
        assert_eq!(answer(&[5, 0x0F, 0x2C, 0x01]), Ok(Answer::Records(300)));
        assert_eq!(answer(&[3, 6, 0x2C, 0x01]), Ok(Answer::Records(300)));
        assert_eq!(answer(&[5, 6, 1]), Ok(Answer::Other));
        let message =
            |request: Request, dialect| Packet::of(&request.packet(dialect, 0)).map(|packet| packet.message.to_vec());
        assert_eq!(message(Request::Records, Dialect::UltraEasy), Ok(vec![5, 0x1F, 0xF5, 0x01]));
        assert_eq!(message(Request::Record(2), Dialect::UltraEasy), Ok(vec![5, 0x1F, 2, 0]));
        assert_eq!(message(Request::Records, Dialect::Verio), Ok(vec![3, 0x27, 0]));
        assert_eq!(message(Request::Record(2), Dialect::Verio), Ok(vec![3, 0x21, 2, 0]));
    }

    #[test]
    fn every_truncation_is_refused_and_the_next_packet_found() {
        let good = packet(0, &record(1, 2));
        for length in 0..good.len() {
            assert!(Packet::of(&good[..length]).is_err());
            let (mut line, mut tally) = (LifescanLine::default(), Tally::default());
            let bytes = [&good[..length], &good, &good].concat();
            let found = bytes.iter().filter_map(|octet| line.byte(*octet, &mut tally)).count();
            assert!(found >= 1, "{length}");
        }
    }
}
