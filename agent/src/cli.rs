//! The command line's arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::decode::Protocol;
use crate::decode::ble::Characteristic;

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
    /// Lists the devices: how each is, what it sent that could not be read, and what to do about it.
    Devices {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Prints what a device of the running agent says, as it is decoded, until Ctrl-C.
    Listen {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The device's name.
        #[arg(long, value_name = "NAME")]
        device: String,
        /// JSON lines instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Decodes a capture that somebody sent in, and says why what cannot be read is refused. Ends with 1 if nothing can.
    Decode(Capture),
    /// Verification: reads cases, JSON lines, and writes what the decoders make of each. Without an area: lists them.
    Evaluate {
        /// The area.
        area: Option<String>,
        /// Compares with each case's `expected`: writes the differences, and ends with 1 if there are any.
        #[arg(long, requires = "area")]
        compare: bool,
    },
}

/// A capture.
#[derive(Debug, Args)]
pub struct Capture {
    /// Bluetooth: the characteristic the values came from, such as 2A35, or a whole UUID. Each --hex is one value.
    #[arg(long, value_name = "UUID", required_unless_present_any = ["protocol", "model"])]
    #[arg(conflicts_with = "protocol")]
    pub characteristic: Option<Characteristic>,
    /// Serial: the line's protocol, such as nonin-df7; a serial model with one protocol needs none. The --hex follow each other.
    #[arg(long, value_name = "NAME")]
    pub protocol: Option<Protocol>,
    /// Octets, in hexadecimal, in the order they came; may be given several times. `-` reads lines from standard input.
    #[arg(long, value_name = "OCTETS", required = true)]
    pub hex: Vec<String>,
    /// The device's model, as it names itself or as in a configuration: what single models send otherwise than their standard
    /// is then known.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// JSON lines instead of text.
    #[arg(long)]
    pub json: bool,
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

    #[test]
    fn a_capture_is_of_a_characteristic_a_protocol_or_a_model() {
        let is_read = |rest: &[&str]| {
            let all = ["hub-agent", "decode", "--hex", "00"].into_iter().chain(rest.iter().copied());
            Arguments::try_parse_from(all).is_ok()
        };
        assert!(is_read(&["--protocol", "bci"]) && is_read(&["--characteristic", "2A35", "--model", "BM85"]));
        assert!(is_read(&["--model", "beurer-bm65"]) && is_read(&["--model", "beurer-bm65", "--protocol", "bci"]));
        assert!(!is_read(&[]) && !is_read(&["--protocol", "bci", "--characteristic", "2A35"]));
    }
}
