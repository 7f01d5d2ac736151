//! Whether a device's stored course is the one it showed. Pure.
//!
//! What noise can do (STANDARDS §2.1 to §2.3):
//! - Format 8 has no checksum: four octets of which the first alone has bit 7, with a saturation that can be (102 of 128) and
//!   two bits clear in the fourth (one of 4), are a frame, and the second in a row is believed. A noise of 1 to 24 octets
//!   begins with one, behind a good frame, in 1.1 of 100 times (7/8 are long enough, 1/16 are marked so), and holds two in a
//!   row elsewhere in 0.1 of 100 (6.4 places on average). Such a reading may be stored; it stands beside a noisy second.
//! - Format 7 has a checksum in each frame. A noise of five octets passes once in 1,024 times (bit 7 and no sync bit, and
//!   the sum), and one noise in 24 has five octets; inside a packet it moves the fields behind it.
//! - BCI and CMS50 have bits of synchronisation only, but a value counts when it came three times in a row: noise of up to
//!   24 octets holds at most four frames, so three alike are out of reach. A frame of noise passes unseen.

use std::collections::BTreeSet;

use super::align::{Aligned, align, must_be_stored};
use crate::simulators::Protocol;
use crate::simulators::ledger::{Fate, Played, Second};
use crate::stored::{Reading, State};

/// The hub ends a second of several frames by its own clock after so long, in milliseconds.
const PAUSE_MS: i64 = 1000;
/// Failures of one kind that are told one by one.
const TOLD: usize = 5;

/// What is known of one device after its course.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What it speaks.
    pub protocol: Protocol,
    /// What it did.
    pub played: &'a Played,
    /// What is stored of it.
    pub readings: &'a [Reading],
    /// Its states, as stored.
    pub states: &'a [State],
    /// Frames that the hub refused.
    pub refused: u64,
    /// Moments that the hub could not take in time, as stored in its loss entries.
    pub overrun: u64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Seconds that had to be stored.
    pub required: u64,
    /// Seconds that are stored.
    pub stored: u64,
    /// Seconds read a second time, because their frames fell into two of the hub's seconds.
    pub again: u64,
    /// Readings that noise made.
    pub made_up: u64,
    /// Stretches of seconds that are not stored.
    pub gaps: u64,
    /// Required seconds that are missing; each must be in a loss entry.
    pub missing: u64,
    /// What is wrong.
    pub failures: Vec<String>,
}

/// Chances of one noise: to make a reading, and to pass as a frame without any trace.
const fn chances(protocol: Protocol) -> (f64, f64) {
    match protocol {
        Protocol::NoninDf8 => (0.012, 0.012),
        Protocol::NoninDf2 | Protocol::NoninDf7 => (1.0 / 24_576.0, 1.0 / 24_576.0),
        Protocol::Bci => (0.0, 1.0 / 32.0),
        _ => (0.0, 1.0 / 65_536.0),
    }
}

/// How often something of this chance happens at most among so many: five standard deviations above the mean.
fn at_most(chance: f64, among: u64) -> u64 {
    let mean = chance * among as f64;
    (mean + 5.0 * mean.sqrt()).ceil() as u64
}

/// Whether a second has several frames, of which the hub makes one reading.
const fn has_several_frames(protocol: Protocol) -> bool {
    !matches!(protocol, Protocol::NoninDf8 | Protocol::NoninDf13 | Protocol::MasimoAscii1)
}

/// Judges one device.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    let ledger = evidence.played.ledger.as_slice();
    let Aligned { readings, places } = align(ledger, evidence.readings);
    let mut judge = Judge { evidence, ledger, readings, places, verdict: Verdict::default() };
    judge.seconds();
    judge.readings();
    judge.gaps();
    judge.states();
    judge.refusals();
    judge.verdict
}

struct Judge<'a> {
    evidence: &'a Evidence<'a>,
    ledger: &'a [Second],
    readings: Vec<Reading>,
    /// For each reading its second's place.
    places: Vec<Option<usize>>,
    verdict: Verdict,
}

