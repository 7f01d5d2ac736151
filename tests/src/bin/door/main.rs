//! `cargo run --release -p tests --bin door`: a campaign against the door of a real server.
// A program for people at a terminal: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser;
use tests::binaries::{Binaries, Profile};
use tests::door_campaign::{self, Plan};

/// Random, changed and replayed packets and handshakes against a server's door, while honest hubs measure it.
#[derive(Debug, Clone, Parser)]
#[command(after_help = "The same seed gives the same cases; keys and nonces within them are new each time.\n\
    It fails if the server panics or ends, an honest hub is cut or waits too long, a connection or a refusal is not\n\
    accounted for, or something is stored that no hub's record is.")]
struct Arguments {
    /// How many cases. For a verdict on latency the attack must last some seconds: 20,000 or more.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    cases: u64,
    /// What the cases are drawn from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// The figures as one line of JSON on standard output.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Arguments { cases, seed, json } = Arguments::parse();
    let ran = Binaries::build(Profile::Release)
        .and_then(|binaries| door_campaign::run(Plan { cases, seed }, &binaries, &|line| eprintln!("{line}")));
    match ran {
        Ok(report) => {
            for failure in &report.failures {
                eprintln!("failed: {failure}");
            }
            if json {
                println!("{}", report.to_json());
            } else {
                println!("{report}");
            }
            if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the campaign could not be done: {error:#}");
            ExitCode::FAILURE
        }
    }
}
