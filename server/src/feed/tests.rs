//! The feed over real TLS and real WebSockets, with a store that tests steer.
#![allow(clippy::arithmetic_side_effects)]

mod refusing;
mod store;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use rustls::version::TLS13;
use serde_json::Value as Json;
use shared::id::StoreId;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::samples::{live_value, numbered, patient, ward};
use super::*;
use crate::access::{Role, Scope};
use crate::broker::Tls;
use crate::broker::tests::authority::Authority;
use crate::web::health::{self, Readiness};
use crate::web::serve::{Listener, open_site};
use store::{FakeStore, State};

const TOKEN: &str = "00000000000000000000000000000001";

struct Ready;

impl Readiness for Ready {
    fn state(&self) -> BoxFuture<'_, health::State> {
        Box::pin(async { health::State::Ready })
    }

    fn refuses(&self) -> bool {
        false
    }

    fn failed_checkpoints(&self) -> u64 {
        0
    }
}

fn authorization() -> String {
    format!("Bearer rpm_{TOKEN}_{}", "5a".repeat(32))
}

fn shown() -> Option<bearer::Shown> {
    bearer::read(&authorization())
}

struct Rig {
    store: Arc<FakeStore>,
    refusal: watch::Sender<bool>,
    commits: mpsc::Sender<FeedCommit>,
    metrics: Arc<Metrics>,
    authority: Authority,
    address: SocketAddr,
    stop: CancellationToken,
    _owners: JoinSet<()>,
}

type Socket = WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>;

async fn rig() -> Rig {
    let authority = Authority::new();
    let clock = Clock::system();
    let north = Scope::Wards(BTreeSet::from([ward("North")]));
    let store = Arc::new(FakeStore(Mutex::new(State {
        events: Vec::new(),
        patients: vec![(patient(1), ward("North")), (patient(2), ward("South"))],
        live: vec![live_value(1, "North", 50)],
        role: Role::Clinician,
        scope: north,
        expires: clock.wall().after(Duration::from_secs(3600)),
        revoked: false,
        kept_from: 0,
        pages: 0,
        fails: false,
        mute: false,
    })));
    let metrics = Arc::new(Metrics::new());
    let stop = CancellationToken::new();
    let (metrics_, stop_) = (metrics.clone(), stop.clone());
    let refusal = watch::Sender::default();
    let (store_, refused) = (store.clone(), refusal.subscribe());
    let parts =
        FeedParts { store: store_, refusal: refused, cursor_key: [1; 32], clock, metrics: metrics_, stop: stop_ };
    let (feed, door, commits) = Feed::open(parts);
    let server = authority.server();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = Listener {
        name: "feed",
        listener,
        tls: Some(Tls::for_people(vec![server.certificate], server.key).unwrap()),
        site: open_site(crate::web::people(door, Arc::new(Ready))),
        connection_max: None,
        stop: stop.clone(),
    };
    let mut owners = JoinSet::new();
    owners.spawn(feed.run());
    owners.spawn(listener.run());
    Rig { store, refusal, commits, metrics, authority, address, stop, _owners: owners }
}

impl Rig {
    fn state<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.store.0.lock().unwrap())
    }

    /// Stored first, then passed on, as after a commit.
    async fn commit(&self, events: Vec<NumberedEvent>, live: Vec<LiveValue>) {
        self.state(|state| state.events.extend(events.clone()));
        self.commits.send(FeedCommit { events, live }).await.unwrap();
    }

    async fn open(&self, path: &str, authorization: &str) -> Result<Socket, Error> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        let config = self.authority.client(None, &TLS13);
        let stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), socket).await.unwrap();
        let mut request = format!("wss://localhost{path}").into_client_request().unwrap();
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
        client_async(request, stream).await.map(|(socket, _)| socket)
    }

    async fn watch(&self, cursor: Option<&str>) -> Watcher {
        let path = cursor.map_or("/v1/feed".to_owned(), |cursor| format!("/v1/feed?cursor={cursor}"));
        Watcher { socket: self.open(&path, &authorization()).await.unwrap(), n: 0, closed: None }
    }
}

struct Watcher {
    socket: Socket,
    n: u64,
    closed: Option<String>,
}

impl Watcher {
    /// The next frame but heartbeats; `None` once closed.
    async fn next(&mut self) -> Option<Json> {
        loop {
            let json = self.any().await?;
            if json["type"] != "heartbeat" {
                return Some(json);
            }
        }
    }

    /// The next heartbeat.
    async fn heartbeat(&mut self) -> Json {
        loop {
            let json = self.any().await.expect("still open");
            if json["type"] == "heartbeat" {
                return json;
            }
        }
    }

