//! What to simulate.

use std::path::PathBuf;

use super::Protocol;
use super::patient::Course;
use super::script::Script;

/// A device, its line and what happens to it.
#[derive(Debug, Clone)]
pub struct DevicePlan {
    /// The name of its port.
    pub link: PathBuf,
    /// What it speaks.
    pub protocol: Protocol,
    /// Whom it measures.
    pub course: Course,
    /// How much faster than life.
    pub speed: f64,
    /// What goes wrong.
    pub script: Script,
    /// Whether it waits for room on the line, as hardware with flow control does, instead of losing octets: a course is
    /// then played as fast as its reader reads.
    pub waits_for_reader: bool,
    /// Whether every second is written into its ledger.
    pub keeps_ledger: bool,
}

impl DevicePlan {
    /// A device of which nothing goes wrong.
    #[must_use]
    pub fn new(link: PathBuf, protocol: Protocol, course: Course, speed: f64) -> Self {
        let script = Script::default();
        Self { link, protocol, course, speed, script, waits_for_reader: false, keeps_ledger: false }
    }
}
