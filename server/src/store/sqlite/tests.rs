//! The store against a real file, with an engine that writes down what it was told.
#![allow(clippy::arithmetic_side_effects)]

mod attributing;
mod doubting;
mod keeping;
mod owning;
mod people;
mod stepping;
mod taking;

use std::path::PathBuf;

use shared::id::{AlertId, BindingId, BootId, DeviceId, HubId, PatientId, SealingKeyId, StreamId};
use shared::metric::Metric;
use shared::observation::{Captured, Observation};
use shared::reading::{Quality, Reading};
use shared::sealing::Suite;
use shared::sequence::{Range, Ranges, Sequence};
use shared::time::{ClockState, Tick, Timestamp};
use shared::units::{Decimal, Unit};
use shared::wire::{DeviceState, Entry, Opening, PreviousStream, QuarantineReason};

use super::SqliteStore;
use crate::access::{Action, Actor, Permit, Ward, permit};
use crate::alerts::{AlertChange, AlertEvent, AlertKind, AlertState, Observed, Priority, Subject};
use crate::ingest::{Arrived, NewStream, OpenedBatch, OpenedRecord};
use crate::keys::{MasterKey, PatientVault};
use crate::store::{AlertSink, NewBinding, NewHub, NewPatient, Store, StoreError};

/// Writes down what it is told; raises one event for each observation below 90.
#[derive(Default)]
pub(super) struct Listening {
    pub(super) told: Vec<(Subject, Vec<Observed>)>,
    pub(super) bound: Vec<(PatientId, bool)>,
    pub(super) restored: Vec<(Subject, Vec<u8>)>,
    pub(super) committed: u32,
    pub(super) rolled_back: u32,
    dirty: Vec<(Subject, Vec<u8>)>,
}

fn event(subject: Subject, at: Timestamp) -> AlertEvent {
    AlertEvent {
        alert: AlertId::from_bytes([1; 16]),
        subject,
        change: AlertChange::Raised,
        state: AlertState::Raised,
        version: 1,
        occurrence: 1,
        at,
        rule: "spo2-low".to_owned(),
        pack: "test@1".to_owned(),
        priority: Priority::High,
        kind: AlertKind::Physiological,
        metric: Some(Metric::SpO2),
        words: "below".to_owned(),
        evidence: Vec::new(),
    }
}

impl AlertSink for Listening {
    fn observed(&mut self, subject: Subject, observations: &[Observed], _: Timestamp) -> Vec<AlertEvent> {
        self.told.push((subject, observations.to_vec()));
        self.dirty.push((subject, vec![9]));
        let low = |observed: &&Observed| match observed.outcome {
            shared::reading::Outcome::Value(value) => value.decimal < Decimal::from(90),
            shared::reading::Outcome::None(_) => false,
        };
        observations.iter().filter(low).map(|observed| event(subject, observed.taken)).collect()
    }
    fn device_state(&mut self, _: HubId, _: &DeviceId, _: DeviceState, _: Timestamp) -> Vec<AlertEvent> {
        Vec::new()
    }
    fn hub_connected(&mut self, hub: HubId, _: bool, now: Timestamp) -> Vec<AlertEvent> {
        vec![event(Subject::Hub(hub), now)]
    }
    fn deadlines(&mut self, _: Timestamp) -> Vec<AlertEvent> {
        Vec::new()
    }
    fn next_deadline(&self) -> Option<(Timestamp, &'static str)> {
        None
    }
    fn bound(&mut self, patient: PatientId, _: HubId, _: &DeviceId, bound: bool, _: Timestamp) -> Vec<AlertEvent> {
        self.bound.push((patient, bound));
        Vec::new()
    }
    fn fresh_for_ms(&self, _: Metric) -> u64 {
        30_000
    }
    fn dirty_states(&self) -> Vec<(Subject, Vec<u8>)> {
        self.dirty.clone()
    }
    fn commit(&mut self) {
        self.committed += 1;
        self.dirty.clear();
    }
    fn roll_back(&mut self) {
        self.rolled_back += 1;
        self.dirty.clear();
    }
    fn restore(&mut self, subject: Subject, state: &[u8]) -> Result<(), StoreError> {
        self.restored.push((subject, state.to_vec()));
        Ok(())
    }
}

pub(super) const HUB: HubId = HubId::from_bytes([0xA1; 16]);
pub(super) const STREAM: StreamId = StreamId::from_bytes([0xB1; 16]);
pub(super) const NAME: &str = "Zebedee Fictional-Quux";
pub(super) const NUMBER: &str = "9434765919";

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

pub(super) fn sequence(number: u64) -> Sequence {
    Sequence::new(number).unwrap()
}

pub(super) fn ranges(list: &[(u64, u64)]) -> Ranges {
    list.iter().map(|(first, last)| Range::new(sequence(*first), sequence(*last)).unwrap()).collect()
}

