//! What the store's methods take and give.

use serde::{Deserialize, Serialize};
use shared::id::{BindingId, DeviceId, HubId, PatientId, StoreId, StreamId, TokenId};
use shared::metric::Metric;
use shared::nhs_number::NhsNumber;
use shared::reading::{Outcome, Quality};
use shared::sequence::Ranges;
use shared::time::Timestamp;
use shared::wire::{BindingInForce, Quarantined};

use crate::access::{Role, Scope, Ward};
use crate::alerts::AlertEvent;

/// Why a store method did nothing. Every transaction is whole: on an error nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the engine failed; the same call may succeed later.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file is not a store of ours, is damaged, or of a newer version.
    #[error("the store is unreadable: {0}")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What the caller named is not there, or not in the caller's scope (told apart only in the audit log).
    #[error("{0} is not known")]
    Unknown(&'static str),
    /// What the caller asks for contradicts what is stored.
    #[error("{0}")]
    Conflict(Conflict),
    /// A limit of this build.
    #[error("over the limit for {0}")]
    OverLimit(&'static str),
}

/// What contradicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The NHS number is another patient's.
    #[error("a patient with this NHS number exists already")]
    NhsNumberTaken,
    /// The hub is enrolled.
    #[error("this hub is enrolled already; revoke it first if its key was lost")]
    HubEnrolled,
    /// The device and slot are bound to this very patient.
    #[error("this device and slot are bound to this patient already")]
    AlreadyBound,
}

/// An event's number in the store: dense, in commit order. Feeds resume after one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct EventNumber(pub i64);

/// An alert event with its number, and the ward it concerns (for scopes); `None` for a hub nobody is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedEvent {
    /// Its number.
    pub number: EventNumber,
    /// Wards whose clinicians may see it.
    pub wards: Vec<Ward>,
    /// What happened.
    pub event: AlertEvent,
}

/// A live value for the feed: the newest of its patient and metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveValue {
    /// The patient.
    pub patient: PatientId,
    /// Their ward.
    pub ward: Ward,
    /// What was measured.
    pub metric: Metric,
    /// The value, or why there is none.
    pub outcome: Outcome,
    /// The device's flags.
    pub quality: Quality,
    /// Its usability in one word: `valid`, `unlikely`, `gated`, `implausible` or `absent`.
    pub usability: String,
    /// When it was captured, on the engine's clock.
    pub taken: Timestamp,
    /// Its age at arrival, in milliseconds.
    pub age_ms: u64,
    /// For how long after `taken` it may be shown as live, in milliseconds.
    pub fresh_for_ms: u64,
    /// The hub's own wall clock at capture, for measuring latency on one machine; never shown.
    pub captured_wall: Timestamp,
}

/// What a commit did for one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOutcome {
    /// The hub.
    pub hub: HubId,
    /// The stream.
    pub stream: StreamId,
    /// Whether the store holds the stream's opening now.
    pub known: bool,
    /// What is stored of the stream: every range that touches this batch, then the lowest ones up to
    /// `wire::RANGES_MAX`.
    pub stored: Ranges,
    /// What of this batch is in quarantine.
    pub quarantined: Vec<Quarantined>,
    /// Observations of this batch that were new.
    pub observations: u64,
    /// Records of this batch the store held already.
    pub repeats: u64,
}

/// What a group of batches became: one transaction, committed and synced.
#[derive(Debug, Default)]
pub struct Committed {
    /// One for each batch of the group, in order. `Err` is a batch that was rolled back alone.
    pub batches: Vec<Result<BatchOutcome, StoreError>>,
    /// Alert events, in order, numbered.
    pub events: Vec<NumberedEvent>,
    /// Live values, newest last.
    pub live: Vec<LiveValue>,
}

/// What a backup copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupSource {
    /// The store's file.
    pub file: std::path::PathBuf,
    /// This life of the store.
    pub store: StoreId,
}

/// A patient to add. `Debug` shows nothing of it.
pub struct NewPatient {
    /// The NHS number, checked.
    pub nhs_number: NhsNumber,
    /// Name as it is to be shown.
    pub name: String,
    /// Date of birth, `YYYY-MM-DD`.
    pub born: String,
    /// The ward that watches them.
    pub ward: Ward,
}

impl std::fmt::Debug for NewPatient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPatient(redacted)")
    }
}

/// A patient as a permitted person sees them.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Patient {
    /// The patient.
    pub patient: PatientId,
    /// NHS number, ten digits.
    pub nhs_number: String,
    /// Name.
    pub name: String,
    /// Date of birth, `YYYY-MM-DD`.
    pub born: String,
    /// Their ward.
    pub ward: Ward,
}

impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Patient({}, redacted)", self.patient)
    }
}

/// A hub to enrol: what its CSR proved.
#[derive(Debug, Clone)]
pub struct NewHub {
    /// Its id.
    pub hub: HubId,
    /// Its identity public key, DER SubjectPublicKeyInfo.
    pub identity: Vec<u8>,
    /// The certificate issued for it, DER.
    pub certificate: Vec<u8>,
    /// Its serial number, as text.
    pub serial: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// A name for people, `bedside-3`: no patient's.
    pub label: String,
}

/// A hub as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hub {
    /// Its id.
    pub hub: HubId,
    /// Its label.
    pub label: String,
    /// Whether its certificate was taken back.
    pub revoked: bool,
    /// Until when its certificate holds.
    pub not_after: Timestamp,
    /// When something of it was last stored.
    pub last_stored: Option<Timestamp>,
    /// The counter of its settings.
    pub settings_counter: u64,
    /// Its bindings in force.
    pub bindings: Vec<BindingInForce>,
    /// What was found about its identity, each with when it was found last: a person must settle it.
    pub findings: Vec<HubFinding>,
}

/// What speaks against a hub being the one machine it was enrolled as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HubFinding {
    /// `cloned_hub`: two machines send as this hub at once, what one of them sends is in quarantine.
    /// `restored_or_cloned_hub`: its stream goes on from before what is stored, as after an old card was put back.
    pub finding: String,
    /// When it was found last.
    pub at: Timestamp,
}

/// An identity key of a hub and the span it was good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityKey {
    /// DER SubjectPublicKeyInfo.
    pub identity: Vec<u8>,
    /// From when.
    pub not_before: Timestamp,
    /// Until when: end of validity or revocation.
    pub not_after: Timestamp,
    /// Revoked as compromised: openings after this are not believed.
    pub compromised: Option<Timestamp>,
}

/// A device and slot to bind to a patient.
#[derive(Debug, Clone)]
pub struct NewBinding {
    /// The hub.
    pub hub: HubId,
    /// The device on it.
    pub device: DeviceId,
    /// Its user slot, if it has several.
    pub slot: Option<u8>,
    /// The patient.
    pub patient: PatientId,
}

/// What `bind` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// The new binding.
    pub binding: BindingId,
    /// The binding it ended, if the device and slot were another's.
    pub ended: Option<BindingId>,
    /// The counter of the hub's new settings.
    pub settings_counter: u64,
}

/// A bearer token to keep: only the hash of its secret.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its public part.
    pub token: TokenId,
    /// SHA-256 of its secret part (256 bits of entropy, so a plain hash is enough).
    pub secret_hash: [u8; 32],
    /// Whom it is for.
    pub name: String,
    /// Their role.
    pub role: Role,
    /// Their wards.
    pub scope: Scope,
    /// Until when by the wall clock.
    pub expires: Timestamp,
    /// Until when by the engine's clock, which never goes back: the same time from now.
    pub expires_engine: Timestamp,
}

/// Counts that identify nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Observations stored.
    pub observations: u64,
    /// Observations stored more than once: rows beyond one for each hub, stream, sequence and place in the record.
    pub duplicates: u64,
    /// Records stored.
    pub records: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Alert events.
    pub alert_events: u64,
    /// Patients with at least one alert.
    pub alerting_patients: Vec<PatientId>,
}

/// The result of checking the audit chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditVerdict {
    /// Entries checked.
    pub entries: u64,
    /// The first entry whose hash does not follow from its predecessor and content.
    pub first_broken: Option<u64>,
    /// The chain's head, in hexadecimal.
    pub head: String,
}

/// An alert that is not over, with its newest event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingAlert {
    /// The newest event's number.
    pub number: EventNumber,
    /// Wards whose clinicians may see it.
    pub wards: Vec<Ward>,
    /// The newest event.
    pub event: AlertEvent,
}

/// What a feed starts from: the state as of `cursor`.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Everything up to here is in it.
    pub cursor: EventNumber,
    /// Patients in scope (opaque id and ward; names come with the pages).
    pub patients: Vec<(PatientId, Ward)>,
    /// Alerts that are not over.
    pub alerts: Vec<StandingAlert>,
    /// The newest value of each patient and metric.
    pub live: Vec<LiveValue>,
}

/// Events after a number, for a feed that resumes.
#[derive(Debug)]
pub enum EventsAfter {
    /// At most the limit asked for, in order; `more` if there are further ones.
    Events {
        /// The events.
        events: Vec<NumberedEvent>,
        /// Whether the limit cut the list.
        more: bool,
    },
    /// The number lies before what is kept, or was never given: the client must start from a snapshot.
    Beyond,
}
