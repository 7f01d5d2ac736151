//! What the hub says of itself: memory, clock, and whether what it needs is there before it runs.

use std::path::{Path, PathBuf};

use runtime::config_file::{Problem, check_private};
use shared::enrolment::Enrolment;
use shared::id::DeviceId;
use shared::time::{ClockState, Timestamp};

use crate::config::Config;
use crate::devices::{Source, serial};
use crate::identity::Identity;
use crate::uplink::settings::{Keeper, host_of, port_of};

/// Largest enrolment file read, in octets.
const ENROLMENT_BYTES_MAX: u64 = 256 * 1024;

/// Octets of this process in memory, as the kernel counts them; `None` if it does not say.
#[must_use]
pub fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What a hub needs beside its configuration.
pub struct Belongings {
    /// Its key.
    pub identity: Identity,
    /// Its enrolment.
    pub enrolment: Enrolment,
    /// Its certificate's last second, since 1970.
    pub certificate_until_s: i64,
    /// Checks and stores settings.
    pub keeper: Keeper,
}

/// What a check found.
#[derive(Default)]
pub struct Findings {
    /// The hub cannot run with these.
    pub problems: Vec<Problem>,
    /// Worth a look.
    pub warnings: Vec<Problem>,
}

/// Reads key and enrolment and checks that they belong together.
///
/// # Errors
/// Every problem found.
pub fn belongings(config: &Config) -> Result<Belongings, Vec<Problem>> {
    let mut problems = Vec::new();
    let key_problem = |why: String| Problem::new(&config.identity_key, "", why);
    let enrolment_problem = |key: &str, why: String| Problem::new(&config.enrolment, key, why);
    let identity = match check_private(&config.identity_key) {
        Some(problem) => Err(problem),
        None => Identity::load(&config.identity_key).map_err(|error| key_problem(error.to_string())),
    };
    let enrolment = runtime::files::read_bounded(&config.enrolment, ENROLMENT_BYTES_MAX)
        .map_err(|error| enrolment_problem("", format!("cannot be read: {error}; enrol the hub first")))
        .and_then(|bytes| {
            serde_json::from_slice::<Enrolment>(&bytes)
                .map_err(|error| enrolment_problem("", format!("is not an enrolment ({error}); enrol the hub again")))
        });
    let (identity, enrolment) = match (identity, enrolment) {
        (Ok(identity), Ok(enrolment)) => (identity, enrolment),
        (identity, enrolment) => {
            problems.extend(identity.err());
            problems.extend(enrolment.err());
            return Err(problems);
        }
    };
    if enrolment.version != 1 {
        problems.push(enrolment_problem("version", "is not 1; this agent is too old for it".into()));
    }
    for (key, address) in [("mqtt_address", &enrolment.mqtt_address), ("https_address", &enrolment.https_address)] {
        if host_of(address).is_none_or(str::is_empty) || port_of(address).is_none() {
            problems.push(enrolment_problem(key, "is not host:port".into()));
        }
    }
    let certificate_until_s = match identity.check_chain(&enrolment.certificate_pem) {
        Ok((_, until)) => until,
        Err(error) => {
            problems.push(enrolment_problem("certificate_pem", error.to_string()));
            0
        }
    };
    let control_key = shared::hex::decode(&enrolment.control_key).and_then(|bytes| bytes.try_into().ok());
    if control_key.is_none() {
        problems.push(enrolment_problem("control_key", "is not 64 hexadecimal digits".into()));
    }
    let file = config.state_dir.join("settings");
    let keeper = Keeper { hub: enrolment.hub, control_key: control_key.unwrap_or_default(), file };
    if problems.is_empty()
        && let Err(error) = keeper.start(&enrolment.settings)
    {
        problems.push(enrolment_problem("settings", error.to_string()));
    }
    if problems.is_empty() {
        Ok(Belongings { identity, enrolment, certificate_until_s, keeper })
    } else {
        Err(problems)
    }
}

