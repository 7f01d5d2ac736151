//! Beurer BM65 and BM58, cuffs for home that keep their results: 4800 8N1.
//!
//! Source: STANDARDS §2.6, from a public reader.
//! ```text
//! host  AA        device  55
//! host  A4        device  32 octets of text
//! host  A2        device  number of results
//! host  A3 n      device  result n, from 1: header, systolic - 25, diastolic - 25, pulse, month, day, hour, minute,
//!                         year - 2000
//! ```
//! No checksum: the octets are a result only if their date is one. Behind octets that are none, a result begins with the header
//! that the results before it had (AC until one was read): what begins elsewhere has its octets in each other's places.

use std::cell::Cell;

use shared::observation::DeviceTime;

use super::cuff::{self, Cuff};
use super::date_time::is_a_time;
use super::framing::{Gather, Head};
use super::refused::{RefusedFrame, Tally};
use super::{Memory, Report};

/// Octets of a result.
pub const RECORD_BYTES: usize = 9;
/// What is added to the octets of the pressures, mmHg.
const OFFSET: u16 = 25;

/// A result of the device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The first octet; its meaning is not published.
    pub header: u8,
    /// mmHg.
    pub systolic: u16,
    /// mmHg.
    pub diastolic: u16,
    /// Per minute.
    pub pulse: u8,
    /// When it was measured, to the minute.
    pub time: DeviceTime,
    memory: Memory,
}

impl Record {
    /// Reads the octets of a result.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`], or [`RefusedFrame::DeviceTime`] where the date is none.
    pub fn of(bytes: &[u8]) -> Result<Self, RefusedFrame> {
        let [header, systolic, diastolic, pulse, month, day, hour, minute, year] = *bytes else {
            return Err(RefusedFrame::Length);
        };
        let time = DeviceTime { year: 2000_u16.saturating_add(year.into()), month, day, hour, minute, second: 0 };
        if !is_a_time(&time) || month == 0 || day == 0 || year > 99 {
            return Err(RefusedFrame::DeviceTime);
        }
        let mmhg = |octet: u8| OFFSET.saturating_add(octet.into());
        Ok(Self {
            header,
            systolic: mmhg(systolic),
            diastolic: mmhg(diastolic),
            pulse,
            time,
            // A number in the device moves when a new result comes in; time and octets tell one from another.
            memory: Memory::of(0, bytes),
        })
    }

    /// The result as a report of the device's memory.
    #[must_use]
    pub fn report(&self) -> Report {
        let measured =
            Cuff { systolic: self.systolic, diastolic: self.diastolic, mean: None, pulse: self.pulse.into() };
        Report { device_time: Some(self.time), memory: Some(self.memory), ..cuff::report(Ok(measured)) }
    }
}

/// The header that results have where their source shows any.
const HEADER: u8 = 0xAC;

/// Results one behind the other, as the answers to `A3`.
#[derive(Debug)]
pub struct Bm65Line {
    gather: Gather<RECORD_BYTES>,
    header: u8,
    /// Octets were refused, and no result was read nor the line silent since.
    is_lost: bool,
}

impl Default for Bm65Line {
    fn default() -> Self {
        Self { gather: Gather::default(), header: HEADER, is_lost: false }
    }
}

impl Bm65Line {
    /// Takes one octet; gives the report that it completes.
    pub fn byte(&mut self, octet: u8, tally: &mut Tally) -> Option<Report> {
        let (header, is_lost) = (self.header, Cell::new(self.is_lost));
        let head = |octets: &[u8]| match octets {
            [first, ..] if is_lost.get() && *first != header => Head::Not(RefusedFrame::Marker),
            octets if octets.len() < RECORD_BYTES => Head::Wanting,
            _ => Head::Whole(RECORD_BYTES),
        };
        let record = self.gather.octet(octet, tally, head, |octets| {
            let record = Record::of(octets);
            is_lost.set(record.is_err());
            record
        });
        self.is_lost = is_lost.get();
        let record = record?;
        self.header = record.header;
        Some(record.report())
    }

    /// Nothing more comes for now: a part of a result is none, and what comes next is the beginning of one.
    pub fn quiet(&mut self, tally: &mut Tally) {
        self.gather.broken_off(tally);
        self.is_lost = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: [u8; 9] = [0xAC, 0x5F, 0x37, 0x48, 7, 28, 14, 30, 26];

    #[test]
    fn a_result_has_its_own_time_and_is_of_the_memory() {
        let record = Record::of(&RECORD).unwrap();
        assert_eq!((record.systolic, record.diastolic, record.pulse), (120, 80, 72));
        let report = record.report();
        let time = DeviceTime { year: 2026, month: 7, day: 28, hour: 14, minute: 30, second: 0 };
        assert_eq!((report.device_time, report.memory), (Some(time), Some(Memory::of(0, &RECORD))));
        assert_eq!(report.readings.len(), 3);
    }

    #[test]
    fn without_a_date_it_is_no_result() {
        for (place, octet) in [(4, 0), (4, 13), (5, 0), (5, 32), (6, 24), (7, 60), (8, 100)] {
            let mut bytes = RECORD;
            bytes[place] = octet;
            assert_eq!(Record::of(&bytes), Err(RefusedFrame::DeviceTime), "{place}");
        }
        assert_eq!(Record::of(&RECORD[..8]), Err(RefusedFrame::Length));
    }

    #[test]
    fn an_octet_too_many_costs_its_result_and_moves_nothing_into_anothers_place() {
        // The second window would be 152/80.
        let bytes = [&[0xAC, 0x5F, 0x7F, 0x37, 72, 7, 28, 14, 30, 26][..], &RECORD].concat();
        let (mut line, mut tally) = (Bm65Line::default(), Tally::default());
        let found: Vec<_> = bytes.iter().filter_map(|octet| line.byte(*octet, &mut tally)).collect();
        assert_eq!(found, [Record::of(&RECORD).unwrap().report()]);
        assert_eq!((tally.accepted, tally.refused(RefusedFrame::DeviceTime)), (1, 1));
    }

    #[test]
    fn results_of_another_header_are_found_by_it() {
        let mut record = RECORD;
        record[0] = 0x11;
        let lost = [&record[..], &record[..4], &record, &record].concat();
        let (mut line, mut tally) = (Bm65Line::default(), Tally::default());
        assert_eq!(lost.iter().filter_map(|octet| line.byte(*octet, &mut tally)).count(), 3);
        // Before one was read, only silence tells where the next begins.
        let (mut line, mut tally) = (Bm65Line::default(), Tally::default());
        let begun = [&record[..4], &record, &record].concat();
        assert_eq!(begun.iter().filter_map(|octet| line.byte(*octet, &mut tally)).count(), 0);
        line.quiet(&mut tally);
        assert_eq!(record.iter().filter_map(|octet| line.byte(*octet, &mut tally)).count(), 1);
    }

    #[test]
    fn a_part_of_a_result_is_not_joined_to_the_next() {
        let (mut line, mut tally) = (Bm65Line::default(), Tally::default());
        let mut hear =
            |bytes: &[u8], line: &mut Bm65Line| bytes.iter().filter_map(|octet| line.byte(*octet, &mut tally)).count();
        assert_eq!(hear(&RECORD[..5], &mut line), 0);
        line.quiet(&mut Tally::default());
        assert_eq!(hear(&RECORD.repeat(2), &mut line), 2);
    }
}
