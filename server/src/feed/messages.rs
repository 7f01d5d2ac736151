//! The feed's JSON. Pure. What all clients get is written once; each connection's `n` goes in front of it.
//!
//! A measured value is text (`"value":"98.60"`): its digits are the device's, and no reader may round them.

use serde::Serialize;
use serde_json::{Value as Json, json};
use shared::id::PatientId;
use shared::metric::Metric;
use shared::reading::{Outcome, Quality};
use shared::time::Timestamp;
use shared::units::Decimal;

use crate::access::Ward;
use crate::alerts::{AlertEvent, Evidence};
use crate::store::{EventNumber, LiveValue, Snapshot, StandingAlert};
use crate::web::error::Problem;

/// A JSON object without its opening brace and `n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    fn new(content: &impl Serialize) -> Self {
        // Nothing here has a key that is no text, so it can always be written.
        let mut text = serde_json::to_string(content).unwrap_or_default();
        if text.starts_with('{') {
            text.remove(0);
        }
        Self(text)
    }

    /// The whole frame, as the connection's `n`-th.
    #[must_use]
    pub fn numbered(&self, n: u64) -> String {
        format!("{{\"n\":{n},{}", self.0)
    }
}

/// The names of the flags of a device's word on quality.
fn quality(quality: Quality) -> Vec<&'static str> {
    quality.names().collect()
}

fn evidence(evidence: &Evidence) -> Json {
    json!({
        "observation": evidence.observation,
        "metric": evidence.metric,
        "value": evidence.value.map(|value| value.decimal),
        "unit": evidence.value.map(|value| value.unit.ucum()),
        "taken": evidence.taken,
        "age_ms": evidence.age_ms,
        "quality": quality(evidence.quality),
    })
}

fn alert(number: EventNumber, event: &AlertEvent) -> Json {
    json!({
        "number": number.0,
        "alert": event.alert,
        "subject": event.subject,
        "change": event.change,
        "state": event.state,
        "version": event.version,
        "occurrence": event.occurrence,
        "at": event.at,
        "rule": event.rule,
        "pack": event.pack,
        "priority": event.priority,
        "kind": event.kind,
        "metric": event.metric,
        "words": event.words,
        "evidence": event.evidence.iter().map(evidence).collect::<Vec<_>>(),
    })
}

/// A live value, by the names that clients read. Written for every newest value, so without a tree in between.
#[derive(Serialize)]
struct LiveFields<'a> {
    age_ms: u64,
    captured_wall: Timestamp,
    fresh_for_ms: u64,
    metric: Metric,
    none: Option<&'static str>,
    patient: PatientId,
    quality: Vec<&'static str>,
    taken: Timestamp,
    unit: Option<&'static str>,
    usability: &'a str,
    value: Option<Decimal>,
}

/// A live value as JSON.
#[must_use]
pub fn live_value(live: &LiveValue) -> String {
    // No key is anything but text, so it can always be written.
    serde_json::to_string(&live_fields(live)).unwrap_or_default()
}

fn live_fields(live: &LiveValue) -> LiveFields<'_> {
    let (value, none) = match live.outcome {
        Outcome::Value(value) => (Some(value), None),
        Outcome::None(why) => (None, Some(why.name())),
    };
    LiveFields {
        age_ms: live.age_ms,
        captured_wall: live.captured_wall,
        fresh_for_ms: live.fresh_for_ms,
        metric: live.metric,
        none,
        patient: live.patient,
        quality: quality(live.quality),
        taken: live.taken,
        unit: value.map(|value| value.unit.ucum()),
        usability: &live.usability,
        value: value.map(|value| value.decimal),
    }
}

/// Where a connection starts: everything in scope.
#[must_use]
pub fn snapshot(cursor: &str, snapshot: &Snapshot) -> Message {
    let patients = snapshot.patients.iter().map(|(patient, ward)| json!({"patient": patient, "ward": ward}));
    let alerts = snapshot.alerts.iter().map(standing);
    Message::new(&json!({
        "type": "snapshot",
        "cursor": cursor,
        "patients": patients.collect::<Vec<_>>(),
        "alerts": alerts.collect::<Vec<_>>(),
        "live": snapshot.live.iter().map(live_fields).collect::<Vec<_>>(),
    }))
}

