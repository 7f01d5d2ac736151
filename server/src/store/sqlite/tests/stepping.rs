//! The server's wall clock steps while the real engine runs over the real store: nothing comes earlier or later.

use std::time::Duration;

use runtime::clock::{Clock, ManualClock};
use runtime::supervisor::Supervisor;
use shared::wire::Entry;

use super::*;
use crate::alerts::Alerts;
use crate::alerts::rule::Pack;
use crate::store::NumberedEvent;
use crate::store::owner::{StoreHandle, StoreOwner};

const HOUR_MS: i64 = 3_600_000;
/// What the clocks are moved by at a time; every deadline is seen to within it.
const PACE: Duration = Duration::from_secs(5);
/// Readings come for this many paces, and then for as many again none.
const PACES: u64 = 120;

/// Everything a run brings that a clock could move.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    /// Pace at which an event was seen, its time after the start, and which it is.
    events: Vec<(u64, i64, String, AlertChange)>,
    /// Observations whose receipt could leave.
    taken: usize,
    late: i64,
}

/// Two turns of the owner: the first may answer before it has looked at the deadlines.
async fn turns(handle: &StoreHandle) {
    for _ in 0..2 {
        handle.ask(|_, _, _| ()).await.unwrap();
    }
}

/// A run in which the wall clock is stepped by so many milliseconds at so many paces, and the steps the audit log has.
async fn run(steps: &[(u64, i64)]) -> (Run, Vec<String>) {
    let world = World::new();
    let manual = ManualClock::default();
    manual.set_wall(at(100_000));
    let begin = manual.now();
    let observation =
        |n: u64, at: Captured| Observation { captured: at, ..world.observation(n, if n % 20 < 10 { 80 } else { 97 }) };
    let pack = Pack::adult_default(1).unwrap();
    let file = world.path();
    let observations: Vec<_> = (0..PACES).map(|n| observation(n, begin)).collect();
    let World { folder, store, .. } = world;
    let parts = StoreOwner::new(Box::new(store), Box::new(Alerts::new(pack)), Clock::manual(manual.clone())).unwrap();
    let (owner, handle, mut reports) = parts;
    let progress = Supervisor::new().progress("store");
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::spawn(move || owner.run(&runtime, &progress));
    let mut run = Run::default();
    for pace in 0..2 * PACES {
        manual.advance(PACE);
        if let Some((_, by_ms)) = steps.iter().find(|(at, _)| *at == pace) {
            let wall = manual.now().wall.as_millis() + by_ms;
            manual.set_wall(Timestamp::from_millis(wall));
        }
        if let Some(observation) = observations.get(usize::try_from(pace).unwrap()) {
            // The hub's clocks do not step: its tick is the server's here, its wall clock the start's.
            let tick = manual.now().tick;
            let captured = Captured { tick, wall: begin.wall.after(tick.since(begin.tick)), ..begin };
            let entry = Entry::Observation(Observation { captured, ..observation.clone() });
            let arrived = Arrived { tick, wall: manual.now().wall };
            let sent = OpenedBatch { sent: Some(tick), arrived, ..batch(vec![record(pace + 1, 1, vec![entry])]) };
            run.taken += handle.take(sent).await.unwrap().observations as usize;
        }
        turns(&handle).await;
        while let Ok(report) = reports.try_recv() {
            for NumberedEvent { event, .. } in report.events {
                let after_ms = event.at.as_millis() - begin.wall.as_millis();
                run.events.push((pace, after_ms, event.rule.clone(), event.change));
            }
        }
    }
    drop(handle);
    thread.join().unwrap().unwrap();
    let conn = rusqlite::Connection::open(&file).unwrap();
    run.late = conn.query_row("SELECT count(*) FROM observation WHERE late", [], |row| row.get(0)).unwrap();
    let mut query = conn.prepare("SELECT content FROM audit ORDER BY number").unwrap();
    let entries = query.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let entries = entries.map(|content| String::from_utf8(content.unwrap()).unwrap());
    let found = entries.filter(|entry| entry.contains("wall_clock_stepped")).collect();
    drop(folder);
    (run, found)
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_the_wall_clock_move_nothing_and_are_found() {
    let (calm, found) = run(&[]).await;
    assert_eq!((calm.taken, calm.late, &*found), (usize::try_from(PACES).unwrap(), 0, &[][..]));
    let is_raised = |rule: &str| {
        calm.events.iter().any(|(.., name, change)| name.starts_with(rule) && *change == AlertChange::Raised)
    };
    assert!(is_raised("spo2-very-low") && is_raised("spo2-absent"), "a limit and an absence: {:?}", calm.events);
    // Forth and back by an hour while readings come, and by two days while an absence is awaited; each beside a look
    // that shows no step, and one that is too small.
    let steps = [
        (7, HOUR_MS),
        (25, -HOUR_MS),
        (40, -HOUR_MS),
        (55, HOUR_MS),
        (70, 48 * HOUR_MS),
        (90, 59_000),
        (PACES + 3, -48 * HOUR_MS),
        (PACES + 20, 48 * HOUR_MS),
    ];
    let (stepped, found) = run(&steps).await;
    assert_eq!(stepped, calm);
    assert_eq!(found.len(), steps.len() - 1, "{found:?}");
    for ((_, by_ms), entry) in steps.iter().filter(|(_, by_ms)| *by_ms != 59_000).zip(&found) {
        assert!(entry.contains(&format!("by_ms:{by_ms}\"")), "{by_ms}: {entry}");
    }
}
