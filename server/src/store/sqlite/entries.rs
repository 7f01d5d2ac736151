//! A record's entries into rows.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};
use shared::metric::Metric;
use shared::observation::{DeviceRecordId, DeviceTime, Observation};
use shared::plausibility::usability;
use shared::time::Timestamp;
use shared::wire::{Entry, LossExtent};

use super::memory::BindingRow;
use super::rows::{Corrupt, clock, column, failed, outcome};
use super::streams::{gone, technical};
use super::take::{Evaluable, Taking, Work};
use crate::alerts::{Observed, Place, Subject};
use crate::ingest::OpenedBatch;
use crate::limits::DEVICE_IDENTITY_BYTES_MAX;
use crate::store::timing::{self, Journey};
use crate::store::{AlertSink, StoreError};

/// Where a record stands.
pub(super) struct RecordPlace<'a> {
    pub(super) batch: &'a OpenedBatch,
    pub(super) stream: i64,
    pub(super) sequence: i64,
    pub(super) journey: Journey,
}

pub(super) fn take(
    taking: &mut Taking<'_>,
    place: &RecordPlace<'_>,
    position: usize,
    entry: &Entry,
    alerts: &dyn AlertSink,
    work: &mut Work,
) -> Result<(), StoreError> {
    let hub = place.batch.hub;
    let note = |taking: &Taking<'_>, kind: &str, body: &serde_json::Value| {
        technical(taking, hub, Some(place.stream), Some(place.sequence), kind, body)
    };
    let json = |entry: serde_json::Result<serde_json::Value>| entry.map_err(|_| Corrupt("technical entry"));
    match entry {
        Entry::Observation(observation) => observe(taking, place, position, observation, alerts, work),
        Entry::HubStatus(status) => note(taking, "hub_status", &json(serde_json::to_value(status))?),
        Entry::DeviceStatus(status) => {
            // A backlog's states are history: only those of now say why nothing comes now.
            let age = timing::age_ms(&status.at, &place.journey);
            if age.is_some_and(|age| Duration::from_millis(age) <= crate::limits::DEVICE_STATE_AGE_MAX) {
                work.states.push((hub, status.device.clone(), status.state));
            }
            note(taking, "device_status", &json(serde_json::to_value(status))?)
        }
        Entry::Loss(loss) => {
            if let LossExtent::Records { stream, range } = &loss.extent {
                gone(taking.conn, hub, *stream, *range, "lost")?;
            }
            note(taking, "loss", &json(serde_json::to_value(loss))?)
        }
        Entry::ClockFix(fix) => note(taking, "clock_fix", &json(serde_json::to_value(fix))?),
        Entry::Boot(boot) => note(taking, "boot", &json(serde_json::to_value(boot))?),
        Entry::Void(range) => {
            gone(taking.conn, hub, place.batch.stream, *range, "void")?;
            note(taking, "void", &json(serde_json::to_value(range))?)
        }
    }
}

/// Whom an observation is about: by its binding, never by time. Time can only say whom it is *not* about: a record out of a
/// device's memory that was made before the binding began may be of whoever had the device then, and is nobody's
/// (decision 0010).
fn attribute(
    taking: &mut Taking<'_>,
    place: &RecordPlace<'_>,
    observation: &Observation,
) -> Result<Option<BindingRow>, StoreError> {
    let Some(id) = observation.binding else { return Ok(None) };
    let row = taking.memory.binding(taking.conn, id)?;
    let own = row.filter(|row| row.hub == place.batch.hub);
    if own.is_none() {
        let body = serde_json::json!({"binding": id, "device": observation.device});
        technical(taking, place.batch.hub, Some(place.stream), Some(place.sequence), "foreign_binding", &body)?;
    }
    let made = observation.from_memory.as_ref().and_then(|record| record.time).and_then(DeviceTime::as_if_utc);
    let (Some(row), Some(made)) = (&own, made) else { return Ok(own) };
    if made >= row.began {
        return Ok(own);
    }
    let body = serde_json::json!({"binding": id, "device": observation.device, "made": made, "began": row.began});
    technical(taking, place.batch.hub, Some(place.stream), Some(place.sequence), "made_before_binding", &body)?;
    Ok(None)
}

