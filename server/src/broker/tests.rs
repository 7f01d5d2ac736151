//! The door over real sockets and real TLS, with a store and an ingest that tests steer.
#![allow(clippy::arithmetic_side_effects)]

pub(crate) mod authority;
mod crowd;
mod pacing;
mod reloading;
mod router_end;
mod taking;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustls::version::TLS13;
use shared::topic;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::identity::Identity;
use super::packet::tests::{write_connect, write_publish, write_subscribe};
use super::packet::{Connect, Will};
use super::*;
use authority::Authority;

const HUB: HubId = HubId::from_bytes([1; 16]);
const OTHER: HubId = HubId::from_bytes([2; 16]);

#[derive(Default)]
struct Server {
    refuses: Mutex<Vec<HubId>>,
    here: watch::Sender<HashMap<HubId, bool>>,
    arrivals: watch::Sender<Vec<Arrival>>,
    answer: Mutex<Option<IntakeRefused>>,
    holds: Mutex<bool>,
    release: Notify,
}

impl Admission for Server {
    fn admits<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<bool, Unanswered>> {
        let admitted = !self.refuses.lock().unwrap().contains(&identity.hub);
        Box::pin(async move { Ok(admitted) })
    }

    fn connected(&self, hub: HubId, connected: bool) -> BoxFuture<'_, ()> {
        self.here.send_modify(|here| {
            here.insert(hub, connected);
        });
        Box::pin(async {})
    }
}

impl Intake for Server {
    fn take(&self, arrival: Arrival) -> BoxFuture<'_, Result<(), IntakeRefused>> {
        Box::pin(async move {
            self.arrivals.send_modify(|arrivals| arrivals.push(arrival));
            if *self.holds.lock().unwrap() {
                self.release.notified().await;
            }
            self.answer.lock().unwrap().map_or(Ok(()), Err)
        })
    }
}

struct Rig {
    authority: Authority,
    server: Arc<Server>,
    tls: Tls,
    handle: DoorHandle,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    down: mpsc::Sender<(HubId, Vec<u8>)>,
    stop: CancellationToken,
    address: SocketAddr,
    owner: JoinSet<Result<(), RouterLost>>,
}

async fn rig() -> Rig {
    rig_with(false, Strangers::default()).await
}

/// Perhaps with a router that ends before the first message, and with these strangers.
async fn rig_with(broken_router: bool, strangers: Strangers) -> Rig {
    let authority = Authority::new();
    let server = Arc::new(Server::default());
    let metrics = Arc::new(Metrics::new());
    let tls = Tls::for_hubs(&authority.material(&[])).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (down, receiver) = mpsc::channel(limits::DOWN_MAX);
    let stop = CancellationToken::new();
    let parts = DoorParts {
        listener,
        tls: tls.clone(),
        admission: server.clone(),
        intake: server.clone(),
        down: receiver,
        clock: Clock::system(),
        metrics: metrics.clone(),
        stop: stop.clone(),
    };
    let (mut door, handle) = Door::open(parts).await.unwrap();
    door.strangers = strangers;
    if broken_router {
        door.router.break_thread().await;
    }
    let shared = door.shared.clone();
    let mut owner = JoinSet::new();
    owner.spawn(door.run());
    Rig { authority, server, tls, handle, shared, metrics, down, stop, address, owner }
}

type Client = TlsStream<TcpStream>;

impl Rig {
    async fn tls(&self, hub: HubId, serial: u8) -> std::io::Result<Client> {
        let config = self.authority.client(Some(self.authority.hub(hub, serial)), &TLS13);
        let socket = TcpStream::connect(self.address).await?;
        TlsConnector::from(config).connect("localhost".try_into().unwrap(), socket).await
    }

    async fn connect(&self, hub: HubId) -> Client {
        let mut client = self.tls(hub, 7).await.unwrap();
        client.write_all(&hello(hub, 60)).await.unwrap();
        assert_eq!(read(&mut client, 4).await, [0x20, 2, 0, 0]);
        client
    }

    async fn until(&self, reason: Refusal) {
        let counted = async {
            while self.metrics.refusals(reason.name()) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), counted).await.unwrap_or_else(|_| panic!("{reason:?}"));
    }
}

fn hello(hub: HubId, keep_alive_s: u16) -> Vec<u8> {
    let (id, gone) = (hub.to_string(), topic::gone(hub));
    let will = Some(Will { topic: &gone, content: b"", qos: 0, retain: false });
    write_connect(&Connect { level: 4, clean_session: true, keep_alive_s, client_id: &id, will, credentials: false })
}

async fn read(client: &mut Client, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    tokio::time::timeout(Duration::from_secs(10), client.read_exact(&mut bytes)).await.unwrap().unwrap();
    bytes
}

