//! The conversation with a SunTech module: the cuff's pressure is watched, and a result asked for when a measurement has ended.
//!
//! The module keeps its last result and does not say when it was measured. So after each opening its result is read once as what
//! was there before, and is no news. A later one is a new measurement's only if all of this holds:
//!
//! - The cuff was seen to fill and to empty, without [`FULL_CUFF_UNSEEN_MAX`] unseen between, and [`RESULT_SETTLES`] has passed
//!   since: the module may store its result after the valve has opened.
//! - The result differs from the one that was read last. A measurement that was broken off can leave the earlier result in place,
//!   and nothing in the octets tells it from a new one. Two measurements with exactly the same numbers are therefore told apart
//!   only by a module that was read as empty between them.
//! - The cuff was seen as high as its systolic pressure, but for what it lost by the next look (at most [`FALL_MAX`]): no
//!   measurement can find a pressure that the cuff did not reach. A result with an error needs no pressure.
//!
//! What does not hold after [`RESULT_ASK_TIMES`] is handed on as a failed measurement: it took place, and nobody knows its result.
//! The same is said of a measurement that the hub began and whose cuff did not fill. The answer to the start does not
//! decide that: its codes are not in the source (STANDARDS §2.5), and the pressure shows what was done.
//!
//! A cuff is filled only on a pressure that has just been read as empty, not before the interval since its last emptying, and
//! not within [`MEASURE_EVERY_MIN`] of an opening: the arm has time to recover from a measurement that somebody else began
//! (IEC 80601-2-30 asks for time without pressure between automatic measurements).

use std::time::Duration;

use shared::reading::NoReading;
use shared::time::Tick;

use super::{Words, words};
use crate::decode::refused::Tally;
use crate::decode::suntech::{BloodPressure, Command, Packet, SuntechLine};
use crate::decode::{Report, cuff};
use crate::limits::{
    ANSWER_WITHIN, CUFF_FILLS_WITHIN, CUFF_WATCHED_EVERY, FULL_CUFF_UNSEEN_MAX, FULL_CUFF_WATCHED_EVERY,
    MEASURE_EVERY_MIN, RESULT_ASK_TIMES, RESULT_SETTLES, START_AGAIN_AFTER,
};

/// A cuff with this pressure or more is measuring, mmHg.
const FULL: u16 = 20;
/// A cuff with less is empty, mmHg.
const EMPTY: u16 = 10;
/// More than this a cuff that measures does not lose between two looks, mmHg.
const FALL_MAX: u16 = 30;

/// A cuff that is full, as far as it was seen.
#[derive(Debug, Clone, Copy)]
struct Watched {
    /// The highest pressure that was seen, mmHg.
    peak: u16,
    /// The pressure of the look after it, once there was one, mmHg.
    after_peak: Option<u16>,
    /// The last look.
    seen: Tick,
}

impl Watched {
    fn see(&mut self, mmhg: u16, now: Tick) {
        if mmhg > self.peak {
            (self.peak, self.after_peak) = (mmhg, None);
        } else {
            self.after_peak.get_or_insert(mmhg);
        }
        self.seen = now;
    }

    /// The highest pressure that the cuff can have had.
    fn reached(&self) -> u16 {
        let fall = self.peak.saturating_sub(self.after_peak.unwrap_or(self.peak));
        self.peak.saturating_add(fall.min(FALL_MAX))
    }
}

/// A result that is waited for.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    /// The highest pressure that the cuff can have had, mmHg.
    reached: u16,
    /// How often it may still be asked for.
    asks: u8,
}

/// The hub's side.
#[derive(Debug)]
pub(super) struct Module {
    line: SuntechLine,
    /// The decoder counts what is refused.
    uncounted: Tally,
    measure_every: Option<Duration>,
    measure_at: Option<Tick>,
    /// Until when the cuff of a measurement that the hub began has to fill.
    fills_until: Option<Tick>,
    /// It was already handed on that the hub cannot begin a measurement.
    is_refusal_told: bool,
    full: Option<Watched>,
    /// The answer that was just read says that the cuff is empty.
    is_empty: bool,
    awaited: Option<Awaited>,
    /// The result that was read last since the opening.
    last: Option<BloodPressure>,
    /// The result is not asked for before this.
    result_at: Option<Tick>,
    /// What the last question was, and until when its answer is waited for.
    asked: Option<(Command, Tick)>,
    watch_at: Option<Tick>,
    /// A new result.
    news: Option<BloodPressure>,
    /// A measurement came to nothing that anybody knows.
    is_lost: bool,
}

impl Module {
    pub(super) fn new(measure_every: Option<Duration>, now: Tick) -> Self {
        Self {
            line: SuntechLine::default(),
            uncounted: Tally::default(),
            measure_every,
            measure_at: measure_every.map(|every| now.after(every)),
            fills_until: None,
            is_refusal_told: false,
            full: None,
            is_empty: false,
            awaited: None,
            last: None,
            result_at: None,
            asked: None,
            watch_at: None,
            news: None,
            is_lost: false,
        }
    }

