//! Alerts: the pure engine and what it says. SEMANTICS is the law; IEC, IHE and ISA words stay in mappings.

pub mod amount;
pub mod cause;
pub mod engine;
pub mod event;
pub mod finding;
pub mod limit;
pub mod pack;
pub mod rule;
pub mod sink;
pub mod state;
pub mod words;

use serde::{Deserialize, Serialize};
use shared::id::{AlertId, DeviceId, HubId, PatientId};
use shared::metric::Metric;
use shared::plausibility::Usability;
use shared::reading::{Outcome, Quality, Value};
use shared::time::Timestamp;

pub use rule::Pack;
pub use sink::Alerts;

/// An observation as the engine sees it: attributed, timed on the server's engine clock, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Its place in the store.
    pub place: Place,
    /// The hub it came through.
    pub hub: HubId,
    /// The device.
    pub device: DeviceId,
    /// What was measured.
    pub metric: Metric,
    /// The value, or why there is none.
    pub outcome: Outcome,
    /// The device's word on quality.
    pub quality: Quality,
    /// What rules may do with it.
    pub usability: Usability,
    /// When it was captured, on the engine's clock (arrival − age); the best estimate if the age is unknown.
    pub taken: Timestamp,
    /// Its age at arrival in milliseconds; `None` is unknown, which counts as late.
    pub age_ms: Option<u64>,
    /// Whether it is history whatever its age: its binding has ended, or it came from a device's memory.
    pub history: bool,
}

/// Where an observation stands in the store: its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place(pub i64);

/// Whom an alert is about. The order is kept in stored events: add at the end only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A patient.
    Patient(PatientId),
    /// A home, for what cannot be attributed to a patient.
    Hub(HubId),
}

/// How urgent (IEC 60601-1-8 priorities).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Needs to be known.
    Low,
    /// Prompt response.
    Medium,
    /// Immediate response.
    High,
}

/// Where an alert's condition came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// The patient: a limit is breached.
    Physiological,
    /// Something about the measuring: absence, poor signal, sensor off.
    Technical,
}

/// An alert's state (SEMANTICS §7; the commands of people come with the life cycle).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The condition is true, nobody has taken notice.
    Raised,
    /// Recovered, still nobody took notice: stays visible.
    Returned,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertChange {
    /// For the first time.
    Raised,
    /// Again, while it stood as returned: a new occurrence of the same alert.
    RaisedAgain,
    /// The condition ended, with evidence.
    Returned,
    /// Same condition, new facts (the cause of an absence became known, say).
    Updated,
}

/// The facts behind a change: what was measured, when, how old, how good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its place in the store.
    pub observation: Place,
    /// What was measured.
    pub metric: Metric,
    /// The value, if there was one.
    pub value: Option<Value>,
    /// When it was captured.
    pub taken: Timestamp,
    /// Its age when the change was decided, in milliseconds.
    pub age_ms: u64,
    /// The device's flags.
    pub quality: Quality,
}

/// An alert event: what the store keeps and the feed says. Clinical record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// The alert.
    pub alert: AlertId,
    /// About whom.
    pub subject: Subject,
    /// What happened.
    pub change: AlertChange,
    /// The state from then on.
    pub state: AlertState,
    /// Grows with each event of the alert, from 1: commands name it.
    pub version: u32,
    /// Counts the alert's occurrences, from 1.
    pub occurrence: u32,
    /// When, on the engine's clock: the observation or the deadline that completed the condition.
    pub at: Timestamp,
    /// The rule, by its id in the pack ...
    pub rule: String,
    /// ... and the pack's name and version, `adult-default@3`.
    pub pack: String,
    /// How urgent.
    pub priority: Priority,
    /// Physiological or technical.
    pub kind: AlertKind,
    /// The metric it is about, if it is about one.
    pub metric: Option<Metric>,
    /// In words, with values, ages and limits: `SpO₂ 84 % below 90 % for 60 s`.
    pub words: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
}
