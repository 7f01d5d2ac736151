//! One of each message. Changing a value here changes its golden bytes: add, never edit.

use shared::enrolment::Enrolment;
use shared::hex;
use shared::id::{BindingId, BootId, DeviceId, HubId, StoreId, StreamId};
use shared::metric::Metric;
use shared::observation::{Captured, DeviceRecordId, DeviceTime, Observation};
use shared::reading::{NoReading, Outcome, Quality, Reading, Value};
use shared::sealing::{ReceiptKey, SealingPublic, Suite};
use shared::sequence::{Range, Sequence};
use shared::time::{ClockState, Tick, Timestamp};
use shared::units::{Decimal, Unit};
use shared::wire::{
    self, BatchHeader, BindingInForce, Boot, ClockFix, DeviceState, DeviceStatus, Entry, HubStatus, Loss, LossCause,
    LossExtent, Opening, PreviousStream, QuarantineReason, Quarantined, Receipt, SealedRecord, Settings, SignedOpening,
    SignedReceipt, SignedSettings, WireBatch,
};

pub(crate) const HUB: HubId = HubId::from_bytes(*b"golden hub 00001");
pub(crate) const STREAM: StreamId = StreamId::from_bytes(*b"golden stream 01");
const EARLIER: StreamId = StreamId::from_bytes(*b"golden stream 00");
const BINDING: BindingId = BindingId::from_bytes(*b"golden binding 1");
const BOOT: BootId = BootId::from_bytes(*b"golden boot 0001");
const STORE: StoreId = StoreId::from_bytes(*b"golden store 001");

pub(crate) fn sequence(number: u64) -> Sequence {
    Sequence::new(number).unwrap()
}

fn range(first: u64, last: u64) -> Range {
    Range::new(sequence(first), sequence(last)).unwrap()
}

fn device(name: &str) -> DeviceId {
    name.parse().unwrap()
}

fn at(clock: ClockState) -> Captured {
    Captured { tick: Tick::from_millis(86_400_123), wall: Timestamp::from_millis(1_774_772_100_250), clock }
}

fn bindings() -> Vec<BindingInForce> {
    vec![
        BindingInForce { binding: BINDING, device: device("oximeter-1"), slot: None },
        BindingInForce { binding: BINDING, device: device("cuff"), slot: Some(2) },
    ]
}

pub(crate) fn opening() -> Opening {
    Opening {
        suite: Suite::X25519,
        hub: HUB,
        stream: STREAM,
        previous: Some(PreviousStream { stream: EARLIER, last_durable: 70_000 }),
        bindings: bindings(),
        sealing_key: sealing_public().id(),
        encapsulation: (0..32).collect(),
        key_check: [0xc1; 16],
        boot: BOOT,
        tick: Tick::from_millis(4_321),
        wall: Timestamp::from_millis(-1),
        clock: ClockState::NeverSet,
        agent_version: "0.1.0".to_owned(),
    }
}

pub(crate) fn signed_opening() -> SignedOpening {
    SignedOpening { body: wire::to_bytes(&opening()).unwrap(), signature: (0..70).collect() }
}

fn sealed_record(number: u64, keep: bool, length: u8) -> SealedRecord {
    SealedRecord { sequence: sequence(number), keep, nonce: [1, 2, 3, 255], sealed: (0..length).rev().collect() }
}

fn batch(sent: Option<Tick>, opening: Option<SignedOpening>, records: &[SealedRecord]) -> WireBatch {
    let ranges = records.iter().map(|record| Range::one(record.sequence)).collect();
    let header = wire::to_bytes(&BatchHeader { hub: HUB, stream: STREAM, sent, ranges }).unwrap();
    let batch =
        WireBatch { header, opening, records: wire::to_bytes(&records).unwrap(), mac: sent.map(|_| [0x5a; 32]) };
    assert!(batch.read().is_ok());
    batch
}

pub(crate) fn live_batch() -> WireBatch {
    let records = [sealed_record(1, true, 16), sealed_record(2, false, 40), sealed_record(300, false, 17)];
    batch(Some(Tick::from_millis(5_000)), Some(signed_opening()), &records)
}

pub(crate) fn backlog_batch() -> WireBatch {
    batch(None, None, &[sealed_record(u64::MAX, false, 130)])
}

pub(crate) fn receipt_key() -> ReceiptKey {
    ReceiptKey::from_bytes([0x0c; 32])
}

