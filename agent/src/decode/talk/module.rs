//! The conversation with a SunTech module: the cuff's pressure is watched, and a result asked for when a measurement has ended.
//!
//! The module keeps its last result and does not say when it was measured. So a result is asked for only after the cuff was seen
//! to fill and empty: one that was there before is never given the time of now, nor read twice.

use std::time::Duration;

use shared::time::Tick;

use super::{Words, words};
use crate::decode::refused::Tally;
use crate::decode::suntech::{Command, Packet, SuntechLine};
use crate::limits::{ANSWER_WITHIN, ASK_TIMES, CUFF_WATCHED_EVERY};

/// A cuff with this pressure or more is measuring, mmHg.
const FULL: u16 = 20;
/// A cuff with less is empty, mmHg.
const EMPTY: u16 = 10;

/// The hub's side.
#[derive(Debug)]
pub(super) struct Module {
    line: SuntechLine,
    /// The decoder counts what is refused.
    uncounted: Tally,
    measure_every: Option<Duration>,
    measure_at: Option<Tick>,
    was_full: bool,
    /// The cuff was empty when it was last looked at, and it still answers.
    is_empty: bool,
    /// How often the result may still be asked for, and not before when.
    asks: u8,
    result_at: Option<Tick>,
    /// Until when an answer to the last question is waited for.
    answer_until: Option<Tick>,
    watch_at: Option<Tick>,
    /// A result came that was asked for.
    is_result_due: bool,
}

impl Module {
    pub(super) fn new(measure_every: Option<Duration>, now: Tick) -> Self {
        Self {
            line: SuntechLine::default(),
            uncounted: Tally::default(),
            measure_every,
            measure_at: measure_every.map(|every| now.after(every)),
            was_full: false,
            is_empty: false,
            asks: 0,
            result_at: None,
            answer_until: None,
            watch_at: None,
            is_result_due: false,
        }
    }

    pub(super) fn opened(&mut self, now: Tick) {
        self.line = SuntechLine::default();
        // What the cuff did while nobody watched is not known.
        self.was_full = false;
        self.is_empty = false;
        self.asks = 0;
        self.is_result_due = false;
        self.answer_until = None;
        self.watch_at = Some(now);
    }

    /// Whether one of the bytes completes an answer.
    pub(super) fn heard(&mut self, bytes: &[u8], now: Tick) -> bool {
        let mut understood = false;
        for octet in bytes {
            let Some(packet) = self.line.packet(*octet, &mut self.uncounted) else { continue };
            understood = true;
            self.answer_until = None;
            match packet {
                Packet::CuffPressure(mmhg) => self.cuff(mmhg),
                // Not ready yet: it is asked for again with the next look at the cuff.
                Packet::Result(result) if self.asks > 0 && result.is_empty() => {
                    self.asks = self.asks.saturating_sub(1);
                    self.result_at = Some(now.after(CUFF_WATCHED_EVERY));
                }
                Packet::Result(_) if self.asks > 0 => {
                    self.asks = 0;
                    self.is_result_due = true;
                }
                Packet::Result(_) | Packet::Answer(_) | Packet::Other => {}
            }
        }
        understood
    }

    fn cuff(&mut self, mmhg: u16) {
        self.is_empty = mmhg < EMPTY;
        if mmhg >= FULL {
            self.was_full = true;
        } else if self.is_empty && std::mem::take(&mut self.was_full) {
            self.asks = ASK_TIMES;
            self.result_at = None;
        }
    }

    pub(super) fn say(&mut self, now: Tick) -> Option<Words> {
        match self.answer_until {
            Some(until) if now < until => return None,
            Some(_) => self.unanswered(),
            None => {}
        }
        let is_time = |at: Option<Tick>| at.is_some_and(|at| now >= at);
        let command = if self.asks > 0 && self.result_at.is_none_or(|at| now >= at) {
            self.is_result_due = false;
            Command::Result
        } else if is_time(self.measure_at) && self.is_empty && self.asks == 0 {
            // A cuff is filled only if it is known to be empty: nobody is measuring, and the module answers.
            self.measure_at = self.measure_every.map(|every| now.after(every));
            self.is_empty = false;
            Command::Start
        } else if self.watch_at.is_none_or(|at| now >= at) {
            self.watch_at = Some(now.after(CUFF_WATCHED_EVERY));
            Command::CuffPressure
        } else {
            return None;
        };
        self.answer_until = Some(now.after(ANSWER_WITHIN));
        Some(words(command.octets()))
    }

    fn unanswered(&mut self) {
        self.answer_until = None;
        self.is_empty = false;
        self.asks = self.asks.saturating_sub(1);
    }

    /// Whether the result that was just read was asked for; it counts once.
    pub(super) fn is_news(&mut self) -> bool {
        std::mem::take(&mut self.is_result_due)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use crate::decode::checksum::sum8;

    fn packet(data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x3E, u8::try_from(data.len() + 3).unwrap()];
        bytes.extend(data);
        bytes.push(sum8(&bytes).wrapping_neg());
        bytes
    }

    fn result() -> Vec<u8> {
        packet(&[120, 0, 80, 0, 30, 1, 0, 0, 0, 0, 0, 0, 0, 0, 72, 0, 93, 0, 0, 0, 0])
    }

