//! What is kept, when a record closes, and what goes first when the disk is full. Pure.
//!
//! ```text
//! entry ──▶ keep?  ──yes──▶ open keep record ──closes with the moment it came in──▶ sealed
//!              └────no────▶ open thinnable record ──250 ms or 2 KiB──────────────▶ sealed
//! ```

use std::collections::BTreeMap;

use shared::id::DeviceId;
use shared::metric::Metric;
use shared::observation::Observation;
use shared::plausibility::{Usability, usability};
use shared::reading::{Outcome, Reading};
use shared::time::Tick;
use shared::units::Decimal;
use shared::wire::Entry;

use crate::limits;

/// The widest limits of any pack: a continuous value outside them is always kept.
/// NEWS2 (RCP 2017): everything that scores 2 or 3 alone lies outside: SpO₂ ≤ 91, pulse ≤ 40 or ≥ 131,
/// respirations ≤ 8 or ≥ 25. Here one step wider†, so a pack with a tighter limit still finds its samples kept:
/// SpO₂ < 92, pulse < 41 or > 130, respirations < 9 or > 24.
const WIDEST_LIMITS: &[(Metric, Option<Decimal>, Option<Decimal>)] = &[
    (Metric::SpO2, Some(Decimal::new(92, 0)), None),
    (Metric::PulseRate, Some(Decimal::new(41, 0)), Some(Decimal::new(130, 0))),
    (Metric::HeartRate, Some(Decimal::new(41, 0)), Some(Decimal::new(130, 0))),
    (Metric::RespiratoryRate, Some(Decimal::new(9, 0)), Some(Decimal::new(24, 0))),
];

/// Whether a metric is measured once in a while, each measurement an event of its own.
const fn is_spot(metric: Metric) -> bool {
    match metric {
        Metric::Temperature
        | Metric::SystolicPressure
        | Metric::DiastolicPressure
        | Metric::MeanPressure
        | Metric::Weight
        | Metric::Glucose
        | Metric::InterstitialGlucose
        | Metric::BodyFat
        | Metric::MuscleShare
        | Metric::MuscleMass
        | Metric::FatFreeMass
        | Metric::BodyWater
        | Metric::Impedance
        | Metric::BodyMassIndex
        | Metric::Height => true,
        Metric::HeartRate
        | Metric::PulseRate
        | Metric::SpO2
        | Metric::RespiratoryRate
        | Metric::PerfusionIndex
        | Metric::Battery => false,
    }
}

fn is_outside_widest_limits(reading: &Reading) -> bool {
    let Outcome::Value(value) = reading.outcome else { return false };
    WIDEST_LIMITS.iter().filter(|(metric, ..)| *metric == reading.metric).any(|(_, low, high)| {
        low.is_some_and(|low| value.decimal < low) || high.is_some_and(|high| value.decimal > high)
    })
}

/// How a reading stands, without its value: a change of it is always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Valid,
    Gated,
    Implausible,
    Absent(shared::reading::NoReading),
}

impl Standing {
    fn of(reading: &Reading) -> Self {
        match usability(reading) {
            Usability::Valid { .. } => Self::Valid,
            Usability::Gated => Self::Gated,
            Usability::Implausible(_) => Self::Implausible,
            Usability::Absent(why) => Self::Absent(why),
        }
    }
}

/// A record that closed and wants to be sealed.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    /// The keep bit.
    pub keep: bool,
    /// In the order they were taken.
    pub entries: Vec<Entry>,
}

#[derive(Debug, Default)]
struct Open {
    entries: Vec<Entry>,
    bytes: usize,
    since: Option<Tick>,
}

impl Open {
    fn push(&mut self, entry: Entry, bytes: usize, now: Tick) {
        self.entries.push(entry);
        self.bytes = self.bytes.saturating_add(bytes);
        self.since.get_or_insert(now);
    }

    fn close(&mut self, keep: bool) -> Option<Closed> {
        let open = std::mem::take(self);
        (!open.entries.is_empty()).then_some(Closed { keep, entries: open.entries })
    }
}

