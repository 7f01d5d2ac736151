//! The configuration: one TOML file, read whole, with every problem named, before a port or disk is touched.
//!
//! ```toml
//! state_dir = "/var/lib/hub-agent"        # queue and settings
//! runtime_dir = "/run/hub-agent"          # status socket
//! identity_key = "/etc/hub-agent/identity.key.pem"
//! enrolment = "/etc/hub-agent/enrolment.json"
//! log = "text"                            # or "json"
//! queue_bytes_max = 4294967296            # optional
//!
//! [[device]]
//! name = "oximeter"
//! source = "serial"
//! by_id = "usb-example"                   # a name in /dev/serial/by-id; or path = "/dev/ttyS0"; or
//!                                         # usb = { vendor = "1a86", product = "7523", serial = "optional" }
//! model = "nonin-xpod"                    # docs/devices.md names them; or, or besides, protocol = "nonin-df7"
//! baud = 9600                             # optional, and parity = "none", "odd" or "even", and data_bits = 7 or 8
//! select_format = false                   # optional, Nonin: tell the device which format to speak
//! set_clock = false                       # optional, Nonin: set its clock to the hub's, in UTC
//! measure_every_s = 3600                  # optional, SunTech: fill the cuff by itself; without it nobody is measured unasked
//!
//! [[device]]
//! name = "recording"
//! source = "replay"
//! path = "day.csv"                        # or frames in day.jsonl, then with a protocol
//! speed = 1.0                             # optional
//! loop = false                            # optional
//! columns = ["resp"]                      # optional: these only
//! ```

mod serial;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use runtime::config_file::{Problem, Problems, read_toml};
use runtime::logging::Format;
use serde::Deserialize;
use shared::id::DeviceId;

use crate::devices::{DeviceConfig, Recording, ReplayConfig, Source, Speed};
use crate::limits;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    state_dir: PathBuf,
    runtime_dir: PathBuf,
    identity_key: PathBuf,
    enrolment: PathBuf,
    log: Option<String>,
    queue_bytes_max: Option<u64>,
    #[serde(default)]
    device: Vec<RawDevice>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDevice {
    name: String,
    source: String,
    path: Option<PathBuf>,
    by_id: Option<String>,
    usb: Option<serial::RawUsb>,
    model: Option<String>,
    protocol: Option<String>,
    baud: Option<u32>,
    parity: Option<String>,
    data_bits: Option<u8>,
    select_format: Option<bool>,
    set_clock: Option<bool>,
    measure_every_s: Option<u64>,
    speed: Option<f64>,
    #[serde(rename = "loop")]
    repeat: Option<bool>,
    columns: Option<Vec<String>>,
}

/// The configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Queue and settings.
    pub state_dir: PathBuf,
    /// Status socket.
    pub runtime_dir: PathBuf,
    /// The hub's key, PKCS#8 PEM.
    pub identity_key: PathBuf,
    /// The hub's enrolment, JSON.
    pub enrolment: PathBuf,
    /// How logs are written.
    pub log: Format,
    /// Octets the queue's folder may have.
    pub queue_bytes_max: u64,
    /// The devices.
    pub devices: Vec<DeviceConfig>,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Every problem in it.
    pub fn read(file: &Path) -> Result<Self, Problems> {
        let raw: RawConfig = read_toml(file)?;
        let mut problems = Problems::new();
        let mut problem = |key: &str, why: String| problems.push(Problem::new(file, key, why));
        let log = match raw.log.as_deref() {
            None | Some("text") => Format::Text,
            Some("json") => Format::Json,
            Some(_) => {
                problem("log", "is \"text\" or \"json\"".into());
                Format::Text
            }
        };
        let paths = [
            ("state_dir", &raw.state_dir),
            ("runtime_dir", &raw.runtime_dir),
            ("identity_key", &raw.identity_key),
            ("enrolment", &raw.enrolment),
        ];
        for (key, path) in paths {
            if path.as_os_str().is_empty() {
                problem(key, "is empty; give a path".into());
            }
        }
        if raw.device.len() > limits::DEVICES_MAX {
            problem("device", format!("more than {} devices", limits::DEVICES_MAX));
        }
        let mut names = BTreeSet::new();
        let mut devices: Vec<DeviceConfig> = Vec::new();
        for (place, device) in raw.device.into_iter().enumerate() {
            let key = format!("device[{place}]");
            match read_device(device) {
                Ok(device) => {
                    if !names.insert(device.name.clone()) {
                        problem(&format!("{key}.name"), "names a device a second time".into());
                    }
                    if let Some(other) = devices.iter().find(|other| other.source.is_on_the_port_of(&device.source)) {
                        problem(&key, format!("is on the port of {}: a port has one device", other.name));
                    }
                    devices.push(device);
                }
                Err(found) => found.into_iter().for_each(|(field, why)| problem(&format!("{key}.{field}"), why)),
            }
        }
        problems.or(Self {
            state_dir: raw.state_dir,
            runtime_dir: raw.runtime_dir,
            identity_key: raw.identity_key,
            enrolment: raw.enrolment,
            log,
            queue_bytes_max: raw.queue_bytes_max.unwrap_or(limits::QUEUE_BYTES_MAX),
            devices,
        })
    }

    /// Where the status is answered.
    #[must_use]
    pub fn status_socket(&self) -> PathBuf {
        self.runtime_dir.join("status.sock")
    }
}