pub(super) fn allow(action: Action) -> Permit {
    permit(&Actor::LocalOperator { user: "root".to_owned() }, action).unwrap()
}

/// A store in a folder of its own, with a hub, a patient and a binding.
pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) store: SqliteStore,
    pub(super) alerts: Listening,
    pub(super) patient: PatientId,
    pub(super) binding: BindingId,
}

fn vault() -> PatientVault {
    PatientVault::new(&MasterKey::from_bytes([5; 32]))
}

pub(super) fn new_hub(hub: HubId, key: u8, serial: &str) -> NewHub {
    NewHub {
        hub,
        identity: vec![key; 91],
        certificate: vec![key; 300],
        serial: serial.to_owned(),
        not_before: at(0),
        not_after: at(1_000_000_000),
        label: "bedside-1".to_owned(),
    }
}

pub(super) fn new_patient(number: &str) -> NewPatient {
    NewPatient {
        nhs_number: number.parse().unwrap(),
        name: NAME.to_owned(),
        born: "1950-02-03".to_owned(),
        ward: Ward::try_from("Ward 3".to_owned()).unwrap(),
    }
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("store.sqlite"), vault(), at(0)).unwrap();
        let mut alerts = Listening::default();
        store.hub_enrol(&allow(Action::HubEnrol), &new_hub(HUB, 1, "01"), at(0)).unwrap();
        let patient = store.patient_add(&allow(Action::PatientAdd), &new_patient(NUMBER), at(0)).unwrap();
        let new = NewBinding { hub: HUB, device: "oximeter".parse().unwrap(), slot: None, patient };
        let (bound, _) = store.bind(&allow(Action::Bind), &new, &mut alerts, at(0)).unwrap();
        Self { folder, store, alerts, patient, binding: bound.binding }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("store.sqlite")
    }

    /// Lets go of the store without closing it in order, and opens the file again.
    pub(super) fn crash(self) -> Self {
        let Self { folder, store, alerts: _, patient, binding } = self;
        std::mem::forget(store);
        let store = SqliteStore::open(&folder.path().join("store.sqlite"), vault(), at(0)).unwrap();
        Self { folder, store, alerts: Listening::default(), patient, binding }
    }

    pub(super) fn observation(&self, tick: u64, value: i64) -> Observation {
        Observation {
            device: "oximeter".parse().unwrap(),
            slot: None,
            binding: Some(self.binding),
            reading: Reading::value(Metric::SpO2, Decimal::from(value), Unit::Percent, Quality::GOOD),
            captured: Captured {
                tick: Tick::from_millis(tick),
                wall: at(i64::try_from(tick).unwrap()),
                clock: ClockState::HeldOver,
            },
            device_time: None,
            from_memory: None,
        }
    }

    pub(super) fn take(&mut self, batch: OpenedBatch) -> crate::store::Committed {
        self.store.take(&[batch], &mut self.alerts, at(100_000)).unwrap()
    }

    pub(super) fn counts(&mut self) -> crate::store::Counts {
        self.store.counts(&allow(Action::StoreCount), at(100_000)).unwrap()
    }

    pub(super) fn number(&self, sql: &str) -> i64 {
        self.store.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

pub(super) fn opening(stream: StreamId, boot: u8, previous: Option<PreviousStream>) -> NewStream {
    let opening = Opening {
        suite: Suite::XWing,
        hub: HUB,
        stream,
        previous,
        bindings: Vec::new(),
        sealing_key: SealingKeyId::from_bytes([2; 16]),
        encapsulation: vec![1; 1120],
        key_check: [3; 16],
        boot: BootId::from_bytes([boot; 16]),
        tick: Tick::from_millis(0),
        wall: at(0),
        clock: ClockState::HeldOver,
        agent_version: "0".to_owned(),
    };
    let body = shared::wire::to_bytes(&opening).unwrap();
    NewStream { opening, body, signature: vec![4; 70], identity_digest: [6; 32] }
}

pub(super) fn record(number: u64, tag: u8, entries: Vec<Entry>) -> OpenedRecord {
    OpenedRecord { sequence: sequence(number), keep: false, tag: [tag; 16], content: Ok(entries), raw: vec![tag; 40] }
}

pub(super) fn closed(number: u64, tag: u8, reason: QuarantineReason) -> OpenedRecord {
    OpenedRecord { content: Err(reason), ..record(number, tag, Vec::new()) }
}

/// Sent at tick 50,000, arrived at engine time 100,000 − 0.
pub(super) fn batch(records: Vec<OpenedRecord>) -> OpenedBatch {
    OpenedBatch {
        hub: HUB,
        stream: STREAM,
        new_stream: Some(opening(STREAM, 1, None)),
        sent: Some(Tick::from_millis(50_000)),
        transit_ms: 0,
        arrived: Arrived { tick: Tick::from_millis(0), wall: at(100_000) },
        records,
    }
}
