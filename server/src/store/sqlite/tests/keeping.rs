//! What must survive, and what must not be opened.

use shared::wire::Entry;

use super::*;

#[test]
fn what_was_committed_is_there_after_a_crash() {
    let mut world = World::new();
    assert_eq!(world.store.synchronous().unwrap(), 2);
    world.take(batch(vec![record(1, 1, vec![Entry::Observation(world.observation(49_000, 80))])]));
    let mut world = world.crash();
    assert_eq!(world.store.synchronous().unwrap(), 2);
    let mut alerts = Listening::default();
    let time = world.store.restore_alerts(&mut alerts).unwrap();
    assert_eq!(time, Some(at(100_000)));
    assert_eq!(alerts.restored, [(Subject::Patient(world.patient), vec![9])]);
    let stream = world.store.stream(HUB, STREAM).unwrap().unwrap();
    assert_eq!((stream.opening.stream, stream.signature.len()), (STREAM, 70));
    let counts = world.counts();
    assert_eq!((counts.observations, counts.records, counts.alert_events), (1, 1, 1));
    let committed = world.store.hub_connected(HUB, false, &mut alerts, at(100_001)).unwrap();
    assert_eq!(committed.events[0].number.0, 2, "numbers go on without a gap");
}

#[test]
fn technical_entries_are_kept_and_gaps_closed() {
    let mut world = World::new();
    let void = Entry::Void(Range::one(sequence(7)));
    world.take(batch(vec![record(1, 1, vec![void])]));
    assert_eq!(world.number("SELECT count(*) FROM technical_entry WHERE kind = 'void'"), 1);
    assert_eq!(world.number("SELECT first FROM gone_range WHERE cause = 'void'"), 7);
}

#[test]
fn files_of_others_and_of_later_versions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| SqliteStore::open(path, vault(), at(0)).map(|_| ());
    let text = folder.path().join("text");
    std::fs::write(&text, "not a database at all, but long enough to be read as one").unwrap();
    assert!(matches!(open(&text), Err(StoreError::Unreadable(_))));

    let foreign = folder.path().join("foreign");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    assert!(matches!(open(&foreign), Err(StoreError::Unreadable(_))));

    let later = folder.path().join("later");
    open(&later).unwrap();
    let conn = rusqlite::Connection::open(&later).unwrap();
    conn.execute_batch("INSERT INTO schema_version (version, applied) VALUES (1000, 0)").unwrap();
    assert!(matches!(open(&later), Err(StoreError::Unreadable(_))));
}