/// The open records and what the keep rule remembers.
#[derive(Debug, Default)]
pub struct OpenRecords {
    keep: Open,
    thinnable: Open,
    /// Bounded by devices × metrics, both bounded by the configuration.
    last: BTreeMap<(DeviceId, Metric), (u64, Standing)>,
}

impl OpenRecords {
    /// Adds an entry of `bytes` octets. Ask [`Self::next_closed`] afterwards.
    pub fn push(&mut self, entry: Entry, bytes: usize, now: Tick) {
        let keep = match &entry {
            Entry::Observation(observation) => self.must_keep(observation),
            Entry::HubStatus(_)
            | Entry::DeviceStatus(_)
            | Entry::Loss(_)
            | Entry::ClockFix(_)
            | Entry::Boot(_)
            | Entry::Void(_) => true,
        };
        let open = if keep { &mut self.keep } else { &mut self.thinnable };
        open.push(entry, bytes, now);
    }

    /// The keep rule (PROTOCOL §4), with its memory. Minutes are the monotonic clock's: the wall clock may lie.
    fn must_keep(&mut self, observation: &Observation) -> bool {
        let reading = &observation.reading;
        let minute = observation.captured.tick.as_millis() / 60_000;
        let standing = Standing::of(reading);
        let before = self.last.insert((observation.device.clone(), reading.metric), (minute, standing));
        let first_of_minute = before.is_none_or(|(last, _)| last != minute);
        let changed = before.is_none_or(|(_, last)| last != standing);
        first_of_minute
            || changed
            || is_spot(reading.metric)
            || observation.from_memory.is_some()
            || is_outside_widest_limits(reading)
    }

    /// The next record that is due: anything for keep, thinnable ones by size or age.
    pub fn next_closed(&mut self, now: Tick) -> Option<Closed> {
        if let Some(closed) = self.keep.close(true) {
            return Some(closed);
        }
        let due = self.next_deadline().is_some_and(|deadline| deadline <= now);
        if due || self.thinnable.bytes >= limits::RECORD_CLOSES_AT_BYTES {
            return self.thinnable.close(false);
        }
        None
    }

    /// Closes whatever is open: the agent stops or the stream ends.
    pub fn close_all(&mut self) -> Vec<Closed> {
        self.keep.close(true).into_iter().chain(self.thinnable.close(false)).collect()
    }

    /// When the thinnable record closes by age.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        self.thinnable.since.map(|since| since.after(limits::RECORD_CLOSES_AFTER))
    }
}

/// What the capacity policy knows of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Its number; higher is younger.
    pub number: u32,
    /// Records for keep that await a receipt.
    pub keep_pending: u64,
    /// Thinnable records in it, released or not.
    pub thinnable: u64,
    /// Everything in it that awaits a receipt.
    pub pending: u64,
    /// Whether records are still written to it.
    pub is_head: bool,
}

/// What to give up next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relief {
    /// Remove a generation in which everything is released.
    RemoveReleased(u32),
    /// Remove the thinnable records of a generation.
    Thin(u32),
    /// Remove a generation whole.
    Remove(u32),
    /// Only the head is left and holds something: end it, so that it can be relieved.
    EndHead,
}

/// What to give up next when room is short: what is released first, then thinnable oldest first, then keep oldest
/// first (PROTOCOL §4, §5). `generations` are in the order of their age.
#[must_use]
pub fn relieve(generations: &[Summary]) -> Option<Relief> {
    let closed = || generations.iter().filter(|generation| !generation.is_head);
    if let Some(generation) = closed().find(|generation| generation.pending == 0) {
        return Some(Relief::RemoveReleased(generation.number));
    }
    if let Some(generation) = closed().find(|generation| generation.thinnable > 0) {
        return Some(if generation.keep_pending == 0 {
            Relief::Remove(generation.number)
        } else {
            Relief::Thin(generation.number)
        });
    }
    let head = generations.iter().find(|generation| generation.is_head);
    if head.is_some_and(|head| head.thinnable > 0) {
        return Some(Relief::EndHead);
    }
    if let Some(generation) = closed().next() {
        return Some(Relief::Remove(generation.number));
    }
    head.is_some_and(|head| head.keep_pending > 0).then_some(Relief::EndHead)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
