//! One transaction of the store.

use rusqlite::{Connection, Transaction, TransactionBehavior};
use shared::time::Timestamp;

use super::memory::Memory;
use super::rows::failed;
use crate::store::StoreError;

/// Does the work in one transaction and commits it with the engine's time; after an error nothing of it is on the
/// disk, and the memory is to be forgotten.
pub(super) fn attempt<T>(
    conn: &Connection,
    memory: &mut Memory,
    now: Timestamp,
    work: impl FnOnce(&Connection, &mut Memory) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // Rolls back when dropped before its commit.
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate).map_err(failed)?;
    let value = work(&tx, memory)?;
    tx.prepare_cached("UPDATE meta SET engine_time = max(coalesce(engine_time, ?1), ?1) WHERE id = 1")
        .and_then(|mut update| update.execute([now.as_millis()]))
        .map_err(failed)?;
    tx.commit().map_err(failed)?;
    Ok(value)
}
