//! The conversation with a device whose memory is read: LifeScan meters, Beurer cuffs.
//!
//! When the port opens, and then from time to time, the device is asked how many records it has, then for each. The first and the
//! last come first: if the count is as before and both are known, there is nothing new. A question without an answer is repeated
//! a few times from the greeting on; after that the device counts as switched off, and is greeted again later.
//!
//! A record of a BM65 has no checksum: it is asked for until it came twice alike, one directly after the other, and only then
//! given to the decoder. Only a reading of which nothing was refused, passed over or lost counts as read; after another, all
//! records are read again. What was handed on is remembered only to leave it out then.

use std::collections::VecDeque;

use arrayvec::ArrayVec;
use shared::time::Tick;

use super::{Words, words};
use crate::decode::beurer_bm65::RECORD_BYTES;
use crate::decode::lifescan::{Answer, Dialect, LINK_EXPECTED, LINK_SENT, LifescanLine, Request};
use crate::decode::refused::Tally;
use crate::decode::{Protocol, Report};
use crate::limits::{
    ANSWER_WITHIN, ASK_TIMES, MEMORY_GREETED_EVERY, MEMORY_READ_EVERY, MEMORY_RECORDS_MAX, MEMORY_SEEN_MAX,
};

/// Which device, and where its own protocol stands.
#[derive(Debug)]
enum Device {
    Bm65 {
        /// Octets that the answer still lacks.
        wanting: usize,
        /// The answer so far.
        answer: ArrayVec<u8, RECORD_BYTES>,
        /// The record, as it came the last time.
        before: Option<[u8; RECORD_BYTES]>,
        /// The last record that came twice alike.
        twice: [u8; RECORD_BYTES],
    },
    Lifescan {
        dialect: Dialect,
        line: LifescanLine,
        /// Link bits of the next packet.
        sequences: u8,
        /// An answer is to be acknowledged.
        owes: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing is asked before this.
    Rest(Option<Tick>),
    Greet,
    Count,
    Records,
}

/// The hub's side.
#[derive(Debug)]
pub(super) struct Memory {
    device: Device,
    step: Step,
    count: Option<u16>,
    /// How many it had when all were last read.
    count_read: Option<u16>,
    /// Which of the records comes next: the first, the last, then the others.
    place: u16,
    found_new: bool,
    /// Something of this reading was refused, passed over or lost.
    is_partial: bool,
    /// The questions were used up since this was last asked.
    is_given_up: bool,
    asks: u8,
    answer_until: Option<Tick>,
    /// Records that were handed on.
    seen: VecDeque<[u8; 16]>,
}

impl Memory {
    pub(super) fn of(protocol: Protocol) -> Self {
        let lifescan = |dialect| Device::Lifescan { dialect, line: LifescanLine::default(), sequences: 0, owes: false };
        let device = match protocol {
            Protocol::Lifescan => lifescan(Dialect::UltraEasy),
            Protocol::LifescanVerio => lifescan(Dialect::Verio),
            _ => Device::Bm65 { wanting: 0, answer: ArrayVec::new(), before: None, twice: [0; RECORD_BYTES] },
        };
        Self {
            device,
            step: Step::Greet,
            count: None,
            count_read: None,
            place: 0,
            found_new: false,
            is_partial: false,
            is_given_up: false,
            asks: ASK_TIMES,
            answer_until: None,
            seen: VecDeque::new(),
        }
    }

    pub(super) fn opened(&mut self) {
        if let Device::Lifescan { line, owes, .. } = &mut self.device {
            *line = LifescanLine::default();
            *owes = false;
        }
        self.begin();
    }

    fn begin(&mut self) {
        self.step = Step::Greet;
        self.count = None;
        self.place = 0;
        self.found_new = false;
        self.is_partial = false;
        self.asks = ASK_TIMES;
        self.answer_until = None;
    }

