//! The store on SQLite: one file, one writer, write-ahead log, every commit synced (`synchronous = FULL`).

mod copy;
mod counting;
mod entries;
mod events;
mod hubs;
mod memory;
mod people;
mod refusals;
mod rows;
mod schema;
mod sound;
mod streams;
mod take;
mod trail;
mod transaction;

#[cfg(test)]
mod tests;

use std::path::Path;

use rusqlite::{Connection, params};
use shared::id::{HubId, PatientId, StoreId, StreamId, TokenId};
use shared::time::{Tick, Timestamp};
use shared::wire::BindingInForce;

use crate::access::{Action, Actor, Permit};
use crate::alerts::AlertEvent;
use crate::audit::AuditOutcome;
use crate::ingest::{NewStream, OpenedBatch};
use crate::keys::PatientVault;
use crate::limits::{CHECKPOINT_WORTH, EVENTS_PAGE_MAX};
use crate::provisioning::authority::Revoked;
use crate::store::{
    AlertSink, AuditVerdict, BackupSource, Bound, Committed, Counts, EventNumber, EventsAfter, Hub, IdentityKey,
    NewBinding, NewHub, NewPatient, NewToken, NumberedEvent, Patient, Snapshot, Store, StoreError,
};
pub use copy::copy_out;
use memory::Memory;
use rows::failed;
use trail::Failure;
use transaction::attempt;

/// The store.
pub struct SqliteStore {
    conn: Connection,
    store: StoreId,
    vault: PatientVault,
    memory: Memory,
    engine: Option<(Tick, Timestamp)>,
    since_checkpoint: u64,
    refusals: refusals::Refusals,
    log: sound::Log,
}

impl SqliteStore {
    /// Opens the store in this file; a file that is not there becomes a new one.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if the file is none of ours, damaged, or of another version.
    pub fn open(path: &Path, vault: PatientVault, now: Timestamp) -> Result<Self, StoreError> {
        let mut conn = Connection::open(path).map_err(failed)?;
        copy::remove_leftovers(path).map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        schema::prepare(&conn)?;
        schema::migrate(&conn, StoreId::from_bytes(people::random_id()?), now)?;
        let store = schema::store_id(&conn)?;
        // The last process may have ended after an I/O error: nothing is added to a log that may have holes.
        let log = sound::Log::open(&mut conn)?;
        Ok(Self {
            conn,
            store,
            vault,
            memory: Memory::default(),
            engine: None,
            since_checkpoint: 0,
            refusals: refusals::Refusals::default(),
            log,
        })
    }

    /// Begins a new life after a restore: a new id, so that hubs send again what they still hold.
    ///
    /// # Errors
    /// The store's.
    pub fn renew(&mut self, now: Timestamp) -> Result<StoreId, StoreError> {
        let store = StoreId::from_bytes(people::random_id()?);
        let before = self.store;
        self.whole(now, |conn, memory| {
            conn.execute("UPDATE meta SET store = ?1 WHERE id = 1", params![store.as_bytes()]).map_err(failed)?;
            let resources = vec![trail::named("store", before), trail::named("store", store)];
            trail::fact(conn, memory, "restored", resources, now)
        })?;
        self.store = store;
        Ok(store)
    }

    /// One transaction: committed and synced, or nothing of it, on the disk and in memory.
    fn whole<T>(
        &mut self,
        now: Timestamp,
        work: impl FnOnce(&Connection, &mut Memory) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.sound(now)?;
        let result = attempt(&self.conn, &mut self.memory, now, work);
        self.after(result.as_ref().err());
        result
    }

    /// The same, with what the engine says of it.
    fn whole_with_alerts<T>(
        &mut self,
        alerts: &mut dyn AlertSink,
        now: Timestamp,
        work: impl FnOnce(&Connection, &mut Memory, &mut dyn AlertSink) -> Result<(T, Vec<AlertEvent>), StoreError>,
    ) -> Result<(T, Vec<NumberedEvent>), StoreError> {
        let result = self.whole(now, |conn, memory| {
            let (value, events) = work(conn, memory, alerts)?;
            let events = events::write(conn, memory, events)?;
            events::write_states(conn, alerts.dirty_states())?;
            Ok((value, events))
        });
        match result {
            Ok(_) => alerts.commit(),
            Err(_) => alerts.roll_back(),
        }
        result
    }

    /// One transaction that a person causes: it leaves its audit entry, also if nothing was done.
    fn audited<T>(
        &mut self,
        permit: &Permit,
        now: Timestamp,
        work: impl FnOnce(&Connection, &mut Memory, &PatientVault) -> Result<(T, Vec<String>), Failure>,
    ) -> Result<T, StoreError> {
        self.sound(now)?;
        let mut outcome = None;
        let (conn, vault) = (&self.conn, &self.vault);
        let result = attempt(conn, &mut self.memory, now, |conn, memory| {
            let (value, resources) = work(conn, memory, vault).map_err(|failure| {
                outcome = failure.outcome;
                failure.error
            })?;
            let action = trail::name(permit.action());
            trail::append(conn, memory, permit.actor(), action, resources, AuditOutcome::Done, now)?;
            Ok(value)
        });
        self.after(result.as_ref().err());
        if result.is_err() {
            self.note(outcome, permit.actor(), permit.action(), now)?;
        }
        result
    }

