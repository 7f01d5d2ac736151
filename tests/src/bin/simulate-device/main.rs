//! `cargo run -p tests --bin simulate-device`: a serial device that is not there, for people and by hand.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use tests::simulators::patient::{Course, Recording, Synthetic};
use tests::simulators::script::Script;
use tests::simulators::{DevicePlan, Protocol, SimulatedDevice};

/// Plays a serial device on a pseudo-terminal, from when a program opens it until its course is over or Ctrl-C.
#[derive(Debug, Parser)]
#[command(after_help = "Protocols: nonin-df2, nonin-df7, nonin-df8, nonin-df13, bci, cms50-v7, masimo-ascii1, \
    suntech-nibp, and-ua767pc, and-scale, lifescan, lifescan-verio, beurer-bm65.")]
struct Arguments {
    /// What it speaks, by its name in an agent's configuration.
    #[arg(long, value_name = "P")]
    protocol: Protocol,
    /// The name of its port; a link to the pseudo-terminal is made there.
    #[arg(long, value_name = "PATH")]
    link: PathBuf,
    /// What it measures; without it, a made-up patient for ever.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// How much faster than life.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    speed: f64,
    /// Seconds in a thousand that have noise on the line.
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    garbage: u32,
    /// Pulls the plug each so many seconds of the course, for two seconds.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    unplug_every: Option<u64>,
    /// Takes the finger out for ten seconds each so many seconds.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    finger_out_every: Option<u64>,
    /// Has the line at another speed for a second each so many seconds.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    wrong_speed_every: Option<u64>,
    /// Has the battery low from this second on.
    #[arg(long, value_name = "S")]
    battery_low_from: Option<u64>,
    /// Decides where things go wrong and what a made-up patient has.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    match play(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(arguments: Arguments) -> anyhow::Result<()> {
    ensure!(arguments.speed.is_finite() && arguments.speed > 0.0, "--speed is no number above nothing");
    let seed = arguments.seed;
    let course = match &arguments.csv {
        None => Course::Synthetic(Synthetic { seed, pulse: 72, spo2: 97, falls_from: None }),
        Some(file) => {
            let recording = Recording::read(file)?;
            Course::Recording(recording.with_context(|| format!("{} is no recording", file.display()))?.shown)
        }
    };
    let link = std::path::absolute(&arguments.link)?;
    let mut plan = DevicePlan::new(link, arguments.protocol, course, arguments.speed);
    plan.script = Script {
        seed,
        noise_per_mille: arguments.garbage,
        unplug_every: arguments.unplug_every,
        finger_out_every: arguments.finger_out_every,
        wrong_speed_every: arguments.wrong_speed_every,
        battery_low_from: arguments.battery_low_from,
        unplugged_for: Duration::from_secs(2),
    };
    let device = SimulatedDevice::start(plan)?;
    eprintln!("{} on {}; it begins when a program opens it", arguments.protocol.name(), device.link().display());
    let played = device.play_out();
    println!(
        "{} s played; {} frames while nobody listened, {} that found the line full; {} times noise, {} times unplugged",
        played.seconds, played.unheard, played.overflowed, played.noises, played.unplugs
    );
    Ok(())
}
