//! sled, the only file that names it. What it needs to be durable was measured: its `flush` alone is not, so every
//! sync is `flush` and then `fdatasync` on its file; its own flusher is off; its cache is small; a damaged database
//! may panic while it opens, so it is opened on a thread of its own whose unwinding is caught.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use sled::{Batch, Config, Db, Mode, Tree};

use super::database::{Change, Database, Disk, DiskRefused};

/// Octets of sled's page cache, of each open database.
const CACHE_BYTES: u64 = 1024 * 1024;
/// Octets of a segment, sled's unit of writing; it holds three of them in memory for each open database.
const SEGMENT_BYTES: usize = 128 * 1024;
/// How often, and at what pace, the lock of a database that was just closed is tried: for a second.
const LOCK_TRIES: u32 = 100;
const LOCK_TRIED_EVERY: Duration = Duration::from_millis(10);
/// The one tree.
const TREE: &str = "q";

/// Databases kept by sled.
#[derive(Debug, Clone, Copy, Default)]
pub struct SledDisk;

/// An open sled database.
pub struct SledDatabase {
    db: Db,
    tree: Tree,
    file: File,
}

fn refused(error: sled::Error) -> DiskRefused {
    match error {
        sled::Error::Io(error) => DiskRefused::Io(error),
        sled::Error::Corruption { .. } => DiskRefused::Damaged,
        sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) | sled::Error::ReportableBug(_) => {
            DiskRefused::LibraryFailed
        }
    }
}

/// Removes a snapshot that was being written when the process or the power ended. sled takes it for its newest one, finds
/// it damaged, and opens nothing; the one before it is there until it is whole and has its name.
fn remove_unfinished_snapshots(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let is_unfinished = |name: &str| name.starts_with("snap.") && name.ends_with(".generating");
        if entry.file_name().to_str().is_some_and(is_unfinished) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Waits for the lock of a database that this process closed a moment ago: sled's threads let go of it when they are done,
/// which may be after its handle is gone.
fn await_lock(folder: &Path) -> io::Result<()> {
    let file = match File::open(folder.join("db")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for _ in 0..LOCK_TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // sled takes it for itself; a failure is seen there.
            Ok(()) => return Ok(flock(&file, FlockOperation::Unlock)?),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_TRIED_EVERY),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn open_here(folder: &Path) -> Result<SledDatabase, DiskRefused> {
    await_lock(folder)?;
    remove_unfinished_snapshots(folder)?;
    let db = Config::new()
        .path(folder)
        .cache_capacity(CACHE_BYTES)
        .segment_size(SEGMENT_BYTES)
        .flush_every_ms(None)
        .mode(Mode::LowSpace)
        .open()
        .map_err(refused)?;
    let tree = db.open_tree(TREE).map_err(refused)?;
    db.flush().map_err(refused)?;
    // sled never syncs its settings, and opens nothing whose settings it cannot read.
    File::open(folder.join("conf"))?.sync_all()?;
    let file = File::open(folder.join("db"))?;
    file.sync_all()?;
    sync_folder(folder)?;
    if let Some(parent) = folder.parent() {
        sync_folder(parent)?;
    }
    Ok(SledDatabase { db, tree, file })
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl Disk for SledDisk {
    type Database = SledDatabase;

    fn open(&self, folder: &Path) -> Result<SledDatabase, DiskRefused> {
        std::fs::create_dir_all(folder)?;
        let folder: PathBuf = folder.to_owned();
        // Unwinding ends this thread only; joining tells.
        let opening = std::thread::Builder::new().name("queue-open".into()).spawn(move || open_here(&folder))?;
        opening.join().unwrap_or(Err(DiskRefused::Damaged))
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let space = rustix::fs::statvfs(folder)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

impl Database for SledDatabase {
    fn write(&mut self, changes: Vec<Change>) -> Result<(), DiskRefused> {
        let mut batch = Batch::default();
        for change in changes {
            match change {
                Change::Put(key, value) => batch.insert(key, value),
                Change::Remove(key) => batch.remove(key),
            }
        }
        self.tree.apply_batch(batch).map_err(refused)
    }

    fn sync(&mut self) -> Result<(), DiskRefused> {
        self.db.flush().map_err(refused)?;
        self.file.sync_data()?;
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskRefused> {
        Ok(self.tree.get(key).map_err(refused)?.map(|value| value.to_vec()))
    }

    fn scan(&self, from: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), DiskRefused> {
        for row in self.tree.range(from..) {
            let (key, value) = row.map_err(refused)?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_closing_and_come_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = SledDisk.open(&folder.path().join("a")).unwrap();
        let put = |key: u8| Change::Put(vec![key], vec![key; 3]);
        database.write(vec![put(3), put(1), put(2)]).unwrap();
        database.write(vec![Change::Remove(vec![2])]).unwrap();
        database.sync().unwrap();
        drop(database);
        let database = SledDisk.open(&folder.path().join("a")).unwrap();
        let mut seen: Vec<u8> = Vec::new();
        database
            .scan(&[0], &mut |key, _| {
                seen.extend(key);
                true
            })
            .unwrap();
        assert_eq!(seen, [1, 3]);
        assert_eq!(database.get(&[3]).unwrap(), Some(vec![3; 3]));
    }

    #[test]
    fn a_database_that_was_just_closed_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        drop(SledDisk.open(&path).unwrap());
        let file = File::open(path.join("db")).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        let closing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(file);
        });
        assert!(SledDisk.open(&path).is_ok());
        closing.join().unwrap();
    }

    #[test]
    fn a_snapshot_that_was_being_written_is_no_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut database = SledDisk.open(&path).unwrap();
        database.write(vec![Change::Put(vec![1], vec![2])]).unwrap();
        database.sync().unwrap();
        drop(database);
        std::fs::write(path.join("snap.00000000FFFFFFFF.generating"), b"half of on").unwrap();
        let database = SledDisk.open(&path).unwrap();
        assert_eq!(database.get(&[1]).unwrap(), Some(vec![2]));
        drop(database);
        assert!(
            std::fs::read_dir(&path)
                .unwrap()
                .flatten()
                .all(|entry| { !entry.file_name().to_string_lossy().ends_with(".generating") })
        );
    }

    #[test]
    fn damage_is_an_error_and_not_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        drop(SledDisk.open(&path).unwrap());
        std::fs::write(path.join("conf"), b"not a configuration").unwrap();
        assert!(SledDisk.open(&path).is_err());
    }
}
