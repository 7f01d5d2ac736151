//! What the command line asks of the server. A request is carried out in the store's thread, by the same code whether
//! the server runs (through its socket) or not (with the data folder locked).

pub mod answer;
pub mod office;
pub mod reload;
pub mod socket;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use shared::id::{DeviceId, HubId, PatientId, TokenId};
use shared::time::Timestamp;

use crate::access::{Role, Scope, Ward};

pub use office::{After, Done, Office};

/// A request of the command line. `Debug` shows nothing of a patient.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Adds a patient.
    PatientAdd(PatientDetails),
    /// Lists the patients.
    PatientList,
    /// Enrols a hub.
    HubEnrol {
        /// Its certificate request, PEM.
        csr_pem: String,
        /// A name for people.
        label: String,
    },
    /// Lists the hubs.
    HubList,
    /// Takes a hub's certificates back.
    HubRevoke {
        /// Which.
        hub: HubId,
        /// Since when its key may be known to others, if it may.
        compromised_since: Option<Timestamp>,
    },
    /// Binds a device to a patient.
    Bind {
        /// The hub.
        hub: HubId,
        /// The device on it.
        device: DeviceId,
        /// The user slot, for a device several people use.
        slot: Option<u8>,
        /// The patient.
        patient: PatientId,
    },
    /// Makes a bearer token.
    TokenCreate {
        /// Their role.
        role: Role,
        /// Whom it is for.
        name: String,
        /// Their wards.
        scope: Scope,
        /// For how many days.
        days: u32,
    },
    /// Takes a bearer token back.
    TokenRevoke {
        /// Its public part.
        token: TokenId,
    },
    /// Checks the audit chain.
    AuditVerify,
    /// Counts that identify nobody.
    Counts,
    /// Writes an encrypted backup.
    Backup {
        /// Where to; must not exist.
        to: PathBuf,
        /// Who may read it: a public key of `monitor-server backup-key`.
        recipient: String,
    },
    /// Reads certificates, keys and roots again and puts them in force.
    Reload,
}

/// A patient's identity as typed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientDetails {
    /// NHS number.
    pub nhs_number: String,
    /// Name as it is to be shown.
    pub name: String,
    /// Date of birth, `YYYY-MM-DD`.
    pub born: String,
    /// The ward that watches them.
    pub ward: Ward,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Request {
    /// Its name in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PatientAdd(_) => "patient add",
            Self::PatientList => "patient list",
            Self::HubEnrol { .. } => "hub enrol",
            Self::HubList => "hub list",
            Self::HubRevoke { .. } => "hub revoke",
            Self::Bind { .. } => "bind",
            Self::TokenCreate { .. } => "token create",
            Self::TokenRevoke { .. } => "token revoke",
            Self::AuditVerify => "audit verify",
            Self::Counts => "counts",
            Self::Backup { .. } => "backup",
            Self::Reload => "reload",
        }
    }
}
