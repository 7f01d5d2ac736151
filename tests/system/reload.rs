//! Certificates, keys and roots replaced under a server that goes on: what stays, what is new, what is not taken.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use server::keys::{MasterKey, SealedFolder};
use server::provisioning::authority::Authority;
use shared::time::Tick;
use shared::topic;
use tests::door_client::packets::{self, publish};
use tests::door_client::{DoorClient, HubKeys, client_config};
use tests::wait;

use crate::home::World;

/// How long a session may stay whose certificate is not believed any more (what is promised).
const CUT_WITHIN: Duration = Duration::from_secs(5);

/// The server's certificate as somebody sees it who connects now.
async fn shown(door: SocketAddr, tls: Arc<ClientConfig>) -> Vec<u8> {
    let client = DoorClient::shake_hands(door, None, tls).await.expect("TLS");
    client.stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// What the feed and the hubs' two doors show.
async fn all_shown(world: &World, keys: &HubKeys) -> [Vec<u8>; 3] {
    let people = client_config(&keys.roots_pem, None).unwrap();
    let at = world.addresses;
    [shown(at.mqtt, keys.tls.clone()).await, shown(at.hub_https, keys.tls.clone()).await, shown(at.feed, people).await]
}

async fn answers(client: &mut DoorClient) {
    client.send(&packets::PING).await.unwrap();
    loop {
        match client.packet().await.expect("the session stays").as_slice() {
            [0xd0, 0] => return,
            // A receipt.
            [0x30, ..] => {}
            other => panic!("{other:02x?} is no answer to a ping"),
        }
    }
}

fn key_file(world: &World, name: &str) -> PathBuf {
    world.server.data().join("keys").join(name)
}

/// The outcomes of the reloads in the audit log, in order.
fn audited(world: &World) -> Vec<String> {
    let store = world.store();
    let mut statement = store.prepare("SELECT content FROM audit ORDER BY number").unwrap();
    let entries = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let entries = entries.map(|entry| serde_json::from_slice::<serde_json::Value>(&entry.unwrap()).unwrap());
    entries.filter(|entry| entry["action"] == "reload").map(|entry| entry["outcome"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_reload_shows_the_new_certificate_and_sessions_stay() {
    let mut world = World::new(1);
    world.add_hub("hub");
    let keys = HubKeys::load(world.hubs[0].folder()).unwrap();
    let mut client = DoorClient::enter(world.addresses.mqtt, &keys).await.unwrap();
    let mut stream = keys.stream(runtime::clock::Clock::system().wall()).unwrap();
    let before = all_shown(&world, &keys).await;
    assert!(before[1..].iter().all(|certificate| *certificate == before[0]));

    // Without its file, the certificate is made anew.
    std::fs::remove_file(key_file(&world, "server.pem")).unwrap();
    let answer = tokio::task::block_in_place(|| world.server.ask(&["reload"], "")).unwrap();
    assert_eq!((&answer["sessions_ended"], &answer["roots"]), (&0.into(), &1.into()), "{answer}");
    let after = all_shown(&world, &keys).await;
    assert!(after.iter().all(|certificate| *certificate == after[0] && *certificate != before[0]));
    answers(&mut client).await;
    let up = topic::up(keys.hub);
    let (_, batch) = stream.batch(Tick::from_millis(1)).unwrap();
    client.send(&publish(0b10, &up, 7, &batch)).await.unwrap();
    // PUBACK and receipt, whichever comes first.
    let (mut acknowledged, mut receipted) = (false, false);
    while !(acknowledged && receipted) {
        let packet = client.packet().await.expect("an answer");
        acknowledged |= packet == [0x40, 2, 0, 7];
        receipted |= packet[0] == 0x30;
    }
    assert_eq!(audited(&world), ["\"done\""]);

    // SIGHUP does the same.
    std::fs::remove_file(key_file(&world, "server.pem")).unwrap();
    world.server.signal(nix::sys::signal::Signal::SIGHUP).unwrap();
    wait::until("SIGHUP to be heard", Duration::from_secs(10), || (audited(&world).len() == 2).then_some(())).unwrap();
    wait::until("the new certificate", Duration::from_secs(10), || {
        let now = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(shown(world.addresses.mqtt, keys.tls.clone()))
        });
        (now != after[0]).then_some(())
    })
    .unwrap();
    answers(&mut client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn broken_material_is_named_and_the_old_serves_on() {
    let mut world = World::new(1);
    world.add_hub("hub");
    let keys = HubKeys::load(world.hubs[0].folder()).unwrap();
    let mut client = DoorClient::enter(world.addresses.mqtt, &keys).await.unwrap();
    let before = all_shown(&world, &keys).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let vault = SealedFolder::new(
        elsewhere.path().to_owned(),
        MasterKey::load(&world.server.data().join("master.key")).unwrap(),
    );
    let now = runtime::clock::Clock::system().wall();
    let other = Authority::create(&vault, elsewhere.path(), now).unwrap();
    other.ensure_server(&vault, &["localhost".to_owned()], now).unwrap();
    let others = |name: &str| std::fs::read(elsewhere.path().join(name)).unwrap();

    let broken = [
        ("root.pem", b"no certificate".to_vec(), "root.pem"),
        ("root.pem", others("root.pem"), "not believed by the roots"),
        ("issuing.pem", b"no certificate".to_vec(), "issuing.pem"),
        // Its name is the same and its key is not.
        ("issuing.pem", others("issuing.pem"), "issuing.pem"),
        ("issuing.sealed", b"not sealed".to_vec(), "issuing.sealed"),
        ("server.pem", b"no certificate".to_vec(), "server.pem"),
        ("server.pem", others("server.pem"), "server.pem"),
        ("server.sealed", others("server.sealed"), "server.sealed"),
        ("server.sealed", b"not sealed".to_vec(), "server.sealed"),
    ];
    let count = broken.len();
    for (name, content, said) in broken {
        let good = std::fs::read(key_file(&world, name)).unwrap();
        std::fs::write(key_file(&world, name), content).unwrap();
        let refused = tokio::task::block_in_place(|| world.server.ask(&["reload"], ""));
        let error = refused.expect_err(name).to_string();
        assert!(error.contains(said), "{name}: {error}");
        assert!(error.contains("Put the file back"), "{name}: {error}");
        assert_eq!(all_shown(&world, &keys).await, before, "{name}");
        std::fs::write(key_file(&world, name), good).unwrap();
    }
    answers(&mut client).await;
    DoorClient::enter(world.addresses.mqtt, &keys).await.expect("the old material serves on");
    tokio::task::block_in_place(|| world.server.ask(&["reload"], "")).expect("all is back");
    let mut expected = vec!["\"rejected\""; count];
    expected.push("\"done\"");
    assert_eq!(audited(&world), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn who_is_not_believed_any_more_is_cut_and_others_come_in() {
    let mut world = World::new(1);
    world.add_hub("before");
    let keys = HubKeys::load(world.hubs[0].folder()).unwrap();
    let mut client = DoorClient::enter(world.addresses.mqtt, &keys).await.unwrap();

    // Another authority in the place of the one there was: nobody's certificate is good any more.
    let folder = world.server.data().join("keys");
    let master = MasterKey::load(&world.server.data().join("master.key")).unwrap();
    let now = runtime::clock::Clock::system().wall();
    Authority::create(&SealedFolder::new(folder.clone(), master), &folder, now).unwrap();
    std::fs::remove_file(folder.join("server.pem")).unwrap();
    let begin = Instant::now();
    let (answer, end) =
        tokio::join!(async { tokio::task::block_in_place(|| world.server.ask(&["reload"], "")) }, async {
            client.end().await
        });
    end.expect("the session is cut");
    assert!(begin.elapsed() < CUT_WITHIN, "it took {:?}", begin.elapsed());
    assert_eq!(answer.unwrap()["sessions_ended"], 1);
    assert!(DoorClient::enter(world.addresses.mqtt, &keys).await.is_err());

    // A hub that the new authority enrols comes in.
    world.add_hub("after");
    let keys = HubKeys::load(world.hubs[1].folder()).unwrap();
    let mut client = DoorClient::enter(world.addresses.mqtt, &keys).await.expect("the new authority's hub");
    answers(&mut client).await;

    // A server that does not run has nothing to reload.
    world.server.stop().unwrap();
    let refused = world.server.ask(&["reload"], "").expect_err("nothing runs").to_string();
    assert!(refused.contains("does not run"), "{refused}");
}