pub(crate) fn receipt() -> Receipt {
    Receipt {
        store: STORE,
        number: 9_000,
        hub: HUB,
        stream: STREAM,
        known: true,
        stored: [range(1, 20), range(22, 300)].into_iter().collect(),
        quarantined: vec![Quarantined { range: range(21, 21), reason: QuarantineReason::Damaged }],
        safe: 20,
        server_time: Timestamp::from_millis(1_774_772_101_000),
    }
}

pub(crate) fn signed_receipt() -> SignedReceipt {
    SignedReceipt::new(&receipt(), &receipt_key()).unwrap()
}

fn sealing_public() -> SealingPublic {
    SealingPublic { suite: Suite::X25519, bytes: (100..132).collect() }
}

pub(crate) fn settings() -> Settings {
    Settings {
        hub: HUB,
        counter: 7,
        issued: Timestamp::from_millis(1_774_772_000_000),
        bindings: bindings(),
        sealing_key: sealing_public(),
    }
}

pub(crate) fn signed_settings() -> SignedSettings {
    SignedSettings { body: wire::to_bytes(&settings()).unwrap(), signature: (0..64).collect() }
}

pub(crate) fn enrolment() -> Enrolment {
    Enrolment {
        version: 1,
        hub: HUB,
        mqtt_address: "monitor.example:8883".to_owned(),
        https_address: "monitor.example:8443".to_owned(),
        server_name: "monitor.example".to_owned(),
        roots_pem: "roots".to_owned(),
        certificate_pem: "certificate".to_owned(),
        control_key: "c0".repeat(32),
        settings: hex::encode(&wire::to_bytes(&signed_settings()).unwrap()),
    }
}

/// Both outcomes, in wire order.
pub(crate) fn outcomes() -> [Outcome; 2] {
    let value = Value { decimal: Decimal::new(9860, -2), unit: Unit::Fahrenheit };
    [Outcome::Value(value), Outcome::None(NoReading::SensorOff)]
}

fn observation_with_value() -> Observation {
    let [outcome, _] = outcomes();
    let device_time = DeviceTime { year: 2026, month: 3, day: 29, hour: 1, minute: 15, second: 0 };
    Observation {
        device: device("thermometer"),
        slot: Some(1),
        binding: Some(BINDING),
        reading: Reading { metric: Metric::Temperature, outcome, quality: Quality::LOW_BATTERY },
        captured: at(ClockState::Synchronised),
        device_time: Some(device_time),
        from_memory: Some(DeviceRecordId {
            identity: "SN-0001".to_owned(),
            record: 42,
            time: Some(device_time),
            digest: [0xd1; 16],
        }),
    }
}

fn observation_without_value() -> Observation {
    let [_, outcome] = outcomes();
    Observation {
        device: device("oximeter-1"),
        slot: None,
        binding: None,
        reading: Reading { metric: Metric::SpO2, outcome, quality: Quality::ARTEFACT.and(Quality::WEAK_SIGNAL) },
        captured: at(ClockState::HeldOver),
        device_time: None,
        from_memory: None,
    }
}

/// Both extents, in wire order.
pub(crate) fn losses() -> [LossExtent; 2] {
    let frames = LossExtent::Frames {
        device: device("oximeter-1"),
        count: 75,
        from: Tick::from_millis(1),
        until: Tick::from_millis(1_000),
    };
    [LossExtent::Records { stream: EARLIER, range: range(5, 9) }, frames]
}

/// At least one of each entry, in wire order.
pub(crate) fn entries() -> Vec<(&'static str, Entry)> {
    let now = at(ClockState::Synchronised);
    let [records, frames] = losses();
    let hub_status = HubStatus {
        at: now,
        backlog_records: 3,
        backlog_bytes: 1_500,
        disk_free_bytes: 9_000_000_000,
        frames_refused: 0,
    };
    let device_status =
        DeviceStatus { at: now, device: device("cuff"), state: DeviceState::Silent, battery_low: Some(true) };
    let clock_fix = ClockFix { boot: BOOT, tick: now.tick, wall: now.wall, uncertainty_ms: 250 };
    vec![
        ("observation-value", Entry::Observation(observation_with_value())),
        ("observation-none", Entry::Observation(observation_without_value())),
        ("hub-status", Entry::HubStatus(hub_status)),
        ("device-status", Entry::DeviceStatus(device_status)),
        ("loss-records", Entry::Loss(Loss { at: now, extent: records, cause: LossCause::DiskFull })),
        ("loss-frames", Entry::Loss(Loss { at: now, extent: frames, cause: LossCause::Overrun })),
        ("clock-fix", Entry::ClockFix(clock_fix)),
        ("boot", Entry::Boot(Boot { at: now, boot: BOOT, stopped_orderly: Some(false) })),
        ("void", Entry::Void(range(8, 8))),
    ]
}
