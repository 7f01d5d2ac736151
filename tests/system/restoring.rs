//! Yesterday's backup is restored while hubs go on sending: nothing that was ever stored is missing, nothing is twice.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use tests::wait;

use crate::home::{World, gaps, repeated, store_file};

const SPEED: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(90);

/// Every record a store took: stream and sequence, its tag, and how many observations of it there are.
fn records(store: &Connection) -> BTreeMap<(Vec<u8>, i64), (Vec<u8>, i64)> {
    let sql = "SELECT stream.stream, record.sequence, record.tag, \
               (SELECT count(*) FROM observation WHERE observation.stream = record.stream \
                AND observation.sequence = record.sequence) \
               FROM record JOIN stream ON stream.ordinal = record.stream";
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn until_stored(world: &World, observations: u64) {
    wait::until("stored observations", PATIENCE, || (world.count("observations") >= observations).then_some(()))
        .unwrap();
}

#[test]
fn yesterdays_backup_restored_under_load_loses_nothing_and_repeats_nothing() {
    let mut world = World::new(20);
    for (place, label) in ["home-1", "home-2"].into_iter().enumerate() {
        let hub = world.add_hub(label);
        let rows: Vec<_> = (0..60_u16).map(|second| (60 + second % 20, 95 + (second % 4) as u8)).collect();
        let names = [format!("{label}-one"), format!("{label}-two")];
        let devices = names.map(|name| world.looping(&name, &rows, SPEED));
        world.hubs[hub].configure(&devices).unwrap();
        world.add_patient(hub, &format!("{label}-one"), "Example, Ada", place as u64);
        world.hubs[hub].start().unwrap();
    }
    until_stored(&world, 400);
    let identity = world.path("backup.key");
    let recipient = world.server.backup_key(&identity).unwrap();
    let backup = world.path("backup").display().to_string();
    world.server.ask(&["backup", "--to", &backup, "--recipient", &recipient], "").unwrap();
    let at_backup = world.count("observations");
    // One hub starts anew since: the restored store knows nothing of that stream, nor of its opening.
    world.hubs[1].kill().unwrap();
    world.hubs[1].start().unwrap();
    until_stored(&world, at_backup + 600);

    // The server's disk dies with all it took since; the hubs go on.
    world.server.kill().unwrap();
    let identity = identity.display().to_string();
    world.server.ask(&["restore", "--from", &backup, "--identity", &identity], "").unwrap();
    let before = records(&store_file(&lost_store(&world)));
    world.server.start().unwrap();
    let restored = records(&world.store()).len();
    assert!(restored < before.len(), "{restored} of {} were in the backup: it proves nothing", before.len());
    for hub in &mut world.hubs {
        hub.caught_up(PATIENCE).unwrap();
        let closed = hub.stop_and_count().unwrap();
        assert_eq!(closed.pending_records, 0, "{closed:?}; the agent said:\n{}", hub.said());
    }
    let after = records(&world.store());
    let missing: Vec<_> = before.iter().filter(|(place, record)| after.get(*place) != Some(record)).collect();
    assert!(missing.is_empty(), "{} of {} records are missing: {missing:?}", missing.len(), before.len());
    assert!(after.len() > before.len(), "the hubs went on");
    assert_eq!(world.count("duplicates"), 0);
    assert_eq!(world.count("quarantined"), 0);
    assert_eq!(repeated(&world.store()), []);
    assert_eq!(gaps(&world.store()), []);
    println!("{restored} records in the backup, {} at the loss, {} in the end", before.len(), after.len());
}

/// Where `restore` put the store it replaced.
fn lost_store(world: &World) -> std::path::PathBuf {
    let entries = std::fs::read_dir(world.server.data()).unwrap().flatten();
    let mut aside = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("store.before-"));
    aside.next().unwrap().path().join("store.sqlite")
}
