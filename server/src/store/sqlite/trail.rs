//! The audit trail in the store.

use rusqlite::{Connection, OptionalExtension, params};
use shared::time::Timestamp;

use super::memory::Memory;
use super::rows::{Corrupt, count, failed};
use crate::access::{Action, Actor};
use crate::audit::chain::{self, Link, Verifier};
use crate::audit::{AuditEntry, AuditOutcome};
use crate::store::{AuditVerdict, StoreError};

/// Why an audited method did nothing, and how its audit entry words it.
pub(super) struct Failure {
    pub(super) error: StoreError,
    pub(super) outcome: Option<AuditOutcome>,
}

impl Failure {
    /// It is there, but not for this actor: they hear the same as if it were not.
    pub(super) fn out_of_scope(what: &'static str) -> Self {
        Self { error: StoreError::Unknown(what), outcome: Some(AuditOutcome::OutOfScope) }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let outcome = match &error {
            StoreError::Unknown(_) => Some(AuditOutcome::Unknown),
            StoreError::Conflict(_) | StoreError::OverLimit(_) => Some(AuditOutcome::Rejected),
            StoreError::Unavailable(_) | StoreError::Unreadable(_) => None,
        };
        Self { error, outcome }
    }
}

/// The action's name in the trail.
pub(super) fn name(action: Action) -> String {
    match serde_json::to_value(action) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => format!("{action:?}"),
    }
}

/// Appends an entry.
pub(super) fn append(
    conn: &Connection,
    memory: &mut Memory,
    actor: &Actor,
    action: String,
    resources: Vec<String>,
    outcome: AuditOutcome,
    at: Timestamp,
) -> Result<(), StoreError> {
    let entry = AuditEntry { at, actor: actor.clone(), action, resources, outcome };
    let content = serde_json::to_vec(&entry).map_err(|_| Corrupt("audit entry"))?;
    let (number, previous) = match memory.audit_head {
        Some(head) => head,
        None => head(conn)?,
    };
    let number = number.saturating_add(1);
    let hash = chain::link(&previous, number, &content);
    conn.prepare_cached("INSERT INTO audit (number, content, hash) VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            insert.execute(params![number, content, hash.as_slice()])
        })
        .map_err(failed)?;
    memory.audit_head = Some((number, hash));
    Ok(())
}

/// Appends a technical fact: the server itself did or saw it.
pub(super) fn fact(
    conn: &Connection,
    memory: &mut Memory,
    action: &str,
    resources: Vec<String>,
    at: Timestamp,
) -> Result<(), StoreError> {
    append(conn, memory, &Actor::System, action.to_owned(), resources, AuditOutcome::Done, at)
}

fn head(conn: &Connection) -> Result<(u64, Link), StoreError> {
    let row = conn
        .query_row("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()
        .map_err(failed)?;
    // A hash of another length was tampered with: the chain is broken there and goes on from its start.
    Ok(row.map_or((0, chain::START), |(number, hash)| (count(number), hash.try_into().unwrap_or(chain::START))))
}

/// Checks the whole chain.
pub(super) fn verify(conn: &Connection) -> Result<AuditVerdict, StoreError> {
    let mut query = conn.prepare("SELECT number, content, hash FROM audit ORDER BY number").map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    let mut verifier = Verifier::default();
    while let Some(row) = rows.next().map_err(failed)? {
        let number = count(row.get::<_, i64>(0).map_err(failed)?);
        let content = row.get_ref(1).map_err(failed)?.as_bytes_or_null().ok().flatten().unwrap_or_default().to_vec();
        let hash = row.get_ref(2).map_err(failed)?.as_bytes_or_null().ok().flatten().unwrap_or_default();
        verifier.entry(number, &content, hash);
    }
    Ok(AuditVerdict {
        entries: verifier.entries(),
        first_broken: verifier.first_broken(),
        head: shared::hex::encode(verifier.head()),
    })
}

/// Columns that hold an id say so in the trail.
pub(super) fn named(kind: &str, id: impl std::fmt::Display) -> String {
    format!("{kind}:{id}")
}
