//! What becomes of the log: when it is written back, and what becomes of the connection after an I/O error.
//!
//! After a commit that leaves a long log behind, and in idle moments, what is committed is copied into the store's file
//! by our own hand: SQLite's automatic checkpoint does not say that it failed. A failed one takes nothing away, because
//! the log keeps what is not known to be in the file; it is logged once, counted, and after an I/O error nothing more is
//! committed until the log could be emptied.
//!
//! A sync that failed says nothing about which octets are on the disk, and the kernel may hold them to be clean: a
//! later sync that succeeds need not have written them. What was committed before that sync was synced then, and is
//! safe; what the failed transaction left in the log is not, and with it in place a later commit could be lost with
//! everything after it when power fails. So nothing is committed behind it. Before the next transaction, everything
//! that *was* committed is copied out of the log into the store's file and synced there, and the log is emptied, which
//! takes the failed transaction's rest away; the emptied log is synced; then the file is opened anew, and the old
//! connection with its cache is closed. Until all of that succeeds every transaction is refused, so nothing is receipted
//! and `/readyz` says why. Nobody is waited for, because the store's thread has nobody else: while another program reads
//! the store, transactions are refused at once, and the log is tried again after [`SETTLE_RETRY`].
//!
//! Until the emptied log is synced a power cut may still bring the failed transaction back. Then it is committed at the
//! start, before the alert engine reads the store, and batches in it are known by their tags; a change that a person was
//! told had failed may then be found done.
//!
//! The process does not end instead: it could not start on a disk that fails, and nobody would be told why. Emptying
//! the log first is what makes going on safe: the alert engine has taken the failed transaction back, and reading the
//! log again would find its frames whole and commit it behind the engine's back. A process that dies in between starts
//! with all of it from the disk, copies the log out in the same way, and hubs send again what was not receipted.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use shared::time::Timestamp;

use super::memory::Memory;
use super::rows::failed;
use super::{SqliteStore, schema};
use crate::limits::{SETTLE_RETRY, WAL_PAGES_MAX};
use crate::store::StoreError;
use crate::store::health::chain;

/// The log cannot be emptied now.
#[derive(Debug, thiserror::Error)]
enum NotSettled {
    #[error(
        "the store's log cannot be emptied while another program reads the store; end that program, or wait for the \
         backup"
    )]
    ReadElsewhere,
    #[error("the store's log could not be emptied a moment ago; it is tried again within a second")]
    NotYet,
}

impl From<NotSettled> for StoreError {
    fn from(why: NotSettled) -> Self {
        Self::Unavailable(Box::new(why))
    }
}

/// What is known of the log and the connection.
#[derive(Debug)]
pub(super) struct Log {
    /// An I/O error happened: the connection is not to be trusted with another transaction.
    doubtful: bool,
    /// When emptying the log last failed.
    not_settled: Option<Timestamp>,
    /// Pages in the log after the last commit, told by SQLite.
    pages: Arc<AtomicU32>,
    /// From how many on it is written back.
    pub(super) pages_max: u32,
    /// The last checkpoint failed.
    fails: bool,
    failed: u64,
}

impl Log {
    /// Empties the log of a connection that was just opened, if nobody reads it; else that is done before the first
    /// transaction.
    pub(super) fn open(conn: &mut Connection) -> Result<Self, StoreError> {
        let (doubtful, pages) = (!settle(conn)?, Arc::default());
        let log = Self { doubtful, not_settled: None, pages, pages_max: WAL_PAGES_MAX, fails: false, failed: 0 };
        log.watch(conn)?;
        Ok(log)
    }

    /// How many checkpoints failed.
    pub(super) const fn failed(&self) -> u64 {
        self.failed
    }