/// What comes until the door closes.
async fn rest(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_publish_is_acknowledged_after_its_commit_only() {
    let rig = rig().await;
    let mut client = rig.connect(HUB).await;
    *rig.server.holds.lock().unwrap() = true;
    client.write_all(&write_publish(&topic::up(HUB), Some(9), b"batch")).await.unwrap();
    let mut arrivals = rig.server.arrivals.subscribe();
    let first = arrivals.wait_for(|arrivals| arrivals.len() == 1).await.unwrap()[0].clone();
    assert_eq!((first.hub, first.bytes.as_slice()), (HUB, b"batch".as_slice()));
    assert_eq!(first.identity_digest, shared::sealing::identity_digest(&first.identity));
    let early = tokio::time::timeout(Duration::from_millis(100), client.read_u8()).await;
    assert!(early.is_err(), "an answer before the commit");
    rig.server.release.notify_one();
    assert_eq!(read(&mut client, 4).await, packet::puback(9));
    // QoS 0 has no PUBACK; a ping behind it is answered.
    *rig.server.holds.lock().unwrap() = false;
    client.write_all(&write_publish(&topic::up(HUB), None, b"again")).await.unwrap();
    client.write_all(&[0xc0, 0]).await.unwrap();
    assert_eq!(read(&mut client, 2).await, packet::PINGRESP);
    arrivals.wait_for(|arrivals| arrivals.len() == 2).await.unwrap();
    client.write_all(&[0xe0, 0]).await.unwrap();
    assert_eq!(rest(&mut client).await, b"");
    rig.server.here.subscribe().wait_for(|here| here.get(&HUB) == Some(&false)).await.unwrap();
}

#[tokio::test]
async fn with_too_many_unanswered_it_stops_reading_and_answers_in_order() {
    let rig = rig().await;
    let mut client = rig.connect(HUB).await;
    *rig.server.holds.lock().unwrap() = true;
    for id in 1..=30 {
        client.write_all(&write_publish(&topic::up(HUB), Some(id), b"x")).await.unwrap();
    }
    client.flush().await.unwrap();
    let mut arrivals = rig.server.arrivals.subscribe();
    arrivals.wait_for(|arrivals| arrivals.len() == limits::UNANSWERED_MAX).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(rig.server.arrivals.borrow().len(), limits::UNANSWERED_MAX);
    *rig.server.holds.lock().unwrap() = false;
    rig.server.release.notify_waiters();
    for id in 1..=30 {
        assert_eq!(read(&mut client, 4).await, packet::puback(id));
    }
}

#[tokio::test]
async fn messages_reach_their_hub_alone() {
    let rig = rig().await;
    let (mut client, mut other) = (rig.connect(HUB).await, rig.connect(OTHER).await);
    for (hub, client) in [(HUB, &mut client), (OTHER, &mut other)] {
        client.write_all(&write_subscribe(3, &[(&topic::down(hub), 1)])).await.unwrap();
        assert_eq!(read(client, 5).await, packet::suback(3));
    }
    // More than the router's buffer of 200.
    for number in 0..400_u16 {
        rig.down.send((HUB, number.to_be_bytes().to_vec())).await.unwrap();
        let expected = packet::publish_down(&topic::down(HUB), &number.to_be_bytes()).unwrap();
        assert_eq!(read(&mut client, expected.len()).await, expected);
    }
    other.write_all(&[0xc0, 0]).await.unwrap();
    assert_eq!(read(&mut other, 2).await, packet::PINGRESP);
    // Nobody is there for this one, and the router lives on.
    rig.down.send((HubId::from_bytes([9; 16]), b"x".to_vec())).await.unwrap();
    rig.down.send((OTHER, b"y".to_vec())).await.unwrap();
    let expected = packet::publish_down(&topic::down(OTHER), b"y").unwrap();
    assert_eq!(read(&mut other, expected.len()).await, expected);
    assert_eq!(rig.metrics.messages_down_unheard.get(), 1);
}

#[tokio::test]
async fn a_burst_to_a_hub_that_goes_does_not_stop_the_router() {
    let rig = rig().await;
    for _ in 0..10 {
        let mut client = rig.connect(HUB).await;
        client.write_all(&write_subscribe(3, &[(&topic::down(HUB), 0)])).await.unwrap();
        read(&mut client, 5).await;
        for _ in 0..500 {
            rig.down.send((HUB, vec![7; 20])).await.unwrap();
        }
        drop(client);
    }
    let mut client = rig.connect(HUB).await;
    client.write_all(&write_subscribe(3, &[(&topic::down(HUB), 0)])).await.unwrap();
    assert_eq!(read(&mut client, 5).await, packet::suback(3));
    rig.down.send((HUB, b"y".to_vec())).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"y") {
        seen.extend(read(&mut client, 1).await);
    }
}

