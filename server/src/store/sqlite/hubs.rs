//! Hubs, their keys and certificates, and their bindings.

use rusqlite::{Connection, OptionalExtension, params};
use shared::id::{BindingId, DeviceId, HubId, PatientId};
use shared::time::Timestamp;
use shared::wire::{BINDINGS_MAX, BindingInForce};

use super::memory::Memory;
use super::people::random_id;
use super::rows::{Corrupt, count, failed};
use super::trail::{Failure, named};
use crate::access::Scope;
use crate::provisioning::authority::Revoked;
use crate::store::{Bound, Conflict, Hub, HubFinding, IdentityKey, NewBinding, NewHub, StoreError};

/// Enrols a hub, or gives an enrolled one a further certificate for the key it has. The key's span then begins at the
/// earlier beginning: the first certificate may have been made while the wall clock was ahead.
pub(super) fn enrol(conn: &Connection, new: &NewHub, now: Timestamp) -> Result<((), Vec<String>), Failure> {
    let hub = new.hub.as_bytes();
    let revoked: Option<Option<i64>> = conn
        .query_row("SELECT revoked FROM hub WHERE hub = ?1", params![hub], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    let same_key: bool = conn
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM identity_key WHERE hub = ?1 AND identity = ?2 AND compromised IS NULL)",
            params![hub, new.identity],
            |row| row.get(0),
        )
        .map_err(failed)?;
    if revoked == Some(None) && !same_key {
        return Err(StoreError::Conflict(Conflict::HubEnrolled).into());
    }
    conn.execute(
        "INSERT INTO hub (hub, label, enrolled, settings_counter) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT (hub) DO UPDATE SET label = excluded.label, revoked = NULL",
        params![hub, new.label, now.as_millis()],
    )
    .map_err(failed)?;
    let (from, until) = (new.not_before.as_millis(), new.not_after.as_millis());
    conn.execute(
        "INSERT INTO identity_key (hub, identity, not_before, not_after) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (hub, identity) DO UPDATE SET not_before = min(not_before, excluded.not_before),
           not_after = excluded.not_after",
        params![hub, new.identity, from, until],
    )
    .map_err(failed)?;
    conn.execute(
        "INSERT INTO certificate (serial, hub, der, not_before, not_after) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![new.serial, hub, new.certificate, from, until],
    )
    .map_err(failed)?;
    Ok(((), vec![named("hub", new.hub), named("certificate", &new.serial)]))
}

/// Takes a hub's certificates back and ends its keys' spans, by the wall clock like those spans.
pub(super) fn revoke(
    conn: &Connection,
    hub: HubId,
    compromised: Option<Timestamp>,
    wall: Timestamp,
) -> Result<((), Vec<String>), Failure> {
    let sql = "UPDATE hub SET revoked = ?2 WHERE hub = ?1 AND revoked IS NULL";
    if conn.execute(sql, params![hub.as_bytes(), wall.as_millis()]).map_err(failed)? == 0 {
        return Err(StoreError::Unknown("an enrolled hub of this id").into());
    }
    conn.execute(
        "UPDATE certificate SET revoked = ?2 WHERE hub = ?1 AND revoked IS NULL",
        params![hub.as_bytes(), wall.as_millis()],
    )
    .map_err(failed)?;
    conn.execute(
        "UPDATE identity_key SET not_after = min(not_after, ?2), compromised = coalesce(compromised, ?3) WHERE hub = ?1",
        params![hub.as_bytes(), wall.as_millis(), compromised.map(Timestamp::as_millis)],
    )
    .map_err(failed)?;
    let mut resources = vec![named("hub", hub)];
    resources.extend(compromised.map(|since| named("compromised_since", since)));
    Ok(((), resources))
}

pub(super) fn admitted(conn: &Connection, hub: HubId, serial: &str) -> Result<bool, StoreError> {
    conn.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM certificate c JOIN hub h USING (hub)
         WHERE c.serial = ?2 AND c.hub = ?1 AND c.revoked IS NULL AND h.revoked IS NULL)",
    )
    .and_then(|mut query| query.query_row(params![hub.as_bytes(), serial], |row| row.get(0)))
    .map_err(failed)
}