    /// Has SQLite tell how long the log is after each commit of this connection.
    fn watch(&self, conn: &mut Connection) -> Result<(), StoreError> {
        let pages = Arc::clone(&self.pages);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count: std::ffi::c_int| {
            pages.store(count.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(failed)
    }

    /// Whether emptying the log failed so short a time ago that it is not tried.
    fn waits(&self, now: Timestamp) -> bool {
        self.not_settled.is_some_and(|failed| failed <= now && now < failed.after(SETTLE_RETRY))
    }

    /// Counts a checkpoint that failed; says once that it did, and why, and once that one succeeded again.
    fn note_checkpoint(&mut self, error: Option<&StoreError>) {
        let before = std::mem::replace(&mut self.fails, error.is_some());
        match error {
            Some(error) => {
                self.failed = self.failed.saturating_add(1);
                if !before {
                    tracing::error!(
                        error = chain(error),
                        "the store's log could not be written back into its file: nothing is lost, the log grows; \
                         make room on the disk or mend it, the server goes on by itself"
                    );
                }
            }
            None if before => tracing::info!("the store's log is written back again"),
            None => {}
        }
    }
}

/// Copies everything committed into the store's file, synced, and empties the log. `false` if somebody reads it; nobody
/// is waited for.
fn settle(conn: &Connection) -> Result<bool, StoreError> {
    conn.busy_timeout(Duration::ZERO).map_err(failed)?;
    let busy = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map_err(failed);
    conn.busy_timeout(schema::BUSY_MAX).map_err(failed)?;
    Ok(busy? == 0)
}

/// The log of a store.
fn log_of(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Whether nobody knows what is on the disk after this error.
fn is_doubtful(error: &StoreError) -> bool {
    let (StoreError::Unavailable(source) | StoreError::Unreadable(source)) = error else { return false };
    let code = source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::CannotOpen))
}

impl SqliteStore {
    /// How the store syncs its commits: 2 is SQLite's FULL.
    ///
    /// # Errors
    /// The store's.
    pub fn synchronous(&self) -> Result<i64, StoreError> {
        schema::synchronous(&self.conn)
    }

    /// After a transaction: what memory holds of a failed one is forgotten, and after an I/O error the connection is not
    /// used for another one; a log that a commit left long is written back.
    pub(super) fn after(&mut self, error: Option<&StoreError>) {
        match error {
            Some(error) => self.doubt(error),
            None if self.log.pages.load(Ordering::Relaxed) >= self.log.pages_max => self.write_back(),
            None => {}
        }
    }

    /// See [`SqliteStore::after`].
    pub(super) fn doubt(&mut self, error: &StoreError) {
        self.memory = Memory::default();
        self.log.doubtful |= is_doubtful(error);
    }

    /// Copies what is committed into the store's file, as far as nobody reads what was there before. What it would have
    /// been good for is still done if it fails; the log says it, and an I/O error makes the connection doubtful.
    pub(super) fn write_back(&mut self) {
        self.log.pages.store(0, Ordering::Relaxed);
        let result = self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).map_err(failed);
        self.log.note_checkpoint(result.as_ref().err());
        if let Err(error) = &result {
            self.doubt(error);
        }
    }

    /// Before a transaction: after an I/O error the log is emptied and the file opened anew.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] while that fails: nothing may be committed. For a second after it failed it is not
    /// tried.
    pub(super) fn sound(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if !self.log.doubtful {
            return Ok(());
        }
        if self.log.waits(now) {
            return Err(NotSettled::NotYet.into());
        }
        self.log.not_settled = Some(now);
        self.open_anew()?;
        self.log.not_settled = None;
        self.log.doubtful = false;
        self.log.note_checkpoint(None);
        tracing::warn!("after an I/O error the store's log was emptied and its file opened anew; look at the disk");
        Ok(())
    }

    fn open_anew(&mut self) -> Result<(), StoreError> {
        if !settle(&self.conn)? {
            return Err(NotSettled::ReadElsewhere.into());
        }
        let file = self.conn.path().ok_or(StoreError::Unknown("the store's file"))?;
        // SQLite empties the log without syncing it. It holds no lock on the log that closing this would let go of.
        let synced = File::open(log_of(Path::new(file))).and_then(|log| log.sync_all());
        synced.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
        let mut fresh = Connection::open(Path::new(file)).map_err(failed)?;
        schema::prepare(&fresh)?;
        self.log.watch(&mut fresh)?;
        // Nothing is left in the log for the old one to do when it is closed.
        self.conn = fresh;
        self.memory = Memory::default();
        Ok(())
    }
}
