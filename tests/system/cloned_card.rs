//! A hub's card was copied, or an old copy was put back: it shows, and nothing of the true hub is lost.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests::hub::{Hub, HubDevice, HubSource};
use tests::wait;

use crate::home::{World, gaps, repeated};

const PATIENCE: Duration = Duration::from_secs(90);
const SPEED: f64 = 20.0;

fn rows() -> Vec<(u16, u8)> {
    (0..60_u16).map(|second| (60 + second % 20, 95 + (second % 4) as u8)).collect()
}

/// Whether a program can be given a boot of its own here. If not, says so, and fails in CI.
fn another_boot_is_possible(test: &str) -> bool {
    let tried = Command::new("unshare").args(["--mount", "mount", "--bind", "/dev/null", BOOT_ID]).output();
    if tried.is_ok_and(|tried| tried.status.success()) {
        return true;
    }
    println!("skipped: {test}: mounts of a process's own need root (unshare --mount)");
    assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped");
    false
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Starts an agent as on a machine that booted under this id.
fn start_on_machine(hub: &mut Hub, agent: &Path, boot: &Path, digit: char) {
    let run = |count| digit.to_string().repeat(count);
    let id = [8, 4, 4, 4, 12].map(run).join("-");
    std::fs::write(boot, format!("{id}\n")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", r#"mount --bind "$0" "$1" && shift && exec "$@""#]);
    command.arg(boot).arg(BOOT_ID).arg(agent);
    hub.start_with(command).unwrap();
}

/// What `hub list` says against the hub.
fn findings(world: &World, hub: &str) -> Vec<String> {
    let listed = world.server.ask(&["hub", "list"], "").unwrap();
    let rows = listed["hubs"].as_array().unwrap_or_else(|| panic!("no hubs in {listed}"));
    let row = rows.iter().find(|row| row["hub"] == hub).unwrap();
    let findings = row["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["finding"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_hub_that_advances_two_streams_at_once_is_quarantined_and_shown() {
    if !another_boot_is_possible("a_hub_that_advances_two_streams_at_once_is_quarantined_and_shown") {
        return;
    }
    let mut world = World::new(20);
    let hub = world.add_hub("home");
    let device = world.looping("steady", &rows(), SPEED);
    world.hubs[hub].configure(std::slice::from_ref(&device)).unwrap();
    let agent = world.binaries.hub_agent.clone();
    let (machine, other_machine) = (world.path("boot-1"), world.path("boot-2"));
    start_on_machine(&mut world.hubs[hub], &agent, &machine, '1');
    wait::until("stored observations", PATIENCE, || (world.count("observations") >= 60).then_some(())).unwrap();
    world.hubs[hub].stop().unwrap();
    assert_eq!(findings(&world, &world.hubs[hub].id), [""; 0]);

    let mut clone = world.hubs[hub].copied_to(world.path("clone")).unwrap();
    clone.configure(&[device]).unwrap();
    start_on_machine(&mut world.hubs[hub], &agent, &machine, '1');
    start_on_machine(&mut clone, &agent, &other_machine, '2');
    // They take the hub's one place at the door from each other, and both advance.
    let id = world.hubs[hub].id.clone();
    wait::until("the clone to be found", PATIENCE, || {
        findings(&world, &id).contains(&"cloned_hub".to_owned()).then_some(())
    })
    .unwrap();
    wait::until("quarantine", PATIENCE, || (world.count("quarantined") > 0).then_some(())).unwrap();
    clone.kill().unwrap();
    world.hubs[hub].kill().unwrap();
    // Whichever was passed by: what it sends is kept raw, and nothing is stored twice.
    assert_eq!(world.count("duplicates"), 0);
    assert_eq!(repeated(&world.store()), []);
    let sql = "SELECT count(*) FROM quarantine WHERE reason = 'cloned_hub' AND length(raw) > 0";
    let kept: i64 = world.store().query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(kept > 0, "what was quarantined is kept as it came");
}

#[test]
fn an_old_card_that_is_put_back_is_found_and_loses_nothing() {
    let mut world = World::new(20);
    let hub = world.add_hub("home");
    // Each weight is a record of its own, so that the hub gets far in a short time.
    let file = world.path("weights.csv");
    let rows: String = (0..100).map(|second| format!("{second},7{}.{}\n", second % 10, second / 10)).collect();
    std::fs::write(&file, format!("time_s,weight_kg\n{rows}")).unwrap();
    let source = HubSource::Replay { path: file, speed: 25.0, columns: Vec::new(), repeat: true };
    let device = HubDevice { name: "scale".into(), source };
    world.hubs[hub].configure(std::slice::from_ref(&device)).unwrap();
    world.hubs[hub].start().unwrap();
    wait::until("stored observations", PATIENCE, || (world.count("observations") >= 40).then_some(())).unwrap();
    world.hubs[hub].kill().unwrap();
    // The image is taken now; the hub goes on, its next stream far beyond it.
    let mut old = world.hubs[hub].copied_to(world.path("old-card")).unwrap();
    world.hubs[hub].start().unwrap();
    let before = world.count("observations");
    wait::until("further observations", PATIENCE, || (world.count("observations") >= before + 250).then_some(()))
        .unwrap();
    world.hubs[hub].caught_up(PATIENCE).unwrap();
    world.hubs[hub].stop().unwrap();
    let id = world.hubs[hub].id.clone();
    let found_before = findings(&world, &id);
    old.configure(&[device]).unwrap();
    old.start().unwrap();
    let found = wait::until("the old card to be found", PATIENCE, || {
        let found = findings(&world, &id);
        found.contains(&"restored_or_cloned_hub".to_owned()).then_some(found)
    });
    assert!(found_before.is_empty(), "{found_before:?} before the card was put back");
    assert!(found.is_ok(), "not found; the agent said:\n{}", old.said());
    old.caught_up(PATIENCE).unwrap();
    let closed = old.stop_and_count().unwrap();
    assert_eq!(closed.pending_records, 0, "{closed:?}");
    assert_eq!(world.count("duplicates"), 0);
    assert_eq!(repeated(&world.store()), []);
    assert_eq!(gaps(&world.store()), []);
    let audit: Value = world.server.ask(&["audit", "verify"], "").unwrap();
    assert!(audit["first_broken"].is_null(), "{audit}");
}
