//! What a day came to, as figures and as failures.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::Plan;
use super::judge::{Evidence, Verdict};
use crate::simulators::Protocol;
use crate::simulators::ledger::Fate;

/// One device's day.
#[derive(Debug, Clone)]
pub struct DeviceReport {
    /// What it spoke.
    pub protocol: Protocol,
    /// Seconds by fate: whole, noisy, in part, unheard, silent.
    pub fates: [u64; 5],
    /// Times that the plug was pulled from an open line.
    pub unplugs: u64,
    /// Moments stored of it.
    pub readings: usize,
    /// Frames that the hub refused.
    pub refused: u64,
    /// Moments that the hub could not take in time, as it counted them.
    pub overrun: u64,
    /// The same, as its loss entries in the store say.
    pub overrun_stored: u64,
    /// What was found.
    pub verdict: Verdict,
}

impl DeviceReport {
    pub(super) fn of(evidence: &Evidence<'_>, readings: usize, overrun: u64, verdict: Verdict) -> Self {
        let played = evidence.played;
        let fates = [Fate::Whole, Fate::Noisy, Fate::Partly, Fate::Unheard, Fate::Silent];
        let count = |fate| played.ledger.iter().filter(|second| second.fate == fate).count() as u64;
        Self {
            protocol: evidence.protocol,
            fates: fates.map(count),
            unplugs: played.unplugs,
            readings,
            refused: evidence.refused,
            overrun,
            overrun_stored: evidence.overrun,
            verdict,
        }
    }

    fn to_json(&self) -> Value {
        let [whole, noisy, partly, unheard, silent] = self.fates;
        let Verdict { required, stored, again, made_up, gaps, missing, .. } = self.verdict;
        json!({
            "protocol": self.protocol.name(), "whole": whole, "noisy": noisy, "partly": partly, "unheard": unheard,
            "silent": silent, "unplugs": self.unplugs, "required": required, "stored": stored, "readings": self.readings,
            "again": again, "made_up": made_up, "gaps": gaps, "missing": missing, "refused": self.refused,
            "overrun": self.overrun,
        })
    }
}

/// A day.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was to be played.
    pub plan: Plan,
    /// How long the courses took.
    pub took: Duration,
    /// Each device.
    pub devices: Vec<DeviceReport>,
    /// Observations the hub accepted.
    pub accepted: u64,
    /// Observations the hub has receipts for.
    pub receipted: u64,
    /// Observations stored.
    pub stored: u64,
    /// Records that came twice and were not stored again.
    pub duplicates: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Frames refused, as the hub counted them.
    pub refused: u64,
    /// The same, as its newest report in the store says; `None` before the first report.
    pub reported: Option<u64>,
    /// Places of records that are stored more than once.
    pub repeated: usize,
    /// Gaps in the sequences of streams.
    pub gaps: usize,
    /// Loss entries in the store by cause, but for moments that were not taken in time.
    pub losses: BTreeMap<String, u64>,
}

impl Report {
    /// Everything that is wrong. Nothing: every valid frame is stored once and every gap is explained.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for device in &self.devices {
            let name = device.protocol.name();
            failures.extend(device.verdict.failures.iter().map(|failure| format!("{name}: {failure}")));
            if device.overrun != device.overrun_stored {
                let (counted, told) = (device.overrun, device.overrun_stored);
                failures.push(format!("{name}: the hub lost {counted} moments, and its loss entries tell of {told}"));
            }
        }
        let (accepted, receipted, stored) = (self.accepted, self.receipted, self.stored);
        if accepted == 0 || accepted != receipted || accepted != stored {
            failures.push(format!("{accepted} observations accepted, {receipted} receipted, {stored} stored"));
        }
        let reported = self.reported;
        if self.plan.hears_hub_report && reported != Some(self.refused) {
            failures.push(format!("{} frames refused, and the hub's newest report says {reported:?}", self.refused));
        }
        // Explained, and yet no day to judge by: the machine's disk was full, or failed.
        let lost = self.losses.iter();
        failures.extend(lost.map(|(cause, count)| format!("{count} loss entries in the store say: {cause}")));
        let none = [
            (self.duplicates, "records came twice"),
            (self.quarantined, "records are in quarantine"),
            (self.repeated as u64, "places are stored more than once"),
            (self.gaps as u64, "gaps are in the sequences"),
        ];
        failures
            .extend(none.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
        failures
    }

    /// The figures as one object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "seconds": self.plan.seconds, "speed": self.plan.speed, "seed": self.plan.seed,
            "took_s": self.took.as_secs(), "accepted": self.accepted, "receipted": self.receipted, "stored": self.stored,
            "duplicates": self.duplicates, "gaps_in_sequences": self.gaps, "losses": self.losses, "frames_refused": self.refused,
            "failures": self.failures().len(),
            "devices": self.devices.iter().map(DeviceReport::to_json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for device in &self.devices {
            let [whole, noisy, partly, unheard, silent] = device.fates;
            let Verdict { required, stored, again, made_up, gaps, missing, .. } = device.verdict;
            writeln!(
                f,
                "{:<10} {whole} s whole, {noisy} noisy, {partly} in part, {unheard} unheard, {silent} silent; {} times \
                 unplugged; {stored} s stored, {missing} missing of {required}, {again} again, {made_up} made by noise, \
                 {gaps} gaps; {} frames refused, {} moments lost",
                device.protocol.name(),
                device.unplugs,
                device.refused,
                device.overrun
            )?;
        }
        write!(
            f,
            "{} s at {} times their pace in {} s: {} observations accepted, {} receipted, {} stored; {} failures",
            self.plan.seconds,
            self.plan.speed,
            self.took.as_secs(),
            self.accepted,
            self.receipted,
            self.stored,
            self.failures().len()
        )
    }
}
