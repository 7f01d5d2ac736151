//! Events and values for tests. The persons do not exist.
#![allow(clippy::arithmetic_side_effects)]

use std::sync::Arc;

use shared::id::{AlertId, PatientId};
use shared::metric::Metric;
use shared::reading::{Outcome, Quality, Value};
use shared::time::Timestamp;
use shared::units::{Decimal, Unit};

use super::messages;
use super::outbox::{Event, Live};
use crate::access::Ward;
use crate::alerts::{AlertChange, AlertEvent, AlertKind, AlertState, Priority, Subject};
use crate::store::{EventNumber, LiveValue, NumberedEvent};

pub(crate) fn ward(name: &str) -> Ward {
    name.to_owned().try_into().unwrap()
}

pub(crate) fn patient(number: u8) -> PatientId {
    PatientId::from_bytes([number; 16])
}

pub(crate) fn numbered(number: i64, ward_name: &str) -> NumberedEvent {
    let event = AlertEvent {
        alert: AlertId::from_bytes([1; 16]),
        subject: Subject::Patient(patient(1)),
        change: AlertChange::Raised,
        state: AlertState::Raised,
        version: 1,
        occurrence: 1,
        at: Timestamp::from_millis(number),
        rule: "rule".to_owned(),
        pack: "pack@1".to_owned(),
        priority: Priority::High,
        kind: AlertKind::Physiological,
        metric: Some(Metric::PulseRate),
        words: "words".to_owned(),
        evidence: Vec::new(),
    };
    NumberedEvent { number: EventNumber(number), wards: vec![ward(ward_name)], event }
}

pub(crate) fn live_value(patient_number: u8, ward_name: &str, pulse: i64) -> LiveValue {
    LiveValue {
        patient: patient(patient_number),
        ward: ward(ward_name),
        metric: Metric::PulseRate,
        outcome: Outcome::Value(Value { decimal: Decimal::new(pulse, 0), unit: Unit::PerMinute }),
        quality: Quality::MARGINAL_PERFUSION,
        usability: "valid".to_owned(),
        taken: Timestamp::from_millis(pulse),
        age_ms: 5,
        fresh_for_ms: 10_000,
        captured_wall: Timestamp::from_millis(pulse),
    }
}

pub(super) fn event(number: i64, ward_name: &str) -> Arc<Event> {
    let NumberedEvent { number, wards, event } = numbered(number, ward_name);
    let message = messages::alert_event("cursor", number, &event);
    Arc::new(Event { number, wards, subject: event.subject, message })
}

pub(super) fn live(patient_number: u8, ward_name: &str, pulse: i64) -> Arc<Live> {
    let value = live_value(patient_number, ward_name, pulse);
    let json = messages::live_value(&value);
    let LiveValue { patient, metric, ward, taken, .. } = value;
    Arc::new(Live { patient, metric, ward, taken, json })
}
