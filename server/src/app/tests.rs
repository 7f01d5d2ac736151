//! The engine's clock is far ahead of the wall clock, as after a start with a wrong one: what others hold against their
//! own clocks goes by the wall clock.
#![allow(clippy::arithmetic_side_effects)]

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, SanType};
use runtime::clock::ManualClock;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use shared::id::TokenId;
use shared::time::Timestamp;
use shared::wire::{SignedSettings, from_bytes};
use tokio_util::sync::CancellationToken;

use super::ports::carried_out;
use super::*;
use crate::access::{Role, Scope};
use crate::admin::answer::Failure;
use crate::admin::{Done, Office, Request};
use crate::broker::tls::{Belief, Shown as Chain, try_server};
use crate::cli::{At, Init};
use crate::feed::{FeedStore, bearer};
use crate::limits::RENEWAL_LOOK_EVERY;
use crate::provisioning::request::HUB_URN;
use crate::setup::{init, local_operator, open};
use crate::store::owner::StoreHandle;
use crate::web::hub_https::SettingsSource;

const DAY: Duration = Duration::from_secs(24 * 3600);
const HUB: HubId = HubId::from_bytes([9; 16]);

/// A data folder made while the clock was right.
struct Place {
    folder: tempfile::TempDir,
    clock: ManualClock,
    right: Timestamp,
}

/// A server taken up, without its doors.
struct Site {
    office: Arc<Office>,
    store: StoreHandle,
    clock: Clock,
    thread: JoinHandle<Result<(), StoreError>>,
    _lock: runtime::files::FileLock,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::default();
        let right = clock.now().wall;
        let anywhere = || "127.0.0.1:0".to_owned();
        let options = Init {
            at: At { data: folder.path().join("data"), json: false },
            server_name: "localhost".to_owned(),
            training: true,
            mqtt: anywhere(),
            hub_https: anywhere(),
            feed: anywhere(),
            metrics: anywhere(),
            duration_divisor: 1,
        };
        init(&options, right).unwrap();
        Self { folder, clock, right }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn start(&self) -> Site {
        let clock = Clock::manual(self.clock.clone());
        let System { office, store, alerts, lock, .. } = open(&self.data(), clock.wall()).unwrap();
        let (owner, handle, _) = StoreOwner::new(Box::new(store), Box::new(alerts), clock.clone()).unwrap();
        let progress = Supervisor::new().progress("store");
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::spawn(move || owner.run(&runtime, &progress));
        Site { office: Arc::new(office), store: handle, clock, thread, _lock: lock }
    }

    /// The server ran once with its wall clock so far ahead, and it is right again now.
    async fn after_a_start_ahead_by(&self, ahead: Duration) -> Site {
        self.clock.set_wall(self.right.after(ahead));
        let site = self.start();
        site.ask(Request::Counts).await.unwrap();
        site.end();
        self.clock.set_wall(self.right);
        self.start()
    }
}

impl Site {
    async fn ask(&self, request: Request) -> Result<Done, Failure> {
        carried_out(&self.store, &self.office, &self.clock, local_operator(), request).await
    }

    fn end(self) {
        drop(self.store);
        self.thread.join().unwrap().unwrap();
    }

    /// Whether clients take the server's certificate that lies in the folder, by the wall clock now.
    fn server_is_believed(&self) -> bool {
        let wall = self.clock.wall();
        let material = self.office.authority.get().tls(&self.office.vault, &[], wall).unwrap();
        try_server(&material, &self.office.certificate_names, wall).is_ok()
    }

    async fn token_ends(&self, token: TokenId, secret_hash: [u8; 32]) -> Option<Timestamp> {
        let store = WatchedStore::new(self.store.clone(), self.clock.clone()).await.unwrap();
        store.authenticate(token, secret_hash).await.unwrap().map(|(_, ends)| ends)
    }
}

