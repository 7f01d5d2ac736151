//! What the queue asks of a store on disk. `sled_store` is the one in use; tests put failing ones in front of it.

use std::io;
use std::path::Path;

/// One change of a write; a write is applied whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Puts a value under a key.
    Put(Vec<u8>, Vec<u8>),
    /// Removes a key.
    Remove(Vec<u8>),
}

/// Why the disk did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum DiskRefused {
    /// The operating system refused: full, read-only, failing. Free or replace the disk.
    #[error("the disk refused: {0}")]
    Io(#[from] io::Error),
    /// What lies there cannot be read as a database.
    #[error("the database is damaged; it is set aside")]
    Damaged,
    /// The library gave up on the database; it must be opened again.
    #[error("the database library failed; the database is opened again")]
    LibraryFailed,
}

/// An ordered key-value database that can be synced.
pub trait Database: Send {
    /// Applies the changes together. Not durable before [`Self::sync`].
    ///
    /// # Errors
    /// [`DiskRefused`]; the database must then be opened again.
    fn write(&mut self, changes: Vec<Change>) -> Result<(), DiskRefused>;

    /// Makes everything written durable on the device.
    ///
    /// # Errors
    /// [`DiskRefused`]; what was written since the last sync may be gone.
    fn sync(&mut self) -> Result<(), DiskRefused>;

    /// The value of a key.
    ///
    /// # Errors
    /// [`DiskRefused`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskRefused>;

    /// Shows rows in order from `from` on, until `visit` returns false.
    ///
    /// # Errors
    /// [`DiskRefused`].
    fn scan(&self, from: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), DiskRefused>;
}

/// Where databases live.
pub trait Disk: Send + 'static {
    /// Its databases.
    type Database: Database;

    /// Opens a database in this folder, or makes one.
    ///
    /// # Errors
    /// [`DiskRefused::Damaged`] if it cannot be read, else the other causes.
    fn open(&self, folder: &Path) -> Result<Self::Database, DiskRefused>;

    /// Octets free for us on the disk of this folder.
    ///
    /// # Errors
    /// What the operating system says.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// Octets of the files in a folder, not of folders in it.
///
/// # Errors
/// What the operating system says.
pub fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut sum = 0_u64;
    for entry in std::fs::read_dir(folder)? {
        let metadata = entry?.metadata()?;
        if metadata.is_file() {
            sum = sum.saturating_add(metadata.len());
        }
    }
    Ok(sum)
}
