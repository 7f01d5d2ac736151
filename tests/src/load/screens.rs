//! Clinicians' screens of a load: each reads the feed and notes how old what it shows is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::time::Timestamp;
use tokio::task::JoinSet;

use super::figures::Samples;
use crate::feed_client::{FeedAccess, FeedClient};

/// How long a screen waits before it looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Screens that watch.
pub(super) struct Screens {
    tasks: JoinSet<anyhow::Result<Samples>>,
    counting: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Screens {
    /// Opens so many.
    pub(super) async fn open(access: &FeedAccess, count: usize) -> anyhow::Result<Self> {
        let (counting, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let feed = FeedClient::connect(access, None).await?;
            tasks.spawn(watch(feed, counting.clone(), stop.clone()));
        }
        Ok(Self { tasks, counting, stop })
    }

    /// What they see from now on counts.
    pub(super) fn count(&self) {
        self.counting.store(true, Ordering::SeqCst);
    }

    /// From a value's capture to the socket, over all screens and values.
    pub(super) async fn close(mut self) -> anyhow::Result<Samples> {
        self.stop.store(true, Ordering::SeqCst);
        let mut samples = Samples::default();
        while let Some(ended) = self.tasks.join_next().await {
            samples.extend(ended??);
        }
        Ok(samples)
    }
}

async fn watch(mut feed: FeedClient, counting: Arc<AtomicBool>, stop: Arc<AtomicBool>) -> anyhow::Result<Samples> {
    let clock = runtime::clock::Clock::system();
    let mut samples = Samples::default();
    while !stop.load(Ordering::SeqCst) {
        let Some(message) = feed.next_within(LOOK_EVERY).await? else { continue };
        if message["type"] != "live" || !counting.load(Ordering::SeqCst) {
            continue;
        }
        let now = clock.wall();
        for value in message["values"].as_array().into_iter().flatten() {
            let captured: Timestamp = serde_json::from_value(value["captured_wall"].clone())?;
            samples.push(now.since(captured));
        }
    }
    Ok(samples)
}
