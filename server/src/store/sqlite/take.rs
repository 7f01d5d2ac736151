//! Batches into rows: one savepoint each, in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, params};
use shared::id::{DeviceId, HubId, PatientId};
use shared::metric::Metric;
use shared::sequence::{Range, Ranges, Sequence};
use shared::time::{Tick, Timestamp};
use shared::wire::{DeviceState, Entry, Quarantined, RANGES_MAX};

use super::entries;
use super::memory::{Memory, Stream};
use super::rows::{column, concerns_all, count, failed};
use super::streams;
use super::trail::{fact, named};
use crate::alerts::{AlertEvent, Observed, Subject};
use crate::ingest::{OpenedBatch, OpenedRecord, without_conflicts};
use crate::store::timing::Journey;
use crate::store::{AlertSink, BatchOutcome, StoreError};
use shared::wire::QuarantineReason;

/// An observation that is stored and may be evaluated.
pub(super) struct Evaluable {
    pub(super) subject: Subject,
    pub(super) observed: Observed,
    /// Set in the live lane of a patient: the hub's wall clock at capture.
    pub(super) live: Option<Timestamp>,
}

/// What a batch left to be done once it holds.
#[derive(Default)]
pub(super) struct Work {
    pub(super) evaluable: Vec<Evaluable>,
    pub(super) states: Vec<(HubId, DeviceId, DeviceState)>,
    /// What `newest` was before this batch, to be put back if it does not hold.
    undo: Vec<(PatientId, Metric, Option<Timestamp>)>,
    pub(super) observations: u64,
}

/// The transaction as its batches see it.
pub(super) struct Taking<'a> {
    pub(super) conn: &'a Connection,
    pub(super) memory: &'a mut Memory,
    pub(super) now: Timestamp,
    /// Engine time and monotonic time of the same moment, to place arrivals on the engine's clock.
    pub(super) engine: Option<(Tick, Timestamp)>,
}

