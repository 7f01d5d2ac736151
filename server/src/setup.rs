//! Makes a new system, and takes up the one that a data folder holds.

use std::path::Path;

use runtime::config_file::{Problem, Problems};
use runtime::files::FileLock;
use shared::time::Timestamp;
use zeroize::Zeroizing;

use crate::access::{Actor, Role, Scope};
use crate::admin::answer::Failure;
use crate::admin::office::Desk;
use crate::admin::reload::CurrentAuthority;
use crate::admin::{Office, Request};
use crate::alerts::{Alerts, Pack};
use crate::cli::Init;
use crate::config::{Config, FILE, LogFormat, Population, RawAlerts, RawConfig};
use crate::keys::{MasterKey, PatientVault, SealedFolder};
use crate::provisioning::authority::Authority;
use crate::provisioning::enrolment::Whereabouts;
use crate::provisioning::secrets::{self, ControlKey};
use crate::provisioning::{ProvisioningError, Vault, VaultError};
use crate::store::backup::{self, BackupSecret};
use crate::store::sqlite::SqliteStore;

/// How long the first administrator's token lasts, in days.
const FIRST_TOKEN_DAYS: u32 = 30;
/// Largest rule pack, in octets.
const PACK_BYTES_MAX: u64 = 256 * 1024;
/// Largest file of a backup key, in octets.
const BACKUP_KEY_BYTES_MAX: u64 = 4096;

/// A system taken up: what is opened before anything runs.
pub struct System {
    /// The configuration.
    pub config: Config,
    /// Signs and decides.
    pub office: Office,
    /// The store.
    pub store: SqliteStore,
    /// The alert engine.
    pub alerts: Alerts,
    /// Held while it is open: one process at a time.
    pub lock: FileLock,
}

