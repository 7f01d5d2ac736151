//! `server.toml` in the data folder: read, checked, every problem named before anything is opened.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use runtime::config_file::{Problem, Problems, read_toml};
use runtime::logging::Format;
use serde::{Deserialize, Serialize};
use shared::nhs_number::NhsNumberPolicy;

/// The configuration's file name in the data folder.
pub const FILE: &str = "server.toml";

/// Whom the system is for: real people or made-up ones, never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Population {
    /// A live service.
    Production,
    /// Training, demonstrations, tests.
    Training,
}

impl Population {
    /// Which NHS numbers it takes.
    #[must_use]
    pub const fn nhs_numbers(self) -> NhsNumberPolicy {
        match self {
            Self::Production => NhsNumberPolicy::Production,
            Self::Training => NhsNumberPolicy::Training,
        }
    }
}

/// The file as typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// MQTT door for hubs.
    pub mqtt: String,
    /// HTTPS door for hubs.
    pub hub_https: String,
    /// Feed for clinicians, HTTPS.
    pub feed: String,
    /// Prometheus, plain.
    pub metrics: String,
    /// The name in the server's certificate, and in what hubs are handed.
    pub server_name: String,
    /// Whom it is for.
    pub population: Population,
    /// The master key's file, relative to the data folder.
    #[serde(default = "master_key")]
    pub master_key: PathBuf,
    /// How logs look: `text` or `json`.
    #[serde(default)]
    pub log: LogFormat,
    /// Which rules apply.
    #[serde(default)]
    pub alerts: RawAlerts,
}

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Which rules apply.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAlerts {
    /// A rule pack's file; without it, the pack that is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack_file: Option<PathBuf>,
    /// Every duration in rules is divided by this. Over 1 only in training.
    #[serde(default = "one")]
    pub duration_divisor: u32,
}

impl Default for RawAlerts {
    fn default() -> Self {
        Self { pack_file: None, duration_divisor: one() }
    }
}

const fn one() -> u32 {
    1
}

fn master_key() -> PathBuf {
    PathBuf::from("master.key")
}

/// The configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// MQTT door for hubs.
    pub mqtt: SocketAddr,
    /// HTTPS door for hubs.
    pub hub_https: SocketAddr,
    /// Feed for clinicians.
    pub feed: SocketAddr,
    /// Prometheus; a loopback address.
    pub metrics: SocketAddr,
    /// The name in the server's certificate.
    pub server_name: String,
    /// Whom it is for.
    pub population: Population,
    /// The master key's file.
    pub master_key: PathBuf,
    /// How logs look.
    pub log: Format,
    /// A rule pack's file, if not the built-in one.
    pub pack_file: Option<PathBuf>,
    /// Every duration in rules is divided by this; at least 1.
    pub duration_divisor: u32,
}

/// Largest divisor of durations: a minute becomes a tenth of a second.
const DURATION_DIVISOR_MAX: u32 = 600;

impl Config {
    /// Reads and checks the configuration of a data folder.
    ///
    /// # Errors
    /// Every [`Problem`] at once.
    pub fn load(data: &Path) -> Result<Self, Problems> {
        let file = data.join(FILE);
        let raw: RawConfig = read_toml(&file)?;
        Self::check(data, &file, &raw)
    }

