//! The clinician's side: a WebSocket client that notes when what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;
use shared::time::Timestamp;
use tests::feed_client::{FeedAccess, FeedClient};
use tests::simulators::{Writes, wall_ms};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::screen::Screen;

/// How often a line of live values is printed.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// Patients on a line; with more, the line says how many are not on it.
const LINE_PATIENTS_MAX: usize = 4;
/// Samples of latency kept: a day of four patients. Further ones are not measured.
const SAMPLES_MAX: usize = 1_000_000;

/// A value that arrived.
struct Sample {
    patient: String,
    from_oximeter: bool,
    captured_ms: i64,
    received_ms: i64,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Alerts raised, each time counted.
    pub(crate) alerts: u64,
    /// Whom they were about, by name.
    pub(crate) alerting: BTreeSet<String>,
    /// From a device's byte to the socket, in milliseconds, ascending.
    pub(crate) latencies_ms: Vec<u64>,
}

/// The client, on a task of its own.
pub(crate) struct Watch {
    task: JoinSet<anyhow::Result<Watcher>>,
    stop: oneshot::Sender<()>,
}

struct Watcher {
    names: BTreeMap<String, String>,
    screen: Screen,
    seen: Seen,
    samples: Vec<Sample>,
    shown: BTreeMap<String, BTreeMap<String, String>>,
    printed: Instant,
}

impl Watch {
    /// Connects and begins.
    pub(crate) async fn begin(
        access: FeedAccess,
        names: BTreeMap<String, String>,
        screen: Screen,
    ) -> anyhow::Result<Self> {
        let feed = FeedClient::connect(&access, None).await?;
        let watcher = Watcher {
            names,
            screen,
            seen: Seen::default(),
            samples: Vec::new(),
            shown: BTreeMap::new(),
            printed: Instant::now(),
        };
        let (stop, stopped) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(watcher.run(feed, access, stopped));
        Ok(Self { task, stop })
    }

    /// Stops watching.
    pub(crate) async fn end(mut self, writes: BTreeMap<String, Arc<Writes>>) -> anyhow::Result<Seen> {
        let _ = self.stop.send(());
        let mut watcher = self.task.join_next().await.context("nobody watched")???;
        let mut latencies: Vec<u64> = watcher.samples.iter().map(|sample| latency(sample, &writes)).collect();
        latencies.sort_unstable();
        watcher.seen.latencies_ms = latencies;
        Ok(watcher.seen)
    }
}

/// From the frame the oximeter had last written when the hub read, or from the hub's capture where there is no frame.
fn latency(sample: &Sample, writes: &BTreeMap<String, Arc<Writes>>) -> u64 {
    let written = writes
        .get(&sample.patient)
        .filter(|_| sample.from_oximeter)
        .and_then(|writes| writes.latest_by(sample.captured_ms))
        .unwrap_or(sample.captured_ms);
    u64::try_from(sample.received_ms - written).unwrap_or(0)
}

impl Watcher {
    async fn run(
        mut self,
        mut feed: FeedClient,
        access: FeedAccess,
        mut stop: oneshot::Receiver<()>,
    ) -> anyhow::Result<Self> {
        loop {
            let message = tokio::select! {
                message = feed.next() => message,
                _ = &mut stop => return Ok(self),
            };
            match message {
                Ok(Some(message)) => self.take(&message, wall_ms()),
                // Closed or broken: go on where it ended, as a screen would.
                ended => {
                    let why = ended.err().map_or_else(|| "closed".to_owned(), |error| format!("{error:#}"));
                    self.screen.say(&format!("the feed ended ({why}); resuming"));
                    let cursor = feed.cursor().map(str::to_owned);
                    feed = FeedClient::connect(&access, cursor.as_deref()).await?;
                }
            }
        }
    }

    fn take(&mut self, message: &Value, received_ms: i64) {
        match message["type"].as_str() {
            Some("alert") => self.take_alert(&message["alert"]),
            Some("live") => {
                for value in message["values"].as_array().into_iter().flatten() {
                    self.take_value(value, received_ms);
                }
                self.print_line();
            }
            _ => {}
        }
    }

    fn take_alert(&mut self, alert: &Value) {
        let name = alert["subject"]["patient"].as_str().and_then(|patient| self.names.get(patient)).cloned();
        self.screen.alert(name.as_deref().unwrap_or("a home"), alert);
        if matches!(alert["change"].as_str(), Some("raised" | "raised_again")) {
            self.seen.alerts += 1;
            self.seen.alerting.extend(name);
        }
    }

    fn take_value(&mut self, value: &Value, received_ms: i64) {
        let (Some(patient), Some(metric)) = (value["patient"].as_str(), value["metric"].as_str()) else { return };
        let captured = serde_json::from_value::<Timestamp>(value["captured_wall"].clone());
        if let (Ok(captured), true) = (captured, self.samples.len() < SAMPLES_MAX) {
            self.samples.push(Sample {
                patient: patient.to_owned(),
                from_oximeter: matches!(metric, "spo2" | "pulse_rate"),
                captured_ms: captured.as_millis(),
                received_ms,
            });
        }
        let text = value["value"].as_str().map_or_else(|| "--".to_owned(), str::to_owned);
        self.shown.entry(patient.to_owned()).or_default().insert(metric.to_owned(), text);
    }

    fn print_line(&mut self) {
        if self.printed.elapsed() < LINE_EVERY {
            return;
        }
        self.printed = Instant::now();
        let part = |(patient, values): (&String, &BTreeMap<String, String>)| {
            let name = self.names.get(patient).map_or("?", |name| name.split(',').next().unwrap_or(name));
            let value = |metric: &str| values.get(metric).map_or("--", String::as_str);
            let resp = values.get("respiratory_rate").map(|resp| format!(" RR {resp}")).unwrap_or_default();
            format!("{name} SpO₂ {} % pulse {}{resp}", value("spo2"), value("pulse_rate"))
        };
        let mut line = self.shown.iter().take(LINE_PATIENTS_MAX).map(part).collect::<Vec<_>>().join(" | ");
        let others = self.shown.len().saturating_sub(LINE_PATIENTS_MAX);
        if others > 0 {
            line.push_str(&format!(" | and {others} more"));
        }
        self.screen.live(&format!("live  {line}"));
    }
}