type Found = Vec<(&'static str, String)>;

fn read_device(raw: RawDevice) -> Result<DeviceConfig, Found> {
    let mut found = Found::new();
    let name = raw.name.parse::<DeviceId>().map_err(|error| found.push(("name", error.to_string()))).ok();
    let source = match raw.source.as_str() {
        "serial" => serial::read(&raw, &mut found).map(Source::Serial),
        "replay" => read_replay(&raw, &mut found).map(Source::Replay),
        _ => {
            found.push(("source", "is \"serial\" or \"replay\"".into()));
            None
        }
    };
    match (name, source) {
        (Some(name), Some(source)) if found.is_empty() => Ok(DeviceConfig { name, source }),
        _ => Err(found),
    }
}

/// Parses an optional text field; a problem is noted under its name.
fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    text: Option<&String>,
    found: &mut Found,
) -> Option<T> {
    text?.parse().map_err(|error: T::Err| found.push((field, error.to_string()))).ok()
}

fn refuse(found: &mut Found, fields: &[(&'static str, bool)], source: &str) {
    for (field, _) in fields.iter().filter(|(_, is_given)| *is_given) {
        found.push((field, format!("means nothing for a {source} device")));
    }
}

fn read_replay(raw: &RawDevice, found: &mut Found) -> Option<ReplayConfig> {
    refuse(found, &serial::fields(raw), "replay");
    let Some(path) = raw.path.clone() else {
        found.push(("path", "is missing".into()));
        return None;
    };
    let recording = if raw.protocol.is_some() {
        refuse(found, &[("columns", raw.columns.is_some())], "replay of frames");
        Recording::Frames(parse("protocol", raw.protocol.as_ref(), found)?)
    } else if path.extension().is_some_and(|extension| extension == "jsonl") {
        found.push(("protocol", "is missing: a recording of frames has one".into()));
        return None;
    } else {
        let column = |name: &String| parse("columns", Some(name), found);
        Recording::Values(raw.columns.as_ref().map(|names| names.iter().filter_map(column).collect()))
    };
    let speed = raw.speed.map_or(Ok(Speed::OWN), Speed::try_from);
    let speed = speed.map_err(|error| found.push(("speed", error.to_string()))).ok()?;
    Some(ReplayConfig { path, recording, speed, repeat: raw.repeat.unwrap_or(false) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "state_dir = \"/s\"\nruntime_dir = \"/r\"\nidentity_key = \"/k\"\nenrolment = \"/e\"\n";

    pub(in crate::config) fn read(rest: &str) -> Result<Config, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, format!("{HEAD}{rest}")).unwrap();
        Config::read(&file).map_err(|problems| problems.0.into_iter().map(|problem| problem.key).collect())
    }

    #[test]
    fn a_whole_configuration_is_read() {
        let config = read(
            "log = \"json\"\n[[device]]\nname = \"oximeter\"\nsource = \"serial\"\npath = \"/dev/ttyUSB0\"\n\
             protocol = \"bci\"\nbaud = 19200\nparity = \"odd\"\n[[device]]\nname = \"recording\"\n\
             source = \"replay\"\npath = \"x.csv\"\nspeed = 20.0\nloop = true\ncolumns = [\"resp\"]\n",
        )
        .unwrap();
        assert_eq!(config.log, Format::Json);
        assert_eq!(config.queue_bytes_max, limits::QUEUE_BYTES_MAX);
        let Source::Serial(serial) = &config.devices[0].source else { panic!("not serial") };
        assert_eq!(serial.line(0).to_string(), "bci at 19200 8O1");
        let Source::Replay(replay) = &config.devices[1].source else { panic!("not replay") };
        assert!(replay.repeat);
        assert!(matches!(&replay.recording, Recording::Values(Some(columns)) if columns.len() == 1));
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let keys = read(
            "log = \"loud\"\n[[device]]\nname = \"A B\"\nsource = \"serial\"\npath = \"/p\"\nspeed = 1.0\n\
             [[device]]\nname = \"a\"\nsource = \"replay\"\npath = \"x.jsonl\"\n\
             [[device]]\nname = \"b\"\nsource = \"replay\"\npath = \"x.csv\"\nspeed = 0.0\nbaud = 9600\n",
        )
        .unwrap_err();
        for key in [
            "log",
            "device[0].name",
            "device[0].speed",
            "device[0].protocol",
            "device[1].protocol",
            "device[2].speed",
            "device[2].baud",
        ] {
            assert!(keys.iter().any(|found| found == key), "{key} in {keys:?}");
        }
    }

    #[test]
    fn unknown_keys_and_names_given_twice_are_refused() {
        assert!(read("colour = \"blue\"\n").is_err());
        let device = "[[device]]\nname = \"a\"\nsource = \"serial\"\npath = \"/p\"\nprotocol = \"bci\"\n";
        let other = device.replace("/p", "/q");
        assert_eq!(read(&format!("{device}{other}")).unwrap_err(), ["device[1].name"]);
    }
}