/// Access to a patient was gained: everything of theirs.
#[must_use]
pub fn snapshot_of(cursor: &str, patient: PatientId, ward: &Ward, snapshot: &Snapshot) -> Message {
    let subject = crate::alerts::Subject::Patient(patient);
    let alerts = snapshot.alerts.iter().filter(|alert| alert.event.subject == subject).map(standing);
    let live = snapshot.live.iter().filter(|live| live.patient == patient).map(live_fields);
    Message::new(&json!({
        "type": "snapshot",
        "cursor": cursor,
        "patient": patient,
        "ward": ward,
        "alerts": alerts.collect::<Vec<_>>(),
        "live": live.collect::<Vec<_>>(),
    }))
}

fn standing(standing: &StandingAlert) -> Json {
    alert(standing.number, &standing.event)
}

/// Something happened to an alert.
#[must_use]
pub fn alert_event(cursor: &str, number: EventNumber, event: &AlertEvent) -> Message {
    Message::new(&json!({"type": "alert", "cursor": cursor, "alert": alert(number, event)}))
}

/// Newest values, each as [`live_value`] wrote it.
#[must_use]
pub fn live(values: &[&str]) -> Message {
    Message(format!("\"type\":\"live\",\"values\":[{}]}}", values.join(",")))
}

/// Where a connection that resumes goes on: events after its cursor follow. What the client shows of other patients
/// goes; if it lacks one of these, it starts over without a cursor.
#[must_use]
pub fn resumed(cursor: &str, patients: &[(PatientId, Ward)]) -> Message {
    let patients = patients.iter().map(|(patient, ward)| json!({"patient": patient, "ward": ward}));
    Message::new(&json!({"type": "resumed", "cursor": cursor, "patients": patients.collect::<Vec<_>>()}))
}

/// Nothing else to say, but whether the server stores what comes.
#[must_use]
pub fn heartbeat(cursor: &str, at: Timestamp, stores: bool) -> Message {
    Message::new(&json!({"type": "heartbeat", "cursor": cursor, "at": at, "stores": stores}))
}

/// The server stores nothing: no alert is raised and no value comes, in the words of `/readyz`.
#[must_use]
pub fn store_refuses() -> Message {
    let Problem { what, cause, remedy, .. } = Problem::STORE_REFUSES;
    Message::new(&json!({"type": "store_refuses", "what": what, "cause": cause, "remedy": remedy}))
}

/// The server stores again.
#[must_use]
pub fn store_commits() -> Message {
    Message::new(&json!({"type": "store_commits"}))
}

/// Access to a patient was lost: what is shown of them goes.
#[must_use]
pub fn withdrawn(patient: PatientId) -> Message {
    Message::new(&json!({"type": "withdrawn", "patient": patient}))
}

/// It cannot go on where the client was; a snapshot follows.
#[must_use]
pub fn reset(reason: &'static str) -> Message {
    Message::new(&json!({"type": "reset", "reason": reason}))
}

/// The token expires.
#[must_use]
pub fn expiring(at: Timestamp) -> Message {
    Message::new(&json!({"type": "expiring", "at": at}))
}

/// What a client may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromClient {
    /// Whether an alert would be heard there.
    Audible {
        /// Whether.
        audible: bool,
    },
}

/// Reads what a client said; `None` if it may not say so.
#[must_use]
pub fn from_client(text: &str) -> Option<FromClient> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_objects_with_n_in_front() {
        let at = Timestamp::from_millis(0);
        let text = heartbeat("abc", at, true).numbered(7);
        let json: Json = serde_json::from_str(&text).unwrap();
        let at = "1970-01-01T00:00:00Z";
        assert_eq!(json, json!({"n": 7, "type": "heartbeat", "cursor": "abc", "at": at, "stores": true}));
        assert!(text.starts_with("{\"n\":7,"));
    }

    #[test]
    fn a_value_keeps_its_digits() {
        let live = crate::feed::samples::live_value(1, "North", 60);
        let json: Json = serde_json::from_str(&live_value(&live)).unwrap();
        assert_eq!(json["value"], "60");
        assert_eq!(json["unit"], "/min");
        assert_eq!(json["none"], Json::Null);
        assert_eq!(json["metric"], "pulse_rate");
        assert_eq!(json["quality"], json!(["marginal_perfusion"]));
    }

    #[test]
    fn clients_say_one_thing() {
        let said = from_client(r#"{"type":"audible","audible":true}"#);
        assert_eq!(said, Some(FromClient::Audible { audible: true }));
        for other in
            ["", "{}", r#"{"type":"audible"}"#, r#"{"type":"x"}"#, r#"{"type":"audible","audible":true,"x":1}"#]
        {
            assert_eq!(from_client(other), None, "{other}");
        }
    }
}
