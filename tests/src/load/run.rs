//! One load from its first connection to its last receipt.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::figures::Percentiles;
use super::fleet::{Fleet, WARD};
use super::hub::{LoadHub, Schedule, Sent};
use super::screens::Screens;
use super::usage::{Usage, load_average};
use crate::feed_client::FeedAccess;
use crate::server::Server;

/// Hubs that come in at once: fewer than the door's handshakes of one address.
const CONNECTING_MAX: usize = 32;
/// From the last connection to the first batch that counts.
const START_AFTER: Duration = Duration::from_secs(1);
/// How long what was sent may take to be receipted.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);
/// How often the server's use is read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Plan {
    /// Hubs, each with a connection of its own.
    pub hubs: usize,
    /// Batches a second, of all hubs together.
    pub rate: f64,
    /// How long.
    pub seconds: u64,
    /// Observations in a batch.
    pub observations: usize,
    /// Screens that read the feed.
    pub feed_clients: usize,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What was asked for.
    pub plan: Plan,
    /// Connections, with the first batch of each stored and receipted, in a second.
    pub connects_per_s: f64,
    /// Batches that were sent in the measured time.
    pub batches: u64,
    /// Of which so many had a receipt at the end.
    pub receipted: u64,
    /// Receipted batches by the time from the first batch due to the last receipt.
    pub batches_per_s: f64,
    /// Likewise observations.
    pub observations_per_s: f64,
    /// From the moment a batch was due to its receipt.
    pub receipt: Option<Percentiles>,
    /// From a value's capture to a screen's socket.
    pub capture_to_socket: Option<Percentiles>,
    /// Observations that the store says it took.
    pub stored: u64,
    /// Processors the server kept busy while batches were sent.
    pub server_cores: f64,
    /// Processors this generator kept busy meanwhile.
    pub generator_cores: f64,
    /// The server's resident memory while batches were sent, highest, in MiB.
    pub server_rss_mib: f64,
    /// The machine's load average (one minute) before and after.
    pub load_average: (f64, f64),
}

impl Outcome {
    /// Whether everything sent was receipted and stored.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let observations = u64::try_from(self.plan.observations).unwrap_or(u64::MAX);
        self.receipted == self.batches && self.stored == self.batches.saturating_mul(observations)
    }
}

/// Loads a running server.
///
/// # Errors
/// If a hub is refused or cut off, something goes to quarantine, or the server ends.
pub async fn run(plan: Plan, server: &Server, fleet: &mut Fleet) -> anyhow::Result<Outcome> {
    ensure!(plan.hubs > 0 && fleet.members.len() >= plan.hubs, "the fleet has {} hubs", fleet.members.len());
    ensure!(plan.rate > 0.0 && plan.observations > 0, "nothing would be sent");
    let id = server.id().context("the server does not run")?;
    let average = load_average();
    let begin = Instant::now();
    let hubs = connect(plan, server, fleet).await?;
    let connects_per_s = rate(plan.hubs, begin.elapsed());
    let screens = Screens::open(&feed(server, fleet)?, plan.feed_clients).await?;
    let before = stored(server)?;

    let begin = Instant::now() + START_AFTER;
    let end = begin + Duration::from_secs(plan.seconds);
    let every = Duration::from_secs_f64(f64::from(u32::try_from(plan.hubs)?) / plan.rate);
    let mut tasks = JoinSet::new();
    for (place, hub) in hubs.into_iter().enumerate() {
        let offset = every.mul_f64(f64::from(u32::try_from(place)?) / f64::from(u32::try_from(plan.hubs)?));
        let give_up = end + DRAINED_WITHIN;
        let schedule = Schedule { begin, end, give_up, every, offset, observations: plan.observations };
        tasks.spawn(async move { (place, hub.run(schedule).await) });
    }
    tokio::time::sleep_until(begin).await;
    screens.count();
    let used = watch(id, end).await?;
    let mut total = Sent::default();
    while let Some(ended) = tasks.join_next().await {
        let (place, ended) = ended?;
        let (sent, previous) = ended.with_context(|| format!("hub {place}"))?;
        if let Some(member) = fleet.members.get_mut(place) {
            member.previous = Some(previous);
        }
        total.add(sent);
    }
    let seen = screens.close().await?;
    let took = total.last_receipt.map_or(Duration::from_secs(plan.seconds), |last| last - begin);
    let batches_per_s = rate(usize::try_from(total.receipted)?, took.max(Duration::from_secs(plan.seconds)));
    Ok(Outcome {
        plan,
        connects_per_s,
        batches: total.batches,
        receipted: total.receipted,
        batches_per_s,
        observations_per_s: batches_per_s * f64::from(u32::try_from(plan.observations)?),
        receipt: total.latencies.percentiles(),
        capture_to_socket: seen.percentiles(),
        stored: stored(server)?.saturating_sub(before),
        server_cores: used.server_cores,
        generator_cores: used.generator_cores,
        server_rss_mib: f64::from(u32::try_from(used.rss_kib)?) / 1024.0,
        load_average: (average, load_average()),
    })
}

fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

async fn connect(plan: Plan, server: &Server, fleet: &Fleet) -> anyhow::Result<Vec<LoadHub>> {
    let door = server.addresses()?.mqtt;
    let members = fleet.members.iter().take(plan.hubs);
    let entering = members.map(|member| LoadHub::enter(door, member));
    stream::iter(entering).buffered(CONNECTING_MAX).try_collect().await
}

fn feed(server: &Server, fleet: &Fleet) -> anyhow::Result<FeedAccess> {
    let enrolment = &fleet.members.first().context("no hub")?.enrolment;
    Ok(FeedAccess {
        address: server.addresses()?.feed,
        server_name: enrolment.server_name.clone(),
        roots_pem: enrolment.roots_pem.clone(),
        token: server.token("clinician", WARD)?,
    })
}

fn stored(server: &Server) -> anyhow::Result<u64> {
    server.counts()?["observations"].as_u64().context("no count of observations")
}

struct Used {
    server_cores: f64,
    generator_cores: f64,
    rss_kib: u64,
}

async fn watch(id: u32, end: Instant) -> anyhow::Result<Used> {
    let (begin, server, generator) = (Instant::now(), Usage::of(id)?, Usage::of(std::process::id())?);
    let mut rss_kib = server.rss_kib;
    while Instant::now() < end {
        tokio::time::sleep(LOOK_EVERY).await;
        rss_kib = rss_kib.max(Usage::of(id).context("the server has ended")?.rss_kib);
    }
    let passed = begin.elapsed();
    let server_cores = Usage::of(id)?.cores_since(&server, passed);
    let generator_cores = Usage::of(std::process::id())?.cores_since(&generator, passed);
    Ok(Used { server_cores, generator_cores, rss_kib })
}