fn hub_request() -> Request {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(format!("{HUB_URN}{HUB}").try_into().unwrap())];
    let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    Request::HubEnrol { csr_pem: request.pem().unwrap(), label: "hub".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_good_now_though_the_engine_is_a_year_ahead() {
    let place = Place::new();
    let right = place.right;
    let site = place.after_a_start_ahead_by(365 * DAY).await;
    let engine = site.store.ask(|_, _, now| now).await.unwrap();
    assert_eq!(engine, right.after(365 * DAY));
    assert!(site.server_is_believed(), "the one made ahead was made anew");
    std::fs::remove_file(site.office.keys_folder.join("server.pem")).unwrap();
    site.ask(Request::Reload).await.unwrap();
    assert!(site.server_is_believed(), "after a reload");

    let enrolled = site.ask(hub_request()).await.unwrap().answer;
    let pem = enrolled["enrolment"]["certificate_pem"].as_str().unwrap().to_owned();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
    let belief = Belief::new(&site.office.authority.get().roots().unwrap(), &[]).unwrap();
    assert!(belief.holds(&Chain::new(&chain).unwrap(), right));
    let keys = site.store.ask(|store, _, _| store.identities(HUB)).await.unwrap().unwrap();
    assert!(keys[0].not_before < right && keys[0].not_after == right.after(30 * DAY), "{keys:?}");
    let desk = SettingsDesk { store: site.store.clone(), office: Arc::clone(&site.office), clock: site.clock.clone() };
    let settings: SignedSettings = from_bytes(&desk.signed_settings(HUB).await.unwrap().unwrap()).unwrap();
    let settings: shared::wire::Settings = from_bytes(&settings.body).unwrap();
    assert_eq!(settings.issued, right, "hubs check no certificate at an earlier time");
    drop(desk);

    site.ask(Request::HubRevoke { hub: HUB, compromised_since: None }).await.unwrap();
    let revoked = site.store.ask(|store, _, _| store.revoked()).await.unwrap().unwrap();
    assert_eq!(revoked[0].at, right);
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_by_whichever_clock_says_so_first() {
    let place = Place::new();
    let (right, clock) = (place.right, &place.clock);
    let site = place.after_a_start_ahead_by(365 * DAY).await;
    let role = Role::Clinician;
    let request = Request::TokenCreate { role, name: "Screen".to_owned(), scope: Scope::AllWards, days: 30 };
    let made = site.ask(request).await.unwrap().answer;
    let shown = bearer::read(&format!("Bearer {}", made["token"].as_str().unwrap())).unwrap();
    let ends = || site.token_ends(shown.token, shown.secret_hash);
    assert_eq!(ends().await, Some(right.after(30 * DAY)));
    clock.set_wall(right.after(30 * DAY));
    assert_eq!(ends().await, None, "by the wall clock");
    // Set back by a year, it has the thirty days that are left by the engine's clock, and no more.
    clock.set_wall(right.before(365 * DAY));
    assert_eq!(ends().await, Some(clock.now().wall.after(30 * DAY)));
    clock.advance(30 * DAY);
    clock.set_wall(right.before(365 * DAY));
    assert_eq!(ends().await, None, "by the engine's clock");
    site.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_right_has_certificates_made_anew_within_a_minute() {
    let place = Place::new();
    let clock = &place.clock;
    clock.set_wall(place.right.after(200 * DAY));
    let site = place.start();
    let (office, store) = (Arc::clone(&site.office), site.store.clone());
    let fresh = office.prepare(office.authority.get(), &[], clock.now().wall).unwrap();
    let (tls, feed_tls) = (Tls::new(fresh.hubs), Tls::new(fresh.people));
    let (down, to_hubs) = mpsc::channel(DOWN_MAX);
    let keys = SealingKeys::load(&office.vault).unwrap();
    let stop = CancellationToken::new();
    let ingest = Ingest::new(Arc::new(store.clone()), keys, Arc::default(), down, Arc::default());
    let (door, handle) = Door::open(DoorParts {
        listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        tls: tls.clone(),
        admission: Arc::new(store.clone()),
        intake: Arc::new(ingest),
        down: to_hubs,
        clock: site.clock.clone(),
        metrics: Arc::new(Metrics::new()),
        stop: stop.clone(),
    })
    .await
    .unwrap();
    let shown = Shown { tls: tls.clone(), feed_tls: feed_tls.clone(), door: handle };
    let renewal = Arc::new(Renewal::new(store, office, shown, site.clock.clone(), stop.clone()));
    let mut tasks = tokio::task::JoinSet::new();
    let (hubs, people) = (tls.current(), feed_tls.current());
    tasks.spawn(renewal.run(Renewed::now(&site.clock)));

    clock.set_wall(place.right);
    assert!(!site.server_is_believed());
    let anew = async {
        while Arc::ptr_eq(&hubs, &tls.current()) || Arc::ptr_eq(&people, &feed_tls.current()) {
            clock.advance(RENEWAL_LOOK_EVERY);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), anew).await.unwrap();
    assert!(site.server_is_believed());
    stop.cancel();
    tasks.join_all().await;
    drop(door);
    site.end();
}

#[test]
fn a_renewal_is_due_twice_a_day_and_after_a_step_of_the_wall_clock() {
    let manual = ManualClock::default();
    let clock = Clock::manual(manual.clone());
    let last = Renewed::now(&clock);
    manual.advance(Duration::from_secs(12 * 3600 - 1));
    assert!(!last.is_due(&clock));
    let wall = manual.now().wall;
    for (off_ms, due) in [(60_000, false), (-60_000, false), (60_001, true), (-60_001, true)] {
        manual.set_wall(Timestamp::from_millis(wall.as_millis() + off_ms));
        assert_eq!(last.is_due(&clock), due, "{off_ms}");
    }
    manual.set_wall(wall);
    manual.advance(Duration::from_secs(1));
    assert!(last.is_due(&clock));
}