impl Taking<'_> {
    /// Takes one batch in its savepoint. The outer error ends the transaction, the inner one this batch alone.
    pub(super) fn batch(
        &mut self,
        batch: &OpenedBatch,
        alerts: &dyn AlertSink,
        work: &mut Work,
    ) -> Result<Result<BatchOutcome, StoreError>, StoreError> {
        self.conn.execute_batch("SAVEPOINT batch").map_err(failed)?;
        let head = self.memory.audit_head;
        let mut own = Work::default();
        match self.rows(batch, alerts, &mut own) {
            Ok(outcome) => {
                self.conn.execute_batch("RELEASE batch").map_err(failed)?;
                work.evaluable.append(&mut own.evaluable);
                work.states.append(&mut own.states);
                work.observations = work.observations.saturating_add(own.observations);
                Ok(Ok(outcome))
            }
            // Some errors end the transaction at once; then there is nothing left to roll back to.
            Err(error) if concerns_all(&error) || self.conn.is_autocommit() => Err(error),
            Err(error) => {
                self.conn.execute_batch("ROLLBACK TO batch; RELEASE batch").map_err(failed)?;
                self.memory.audit_head = head;
                for (patient, metric, taken) in own.undo.into_iter().rev() {
                    self.memory.set_newest(patient, metric, taken);
                }
                Ok(Err(error))
            }
        }
    }

    fn rows(
        &mut self,
        batch: &OpenedBatch,
        alerts: &dyn AlertSink,
        work: &mut Work,
    ) -> Result<BatchOutcome, StoreError> {
        let mut stream = streams::find_or_open(self, batch)?;
        streams::watch_for_clones(self, batch, &mut stream)?;
        let (mut added, mut quarantined) = (Ranges::new(), Vec::new());
        let mut repeats: u64 = 0;
        let voided = voided(batch);
        for record in &batch.records {
            if !stream.ranges.contains(record.sequence)
                && !stream.cloned
                && (voided.contains(record.sequence) || streams::is_void(self.conn, batch, record.sequence)?)
            {
                // Its content came under another sequence: told as stored, so that its hub lets go of it.
                added.insert(Range::one(record.sequence));
                repeats = repeats.saturating_add(1);
                continue;
            }
            match self.record(batch, &stream, record, alerts, work)? {
                Taken::New => added.insert(Range::one(record.sequence)),
                Taken::Repeat => repeats = repeats.saturating_add(1),
                Taken::Quarantined(reason) => {
                    quarantined.push(Quarantined { range: Range::one(record.sequence), reason });
                }
            }
        }
        streams::extend(self.conn, &mut stream, &added)?;
        self.note_quarantine(batch, &quarantined)?;
        self.conn
            .prepare_cached("UPDATE hub SET last_stored = ?2 WHERE hub = ?1")
            .and_then(|mut update| update.execute(params![batch.hub.as_bytes(), self.now.as_millis()]))
            .map_err(failed)?;
        let outcome = BatchOutcome {
            hub: batch.hub,
            stream: batch.stream,
            known: stream.known,
            stored: receipted(&stream.ranges, &quarantined, batch),
            quarantined,
            observations: work.observations,
            repeats,
        };
        self.memory.put_stream(batch.hub, batch.stream, stream);
        Ok(outcome)
    }

    fn record(
        &mut self,
        batch: &OpenedBatch,
        stream: &Stream,
        record: &OpenedRecord,
        alerts: &dyn AlertSink,
        work: &mut Work,
    ) -> Result<Taken, StoreError> {
        let sequence = column(record.sequence.get(), "sequences")?;
        if stream.ranges.contains(record.sequence) {
            // No row: erased since, and it does not come back.
            let same = self.tag(stream.ordinal, sequence)?.is_none_or(|tag| tag == record.tag);
            return if same {
                Ok(Taken::Repeat)
            } else {
                self.quarantine(stream.ordinal, sequence, record, QuarantineReason::Conflict)
            };
        }
        let reason = if stream.cloned { Some(QuarantineReason::ClonedHub) } else { None };
        let entries = match (&record.content, reason) {
            (_, Some(reason)) => return self.quarantine(stream.ordinal, sequence, record, reason),
            (Err(reason), None) => return self.quarantine(stream.ordinal, sequence, record, *reason),
            (Ok(entries), None) => entries,
        };
        self.conn
            .prepare_cached("INSERT INTO record (stream, sequence, tag) VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![stream.ordinal, sequence, record.tag]))
            .map_err(failed)?;
        let place = entries::RecordPlace {
            batch,
            stream: stream.ordinal,
            sequence,
            journey: Journey {
                sent: batch.sent,
                transit_ms: batch.transit_ms,
                arrived_wall: batch.arrived.wall,
                arrived: self.arrived(batch),
            },
        };
        for (position, entry) in entries.iter().enumerate() {
            entries::take(self, &place, position, entry, alerts, work)?;
        }
        Ok(Taken::New)
    }

    /// When the batch arrived, on the engine's clock; never after now.
    fn arrived(&self, batch: &OpenedBatch) -> Timestamp {
        match self.engine {
            Some((tick, at)) => at.before(tick.since(batch.arrived.tick)).min(self.now),
            None => batch.arrived.wall.min(self.now),
        }
    }

    fn tag(&self, stream: i64, sequence: i64) -> Result<Option<[u8; 16]>, StoreError> {
        self.conn
            .prepare_cached("SELECT tag FROM record WHERE stream = ?1 AND sequence = ?2")
            .and_then(|mut query| query.query_row([stream, sequence], |row| row.get(0)).optional())
            .map_err(failed)
    }

    fn quarantine(
        &self,
        stream: i64,
        sequence: i64,
        record: &OpenedRecord,
        reason: QuarantineReason,
    ) -> Result<Taken, StoreError> {
        let sql = "INSERT INTO quarantine (stream, sequence, tag, reason, raw, arrived)
                   SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS
                     (SELECT 1 FROM quarantine WHERE stream = ?1 AND sequence = ?2 AND tag = ?3 AND raw = ?5)";
        self.conn
            .prepare_cached(sql)
            .and_then(|mut insert| {
                let (name, at) = (reason.name(), self.now.as_millis());
                insert.execute(params![stream, sequence, record.tag, name, record.raw, at])
            })
            .map_err(failed)?;
        Ok(Taken::Quarantined(reason))
    }

    fn note_quarantine(&mut self, batch: &OpenedBatch, quarantined: &[Quarantined]) -> Result<(), StoreError> {
        let mut reasons: Vec<QuarantineReason> = quarantined.iter().map(|entry| entry.reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        for reason in reasons {
            let resources = vec![named("hub", batch.hub), named("stream", batch.stream), reason.name().to_owned()];
            fact(self.conn, self.memory, "quarantined", resources, self.now)?;
            streams::technical(self, batch.hub, None, None, "quarantine", &serde_json::json!({"reason": reason}))?;
        }
        Ok(())
    }

    /// The newest capture of a patient and metric moves; kept so that the batch can be undone.
    pub(super) fn move_newest(
        &mut self,
        work: &mut Work,
        patient: PatientId,
        metric: Metric,
        taken: Timestamp,
    ) -> Result<(), StoreError> {
        let before = self.memory.newest(self.conn, patient, metric)?;
        work.undo.push((patient, metric, before));
        self.memory.set_newest(patient, metric, Some(taken));
        Ok(())
    }
}

/// What became of a record.
enum Taken {
    New,
    Repeat,
    Quarantined(QuarantineReason),
}

/// What this batch itself says of sequences whose content was sealed again under others.
fn voided(batch: &OpenedBatch) -> Ranges {
    let entries = batch.records.iter().filter_map(|record| record.content.as_ref().ok()).flatten();
    entries.filter_map(|entry| if let Entry::Void(range) = entry { Some(*range) } else { None }).collect()
}

/// What a receipt may call stored, without sequences that stand in conflict: every range that this batch's records
/// lie in, so that their hub hears of them however many ranges there are, then the lowest up to `RANGES_MAX`.
fn receipted(stored: &Ranges, quarantined: &[Quarantined], batch: &OpenedBatch) -> Ranges {
    let own: BTreeSet<Sequence> = batch.records.iter().map(|record| record.sequence).collect();
    let (mut said, others): (Vec<Range>, Vec<Range>) = without_conflicts(stored, quarantined)
        .into_iter()
        .partition(|range| own.range(range.first()..=range.last()).next().is_some());
    let room = RANGES_MAX.saturating_sub(said.len());
    said.extend(others.into_iter().take(room));
    said.into()
}

/// Gives the engine everything that was stored, each subject's in order of capture, then the devices' states, then
/// the deadlines that are due.
pub(super) fn evaluate(work: &mut Work, alerts: &mut dyn AlertSink, now: Timestamp) -> Vec<AlertEvent> {
    let mut subjects: BTreeMap<Subject, Vec<Observed>> = BTreeMap::new();
    for evaluable in &work.evaluable {
        subjects.entry(evaluable.subject).or_default().push(evaluable.observed.clone());
    }
    let mut events = Vec::new();
    for (subject, mut observations) in subjects {
        observations.sort_by_key(|observed| (observed.taken, observed.place));
        events.append(&mut alerts.observed(subject, &observations, now));
    }
    for (hub, device, state) in work.states.drain(..) {
        events.append(&mut alerts.device_state(hub, &device, state, now));
    }
    events.append(&mut alerts.deadlines(now));
    events
}

/// The newest live observation of each patient and metric.
pub(super) fn newest_live(work: Work) -> HashMap<(PatientId, Metric), (Observed, Timestamp)> {
    let mut newest: HashMap<(PatientId, Metric), (Observed, Timestamp)> = HashMap::new();
    for evaluable in work.evaluable {
        let (Subject::Patient(patient), Some(wall)) = (evaluable.subject, evaluable.live) else { continue };
        let key = (patient, evaluable.observed.metric);
        if newest.get(&key).is_none_or(|(held, _)| held.taken <= evaluable.observed.taken) {
            newest.insert(key, (evaluable.observed, wall));
        }
    }
    newest
}

/// The highest sequence stored of a stream.
pub(super) fn last_stored(conn: &Connection, hub: HubId, stream: shared::id::StreamId) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(r.last), 0) FROM stream s JOIN stream_range r ON r.stream = s.ordinal
               WHERE s.hub = ?1 AND s.stream = ?2";
    conn.query_row(sql, params![hub.as_bytes(), stream.as_bytes()], |row| row.get::<_, i64>(0))
        .map(count)
        .map_err(failed)
}