    /// Leaves the entry of something that was not done.
    fn note(
        &mut self,
        outcome: Option<AuditOutcome>,
        actor: &Actor,
        action: Action,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(outcome) = outcome else { return Ok(()) };
        self.whole(now, |conn, memory| {
            trail::append(conn, memory, actor, trail::name(action), Vec::new(), outcome, now)
        })
    }
}

impl Store for SqliteStore {
    fn store_id(&self) -> StoreId {
        self.store
    }

    fn set_engine_clock(&mut self, tick: Tick, at: Timestamp) {
        self.engine = Some((tick, at));
    }

    fn idle(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.note_refusals(now)?;
        if self.since_checkpoint >= CHECKPOINT_WORTH {
            self.since_checkpoint = 0;
            self.write_back();
        }
        Ok(())
    }

    fn failed_checkpoints(&self) -> u64 {
        self.log.failed()
    }

    fn take(
        &mut self,
        batches: &[OpenedBatch],
        alerts: &mut dyn AlertSink,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let engine = self.engine;
        let mut observations = 0;
        let ((outcomes, live), events) = self.whole_with_alerts(alerts, now, |conn, memory, alerts| {
            let mut work = take::Work::default();
            let mut outcomes = Vec::with_capacity(batches.len());
            let mut taking = take::Taking { conn, memory: &mut *memory, now, engine };
            for batch in batches {
                outcomes.push(taking.batch(batch, &*alerts, &mut work)?);
            }
            observations = work.observations;
            let events = take::evaluate(&mut work, alerts, now);
            let live = events::write_latest(conn, memory, take::newest_live(work), &*alerts)?;
            Ok(((outcomes, live), events))
        })?;
        self.since_checkpoint = self.since_checkpoint.saturating_add(observations);
        Ok(Committed { batches: outcomes, events, live })
    }

    fn take_deadlines(&mut self, alerts: &mut dyn AlertSink, now: Timestamp) -> Result<Committed, StoreError> {
        let ((), events) = self.whole_with_alerts(alerts, now, |_, _, alerts| Ok(((), alerts.deadlines(now))))?;
        Ok(Committed { events, ..Committed::default() })
    }

    fn hub_connected(
        &mut self,
        hub: HubId,
        connected: bool,
        alerts: &mut dyn AlertSink,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let ((), events) =
            self.whole_with_alerts(alerts, now, |_, _, alerts| Ok(((), alerts.hub_connected(hub, connected, now))))?;
        Ok(Committed { events, ..Committed::default() })
    }

    fn restore_alerts(&mut self, alerts: &mut dyn AlertSink) -> Result<Option<Timestamp>, StoreError> {
        let time = events::restore(&self.conn, alerts)?;
        alerts.commit();
        Ok(time)
    }

    fn stream(&mut self, hub: HubId, stream: StreamId) -> Result<Option<NewStream>, StoreError> {
        streams::opening(&self.conn, hub, stream)
    }

    fn identities(&mut self, hub: HubId) -> Result<Vec<IdentityKey>, StoreError> {
        hubs::identities(&self.conn, hub)
    }

    fn hub_admitted(&mut self, hub: HubId, certificate_serial: &str) -> Result<bool, StoreError> {
        hubs::admitted(&self.conn, hub, certificate_serial)
    }

    fn revoked(&mut self) -> Result<Vec<Revoked>, StoreError> {
        hubs::revoked(&self.conn)
    }

    fn hub_settings(&mut self, hub: HubId) -> Result<(u64, Vec<BindingInForce>), StoreError> {
        hubs::settings(&self.conn, hub)
    }

    fn patient_add(&mut self, permit: &Permit, patient: &NewPatient, now: Timestamp) -> Result<PatientId, StoreError> {
        self.audited(permit, now, |conn, _, vault| people::add(conn, vault, permit.scope(), patient, now))
    }

    fn patient_list(&mut self, permit: &Permit, now: Timestamp) -> Result<Vec<Patient>, StoreError> {
        self.audited(permit, now, |conn, _, vault| people::list(conn, vault, permit.scope()))
    }

    fn hub_enrol(&mut self, permit: &Permit, hub: &NewHub, now: Timestamp) -> Result<(), StoreError> {
        self.audited(permit, now, |conn, _, _| hubs::enrol(conn, hub, now))
    }

    fn hub_revoke(
        &mut self,
        permit: &Permit,
        hub: HubId,
        compromised: Option<Timestamp>,
        wall: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.audited(permit, now, |conn, _, _| hubs::revoke(conn, hub, compromised, wall))
    }

