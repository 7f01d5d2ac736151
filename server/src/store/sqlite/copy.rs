//! The copy that a backup seals, made through a connection of its own: the store's owner goes on meanwhile.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::rows::failed;
use crate::store::backup::{BackupError, Recipient, seal};
use crate::store::{BackupSource, StoreError};

/// What the name of a copy has beyond the store's own.
const MARK: &str = ".backup-";

/// Copies the store beside itself, readable by its owner alone, seals the copy to the recipient and removes it. Takes
/// long: for a thread that nobody waits for. One at a time for each store.
///
/// # Errors
/// [`StoreError::Unavailable`] if it cannot be copied, sealed or written; then no backup is there.
pub fn copy_out(source: &BackupSource, to: &Path, recipient: &Recipient) -> Result<(), StoreError> {
    let unavailable = |error: BackupError| StoreError::Unavailable(Box::new(error));
    // Only reads: SQLite's write-ahead log lets the owner commit meanwhile, and the copy is of one moment.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&source.file, flags).map_err(failed)?;
    let copy = beside(&source.file);
    runtime::files::write_atomically(&copy, &[], 0o600).map_err(|error| unavailable(error.into()))?;
    let copied = match copy.to_str() {
        Some(name) => conn.execute("VACUUM INTO ?1", params![name]).map(|_| ()).map_err(failed),
        None => Err(StoreError::Unknown("a name in UTF-8 for the copy of the store")),
    };
    let sealed = copied.and_then(|()| seal(&copy, to, source.store, recipient).map_err(unavailable));
    let removed = std::fs::remove_file(&copy).map_err(|error| unavailable(error.into()));
    sealed.and(removed)
}

fn beside(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(format!("{MARK}{}", std::process::id()));
    name.into()
}

/// Removes copies that a backup cut short left beside the store: they are not sealed. Whoever opens the store holds
/// its lock, so none of them is being written.
pub(super) fn remove_leftovers(store: &Path) -> std::io::Result<()> {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(stem) = store.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let prefix = format!("{stem}{MARK}");
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix)) {
            std::fs::remove_file(entry.path())?;
            tracing::warn!("removed the copy that an unfinished backup left beside the store");
        }
    }
    Ok(())
}
