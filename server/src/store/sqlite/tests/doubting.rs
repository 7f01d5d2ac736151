//! After an I/O error.

use rusqlite::ffi::{Error, SQLITE_IOERR_FSYNC, SQLITE_IOERR_WRITE};
use shared::wire::Entry;

use super::*;

fn io_error(extended: i32) -> StoreError {
    StoreError::Unavailable(Box::new(rusqlite::Error::SqliteFailure(Error::new(extended), None)))
}

fn log_bytes(world: &World) -> u64 {
    std::fs::metadata(world.path().with_extension("sqlite-wal")).unwrap().len()
}

fn take(world: &mut World, number: u64) -> Result<(), StoreError> {
    let entry = Entry::Observation(world.observation(49_000 + number, 80));
    let batch = batch(vec![record(number, 1, vec![entry])]);
    world.store.take(&[batch], &mut world.alerts, at(1)).map(drop)
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
        reader.busy_timeout(std::time::Duration::ZERO).unwrap();
        world.store.conn.busy_timeout(std::time::Duration::ZERO).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM observation").unwrap();
        let seen = |reader: &rusqlite::Connection| -> i64 {
            reader.query_row("SELECT count(*) FROM observation", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(seen(&reader), 1);
        assert!(take(&mut world, 2).is_err(), "the log cannot be emptied: nothing may be committed");
        assert!(world.store.patient_list(&allow(Action::PatientList), at(1)).is_err(), "nor anything audited");
        reader.execute_batch("ROLLBACK").unwrap();
        assert_eq!(seen(&reader), 1);
        assert!(log_bytes(&world) > 0);
        world.store.sound().unwrap();
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
    world.store.sound().unwrap();
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
