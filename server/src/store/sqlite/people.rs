//! Patients and bearer tokens.

use rusqlite::{Connection, OptionalExtension, params};
use shared::id::{PatientId, TokenId};
use shared::time::Timestamp;

use super::memory::Memory;
use super::rows::{Corrupt, failed};
use super::trail::{Failure, append, named};
use crate::access::{Actor, Role, Scope, Ward};
use crate::audit::AuditOutcome;
use crate::keys::{KeysError, PatientVault};
use crate::limits::NAME_CHARACTERS_MAX;
use crate::store::{Conflict, NewPatient, NewToken, Patient, StoreError};

fn sealing(error: KeysError) -> StoreError {
    match error {
        KeysError::Entropy(_) => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Unreadable(Box::new(error)),
    }
}

pub(super) fn random_id() -> Result<[u8; 16], StoreError> {
    runtime::entropy::array().map_err(|error| StoreError::Unavailable(Box::new(error)))
}

pub(super) fn add(
    conn: &Connection,
    vault: &PatientVault,
    scope: &Scope,
    new: &NewPatient,
    now: Timestamp,
) -> Result<(PatientId, Vec<String>), Failure> {
    if !scope.covers(&new.ward) {
        return Err(Failure::out_of_scope("the ward"));
    }
    if new.name.chars().count() > NAME_CHARACTERS_MAX || new.born.len() > 10 {
        return Err(StoreError::OverLimit("a patient's name or date of birth").into());
    }
    let lookup = vault.lookup(&new.nhs_number);
    let taken: Option<[u8; 16]> = conn
        .query_row("SELECT patient FROM patient WHERE nhs_lookup = ?1", params![lookup], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    if taken.is_some() {
        return Err(StoreError::Conflict(Conflict::NhsNumberTaken).into());
    }
    let patient = PatientId::from_bytes(random_id()?);
    let (key, wrapped) = vault.create(patient).map_err(sealing)?;
    let seal = |column: &str, text: &str| key.seal(patient, column, text).map_err(sealing);
    let number = zeroize::Zeroizing::new(new.nhs_number.reveal());
    conn.execute(
        "INSERT INTO patient (patient, ward, added, key, nhs_lookup, nhs_number, name, born)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            patient.as_bytes(),
            new.ward.as_str(),
            now.as_millis(),
            wrapped,
            lookup,
            seal("nhs_number", &number)?,
            seal("name", &new.name)?,
            seal("born", &new.born)?
        ],
    )
    .map_err(failed)?;
    Ok((patient, vec![named("patient", patient)]))
}

pub(super) fn list(
    conn: &Connection,
    vault: &PatientVault,
    scope: &Scope,
) -> Result<(Vec<Patient>, Vec<String>), Failure> {
    let sql = "SELECT patient, ward, key, nhs_number, name, born FROM patient ORDER BY added, patient";
    let mut query = conn.prepare(sql).map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let (mut patients, mut resources) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next().map_err(failed)? {
        let ward = Ward::try_from(row.get::<_, String>(1).map_err(failed)?).map_err(|_| Corrupt("ward"));
        let ward = ward.map_err(StoreError::from)?;
        if !scope.covers(&ward) {
            continue;
        }
        let patient = PatientId::from_bytes(row.get(0).map_err(failed)?);
        let blob = |index: usize| row.get::<_, Vec<u8>>(index).map_err(failed);
        let key = vault.unwrap(patient, &blob(2)?).map_err(sealing)?;
        let open = |column, index| {
            let sealed = blob(index)?;
            key.open(patient, column, &sealed).map_err(sealing)
        };
        resources.push(named("patient", patient));
        patients.push(Patient {
            patient,
            nhs_number: open("nhs_number", 3)?,
            name: open("name", 4)?,
            born: open("born", 5)?,
            ward,
        });
    }
    Ok((patients, resources))
}

pub(super) fn token_create(conn: &Connection, new: &NewToken, now: Timestamp) -> Result<((), Vec<String>), Failure> {
    if new.name.is_empty() || new.name.chars().count() > NAME_CHARACTERS_MAX {
        return Err(StoreError::OverLimit("a token's name").into());
    }
    let role = serde_json::to_string(&new.role).map_err(|_| StoreError::from(Corrupt("role")))?;
    let scope = serde_json::to_string(&new.scope).map_err(|_| StoreError::from(Corrupt("scope")))?;
    conn.execute(
        "INSERT INTO token (token, secret_hash, name, role, scope, created, expires, expires_engine)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            new.token.as_bytes(),
            new.secret_hash,
            new.name,
            role,
            scope,
            now.as_millis(),
            new.expires.as_millis(),
            new.expires_engine.as_millis()
        ],
    )
    .map_err(failed)?;
    Ok(((), vec![named("token", new.token)]))
}

pub(super) fn token_revoke(conn: &Connection, token: TokenId, now: Timestamp) -> Result<((), Vec<String>), Failure> {
    let sql = "UPDATE token SET revoked = ?2 WHERE token = ?1 AND revoked IS NULL";
    match conn.execute(sql, params![token.as_bytes(), now.as_millis()]).map_err(failed)? {
        0 => Err(StoreError::Unknown("the token").into()),
        _ => Ok(((), vec![named("token", token)])),
    }
}

/// The actor of a token, and when it expires by the wall clock: the earlier of its two ends, placed on that clock.
pub(super) fn actor(
    conn: &Connection,
    token: TokenId,
    secret_hash: &[u8; 32],
    (wall, now): (Timestamp, Timestamp),
) -> Result<Option<(Actor, Timestamp)>, StoreError> {
    let sql = "SELECT secret_hash, name, role, scope, expires, expires_engine, revoked IS NOT NULL
               FROM token WHERE token = ?1";
    let row = conn
        .query_row(sql, params![token.as_bytes()], |row| {
            let texts = (row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?);
            let left = Timestamp::from_millis(row.get(4)?).since(wall);
            let left = left.min(Timestamp::from_millis(row.get(5)?).since(now));
            Ok((row.get::<_, [u8; 32]>(0)?, texts, left, row.get::<_, bool>(6)?))
        })
        .optional()
        .map_err(failed)?;
    // Compared in any case, so that an unknown token takes as long as a wrong one.
    let (held, found) = row.map_or(([0; 32], None), |(hash, texts, left, revoked)| {
        (hash, (!revoked && !left.is_zero()).then(|| (texts, wall.after(left))))
    });
    let same = crate::keys::same(&held, secret_hash);
    let Some(((name, role, scope), expires)) = found.filter(|_| same) else { return Ok(None) };
    let role: Role = serde_json::from_str(&role).map_err(|_| Corrupt("role"))?;
    let scope: Scope = serde_json::from_str(&scope).map_err(|_| Corrupt("scope"))?;
    Ok(Some((Actor::Bearer { token, name, role, scope }, expires)))
}

/// Notes tokens that were refused.
pub(super) fn tokens_refused(
    conn: &Connection,
    memory: &mut Memory,
    resources: Vec<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    append(conn, memory, &Actor::System, "token_shown".to_owned(), resources, AuditOutcome::Refused, now)
}
