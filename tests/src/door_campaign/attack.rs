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

/// How many cases a lane may be ahead of the quick one. Further ahead it waits: cases come about in the order of their
/// numbers, so that the attack is as mixed as it was drawn, from its beginning to its end.
const LEAD_MAX: u64 = 1_000;
/// How often a lane that waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The cases of a lane, each taken once.
struct Cases {
    plan: Plan,
    hubs: usize,
    lane: Lane,
    next: AtomicU64,
    /// Whom it may not be far ahead of.
    behind: Option<Arc<Cases>>,
}

impl Cases {
    fn new(plan: Plan, hubs: usize, lane: Lane, behind: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { plan, hubs, lane, next: AtomicU64::new(0), behind })
    }

    /// Whether a case would be far ahead.
    fn is_early(&self, number: u64) -> bool {
        self.behind.as_ref().is_some_and(|quick| number > quick.next.load(Relaxed) + LEAD_MAX)
    }

    fn next(&self) -> Option<(u64, Case)> {
        loop {
            let number = self.next.fetch_add(1, Relaxed);
            if number >= self.plan.cases {
                return None;
            }
            let case = Case::of(self.plan.seed, number, self.hubs);
            if case.lane == self.lane {
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
    let quick_cases = Cases::new(plan, hubs, Lane::Quick, None);
    for (lane, count) in [(Lane::Quick, QUICK), (Lane::Patient, PATIENT), (Lane::Flood, 1)] {
        let cases = match lane {
            Lane::Quick => quick_cases.clone(),
            _ => Cases::new(plan, hubs, lane, Some(quick_cases.clone())),
        };
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
        let cases = Cases::new(plan, hubs, Lane::Hub(number), Some(quick_cases.clone()));
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
    while cases.is_early(number) && ground.complained() < HOPELESS {
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
            let cases = Cases::new(plan, 3, lane, None);
            std::iter::from_fn(|| cases.next()).count()
        });
        assert_eq!(taken.sum::<usize>(), 3_000);
    }

    #[test]
    fn no_lane_is_far_ahead_of_the_quick_one() {
        let plan = Plan { cases: 3_000, seed: 4 };
        let quick = Cases::new(plan, 3, Lane::Quick, None);
        let hub = Cases::new(plan, 3, Lane::Hub(0), Some(quick.clone()));
        assert!(!hub.is_early(LEAD_MAX) && hub.is_early(LEAD_MAX + 1));
        while quick.next().is_some() {}
        assert!(!hub.is_early(3_000), "when the quick lane is done, nobody waits");
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
