//! Who comes through the door at all: certificates, what is said to those without a good one, and how fast a revoked
//! hub is out.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::AlertDescription;
use rustls_pki_types::CertificateDer;
use server::keys::{MasterKey, SealedFolder};
use server::provisioning::authority::Authority;
use server::provisioning::request::HubRequest;
use server::provisioning::{Vault, VaultError};
use shared::sequence::{Range, Ranges, Sequence};
use shared::time::{Tick, Timestamp};
use shared::topic;
use tests::door_campaign::credentials::foreign;
use tests::door_client::packets::{self, Connect, connect, publish};
use tests::door_client::{DoorClient, HubKeys, Shown, alert, chain, client_config};
use tests::door_counts::DoorCounts;
use tests::wait;
use zeroize::Zeroizing;

use crate::home::World;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a revoked hub may stay (what is promised).
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Drawer(Mutex<HashMap<String, Vec<u8>>>);

impl Vault for Drawer {
    fn put(&self, name: &str, secret: &[u8]) -> Result<(), VaultError> {
        self.0.lock().unwrap().insert(name.to_owned(), secret.to_vec());
        Ok(())
    }
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        Ok(self.0.lock().unwrap().get(name).cloned().map(Zeroizing::new))
    }
}

fn now() -> Timestamp {
    runtime::clock::Clock::system().wall()
}

/// A certificate for a hub's request by an authority, at some time.
fn certificate(authority: &Authority, folder: &Path, at: Timestamp) -> Vec<CertificateDer<'static>> {
    let request = HubRequest::from_pem(&std::fs::read_to_string(folder.join("hub.csr")).unwrap()).unwrap();
    chain(&authority.issue_hub(request, at).unwrap().chain_pem).unwrap()
}

/// The alert the door ends with, for somebody who shows this.
async fn refused(
    world: &World,
    keys: &HubKeys,
    shown: Option<Vec<CertificateDer<'static>>>,
) -> Option<AlertDescription> {
    let shown = shown.map(|chain| Shown { chain, key: keys.key() });
    let tls = client_config(&keys.roots_pem, shown).unwrap();
    ended(world, tls, keys).await
}

