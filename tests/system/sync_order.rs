//! What the kernel saw: no receipt leaves before the sync that covers its rows, and nothing counts as accepted before
//! the sync of its record.

use std::time::Duration;

use tests::wait;

use crate::home::World;
use crate::trace::{self, Call};

/// TLS puts 22 octets around what a write says. A PINGRESP then has 24, a PUBACK 26, a SUBACK 27, a receipt well over
/// a hundred; a PINGREQ has 24, a batch well over a hundred.
const SUBACK_BYTES: i64 = 27;
const ANSWER_BYTES_MIN: i64 = 26;
const BATCH_BYTES_MIN: i64 = 100;
const PATIENCE: Duration = Duration::from_secs(60);

/// What went over one hub's connection once it was subscribed.
#[derive(Debug, Default)]
struct Traffic {
    batches: usize,
    answers: usize,
    /// Answers (PUBACKs and receipts) that left after a batch before a sync that began after the batch came.
    early: Vec<String>,
}

fn traffic(calls: &[Call], socket: &str) -> Traffic {
    let mut traffic = Traffic::default();
    let mut is_subscribed = false;
    // Lines at which the newest batch came, and the newest write of the log that no sync covers was over.
    let (mut batch_at, mut synced_since_batch) = (None, false);
    let mut unsynced_write: Option<usize> = None;
    for call in calls {
        let is_hub = call.file().contains(socket);
        if is_hub && call.is_write() && call.result == SUBACK_BYTES {
            is_subscribed = true;
        } else if is_hub && is_subscribed && call.is_read() && call.result >= BATCH_BYTES_MIN {
            traffic.batches += 1;
            (batch_at, synced_since_batch) = (Some(call.ended), false);
        } else if call.is_write() && call.is_on("-wal") {
            unsynced_write = Some(call.ended);
        } else if call.is_sync() && call.is_on("-wal") {
            // It covers what was written before it began.
            if unsynced_write.is_some_and(|write| write < call.began) {
                unsynced_write = None;
                synced_since_batch |= batch_at.is_some_and(|batch| batch < call.began);
            }
        } else if is_hub && call.is_write() && call.result >= ANSWER_BYTES_MIN && batch_at.is_some() {
            traffic.answers += 1;
            if !synced_since_batch {
                traffic.early.push(format!("line {}: {} octets before the sync", call.began, call.result));
            }
        }
    }
    traffic
}

#[test]
fn no_receipt_leaves_before_the_sync_that_covers_its_rows() {
    if !trace::is_possible("no_receipt_leaves_before_the_sync_that_covers_its_rows") {
        return;
    }
    let mut world = World::new(1);
    let hub = world.add_hub("home");
    world.server.stop().unwrap();
    let out = world.path("server.trace");
    let calls = "fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg,read,readv,recvfrom,recvmsg";
    let program = world.binaries.monitor_server.clone();
    world.addresses = world.server.start_with(trace::strace(&program, calls, &out, &["-yy"])).unwrap();
    // One reading at a time, each answered before the next: so each answer belongs to one batch.
    let rows: Vec<_> = (0..60_u16).map(|second| (60 + second, 96)).collect();
    let device = world.looping("slow", &rows, 0.7);
    world.hubs[hub].configure(&[device]).unwrap();
    world.hubs[hub].start().unwrap();
    wait::until("receipts", PATIENCE, || (world.hubs[hub].count("receipts").ok()? >= 8).then_some(())).unwrap();
    world.hubs[hub].stop_and_count().unwrap();
    let process = world.server.id().unwrap();
    world.server.stop().unwrap();
    let calls = trace::calls(&trace::finished(&out, process));
    let socket = format!("{}->", world.door());
    let Traffic { batches, answers, early } = traffic(&calls, &socket);
    assert!(batches >= 6 && answers >= 12, "{batches} batches, {answers} answers in {} calls", calls.len());
    assert_eq!(early, Vec::<String>::new());
}