/// Checks everything that can be checked without running.
#[must_use]
pub fn check(config: &Config, wall: Timestamp, clock: ClockState) -> Findings {
    let mut findings = Findings::default();
    match belongings(config) {
        Ok(belongings) => {
            let left_s = belongings.certificate_until_s.saturating_sub(wall.as_millis() / 1000);
            let why = match left_s {
                // A clock that was never set says nothing about expiry.
                _ if clock == ClockState::NeverSet => None,
                ..0 => Some("has expired; renew or enrol again".to_owned()),
                0..604_800 => Some("expires within 7 days".to_owned()),
                _ => None,
            };
            let problem = why.map(|why| Problem::new(&config.enrolment, "certificate_pem", why));
            let list = if left_s < 0 { &mut findings.problems } else { &mut findings.warnings };
            list.extend(problem);
        }
        Err(problems) => findings.problems.extend(problems),
    }
    findings.problems.extend(check_writable("state_dir", &config.state_dir));
    check_ports(config, &mut findings);
    findings
}

/// Looks for each device's port or file, and for ports that two devices have by different names.
fn check_ports(config: &Config, findings: &mut Findings) {
    let mut taken: Vec<(PathBuf, &DeviceId)> = Vec::new();
    for device in &config.devices {
        let key = device.name.to_string();
        match &device.source {
            Source::Serial(config) => match config.port.path(serial::adapters) {
                Err(why) => findings.warnings.push(Problem::new(Path::new(""), key, why.to_string())),
                Ok(path) => match path.canonicalize() {
                    Err(_) => {
                        let why = "is not there now; the device is waited for";
                        findings.warnings.push(Problem::new(&path, key, why));
                    }
                    Ok(real) => {
                        if let Some((_, other)) = taken.iter().find(|(path, _)| *path == real) {
                            let why = format!("is the port of {other} too, by another name: a port has one device");
                            findings.problems.push(Problem::new(&path, key, why));
                        }
                        taken.push((real, &device.name));
                    }
                },
            },
            Source::Replay(replay) if !replay.path.exists() => {
                findings.warnings.push(Problem::new(&replay.path, key, "is not there; nothing is played"));
            }
            Source::Replay(_) => {}
        }
    }
}

fn check_writable(key: &str, folder: &Path) -> Option<Problem> {
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        let probe = folder.join(".check");
        std::fs::write(&probe, b"")?;
        std::fs::remove_file(probe)
    });
    written.err().map(|error| Problem::new(folder, key, format!("cannot be written to: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Protocol;
    use crate::devices::{DeviceConfig, SerialConfig};

    #[test]
    fn the_kernel_says_how_much_memory_there_is() {
        assert!(memory_bytes().unwrap() > 100_000);
    }

    #[test]
    fn two_names_of_one_port_are_a_problem_and_a_port_that_is_not_there_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("ttyUSB0"), "").unwrap();
        std::os::unix::fs::symlink(at("ttyUSB0"), at("oximeter")).unwrap();
        let device = |name: &str, port: &str| {
            let serial = SerialConfig::new(at(port), Protocol::Bci);
            DeviceConfig { name: name.parse().unwrap(), source: Source::Serial(serial) }
        };
        let devices = vec![device("a", "ttyUSB0"), device("b", "oximeter"), device("c", "ttyUSB1")];
        let mut findings = Findings::default();
        check_ports(&config(folder.path(), devices), &mut findings);
        let told = |list: &[Problem]| list.iter().map(|problem| problem.key.clone()).collect::<Vec<_>>();
        assert_eq!((told(&findings.problems), told(&findings.warnings)), (vec!["b".to_owned()], vec!["c".to_owned()]));
    }

    fn config(folder: &Path, devices: Vec<DeviceConfig>) -> Config {
        let at = |name: &str| folder.join(name);
        Config {
            state_dir: at("state"),
            runtime_dir: at("run"),
            identity_key: at("key"),
            enrolment: at("enrolment"),
            log: runtime::logging::Format::Text,
            queue_bytes_max: 1,
            devices,
        }
    }

    #[test]
    fn missing_key_and_enrolment_are_both_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), Vec::new());
        let findings = check(&config, Timestamp::from_millis(0), ClockState::NeverSet);
        let files: Vec<_> = findings.problems.iter().map(|problem| problem.file.clone()).collect();
        assert_eq!(files, [config.identity_key, config.enrolment]);
    }
}