async fn ended(world: &World, tls: Arc<rustls::ClientConfig>, keys: &HubKeys) -> Option<AlertDescription> {
    let mut client = match DoorClient::shake_hands(world.addresses.mqtt, None, tls).await {
        Ok(client) => client,
        Err(error) => return alert(&error),
    };
    // It may be refused while this is on its way.
    let _ = client.send(&connect(&Connect::of(&keys.hub.to_string()))).await;
    let (answer, alert) = client.end().await.expect("the door closes");
    assert!(answer.is_empty(), "the door said {answer:02x?}");
    alert
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_good_certificate_is_told_so_in_tls() {
    let mut world = World::new(1);
    world.add_hub("hub");
    let folder = world.hubs[0].folder().to_owned();
    let keys = HubKeys::load(&folder).unwrap();
    let data = world.server.data();
    let vault = SealedFolder::new(data.join("keys"), MasterKey::load(&data.join("master.key")).unwrap());
    let ours = Authority::load(&vault, &data.join("keys")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let namesake = Authority::create(&Drawer::default(), elsewhere.path(), now()).unwrap();
    let before = DoorCounts::read(world.addresses.metrics).unwrap();

    let none = refused(&world, &keys, None).await;
    assert_eq!(none, Some(AlertDescription::CertificateRequired));
    let expired = certificate(&ours, &folder, now().before(DAY * 60));
    assert_eq!(refused(&world, &keys, Some(expired)).await, Some(AlertDescription::CertificateExpired));
    // RFC 8446 has no alert of its own for "not yet".
    let early = certificate(&ours, &folder, now().after(DAY * 60));
    assert_eq!(refused(&world, &keys, Some(early)).await, Some(AlertDescription::CertificateExpired));
    // An authority that calls itself what ours does: the name leads to our key, and the signature is not by it.
    let strange = certificate(&namesake, &folder, now());
    assert_eq!(refused(&world, &keys, Some(strange)).await, Some(AlertDescription::DecryptError));
    // An authority of another name: no root of ours is its issuer.
    let unknown = client_config(&keys.roots_pem, Some(foreign(&keys.hub.to_string()).unwrap())).unwrap();
    assert_eq!(ended(&world, unknown, &keys).await, Some(AlertDescription::UnknownCA));
    let mut torn = certificate(&ours, &folder, now());
    let last = torn[0].len() - 1;
    let mut octets = torn[0].to_vec();
    octets[last] ^= 1;
    torn[0] = octets.into();
    let torn = refused(&world, &keys, Some(torn)).await;
    assert!(torn.is_some(), "a changed signature is refused");

    assert_eq!(counted(&world, &before, 6), BTreeMap::from([("tls".to_owned(), 6)]));
    // Signed by us and good in TLS, but the store never heard of it.
    let unheard = certificate(&ours, &folder, now());
    let tls = client_config(&keys.roots_pem, Some(Shown { chain: unheard, key: keys.key() })).unwrap();
    let mut client = DoorClient::shake_hands(world.addresses.mqtt, None, tls).await.unwrap();
    client.send(&connect(&Connect::of(&keys.hub.to_string()))).await.unwrap();
    assert_eq!(client.end().await.unwrap().0, [0x20, 2, 0, 5], "CONNACK: not authorised");
    DoorClient::enter(world.addresses.mqtt, &keys).await.expect("the good one comes in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_revoked_hub_is_out_within_five_seconds_and_what_was_acknowledged_is_stored() {
    let mut world = World::new(1);
    world.add_hub("revoked");
    world.add_hub("staying");
    let keys = HubKeys::load(world.hubs[0].folder()).unwrap();
    let staying = HubKeys::load(world.hubs[1].folder()).unwrap();
    let mut client = DoorClient::enter(world.addresses.mqtt, &keys).await.unwrap();
    let mut neighbour = DoorClient::enter(world.addresses.mqtt, &staying).await.unwrap();
    let mut stream = keys.stream(now()).unwrap();
    let before = DoorCounts::read(world.addresses.metrics).unwrap();
    let up = topic::up(keys.hub);
    let mut sent = Vec::new();
    for number in 1..=15_u16 {
        let (sequence, batch) = stream.batch(Tick::from_millis(number.into())).unwrap();
        client.send(&publish(0b10, &up, number, &batch)).await.unwrap();
        sent.push((number, sequence));
    }
    let id = keys.hub.to_string();
    let begin = Instant::now();
    // The batches are in flight while the command line asks.
    let (said, (answers, _)) = tokio::join!(
        async { tokio::task::block_in_place(|| world.server.ask(&["hub", "revoke", "--hub", &id], "")) },
        async { client.end().await.expect("the session is cut") }
    );
    said.unwrap();
    assert!(begin.elapsed() < REVOKED_WITHIN, "it took {:?}", begin.elapsed());
    assert_eq!(counted(&world, &before, 1), BTreeMap::from([("revoked".to_owned(), 1)]));

    // Whatever had its PUBACK is in the store. What had none, a hub still holds.
    let acknowledged = pubacks(&answers);
    let stored = stored(&world);
    for (number, sequence) in &sent {
        let stored = stored.contains(*sequence);
        assert!(stored || !acknowledged.contains(number), "batch {number} has a PUBACK and is not stored");
    }
    assert!(!acknowledged.is_empty(), "some had their PUBACK");

    // Now it does not even come through TLS.
    let alert = ended(&world, keys.tls.clone(), &keys).await;
    assert_eq!(alert, Some(AlertDescription::CertificateRevoked));
    neighbour.send(&packets::PING).await.unwrap();
    assert_eq!(neighbour.packet().await.unwrap(), [0xd0, 0], "others do not notice");
}

/// What was counted since, once it is so many: the door counts a connection after it has closed it.
fn counted(world: &World, before: &DoorCounts, count: u64) -> BTreeMap<String, u64> {
    let counted = wait::until("the door to count", Duration::from_secs(10), || {
        let since = DoorCounts::read(world.addresses.metrics).ok()?.since(before);
        (since.values().sum::<u64>() >= count).then_some(since)
    });
    counted.unwrap()
}

/// What is stored of the only stream there is.
fn stored(world: &World) -> Ranges {
    let store = world.store();
    let mut statement = store.prepare("SELECT first, last FROM stream_range").unwrap();
    let place =
        |row: &rusqlite::Row<'_>, column| row.get(column).map(|n: i64| Sequence::new(n.unsigned_abs()).unwrap());
    let rows = statement.query_map([], |row| Ok(Range::new(place(row, 0)?, place(row, 1)?).unwrap())).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The packet identifiers of the PUBACKs among packets.
fn pubacks(mut octets: &[u8]) -> Vec<u16> {
    let mut found = Vec::new();
    while let Some((packet, rest)) = packets::length(octets).and_then(|length| octets.split_at_checked(length)) {
        if let [0x40, 2, high, low] = packet {
            found.push(u16::from_be_bytes([*high, *low]));
        }
        octets = rest;
    }
    found
}