    /// Checks a configuration.
    ///
    /// # Errors
    /// Every [`Problem`] at once.
    pub fn check(data: &Path, file: &Path, raw: &RawConfig) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut address = |key: &'static str, text: &str| {
            text.parse::<SocketAddr>().unwrap_or_else(|_| {
                problems.push(Problem::new(file, key, "not an address like 127.0.0.1:8883 or [::1]:8883"));
                SocketAddr::from(([127, 0, 0, 1], 0))
            })
        };
        let mqtt = address("mqtt", &raw.mqtt);
        let hub_https = address("hub_https", &raw.hub_https);
        let feed = address("feed", &raw.feed);
        let metrics = address("metrics", &raw.metrics);
        if !metrics.ip().is_loopback() {
            let why = "the metrics listener is plain HTTP: give a loopback address, and let a collector fetch it there";
            problems.push(Problem::new(file, "metrics", why));
        }
        let listeners = [("hub_https", hub_https), ("feed", feed), ("metrics", metrics), ("mqtt", mqtt)];
        for (place, (key, address)) in listeners.iter().enumerate() {
            let earlier = listeners.iter().take(place).any(|(_, other)| other == address);
            if address.port() != 0 && earlier {
                problems.push(Problem::new(file, *key, "another listener has this address"));
            }
        }
        let is_host = !raw.server_name.is_empty()
            && raw.server_name.len() <= 253
            && raw.server_name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
        if !is_host {
            problems.push(Problem::new(file, "server_name", "not a host name or an address"));
        }
        let divisor = raw.alerts.duration_divisor;
        if !(1..=DURATION_DIVISOR_MAX).contains(&divisor) {
            problems.push(Problem::new(file, "alerts.duration_divisor", "not between 1 and 600"));
        } else if divisor > 1 && raw.population == Population::Production {
            let why = "durations are shortened for training only; a live service keeps them: set it to 1";
            problems.push(Problem::new(file, "alerts.duration_divisor", why));
        }
        let log = match raw.log {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        };
        problems.or(Self {
            data: data.to_owned(),
            mqtt,
            hub_https,
            feed,
            metrics,
            server_name: raw.server_name.clone(),
            population: raw.population,
            master_key: data.join(&raw.master_key),
            log,
            pack_file: raw.alerts.pack_file.as_ref().map(|path| data.join(path)),
            duration_divisor: divisor,
        })
    }

    /// The names the server's certificate must have.
    #[must_use]
    pub fn certificate_names(&self) -> Vec<String> {
        let mut names = vec![self.server_name.clone()];
        if self.population == Population::Training {
            for name in ["localhost", "127.0.0.1"] {
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
        names
    }

    /// Where private keys and certificates lie.
    #[must_use]
    pub fn keys_folder(&self) -> PathBuf {
        self.data.join("keys")
    }

    /// Where sockets and addresses of the running server lie.
    #[must_use]
    pub fn run_folder(&self) -> PathBuf {
        self.data.join("run")
    }

    /// The store's file.
    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.data.join("store.sqlite")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawConfig {
        RawConfig {
            mqtt: "127.0.0.1:8883".into(),
            hub_https: "127.0.0.1:8884".into(),
            feed: "127.0.0.1:8443".into(),
            metrics: "127.0.0.1:9464".into(),
            server_name: "monitor.example".into(),
            population: Population::Training,
            master_key: master_key(),
            log: LogFormat::Text,
            alerts: RawAlerts::default(),
        }
    }

    fn keys_of(raw: &RawConfig) -> Vec<String> {
        match Config::check(Path::new("/data"), Path::new("/data/server.toml"), raw) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0.into_iter().map(|problem| problem.key).collect(),
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        assert!(keys_of(&raw()).is_empty());
        let wrong = RawConfig {
            mqtt: "everywhere".into(),
            metrics: "0.0.0.0:9464".into(),
            server_name: "a b".into(),
            population: Population::Production,
            alerts: RawAlerts { pack_file: None, duration_divisor: 20 },
            ..raw()
        };
        assert_eq!(keys_of(&wrong), ["mqtt", "metrics", "server_name", "alerts.duration_divisor"]);
    }

    #[test]
    fn two_listeners_do_not_share_an_address() {
        assert_eq!(keys_of(&RawConfig { feed: raw().hub_https, ..raw() }), ["feed"]);
        let any = || "127.0.0.1:0".to_owned();
        assert!(keys_of(&RawConfig { feed: any(), hub_https: any(), ..raw() }).is_empty());
    }

    #[test]
    fn what_init_writes_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), toml::to_string(&raw()).unwrap()).unwrap();
        let config = Config::load(folder.path()).unwrap();
        assert_eq!(config.mqtt.port(), 8883);
        assert_eq!(config.certificate_names(), ["monitor.example", "localhost", "127.0.0.1"]);
        std::fs::write(folder.path().join(FILE), "surprise = 1").unwrap();
        assert!(Config::load(folder.path()).is_err());
    }
}
