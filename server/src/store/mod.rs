//! The store: every method is one whole transaction. What a person causes takes a [`Permit`] and leaves its audit
//! entry in the hash chain, in the same transaction. One folder per engine; callers see [`Store`] alone.

pub mod backup;
mod budget;
mod engine_clock;
mod health;
mod model;
pub mod owner;
pub mod sqlite;
mod timing;

use shared::id::{DeviceId, HubId, PatientId, StoreId, StreamId, TokenId};
use shared::metric::Metric;
use shared::time::{Tick, Timestamp};
use shared::wire::{BindingInForce, DeviceState};

use crate::access::{Action, Actor, Permit};
use crate::alerts::{AlertEvent, Observed, Subject};
use crate::ingest::{NewStream, OpenedBatch};
use crate::provisioning::authority::Revoked;

pub use model::*;

/// The alert engine as the store drives it inside its transaction. Implemented by `alerts::Alerts`.
pub trait AlertSink: Send {
    /// Observations of one subject became durable in this transaction, in order of capture.
    fn observed(&mut self, subject: Subject, observations: &[Observed], now: Timestamp) -> Vec<AlertEvent>;
    /// A device, hub or connection changed its state: knowledge about causes of absence.
    fn device_state(&mut self, hub: HubId, device: &DeviceId, state: DeviceState, now: Timestamp) -> Vec<AlertEvent>;
    /// A hub connected or went.
    fn hub_connected(&mut self, hub: HubId, connected: bool, now: Timestamp) -> Vec<AlertEvent>;
    /// Applies every deadline due at or before `now`, in order, each at its own time.
    fn deadlines(&mut self, now: Timestamp) -> Vec<AlertEvent>;
    /// The next deadline, and why.
    fn next_deadline(&self) -> Option<(Timestamp, &'static str)>;
    /// A binding began (`true`) or ended: the subject's expected metrics change.
    fn bound(
        &mut self,
        patient: PatientId,
        hub: HubId,
        device: &DeviceId,
        bound: bool,
        now: Timestamp,
    ) -> Vec<AlertEvent>;
    /// How long after capture an observation of the metric may be evaluated or shown as live, in milliseconds.
    fn fresh_for_ms(&self, metric: Metric) -> u64;
    /// The states touched since the last call of `commit` or `roll_back`, to be stored in this transaction.
    fn dirty_states(&self) -> Vec<(Subject, Vec<u8>)>;
    /// The transaction holds.
    fn commit(&mut self);
    /// The transaction, or the batch since the last `mark`, does not hold: forget what it changed.
    fn roll_back(&mut self);
    /// Restores a stored state at start.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if the bytes are none of this or an earlier version.
    fn restore(&mut self, subject: Subject, state: &[u8]) -> Result<(), StoreError>;
}

/// The store. Methods are whole transactions, called from the owner's thread alone.
pub trait Store: Send {
    /// This life of the store.
    fn store_id(&self) -> StoreId;
    /// Says which moment of the engine's clock a tick is, so that arrivals can be placed on it. Called before
    /// `take`; without it, arrivals are placed by the wall clock.
    fn set_engine_clock(&mut self, tick: Tick, at: Timestamp);
    /// Nothing is waiting: a moment for what would hold a commit up, and for what waits to be noted.
    ///
    /// # Errors
    /// The store's; nothing is lost by it.
    fn idle(&mut self, now: Timestamp) -> Result<(), StoreError>;
    /// How often what is committed could not be written back into the store's file since the start. Nothing is lost by
    /// it; the log grows.
    fn failed_checkpoints(&self) -> u64;

    /// Takes batches in one transaction, one savepoint each, with alerts, events and audit; then syncs.
    ///
    /// # Errors
    /// [`StoreError`] if the whole group could not be committed: nothing of it is kept, nothing may be receipted.
    fn take(
        &mut self,
        batches: &[OpenedBatch],
        alerts: &mut dyn AlertSink,
        now: Timestamp,
    ) -> Result<Committed, StoreError>;
    /// Applies due deadlines in a transaction.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be committed; call again.
    fn take_deadlines(&mut self, alerts: &mut dyn AlertSink, now: Timestamp) -> Result<Committed, StoreError>;
    /// A hub connected or went.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be committed.
    fn hub_connected(
        &mut self,
        hub: HubId,
        connected: bool,
        alerts: &mut dyn AlertSink,
        now: Timestamp,
    ) -> Result<Committed, StoreError>;
    /// Gives the engine its stored states back and returns the engine time that was last committed.
    ///
    /// # Errors
    /// [`StoreError`] if a state is unreadable.
    fn restore_alerts(&mut self, alerts: &mut dyn AlertSink) -> Result<Option<Timestamp>, StoreError>;

    /// A stream's opening as stored, for openers that do not hold its keys.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn stream(&mut self, hub: HubId, stream: StreamId) -> Result<Option<NewStream>, StoreError>;
    /// The identity keys of a hub, newest first.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn identities(&mut self, hub: HubId) -> Result<Vec<IdentityKey>, StoreError>;
    /// Whether the door may let the hub in: enrolled, not revoked.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn hub_admitted(&mut self, hub: HubId, certificate_serial: &str) -> Result<bool, StoreError>;
    /// Certificates taken back: serial numbers as the door writes them, and when.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn revoked(&mut self) -> Result<Vec<Revoked>, StoreError>;
    /// A hub's bindings in force and its settings counter.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if there is no such hub.
    fn hub_settings(&mut self, hub: HubId) -> Result<(u64, Vec<BindingInForce>), StoreError>;