/// Certificates that were taken back, expired ones too.
pub(super) fn revoked(conn: &Connection) -> Result<Vec<Revoked>, StoreError> {
    let sql = "SELECT c.serial, c.revoked,
                 EXISTS (SELECT 1 FROM identity_key k WHERE k.hub = c.hub AND k.compromised IS NOT NULL)
               FROM certificate c WHERE c.revoked IS NOT NULL ORDER BY c.revoked";
    let mut query = conn.prepare(sql).map_err(failed)?;
    let rows = query.query_map([], |row| {
        let at = Timestamp::from_millis(row.get(1)?);
        Ok(Revoked { serial: row.get(0)?, at, compromised: row.get(2)? })
    });
    rows.map_err(failed)?.map(|row| row.map_err(failed)).collect()
}

pub(super) fn identities(conn: &Connection, hub: HubId) -> Result<Vec<IdentityKey>, StoreError> {
    let sql = "SELECT identity, not_before, not_after, compromised FROM identity_key WHERE hub = ?1
               ORDER BY not_before DESC, not_after DESC";
    let mut query = conn.prepare_cached(sql).map_err(failed)?;
    let rows = query.query_map(params![hub.as_bytes()], |row| {
        Ok(IdentityKey {
            identity: row.get(0)?,
            not_before: Timestamp::from_millis(row.get(1)?),
            not_after: Timestamp::from_millis(row.get(2)?),
            compromised: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis),
        })
    });
    rows.map_err(failed)?.map(|row| row.map_err(failed)).collect()
}

fn in_force(conn: &Connection, hub: HubId) -> Result<Vec<BindingInForce>, StoreError> {
    let sql = "SELECT binding, device, slot FROM binding WHERE hub = ?1 AND ended IS NULL ORDER BY device, slot";
    let mut query = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = query.query(params![hub.as_bytes()]).map_err(failed)?;
    let mut bindings = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let device: String = row.get(1).map_err(failed)?;
        bindings.push(BindingInForce {
            binding: BindingId::from_bytes(row.get(0).map_err(failed)?),
            device: DeviceId::try_from(device).map_err(|_| Corrupt("device"))?,
            slot: row.get(2).map_err(failed)?,
        });
    }
    Ok(bindings)
}

pub(super) fn settings(conn: &Connection, hub: HubId) -> Result<(u64, Vec<BindingInForce>), StoreError> {
    let counter: Option<i64> = conn
        .query_row("SELECT settings_counter FROM hub WHERE hub = ?1", params![hub.as_bytes()], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    Ok((counter.map(count).ok_or(StoreError::Unknown("the hub"))?, in_force(conn, hub)?))
}

pub(super) fn list(conn: &Connection) -> Result<(Vec<Hub>, Vec<String>), Failure> {
    let sql = "SELECT h.hub, h.label, h.revoked IS NOT NULL,
                 coalesce((SELECT max(c.not_after) FROM certificate c WHERE c.hub = h.hub), 0), h.last_stored,
                 h.settings_counter
               FROM hub h ORDER BY h.label, h.hub";
    let mut query = conn.prepare(sql).map_err(failed)?;
    let rows = query
        .query_map([], |row| {
            Ok(Hub {
                hub: HubId::from_bytes(row.get(0)?),
                label: row.get(1)?,
                revoked: row.get(2)?,
                not_after: Timestamp::from_millis(row.get(3)?),
                last_stored: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis),
                settings_counter: count(row.get(5)?),
                bindings: Vec::new(),
                findings: Vec::new(),
            })
        })
        .map_err(failed)?;
    let mut hubs = Vec::new();
    for row in rows {
        let mut hub = row.map_err(failed)?;
        hub.bindings = in_force(conn, hub.hub)?;
        hub.findings = findings(conn, hub.hub)?;
        hubs.push(hub);
    }
    Ok((hubs, Vec::new()))
}