#[tokio::test]
async fn what_a_hub_may_not_do_closes_its_connection() {
    let rig = rig().await;
    let foreign = write_publish(&topic::up(OTHER), Some(1), b"x");
    let longest = write_publish(&topic::up(HUB), None, &[0; shared::wire::MESSAGE_BYTES_MAX + 1]);
    let filters: [&str; 3] = ["#", &topic::down(OTHER), &topic::up(HUB)];
    let mut refused = vec![
        (foreign, Refusal::ForeignTopic),
        (longest, Refusal::MessageTooLong),
        (hello(HUB, 60), Refusal::ConnectTwice),
        (vec![0x34, 0], Refusal::Packet(packet::UnreadablePacket::Flags)),
        (vec![0xf0, 0], Refusal::Packet(packet::UnreadablePacket::Unwanted(15))),
    ];
    refused.extend(filters.map(|filter| (write_subscribe(1, &[(filter, 0)]), Refusal::ForeignTopic)));
    for (bytes, reason) in refused {
        let before = rig.metrics.refusals(reason.name());
        let mut client = rig.connect(HUB).await;
        client.write_all(&bytes).await.unwrap();
        assert_eq!(rest(&mut client).await, b"", "{reason:?}");
        drop(client);
        while rig.metrics.refusals(reason.name()) == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(rig.server.arrivals.borrow().is_empty());
}

#[tokio::test]
async fn who_does_not_get_in() {
    let rig = rig().await;
    let mut client = rig.tls(HUB, 7).await.unwrap();
    client.write_all(&hello(OTHER, 60)).await.unwrap();
    assert_eq!(rest(&mut client).await, packet::connack(packet::ConnectAnswer::Identifier));
    rig.until(Refusal::ForeignClientId).await;
    rig.server.refuses.lock().unwrap().push(OTHER);
    let mut client = rig.tls(OTHER, 7).await.unwrap();
    client.write_all(&hello(OTHER, 60)).await.unwrap();
    assert_eq!(rest(&mut client).await, packet::connack(packet::ConnectAnswer::NotAuthorised));
    let mut client = rig.tls(HUB, 7).await.unwrap();
    client.write_all(&[0xc0, 0]).await.unwrap();
    assert_eq!(rest(&mut client).await, b"");
    rig.until(Refusal::NotConnect).await;
    // No certificate, and one of another authority.
    let stranger = Authority::new();
    let foreign = stranger.client(Some(stranger.hub(HUB, 7)), &TLS13);
    let none = rig.authority.client(None, &TLS13);
    for config in [none, foreign] {
        let socket = TcpStream::connect(rig.address).await.unwrap();
        let connected = TlsConnector::from(config).connect("localhost".try_into().unwrap(), socket).await;
        if let Ok(mut client) = connected {
            let _ = client.write_all(&hello(HUB, 60)).await;
            assert_eq!(rest(&mut client).await, b"");
        }
    }
    rig.until(Refusal::Tls).await;
    assert!(rig.server.here.borrow().is_empty());
}

#[tokio::test]
async fn a_revoked_hub_is_cut_and_kept_out() {
    let rig = rig().await;
    let mut client = rig.connect(HUB).await;
    rig.tls.replace(tls::Prepared::for_hubs(&rig.authority.material(&[7])).unwrap());
    assert!(rig.handle.disconnect(HUB));
    assert_eq!(rest(&mut client).await, b"");
    rig.until(Refusal::Revoked).await;
    if let Ok(mut client) = rig.tls(HUB, 7).await {
        let _ = client.write_all(&hello(HUB, 60)).await;
        assert_eq!(rest(&mut client).await, b"");
    }
    rig.until(Refusal::Tls).await;
    assert_eq!(rig.handle.hubs(), 0);
    // Its new certificate is good.
    let mut client = rig.tls(HUB, 8).await.unwrap();
    client.write_all(&hello(HUB, 60)).await.unwrap();
    assert_eq!(read(&mut client, 4).await, [0x20, 2, 0, 0]);
}

#[tokio::test]
async fn the_newer_session_takes_over() {
    let rig = rig().await;
    let mut older = rig.connect(HUB).await;
    let mut newer = rig.connect(HUB).await;
    assert_eq!(rest(&mut older).await, b"");
    rig.until(Refusal::TakenOver).await;
    newer.write_all(&[0xc0, 0]).await.unwrap();
    assert_eq!(read(&mut newer, 2).await, packet::PINGRESP);
    assert_eq!(rig.server.here.borrow().get(&HUB), Some(&true));
    assert_eq!(rig.handle.hubs(), 1);
}

#[tokio::test]
async fn silence_ends_a_session_whatever_is_sent_to_it() {
    let rig = rig().await;
    let mut client = rig.tls(HUB, 7).await.unwrap();
    client.write_all(&hello(HUB, 1)).await.unwrap();
    client.write_all(&write_subscribe(3, &[(&topic::down(HUB), 0)])).await.unwrap();
    read(&mut client, 9).await;
    let reading = async {
        let mut byte = [0_u8; 64];
        while client.read(&mut byte).await.is_ok_and(|count| count > 0) {}
    };
    let sending = async {
        loop {
            let _ = rig.down.send((HUB, b"x".to_vec())).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = reading => {}
        () = sending => {}
        () = tokio::time::sleep(Duration::from_secs(8)) => panic!("still there"),
    }
    rig.until(Refusal::Silent).await;
}

#[tokio::test]
async fn what_ingest_refuses_has_no_puback() {
    let rig = rig().await;
    *rig.server.answer.lock().unwrap() = Some(IntakeRefused::Unavailable);
    let mut client = rig.connect(HUB).await;
    client.write_all(&write_publish(&topic::up(HUB), Some(5), b"x")).await.unwrap();
    assert_eq!(rest(&mut client).await, b"");
    rig.until(Refusal::IntakeUnavailable).await;
}
