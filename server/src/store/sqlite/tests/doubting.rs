//! After an I/O error.

use rusqlite::ffi::{Error, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE};
use shared::wire::Entry;

use super::*;

fn io_error(extended: i32) -> StoreError {
    StoreError::Unavailable(Box::new(rusqlite::Error::SqliteFailure(Error::new(extended), None)))
}

fn log(world: &World) -> PathBuf {
    world.path().with_extension("sqlite-wal")
}

fn log_bytes(world: &World) -> u64 {
    std::fs::metadata(log(world)).unwrap().len()
}

fn take(world: &mut World, number: u64) -> Result<(), StoreError> {
    take_at(world, number, at(1))
}

fn take_at(world: &mut World, number: u64, now: Timestamp) -> Result<(), StoreError> {
    let entry = Entry::Observation(world.observation(49_000 + number, 80));
    let batch = batch(vec![record(number, 1, vec![entry])]);
    world.store.take(&[batch], &mut world.alerts, now).map(drop)
}

fn seen(reader: &rusqlite::Connection) -> i64 {
    reader.query_row("SELECT count(*) FROM observation", [], |row| row.get(0)).unwrap()
}

#[test]
fn nothing_is_committed_before_the_log_is_emptied_and_the_file_opened_anew() {
    for error in [SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE] {
        let mut world = World::new();
        take(&mut world, 1).unwrap();
        // A setting of the connection alone, by which the old one is known.
        world.store.conn.execute_batch("PRAGMA cache_size = -4096").unwrap();
        world.store.doubt(&io_error(error));
        let reader = rusqlite::Connection::open(world.path()).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM observation").unwrap();
        assert_eq!(seen(&reader), 1);
        assert!(take(&mut world, 2).is_err(), "the log cannot be emptied: nothing may be committed");
        assert!(world.store.patient_list(&allow(Action::PatientList), at(1)).is_err(), "nor anything audited");
        reader.execute_batch("ROLLBACK").unwrap();
        assert_eq!(seen(&reader), 1);
        assert!(log_bytes(&world) > 0);
        world.store.sound(at(1_001)).unwrap();
        assert_eq!(log_bytes(&world), 0, "what the failed transaction left is gone");
        take(&mut world, 2).unwrap();
        assert_eq!(seen(&reader), 2);
        let cache: i64 = world.store.conn.query_row("PRAGMA cache_size", [], |row| row.get(0)).unwrap();
        assert_eq!((cache, world.store.synchronous().unwrap()), (-65536, 2), "another connection, with our settings");
    }
}

#[test]
fn an_error_of_something_else_keeps_the_connection() {
    let mut world = World::new();
    take(&mut world, 1).unwrap();
    let before = log_bytes(&world);
    world.store.doubt(&io_error(rusqlite::ffi::SQLITE_CONSTRAINT));
    world.store.doubt(&io_error(rusqlite::ffi::SQLITE_FULL));
    world.store.sound(at(1)).unwrap();
    assert_eq!(log_bytes(&world), before);
}

#[test]
fn what_the_log_held_at_a_crash_is_copied_out_before_anything_is_added() {
    let mut world = World::new();
    take(&mut world, 1).unwrap();
    assert!(log_bytes(&world) > 0);
    let mut world = world.crash();
    assert_eq!(log_bytes(&world), 0);
    take(&mut world, 2).unwrap();
    assert_eq!(world.store.counts(&allow(Action::StoreCount), at(1)).unwrap().observations, 2);
}

#[test]
fn while_another_program_reads_the_store_nobody_waits_and_the_log_is_tried_again_after_a_second() {
    let mut world = World::new();
    take(&mut world, 1).unwrap();
    world.store.doubt(&io_error(SQLITE_IOERR_FSYNC));
    let reader = rusqlite::Connection::open(world.path()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM observation").unwrap();
    let clock = runtime::clock::Clock::system();
    let begin = clock.tick();
    let refused = take_at(&mut world, 2, at(500)).unwrap_err();
    let waited = clock.tick().since(begin);
    assert!(waited < std::time::Duration::from_secs(2), "it waited {waited:?}");
    let why = |refused: &StoreError| std::error::Error::source(refused).unwrap().to_string();
    assert!(why(&refused).contains("while another program reads the store"), "{}", why(&refused));
    reader.execute_batch("ROLLBACK").unwrap();
    let bytes = log_bytes(&world);
    let refused = take_at(&mut world, 2, at(1_499)).unwrap_err();
    assert!(why(&refused).contains("a moment ago"), "{}", why(&refused));
    assert_eq!((log_bytes(&world), seen(&reader)), (bytes, 1), "not even tried");
    take_at(&mut world, 2, at(1_500)).unwrap();
    assert_eq!(seen(&reader), 2);
    // A transaction still waits for another program that writes.
    let waits: i64 = world.store.conn.query_row("PRAGMA busy_timeout", [], |row| row.get(0)).unwrap();
    assert_eq!(waits, 5_000);
}

#[test]
fn nothing_is_committed_until_the_emptied_log_is_synced() {
    let mut world = World::new();
    take(&mut world, 1).unwrap();
    world.store.doubt(&io_error(SQLITE_IOERR_WRITE));
    let aside = world.path().with_extension("aside");
    std::fs::rename(log(&world), &aside).unwrap();
    assert!(take_at(&mut world, 2, at(1)).is_err(), "the log cannot be synced");
    assert_eq!(std::fs::metadata(&aside).unwrap().len(), 0, "it was emptied before");
    std::fs::rename(&aside, log(&world)).unwrap();
    take_at(&mut world, 2, at(1_001)).unwrap();
    assert_eq!(seen(&rusqlite::Connection::open(world.path()).unwrap()), 2);
}

#[test]
fn a_long_log_is_written_back_after_the_commit() {
    for (pages_max, copied) in [(1, 1), (crate::limits::WAL_PAGES_MAX, 0)] {
        let mut world = World::new();
        world.store.log.pages_max = pages_max;
        take(&mut world, 1).unwrap();
        // The file alone, without the log.
        let file = world.path().with_extension("copy");
        std::fs::copy(world.path(), &file).unwrap();
        assert_eq!(seen(&rusqlite::Connection::open(&file).unwrap()), copied);
        assert_eq!(world.store.failed_checkpoints(), 0);
    }
}

#[test]
fn a_checkpoint_that_fails_is_counted_and_nothing_is_committed_behind_it() {
    let mut world = World::new();
    take(&mut world, 1).unwrap();
    let held = std::fs::read(log(&world)).unwrap();
    // The log cannot be read: an I/O error of the checkpoint, after the commit.
    std::fs::File::options().write(true).open(log(&world)).unwrap().set_len(0).unwrap();
    world.store.log.pages_max = 1;
    world.store.after(None);
    assert_eq!(world.store.failed_checkpoints(), 1);
    assert!(take_at(&mut world, 2, at(1)).is_err(), "the connection is in doubt");
    std::fs::write(log(&world), held).unwrap();
    take_at(&mut world, 2, at(1_001)).unwrap();
    assert_eq!(seen(&rusqlite::Connection::open(world.path()).unwrap()), 2);
    assert_eq!(world.store.failed_checkpoints(), 1, "the next one went well");
}
