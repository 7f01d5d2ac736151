//! Answers to people and programs: what went wrong, why, and what to do.

use serde::{Deserialize, Serialize};

use crate::access::Refused;
use crate::provisioning::ProvisioningError;
use crate::store::{Conflict, StoreError};

/// A failure, for people and in JSON. It holds no name, NHS number, value, key or token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}: {cause}. {remedy}")]
pub struct Failure {
    /// What could not be done.
    pub what: String,
    /// Why.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl Failure {
    /// A failure in these words.
    #[must_use]
    pub fn new(what: &str, cause: impl std::fmt::Display, remedy: &str) -> Self {
        Self { what: what.to_owned(), cause: cause.to_string(), remedy: remedy.to_owned() }
    }

    /// The store's, with its remedy.
    #[must_use]
    pub fn of_store(what: &str, error: &StoreError) -> Self {
        let remedy = match error {
            StoreError::Unavailable(_) => "Check the disk (space, health) and try again; nothing was changed",
            StoreError::Unreadable(_) => "Run `monitor-server check`; restore the last backup if the file is damaged",
            StoreError::Unknown(_) => "Look it up with the list commands and check the spelling",
            StoreError::Conflict(Conflict::NhsNumberTaken) => "Use the patient that exists: `patient list` shows them",
            StoreError::Conflict(_) => "Nothing needs to be done if that is what you wanted",
            StoreError::OverLimit(_) => "Use less of it",
        };
        Self::new(what, error, remedy)
    }

    /// The policy's.
    #[must_use]
    pub fn of_policy(what: &str, refused: &Refused) -> Self {
        Self::new(what, refused, "Nothing was changed; the refusal is in the audit log")
    }

    /// The authority's.
    #[must_use]
    pub fn of_provisioning(what: &str, error: &ProvisioningError) -> Self {
        Self::new(what, error, "Nothing was changed")
    }

    /// As the JSON a program reads.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "error": self })
    }
}
