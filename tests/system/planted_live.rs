//! Planted names, numbers and values in a system that runs: what lies on its disks afterwards.

use std::time::Duration;

use tests::hub::{HubDevice, HubSource};
use tests::wait;

use crate::home::{WARD, World};
use crate::planted;
use crate::tap::Tap;

#[test]
fn traffic_disks_backups_and_logs_hold_no_name_number_or_value_in_clear() {
    let mut world = World::new(1);
    let hub = world.add_hub("home");
    let patient = world.server.add_patient(planted::NAME, planted::NHS_NUMBER, WARD).unwrap();
    world.server.bind(&world.hubs[hub].id, "scale", &patient).unwrap();
    let file = world.path("weights.csv");
    let rows: String = (0..10).map(|second| format!("{second},{}\n", planted::VALUE)).collect();
    std::fs::write(&file, format!("time_s,weight_kg\n{rows}")).unwrap();
    let source = HubSource::Replay { path: file.clone(), speed: 5.0, columns: Vec::new(), repeat: true };
    world.hubs[hub].configure(&[HubDevice { name: "scale".into(), source }]).unwrap();
    let tap = Tap::between(&world.hubs[hub], world.door());
    world.hubs[hub].start().unwrap();
    wait::until("stored observations", Duration::from_secs(40), || (world.count("observations") >= 10).then_some(()))
        .unwrap();
    let stored: i64 = world
        .store()
        .query_row("SELECT count(*) FROM observation WHERE mantissa = ?1", [planted::MANTISSA], |row| row.get(0))
        .unwrap();
    assert!(stored > 0, "the planted value is in the store");
    let listed = world.server.ask(&["patient", "list"], "").unwrap().to_string();
    assert!(planted::holds(listed.as_bytes(), &planted::identity()), "who may see the name sees it");
    let backup = world.path("backup");
    let recipient = world.server.backup_key(&world.path("backup.key")).unwrap();
    let to = backup.display().to_string();
    world.server.ask(&["backup", "--to", &to, "--recipient", &recipient], "").unwrap();
    let look = |place: &str, bytes: &[u8], with_values: bool| {
        planted::look(place, bytes, &planted::identity());
        if with_values {
            planted::look(place, bytes, &planted::clinical());
        }
    };
    // While it runs, and again after an orderly stop.
    for _ in 0..2 {
        for (place, bytes) in planted::files(&world.hubs[hub].state_dir()) {
            look(&place, &bytes, true);
        }
        for (place, bytes) in planted::files(world.server.data()) {
            look(&place, &bytes, !place.contains("store.sqlite"));
        }
        look("the agent's log", world.hubs[hub].said().as_bytes(), true);
        look("the server's log", world.server.said().as_bytes(), true);
        world.hubs[hub].stop().unwrap();
        world.server.stop().unwrap();
    }
    // What the door, or a broker in its place, sees of it once TLS is gone.
    let overheard = tap.overheard();
    for (topic, bytes) in [("up", &overheard.up), ("down", &overheard.down)] {
        let topic = format!("hubs/{}/{topic}", world.hubs[hub].id);
        let messages = bytes.windows(topic.len()).filter(|window| *window == topic.as_bytes()).count();
        assert!(messages >= 3 && bytes.len() > 1000, "{messages} messages heard in {} bytes of {topic}", bytes.len());
        look(&topic, bytes, true);
    }
    let backup_bytes = match planted::files(&backup) {
        files if files.is_empty() => std::fs::read(&backup).unwrap(),
        files => files.into_iter().flat_map(|(_, bytes)| bytes).collect(),
    };
    assert!(backup_bytes.len() > 1000);
    look("the backup", &backup_bytes, true);
}
