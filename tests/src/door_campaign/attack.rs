//! The lanes and their workers.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use super::Plan;
use super::case::{Case, Class, Lane};
use super::ground::Ground;
use super::honest::{Phase, Watch};
use super::hostile::Hostile;
use super::stage::Stage;
use super::strangers::Strangers;

/// Strangers that end soon, at once.
const QUICK: usize = 96;
/// Strangers that hold a place at the door, at once: a quarter of the handshakes it does at once.
const PATIENT: usize = 16;
/// How much nicer than others the attackers are.
const NICE: &str = "10";
/// Complaints with which nothing further is tried.
const HOPELESS: u64 = 500;
/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// How many cases a lane may be ahead of the last. Further ahead it waits: cases come about in the order of their numbers,
/// so that the attack is as mixed as it was drawn from its beginning to its end. The door's own pace for hubs sets that
/// of all.
const LEAD_MAX: u64 = 5_000;
/// How often a lane that waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How far each lane is that others wait for: the quick one and the hubs'. Those of the patient and of floods are few
/// and slow; they wait, and nobody for them.
struct Progress(Vec<AtomicU64>);

impl Progress {
    fn new(hubs: usize) -> Arc<Self> {
        Arc::new(Self((0..=hubs).map(|_| AtomicU64::new(0)).collect()))
    }

    fn reached(&self, lane: Lane, number: u64) {
        let place = match lane {
            Lane::Quick => Some(0),
            Lane::Hub(hub) => Some(hub + 1),
            Lane::Patient | Lane::Flood => None,
        };
        if let Some(reached) = place.and_then(|place| self.0.get(place)) {
            reached.fetch_max(number, Relaxed);
        }
    }

    /// Whether a case would be far ahead of the last lane. The last lane's own never is.
    fn is_early(&self, number: u64) -> bool {
        let last = self.0.iter().map(|reached| reached.load(Relaxed)).min();
        last.is_some_and(|last| number > last.saturating_add(LEAD_MAX))
    }
}

/// The cases of a lane, each taken once.
struct Cases {
    plan: Plan,
    hubs: usize,
    lane: Lane,
    next: AtomicU64,
    progress: Arc<Progress>,
}

impl Cases {
    fn new(plan: Plan, hubs: usize, lane: Lane, progress: &Arc<Progress>) -> Arc<Self> {
        Arc::new(Self { plan, hubs, lane, next: AtomicU64::new(0), progress: progress.clone() })
    }

    fn next(&self) -> Option<(u64, Case)> {
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if number >= self.plan.cases {
                self.progress.reached(self.lane, u64::MAX);
                return None;
            }
            let case = Case::of(self.plan.seed, number, self.hubs);
            if case.lane == self.lane {
                self.progress.reached(self.lane, number);
                return Some((number, case));
            }
        }
    }
}

/// Workers of one sort that have something to do; when the first sort has none left, not all attack any more.
struct Busy {
    left: AtomicUsize,
    watch: Arc<Watch>,
}

impl Busy {
    fn new(count: usize, watch: &Arc<Watch>) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(count), watch: watch.clone() })
    }

    fn is_done(&self) {
        if self.left.fetch_sub(1, Relaxed) == 1 {
            self.watch.enter(Phase::Else);
        }
    }
}

/// Does all cases, and returns when they are done.
///
/// # Errors
/// If the attackers cannot be started, or cannot be made nice.
pub fn run(plan: Plan, stage: &Stage, watch: &Arc<Watch>, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let (strangers, stolen, hostile) = (stage.strangers.clone(), stage.stolen.clone(), stage.hostile.clone());
    let (ground, watch) = (stage.ground.clone(), watch.clone());
    let hubs = hostile.into_iter();
    let hubs = hubs.map(|(keys, batches)| Hostile::new(ground.clone(), keys, batches, stolen.clone())).collect();
    let work = move || -> anyhow::Result<()> {
        be_nice()?;
        // Its threads are as nice as the one that starts them.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(all(plan, strangers, hubs, &watch))
    };
    let thread = std::thread::Builder::new().name("attack".into()).spawn(work)?;
    let mut said = Instant::now();
    while !thread.is_finished() {
        std::thread::sleep(Duration::from_millis(100));
        if said.elapsed() >= PROGRESS_EVERY {
            said = Instant::now();
            let done: u64 = Class::all().map(|class| stage.ground.count(class)).sum();
            say(&format!("{done} of {} cases", plan.cases));
        }
    }
    thread.join().map_err(|_| anyhow::anyhow!("the attackers' thread broke off"))?
}

