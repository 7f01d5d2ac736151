//! The audit trail: who did what, with what outcome, in a chain of hashes that shows later changes.

pub mod chain;

use serde::{Deserialize, Serialize};
use shared::time::Timestamp;

use crate::access::Actor;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// Done.
    Done,
    /// The policy said no.
    Refused,
    /// What was named is not there.
    Unknown,
    /// What was named is there, outside the actor's wards.
    OutOfScope,
    /// It contradicted what is stored, or was over a limit.
    Rejected,
}

/// An entry. Never a name, an NHS number or a clinical value: ids only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When, on the engine's clock.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: an action of the policy's table, or a technical fact.
    pub action: String,
    /// Of what: `hub:…`, `patient:…`, `stream:…`.
    pub resources: Vec<String>,
    /// How it ended.
    pub outcome: AuditOutcome,
}