    /// A module whose cuff has these pressures, one for each question; what it is asked besides.
    fn run(module: &mut Module, from: u64, pressures: &[u8], answers_results: bool) -> (Vec<Command>, usize) {
        let (mut asked, mut news, mut pressures) = (Vec::new(), 0, pressures.iter());
        for millis in (from..).step_by(100) {
            let now = Tick::from_millis(millis);
            while let Some(words) = module.say(now) {
                if words.as_slice() == Command::CuffPressure.octets() {
                    let Some(pressure) = pressures.next() else { return (asked, news) };
                    module.heard(&packet(&[*pressure, 0]), now);
                } else if words.as_slice() == Command::Result.octets() {
                    asked.push(Command::Result);
                    if answers_results {
                        module.heard(&result(), now);
                        news += usize::from(module.is_news());
                        assert!(!module.is_news(), "a result counts once");
                    }
                } else {
                    asked.push(Command::Start);
                    module.heard(&packet(b"K"), now);
                }
            }
        }
        (asked, news)
    }

    #[test]
    fn a_result_is_read_once_after_each_measurement_and_never_an_old_one() {
        let mut module = Module::new(None, Tick::from_millis(0));
        module.opened(Tick::from_millis(0));
        module.heard(&result(), Tick::from_millis(0));
        assert!(!module.is_news(), "nobody asked for it");
        assert_eq!(run(&mut module, 0, &[0, 0, 0, 3, 0], true), (vec![], 0));
        assert_eq!(run(&mut module, 60_000, &[0, 60, 180, 90, 15, 9, 0, 0, 0], true), (vec![Command::Result], 1));
        // The very same numbers again are another measurement.
        assert_eq!(run(&mut module, 120_000, &[25, 0, 0, 0, 30, 0, 0], true), (vec![Command::Result; 2], 2));
    }

    #[test]
    fn a_measurement_that_was_not_watched_is_not_read() {
        let mut module = Module::new(None, Tick::from_millis(0));
        module.opened(Tick::from_millis(0));
        assert_eq!(run(&mut module, 0, &[60, 180], true).1, 0);
        module.opened(Tick::from_millis(9_000));
        assert_eq!(run(&mut module, 9_000, &[0, 0, 0], true), (vec![], 0));
    }

    #[test]
    fn a_result_that_does_not_come_is_asked_for_a_few_times() {
        let mut module = Module::new(None, Tick::from_millis(0));
        module.opened(Tick::from_millis(0));
        let (asked, news) = run(&mut module, 0, &[60, 0, 0, 0, 0], false);
        assert_eq!((asked.len(), news), (ASK_TIMES.into(), 0));
    }

    #[test]
    fn a_cuff_is_filled_only_as_configured() {
        let idle = [0; 240];
        let mut module = Module::new(None, Tick::from_millis(0));
        module.opened(Tick::from_millis(0));
        assert!(run(&mut module, 0, &idle, true).0.is_empty());
        let mut module = Module::new(Some(Duration::from_secs(60)), Tick::from_millis(0));
        module.opened(Tick::from_millis(0));
        // Not when the hub begins, nor when a port is opened again.
        assert!(run(&mut module, 0, &idle[..50], true).0.is_empty());
        module.opened(Tick::from_millis(52_000));
        assert!(run(&mut module, 52_000, &idle[..5], true).0.is_empty());
        assert_eq!(run(&mut module, 58_000, &idle[..100], true).0, vec![Command::Start; 2]);
    }

    #[test]
    fn a_cuff_that_somebody_fills_is_not_filled_again() {
        let mut module = Module::new(Some(Duration::from_secs(60)), Tick::from_millis(0));
        module.opened(Tick::from_millis(0));
        run(&mut module, 0, &[0; 55], true);
        // Full when its time comes: it waits until the cuff is empty and its result is read.
        let (asked, _) = run(&mut module, 56_000, &[90, 90, 90, 90, 90, 90, 90, 90, 0, 0, 0, 0], true);
        assert_eq!(asked, [Command::Result, Command::Start]);
        // A module that does not answer is not told to fill a cuff.
        let mut module = Module::new(Some(Duration::from_secs(60)), Tick::from_millis(0));
        module.opened(Tick::from_millis(0));
        let mut said = 0;
        for millis in (0..300_000).step_by(100) {
            while let Some(words) = module.say(Tick::from_millis(millis)) {
                assert_eq!(words.as_slice(), Command::CuffPressure.octets());
                said += 1;
            }
        }
        assert!(said > 100, "{said}");
    }

    #[test]
    fn a_result_that_is_not_ready_is_asked_for_again_a_little_later() {
        let mut module = Module::new(None, Tick::from_millis(0));
        module.opened(Tick::from_millis(0));
        let empty = packet(&[0; 21]);
        let (mut asked, mut news) = (Vec::new(), 0);
        for millis in (0..20_000).step_by(100) {
            let now = Tick::from_millis(millis);
            while let Some(words) = module.say(now) {
                if words.as_slice() == Command::CuffPressure.octets() {
                    module.heard(&packet(&[if millis < 2_000 { 90 } else { 0 }, 0]), now);
                } else {
                    asked.push(millis);
                    module.heard(&if asked.len() == 1 { empty.clone() } else { result() }, now);
                    news += usize::from(module.is_news());
                }
            }
        }
        assert_eq!((asked, news), (vec![2_000, 3_000], 1));
    }
}
