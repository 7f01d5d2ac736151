//! A campaign against the door of a real server: random, changed and replayed octets, packets and handshakes, by
//! strangers and by hubs with good certificates, while honest hubs send and wait for their receipts.
//!
//! ```text
//! seed ─▶ case ─▶ lanes: quick, patient, flood, hub × HOSTILE ─┐
//!                                                               ├─▶ monitor-server ─▶ counts ─▶ verdict
//! honest hubs × HONEST, a batch each half second ──────────────┘
//! ```
//! Attackers run at nice 10 in a thread of their own: they share the machine with server and honest hubs.

pub mod attack;
pub mod case;
pub mod credentials;
pub mod draw;
pub mod ground;
pub mod hello;
pub mod honest;
pub mod hostile;
pub mod record;
pub mod report;
pub mod stage;
pub mod strangers;
pub mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::binaries::Binaries;
use crate::door_counts::DoorCounts;
use crate::wait;
use case::Class;
use honest::{Phase, Watch, percentile};
use report::{Percentiles, Report, Stored};
use stage::Stage;

/// How long honest hubs are measured before the attack: 16 batches a second.
const BEFORE: Duration = Duration::from_secs(10);
/// How long the door may take to count the last connection after all have ended.
const REST_WITHIN: Duration = Duration::from_secs(90);

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many cases.
    pub cases: u64,
    /// What they are drawn from.
    pub seed: u64,
}

/// Does it.
///
/// # Errors
/// If it cannot be done at all. What the server did wrong is in the report.
pub fn run(plan: Plan, binaries: &Binaries, say: &dyn Fn(&str)) -> anyhow::Result<Report> {
    // The server inherits it: thousands of connections, and a flood, at both ends.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    say(&format!("seed {}: {} cases; preparing the server and its hubs", plan.seed, plan.cases));
    let mut stage = Stage::set(binaries)?;
    let id = stage.server.id().context("the server does not run")?;
    let watch = Arc::new(Watch::default());
    let honest = honest_hubs(&stage, &watch)?;
    watch.enter(Phase::Before);
    say(&format!("honest hubs alone for {} s", BEFORE.as_secs()));
    std::thread::sleep(BEFORE);
    let rss_before_kib = rss_kib(id);

    say("the attack");
    let begin = Instant::now();
    attack::run(plan, &stage, &watch, say)?;
    let took = begin.elapsed();
    let rss_after_kib = rss_kib(id);
    watch.enter(Phase::End);
    let cut = honest.join().map_err(|_| anyhow::anyhow!("the honest hubs' thread broke off"))??;

    say("waiting until every connection is accounted for");
    let rest = wait::until("the door to count every connection", REST_WITHIN, || {
        let counts = DoorCounts::read(stage.ground.metrics).ok()?;
        let rests = counts.connections == 0 && counts.is_accounted_for() && counts.accepted >= stage.ground.opened();
        rests.then_some(counts)
    });
    // Not at rest in time: the verdict says what is missing.
    let counts = rest.or_else(|_| DoorCounts::read(stage.ground.metrics)).unwrap_or_default();
    let stored = Stored::read(&stage.server);
    let stopped = stage.server.stop();
    let latencies = watch.latencies();
    let mut report = Report {
        plan,
        cases: Class::all().map(|class| (class.name(), stage.ground.count(class))).collect(),
        took,
        opened: stage.ground.opened(),
        expected: stage.ground.expected().into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect(),
        counts,
        before: Percentiles::of(&latencies.before),
        during: Percentiles::of(&latencies.during),
        batches: latencies.batches,
        originals: stage.originals,
        stored: stored.unwrap_or_default(),
        rss_before_kib,
        rss_after_kib,
        failures: Vec::new(),
    };
    report.failures = verdict::failures(&report);
    report.failures.extend(cut);
    report.failures.extend(stopped.err().map(|error| format!("the server ended: {error:#}")));
    report.failures.extend(panics(&stage.server.said()));
    let (complaints, count) = stage.ground.complaints();
    if count > 0 {
        report.failures.push(format!("{count} cases were not answered as they must be, the first: {complaints:?}"));
    }
    Ok(report)
}

type HonestHubs = std::thread::JoinHandle<anyhow::Result<Vec<String>>>;

/// Starts them; what comes back is what went wrong with each.
fn honest_hubs(stage: &Stage, watch: &Arc<Watch>) -> anyhow::Result<HonestHubs> {
    let (ground, hubs, watch) = (stage.ground.clone(), stage.honest.clone(), watch.clone());
    // A thread and a runtime of their own: what is measured is the server, not who waits behind an attacker here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            let apart = honest::EVERY.checked_div(u32::try_from(hubs.len())?).unwrap_or_default();
            for (place, keys) in (0_u32..).zip(hubs) {
                let (ground, watch) = (ground.clone(), watch.clone());
                tasks.spawn(async move { honest::run(&ground, &keys, &watch, apart * place).await });
            }
            let mut wrong = Vec::new();
            while let Some(ended) = tasks.join_next().await {
                wrong.extend(ended?.err().map(|error| format!("an honest hub: {error:#}")));
            }
            Ok(wrong)
        })
    };
    Ok(std::thread::Builder::new().name("honest".into()).spawn(work)?)
}

/// The first panics in a log.
fn panics(log: &str) -> Vec<String> {
    let found = log.lines().filter(|line| line.contains("panicked at") || line.contains("broke off"));
    found.take(3).map(|line| format!("the server's log holds: {line}")).collect()
}

/// Memory of a process that is in RAM.
fn rss_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Counts by name, without those that are none.
pub type Named = BTreeMap<String, u64>;

impl Percentiles {
    fn of(latencies: &[Duration]) -> Self {
        Self {
            samples: latencies.len(),
            p50: percentile(latencies, 50),
            p99: percentile(latencies, 99),
            max: latencies.iter().max().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_log_is_found() {
        assert!(panics("all is well\nnothing else").is_empty());
        assert_eq!(panics("thread 'tokio' panicked at server/src/x.rs:1:1:\nwhy").len(), 1);
    }

    #[test]
    fn the_memory_of_this_process_is_known() {
        assert!(rss_kib(std::process::id()) > 0);
    }
}
