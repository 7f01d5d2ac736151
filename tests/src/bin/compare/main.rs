//! `cargo run --release -p tests --bin compare`: our server beside what people build by hand, in one run on this machine.
//!
//! Each is offered rising rates of the same messages (four readings each) by the same generator over mutual TLS 1.3 and
//! MQTT QoS 1, and its best rate counts. What differs is said at the end.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]
#![allow(clippy::arithmetic_side_effects)]

mod stack;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use serde::Serialize;
use serde_json::json;
use tests::binaries::{Binaries, Profile};
use tests::load::fleet::Fleet;
use tests::load::plain::{self, Content, PlainPlan};
use tests::load::run::{Plan, run};
use tests::load::usage::{load_average, raise_open_files};
use tests::server::Server;

use stack::{Consumer, Mosquitto, Postgres};

/// Readings in a message.
const READINGS: u32 = 4;
/// Octets of a sealed batch of four readings, about.
const SEALED_BYTES: usize = 420;

/// Compares our server with mosquitto alone, and with mosquitto, a consumer and PostgreSQL.
#[derive(Debug, Parser)]
#[command(
    after_help = "Needs Debian's mosquitto, postgresql, python3-paho-mqtt and python3-psycopg2, and root (PostgreSQL \
    runs as its own user)."
)]
struct Arguments {
    /// Connections.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    hubs: u32,
    /// How long each rate is offered.
    #[arg(long, value_name = "S", default_value_t = 10)]
    seconds: u64,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

/// What one of them did at its best.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Best {
    /// Messages offered in a second.
    offered_per_s: f64,
    /// Messages finished in a second.
    messages_per_s: f64,
    /// Until a message's answer (a receipt, or PUBACK), 99 of 100, in milliseconds.
    answer_p99_ms: Option<f64>,
}

impl Best {
    fn of(&mut self, other: Self) {
        if other.messages_per_s > self.messages_per_s {
            *self = other;
        }
    }
}