impl Judge<'_> {
    fn fail(&mut self, failures: Vec<String>) {
        let count = failures.len();
        self.verdict.failures.extend(failures.into_iter().take(TOLD));
        if count > TOLD {
            self.verdict.failures.push(format!("... and {} more of these", count - TOLD));
        }
    }

    fn is_whole(&self, place: usize) -> bool {
        self.ledger.get(place).is_some_and(|second| second.fate == Fate::Whole)
    }

    /// Each second that must be stored is.
    fn seconds(&mut self) {
        let mut read = vec![false; self.ledger.len()];
        self.places.iter().flatten().for_each(|place| read[*place] = true);
        self.verdict.stored = read.iter().filter(|read| **read).count() as u64;
        let required: Vec<usize> = (0..read.len()).filter(|place| must_be_stored(self.ledger, *place)).collect();
        self.verdict.required = required.len() as u64;
        let missing: Vec<usize> = required.into_iter().filter(|place| !read[*place]).collect();
        self.verdict.missing = missing.len() as u64;
        if self.verdict.missing > self.evidence.overrun {
            let overrun = self.evidence.overrun;
            let why = |place: usize| {
                format!("second {place} was whole on the line and is not stored ({overrun} in loss entries)")
            };
            self.fail(missing.into_iter().map(why).collect());
        }
    }

    /// Whether the line, or the hub, paused so long around a reading that the hub's second ended by its clock.
    fn paused_at(&self, reading: usize) -> bool {
        let tick = |reading: usize| self.readings.get(reading).map(|reading| reading.tick);
        let before = reading.checked_sub(1).and_then(tick);
        match (before, tick(reading + 1)) {
            (Some(before), Some(next)) => next - before >= PAUSE_MS,
            _ => true,
        }
    }

    /// No second is stored twice, and nothing is stored that was not shown.
    fn readings(&mut self) {
        let several = has_several_frames(self.evidence.protocol);
        let (mut last, mut twice, mut never) = (None, Vec::new(), Vec::new());
        for reading in 0..self.places.len() {
            match self.places[reading] {
                Some(place) if last == Some(place) => {
                    // A second that the hub began with frames of this one, and that had too few behind: it says again
                    // what it saw last.
                    let disturbed = !self.is_whole(place) || !self.is_whole(place + 1);
                    if several && (disturbed || self.paused_at(reading)) {
                        self.verdict.again += 1;
                    } else {
                        twice.push(format!("second {place} is stored twice"));
                    }
                }
                Some(place) => last = Some(place),
                None if self.is_beside_noise(reading) => self.verdict.made_up += 1,
                None if several && self.paused_at(reading) => self.verdict.again += 1,
                None => never.push(format!("{:?} was never shown then", self.readings[reading])),
            }
        }
        self.fail(twice);
        self.fail(never);
        let noises = self.evidence.played.noises;
        let bound = at_most(chances(self.evidence.protocol).0, noises);
        if self.verdict.made_up > bound {
            let made_up = self.verdict.made_up;
            self.fail(vec![format!("{made_up} readings made of {noises} noises, which can make {bound} at most")]);
        }
    }

    /// Whether there was noise between the second before a reading and the one after. Of readings of one tick it is not
    /// known which came first.
    fn is_beside_noise(&self, reading: usize) -> bool {
        let tick = self.readings[reading].tick;
        let placed = |(reading, place): (&Reading, &Option<usize>)| Some((reading.tick, (*place)?));
        let placed = || self.readings.iter().zip(&self.places).filter_map(placed);
        let from = placed().take_while(|(before, _)| *before < tick).last().map_or(0, |(_, place)| place);
        let to = placed().find(|(after, _)| *after > tick).map_or(self.ledger.len(), |(_, place)| place + 1);
        self.ledger.get(from..to).is_some_and(|between| between.iter().any(|second| second.fate == Fate::Noisy))
    }

    /// Each stretch that nobody heard, or heard in part, has its state in the store, between the readings around it.
    fn gaps(&mut self) {
        let mut unexplained = Vec::new();
        let placed: Vec<(usize, i64)> = self
            .places
            .iter()
            .zip(&self.readings)
            .filter_map(|(place, reading)| Some(((*place)?, reading.tick)))
            .collect();
        for around in placed.windows(2) {
            let [(from, before), (to, after)] = *around else { continue };
            if to <= from + 1 {
                continue;
            }
            self.verdict.gaps += 1;
            let is_unplugged = |second: &Second| matches!(second.fate, Fate::Unheard | Fate::Partly | Fate::Silent);
            let told = self
                .evidence
                .states
                .iter()
                .any(|state| state.state != "connected" && (before..=after).contains(&state.tick));
            if self.ledger[from + 1..to].iter().any(is_unplugged) && !told {
                unexplained.push(format!("no state says why seconds {} to {} are not there", from + 1, to - 1));
            }
        }
        self.fail(unexplained);
    }

    /// Each opening that gave readings is a presence and then an absence, in turn; and no port was opened but for a plug.
    fn states(&mut self) {
        let mut turns: Vec<&str> = Vec::new();
        for state in self.evidence.states.iter().map(|state| state.state.as_str()) {
            if matches!(state, "connected" | "absent") && turns.last() != Some(&state) {
                turns.push(state);
            }
        }
        let openings: BTreeSet<u32> = self.places.iter().flatten().map(|place| self.ledger[*place].opening).collect();
        let (openings, unplugs) = (openings.len() as u64, self.evidence.played.unplugs);
        // The port goes with the end of the course.
        let expected: Vec<&str> = (0..openings).flat_map(|_| ["connected", "absent"]).collect();
        let mut wrong = Vec::new();
        if turns != expected {
            wrong.push(format!("heard in {openings} openings, and its states in the store are {turns:?}"));
        }
        if openings > unplugs + 1 {
            wrong.push(format!("unplugged {unplugs} times and heard in {openings} openings"));
        }
        self.fail(wrong);
    }

    /// Each noise is a refused frame at least, but for those that passed.
    fn refusals(&mut self) {
        let (noises, refused) = (self.evidence.played.noises, self.evidence.refused);
        let passed = at_most(chances(self.evidence.protocol).1, noises);
        if refused + passed < noises {
            self.fail(vec![format!("{noises} noises on the line, {refused} frames refused, {passed} can have passed")]);
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
