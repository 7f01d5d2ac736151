//! The command line's arguments.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The hub in the patient's home, and its tools.
#[derive(Debug, Parser)]
#[command(name = "hub-agent", version, about = "The hub in the patient's home")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The hub's key and its request for a certificate.
    Identity {
        /// What to do with it.
        #[command(subcommand)]
        command: IdentityCommand,
    },
    /// Runs the agent until SIGTERM.
    Run {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Checks configuration, key, enrolment and folders.
    Check {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Asks the running agent how it is.
    Status {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Verification: reads cases, JSON lines, and writes what the decoders make of each. Without an area: lists them.
    Evaluate {
        /// The area.
        area: Option<String>,
        /// Compares with each case's `expected`: writes the differences, and ends with 1 if there are any.
        #[arg(long, requires = "area")]
        compare: bool,
    },
}

/// The hub's identity.
#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Makes a new key and a certificate request. Prints the hub's id.
    New {
        /// Where the key goes (0600).
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where the request goes.
        #[arg(long, value_name = "FILE")]
        csr: PathBuf,
        /// Writes over an existing key: the hub becomes a new hub.
        #[arg(long)]
        force: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }
}