#[derive(Debug, Serialize)]
struct Outcome {
    /// Sealed, stored, synced, rules applied, receipted.
    ours: Best,
    /// Passed from publisher to PUBACK, in memory only.
    broker_alone: Best,
    /// In PostgreSQL, one transaction for each message.
    by_hand_each: Best,
    /// In PostgreSQL, transactions of what came within 100 ms.
    by_hand_together: Best,
    hubs: u32,
    seconds: u64,
    load_average: (f64, f64),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(compare(&arguments)));
    match ended {
        Ok(outcome) => {
            if arguments.json {
                println!("{}", json!(outcome));
            } else {
                print(&outcome);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the comparison failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn compare(arguments: &Arguments) -> anyhow::Result<Outcome> {
    raise_open_files();
    let before = load_average();
    let scratch = tempfile::Builder::new().prefix("compare").tempdir().context("no scratch folder")?;
    // PostgreSQL's user must be able to enter it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch.path(), open)?;
    let ours = ours(arguments, scratch.path()).await?;
    let mosquitto = Mosquitto::start(scratch.path())?;
    let broker_alone = broker_alone(arguments, &mosquitto).await?;
    drop(mosquitto);
    let by_hand_each = by_hand(arguments, scratch.path(), "each", &[1_000.0, 2_000.0, 3_000.0, 4_000.0]).await?;
    let rates = [4_000.0, 8_000.0, 12_000.0, 16_000.0, 20_000.0];
    let by_hand_together = by_hand(arguments, scratch.path(), "together", &rates).await?;
    let Arguments { hubs, seconds, .. } = *arguments;
    let load_average = (before, load_average());
    Ok(Outcome { ours, broker_alone, by_hand_each, by_hand_together, hubs, seconds, load_average })
}

async fn ours(arguments: &Arguments, folder: &Path) -> anyhow::Result<Best> {
    let binaries = Binaries::build(Profile::Release)?;
    let mut server = Server::create(folder, &binaries, 1)?;
    server.start()?;
    let mut fleet = Fleet::default();
    let hubs = usize::try_from(arguments.hubs)?;
    fleet.grow(&server.data().join("run"), hubs, 1)?;
    let mut best = Best::default();
    for rate in [4_000.0, 8_000.0, 12_000.0, 16_000.0, 20_000.0] {
        let observations = usize::try_from(READINGS)?;
        let plan = Plan { hubs, rate, seconds: arguments.seconds, observations, feed_clients: 0 };
        let outcome = run(plan, &server, &mut fleet).await?;
        eprintln!("ours, {rate:.0} offered: {:.0} messages/s", outcome.batches_per_s);
        best.of(Best {
            offered_per_s: rate,
            messages_per_s: outcome.batches_per_s,
            answer_p99_ms: outcome.receipt.map(|receipt| receipt.p99_ms),
        });
    }
    server.stop()?;
    Ok(best)
}

fn plan(arguments: &Arguments, rate: f64) -> PlainPlan {
    PlainPlan { hubs: arguments.hubs, rate, sending: Duration::from_secs(arguments.seconds) }
}

async fn broker_alone(arguments: &Arguments, mosquitto: &Mosquitto) -> anyhow::Result<Best> {
    let sealed: Arc<Content> = Arc::new(|_, _| vec![0x5a; SEALED_BYTES]);
    let mut best = Best::default();
    for rate in [10_000.0, 20_000.0, 30_000.0, 40_000.0, 60_000.0] {
        let outcome = plain::run(plan(arguments, rate), &mosquitto.broker, &sealed).await?;
        eprintln!("mosquitto alone, {rate:.0} offered: {:.0} messages/s", outcome.per_s);
        let answer_p99_ms = outcome.latency.map(|latency| latency.p99_ms);
        best.of(Best { offered_per_s: rate, messages_per_s: outcome.per_s, answer_p99_ms });
    }
    Ok(best)
}

async fn by_hand(arguments: &Arguments, folder: &Path, mode: &str, rates: &[f64]) -> anyhow::Result<Best> {
    let mut best = Best::default();
    for (place, rate) in rates.iter().copied().enumerate() {
        // A new broker, table and consumer each time: what an earlier rate left waiting is not this one's.
        let folder = folder.join(format!("{mode}-{place}"));
        std::fs::create_dir_all(&folder)?;
        let mosquitto = Mosquitto::start(&folder)?;
        let postgres = Postgres::start(&folder)?;
        let consumer = Consumer::start(mode, &mosquitto, &postgres)?;
        let clear: Arc<Content> = Arc::new(in_the_clear);
        let sending = plain::run(plan(arguments, rate), &mosquitto.broker, &clear);
        let (sent, counted) = tokio::join!(sending, count(&consumer, arguments.seconds));
        sent?;
        let (stored, rows_per_s) = counted?;
        let rows = postgres.rows()?;
        ensure!(rows >= stored, "the consumer claims {stored} rows, PostgreSQL has {rows}");
        consumer.end()?;
        let messages_per_s = rows_per_s / f64::from(READINGS);
        eprintln!("by hand ({mode}), {rate:.0} offered: {messages_per_s:.0} messages/s");
        best.of(Best { offered_per_s: rate, messages_per_s, answer_p99_ms: None });
    }
    Ok(best)
}

/// Rows in the end, and rows in a second, from the first that was stored until shortly before the last is sent.
async fn count(consumer: &Consumer, seconds: u64) -> anyhow::Result<(u64, f64)> {
    let patience = Instant::now() + Duration::from_secs(20);
    while consumer.stored() == 0 {
        ensure!(Instant::now() < patience, "the consumer stores nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (begin, first) = (Instant::now(), consumer.stored());
    tokio::time::sleep(Duration::from_secs(seconds).saturating_sub(Duration::from_millis(500))).await;
    let (stored, passed) = (consumer.stored(), begin.elapsed());
    Ok((stored, f64::from(u32::try_from(stored - first)?) / passed.as_secs_f64()))
}

/// A message as people write it: JSON, in the clear.
fn in_the_clear(place: u32, number: u64) -> Vec<u8> {
    let reading = |index: u64| {
        let (metric, value, unit) =
            if index.is_multiple_of(2) { ("spo2", 94 + number % 5, "%") } else { ("pulse", 66 + number % 5, "/min") };
        json!({ "metric": metric, "value": value, "unit": unit, "taken": 1_800_000_000_000 + number * 1_000 + index / 2 * 500 })
    };
    let readings: Vec<_> = (0..u64::from(READINGS)).map(reading).collect();
    json!({ "hub": format!("load-{place}"), "device": "oximeter-0", "readings": readings }).to_string().into_bytes()
}

fn print(outcome: &Outcome) {
    let Outcome { ours, broker_alone, by_hand_each, by_hand_together, hubs, seconds, load_average } = outcome;
    println!(
        "{hubs} connections, mutual TLS 1.3, QoS 1, {READINGS} readings a message, {seconds} s at each rate; best rate:"
    );
    let line = |what: &str, best: &Best| {
        let p99 = best.answer_p99_ms.map_or_else(String::new, |p99| format!(", answer p99 {p99:.0} ms"));
        let ratio = ours.messages_per_s / best.messages_per_s;
        println!(
            "  {what}: {:.0} messages/s (offered {:.0}){p99}; ours is {ratio:.2} times that",
            best.messages_per_s, best.offered_per_s
        );
    };
    line("ours, sealed, stored, synced, rules applied, receipted", ours);
    line("mosquitto alone, to PUBACK, nothing stored", broker_alone);
    line("mosquitto + Python + PostgreSQL, a transaction a message", by_hand_each);
    line("mosquitto + Python + PostgreSQL, a transaction each 100 ms", by_hand_together);
    println!("  load average {:.1} to {:.1}", load_average.0, load_average.1);
    println!(
        "Compared is how many messages a second reach their end. Not compared: mosquitto alone stores and checks nothing;\n\
         the stack by hand has no seals, receipts, de-duplication, rules or audit, and with a transaction each 100 ms\n\
         it acknowledges what it may still lose. Everything shares this machine's processors with the generator."
    );
}