fn be_nice() -> anyhow::Result<()> {
    let mut command = Command::new("renice");
    command.args(["-n", NICE, "-p", &nix::unistd::gettid().to_string()]);
    let said = command.output().context("renice cannot be started; it is in Debian's bsdutils")?;
    ensure!(said.status.success(), "renice: {}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}

async fn all(plan: Plan, strangers: Arc<Strangers>, hostile: Vec<Hostile>, watch: &Arc<Watch>) -> anyhow::Result<()> {
    let hubs = hostile.len();
    let mut workers = JoinSet::new();
    watch.enter(Phase::During);
    let quick = Busy::new(QUICK, watch);
    let progress = Progress::new(hubs);
    for (lane, count) in [(Lane::Quick, QUICK), (Lane::Patient, PATIENT), (Lane::Flood, 1)] {
        let cases = Cases::new(plan, hubs, lane, &progress);
        for _ in 0..count {
            let (cases, strangers, quick) = (cases.clone(), strangers.clone(), quick.clone());
            workers.spawn(async move {
                while let Some(case) = next(&cases, &strangers.ground).await {
                    let class = case.class;
                    strangers.attack(case).await;
                    strangers.ground.done(class);
                }
                if lane == Lane::Quick {
                    quick.is_done();
                }
            });
        }
    }
    let busy = Busy::new(hubs, watch);
    for (number, mut hub) in hostile.into_iter().enumerate() {
        let cases = Cases::new(plan, hubs, Lane::Hub(number), &progress);
        let (ground, busy) = (strangers.ground.clone(), busy.clone());
        workers.spawn(async move {
            while let Some(case) = next(&cases, &ground).await {
                let class = case.class;
                hub.attack(case).await;
                ground.done(class);
            }
            if let Err(error) = hub.leave().await {
                ground.complain(format!("a hostile hub could not leave: {error:#}"));
            }
            busy.is_done();
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.context("an attacker broke off")?;
    }
    Ok(())
}

async fn next(cases: &Cases, ground: &Ground) -> Option<Case> {
    let (number, case) = cases.next()?;
    while cases.progress.is_early(number) && ground.complained() < HOPELESS {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    (ground.complained() < HOPELESS).then_some(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_taken_once_by_one_lane() {
        let plan = Plan { cases: 3_000, seed: 4 };
        let hubs = (0..3).map(Lane::Hub);
        let lanes = [Lane::Quick, Lane::Patient, Lane::Flood].into_iter().chain(hubs);
        let taken = lanes.map(|lane| {
            let cases = Cases::new(plan, 3, lane, &Progress::new(3));
            std::iter::from_fn(|| cases.next()).count()
        });
        assert_eq!(taken.sum::<usize>(), 3_000);
    }

    #[test]
    fn no_lane_is_far_ahead_of_the_last_and_the_last_never_waits() {
        let plan = Plan { cases: 20_000, seed: 4 };
        let progress = Progress::new(1);
        let quick = Cases::new(plan, 1, Lane::Quick, &progress);
        let hub = Cases::new(plan, 1, Lane::Hub(0), &progress);
        let (first, _) = hub.next().unwrap();
        let ahead = std::iter::from_fn(|| quick.next()).find(|(number, _)| progress.is_early(*number));
        assert!(ahead.unwrap().0 > first + LEAD_MAX && !progress.is_early(first));
        while hub.next().is_some() {}
        while quick.next().is_some() {}
        assert!(!progress.is_early(u64::MAX), "when the others are done, nobody waits");
    }

    #[test]
    fn all_attack_until_the_last_of_a_sort_is_done() {
        let watch = Arc::new(Watch::default());
        watch.enter(Phase::During);
        let busy = Busy::new(2, &watch);
        busy.is_done();
        assert_eq!(busy.left.load(Relaxed), 1);
        busy.is_done();
        assert_eq!(busy.left.load(Relaxed), 0);
    }
}
