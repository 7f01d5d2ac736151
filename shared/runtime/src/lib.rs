//! The process: clocks, entropy, exit codes, configuration files, durable files, logging, systemd and the
//! supervisor. What both binaries need around their pure cores, and nothing of either.

pub mod clock;
pub mod config_file;
pub mod entropy;
pub mod evaluate;
pub mod exit;
pub mod files;
pub mod logging;
pub mod notify;
pub mod process;
pub mod supervisor;

mod course;
mod limits;
mod progress;
