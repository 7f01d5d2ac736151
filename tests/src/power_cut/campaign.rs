//! The campaign: traces are made, cuts drawn from them, and what they leave is opened, until as many different disks as asked
//! for were looked at.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value as Json, json};

use super::disk::{CALLS, Disk};
use super::image::{Image, Kind};
use super::{Checked, queue, store};
use crate::simulators::patient::mix;
use crate::strace::{self, Call};

/// Steps of one play: about as much as a hub does in two minutes, and a server in five.
const STEPS: u64 = 400;
/// A trace gives so many cuts at most; then another is made, of another seed.
const CUTS_A_TRACE: u64 = 6_000;
/// Failures that are told; more are counted.
const FAILURES_TOLD: usize = 10;
/// The longest that opening may take with a queue or store of this size.
const OPENS_WITHIN: Duration = Duration::from_secs(2);

/// Whose disk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// A hub's queue, on sled.
    Queue,
    /// The server's store, on SQLite.
    Store,
}

/// A fault that is put in on purpose: a campaign that does not find it is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// Each seventh sync did nothing.
    SkippedSync,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Whose disk.
    pub subject: Subject,
    /// How many different disks are opened.
    pub cuts: u64,
    /// What plays and cuts are drawn from.
    pub seed: u64,
    /// The fault in it.
    pub plant: Plant,
    /// Where disks on which something is wrong are kept, each in a folder of its number.
    pub keep_failed: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Different disks opened, by kind of cut.
    pub by_kind: BTreeMap<Kind, u64>,
    /// Cuts that left a disk which had been looked at.
    pub alike: u64,
    /// Plays that were traced.
    pub traces: u64,
    /// Calls in the traces that have to do with files.
    pub calls: u64,
    /// Syncs among them.
    pub syncs: u64,
    /// Promises looked for, over all disks.
    pub promises: u64,
    /// Damaged databases set aside that held nothing promised.
    pub set_aside: u64,
    /// The slowest opening.
    pub slowest: Duration,
    /// Disks on which something was wrong.
    pub failed: u64,
    /// What, of the first.
    pub failures: Vec<String>,
}

impl Figures {
    /// Different disks opened.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.by_kind.values().sum()
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self, subject: Subject) -> Json {
        let kinds: BTreeMap<&str, u64> = self.by_kind.iter().map(|(kind, count)| (kind.name(), *count)).collect();
        json!({
            "subject": format!("{subject:?}").to_lowercase(), "cuts": self.cuts(), "kinds": kinds, "alike": self.alike,
            "traces": self.traces, "calls": self.calls, "syncs": self.syncs, "promises": self.promises,
            "set_aside": self.set_aside, "slowest_open_ms": self.slowest.as_millis() as u64, "failed": self.failed,
        })
    }

    fn add(&mut self, kind: Kind, outcome: anyhow::Result<Checked>, place: &str) {
        *self.by_kind.entry(kind).or_default() += 1;
        let outcome = outcome.and_then(|checked| {
            ensure!(checked.took <= OPENS_WITHIN, "opening took {:?}", checked.took);
            Ok(checked)
        });
        match outcome {
            Ok(Checked { promises, set_aside, took }) => {
                self.promises += promises;
                self.set_aside += set_aside;
                self.slowest = self.slowest.max(took);
            }
            Err(error) => {
                self.failed += 1;
                if self.failures.len() < FAILURES_TOLD {
                    self.failures.push(format!("{} {place}: {error:#}", kind.name()));
                }
            }
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} different disks", self.cuts())?;
        for (place, (kind, count)) in self.by_kind.iter().enumerate() {
            write!(f, "{}{} {count}", if place == 0 { " (" } else { ", " }, kind.name())?;
        }
        write!(
            f,
            "); {} traces with {} calls and {} syncs; {} promises looked for; {} damaged databases set aside; slowest \
             opening {:?}; {} failed",
            self.traces, self.calls, self.syncs, self.promises, self.set_aside, self.slowest, self.failed
        )
    }
}

#[derive(Debug, Clone)]
enum Promised {
    Queue(queue::Promised),
    Store(store::Promised),
}

impl Promised {
    fn of(subject: Subject) -> Self {
        match subject {
            Subject::Queue => Self::Queue(queue::Promised::default()),
            Subject::Store => Self::Store(store::Promised::default()),
        }
    }

    fn hear(&mut self, line: &str) -> anyhow::Result<()> {
        match self {
            Self::Queue(promised) => promised.hear(line),
            Self::Store(promised) => promised.hear(line),
        }
    }

    fn check(&self, folder: &Path) -> anyhow::Result<Checked> {
        match self {
            Self::Queue(promised) => promised.check(folder),
            Self::Store(promised) => promised.check(folder),
        }
    }
}

/// Plays a subject in this process, in a folder that is there; for the process that is traced.
///
/// # Errors
/// If the subject does not do as it should.
pub fn play(subject: Subject, folder: &Path, seed: u64) -> anyhow::Result<()> {
    match subject {
        Subject::Queue => queue::play(folder, seed, STEPS),
        Subject::Store => store::play(folder, seed, STEPS),
    }
}

