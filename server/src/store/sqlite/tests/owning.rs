//! The owner over a real store.

use runtime::clock::{Clock, ManualClock};
use runtime::supervisor::Supervisor;
use shared::wire::Entry;

use super::*;
use crate::store::owner::{StoreOwner, TakeRefused};

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_come_together_are_committed_together_and_drained_at_the_end() {
    let world = World::new();
    let entry = |tick| Entry::Observation(world.observation(tick, 80));
    let sends: Vec<OpenedBatch> = (1..=20).map(|n| batch(vec![record(n, 1, vec![entry(49_000 + n)])])).collect();
    let World { folder, store, .. } = world;
    let parts = StoreOwner::new(Box::new(store), Box::new(Listening::default()), Clock::system()).unwrap();
    let (owner, handle, mut reports) = parts;
    let progress = Supervisor::new().progress("store");
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::spawn(move || owner.run(&runtime, &progress));
    let mut tasks = tokio::task::JoinSet::new();
    for send in sends {
        let handle = handle.clone();
        tasks.spawn(async move { handle.take(send).await });
    }
    let reporting = async {
        let (mut outcomes, mut numbers, mut commits) = (0, Vec::new(), 0);
        while let Some(report) = reports.recv().await {
            outcomes += report.outcomes.len();
            numbers.extend(report.events.iter().map(|event| event.number.0));
            commits += 1;
        }
        (outcomes, numbers, commits)
    };
    let asking = async {
        let answers = tasks.join_all().await;
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|outcome| outcome.observations == 1)));
        let counts = handle.ask(|store, _, now| store.counts(&allow(Action::StoreCount), now)).await.unwrap().unwrap();
        assert_eq!((counts.observations, counts.duplicates), (20, 0));
        handle.hub_connected(HUB, false).await.unwrap();
        drop(handle);
    };
    let ((outcomes, numbers, commits), ()) = tokio::join!(reporting, asking);
    assert_eq!(outcomes, 20);
    assert_eq!(numbers, (1..=21).collect::<Vec<i64>>(), "dense, in commit order");
    assert!(commits < 20, "{commits} reports for 20 batches");
    thread.join().unwrap().unwrap();
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_says_so() {
    let World { folder, store, .. } = World::new();
    let parts = StoreOwner::new(Box::new(store), Box::new(Listening::default()), Clock::system()).unwrap();
    let (owner, handle, _reports) = parts;
    drop(owner);
    assert_eq!(handle.take(batch(vec![record(1, 1, Vec::new())])).await.unwrap_err(), TakeRefused::Closed);
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_commit_says_so_and_tries_by_itself_when_nobody_sends() {
    let world = World::new();
    let other = rusqlite::Connection::open(world.path()).unwrap();
    let World { folder, store, .. } = world;
    let manual = ManualClock::default();
    let clock = Clock::manual(manual.clone());
    let (owner, handle, _reports) = StoreOwner::new(Box::new(store), Box::new(Listening::default()), clock).unwrap();
    let progress = Supervisor::new().progress("store");
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::spawn(move || owner.run(&runtime, &progress));
    // Somebody else writes: no batch is needed for the failure to show.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    handle.hub_connected(HUB, true).await.unwrap();
    let mut refusal = handle.refusal();
    tokio::time::timeout(std::time::Duration::from_secs(20), refusal.wait_for(|refuses| *refuses))
        .await
        .unwrap()
        .unwrap();
    assert!(handle.refuses());
    other.execute_batch("ROLLBACK").unwrap();
    // What is no batch may fit where a batch does not: it ends nothing.
    handle.hub_connected(HUB, true).await.unwrap();
    handle.ask(|_, _, _| ()).await.unwrap();
    assert!(handle.refuses());
    manual.advance(crate::limits::STORE_PROBE_AFTER);
    let probed = refusal.wait_for(|refuses| !refuses);
    tokio::time::timeout(std::time::Duration::from_secs(20), probed).await.unwrap().unwrap();
    assert!(!handle.refuses());
    drop(handle);
    thread.join().unwrap().unwrap();
    drop(folder);
}
