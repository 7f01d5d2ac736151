//! How much the store takes on its one thread, with the rules on and every commit synced: hubs that each send batches
//! of four observations, some hundred batches in a transaction. Run: `cargo bench -p server --bench store`.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::arithmetic_side_effects)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Instant;

use server::access::{Action, Actor, Permit, Ward, permit};
use server::alerts::{Alerts, Pack};
use server::ingest::{Arrived, NewStream, OpenedBatch, OpenedRecord};
use server::keys::{MasterKey, PatientVault};
use server::store::sqlite::SqliteStore;
use server::store::{NewBinding, NewHub, NewPatient, Store};
use shared::id::{BindingId, BootId, HubId, SealingKeyId, StreamId};
use shared::metric::Metric;
use shared::nhs_number::NhsNumber;
use shared::observation::{Captured, Observation};
use shared::reading::{Quality, Reading};
use shared::sealing::Suite;
use shared::sequence::Sequence;
use shared::time::{ClockState, Tick, Timestamp};
use shared::units::{Decimal, Unit};
use shared::wire::{Entry, Opening};

const HUBS: u16 = 200;
const BATCHES_PER_COMMIT: usize = 500;
const COMMITS: u64 = 40;
const BEGIN_MS: i64 = 1_800_000_000_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN_MS + i64::try_from(millis).unwrap())
}

fn allow(action: Action) -> Permit {
    permit(&Actor::LocalOperator { user: "root".to_owned() }, action).unwrap()
}

struct Home {
    hub: HubId,
    stream: StreamId,
    binding: BindingId,
    next: u64,
    opening: NewStream,
}

fn id(number: u16) -> [u8; 16] {
    let [high, low] = number.to_be_bytes();
    let mut bytes = [7; 16];
    (bytes[0], bytes[1]) = (high, low);
    bytes
}

/// NHS numbers that pass the check, of the range nobody has.
fn nhs_numbers() -> impl Iterator<Item = NhsNumber> {
    (9_990_000_000_u64..).filter_map(|number| number.to_string().parse().ok())
}

fn home(store: &mut SqliteStore, alerts: &mut Alerts, number: u16, nhs_number: NhsNumber) -> Home {
    let hub = HubId::from_bytes(id(number));
    let new = NewHub {
        hub,
        identity: id(number).to_vec(),
        certificate: vec![1; 300],
        serial: format!("{number:04x}"),
        not_before: at(0),
        not_after: at(1_000_000_000),
        label: format!("home {number}"),
    };
    store.hub_enrol(&allow(Action::HubEnrol), &new, at(0)).unwrap();
    let ward = Ward::try_from("Ward 3".to_owned()).unwrap();
    let patient = NewPatient { nhs_number, name: "Example, Ada".to_owned(), born: "1950-02-03".to_owned(), ward };
    let patient = store.patient_add(&allow(Action::PatientAdd), &patient, at(0)).unwrap();
    let binding = NewBinding { hub, device: "oximeter".parse().unwrap(), slot: None, patient };
    let (bound, _) = store.bind(&allow(Action::Bind), &binding, alerts, at(0)).unwrap();
    let stream = StreamId::from_bytes(id(number));
    let opening = Opening {
        suite: Suite::XWing,
        hub,
        stream,
        previous: None,
        bindings: Vec::new(),
        sealing_key: SealingKeyId::from_bytes([2; 16]),
        encapsulation: vec![1; 1120],
        key_check: [3; 16],
        boot: BootId::from_bytes([1; 16]),
        tick: Tick::from_millis(0),
        wall: at(0),
        clock: ClockState::HeldOver,
        agent_version: "0".to_owned(),
    };
    let body = shared::wire::to_bytes(&opening).unwrap();
    let opening = NewStream { opening, body, signature: vec![4; 70], identity_digest: [6; 32] };
    Home { hub, stream, binding: bound.binding, next: 1, opening }
}

fn observation(home: &Home, millis: u64, metric: Metric, value: i64, unit: Unit) -> Entry {
    Entry::Observation(Observation {
        device: "oximeter".parse().unwrap(),
        slot: None,
        binding: Some(home.binding),
        reading: Reading::value(metric, Decimal::from(value), unit, Quality::GOOD),
        captured: Captured { tick: Tick::from_millis(millis), wall: at(millis), clock: ClockState::HeldOver },
        device_time: None,
        from_memory: None,
    })
}

/// Two seconds of pulse and saturation in one record.
fn batch(home: &mut Home, millis: u64) -> OpenedBatch {
    let entries = [0, 500].into_iter().flat_map(|offset| {
        let pulse = observation(home, millis + offset, Metric::PulseRate, 70, Unit::PerMinute);
        [pulse, observation(home, millis + offset, Metric::SpO2, 97, Unit::Percent)]
    });
    let content = Ok(entries.collect());
    let sequence = Sequence::new(home.next).unwrap();
    home.next += 1;
    OpenedBatch {
        hub: home.hub,
        stream: home.stream,
        new_stream: (home.next == 2).then(|| home.opening.clone()),
        sent: Some(Tick::from_millis(millis + 600)),
        transit_ms: 0,
        arrived: Arrived { tick: Tick::from_millis(millis + 600), wall: at(millis + 600) },
        records: vec![OpenedRecord { sequence, keep: false, tag: [1; 16], content, raw: vec![0; 120] }],
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let vault = PatientVault::new(&MasterKey::from_bytes([5; 32]));
    let mut store = SqliteStore::open(&folder.path().join("store.sqlite"), vault, at(0)).unwrap();
    let mut alerts = Alerts::new(Pack::adult_default(1).unwrap());
    let mut homes: Vec<Home> =
        (0..HUBS).zip(nhs_numbers()).map(|(number, nhs)| home(&mut store, &mut alerts, number, nhs)).collect();
    let (mut spent, mut batches, mut observations) = (std::time::Duration::ZERO, 0_u64, 0_u64);
    let mut turn = 0_usize;
    for commit in 0..COMMITS {
        let millis = commit * 1_000;
        let group: Vec<OpenedBatch> = (0..BATCHES_PER_COMMIT)
            .map(|_| {
                turn += 1;
                let round = u64::try_from(turn / homes.len()).unwrap();
                let place = turn % homes.len();
                batch(&mut homes[place], millis.max(round * 1_000))
            })
            .collect();
        let now = at(group.iter().map(|batch| batch.sent.unwrap().as_millis()).max().unwrap());
        store.set_engine_clock(group[0].arrived.tick, now);
        let begin = Instant::now();
        let committed = store.take(&group, &mut alerts, now).unwrap();
        spent += begin.elapsed();
        batches += u64::try_from(committed.batches.len()).unwrap();
        observations += committed.batches.iter().flatten().map(|outcome| outcome.observations).sum::<u64>();
    }
    let each = spent.as_secs_f64() / f64::from(u32::try_from(batches).unwrap());
    println!(
        "{batches} batches, {observations} observations in {:.2} s: {:.0} batches/s, {:.0} observations/s, {:.1} us a batch",
        spent.as_secs_f64(),
        1.0 / each,
        f64::from(u32::try_from(observations).unwrap()) / spent.as_secs_f64(),
        each * 1e6,
    );
}
