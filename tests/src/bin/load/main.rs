//! `cargo run --release -p tests --bin load`: how much a real server takes, and how fast.
//!
//! Everything is on this machine, so the generator's own work is in every figure; it says how much that is.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]
#![allow(clippy::arithmetic_side_effects)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use tests::binaries::{Binaries, Profile};
use tests::load::figures::Percentiles;
use tests::load::fleet::Fleet;
use tests::load::run::{Outcome, Plan, run};
use tests::load::usage::raise_open_files;
use tests::server::Server;

/// Loads a server over mutual TLS, MQTT and sealed streams, and says what it took.
#[derive(Debug, Parser)]
#[command(after_help = "A batch's latency is from the moment it was due to its receipt. Ends with 1 if anything sent \
    was not receipted and stored.")]
struct Arguments {
    /// Hubs, each with its own certificate, connection and stream.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    hubs: u32,
    /// Batches a second, all hubs together.
    #[arg(long, value_name = "R", default_value_t = 1_000.0)]
    rate: f64,
    /// How long batches are sent.
    #[arg(long, value_name = "S", default_value_t = 30)]
    seconds: u64,
    /// Patients, spread evenly over the hubs (at least one each).
    #[arg(long, value_name = "P")]
    patients: Option<u32>,
    /// Observations in a batch.
    #[arg(long, value_name = "O", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=200))]
    observations: u32,
    /// Screens that read the feed over WebSockets.
    #[arg(long, value_name = "M", default_value_t = 0)]
    feed_clients: u32,
    /// Keeps the server's data and the hubs here, and goes on with what is there.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// One line of JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(load(&arguments)));
    match &ended {
        Ok(outcome) if arguments.json => println!("{}", serde_json::json!(outcome)),
        Ok(outcome) => print(outcome),
        Err(error) => eprintln!("the load failed: {error:#}"),
    }
    if ended.is_ok_and(|outcome| outcome.is_whole()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn load(arguments: &Arguments) -> anyhow::Result<Outcome> {
    ensure!(arguments.rate.is_finite() && arguments.rate > 0.0, "--rate is no number above nothing");
    raise_open_files();
    eprintln!("building the programs as they ship ...");
    let binaries = Binaries::build(Profile::Release)?;
    let scratch = tempfile::Builder::new().prefix("load").tempdir().context("no scratch folder")?;
    let folder = arguments.folder.as_deref().unwrap_or(scratch.path());
    let mut server = open(folder, &binaries)?;
    server.start()?;
    let file = folder.join("fleet.json");
    let mut fleet = Fleet::load(&file)?;
    let hubs = usize::try_from(arguments.hubs)?;
    let patients = usize::try_from(arguments.patients.unwrap_or(arguments.hubs))?;
    eprintln!("enrolling {} hubs ...", hubs.saturating_sub(fleet.members.len()));
    fleet.grow(&server.data().join("run"), hubs, patients.div_ceil(hubs))?;
    let plan = Plan {
        hubs,
        rate: arguments.rate,
        seconds: arguments.seconds,
        observations: usize::try_from(arguments.observations)?,
        feed_clients: usize::try_from(arguments.feed_clients)?,
    };
    eprintln!("loading ...");
    let outcome =
        run(plan, &server, &mut fleet).await.with_context(|| format!("the server said:\n{}", server.last_words()))?;
    fleet.save(&file)?;
    server.stop()?;
    Ok(outcome)
}

fn open(folder: &Path, binaries: &Binaries) -> anyhow::Result<Server> {
    std::fs::create_dir_all(folder)?;
    if folder.join("server").exists() { Ok(Server::of(folder, binaries)) } else { Server::create(folder, binaries, 1) }
}

fn print(outcome: &Outcome) {
    let Outcome { plan, .. } = outcome;
    println!("{} hubs, {} batches/s asked for, {} s", plan.hubs, plan.rate, plan.seconds);
    println!(
        "  {:.0} batches/s, {:.0} observations/s stored, synced and receipted",
        outcome.batches_per_s, outcome.observations_per_s
    );
    say("due to receipt", outcome.receipt);
    if plan.feed_clients > 0 {
        say("capture to socket", outcome.capture_to_socket);
    }
    println!(
        "  {} of {} batches receipted, {} observations stored",
        outcome.receipted, outcome.batches, outcome.stored
    );
    println!(
        "  server {:.2} cores and {:.0} MiB resident, generator {:.2} cores",
        outcome.server_cores, outcome.server_rss_mib, outcome.generator_cores
    );
    let (before, after) = outcome.load_average;
    println!("  {:.0} connects/s; load average {before:.1} to {after:.1}", outcome.connects_per_s);
}

fn say(what: &str, percentiles: Option<Percentiles>) {
    match percentiles {
        Some(Percentiles { samples, p50_ms, p99_ms, p999_ms, max_ms }) => println!(
            "  {what}: p50 {p50_ms:.1}, p99 {p99_ms:.1}, p99.9 {p999_ms:.1}, longest {max_ms:.1} ms ({samples} samples)"
        ),
        None => println!("  {what}: nothing measured"),
    }
}
