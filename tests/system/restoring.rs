//! Yesterday's backup is restored while hubs go on sending: nothing that was ever stored is missing, nothing is twice.
//! Only a hub that was killed meanwhile may lack what it had not synced yet (decision 0009).

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use shared::wire::SignedOpening;
use tests::wait;

use crate::home::{World, gaps, repeated, store_file};

const SPEED: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(90);

/// A stream and a sequence in it.
type Place = (Vec<u8>, i64);
/// Every record that a store took: its tag, and how many observations of it there are.
type Records = BTreeMap<Place, (Vec<u8>, i64)>;

fn records(store: &Connection) -> Records {
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

/// Two homes under load, and a backup of the store.
struct Backed {
    world: World,
    backup: String,
    identity: std::path::PathBuf,
    at_backup: u64,
}

fn backed_up() -> Backed {
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
    Backed { world, backup, identity, at_backup }
}

/// What the lost store had, and what the restored one has after the hubs went on and caught up.
struct Restored {
    before: Records,
    after: Records,
}

/// The server's disk dies with all it took since the backup; the hubs go on.
fn disk_lost_and_restored(backed: Backed) -> (World, Restored) {
    let Backed { mut world, backup, identity, at_backup } = backed;
    until_stored(&world, at_backup + 600);
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
    assert!(after.len() > before.len(), "the hubs went on");
    assert_eq!(world.count("duplicates"), 0);
    assert_eq!(world.count("quarantined"), 0);
    assert_eq!(repeated(&world.store()), []);
    assert_eq!(gaps(&world.store()), []);
    println!("{restored} records in the backup, {} at the loss, {} in the end", before.len(), after.len());
    (world, Restored { before, after })
}

impl Restored {
    /// Records that the lost store had and the restored one has not, or not as they were.
    fn missing(&self) -> Vec<&Place> {
        let is_missing = |(place, record): &(&Place, &(Vec<u8>, i64))| self.after.get(*place) != Some(*record);
        self.before.iter().filter(is_missing).map(|(place, _)| place).collect()
    }
}

#[test]
fn yesterdays_backup_restored_under_load_loses_nothing_and_repeats_nothing() {
    let mut backed = backed_up();
    // One hub starts anew since: the restored store knows nothing of that stream, nor of its opening.
    backed.world.hubs[1].stop().unwrap();
    backed.world.hubs[1].start().unwrap();
    let (_world, restored) = disk_lost_and_restored(backed);
    let missing = restored.missing();
    assert!(missing.is_empty(), "{} of {} records are missing: {missing:?}", missing.len(), restored.before.len());
}

#[test]
fn a_restore_and_a_killed_hub_lose_what_that_hub_had_not_synced_at_most_and_the_record_says_so() {
    let mut backed = backed_up();
    let killed = living_stream(&backed.world.store(), &backed.world.hubs[1].id);
    backed.world.hubs[1].kill().unwrap();
    backed.world.hubs[1].start().unwrap();
    let (world, restored) = disk_lost_and_restored(backed);
    let durable = last_durable(&world.store(), &killed);
    for (stream, sequence) in restored.missing() {
        assert_eq!(*stream, killed, "record {sequence} of a stream whose hub was not killed");
        assert!(u64::try_from(*sequence).unwrap() > durable, "{sequence} was synced: {durable} are");
    }
    let held = restored.before.keys().filter(|(stream, _)| *stream == killed).map(|(_, sequence)| *sequence).max();
    println!("the lost store had {held:?} of the killed hub's stream, of which {durable} were synced there");
    let sql = "SELECT count(*) FROM technical_entry WHERE kind = 'boot' AND body LIKE '%\"stopped_orderly\":false%'";
    let told: i64 = world.store().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(told, 1, "the hub says that it did not stop in an orderly way");
}

/// The stream that a hub is writing.
fn living_stream(store: &Connection, hub: &str) -> Vec<u8> {
    let sql = "SELECT stream FROM stream WHERE lower(hex(hub)) = ?1 ORDER BY ordinal DESC LIMIT 1";
    store.query_row(sql, [hub.replace('-', "").to_lowercase()], |row| row.get(0)).unwrap()
}

/// How far a stream had been synced on its hub, by the opening of the stream after it.
fn last_durable(store: &Connection, stream: &[u8]) -> u64 {
    let mut statement = store.prepare("SELECT opening, signature FROM stream WHERE opening IS NOT NULL").unwrap();
    let rows = statement.query_map([], |row| Ok(SignedOpening { body: row.get(0)?, signature: row.get(1)? })).unwrap();
    let mut previous = rows.filter_map(|opening| opening.unwrap().read().unwrap().previous);
    previous.find(|previous| previous.stream.as_bytes() == stream).unwrap().last_durable
}

/// Where `restore` put the store it replaced.
fn lost_store(world: &World) -> std::path::PathBuf {
    let entries = std::fs::read_dir(world.server.data()).unwrap().flatten();
    let mut aside = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("store.before-"));
    aside.next().unwrap().path().join("store.sqlite")
}
