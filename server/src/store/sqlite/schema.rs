//! The tables, and how a file becomes a store.

use rusqlite::{Connection, OptionalExtension, params};
use shared::id::StoreId;
use shared::time::Timestamp;

use super::rows::{Corrupt, failed};
use crate::store::StoreError;

/// Marks the file as ours: `RPMS`.
const APPLICATION_ID: i32 = 0x5250_4D53;

/// How long a transaction waits for another program that writes to the store.
pub(super) const BUSY_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// One step for each version; a store of version n has had the first n.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// A file that is not a store this build can use.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotOurs {
    #[error("the file is an SQLite database of something else (application id {0}); give the right data folder")]
    Application(i32),
    #[error("the store has schema version {found}, this build knows {known}; run the build that wrote it")]
    Version { found: i64, known: usize },
    #[error("the store's {0} is {1}, which could lose receipted data; it must not be changed")]
    Setting(&'static str, String),
}

fn not_ours(why: NotOurs) -> StoreError {
    StoreError::Unreadable(Box::new(why))
}

/// Sets what each connection needs and checks that it took.
pub(super) fn prepare(conn: &Connection) -> Result<(), StoreError> {
    conn.busy_timeout(BUSY_MAX).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(96);
    // No automatic checkpoint: SQLite would not say that it failed. See `sound.rs`.
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -65536; PRAGMA trusted_schema = OFF;
         PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;",
    )
    .map_err(failed)?;
    let mode: String = conn.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(not_ours(NotOurs::Setting("journal_mode", mode)));
    }
    let synchronous = synchronous(conn)?;
    if synchronous != 2 {
        return Err(not_ours(NotOurs::Setting("synchronous", synchronous.to_string())));
    }
    let foreign: i64 = conn.query_row("PRAGMA foreign_keys", [], |row| row.get(0)).map_err(failed)?;
    if foreign != 1 {
        return Err(not_ours(NotOurs::Setting("foreign_keys", foreign.to_string())));
    }
    Ok(())
}

/// How the connection syncs: 2 is FULL.
pub(super) fn synchronous(conn: &Connection) -> Result<i64, StoreError> {
    conn.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(failed)
}

/// Brings the file to this build's version, or refuses it. A new file becomes a store with this id.
pub(super) fn migrate(conn: &Connection, fresh: StoreId, now: Timestamp) -> Result<(), StoreError> {
    let application: i32 = conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION_ID && !(application == 0 && tables == 0) {
        return Err(not_ours(NotOurs::Application(application)));
    }
    let version: i64 = if tables == 0 { 0 } else { version(conn)? };
    let had = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(missing) = MIGRATIONS.get(had..) else {
        return Err(not_ours(NotOurs::Version { found: version, known: MIGRATIONS.len() }));
    };
    let tx = conn.unchecked_transaction().map_err(failed)?;
    for (step, sql) in missing.iter().enumerate() {
        tx.execute_batch(sql).map_err(failed)?;
        let number = had.saturating_add(step).saturating_add(1);
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        tx.execute("INSERT INTO schema_version (version, applied) VALUES (?1, ?2)", params![number, now.as_millis()])
            .map_err(failed)?;
    }
    if had == 0 {
        tx.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}")).map_err(failed)?;
        tx.execute("INSERT INTO meta (id, store, engine_time) VALUES (1, ?1, NULL)", params![fresh.as_bytes()])
            .map_err(failed)?;
    }
    tx.commit().map_err(failed)
}

fn version(conn: &Connection) -> Result<i64, StoreError> {
    conn.query_row("SELECT max(version) FROM schema_version", [], |row| row.get::<_, Option<i64>>(0))
        .optional()
        .map_err(failed)?
        .flatten()
        .ok_or_else(|| Corrupt("the schema's version").into())
}

/// The store's id.
pub(super) fn store_id(conn: &Connection) -> Result<StoreId, StoreError> {
    let bytes: [u8; 16] =
        conn.query_row("SELECT store FROM meta WHERE id = 1", [], |row| row.get(0)).map_err(failed)?;
    Ok(StoreId::from_bytes(bytes))
}
