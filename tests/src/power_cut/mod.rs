//! Power cuts, thousands of them: what the hub's queue and the server's store write is traced once, call by call; from the trace
//! come the disks that a cut at each moment could leave ([`disk`], [`image`]); each is opened with the real code and asked for
//! everything that had been promised by then ([`queue`], [`store`]).
//!
//! A trace of system calls stands in for a file system of our own: it holds every octet, name, length and sync that a file
//! system would be given, of the programs' own calls, and needs no kernel module. What goes around it would be writing through a
//! mapping: the model refuses a trace with one.

mod argument;
pub mod campaign;
pub mod disk;
pub mod image;
mod node;
pub mod queue;
pub mod store;

use std::time::Duration;

pub use campaign::{Campaign, Figures, Plant, Subject, play, run};

/// What a check found that did not fail.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checked {
    /// Promises that were looked for.
    pub promises: u64,
    /// Databases that were damaged and set aside, and held nothing that was promised.
    pub set_aside: u64,
    /// How long opening took.
    pub took: Duration,
}