    /// Hears bytes; gives what of them is of records, and whether an answer was understood.
    pub(super) fn heard<'a>(&'a mut self, bytes: &'a [u8]) -> (&'a [u8], bool) {
        match &mut self.device {
            Device::Bm65 { wanting, answer, .. } => {
                // Octets beyond the answer are of nothing that was asked.
                let (part, _) = bytes.split_at(bytes.len().min(*wanting));
                *wanting = wanting.saturating_sub(part.len());
                answer.extend(part.iter().copied().take(answer.remaining_capacity()));
                if part.is_empty() || *wanting > 0 {
                    return (&[], false);
                }
                let whole = std::mem::take(answer);
                self.bm65(&whole)
            }
            Device::Lifescan { .. } => (bytes, self.lifescan(bytes)),
        }
    }

    /// A whole answer of a BM65 has come; what of it is a record that came twice alike, and whether it is an answer.
    fn bm65(&mut self, answer: &[u8]) -> (&[u8], bool) {
        match (self.step, answer) {
            (Step::Greet, [0x55]) => self.greeted(),
            (Step::Count, [count]) => self.counted(u16::from(*count)),
            (Step::Records, _) => return self.compared(answer),
            _ => return (&[], false),
        }
        (&[], true)
    }

    /// Takes a record as it came this time; gives it if it came so the last time too.
    fn compared(&mut self, answer: &[u8]) -> (&[u8], bool) {
        self.answer_until = None;
        let Device::Bm65 { before, twice, .. } = &mut self.device else { return (&[], false) };
        let Ok(record) = <[u8; RECORD_BYTES]>::try_from(answer) else { return (&[], false) };
        match before.take() {
            None => *before = Some(record),
            Some(earlier) if earlier == record => {
                *twice = record;
                self.recorded();
                let Device::Bm65 { twice, .. } = &self.device else { return (&[], true) };
                return (twice, true);
            }
            Some(_) if self.asks > 1 => {
                *before = Some(record);
                self.asks = self.asks.saturating_sub(1);
            }
            Some(_) => {
                // It never came twice alike: it is passed over, and read with the next reading.
                self.is_partial = true;
                self.recorded();
            }
        }
        (&[], true)
    }

    fn lifescan(&mut self, bytes: &[u8]) -> bool {
        let mut understood = false;
        // The decoder counts what is refused.
        let mut uncounted = Tally::default();
        for octet in bytes {
            let Device::Lifescan { dialect, line, sequences, owes } = &mut self.device else { return false };
            let Some((_, answer)) = line.answer(*octet, &mut uncounted) else { continue };
            understood = true;
            if answer != Answer::Acknowledged && *dialect == Dialect::UltraEasy {
                *owes = true;
                // One that nobody waits for is a repetition: it is acknowledged as it was.
                if self.answer_until.is_some() {
                    *sequences ^= LINK_EXPECTED;
                }
            }
            match (self.step, answer) {
                (Step::Greet, Answer::Acknowledged) => self.greeted(),
                (Step::Count, Answer::Records(count)) => self.counted(count),
                (Step::Records, Answer::Record(_)) => self.recorded(),
                // A record that cannot be read is passed over: asking again at once would give it again.
                (Step::Records, Answer::Other) => {
                    self.is_partial = true;
                    self.recorded();
                }
                _ => {}
            }
        }
        understood
    }

    fn greeted(&mut self) {
        self.answer_until = None;
        // Broken off among the records: it goes on there.
        self.step = if self.count.is_some() { Step::Records } else { Step::Count };
    }

    fn counted(&mut self, count: u16) {
        self.answer_until = None;
        self.asks = ASK_TIMES;
        self.count = Some(count.min(MEMORY_RECORDS_MAX));
        self.step = Step::Records;
    }

    fn recorded(&mut self) {
        self.answer_until = None;
        self.asks = ASK_TIMES;
        self.place = self.place.saturating_add(1);
    }