    pub(super) fn opened(&mut self, now: Tick) {
        self.line = SuntechLine::default();
        // What the cuff did while nobody watched is not known.
        let was_measuring = self.full.take().is_some() | self.awaited.take().is_some();
        self.is_lost |= was_measuring | self.fills_until.take().is_some();
        self.is_empty = false;
        (self.last, self.news, self.asked) = (None, None, None);
        (self.watch_at, self.result_at) = (Some(now), Some(now));
        let recovered = now.after(MEASURE_EVERY_MIN);
        self.measure_at = self.measure_at.map(|at| at.max(recovered));
    }

    /// Whether one of the bytes completes an answer.
    pub(super) fn heard(&mut self, bytes: &[u8], now: Tick) -> bool {
        let mut understood = false;
        for octet in bytes {
            let Some(packet) = self.line.packet(*octet, &mut self.uncounted) else { continue };
            understood = true;
            let asked = self.asked.take();
            match packet {
                Packet::CuffPressure(mmhg) => self.cuff(mmhg, now),
                Packet::Result(result) => {
                    let was_asked = asked.is_some_and(|(command, _)| command == Command::Result);
                    self.result(result, was_asked, now);
                }
                Packet::Answer(_) | Packet::Other => {}
            }
        }
        understood
    }

    fn cuff(&mut self, mmhg: u16, now: Tick) {
        if self.full.is_some_and(|full| now.since(full.seen) > FULL_CUFF_UNSEEN_MAX) {
            self.full = None;
            self.is_lost = true;
        }
        self.is_empty = mmhg < EMPTY;
        if let Some(full) = &mut self.full {
            full.see(mmhg, now);
            if self.is_empty {
                self.awaited = Some(Awaited { reached: full.reached(), asks: RESULT_ASK_TIMES });
                self.full = None;
                self.result_at = Some(now.after(RESULT_SETTLES));
                self.measure_at = self.measure_every.map(|every| now.after(every));
            }
        } else if mmhg >= FULL {
            // The next measurement: the result of the one before can no longer be told from its own.
            self.is_lost |= self.awaited.take().is_some();
            self.full = Some(Watched { peak: mmhg, after_peak: None, seen: now });
            (self.fills_until, self.is_refusal_told) = (None, false);
        }
    }

    /// Looks at a result. One that nobody asked for is only what was there before.
    fn result(&mut self, result: BloodPressure, was_asked: bool, now: Tick) {
        let is_other = self.last.replace(result).is_some_and(|last| last != result);
        let Some(awaited) = self.awaited.filter(|_| was_asked) else { return };
        if result.is_empty() || !is_other {
            self.not_yet(now);
        } else if result.error != 0 || result.systolic <= awaited.reached {
            self.awaited = None;
            self.news = Some(result);
        } else {
            self.awaited = None;
            self.is_lost = true;
        }
    }

    /// The result is not there, or not new: it is asked for again a little later, or given up.
    fn not_yet(&mut self, now: Tick) {
        self.result_at = Some(now.after(RESULT_SETTLES));
        if let Some(awaited) = &mut self.awaited {
            awaited.asks = awaited.asks.saturating_sub(1);
            if awaited.asks == 0 {
                self.awaited = None;
                self.is_lost = true;
            }
        }
    }

    pub(super) fn say(&mut self, now: Tick) -> Option<Words> {
        // Only the answer that came in this very turn tells that the cuff is empty.
        let is_empty = std::mem::take(&mut self.is_empty);
        match self.asked {
            Some((_, until)) if now < until => return None,
            Some((Command::Result, _)) => self.not_yet(now),
            _ => {}
        }
        self.asked = None;
        let is_time = |at: Option<Tick>| at.is_some_and(|at| now >= at);
        if is_time(self.fills_until) {
            self.not_obeyed(now);
        }
        let wants_result = self.awaited.is_some() || self.last.is_none();
        let command = if wants_result && is_time(self.result_at) {
            Command::Result
        } else if is_time(self.measure_at) && is_empty && !wants_result && self.fills_until.is_none() {
            self.measure_at = self.measure_every.map(|every| now.after(every));
            self.fills_until = Some(now.after(CUFF_FILLS_WITHIN));
            Command::Start
        } else if is_time(self.watch_at) {
            let every = if self.full.is_some() { FULL_CUFF_WATCHED_EVERY } else { CUFF_WATCHED_EVERY };
            self.watch_at = Some(now.after(every));
            Command::CuffPressure
        } else {
            return None;
        };
        self.asked = Some((command, now.after(ANSWER_WITHIN)));
        Some(words(command.octets()))
    }

    /// The cuff did not fill: it is told again later, and the first time it is handed on.
    fn not_obeyed(&mut self, now: Tick) {
        self.fills_until = None;
        self.measure_at = self.measure_every.map(|_| now.after(START_AGAIN_AFTER));
        self.is_lost |= !std::mem::replace(&mut self.is_refusal_told, true);
    }

    /// Whether this is a new measurement's result; each counts once.
    pub(super) fn is_news(&mut self, report: &Report) -> bool {
        let is_it = self.news.is_some_and(|news| Packet::Result(news).report().as_ref() == Some(report));
        if is_it {
            self.news = None;
        }
        is_it
    }

    /// A measurement that took place or should have, and whose result nobody knows; each once.
    pub(super) fn take_lost(&mut self) -> Option<Report> {
        std::mem::take(&mut self.is_lost).then(|| cuff::report(Err(NoReading::MeasurementFailed)))
    }
}

#[cfg(test)]
#[path = "module_tests.rs"]
mod tests;
