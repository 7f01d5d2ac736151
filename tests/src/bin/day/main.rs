//! `cargo run --release -p tests --bin day`: a whole day over serial lines.
// A program for people at a terminal: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use tests::binaries::{Binaries, Profile};
use tests::day::{self, DAY_SECONDS, Plan};

/// A day of oximeters on pseudo-terminals, with garbage, another speed and pulled plugs, through a real agent and server.
#[derive(Debug, Clone, Parser)]
#[command(
    after_help = "The same seed gives the same troubles. It fails if a frame that was whole on the line is not stored\n\
    once, something is stored that no device showed, or a gap is not explained."
)]
struct Arguments {
    /// Seconds of each device's course.
    #[arg(long, value_name = "N", default_value_t = DAY_SECONDS, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How much faster than life.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=200))]
    speed: u16,
    /// Decides what goes wrong where.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// The figures as one line of JSON on standard output.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Arguments { seconds, speed, seed, json } = Arguments::parse();
    let plan = Plan { seconds, ..Plan::whole_day(seed, f64::from(speed)) };
    let ran =
        Binaries::build(Profile::Release).and_then(|binaries| day::run(plan, &binaries, &|line| eprintln!("{line}")));
    match ran {
        Ok(report) => {
            let failures = report.failures();
            for failure in &failures {
                eprintln!("failed: {failure}");
            }
            if json {
                println!("{}", report.to_json());
            } else {
                println!("{report}");
            }
            if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the day could not be played: {error:#}");
            ExitCode::FAILURE
        }
    }
}
