//! A server, a home and what the store holds, for tests that run the real programs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tests::binaries::Binaries;
use tests::hub::{Hub, HubDevice, HubSource};
use tests::server::{Addresses, Server};
use tests::stored;

pub(crate) const WARD: &str = "Test ward";

/// A server that runs, and hubs to be started.
pub(crate) struct World {
    // Dropped first to last: processes before the folder they write to.
    pub(crate) hubs: Vec<Hub>,
    pub(crate) server: Server,
    pub(crate) addresses: Addresses,
    pub(crate) binaries: Binaries,
    folder: tempfile::TempDir,
}

impl World {
    /// A server of which every duration in rules is divided.
    pub(crate) fn new(duration_divisor: u32) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), duration_divisor)
    }

    /// The same in a folder that is there: the server's own part of it is `server`.
    pub(crate) fn in_folder(folder: tempfile::TempDir, duration_divisor: u32) -> Self {
        let binaries = Binaries::for_tests().unwrap();
        let mut server = Server::create(folder.path(), &binaries, duration_divisor).unwrap();
        let addresses = server.start().unwrap();
        Self { hubs: Vec::new(), server, addresses, binaries, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Enrols a hub; its number is its place in `hubs`.
    pub(crate) fn add_hub(&mut self, label: &str) -> usize {
        let hub = Hub::enrolled(self.path(label), &self.binaries, &self.server, label).unwrap();
        self.hubs.push(hub);
        self.hubs.len() - 1
    }

    /// A patient bound to a device of a hub.
    pub(crate) fn add_patient(&self, hub: usize, device: &str, name: &str, index: u64) -> String {
        let patient = self.server.add_patient(name, &tests::patients::nhs_number(index), WARD).unwrap();
        self.server.bind(&self.hubs[hub].id, device, &patient).unwrap();
        patient
    }

    /// A recording of pulse and saturation, row by row a second apart, that a hub plays over and over.
    pub(crate) fn looping(&self, name: &str, rows: &[(u16, u8)], speed: f64) -> HubDevice {
        let file = self.path(&format!("{name}.csv"));
        let text: String =
            rows.iter().enumerate().map(|(second, (pulse, spo2))| format!("{second},{pulse},{spo2}\n")).collect();
        std::fs::write(&file, format!("time_s,pulse,spo2\n{text}")).unwrap();
        let source = HubSource::Replay { path: file, speed, columns: Vec::new(), repeat: true };
        HubDevice { name: name.to_owned(), source }
    }

    /// What the store holds, read beside the server.
    pub(crate) fn store(&self) -> Connection {
        store(self.server.data())
    }

    pub(crate) fn count(&self, key: &str) -> u64 {
        let counts = self.server.counts().unwrap();
        counts[key].as_u64().unwrap_or_else(|| panic!("no `{key}` in {counts}"))
    }

    pub(crate) const fn door(&self) -> SocketAddr {
        self.addresses.mqtt
    }
}

pub(crate) fn store(data: &Path) -> Connection {
    stored::open(data).unwrap()
}

/// A store's file, read beside whoever has it open.
pub(crate) fn store_file(file: &Path) -> Connection {
    stored::open_file(file).unwrap()
}

/// How often each place of a record is stored, where that is not once.
pub(crate) fn repeated(store: &Connection) -> Vec<(i64, i64, i64)> {
    stored::repeated(store).unwrap()
}

/// Gaps inside streams: a sequence before the last that is not stored, reported gone or not.
pub(crate) fn gaps(store: &Connection) -> Vec<(i64, i64, i64)> {
    stored::gaps(store).unwrap()
}