/// Runs a campaign. `player` makes the command that plays a subject in a folder; its standard output must not be touched.
///
/// # Errors
/// If a trace cannot be made or followed. What is wrong on a disk is in the figures.
pub fn run(campaign: &Campaign, player: &dyn Fn(Subject, &Path, u64) -> Command) -> anyhow::Result<Figures> {
    let scratch = tempfile::tempdir()?;
    let images = fast_folder()?;
    let mut figures = Figures::default();
    let mut seen = HashSet::new();
    while figures.cuts() < campaign.cuts {
        let before = figures.cuts();
        let seed = mix(campaign.seed ^ figures.traces);
        let calls = traced(campaign.subject, scratch.path(), seed, player)?;
        figures.traces += 1;
        figures.calls += calls.len() as u64;
        figures.syncs += calls.iter().filter(|call| call.is_sync()).count() as u64;
        let root = scratch.path().join("disk");
        let mut cutting = Cutting { campaign, seed, root: &root, calls: &calls, seen: &mut seen };
        let wanted = (campaign.cuts - figures.cuts()).min(CUTS_A_TRACE);
        let mut round = 0;
        while figures.cuts() - before < wanted {
            let at_start = figures.cuts();
            cutting.round(round, before + wanted, &images.path().join("image"), &mut figures)?;
            round += 1;
            if figures.cuts() - at_start < wanted / 50 {
                // This trace has hardly any others.
                break;
            }
        }
        ensure!(figures.cuts() > before, "the trace of seed {seed} gives no disk that was not looked at");
    }
    Ok(figures)
}

/// A folder in memory where there is one: what is opened there is synced again and again.
fn fast_folder() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())
}

/// How often a play is tried: strace sometimes loses its traced process before it has begun.
const TRIES: u32 = 3;

fn traced(
    subject: Subject,
    scratch: &Path,
    seed: u64,
    player: &dyn Fn(Subject, &Path, u64) -> Command,
) -> anyhow::Result<Vec<Call>> {
    let (disk, trace) = (scratch.join("disk"), scratch.join("trace"));
    let mut said = String::new();
    for _ in 0..TRIES {
        if disk.exists() {
            std::fs::remove_dir_all(&disk)?;
        }
        std::fs::create_dir(&disk)?;
        let played = player(subject, &disk, seed);
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-xx", "-s", "4194304", "-e", "signal=none", "-e"]).arg(format!("trace={CALLS}"));
        command.arg("-o").arg(&trace).arg(played.get_program()).args(played.get_args());
        let output = command.output().context("strace is missing; install it (apt-get install strace)")?;
        if output.status.success() {
            let mut calls = strace::calls(&std::fs::read_to_string(&trace)?);
            // A sync covers what was over when it began; everything else counts from its end.
            calls.sort_by_key(|call| if call.is_sync() { call.began } else { call.ended });
            return Ok(calls);
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    bail!("the play of seed {seed} failed {TRIES} times: {said}")
}

struct Cutting<'a> {
    campaign: &'a Campaign,
    seed: u64,
    root: &'a Path,
    calls: &'a [Call],
    seen: &'a mut HashSet<[u8; 32]>,
}

impl Cutting<'_> {
    /// Goes through the trace once and cuts here and there, each time elsewhere; one cut of each kind at a place.
    fn round(&mut self, round: u64, until: u64, folder: &Path, figures: &mut Figures) -> anyhow::Result<()> {
        let mut disk = Disk::new(self.root);
        let mut promised = Promised::of(self.campaign.subject);
        let mut syncs = 0_u64;
        for (place, call) in self.calls.iter().enumerate() {
            if let Some(line) = said(call) {
                line.lines().try_for_each(|line| promised.hear(line))?;
                continue;
            }
            let before = disk.changes();
            if call.is_sync() {
                syncs += 1;
                let is_skipped = self.campaign.plant == Plant::SkippedSync && syncs.is_multiple_of(7);
                if is_skipped {
                    continue;
                }
            }
            disk.follow(call)?;
            let changed = disk.changes() > before || call.is_sync();
            let draw = mix(self.seed ^ mix(round) ^ (place as u64).rotate_left(20));
            // A fifth of the places in each round, others in the next, so that cuts lie all over the trace.
            if !changed || !draw.is_multiple_of(5) {
                continue;
            }
            for kind in Kind::ALL {
                if figures.cuts() >= until {
                    return Ok(());
                }
                if let Some(image) = kind.cut(&disk, mix(draw ^ kind as u64)) {
                    self.look(kind, &image, &promised, folder, place, figures)?;
                }
            }
        }
        Ok(())
    }

    fn look(
        &mut self,
        kind: Kind,
        image: &Image,
        promised: &Promised,
        folder: &Path,
        place: usize,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        if !self.seen.insert(image.digest()) {
            figures.alike += 1;
            return Ok(());
        }
        image.write(folder)?;
        let outcome = promised.check(folder);
        if let (Err(_), Some(kept)) = (&outcome, &self.campaign.keep_failed) {
            image.write(&kept.join(figures.failed.to_string()))?;
        }
        figures.add(kind, outcome, &format!("(trace {}, call {place})", self.seed));
        Ok(())
    }
}

/// What the player said with this call.
fn said(call: &Call) -> Option<String> {
    if call.name != "write" || !call.arguments.starts_with("1<") {
        return None;
    }
    let text = call.arguments.split(", ").nth(1)?;
    String::from_utf8(super::argument::octets(text)?).ok()
}