    fn hub_list(&mut self, permit: &Permit, now: Timestamp) -> Result<Vec<Hub>, StoreError> {
        self.audited(permit, now, |conn, _, _| hubs::list(conn))
    }

    fn bind(
        &mut self,
        permit: &Permit,
        binding: &NewBinding,
        alerts: &mut dyn AlertSink,
        now: Timestamp,
    ) -> Result<(Bound, Committed), StoreError> {
        let result = self.audited(permit, now, |conn, memory, _| {
            let (bound, ended) = hubs::bind(conn, memory, permit.scope(), binding, now)?;
            let mut resources = vec![
                trail::named("hub", binding.hub),
                trail::named("binding", bound.binding),
                trail::named("patient", binding.patient),
            ];
            let mut events = Vec::new();
            if let Some(ended) = ended {
                resources.push(trail::named("ended_binding", ended.binding));
                events.append(&mut alerts.bound(ended.patient, binding.hub, &binding.device, false, now));
            }
            events.append(&mut alerts.bound(binding.patient, binding.hub, &binding.device, true, now));
            let events = events::write(conn, memory, events)?;
            events::write_states(conn, alerts.dirty_states())?;
            Ok(((bound, Committed { events, ..Committed::default() }), resources))
        });
        match result {
            Ok(_) => alerts.commit(),
            Err(_) => alerts.roll_back(),
        }
        result
    }

    fn token_create(&mut self, permit: &Permit, token: &NewToken, now: Timestamp) -> Result<(), StoreError> {
        self.audited(permit, now, |conn, _, _| people::token_create(conn, token, now))
    }

    fn token_revoke(&mut self, permit: &Permit, token: TokenId, now: Timestamp) -> Result<(), StoreError> {
        self.audited(permit, now, |conn, _, _| people::token_revoke(conn, token, now))
    }

    fn token_actor(
        &mut self,
        token: TokenId,
        secret_hash: &[u8; 32],
        wall: Timestamp,
        now: Timestamp,
    ) -> Result<Option<(Actor, Timestamp)>, StoreError> {
        let found = people::actor(&self.conn, token, secret_hash, (wall, now))?;
        if found.is_none() {
            self.refusals.add(token);
            self.note_refusals(now)?;
        }
        Ok(found)
    }

    fn feed_snapshot(&mut self, permit: &Permit, now: Timestamp) -> Result<Snapshot, StoreError> {
        self.audited(permit, now, |conn, _, _| {
            let snapshot = events::snapshot(conn, permit.scope())?;
            let resources = vec![trail::named("cursor", snapshot.cursor.0)];
            Ok((snapshot, resources))
        })
    }

    fn events_after(
        &mut self,
        permit: &Permit,
        after: EventNumber,
        limit: usize,
        now: Timestamp,
    ) -> Result<EventsAfter, StoreError> {
        self.audited(permit, now, |conn, _, _| {
            let events = events::after(conn, permit.scope(), after, limit.min(EVENTS_PAGE_MAX))?;
            Ok((events, vec![trail::named("after", after.0)]))
        })
    }

    fn counts(&mut self, permit: &Permit, now: Timestamp) -> Result<Counts, StoreError> {
        self.audited(permit, now, |conn, _, _| Ok((counting::counts(conn)?, Vec::new())))
    }

    fn audit_verify(&mut self, permit: &Permit, now: Timestamp) -> Result<AuditVerdict, StoreError> {
        self.audited(permit, now, |conn, _, _| Ok((trail::verify(conn)?, Vec::new())))
    }

    fn refused(&mut self, actor: &Actor, action: Action, now: Timestamp) -> Result<(), StoreError> {
        self.note(Some(AuditOutcome::Refused), actor, action, now)
    }

    fn wall_stepped(&mut self, by_ms: i64, now: Timestamp) -> Result<(), StoreError> {
        let resources = vec![trail::named("by_ms", by_ms)];
        self.whole(now, |conn, memory| trail::fact(conn, memory, "wall_clock_stepped", resources, now))
    }

    fn backup(&mut self, permit: &Permit, now: Timestamp) -> Result<BackupSource, StoreError> {
        // The look is noted first, so that the copy holds it too.
        let store = self.store;
        self.audited(permit, now, |_, _, _| Ok(((), vec![trail::named("store", store)])))?;
        let file = self.conn.path().ok_or(StoreError::Unknown("the store's file"))?.into();
        Ok(BackupSource { file, store })
    }

    fn reload(&mut self, permit: &Permit, certificate: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
        match certificate {
            Some(sha256) => self.audited(permit, now, |_, _, _| Ok(((), vec![trail::named("certificate", sha256)]))),
            None => self.note(Some(AuditOutcome::Rejected), permit.actor(), permit.action(), now),
        }
    }
}
