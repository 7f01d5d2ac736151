//! LifeScan OneTouch Verio IQ: a meter that answers questions about its memory, in the envelope of the Ultra Easy but without its
//! sequences and acknowledgements (STANDARDS §2.6). Its clock counts from 2000.

use super::device::{Device, Ear, Now};
use super::lifescan::{RECORDS_MAX, envelope, message_of, packet_length};
use super::{Bytes, Vitals};

/// 2026-05-04 08:00:00 since 2000, in seconds: when its course began, by its own clock.
const BEGAN: u32 = 831_196_800;

/// A meter with its memory, newest first.
#[derive(Debug, Default)]
pub struct Verio {
    ear: Ear,
    records: Vec<(u32, u16)>,
}

impl Verio {
    fn answer(&self, packet: &[u8]) -> Option<Bytes> {
        let (_, message) = message_of(packet)?;
        match *message {
            [0x03, 0x27, 0x00] => {
                let count = (self.records.len() as u16).to_le_bytes();
                Some(envelope(0, &[&[0x03, 0x06][..], &count].concat()))
            }
            [0x03, 0x21, low, high] => {
                let (time, value) = self.records.get(usize::from(u16::from_le_bytes([low, high])))?;
                let fields = [&time.to_le_bytes()[..], &value.to_le_bytes(), &[0; 4]].concat();
                Some(envelope(0, &[&[0x03, 0x06][..], &fields].concat()))
            }
            _ => None,
        }
    }
}

impl Device for Verio {
    fn second(&mut self, shown: &Vitals, now: Now) -> Vec<Bytes> {
        if let Some(value) = shown.glucose_mg_dl {
            self.records.insert(0, (BEGAN.wrapping_add(now.second as u32), value));
            self.records.truncate(RECORDS_MAX);
        }
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], _now: Now) -> Vec<Bytes> {
        let packets = self.ear.commands(bytes, packet_length);
        packets.iter().filter_map(|packet| self.answer(packet)).collect()
    }

    fn switched_on(&mut self) {
        self.ear.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_memory_is_read_by_number_and_nothing_else_is_answered() {
        let (mut meter, now) = (Verio::default(), Now { second: 60, ..Now::default() });
        meter.second(&Vitals { glucose_mg_dl: Some(301), ..Vitals::OFF }, now);
        assert_eq!(meter.hear(&envelope(0, &[3, 0x27, 0]), now), [envelope(0, &[3, 6, 1, 0])]);
        let time = (BEGAN + 60).to_le_bytes();
        let record = [&[3, 6][..], &time, &[0x2D, 1, 0, 0, 0, 0]].concat();
        assert_eq!(meter.hear(&envelope(0, &[3, 0x21, 0, 0]), now), [envelope(0, &record)]);
        assert!(meter.hear(&envelope(0, &[3, 0x21, 1, 0]), now).is_empty(), "there is no second one");
        assert!(meter.hear(&envelope(8, &[]), now).is_empty(), "the Ultra Easy's greeting");
    }
}