#[test]
fn an_early_receipt_would_be_seen() {
    let subscribed = "1 sendto(9<TCP:[a->b]>, \"\", 27, 0, NULL, 0) = 27\n";
    let read = "1 recvfrom(9<TCP:[a->b]>, \"\", 9000, 0, NULL, NULL) = 900\n";
    let write = "1 pwrite64(7</d/store.sqlite-wal>, \"\", 4096, 0) = 4096\n";
    let sync = "1 fdatasync(7</d/store.sqlite-wal>) = 0\n";
    let answer = "1 sendto(9<TCP:[a->b]>, \"\", 180, MSG_NOSIGNAL, NULL, 0) = 180\n";
    let early = |parts: &[&str]| {
        let calls = trace::calls(&[&[subscribed], parts].concat().concat());
        traffic(&calls, "a->").early.len()
    };
    assert_eq!(early(&[read, write, sync, answer]), 0);
    assert_eq!(early(&[read, write, answer, sync]), 1);
    assert_eq!(early(&[write, sync, read, answer]), 1);
    assert_eq!(early(&[read, sync, answer]), 1);
    let crossing = "2 fdatasync(7</d/store.sqlite-wal> <unfinished ...>\n";
    assert_eq!(early(&[read, crossing, write, "2 <... fdatasync resumed>) = 0\n", answer]), 1);
}

/// Status answers in a trace: (accepted, line it began at).
fn accepted(calls: &[Call]) -> Vec<(u64, usize)> {
    let number = |call: &Call| {
        let text = call.arguments.split("accepted_observations\\\":").nth(1)?;
        text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    calls.iter().filter(|call| call.is_write()).filter_map(|call| Some((number(call)?, call.began))).collect()
}

#[test]
fn nothing_counts_as_accepted_before_the_sync_of_its_record() {
    if !trace::is_possible("nothing_counts_as_accepted_before_the_sync_of_its_record") {
        return;
    }
    let mut world = World::new(1);
    let hub = world.add_hub("home");
    let rows: Vec<_> = (0..60_u16).map(|second| (60 + second, 96)).collect();
    let device = world.looping("steady", &rows, 2.0);
    let out = world.path("agent.trace");
    let hub = &mut world.hubs[hub];
    // Nobody answers at the door: so only a sync can make anything accepted.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    hub.reach_door_at(nobody).unwrap();
    hub.configure(&[device]).unwrap();
    let calls = "fsync,fdatasync,write,writev,sendto,sendmsg,pwrite64";
    // From some sync on the disk refuses every one.
    let refusing = ["-e", "inject=fdatasync:error=EIO:when=30+"];
    let program = world.binaries.hub_agent.clone();
    hub.start_with(trace::strace(&program, calls, &out, &refusing)).unwrap();
    let before = wait::until("accepted observations", PATIENCE, || {
        hub.count("accepted_observations").ok().filter(|count| *count >= 4)
    })
    .unwrap();
    let refused = wait::until("the disk to refuse", PATIENCE, || {
        hub.count("accepted_observations").ok()?;
        hub.status().ok().filter(|status| status["disk_refuses"] == true)
    })
    .unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let after = hub.count("accepted_observations").unwrap();
    assert_eq!(refused["accepted_observations"], after, "nothing is accepted while the disk refuses");
    assert!(after >= before && hub.count("unaccepted_observations").unwrap() > 0);
    let process = hub.id_of_process().unwrap();
    hub.kill().unwrap();
    let calls = trace::calls(&trace::finished(&out, process));
    let answers = accepted(&calls);
    assert!(answers.len() > 3, "{} status answers", answers.len());
    // Each increase needs a sync of its own, over before it is told.
    let syncs: Vec<usize> =
        calls.iter().filter(|call| call.is_sync() && call.file().ends_with("/db")).map(|call| call.ended).collect();
    let (mut told, mut increases) = (answers[0].0, 0);
    for (count, at) in answers.iter().skip(1).filter(|(count, _)| *count > answers[0].0) {
        if *count > told {
            (told, increases) = (*count, increases + 1);
            let over = syncs.iter().filter(|ended| *ended < at).count();
            assert!(over >= increases, "{count} accepted: increase {increases} after {over} syncs");
        }
    }
    assert!(increases > 1, "{increases} increases");
}
