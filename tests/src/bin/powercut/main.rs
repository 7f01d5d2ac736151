//! `cargo run --release -p tests --bin powercut`: power cuts for a hub's queue and the server's store.
// A program for people at a terminal: printing is what it is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::Parser;
use tests::power_cut::{Campaign, Figures, Plant, Subject, play, run};

/// Traces what a hub's queue and the server's store write, and opens the disks that power cuts would leave: what was not
/// synced is lost, torn and reordered. Needs strace.
#[derive(Debug, Clone, Parser)]
#[command(
    after_help = "The same seed gives the same cuts of the same trace. It fails if anything that was accepted or \
    receipted is missing, anything is twice, or a queue or store does not open or does not go on."
)]
struct Arguments {
    /// How many different disks are opened, half of them queues and half stores.
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    cuts: u64,
    /// What plays and cuts are drawn from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Only one of the two.
    #[arg(long, value_enum)]
    only: Option<Subject>,
    /// Puts a fault in, to see it found.
    #[arg(long, value_enum, default_value = "none")]
    plant: Plant,
    /// Keeps disks on which something is wrong, as they were before they were opened.
    #[arg(long, value_name = "FOLDER")]
    keep_failed: Option<PathBuf>,
    /// One line of JSON for each on standard output.
    #[arg(long)]
    json: bool,
    /// Plays in a folder, for the tracer.
    #[arg(long, hide = true, requires = "only")]
    play_in: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let (Some(folder), Some(subject)) = (&arguments.play_in, arguments.only) {
        play(subject, folder, arguments.seed)?;
        return Ok(ExitCode::SUCCESS);
    }
    let myself = std::env::current_exe().context("this program's own file")?;
    let player = |subject: Subject, folder: &Path, seed: u64| {
        let mut command = Command::new(&myself);
        let subject = format!("{subject:?}").to_lowercase();
        command.args(["--only", &subject, "--seed", &seed.to_string(), "--play-in"]).arg(folder);
        command
    };
    let subjects = arguments.only.map_or(vec![Subject::Queue, Subject::Store], |only| vec![only]);
    let cuts = arguments.cuts.div_ceil(subjects.len().max(1) as u64);
    let mut failed = 0_u64;
    // Both at once: one waits for its tracer while the other opens disks.
    let all: Vec<(Subject, anyhow::Result<Figures>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = subjects
            .into_iter()
            .map(|subject| {
                let keep_failed = arguments.keep_failed.clone();
                let campaign = Campaign { subject, cuts, seed: arguments.seed, plant: arguments.plant, keep_failed };
                let player = &player;
                (subject, scope.spawn(move || run(&campaign, player)))
            })
            .collect();
        let joined = threads.into_iter().map(|(subject, thread)| {
            let figures = thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a campaign panicked")));
            (subject, figures)
        });
        joined.collect()
    });
    for (subject, figures) in all {
        let figures = match figures {
            Ok(figures) => figures,
            Err(error) => {
                eprintln!("failed: {subject:?}: {error:#}");
                failed = failed.saturating_add(1);
                continue;
            }
        };
        figures.failures.iter().for_each(|failure| eprintln!("failed: {subject:?}: {failure}"));
        failed = figures.failed.saturating_add(failed);
        if arguments.json {
            println!("{}", figures.to_json(subject));
        } else {
            println!("{subject:?}: {figures}");
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
