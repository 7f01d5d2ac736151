//! The command line's arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use shared::id::{DeviceId, HubId, PatientId, TokenId};
use shared::time::Timestamp;

use crate::access::Role;

/// The monitoring server and its tools.
#[derive(Debug, Parser)]
#[command(name = "monitor-server", version, about = "Remote patient monitoring: the server and its tools")]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The data folder, and how answers look.
#[derive(Debug, Clone, Args)]
pub struct At {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Makes a new system in an empty folder: keys, authority, store, first administrator.
    Init(Init),
    /// Runs the server until SIGTERM.
    Run {
        /// The data folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Checks configuration, keys, certificates, store and disk.
    Check(At),
    /// Hubs.
    #[command(subcommand)]
    Hub(Hub),
    /// Patients.
    #[command(subcommand)]
    Patient(Patient),
    /// Binds a device to a patient from now on.
    Bind {
        /// The data folder, and how the answer looks.
        #[command(flatten)]
        at: At,
        /// The hub.
        #[arg(long)]
        hub: HubId,
        /// The device's name on the hub.
        #[arg(long)]
        device: DeviceId,
        /// The user slot, for a device several people use.
        #[arg(long)]
        slot: Option<u8>,
        /// The patient.
        #[arg(long)]
        patient: PatientId,
    },
    /// Bearer tokens.
    #[command(subcommand)]
    Token(Token),
    /// The audit log.
    #[command(subcommand)]
    Audit(Audit),
    /// Counts that identify nobody.
    Counts(At),
    /// Has the running server read certificates, keys and roots again; sessions stay. SIGHUP does the same.
    Reload(At),
    /// Verification: reads cases, JSON lines, and writes what the server makes of each. Without an area: lists them.
    Evaluate {
        /// The area.
        area: Option<String>,
        /// Compares with each case's `expected`: writes the differences, and ends with 1 if there are any.
        #[arg(long, requires = "area")]
        compare: bool,
    },
    /// Makes a key pair for backups.
    BackupKey {
        /// Where the private half goes (0600). Keep it away from the server.
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
    },
    /// Writes an encrypted backup of the store.
    Backup {
        /// The data folder, and how the answer looks.
        #[command(flatten)]
        at: At,
        /// Where to; must not exist.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// The public half of a backup key (rpm-backup-...).
        #[arg(long, value_name = "KEY")]
        recipient: String,
    },
    /// Puts a backup in the store's place. The server must not run.
    Restore {
        /// The data folder, and how the answer looks.
        #[command(flatten)]
        at: At,
        /// The backup.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The private half of the backup key.
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
    },
}

/// A new system.
#[derive(Debug, Args)]
pub struct Init {
    /// How it is reached and answered.
    #[command(flatten)]
    pub at: At,
    /// The name hubs and clients know the server by.
    #[arg(long, default_value = "localhost")]
    pub server_name: String,
    /// For training: takes made-up NHS numbers (9...) and no others.
    #[arg(long)]
    pub training: bool,
    /// MQTT door for hubs.
    #[arg(long, default_value = "127.0.0.1:8883")]
    pub mqtt: String,
    /// HTTPS door for hubs.
    #[arg(long, default_value = "127.0.0.1:8884")]
    pub hub_https: String,
    /// Feed for clinicians.
    #[arg(long, default_value = "127.0.0.1:8443")]
    pub feed: String,
    /// Prometheus, on this machine only.
    #[arg(long, default_value = "127.0.0.1:9464")]
    pub metrics: String,
    /// Every duration in rules is divided by this; over 1 only with --training.
    #[arg(long, default_value_t = 1)]
    pub duration_divisor: u32,
}

/// Hubs.
#[derive(Debug, Subcommand)]
pub enum Hub {
    /// Enrols a hub: its request becomes its enrolment file.
    Enrol {
        /// The data folder, and how the answer looks.
        #[command(flatten)]
        at: At,
        /// The hub's certificate request, from `hub-agent identity new`.
        #[arg(long, value_name = "FILE")]
        csr: PathBuf,
        /// A name for the box; no patient's.
        #[arg(long)]
        label: String,
        /// Where the enrolment goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Lists the hubs.
    List(At),
    /// Takes a hub's certificates back and cuts its session.
    Revoke {
        /// The data folder, and how the answer looks.
        #[command(flatten)]
        at: At,
        /// The hub.
        #[arg(long)]
        hub: HubId,
        /// Since when its key may be known to others (RFC 3339).
        #[arg(long)]
        compromised_since: Option<Timestamp>,
    },
}

/// Patients.
#[derive(Debug, Subcommand)]
pub enum Patient {
    /// Adds a patient.
    Add {
        /// The data folder, and how the answer looks.
        #[command(flatten)]
        at: At,
        /// JSON {"nhs_number","name","born","ward"}; `-` is standard input. Arguments show in the process list.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["nhs_number", "name", "born", "ward"],
              required_unless_present = "nhs_number")]
        file: Option<PathBuf>,
        /// NHS number.
        #[arg(long, requires_all = ["name", "born", "ward"])]
        nhs_number: Option<String>,
        /// Name.
        #[arg(long)]
        name: Option<String>,
        /// Date of birth, YYYY-MM-DD.
        #[arg(long)]
        born: Option<String>,
        /// The ward that watches them.
        #[arg(long)]
        ward: Option<String>,
    },
    /// Lists the patients.
    List(At),
}

/// Bearer tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Makes a token; it is shown once.
    Create {
        /// The data folder, and how the answer looks.
        #[command(flatten)]
        at: At,
        /// clinician, installer, administrator or auditor.
        #[arg(long, value_parser = role)]
        role: Role,
        /// Whom it is for.
        #[arg(long)]
        name: String,
        /// A ward it sees; may be given several times.
        #[arg(long = "ward", conflicts_with = "all_wards", required_unless_present = "all_wards")]
        wards: Vec<String>,
        /// It sees every ward.
        #[arg(long)]
        all_wards: bool,
        /// How long it lasts.
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
    /// Takes a token back.
    Revoke {
        /// The data folder, and how the answer looks.
        #[command(flatten)]
        at: At,
        /// Its id: the part after `rpm_`.
        #[arg(long)]
        token: TokenId,
    },
}

/// The audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Checks the chain from its start.
    Verify(At),
}

fn role(text: &str) -> Result<Role, String> {
    match text {
        "clinician" => Ok(Role::Clinician),
        "installer" => Ok(Role::Installer),
        "administrator" => Ok(Role::Administrator),
        "auditor" => Ok(Role::Auditor),
        _ => Err("the roles are clinician, installer, administrator, auditor".to_owned()),
    }
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
