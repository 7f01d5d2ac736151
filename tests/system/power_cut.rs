//! Power cuts: two thousand disks that they would leave, and a fault that such a campaign must find.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::power_cut::{Campaign, Figures, Plant, Subject, run};

use crate::trace;

fn cut(subject: Subject, cuts: u64, plant: Plant) -> Figures {
    let player = |subject: Subject, folder: &Path, seed: u64| {
        let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_powercut")));
        let subject = format!("{subject:?}").to_lowercase();
        command.args(["--only", &subject, "--seed", &seed.to_string(), "--play-in"]).arg(folder);
        command
    };
    let figures = run(&Campaign { subject, cuts, seed: 1, plant, keep_failed: None }, &player).unwrap();
    println!("{subject:?}: {figures}");
    figures
}

#[test]
fn power_cuts_take_nothing_that_was_accepted_from_a_hubs_queue() {
    if trace::is_possible("power_cuts_take_nothing_that_was_accepted_from_a_hubs_queue") {
        let figures = cut(Subject::Queue, 1000, Plant::None);
        assert_eq!((figures.cuts(), figures.failed), (1000, 0), "{:#?}", figures.failures);
        assert!(figures.promises > 1000, "{figures}");
    }
}

#[test]
fn power_cuts_take_nothing_that_was_receipted_from_the_store() {
    if trace::is_possible("power_cuts_take_nothing_that_was_receipted_from_the_store") {
        let figures = cut(Subject::Store, 1000, Plant::None);
        assert_eq!((figures.cuts(), figures.failed), (1000, 0), "{:#?}", figures.failures);
        assert!(figures.promises > 1000, "{figures}");
    }
}

#[test]
fn a_sync_that_was_skipped_is_found_by_cutting_the_power() {
    if trace::is_possible("a_sync_that_was_skipped_is_found_by_cutting_the_power") {
        for subject in [Subject::Queue, Subject::Store] {
            let figures = cut(subject, 400, Plant::SkippedSync);
            assert!(figures.failed > 0, "{subject:?}: {figures}");
        }
    }
}
