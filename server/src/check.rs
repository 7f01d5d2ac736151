//! `monitor-server check`: is what the data folder holds fit to run?

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use shared::time::Timestamp;

use crate::config::Config;
use crate::setup::{self, CannotOpen};

/// Less free space than this is a problem, in octets.
const FREE_BYTES_MIN: u64 = 512 * 1024 * 1024;
/// SQLite's `synchronous` = FULL.
const SYNCHRONOUS_FULL: i64 = 2;
/// A certificate with less left is a problem.
const CERTIFICATE_LEFT_MIN: Duration = Duration::from_secs(14 * 24 * 3600);

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub what: &'static str,
    /// Whether it is well.
    pub well: bool,
    /// In words: what is wrong and what to do, or what was seen.
    pub words: String,
}

/// All findings.
#[derive(Debug, Default)]
pub struct Report(pub Vec<Finding>);

impl Report {
    fn add(&mut self, what: &'static str, finding: Result<String, String>) {
        let (well, words) = match finding {
            Ok(words) => (true, words),
            Err(words) => (false, words),
        };
        self.0.push(Finding { what, well, words });
    }

    /// Whether all is well.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.0.iter().all(|finding| finding.well)
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let row = |f: &Finding| json!({ "check": f.what, "well": f.well, "words": f.words });
        json!({ "well": self.is_well(), "checks": self.0.iter().map(row).collect::<Vec<_>>() })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.0 {
            let mark = if finding.well { "well " } else { "WRONG" };
            writeln!(f, "{mark} {}: {}", finding.what, finding.words)?;
        }
        Ok(())
    }
}

/// Checks a data folder. What a running server holds locked is left to that server.
#[must_use]
pub fn check(data: &Path, now: Timestamp) -> Report {
    let mut report = Report::default();
    let config = match Config::load(data) {
        Ok(config) => config,
        Err(problems) => {
            report.add("configuration", Err(problems.to_string().trim_end().to_owned()));
            return report;
        }
    };
    report.add("configuration", Ok("every key is understood".to_owned()));
    let master = runtime::config_file::check_private(&config.master_key);
    report.add("master key", master.map_or(Ok("only its owner can read it".to_owned()), |p| Err(p.to_string())));
    for name in ["root.pem", "issuing.pem", "server.pem"] {
        report.add(name, certificate(&config.keys_folder().join(name), now));
    }
    report.add("disk", space(data));
    match setup::open(data, now) {
        Ok(system) => {
            let synchronous = match system.store.synchronous() {
                Ok(SYNCHRONOUS_FULL) => Ok("commits are synced (synchronous = FULL)".to_owned()),
                Ok(other) => Err(format!("synchronous is {other}: receipted data could be lost in a power cut")),
                Err(error) => Err(error.to_string()),
            };
            report.add("store", synchronous);
            report.add("rules", Ok("the pack is valid".to_owned()));
        }
        Err(CannotOpen::Locked) => {
            report.add("store", Ok("in use by a running server, whose /readyz tells how it is".to_owned()));
        }
        Err(error) => report.add("store", Err(error.to_string())),
    }
    report
}

fn certificate(path: &Path, now: Timestamp) -> Result<String, String> {
    let pem = runtime::files::read_bounded(path, 64 * 1024).map_err(|error| error.to_string())?;
    let unreadable = || "not a certificate; restore it from the backup".to_owned();
    let certificate = CertificateDer::from_pem_slice(&pem).map_err(|_| unreadable())?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).map_err(|_| unreadable())?;
    let millis = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    let begins = millis(parsed.validity().not_before.timestamp());
    if now < begins {
        return Err(format!(
            "begins {begins}, and now is {now}: set the clock if it is behind; if it was ahead when this was made, the \
             server's own is made anew when the server starts, and an authority by `init` in a new folder"
        ));
    }
    let ends = millis(parsed.validity().not_after.timestamp());
    if ends < now.after(CERTIFICATE_LEFT_MIN) {
        return Err(format!("ends {ends}: renew it; the server's own is renewed when the server starts"));
    }
    Ok(format!("holds until {ends}"))
}

fn space(data: &Path) -> Result<String, String> {
    let stat = rustix::fs::statvfs(data).map_err(|error| error.to_string())?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let megabytes = free / 1_000_000;
    if free < FREE_BYTES_MIN {
        return Err(format!(
            "{megabytes} MB are free; when the disk is full, hubs keep what they have and nobody is alerted"
        ));
    }
    Ok(format!("{megabytes} MB are free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_has_not_begun_or_ends_soon_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.pem");
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 6, 1);
        params.not_after = rcgen::date_time_ymd(2026, 8, 30);
        let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        std::fs::write(&file, made.pem()).unwrap();
        let found = |at: &str| certificate(&file, at.parse().unwrap());
        assert!(found("2026-06-01T00:00:00Z").unwrap().starts_with("holds until 2026-08-30"));
        assert!(found("2026-05-31T23:59:59Z").unwrap_err().starts_with("begins 2026-06-01"));
        assert!(found("2026-08-20T00:00:00Z").unwrap_err().starts_with("ends 2026-08-30"));
    }
}