fn observe(
    taking: &mut Taking<'_>,
    place: &RecordPlace<'_>,
    position: usize,
    observation: &Observation,
    alerts: &dyn AlertSink,
    work: &mut Work,
) -> Result<(), StoreError> {
    let binding = attribute(taking, place, observation)?;
    let subject = binding.as_ref().map_or(Subject::Hub(place.batch.hub), |row| Subject::Patient(row.patient));
    let of_memory = |id| memory_digest(id, observation.reading.metric, subject);
    let digest = observation.from_memory.as_ref().map(of_memory).transpose()?;
    let repeat_of = digest.map(|digest| earlier(taking, &digest)).transpose()?.flatten();
    let (captured, metric) = (&observation.captured, observation.reading.metric);
    let age_ms = timing::age_ms(captured, &place.journey);
    let taken = timing::taken(captured, age_ms, &place.journey);
    let history = binding.as_ref().is_some_and(|row| row.ended) || observation.from_memory.is_some();
    let newest = match &binding {
        Some(row) => taking.memory.newest(taking.conn, row.patient, metric)?,
        None => None,
    };
    let late = timing::is_late(history, age_ms, alerts.fresh_for_ms(metric), taken, newest);
    let row = Row { binding: binding.as_ref(), taken, age_ms, late, history, repeat_of };
    let place_id = insert(taking, place, position, observation, &row)?;
    work.observations = work.observations.saturating_add(1);
    if let (Some(digest), None) = (digest, repeat_of) {
        taking
            .conn
            .prepare_cached("INSERT INTO device_record (digest, place) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![digest, place_id]))
            .map_err(failed)?;
    }
    if repeat_of.is_some() {
        return Ok(());
    }
    let mut live = None;
    if let (Some(row), false) = (&binding, late) {
        taking.move_newest(work, row.patient, metric, taken)?;
        live = Some(captured.wall);
    }
    let observed = Observed {
        place: Place(place_id),
        hub: place.batch.hub,
        device: observation.device.clone(),
        metric,
        outcome: observation.reading.outcome,
        quality: observation.reading.quality,
        usability: usability(&observation.reading),
        taken,
        age_ms,
        history,
    };
    work.evaluable.push(Evaluable { subject, observed, live });
    Ok(())
}

/// What was decided about an observation.
struct Row<'a> {
    binding: Option<&'a BindingRow>,
    taken: Timestamp,
    age_ms: Option<u64>,
    late: bool,
    history: bool,
    repeat_of: Option<i64>,
}

fn insert(
    taking: &Taking<'_>,
    place: &RecordPlace<'_>,
    position: usize,
    observation: &Observation,
    row: &Row<'_>,
) -> Result<i64, StoreError> {
    let sql = "INSERT INTO observation (stream, sequence, position, patient, binding, device, slot, metric, mantissa,
         exponent, unit, absent, quality, usability, captured_tick, captured_wall, captured_clock, device_time, taken,
         age_ms, late, history, repeat_of, arrived)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
         ?23, ?24)";
    let reading = &observation.reading;
    let (mantissa, exponent, unit, absent) = outcome(reading.outcome);
    let position = i64::try_from(position).map_err(|_| StoreError::OverLimit("entries in a record"))?;
    let age_ms = row.age_ms.map(|age| i64::try_from(age).unwrap_or(i64::MAX));
    let values = params![
        place.stream,
        place.sequence,
        position,
        row.binding.map(|row| row.patient.as_bytes().as_slice()),
        observation.binding.as_ref().map(|binding| binding.as_bytes().as_slice()),
        observation.device.as_str(),
        observation.slot,
        reading.metric as i64,
        mantissa,
        exponent,
        unit,
        absent,
        reading.quality.bits(),
        timing::code(usability(reading)),
        column(observation.captured.tick.as_millis(), "ticks")?,
        observation.captured.wall.as_millis(),
        clock(observation.captured.clock),
        observation.device_time.as_ref().map(device_time),
        row.taken.as_millis(),
        age_ms,
        row.late,
        row.history,
        row.repeat_of,
        place.journey.arrived.as_millis()
    ];
    taking.conn.prepare_cached(sql).and_then(|mut insert| insert.insert(values)).map_err(failed)
}

/// The device's own clock as it said it: local, without a zone.
fn device_time(time: &DeviceTime) -> String {
    let DeviceTime { year, month, day, hour, minute, second } = time;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// SHA-256 over the whole identity of a record in a device's memory, the metric (one record of a cuff has several) and whose it
/// is: a device that says no serial number goes by its name on the hub, which another home may use as well.
fn memory_digest(id: &DeviceRecordId, metric: Metric, subject: Subject) -> Result<[u8; 32], StoreError> {
    if id.identity.len() > DEVICE_IDENTITY_BYTES_MAX {
        return Err(StoreError::OverLimit("octets in a device's identity"));
    }
    let bytes = shared::wire::to_bytes(id).map_err(|_| StoreError::OverLimit("a device record's identity"))?;
    let whose = match &subject {
        Subject::Patient(patient) => patient.as_bytes(),
        Subject::Hub(hub) => hub.as_bytes(),
    };
    Ok(Sha256::new().chain_update(bytes).chain_update(metric.name()).chain_update(whose).finalize().into())
}

fn earlier(taking: &Taking<'_>, digest: &[u8; 32]) -> Result<Option<i64>, StoreError> {
    taking
        .conn
        .prepare_cached("SELECT place FROM device_record WHERE digest = ?1")
        .and_then(|mut query| query.query_row(params![digest], |row| row.get(0)).optional())
        .map_err(failed)
}
