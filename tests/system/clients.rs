//! The feed as somebody else's program sees it.

use std::process::{Command, Stdio};
use std::time::Duration;

use tests::binaries::repository;
use tests::process::Process;
use tests::wait;

use crate::home::{WARD, World};

#[test]
fn a_hundred_lines_of_python_follow_the_feed_through_a_restart() {
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        println!("skipped: the Python feed client: python3 is missing; install it (apt-get install python3)");
        assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped");
        return;
    }
    let program = repository().join("tests/feed_client.py");
    let text = std::fs::read_to_string(&program).unwrap();
    assert!(text.lines().count() <= 100, "the documents promise 100 lines");
    let mut world = World::new(20);
    let hub = world.add_hub("home");
    let patient = world.add_patient(hub, "oximeter", "Example, Ada", 0);
    // Low for forty seconds of a patient's time, good for forty.
    let rows: Vec<_> = (0..80_u16).map(|second| (70, if second < 40 { 80 } else { 97 })).collect();
    let device = world.looping("oximeter", &rows, 20.0);
    world.hubs[hub].configure(&[device]).unwrap();
    let access = world.server.feed(WARD, &world.hubs[hub].enrolment()).unwrap();
    std::fs::write(world.path("roots.pem"), &access.roots_pem).unwrap();
    std::fs::write(world.path("token"), &access.token).unwrap();
    world.hubs[hub].start().unwrap();
    let mut command = Command::new("python3");
    command.arg(&program).args(["--port", &access.address.port().to_string()]);
    command.arg("--server-name").arg(&access.server_name).arg("--ca").arg(world.path("roots.pem"));
    command.arg("--token-file").arg(world.path("token")).arg("--cursor-file").arg(world.path("cursor"));
    let mut client = Process::start(command, &world.path("client.log")).unwrap();
    let seen = |client: &mut Process, what: &str, count: usize| {
        wait::until(what, Duration::from_secs(40), || {
            assert_eq!(client.ended(), None, "the client ended: {}", client.said());
            let said = client.said();
            (said.lines().filter(|line| line.contains(what)).count() >= count).then_some(said)
        })
        .unwrap()
    };
    seen(&mut client, "raised", 1);
    let said = seen(&mut client, "live ", 5);
    assert!(said.contains(&patient));
    let before = said.lines().filter(|line| line.contains("raised")).count();
    world.server.kill().unwrap();
    world.server.start().unwrap();
    seen(&mut client, "resuming", 1);
    let said = seen(&mut client, "raised", before + 1);
    let alerts: Vec<&str> = said.lines().filter(|line| line.starts_with("alert ")).collect();
    let numbers: Vec<u64> = alerts.iter().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "every event once and in order: {numbers:?}; {said}");
}