    /// The next frame, with `n` checked; `None` once closed.
    async fn any(&mut self) -> Option<Json> {
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(20), self.socket.next()).await.expect("in time");
            match frame? {
                Ok(Message::Text(text)) => {
                    let json: Json = serde_json::from_str(&text).unwrap();
                    self.n += 1;
                    assert_eq!(json["n"], self.n, "dense from 1");
                    return Some(json);
                }
                Ok(Message::Close(frame)) => self.closed = frame.map(|frame| frame.reason.to_string()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    async fn expect(&mut self, kind: &str) -> Json {
        let json = self.next().await.expect("still open");
        assert_eq!(json["type"], kind, "{json}");
        json
    }

    async fn closed(&mut self) -> String {
        while self.next().await.is_some() {}
        self.closed.take().expect("a close frame with its reason")
    }
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let rig = rig().await;
    let mut silent = Vec::new();
    for _ in 0..=crate::web::limits::HANDSHAKES_MAX {
        silent.push(TcpStream::connect(rig.address).await.unwrap());
    }
    let mut watcher =
        tokio::time::timeout(Duration::from_secs(5), rig.watch(None)).await.expect("before they time out");
    watcher.expect("snapshot").await;
}

#[tokio::test]
async fn starts_with_what_is_in_scope_and_goes_on_live() {
    let rig = rig().await;
    rig.state(|state| state.events = vec![numbered(1, "North"), numbered(2, "South")]);
    let mut watcher = rig.watch(None).await;
    let snapshot = watcher.expect("snapshot").await;
    assert_eq!(snapshot["patients"].as_array().unwrap().len(), 1);
    assert_eq!(snapshot["alerts"][0]["number"], 1);
    assert_eq!(snapshot["live"][0]["value"], "50");
    rig.commit(vec![numbered(3, "South"), numbered(4, "North")], vec![]).await;
    assert_eq!(watcher.expect("alert").await["alert"]["number"], 4);
    rig.commit(vec![], vec![live_value(2, "South", 70), live_value(1, "North", 60)]).await;
    let live = watcher.expect("live").await;
    assert_eq!(live["values"].as_array().unwrap().len(), 1);
    assert_eq!(live["values"][0]["value"], "60");
    // An older value does not come after a newer one.
    rig.commit(vec![numbered(5, "North")], vec![live_value(1, "North", 55)]).await;
    assert_eq!(watcher.expect("alert").await["alert"]["number"], 5);
    rig.commit(vec![], vec![live_value(1, "North", 61)]).await;
    assert_eq!(watcher.expect("live").await["values"][0]["value"], "61");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resuming_sees_every_event_once_in_order_while_others_come() {
    let rig = Arc::new(rig().await);
    rig.commit(vec![numbered(1, "North")], vec![]).await;
    let mut first = rig.watch(None).await;
    let cursor = first.expect("snapshot").await["cursor"].as_str().unwrap().to_owned();
    drop(first);
    rig.commit((2..=900).map(|number| numbered(number, "North")).collect(), vec![]).await;
    let mut committing = JoinSet::new();
    let committer = rig.clone();
    committing.spawn(async move {
        for number in 901..=1_500 {
            committer.commit(vec![numbered(number, "North")], vec![]).await;
            tokio::task::yield_now().await;
        }
    });
    let mut watcher = rig.watch(Some(&cursor)).await;
    let resumed = watcher.expect("resumed").await;
    assert_eq!(resumed["patients"][0]["patient"], patient(1).to_string());
    let mut cursor = String::new();
    let mut expected = 2;
    while expected <= 1_500 {
        let json = watcher.next().await.unwrap();
        if json["type"] == "alert" {
            assert_eq!(json["alert"]["number"], expected);
            expected += 1;
            cursor = json["cursor"].as_str().unwrap().to_owned();
        }
    }
    drop(watcher);
    committing.join_next().await;
    rig.commit(vec![numbered(1_501, "North")], vec![]).await;
    let mut watcher = rig.watch(Some(&cursor)).await;
    watcher.expect("resumed").await;
    watcher.expect("live").await;
    assert_eq!(watcher.expect("alert").await["alert"]["number"], 1_501);
}

#[tokio::test]
async fn a_cursor_that_cannot_go_on_resets_and_starts_over() {
    let rig = rig().await;
    rig.commit((1..=10).map(|number| numbered(number, "North")).collect(), vec![]).await;
    let ours = Cursors::new(&[1; 32], StoreId::from_bytes([3; 16])).write(EventNumber(2));
    let other = Cursors::new(&[1; 32], StoreId::from_bytes([4; 16])).write(EventNumber(2));
    rig.state(|state| state.kept_from = 5);
    for (cursor, reason) in [(ours.as_str(), "cursor_too_old"), (&other, "store_replaced"), ("x", "cursor_unreadable")]
    {
        let mut watcher = rig.watch(Some(cursor)).await;
        loop {
            let json = watcher.next().await.unwrap();
            if json["type"] == "reset" {
                assert_eq!(json["reason"], reason);
                break;
            }
            assert!(json["type"] != "alert" && json["type"] != "snapshot", "{json}");
        }
        assert_eq!(watcher.expect("snapshot").await["alerts"].as_array().unwrap().len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_closed_and_slows_nobody() {
    let rig = rig().await;
    let mut slow = rig.watch(None).await;
    slow.expect("snapshot").await;
    let mut quick = rig.watch(None).await;
    quick.expect("snapshot").await;
    let total = 20_000_i64;
    let mut next = 1;
    let mut longest = Duration::ZERO;
    for start in (1..=total).step_by(100) {
        let sent = tokio::time::Instant::now();
        rig.commit((start..start + 100).map(|number| numbered(number, "North")).collect(), vec![]).await;
        while next < start + 100 {
            assert_eq!(quick.expect("alert").await["alert"]["number"], next);
            next += 1;
        }
        longest = longest.max(sent.elapsed());
    }
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    let closed = async {
        while !rig.metrics.text().unwrap().contains("feed_closed_total{reason=\"too slow\"} 1") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(limits::WRITE_MAX + Duration::from_secs(5), closed).await.unwrap();
    rig.commit(vec![numbered(total + 1, "North")], vec![]).await;
    assert_eq!(quick.expect("alert").await["alert"]["number"], total + 1);
}

#[tokio::test]
async fn rights_follow_the_token_while_it_watches() {
    let rig = rig().await;
    let mut watcher = rig.watch(None).await;
    watcher.expect("snapshot").await;
    rig.state(|state| state.scope = Scope::Wards(BTreeSet::from([ward("South")])));
    assert_eq!(watcher.expect("withdrawn").await["patient"], patient(1).to_string());
    let gained = watcher.expect("snapshot").await;
    assert_eq!((gained["patient"].clone(), gained["ward"].clone()), (patient(2).to_string().into(), "South".into()));
    rig.commit(vec![numbered(1, "North"), numbered(2, "South")], vec![live_value(1, "North", 60)]).await;
    assert_eq!(watcher.expect("alert").await["alert"]["number"], 2);
    rig.state(|state| state.revoked = true);
    assert_eq!(watcher.closed().await, "token revoked");
}

#[tokio::test]
async fn an_expiring_token_is_warned_and_closed() {
    let rig = rig().await;
    rig.state(|state| state.expires = Clock::system().wall().after(Duration::from_secs(2)));
    let mut watcher = rig.watch(None).await;
    watcher.expect("snapshot").await;
    watcher.expect("expiring").await;
    assert_eq!(watcher.closed().await, "token expired");
}

#[tokio::test]
async fn who_may_not_watch_gets_a_reason() {
    let rig = rig().await;
    let status = async |path: &str, authorization: &str| match rig.open(path, authorization).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{:?}", other.map(drop)),
    };
    let wrong = authorization().replace("5a", "5b");
    assert_eq!(status("/v1/feed", &wrong).await, 401);
    assert_eq!(status("/v1/feed", "Bearer x").await, 401);
    assert_eq!(status("/v1/feed?token=x", &authorization()).await, 400);
    assert_eq!(status("/v1/other", &authorization()).await, 404);
    rig.state(|state| state.role = Role::Administrator);
    assert_eq!(status("/v1/feed", &authorization()).await, 403);
    rig.state(|state| state.revoked = true);
    assert_eq!(status("/v1/feed", &authorization()).await, 401);
}

#[tokio::test]
async fn clients_may_say_whether_they_are_audible_and_nothing_else() {
    let rig = rig().await;
    let mut watcher = rig.watch(None).await;
    watcher.expect("snapshot").await;
    watcher.socket.send(Message::text(r#"{"type":"audible","audible":true}"#)).await.unwrap();
    let heard = async {
        while rig.metrics.feed_clients_audible.get() != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), heard).await.unwrap();
    watcher.socket.send(Message::text("{}")).await.unwrap();
    assert_eq!(watcher.closed().await, "message not understood");
    assert_eq!(rig.metrics.feed_clients_audible.get(), 0);
}

#[tokio::test]
async fn stopping_tells_the_clients() {
    let rig = rig().await;
    let mut watcher = rig.watch(None).await;
    watcher.expect("snapshot").await;
    rig.stop.cancel();
    assert_eq!(watcher.closed().await, "server stopping");
}
