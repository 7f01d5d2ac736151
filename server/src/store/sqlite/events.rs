//! Alert events, alert states, live values, and what a feed reads of them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use shared::id::PatientId;
use shared::metric::Metric;
use shared::reading::{Outcome, Quality};
use shared::time::Timestamp;

use super::memory::Memory;
use super::rows::{Corrupt, failed};
use crate::access::{Scope, Ward};
use crate::alerts::{AlertEvent, Observed, Subject};
use crate::store::StoreError;
use crate::store::{AlertSink, EventNumber, EventsAfter, LiveValue, NumberedEvent, Snapshot, StandingAlert};

/// Numbers events densely, in commit order, and keeps them.
pub(super) fn write(
    conn: &Connection,
    memory: &mut Memory,
    events: Vec<AlertEvent>,
) -> Result<Vec<NumberedEvent>, StoreError> {
    let mut numbered = Vec::with_capacity(events.len());
    for event in events {
        let last = match memory.event {
            Some(last) => last,
            None => last_event(conn)?,
        };
        let number = EventNumber(last.0.saturating_add(1));
        let wards = wards_of(conn, memory, event.subject)?;
        let (patient, hub) = match event.subject {
            Subject::Patient(patient) => (Some(*patient.as_bytes()), None),
            Subject::Hub(hub) => (None, Some(*hub.as_bytes())),
        };
        let body = serde_json::to_string(&event).map_err(|_| Corrupt("alert event"))?;
        let ward_list = serde_json::to_string(&wards).map_err(|_| Corrupt("list of wards"))?;
        let sql = "INSERT INTO alert_event (number, alert, patient, hub, at, wards, body)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let standing = "INSERT INTO standing_alert (alert, number) VALUES (?1, ?2)
                        ON CONFLICT (alert) DO UPDATE SET number = excluded.number";
        let (alert, at) = (event.alert.as_bytes(), event.at.as_millis());
        conn.prepare_cached(sql)
            .and_then(|mut insert| insert.execute(params![number.0, alert, patient, hub, at, ward_list, body]))
            .and_then(|_| conn.prepare_cached(standing))
            .and_then(|mut insert| insert.execute(params![alert, number.0]))
            .map_err(failed)?;
        memory.event = Some(number);
        numbered.push(NumberedEvent { number, wards, event });
    }
    Ok(numbered)
}

pub(super) fn last_event(conn: &Connection) -> Result<EventNumber, StoreError> {
    conn.query_row("SELECT coalesce(max(number), 0) FROM alert_event", [], |row| row.get(0))
        .map(EventNumber)
        .map_err(failed)
}

/// Wards whose clinicians may see what is about the subject: a hub's are those of the patients bound to it.
fn wards_of(conn: &Connection, memory: &mut Memory, subject: Subject) -> Result<Vec<Ward>, StoreError> {
    let hub = match subject {
        Subject::Patient(patient) => return Ok(vec![memory.ward(conn, patient)?]),
        Subject::Hub(hub) => hub,
    };
    let sql = "SELECT DISTINCT p.ward FROM binding b JOIN patient p USING (patient)
               WHERE b.hub = ?1 AND b.ended IS NULL ORDER BY p.ward";
    let mut query = conn.prepare_cached(sql).map_err(failed)?;
    let rows = query.query_map(params![hub.as_bytes()], |row| row.get::<_, String>(0)).map_err(failed)?;
    rows.map(|row| Ward::try_from(row.map_err(failed)?).map_err(|_| Corrupt("ward").into())).collect()
}

/// Keeps the states the engine touched.
pub(super) fn write_states(conn: &Connection, states: Vec<(Subject, Vec<u8>)>) -> Result<(), StoreError> {
    for (subject, state) in states {
        let subject = shared::wire::to_bytes(&subject).map_err(|_| Corrupt("subject"))?;
        conn.prepare_cached(
            "INSERT INTO alert_state (subject, state) VALUES (?1, ?2)
             ON CONFLICT (subject) DO UPDATE SET state = excluded.state",
        )
        .and_then(|mut insert| insert.execute(params![subject, state]))
        .map_err(failed)?;
    }
    Ok(())
}

/// Gives the engine its states back.
pub(super) fn restore(conn: &Connection, alerts: &mut dyn AlertSink) -> Result<Option<Timestamp>, StoreError> {
    let mut query = conn.prepare("SELECT subject, state FROM alert_state").map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let subject: Vec<u8> = row.get(0).map_err(failed)?;
        let state: Vec<u8> = row.get(1).map_err(failed)?;
        alerts.restore(shared::wire::from_bytes(&subject).map_err(|_| Corrupt("subject"))?, &state)?;
    }
    let time: Option<i64> =
        conn.query_row("SELECT engine_time FROM meta WHERE id = 1", [], |row| row.get(0)).map_err(failed)?;
    Ok(time.map(Timestamp::from_millis))
}

/// What is kept of a patient's newest live observation of a metric.
#[derive(Serialize, Deserialize)]
struct LatestBody {
    outcome: Outcome,
    quality: Quality,
    usability: String,
    age_ms: u64,
    fresh_for_ms: u64,
    captured_wall: Timestamp,
}

