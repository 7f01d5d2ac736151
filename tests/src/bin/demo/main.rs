//! `cargo demo`: the whole system on one machine, with devices that are not there and everything else real.
//!
//! Builds the programs as they ship, starts a server and homes in a scratch folder, plays oximeters over
//! pseudo-terminals into the homes' hubs, and prints what a clinician's WebSocket client receives.
//!
//! **Latency** is from a device's byte to the client's socket, on this machine's clock: from the newest frame that
//! the simulated oximeter had written when the hub read the bytes that complete the observation (for values from a
//! replay, which has no bytes, from the hub's capture) until the client had the message that holds the value. Values
//! of the client's first snapshot are not counted, and neither are those that a newer one overtook on the way.
// A program for people at a terminal: printing is what it is for. It measures, so it reads the clock.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod cast;
mod homes;
mod outcome;
mod screen;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use tests::binaries::{Binaries, Profile};
use tests::server::Server;

use cast::Cast;
use homes::Homes;
use outcome::Outcome;
use screen::Screen;
use watch::Watch;

/// The whole system on one machine, with simulated devices. Not for clinical use.
#[derive(Debug, Clone, Parser)]
#[command(after_help = "Latency is from a device's byte to the WebSocket client, everything on this machine.\n\
    With --speed N every duration in rules is divided by N. With --data the demo ends when the recordings do.")]
struct Arguments {
    /// Plays every recording (CSV: time_s,hr,pulse,resp,spo2) in this folder instead of made-up patients.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How much faster than life; every duration in rules is divided by it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    speed: u32,
    /// Ends after so long, waits until all is stored and receipted, and says what became of it.
    #[arg(long, value_name = "SECONDS")]
    exit_after: Option<u64>,
    /// One line of JSON at the end; what happens goes to standard error.
    #[arg(long)]
    json: bool,
}

/// The ward of everybody in the demo.
const WARD: &str = "Demonstration ward";
/// How long hubs may take to have everything receipted after the devices fell silent.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new(arguments.json);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(&arguments, &screen)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(outcome) => {
            if arguments.json {
                println!("{}", outcome.to_json());
            } else {
                screen.say(&outcome.to_text());
            }
            if outcome.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, screen: &Screen) -> anyhow::Result<Outcome> {
    let cast = match &arguments.data {
        Some(folder) => Cast::recorded(folder)?,
        None => Cast::made_up(),
    };
    // Ctrl-C counts from here on, whatever is going on.
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    screen.say("building the programs as they ship ...");
    let binaries = Binaries::build(Profile::Release)?;
    let scratch = tempfile::Builder::new().prefix("demo").tempdir().context("no scratch folder")?;
    let mut server = Server::create(scratch.path(), &binaries, arguments.speed)?;
    let addresses = server.start()?;
    let mut homes = Homes::set_up(scratch.path(), &binaries, &server, &cast, arguments.speed)?;
    let mut access = server.feed(WARD, &homes.enrolment()?)?;
    access.address = addresses.feed;
    announce(screen, &cast, &homes, arguments);
    let watch = Watch::begin(access, homes.patients(), screen.clone()).await?;
    homes.start()?;
    let end = arguments.exit_after.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    loop {
        tokio::select! {
            _ = &mut interrupted => {
                screen.say("stopping ...");
                break;
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
        if end.is_some_and(|end| Instant::now() >= end) || homes.are_over() {
            break;
        }
    }
    // Stop the sources; the rest drains.
    homes.silence();
    let seen = watch.end(homes.writes()).await?;
    let totals = homes.drain(DRAINED_WITHIN)?;
    let counts = server.counts()?;
    server.stop()?;
    Outcome::of(&totals, &counts, seen)
}

fn announce(screen: &Screen, cast: &Cast, homes: &Homes, arguments: &Arguments) {
    let Homes { hubs, .. } = homes;
    screen.say(&format!("{} patients in {} homes, each with a hub-agent of its own", cast.members.len(), hubs.len()));
    if arguments.speed > 1 {
        let speed = arguments.speed;
        screen.say(&format!("{speed} times faster than life: every duration in rules is divided by {speed}"));
    }
    if arguments.data.is_none() {
        let falling = cast.members.iter().find(|member| member.falls());
        if let Some(member) = falling {
            let name = &member.name;
            screen.say(&format!(
                "saturation of {name} begins to fall after {} s; rule spo2-floor alerts after 10 s below 85 %",
                cast::FALLS_FROM_S
            ));
        }
    }
    screen.say("Ctrl-C stops. Not for clinical use: alerts may be delayed or lost.");
}
