//! `cargo run --release -p tests --bin decoders`: random and changed octets for every decoder.
// A program for people at a terminal: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use tests::decoders::{Decoder, Plan, Seeds, run};

/// Random octets, and the public vectors' frames changed, cut, repeated and mixed, for every serial protocol and every
/// Bluetooth characteristic.
#[derive(Debug, Clone, Parser)]
#[command(
    after_help = "The same seed gives the same octets. It fails if a decoder panics, takes longer than a second\n\
    for a case, or says what no reading can be."
)]
struct Arguments {
    /// How many cases for each decoder.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    cases: u64,
    /// What the cases are drawn from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// One line of JSON for each decoder on standard output.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Arguments { cases, seed, json } = Arguments::parse();
    let seeds = match Seeds::read() {
        Ok(seeds) => seeds,
        Err(error) => {
            eprintln!("the vectors cannot be read: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    eprintln!("cases are made from {} frames, and from nothing; RPM_DATA says where the vectors are", seeds.count());
    let mut failed = 0_u64;
    for decoder in Decoder::all() {
        let figures = run(decoder, Plan { cases, seed }, &seeds);
        for failure in &figures.failures {
            eprintln!("failed: {decoder}: {failure}");
        }
        failed = failed.saturating_add(figures.failed);
        if json {
            println!("{}", figures.to_json());
        } else {
            println!(
                "{:<24} {:>9} cases {:>11} octets {:>10} believed {:>10} refused {:>10} readings {:>9.0} cases/s, slowest {:?}",
                decoder.to_string(),
                figures.cases,
                figures.octets,
                figures.accepted,
                figures.refused,
                figures.readings,
                figures.rate(),
                figures.slowest
            );
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
