//! Beurer BM65 and BM58: a cuff that answers questions about its memory (STANDARDS §2.6).

use super::device::{Device, Ear, Now};
use super::{Bytes, Vitals};

const HELLO: u8 = 0xAA;
const ID: u8 = 0xA4;
const COUNT: u8 = 0xA2;
const RECORD: u8 = 0xA3;
/// What pressures are less in its octets, mmHg.
const LESS: u16 = 25;
const HEADER: u8 = 0xAC;
/// Results it keeps; the oldest leaves.
const RECORDS_MAX: usize = 60;

/// A cuff with its memory, newest first.
#[derive(Debug, Default)]
pub struct Beurer {
    ear: Ear,
    records: Vec<[u8; 9]>,
}

impl Beurer {
    fn answer(&self, command: &[u8]) -> Bytes {
        match *command {
            [HELLO] => vec![0x55],
            [ID] => format!("{:<32}", "Andon Blood Pressure Meter KD001").into_bytes(),
            [COUNT] => vec![self.records.len() as u8],
            [RECORD, number] => {
                let record = usize::from(number).checked_sub(1).and_then(|place| self.records.get(place));
                record.map(|record| record.to_vec()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}

impl Device for Beurer {
    fn second(&mut self, shown: &Vitals, now: Now) -> Vec<Bytes> {
        if let (Some(pressure), Some(pulse)) = (shown.pressure, shown.pulse) {
            let less = |mmhg: u16| mmhg.saturating_sub(LESS).min(255) as u8;
            let minutes = now.second / 60;
            // It began on the first of May 2026, and no course is longer than a month.
            let (day, hour, minute) = (minutes / 1440 % 31 + 1, minutes / 60 % 24, minutes % 60);
            let [day, hour, minute] = [day, hour, minute].map(|part| part as u8);
            let (systolic, diastolic) = (less(pressure.systolic), less(pressure.diastolic));
            self.records.insert(0, [HEADER, systolic, diastolic, pulse.min(255) as u8, 5, day, hour, minute, 26]);
            self.records.truncate(RECORDS_MAX);
        }
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8], _now: Now) -> Vec<Bytes> {
        let length = |bytes: &[u8]| match bytes[0] {
            HELLO | ID | COUNT => Some(1),
            RECORD => Some(2),
            _ => Some(0),
        };
        let commands = self.ear.commands(bytes, length);
        commands.iter().map(|command| self.answer(command)).collect()
    }

    fn switched_on(&mut self) {
        self.ear.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pressure;
    use super::*;

    #[test]
    fn its_memory_is_read_by_number() {
        let (mut cuff, now) = (Beurer::default(), Now { second: 7_500, ..Now::default() });
        cuff.second(&Vitals { pressure: Some(Pressure::of(120, 80)), pulse: Some(72), ..Vitals::OFF }, now);
        assert_eq!(cuff.hear(&[0xAA, 0xA2], now), [vec![0x55], vec![1]]);
        assert_eq!(cuff.hear(&[0xA4], now)[0].len(), 32);
        assert!(cuff.hear(&[0xA3], now).is_empty(), "the number is still to come");
        assert_eq!(cuff.hear(&[1], now), [[0xAC, 95, 55, 72, 5, 1, 2, 5, 26]]);
        assert_eq!(cuff.hear(&[0xA3, 2], now), [Bytes::new()]);
    }
}