/// What was found about a hub's identity.
fn findings(conn: &Connection, hub: HubId) -> Result<Vec<HubFinding>, StoreError> {
    let sql = "SELECT kind, max(arrived) FROM technical_entry
               WHERE hub = ?1 AND kind IN ('cloned_hub', 'restored_or_cloned_hub') GROUP BY kind ORDER BY kind";
    let mut query = conn.prepare_cached(sql).map_err(failed)?;
    let found = query.query_map(params![hub.as_bytes()], |row| {
        Ok(HubFinding { finding: row.get(0)?, at: Timestamp::from_millis(row.get(1)?) })
    });
    found.and_then(Iterator::collect).map_err(failed)
}

/// A binding that was ended, and whose it was.
pub(super) struct Ended {
    pub(super) binding: BindingId,
    pub(super) patient: PatientId,
}

pub(super) fn bind(
    conn: &Connection,
    memory: &mut Memory,
    scope: &Scope,
    new: &NewBinding,
    now: Timestamp,
) -> Result<(Bound, Option<Ended>), Failure> {
    let (_, bindings) = settings(conn, new.hub)?;
    let known = conn
        .query_row("SELECT 1 FROM patient WHERE patient = ?1", params![new.patient.as_bytes()], |_| Ok(()))
        .optional()
        .map_err(failed)?;
    if known.is_none() {
        return Err(StoreError::Unknown("the patient").into());
    }
    if !scope.covers(&memory.ward(conn, new.patient)?) {
        return Err(Failure::out_of_scope("the patient"));
    }
    let ended = end_earlier(conn, memory, scope, new, now)?;
    if ended.is_none() && bindings.len() >= BINDINGS_MAX {
        return Err(StoreError::OverLimit("bindings of one hub").into());
    }
    let binding = BindingId::from_bytes(random_id()?);
    conn.execute(
        "INSERT INTO binding (binding, hub, device, slot, patient, began) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            binding.as_bytes(),
            new.hub.as_bytes(),
            new.device.as_str(),
            new.slot,
            new.patient.as_bytes(),
            now.as_millis()
        ],
    )
    .map_err(failed)?;
    // Never below the time: a store restored from a backup would give out a counter the hub has seen, and refuses.
    let sql = "UPDATE hub SET settings_counter = max(settings_counter + 1, ?2) WHERE hub = ?1";
    conn.execute(sql, params![new.hub.as_bytes(), now.as_millis()]).map_err(failed)?;
    memory.forget_bindings();
    let (settings_counter, _) = settings(conn, new.hub)?;
    let bound = Bound { binding, ended: ended.as_ref().map(|ended| ended.binding), settings_counter };
    Ok((bound, ended))
}

/// Ends the binding the device and slot had, if its patient is in scope too.
fn end_earlier(
    conn: &Connection,
    memory: &mut Memory,
    scope: &Scope,
    new: &NewBinding,
    now: Timestamp,
) -> Result<Option<Ended>, Failure> {
    let sql = "SELECT binding, patient FROM binding
               WHERE hub = ?1 AND device = ?2 AND slot IS ?3 AND ended IS NULL";
    let earlier = conn
        .query_row(sql, params![new.hub.as_bytes(), new.device.as_str(), new.slot], |row| {
            let (binding, patient) = (BindingId::from_bytes(row.get(0)?), PatientId::from_bytes(row.get(1)?));
            Ok(Ended { binding, patient })
        })
        .optional()
        .map_err(failed)?;
    let Some(earlier) = earlier else { return Ok(None) };
    if earlier.patient == new.patient {
        return Err(StoreError::Conflict(Conflict::AlreadyBound).into());
    }
    if !scope.covers(&memory.ward(conn, earlier.patient)?) {
        return Err(Failure::out_of_scope("the patient the device is bound to"));
    }
    conn.execute(
        "UPDATE binding SET ended = ?2 WHERE binding = ?1",
        params![earlier.binding.as_bytes(), now.as_millis()],
    )
    .map_err(failed)?;
    Ok(Some(earlier))
}
