//! LifeScan OneTouch Ultra Easy: a meter that answers questions about its memory (STANDARDS §2.6).
//!
//! A packet is `02 LEN LINK message 03 CRC`. Link bits: 0 the sender's sequence, 1 the sequence it expects, 2 an
//! acknowledgement, 3 disconnect. The meter acknowledges each question, says its answer, and awaits the acknowledgement.

use super::device::{Device, Ear, Now};
use super::{Bytes, Vitals};

const SENT: u8 = 1;
const EXPECTED: u8 = 1 << 1;
const ACKNOWLEDGES: u8 = 1 << 2;
const DISCONNECTS: u8 = 1 << 3;
/// Records it keeps; the oldest leaves.
pub(super) const RECORDS_MAX: usize = 500;
/// 2026-05-04 08:00:00 since 1970, in seconds: when its course began, by its own clock.
const BEGAN: u32 = 1_777_881_600;

/// A meter with its memory, newest first.
#[derive(Debug, Default)]
pub struct LifeScan {
    ear: Ear,
    records: Vec<(u32, u16)>,
    /// The sequence bit of its next packet, and the one it expects.
    sends: bool,
    expects: bool,
}

impl LifeScan {
    fn link(&self) -> u8 {
        (u8::from(self.sends) * SENT) | (u8::from(self.expects) * EXPECTED)
    }

    fn answer(&mut self, packet: &[u8]) -> Vec<Bytes> {
        let Some((link, message)) = message_of(packet) else { return Vec::new() };
        if link & DISCONNECTS != 0 {
            (self.sends, self.expects) = (false, false);
            return vec![envelope(DISCONNECTS | ACKNOWLEDGES, &[])];
        }
        if link & ACKNOWLEDGES != 0 && message.is_empty() {
            self.sends = !self.sends;
            return Vec::new();
        }
        let Some(answer) = self.message(message) else { return Vec::new() };
        self.expects = !self.expects;
        vec![envelope(ACKNOWLEDGES | self.link(), &[]), envelope(self.link(), &answer)]
    }

    /// The answer to a question: how many records there are for a record that there is not, else the record.
    fn message(&self, question: &[u8]) -> Option<Bytes> {
        let [0x05, 0x1F, low, high] = *question else { return None };
        let number = usize::from(u16::from_le_bytes([low, high]));
        Some(match self.records.get(number) {
            Some((time, value)) => [&[0x05, 0x06][..], &time.to_le_bytes(), &u32::from(*value).to_le_bytes()].concat(),
            None => [&[0x05, 0x0F][..], &(self.records.len() as u16).to_le_bytes()].concat(),
        })
    }
}

impl Device for LifeScan {
    fn second(&mut self, shown: &Vitals, now: Now) -> Vec<Bytes> {
        if let Some(value) = shown.glucose_mg_dl {
            self.records.insert(0, (BEGAN.wrapping_add(now.second as u32), value));
            self.records.truncate(RECORDS_MAX);
        }
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], _now: Now) -> Vec<Bytes> {
        let packets = self.ear.commands(bytes, packet_length);
        packets.iter().flat_map(|packet| self.answer(packet)).collect()
    }

    fn switched_on(&mut self) {
        self.ear.clear();
        (self.sends, self.expects) = (false, false);
    }
}

/// How long the packet at the front is, as an [`Ear`] wants it.
pub(super) fn packet_length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0x02] => None,
        [0x02, length @ 6..=255, ..] => Some(usize::from(*length)),
        _ => Some(0),
    }
}

/// The link octet and the message of a whole packet, if it is intact.
pub(super) fn message_of(packet: &[u8]) -> Option<(u8, &[u8])> {
    let (summed, sum) = packet.split_at(packet.len() - 2);
    let is_intact = crc16(summed).to_le_bytes() == sum && summed[summed.len() - 1] == 0x03;
    is_intact.then(|| (summed[2], &summed[3..summed.len() - 1]))
}

pub(super) fn envelope(link: u8, message: &[u8]) -> Bytes {
    let mut packet = vec![0x02, message.len() as u8 + 6, link];
    packet.extend(message);
    packet.push(0x03);
    let sum = crc16(&packet).to_le_bytes();
    packet.extend(sum);
    packet
}

/// CRC-16/CCITT-FALSE: polynomial 1021, begun with FFFF.
fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for octet in bytes {
        crc ^= u16::from(*octet) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_acknowledged_and_answered() {
        let (mut meter, now) = (LifeScan::default(), Now { second: 60, ..Now::default() });
        assert_eq!(crc16(&[0x02, 0x06, 0x08, 0x03]), 0x62C2);
        meter.second(&Vitals { glucose_mg_dl: Some(101), ..Vitals::OFF }, now);
        // Disconnect: both sequences begin again.
        assert_eq!(meter.hear(&[0x02, 0x06, 0x08, 0x03, 0xC2, 0x62], now), [envelope(0x0C, &[])]);
        let answers = meter.hear(&envelope(0, &[0x05, 0x1F, 0xF5, 0x01]), now);
        assert_eq!(answers, [envelope(0x06, &[]), envelope(0x02, &[0x05, 0x0F, 1, 0])]);
        assert!(meter.hear(&envelope(0x07, &[]), now).is_empty());
        let answers = meter.hear(&envelope(0x03, &[0x05, 0x1F, 0, 0]), now);
        let time = (BEGAN + 60).to_le_bytes();
        assert_eq!(answers[1], envelope(0x01, &[&[5, 6][..], &time, &[101, 0, 0, 0]].concat()));
        assert!(meter.hear(&[0x02, 0x06, 0x08, 0x03, 0xC2, 0x63], now).is_empty(), "a wrong checksum");
    }
}