/// Keeps and returns the newest live observation of each patient and metric, oldest first.
pub(super) fn write_latest(
    conn: &Connection,
    memory: &mut Memory,
    newest: HashMap<(PatientId, Metric), (Observed, Timestamp)>,
    alerts: &dyn AlertSink,
) -> Result<Vec<LiveValue>, StoreError> {
    let mut live = Vec::with_capacity(newest.len());
    for ((patient, metric), (observed, captured_wall)) in newest {
        let body = LatestBody {
            outcome: observed.outcome,
            quality: observed.quality,
            usability: observed.usability.name().to_owned(),
            age_ms: observed.age_ms.unwrap_or(0),
            fresh_for_ms: alerts.fresh_for_ms(metric),
            captured_wall,
        };
        let bytes = shared::wire::to_bytes(&body).map_err(|_| Corrupt("latest value"))?;
        conn.prepare_cached(
            "INSERT INTO latest (patient, metric, taken, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (patient, metric) DO UPDATE SET taken = excluded.taken, body = excluded.body",
        )
        .and_then(|mut insert| {
            insert.execute(params![patient.as_bytes(), metric as i64, observed.taken.as_millis(), bytes])
        })
        .map_err(failed)?;
        let ward = memory.ward(conn, patient)?;
        live.push(live_value(patient, ward, metric, observed.taken, body));
    }
    live.sort_by_key(|value| (value.taken, value.patient, value.metric));
    Ok(live)
}

fn live_value(patient: PatientId, ward: Ward, metric: Metric, taken: Timestamp, body: LatestBody) -> LiveValue {
    LiveValue {
        patient,
        ward,
        metric,
        outcome: body.outcome,
        quality: body.quality,
        usability: body.usability,
        taken,
        age_ms: body.age_ms,
        fresh_for_ms: body.fresh_for_ms,
        captured_wall: body.captured_wall,
    }
}

/// What a feed starts from.
pub(super) fn snapshot(conn: &Connection, scope: &Scope) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot { cursor: last_event(conn)?, ..Snapshot::default() };
    let mut query = conn.prepare("SELECT patient, ward FROM patient ORDER BY patient").map_err(failed)?;
    let rows = query
        .query_map([], |row| Ok((PatientId::from_bytes(row.get(0)?), row.get::<_, String>(1)?)))
        .map_err(failed)?;
    let mut wards = HashMap::new();
    for row in rows {
        let (patient, ward) = row.map_err(failed)?;
        let ward = Ward::try_from(ward).map_err(|_| Corrupt("ward"))?;
        if scope.covers(&ward) {
            wards.insert(patient, ward.clone());
            snapshot.patients.push((patient, ward));
        }
    }
    let sql = "SELECT e.number, e.wards, e.body FROM standing_alert s JOIN alert_event e USING (number)
               ORDER BY e.number";
    let mut query = conn.prepare(sql).map_err(failed)?;
    let mut rows = query.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let NumberedEvent { number, wards, event } = numbered(row)?;
        if scope.sees(&wards) {
            snapshot.alerts.push(StandingAlert { number, wards, event });
        }
    }
    let sql = "SELECT patient, metric, taken, body FROM latest ORDER BY taken";
    let mut query = conn.prepare(sql).map_err(failed)?;
    let rows = query
        .query_map([], |row| {
            let taken = Timestamp::from_millis(row.get(2)?);
            Ok((PatientId::from_bytes(row.get(0)?), row.get::<_, u8>(1)?, taken, row.get::<_, Vec<u8>>(3)?))
        })
        .map_err(failed)?;
    for row in rows {
        let (patient, metric, taken, body) = row.map_err(failed)?;
        let Some(ward) = wards.get(&patient) else { continue };
        let metric = *Metric::ALL.get(usize::from(metric)).ok_or(Corrupt("metric"))?;
        let body = shared::wire::from_bytes(&body).map_err(|_| Corrupt("latest value"))?;
        snapshot.live.push(live_value(patient, ward.clone(), metric, taken, body));
    }
    Ok(snapshot)
}

fn numbered(row: &rusqlite::Row<'_>) -> Result<NumberedEvent, StoreError> {
    let wards: String = row.get(1).map_err(failed)?;
    let body: String = row.get(2).map_err(failed)?;
    Ok(NumberedEvent {
        number: EventNumber(row.get(0).map_err(failed)?),
        wards: serde_json::from_str(&wards).map_err(|_| Corrupt("list of wards"))?,
        event: serde_json::from_str(&body).map_err(|_| Corrupt("alert event"))?,
    })
}

/// Events after a number, in scope, at most `limit`.
pub(super) fn after(
    conn: &Connection,
    scope: &Scope,
    after: EventNumber,
    limit: usize,
) -> Result<EventsAfter, StoreError> {
    let first: Option<i64> = conn
        .query_row("SELECT number FROM alert_event ORDER BY number LIMIT 1", [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    let kept_from = first.map_or(0, |first| first.saturating_sub(1));
    if after.0 < kept_from || after > last_event(conn)? {
        return Ok(EventsAfter::Beyond);
    }
    let sql = "SELECT number, wards, body FROM alert_event WHERE number > ?1 ORDER BY number";
    let mut query = conn.prepare_cached(sql).map_err(failed)?;
    let mut rows = query.query([after.0]).map_err(failed)?;
    let mut events = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let event = numbered(row)?;
        if !scope.sees(&event.wards) {
            continue;
        }
        if events.len() >= limit {
            return Ok(EventsAfter::Events { events, more: true });
        }
        events.push(event);
    }
    Ok(EventsAfter::Events { events, more: false })
}