    /// Adds a patient; identity encrypted under a new key of their own.
    ///
    /// # Errors
    /// [`Conflict::NhsNumberTaken`], or the store's.
    fn patient_add(&mut self, permit: &Permit, patient: &NewPatient, now: Timestamp) -> Result<PatientId, StoreError>;
    /// The patients in the permit's scope.
    ///
    /// # Errors
    /// The store's.
    fn patient_list(&mut self, permit: &Permit, now: Timestamp) -> Result<Vec<Patient>, StoreError>;
    /// Enrols a hub.
    ///
    /// # Errors
    /// [`Conflict::HubEnrolled`], or the store's.
    fn hub_enrol(&mut self, permit: &Permit, hub: &NewHub, now: Timestamp) -> Result<(), StoreError>;
    /// Takes a hub's certificates back, as lost or as compromised since a time. What the revocation list and the spans
    /// of its keys say of it is by the wall clock, `wall`.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], or the store's.
    fn hub_revoke(
        &mut self,
        permit: &Permit,
        hub: HubId,
        compromised: Option<Timestamp>,
        wall: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// The hubs.
    ///
    /// # Errors
    /// The store's.
    fn hub_list(&mut self, permit: &Permit, now: Timestamp) -> Result<Vec<Hub>, StoreError>;
    /// Binds a device and slot to a patient from now; ends the binding they had. Nothing taken under the old
    /// binding moves.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], [`Conflict::AlreadyBound`], or the store's.
    fn bind(
        &mut self,
        permit: &Permit,
        binding: &NewBinding,
        alerts: &mut dyn AlertSink,
        now: Timestamp,
    ) -> Result<(Bound, Committed), StoreError>;
    /// Keeps a bearer token.
    ///
    /// # Errors
    /// The store's.
    fn token_create(&mut self, permit: &Permit, token: &NewToken, now: Timestamp) -> Result<(), StoreError>;
    /// Takes a bearer token back.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], or the store's.
    fn token_revoke(&mut self, permit: &Permit, token: TokenId, now: Timestamp) -> Result<(), StoreError>;
    /// The actor a token stands for and when it expires by the wall clock as it is now; `None` if it is unknown, wrong,
    /// revoked or expired; that is counted, and the audit log has at most one entry a second of it. It is expired if
    /// either clock says so: the wall clock (`wall`), or the engine's (`now`), which never goes back, so that a wall
    /// clock set back makes no token last longer. The hash is compared in constant time.
    ///
    /// # Errors
    /// The store's.
    fn token_actor(
        &mut self,
        token: TokenId,
        secret_hash: &[u8; 32],
        wall: Timestamp,
        now: Timestamp,
    ) -> Result<Option<(Actor, Timestamp)>, StoreError>;
    /// What a feed starts from, in the permit's scope; the look is audited.
    ///
    /// # Errors
    /// The store's.
    fn feed_snapshot(&mut self, permit: &Permit, now: Timestamp) -> Result<Snapshot, StoreError>;
    /// Alert events after a number, in the permit's scope; the look is audited once for each feed that resumes.
    ///
    /// # Errors
    /// The store's.
    fn events_after(
        &mut self,
        permit: &Permit,
        after: EventNumber,
        limit: usize,
        now: Timestamp,
    ) -> Result<EventsAfter, StoreError>;
    /// Counts that identify nobody.
    ///
    /// # Errors
    /// The store's.
    fn counts(&mut self, permit: &Permit, now: Timestamp) -> Result<Counts, StoreError>;
    /// Checks the audit chain from its start.
    ///
    /// # Errors
    /// The store's.
    fn audit_verify(&mut self, permit: &Permit, now: Timestamp) -> Result<AuditVerdict, StoreError>;
    /// Notes in the audit log what the policy refused.
    ///
    /// # Errors
    /// The store's.
    fn refused(&mut self, actor: &Actor, action: Action, now: Timestamp) -> Result<(), StoreError>;
    /// Notes in the audit log that the server's wall clock stepped, by so many milliseconds.
    ///
    /// # Errors
    /// The store's.
    fn wall_stepped(&mut self, by_ms: i64, now: Timestamp) -> Result<(), StoreError>;
    /// Notes in the audit log that a backup is made, and says of what. Copying and sealing takes long and is for a
    /// thread of its own: `sqlite::copy_out`. The backup holds no key of the server: to read identities in a restored
    /// store, its master key is needed too.
    ///
    /// # Errors
    /// The store's.
    fn backup(&mut self, permit: &Permit, now: Timestamp) -> Result<BackupSource, StoreError>;

    /// Notes in the audit log that certificates, keys and roots were read again: the SHA-256 of the server's
    /// certificate, or that they were not taken.
    ///
    /// # Errors
    /// The store's.
    fn reload(&mut self, permit: &Permit, certificate: Option<&str>, now: Timestamp) -> Result<(), StoreError>;
}
