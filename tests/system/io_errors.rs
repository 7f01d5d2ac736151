//! The server's disk fails under it: no receipt leaves for what was not synced, people see why, and when the disk
//! works again everything is stored once, by itself.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tests::process::Process;
use tests::wait;

use crate::full_disk::readiness;
use crate::home::{WARD, World, gaps, repeated};
use crate::trace;

const PATIENCE: Duration = Duration::from_secs(60);

/// Makes every such call of a running process fail until it is taken away.
struct FailingCalls(Option<Process>);

impl FailingCalls {
    fn of(world: &World, calls: &str) -> Self {
        let process = world.server.id().unwrap().to_string();
        let (traced, injected) = (format!("trace={calls}"), format!("inject={calls}:error=EIO"));
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &process, "-e", &traced, "-e", &injected, "-o"]);
        command.arg(world.path("failing.trace"));
        Self(Some(Process::start(command, &world.path("failing.log")).unwrap()))
    }

    /// The tracer lets go, and the process runs on.
    fn end(mut self) {
        let mut tracer = self.0.take().unwrap();
        tracer.signal(Signal::SIGINT).unwrap();
        wait::until("the tracer to let go", PATIENCE, || tracer.ended()).unwrap();
    }
}

/// While the calls fail: nothing is receipted, and the hub goes on.
fn fails(world: &World, calls: &str) {
    let access = world.server.feed(WARD, &world.hubs[0].enrolment()).unwrap();
    assert!(readiness(&access).starts_with("HTTP/1.1 200"), "{}", readiness(&access));
    let failing = FailingCalls::of(world, calls);
    let refusal = wait::until("people to be told", PATIENCE, || {
        Some(readiness(&access)).filter(|answer| answer.starts_with("HTTP/1.1 503"))
    });
    let refusal = refusal.unwrap();
    assert!(refusal.contains("the disk is full or fails"), "{refusal}");
    let count = |key: &str| world.hubs[0].count(key).unwrap();
    let (receipted, accepted) = (count("receipted_observations"), count("accepted_observations"));
    wait::until("the hub to go on", PATIENCE, || (count("accepted_observations") > accepted + 100).then_some(()))
        .unwrap();
    assert_eq!(count("receipted_observations"), receipted, "nothing is receipted while {calls} fails");
    failing.end();
}

#[test]
fn after_io_errors_the_store_is_opened_anew_and_everything_is_stored_once() {
    if !trace::is_possible("after_io_errors_the_store_is_opened_anew_and_everything_is_stored_once") {
        return;
    }
    let mut world = World::new(1);
    let hub = world.add_hub("home");
    let rows: Vec<_> = (0..60_u16).map(|second| (60 + second % 20, 95 + (second % 4) as u8)).collect();
    world.hubs[hub].configure(&[world.looping("steady", &rows, 20.0)]).unwrap();
    world.hubs[hub].start().unwrap();
    wait::until("stored observations", PATIENCE, || (world.count("observations") >= 40).then_some(())).unwrap();
    let anew = "the store's log was emptied and its file opened anew";
    for (round, calls) in ["fdatasync,fsync", "pwrite64"].into_iter().enumerate() {
        fails(&world, calls);
        world.hubs[hub].caught_up(PATIENCE).unwrap();
        let said = world.server.said();
        assert_eq!(said.matches(anew).count(), round + 1, "after {calls}:\n{said}");
    }
    // What a failed transaction left is there when the process dies before it is cleared away.
    let failing = FailingCalls::of(&world, "fdatasync,fsync");
    let receipted = world.hubs[hub].count("receipted_observations").unwrap();
    wait::until("a failed transaction", PATIENCE, || {
        (world.server.said().matches("a transaction failed: nothing of it is kept").count() == 3).then_some(())
    })
    .unwrap();
    world.server.kill().unwrap();
    failing.end();
    world.server.start().unwrap();
    assert!(world.count("observations") >= receipted);
    world.hubs[hub].caught_up(PATIENCE).unwrap();
    let closed = world.hubs[hub].stop_and_count().unwrap();
    assert_eq!((closed.pending_records, closed.accepted), (0, closed.receipted), "{closed:?}");
    assert_eq!(world.count("observations"), closed.accepted);
    assert_eq!(repeated(&world.store()), []);
    assert_eq!(gaps(&world.store()), []);
    let verdict = world.server.ask(&["audit", "verify"], "").unwrap();
    assert!(verdict["first_broken"].is_null(), "{verdict}");
    world.server.stop().unwrap();
}