/// Why a system cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// The configuration.
    #[error("{0}")]
    Configuration(#[from] Problems),
    /// Another process has it.
    #[error("the data folder is in use by another process, or cannot be locked")]
    Locked,
    /// The master key.
    #[error(transparent)]
    Keys(#[from] crate::keys::KeysError),
    /// Certificates and keys.
    #[error(transparent)]
    Provisioning(#[from] ProvisioningError),
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl From<VaultError> for CannotOpen {
    fn from(error: VaultError) -> Self {
        Self::Provisioning(error.into())
    }
}

/// Makes a new system in an empty or missing folder. Returns the first administrator's token. `now` is the wall clock's.
///
/// # Errors
/// [`Failure`]; a folder that holds a system already is not touched.
pub fn init(options: &Init, now: Timestamp) -> Result<Zeroizing<String>, Failure> {
    let what = "init";
    let data = options.at.data.as_path();
    let refuse = |cause: &dyn std::fmt::Display, remedy: &str| Failure::new(what, cause, remedy);
    if data.join(FILE).exists() {
        return Err(refuse(&"the folder holds a system already", "Choose another folder; nothing was changed"));
    }
    let raw = RawConfig {
        mqtt: options.mqtt.clone(),
        hub_https: options.hub_https.clone(),
        feed: options.feed.clone(),
        metrics: options.metrics.clone(),
        server_name: options.server_name.clone(),
        population: if options.training { Population::Training } else { Population::Production },
        master_key: "master.key".into(),
        log: LogFormat::Text,
        alerts: RawAlerts { pack_file: None, duration_divisor: options.duration_divisor },
    };
    let config = Config::check(data, &data.join(FILE), &raw).map_err(|p| refuse(&p, "Correct the options"))?;
    let disk = |error: std::io::Error| refuse(&error, "Check the folder's disk and permissions");
    for folder in [data, &config.keys_folder(), &config.run_folder()] {
        runtime::files::create_private_dir(folder).map_err(disk)?;
    }
    make_keys(&config, now).map_err(|error| refuse(&error, "Empty the folder and run init again"))?;
    let text = toml::to_string(&raw).map_err(|error| refuse(&error, "Report this"))?;
    runtime::files::write_atomically(&data.join(FILE), text.as_bytes(), 0o600).map_err(disk)?;

    let mut system = open(data, now).map_err(|error| refuse(&error, "Empty the folder and run init again"))?;
    let token = Request::TokenCreate {
        role: Role::Administrator,
        name: "first administrator".to_owned(),
        scope: Scope::AllWards,
        days: FIRST_TOKEN_DAYS,
    };
    let actor = local_operator();
    let mut desk = Desk { store: &mut system.store, alerts: &mut system.alerts, actor: &actor, now, wall: now };
    let done = system.office.carry_out(&mut desk, token)?;
    let token = done.answer.get("token").and_then(|token| token.as_str()).unwrap_or_default();
    Ok(Zeroizing::new(token.to_owned()))
}

fn make_keys(config: &Config, now: Timestamp) -> Result<(), CannotOpen> {
    let vault = SealedFolder::new(config.keys_folder(), MasterKey::create(&config.master_key)?);
    let authority = Authority::create(&vault, &config.keys_folder(), now)?;
    authority.ensure_server(&vault, &config.certificate_names(), now)?;
    ControlKey::create(&vault)?;
    secrets::create_sealing_key(&vault)?;
    let cursor: Zeroizing<[u8; 32]> =
        Zeroizing::new(runtime::entropy::array().map_err(|_| ProvisioningError::from(VaultError::NoEntropy))?);
    vault.put("cursor", cursor.as_slice())?;
    Ok(())
}

/// The actor of whoever runs the command line on this machine.
#[must_use]
pub fn local_operator() -> Actor {
    Actor::LocalOperator { user: rustix::process::getuid().as_raw().to_string() }
}

/// Takes up the system in a data folder, locked. `now` is the wall clock's.
///
/// # Errors
/// [`CannotOpen`].
pub fn open(data: &Path, now: Timestamp) -> Result<System, CannotOpen> {
    let config = Config::load(data)?;
    let lock = runtime::files::lock_exclusively(&data.join("lock")).map_err(|_| CannotOpen::Locked)?;
    let pack = pack(&config)?;
    let master = MasterKey::load(&config.master_key)?;
    let patients = PatientVault::new(&master);
    let vault = SealedFolder::new(config.keys_folder(), master);
    let authority = Authority::load(&vault, &config.keys_folder())?;
    authority.ensure_server(&vault, &config.certificate_names(), now)?;
    let office = Office {
        authority: CurrentAuthority::new(authority),
        control: ControlKey::load(&vault)?,
        sealing: secrets::sealing_public(&vault)?,
        whereabouts: Whereabouts {
            mqtt: reachable(&config, config.mqtt),
            https: reachable(&config, config.hub_https),
            server_name: config.server_name.clone(),
        },
        population: config.population,
        certificate_names: config.certificate_names(),
        vault,
        keys_folder: config.keys_folder(),
    };
    let store = SqliteStore::open(&config.store_file(), patients, now)?;
    Ok(System { alerts: Alerts::new(pack), config, office, store, lock })
}

/// The rules in force.
///
/// # Errors
/// Every problem of the pack.
pub fn pack(config: &Config) -> Result<Pack, Problems> {
    let divisor = u64::from(config.duration_divisor);
    let Some(path) = &config.pack_file else { return Pack::adult_default(divisor) };
    let text = runtime::files::read_bounded(path, PACK_BYTES_MAX).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match text {
        Some(text) => Pack::parse(path, &text, divisor),
        None => Err(Problems(vec![Problem::new(config.data.join(FILE), "alerts.pack_file", "cannot be read as text")])),
    }
}

/// What hubs are told to connect to: the server's name unless it listens on one address only.
#[must_use]
pub fn reachable(config: &Config, listener: std::net::SocketAddr) -> String {
    if listener.ip().is_loopback() {
        return listener.to_string();
    }
    format!("{}:{}", config.server_name, listener.port())
}

impl System {
    /// What authenticates feed cursors.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn cursor_key(&self) -> Result<[u8; 32], CannotOpen> {
        let key = self.office.vault.get("cursor")?.ok_or(ProvisioningError::Missing("cursor"))?;
        key.as_slice().try_into().map_err(|_| ProvisioningError::Unreadable("cursor").into())
    }
}

/// Puts a backup in the store's place; the store there was is kept beside it.
///
/// # Errors
/// [`Failure`]; until the very last step nothing is changed.
pub fn restore(data: &Path, from: &Path, identity: &Path, now: Timestamp) -> Result<(), Failure> {
    let what = "restore";
    let fail = |error: &dyn std::fmt::Display| Failure::new(what, error, "Nothing was changed");
    let config = Config::load(data).map_err(|error| fail(&error))?;
    let _lock = runtime::files::lock_exclusively(&data.join("lock"))
        .map_err(|_| Failure::new(what, CannotOpen::Locked, "Stop the server first"))?;
    let master = MasterKey::load(&config.master_key).map_err(|error| fail(&error))?;
    let fresh = data.join("store.restored");
    let clear = |stem: &Path| {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = stem.as_os_str().to_owned();
            name.push(suffix);
            // One that is not there is as good as removed; one that cannot be is met again below.
            let _ = std::fs::remove_file(Path::new(&name));
        }
    };
    clear(&fresh);
    let secret = runtime::files::read_bounded(identity, BACKUP_KEY_BYTES_MAX).map_err(|error| fail(&error))?;
    let secret = Zeroizing::new(String::from_utf8(secret).map_err(|error| fail(&error.utf8_error()))?);
    let secret: BackupSecret = secret.parse().map_err(|error| fail(&error))?;
    backup::open(from, &fresh, &secret).map_err(|error| fail(&error))?;
    let renewed = SqliteStore::open(&fresh, PatientVault::new(&master), now).and_then(|mut store| store.renew(now));
    if let Err(error) = renewed {
        clear(&fresh);
        return Err(fail(&error));
    }
    let store = config.store_file();
    let disk = |error: std::io::Error| Failure::new(what, error, "Look at the files store.* in the data folder");
    if store.exists() {
        let aside = data.join(format!("store.before-{}", now.as_millis()));
        runtime::files::create_private_dir(&aside).map_err(disk)?;
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("store.sqlite{suffix}");
            match std::fs::rename(data.join(&name), aside.join(&name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(disk(error)),
                _ => {}
            }
        }
    }
    std::fs::rename(&fresh, &store).map_err(disk)?;
    runtime::files::sync_dir(data).map_err(disk)
}
