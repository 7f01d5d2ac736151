//! What becomes of the connection after an I/O error.
//!
//! A sync that failed says nothing about which octets are on the disk, and the kernel may hold them to be clean: a
//! later sync that succeeds need not have written them. What was committed before that sync was synced then, and is
//! safe; what the failed transaction left in the log is not, and with it in place a later commit could be lost with
//! everything after it when power fails. So nothing is committed behind it. Before the next transaction, everything
//! that *was* committed is copied out of the log into the store's file and synced there, and the log is emptied, which
//! takes the failed transaction's rest away; then the file is opened anew, and the old connection with its cache is
//! closed. Until all of that succeeds every transaction is refused, so nothing is receipted and `/readyz` says why.
//!
//! Until the next sync of the log a power cut may still bring the failed transaction back. Then it is committed at the
//! start, before the alert engine reads the store, and batches in it are known by their tags; a change that a person was
//! told had failed may then be found done.
//!
//! The process does not end instead: it could not start on a disk that fails, and nobody would be told why. Emptying
//! the log first is what makes going on safe: the alert engine has taken the failed transaction back, and reading the
//! log again would find its frames whole and commit it behind the engine's back. A process that dies in between starts
//! with all of it from the disk, copies the log out in the same way, and hubs send again what was not receipted.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::memory::Memory;
use super::rows::failed;
use super::{SqliteStore, schema};
use crate::store::StoreError;

/// The log cannot be emptied now.
#[derive(Debug, thiserror::Error)]
#[error(
    "the store's log cannot be emptied while another program reads the store; end that program, or wait for the backup"
)]
struct ReadElsewhere;

/// Copies everything committed into the store's file, synced, and empties the log. `false` if somebody reads it.
pub(super) fn settle(conn: &Connection) -> Result<bool, StoreError> {
    let busy: i64 = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed)?;
    Ok(busy == 0)
}

/// Whether nobody knows what is on the disk after this error.
fn is_doubtful(error: &StoreError) -> bool {
    let (StoreError::Unavailable(source) | StoreError::Unreadable(source)) = error else { return false };
    let code = source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::CannotOpen))
}

impl SqliteStore {
    /// After a transaction failed: what memory holds of it is forgotten, and after an I/O error the connection is not
    /// used for another one.
    pub(super) fn doubt(&mut self, error: &StoreError) {
        self.memory = Memory::default();
        self.doubtful |= is_doubtful(error);
    }

    /// Before a transaction: after an I/O error the log is emptied and the file opened anew.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] while that fails: nothing may be committed.
    pub(super) fn sound(&mut self) -> Result<(), StoreError> {
        if !self.doubtful {
            return Ok(());
        }
        if !settle(&self.conn)? {
            return Err(StoreError::Unavailable(Box::new(ReadElsewhere)));
        }
        let file = self.conn.path().ok_or(StoreError::Unknown("the store's file"))?;
        let fresh = Connection::open(Path::new(file)).map_err(failed)?;
        schema::prepare(&fresh)?;
        // Nothing is left in the log for the old one to do when it is closed.
        self.conn = fresh;
        self.memory = Memory::default();
        self.doubtful = false;
        tracing::warn!("after an I/O error the store's log was emptied and its file opened anew; look at the disk");
        Ok(())
    }
}
