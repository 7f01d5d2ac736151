//! What the engine remembers of one subject, and its stored form: a version octet, then postcard.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::id::{AlertId, DeviceId, HubId};
use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Value};
use shared::time::Timestamp;

use super::rule::LimitRule;
use super::{Evidence, Place};

/// The stored form's version.
const VERSION: u8 = 2;

/// Why stored bytes give no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableState {
    /// Made by a newer program.
    #[error("the alert state has version {0}, this program knows up to {VERSION}: start the newer program")]
    Version(u8),
    /// Not a state at all.
    #[error("the alert state is damaged: restore the store from a backup")]
    Damaged,
}

/// An observation with a value, kept as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its place in the store.
    pub place: Place,
    /// The value.
    pub value: Value,
    /// When it was captured.
    pub taken: Timestamp,
    /// The device's flags.
    pub quality: Quality,
}

impl Seen {
    /// As evidence at a moment.
    #[must_use]
    pub fn evidence(&self, metric: Metric, at: Timestamp) -> Evidence {
        let age_ms = u64::try_from(at.since(self.taken).as_millis()).unwrap_or(u64::MAX);
        let (observation, taken, quality) = (self.place, self.taken, self.quality);
        Evidence { observation, metric, value: Some(self.value), taken, age_ms, quality }
    }
}

/// An alert that is not resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The alert.
    pub alert: AlertId,
    /// Of its newest event.
    pub version: u32,
    /// Its occurrences.
    pub occurrence: u32,
    /// The priority of this occurrence.
    pub priority: super::Priority,
}

/// One condition: when it began, whether it has been raised, the alert that stands for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// When the run that leads to raising began (for absence: the last live valid value).
    pub since: Option<Timestamp>,
    /// Raised and not recovered.
    pub active: bool,
    /// The alert, active or returned; resolving it takes an acknowledgement too.
    pub standing: Option<Standing>,
}

impl Condition {
    /// When it is raised if nothing else comes.
    #[must_use]
    pub fn deadline(&self, wait_ms: u64) -> Option<Timestamp> {
        let since = self.since.filter(|_| !self.active)?;
        Some(since.after(std::time::Duration::from_millis(wait_ms)))
    }
}

/// A limit rule's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitState {
    /// The breach.
    pub condition: Condition,
    /// The newest breaching observation.
    pub breach: Option<Seen>,
    /// Back inside since, and the newest observation that showed it.
    pub returning: Option<(Timestamp, Timestamp)>,
}

/// A metric's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricState {
    /// Which.
    pub metric: Metric,
    /// The newest evaluated observation's time: the live lane's edge.
    pub newest: Option<Timestamp>,
    /// The newest valid one.
    pub valid: Option<Seen>,
    /// A valid one some minutes before, to tell falling ...
    pub earlier: Option<Seen>,
    /// ... and the one that served before it, so that there is always a point some minutes old.
    pub older: Option<Seen>,
    /// Where it last came from.
    pub from: Option<(HubId, DeviceId)>,
    /// Why the newest had no value, if it had none.
    pub none: Option<NoReading>,
    /// Gated values that would breach.
    pub gated: Condition,
    /// The newest of them.
    pub gated_seen: Option<Seen>,
    /// No usable value although something comes.
    pub no_reading: Condition,
    /// Nothing live and valid for long.
    pub absence: Condition,
}

impl MetricState {
    /// Nothing known yet.
    #[must_use]
    pub fn new(metric: Metric) -> Self {
        Self {
            metric,
            newest: None,
            valid: None,
            earlier: None,
            older: None,
            from: None,
            none: None,
            gated: Condition::default(),
            gated_seen: None,
            no_reading: Condition::default(),
            absence: Condition::default(),
        }
    }
}

/// All the engine knows of a subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectState {
    /// Alerts made so far: part of each id.
    pub counter: u64,
    /// Metrics seen: at most the twelve there are.
    pub metrics: BTreeMap<Metric, MetricState>,
    /// A device was bound and nothing valid has come from it since.
    pub unheard: Condition,
    /// Which device.
    pub unheard_from: Option<(HubId, DeviceId)>,
    /// One for each limit rule of the subject's rules, in their order.
    pub limits: Vec<LimitState>,
    /// States of rules that are not in this pack: kept, so that their alerts are not forgotten.
    pub orphans: Vec<(String, LimitState)>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    counter: u64,
    metrics: BTreeMap<Metric, MetricState>,
    unheard: Condition,
    unheard_from: Option<(HubId, DeviceId)>,
    limits: Vec<(String, LimitState)>,
}

impl SubjectState {
    /// Nothing known, for these rules.
    #[must_use]
    pub fn new(rules: &[LimitRule]) -> Self {
        Self { limits: vec![LimitState::default(); rules.len()], ..Self::default() }
    }

    /// As stored. Never fails on what the engine makes; empty would be refused by [`Self::read`].
    #[must_use]
    pub fn write(&self, rules: &[LimitRule]) -> Vec<u8> {
        let fresh = LimitState::default();
        let named = rules.iter().map(|rule| rule.id.clone()).zip(self.limits.iter().cloned());
        let limits = named.filter(|(_, state)| *state != fresh).chain(self.orphans.iter().cloned()).collect();
        let (unheard, unheard_from) = (self.unheard.clone(), self.unheard_from.clone());
        let stored = Stored { counter: self.counter, metrics: self.metrics.clone(), unheard, unheard_from, limits };
        postcard::to_extend(&stored, vec![VERSION]).unwrap_or_default()
    }

    /// From what was stored.
    ///
    /// # Errors
    /// [`UnreadableState`] if it is none of this version.
    pub fn read(bytes: &[u8], rules: &[LimitRule]) -> Result<Self, UnreadableState> {
        let (version, body) = bytes.split_first().ok_or(UnreadableState::Damaged)?;
        if *version != VERSION {
            return Err(UnreadableState::Version(*version));
        }
        let stored: Stored = postcard::from_bytes(body).map_err(|_| UnreadableState::Damaged)?;
        let Stored { counter, metrics, unheard, unheard_from, limits } = stored;
        let mut state = Self { counter, metrics, unheard, unheard_from, ..Self::new(rules) };
        for (id, limit) in limits {
            let place = rules.iter().position(|rule| rule.id == id);
            match place.and_then(|place| state.limits.get_mut(place)) {
                Some(slot) => *slot = limit,
                None => state.orphans.push((id, limit)),
            }
        }
        Ok(state)
    }

    /// A metric's state, made if it is new.
    pub fn metric(&mut self, metric: Metric) -> &mut MetricState {
        self.metrics.entry(metric).or_insert_with(|| MetricState::new(metric))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = SubjectState::read(&bytes, &[]);
        }
    }

    #[test]
    fn a_newer_version_and_damage_are_refused() {
        assert_eq!(SubjectState::read(&[9, 0], &[]), Err(UnreadableState::Version(9)));
        assert_eq!(SubjectState::read(&[], &[]), Err(UnreadableState::Damaged));
    }

    #[test]
    fn a_rule_that_left_the_pack_keeps_its_state() {
        let limit = LimitState {
            returning: Some((Timestamp::from_millis(1), Timestamp::from_millis(2))),
            ..LimitState::default()
        };
        let state = SubjectState { orphans: vec![("gone".to_owned(), limit)], ..SubjectState::default() };
        assert_eq!(SubjectState::read(&state.write(&[]), &[]), Ok(state));
    }
}
