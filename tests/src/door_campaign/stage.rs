//! The server in a folder of its own, its hubs, and what attackers know of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use runtime::clock::Clock;
use serde_json::Value;
use shared::topic;

use super::credentials::Credentials;
use super::ground::Ground;
use super::hello::{self, Hello};
use super::strangers::Strangers;
use super::{honest, record};
use crate::binaries::Binaries;
use crate::door_client::packets::{DISCONNECT, publish};
use crate::door_client::{DoorClient, HubKeys};
use crate::hub::Hub;
use crate::server::Server;

/// Hubs that do what hubs do.
pub const HONEST: usize = 8;
/// Hubs that do not: so many, that the door's pace for each does not stop the campaign.
pub const HOSTILE: usize = 16;
/// Batches of each hostile hub that are stored before all begins, to be sent again.
const BATCHES: usize = 24;
/// Batches of honest hubs that others got hold of.
const STOLEN: usize = 16;
/// Sessions that are recorded.
const RECORDINGS: usize = 6;

/// What there is before the first case.
pub struct Stage {
    // Dropped first to last: the process before the folder it writes to.
    /// The server.
    pub server: Server,
    /// The way to its door.
    pub ground: Arc<Ground>,
    /// Who the honest hubs are.
    pub honest: Vec<Arc<HubKeys>>,
    /// Who the hostile hubs are, and the batches they have had stored.
    pub hostile: Vec<(Arc<HubKeys>, Vec<Vec<u8>>)>,
    /// Honest hubs' batches, which nobody has sent.
    pub stolen: Arc<Vec<Vec<u8>>>,
    /// What strangers know.
    pub strangers: Arc<Strangers>,
    /// Records that hostile hubs have had stored.
    pub originals: u64,
    _folder: tempfile::TempDir,
}

struct Enrolled {
    keys: Arc<HubKeys>,
    chain_pem: String,
}

fn enrol(folder: &Path, binaries: &Binaries, server: &Server, label: &str) -> anyhow::Result<Enrolled> {
    let hub = Hub::enrolled(folder.join(label), binaries, server, label)?;
    let enrolment: Value = serde_json::from_slice(&std::fs::read(hub.enrolment())?)?;
    let chain_pem = enrolment.get("certificate_pem").and_then(Value::as_str).context("no certificate")?.to_owned();
    Ok(Enrolled { keys: Arc::new(HubKeys::load(hub.folder())?), chain_pem })
}

impl Stage {
    /// Starts the server, enrols the hubs, has the hostile hubs' batches stored.
    ///
    /// # Errors
    /// If one of it fails.
    pub fn set(binaries: &Binaries) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut server = Server::create(folder.path(), binaries, 1)?;
        let addresses = server.start()?;
        let many = |count: usize, what: &str| -> anyhow::Result<Vec<Enrolled>> {
            (0..count).map(|number| enrol(folder.path(), binaries, &server, &format!("{what}-{number}"))).collect()
        };
        let (honest, hostile) = (many(HONEST, "honest")?, many(HOSTILE, "hostile")?);
        let ground = Arc::new(Ground::new(addresses.mqtt, addresses.metrics));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (hostile_keys, recordings) = runtime.block_on(async {
            let mut prepared = Vec::new();
            for hub in &hostile {
                prepared.push((hub.keys.clone(), stored_batches(&ground, &hub.keys).await?));
            }
            let mut recordings = Vec::new();
            for (keys, batches) in prepared.iter().take(RECORDINGS) {
                let batch = batches.first().context("it has no batches")?;
                let packet = publish(0b10, &topic::up(keys.hub), 3, batch);
                recordings.push(record::session(ground.dial(None).await?, keys, &packet).await?);
            }
            anyhow::Ok((prepared, recordings))
        })?;
        let first = hostile_keys.first().context("there are no hostile hubs")?;
        let hello = Hello::read(&hello::recorded(first.0.tls.clone())?)?;
        let owners: Vec<_> = hostile.iter().map(|hub| (hub.keys.clone(), hub.chain_pem.clone())).collect();
        let credentials = Credentials::new(&owners)?;
        let strangers = Arc::new(Strangers { ground: ground.clone(), hello, recordings, credentials });
        let honest: Vec<_> = honest.into_iter().map(|hub| hub.keys).collect();
        let stolen = Arc::new(stolen(&honest)?);
        let originals = u64::try_from(hostile_keys.iter().map(|(_, batches)| batches.len()).sum::<usize>())?;
        Ok(Self { server, ground, honest, hostile: hostile_keys, stolen, strangers, originals, _folder: folder })
    }
}

/// Has a hub's batches stored: each has its PUBACK, which comes after the commit.
async fn stored_batches(ground: &Ground, keys: &HubKeys) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut client = DoorClient::enter_over(ground.dial(None).await?, keys).await?;
    let (mut stream, begin) = (keys.stream(Clock::system().wall())?, Instant::now());
    let mut batches = Vec::new();
    for packet_id in 1..=u16::try_from(BATCHES)? {
        // With the opening each, so that there is more to change.
        let (_, batch) = honest::batch(&mut stream, begin, true)?;
        client.send(&publish(0b10, &topic::up(keys.hub), packet_id, &batch)).await?;
        loop {
            let packet = client.packet().await?;
            if packet.first() == Some(&0x40) {
                ensure!(packet.get(2..) == Some(packet_id.to_be_bytes().as_slice()), "another PUBACK");
                break;
            }
        }
        batches.push(batch);
    }
    client.send(&DISCONNECT).await?;
    client.end().await?;
    Ok(batches)
}

fn stolen(honest: &[Arc<HubKeys>]) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut stolen = Vec::new();
    for keys in honest.iter().cycle().take(STOLEN) {
        let mut stream = keys.stream(Clock::system().wall())?;
        stolen.push(honest::batch(&mut stream, Instant::now(), true)?.1);
    }
    Ok(stolen)
}
