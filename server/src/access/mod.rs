//! Who may do what. A [`Permit`] is made in one place, from one table ([`policy`]), and every store method that a
//! person causes takes one.

pub mod policy;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use shared::id::TokenId;

pub use policy::{Permit, Refused, permit};

/// What a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Watches patients and answers alerts.
    Clinician,
    /// Sets hubs up in homes.
    Installer,
    /// Runs the system.
    Administrator,
    /// Reads the audit trail.
    Auditor,
}

/// A ward's name: 1 to 40 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ward(String);

/// A text that is no ward's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a ward's name has 1 to 40 characters and no control characters")]
pub struct UnreadableWard;

impl Ward {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Ward {
    type Error = UnreadableWard;
    fn try_from(text: String) -> Result<Self, UnreadableWard> {
        let fits = (1..=40).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(UnreadableWard) }
    }
}

impl From<Ward> for String {
    fn from(ward: Ward) -> Self {
        ward.0
    }
}

/// Whose patients an actor may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Every ward's.
    AllWards,
    /// These wards'.
    Wards(BTreeSet<Ward>),
}

impl Scope {
    /// Whether something that concerns these wards may be seen. What concerns none (a home nobody is bound to) is for
    /// those who see every ward.
    #[must_use]
    pub fn sees(&self, wards: &[Ward]) -> bool {
        *self == Self::AllWards || wards.iter().any(|ward| self.covers(ward))
    }

    /// Whether the ward is in it.
    #[must_use]
    pub fn covers(&self, ward: &Ward) -> bool {
        match self {
            Self::AllWards => true,
            Self::Wards(wards) => wards.contains(ward),
        }
    }
}

/// Who did it, in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Somebody who showed a bearer token.
    Bearer {
        /// The token's public part.
        token: TokenId,
        /// Whom it was made for, as the administrator named them. Never a patient.
        name: String,
        /// Their role.
        role: Role,
        /// Their wards.
        scope: Scope,
    },
    /// Whoever runs the command line on the server's own machine, by operating-system user.
    LocalOperator {
        /// The user's name, or number if it has none.
        user: String,
    },
    /// A hub, by its certificate.
    Hub(shared::id::HubId),
    /// The server itself.
    System,
}

/// What a person asks for. Each is one row of the policy's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Add a patient.
    PatientAdd,
    /// See patients' names and numbers.
    PatientList,
    /// Enrol a hub.
    HubEnrol,
    /// Revoke a hub's certificate.
    HubRevoke,
    /// See hubs and their state.
    HubList,
    /// Bind a device to a patient.
    Bind,
    /// Make a bearer token.
    TokenCreate,
    /// Take a bearer token back.
    TokenRevoke,
    /// Watch the feed.
    FeedWatch,
    /// See counts of the store, which identify nobody.
    StoreCount,
    /// Check the audit chain.
    AuditVerify,
    /// Write a backup.
    Backup,
    /// Have certificates, keys and roots read again.
    Reload,
}