    pub(super) fn say(&mut self, now: Tick) -> Option<Words> {
        if let Device::Lifescan { dialect, sequences, owes, .. } = &mut self.device
            && std::mem::take(owes)
        {
            return Some(words(&Request::Acknowledge.packet(*dialect, *sequences)));
        }
        match self.answer_until {
            Some(until) if now < until => return None,
            Some(_) => self.unanswered(now),
            None => {}
        }
        match self.step {
            Step::Rest(Some(until)) if now < until => return None,
            Step::Rest(_) => self.begin(),
            Step::Records if self.is_done() => {
                self.count_read = self.count.filter(|_| !self.is_partial);
                self.step = Step::Rest(Some(now.after(MEMORY_READ_EVERY)));
                return None;
            }
            Step::Greet | Step::Count | Step::Records => {}
        }
        let said = self.question();
        self.answer_until = Some(now.after(ANSWER_WITHIN));
        Some(said)
    }

    fn unanswered(&mut self, now: Tick) {
        self.answer_until = None;
        self.asks = self.asks.saturating_sub(1);
        self.is_given_up |= self.asks == 0;
        self.step = if self.asks == 0 { Step::Rest(Some(now.after(MEMORY_GREETED_EVERY))) } else { Step::Greet };
    }

    fn is_done(&self) -> bool {
        let count = self.count.unwrap_or(0);
        let ends_are_known = self.place >= count.min(2) && !self.found_new && self.count_read == self.count;
        self.place >= count || ends_are_known
    }

    /// The number of the record at the place, from 0.
    fn number(&self) -> u16 {
        match self.place {
            0 => 0,
            1 => self.count.unwrap_or(0).saturating_sub(1),
            place => place.saturating_sub(1),
        }
    }

    fn question(&mut self) -> Words {
        let number = self.number();
        match &mut self.device {
            Device::Bm65 { wanting, answer: so_far, before, .. } => {
                so_far.clear();
                let (question, answer): (&[u8], _) = match self.step {
                    Step::Count => (&[0xA2], 1),
                    // Its numbers begin at 1 and have one octet.
                    Step::Records => {
                        let one_up = u8::try_from(number).unwrap_or(u8::MAX).saturating_add(1);
                        *wanting = RECORD_BYTES;
                        return words(&[0xA3, one_up]);
                    }
                    Step::Greet | Step::Rest(_) => {
                        *before = None;
                        (&[0xAA], 1)
                    }
                };
                *wanting = answer;
                words(question)
            }
            Device::Lifescan { dialect, sequences, .. } => {
                if self.step == Step::Greet && *dialect == Dialect::Verio {
                    // It needs no greeting.
                    self.step = if self.count.is_some() { Step::Records } else { Step::Count };
                }
                let request = match self.step {
                    Step::Count => Request::Records,
                    Step::Records => Request::Record(number),
                    Step::Greet | Step::Rest(_) => {
                        *sequences = 0;
                        Request::Disconnect
                    }
                };
                let packet = request.packet(*dialect, *sequences);
                if request != Request::Disconnect && *dialect == Dialect::UltraEasy {
                    *sequences ^= LINK_SENT;
                }
                words(&packet)
            }
        }
    }

    /// Something that came was refused: not all of this reading was read.
    pub(super) fn refused(&mut self) {
        self.is_partial = true;
        self.count_read = None;
    }

    /// A record that was handed on could not be kept: it is not known any longer, and read again.
    pub(super) fn not_kept(&mut self, record: &crate::decode::Memory) {
        self.seen.retain(|digest| *digest != record.digest);
        self.refused();
    }

    /// Whether the device let all questions go unanswered since this was last asked.
    pub(super) fn take_given_up(&mut self) -> bool {
        std::mem::take(&mut self.is_given_up)
    }

    /// Whether a record was not handed on before.
    pub(super) fn is_news(&mut self, report: &Report) -> bool {
        let Some(memory) = report.memory else { return true };
        if self.seen.contains(&memory.digest) {
            return false;
        }
        if self.seen.len() >= MEMORY_SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(memory.digest);
        self.found_new = true;
        true
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
