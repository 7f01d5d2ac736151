//! What the store keeps in memory of what is on the disk. After a transaction that failed it is forgotten whole, and
//! read again as it is needed, so it never says what was not committed.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use shared::id::{BindingId, BootId, HubId, PatientId, StreamId};
use shared::metric::Metric;
use shared::sequence::{Range, Ranges, Sequence};
use shared::time::Timestamp;

use super::rows::{Corrupt, count, failed};
use crate::access::Ward;
use crate::limits::{CACHED_ROWS_MAX, STREAMS_CACHED_MAX};
use crate::store::{EventNumber, StoreError};

/// A stream as stored.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) ordinal: i64,
    pub(super) known: bool,
    pub(super) cloned: bool,
    pub(super) boot: Option<BootId>,
    pub(super) ranges: Ranges,
    used: u64,
}

impl Stream {
    pub(super) fn new(ordinal: i64, known: bool, boot: Option<BootId>) -> Self {
        Self { ordinal, known, cloned: false, boot, ranges: Ranges::new(), used: 0 }
    }
}

/// Where readings of a binding belong.
#[derive(Debug, Clone)]
pub(super) struct BindingRow {
    pub(super) hub: HubId,
    pub(super) patient: PatientId,
    pub(super) began: Timestamp,
    pub(super) ended: bool,
}

/// The stream of a hub that advances under a MAC now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advancing {
    pub(super) ordinal: i64,
    pub(super) boot: Option<BootId>,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    streams: HashMap<(HubId, StreamId), Stream>,
    uses: u64,
    bindings: HashMap<BindingId, Option<BindingRow>>,
    wards: HashMap<PatientId, Ward>,
    newest: HashMap<(PatientId, Metric), Option<Timestamp>>,
    pub(super) advancing: HashMap<HubId, Advancing>,
    /// Number and hash of the newest audit entry.
    pub(super) audit_head: Option<(u64, [u8; 32])>,
    /// The newest event's number.
    pub(super) event: Option<EventNumber>,
}

impl Memory {
    /// Takes a stream out, to be put back when its batch holds.
    pub(super) fn stream(
        &mut self,
        conn: &Connection,
        hub: HubId,
        stream: StreamId,
    ) -> Result<Option<Stream>, StoreError> {
        match self.streams.remove(&(hub, stream)) {
            Some(found) => Ok(Some(found)),
            None => read_stream(conn, hub, stream),
        }
    }

    pub(super) fn put_stream(&mut self, hub: HubId, stream: StreamId, mut row: Stream) {
        self.uses = self.uses.saturating_add(1);
        row.used = self.uses;
        self.streams.insert((hub, stream), row);
        if self.streams.len() > STREAMS_CACHED_MAX {
            // A quarter at once, so that this is rare.
            let mut used: Vec<u64> = self.streams.values().map(|row| row.used).collect();
            used.sort_unstable();
            let limit = used.get(STREAMS_CACHED_MAX / 4).copied().unwrap_or(0);
            self.streams.retain(|_, row| row.used > limit);
        }
    }

    pub(super) fn binding(&mut self, conn: &Connection, id: BindingId) -> Result<Option<BindingRow>, StoreError> {
        if let Some(row) = self.bindings.get(&id) {
            return Ok(row.clone());
        }
        let sql = "SELECT hub, patient, began, ended FROM binding WHERE binding = ?1";
        let row = conn
            .prepare_cached(sql)
            .and_then(|mut query| {
                query
                    .query_row(params![id.as_bytes()], |row| {
                        Ok(BindingRow {
                            hub: HubId::from_bytes(row.get(0)?),
                            patient: PatientId::from_bytes(row.get(1)?),
                            began: Timestamp::from_millis(row.get(2)?),
                            ended: row.get::<_, Option<i64>>(3)?.is_some(),
                        })
                    })
                    .optional()
            })
            .map_err(failed)?;
        if self.bindings.len() >= CACHED_ROWS_MAX {
            self.bindings.clear();
        }
        self.bindings.insert(id, row.clone());
        Ok(row)
    }

    /// Bindings changed.
    pub(super) fn forget_bindings(&mut self) {
        self.bindings.clear();
    }

    pub(super) fn ward(&mut self, conn: &Connection, patient: PatientId) -> Result<Ward, StoreError> {
        if let Some(ward) = self.wards.get(&patient) {
            return Ok(ward.clone());
        }
        let sql = "SELECT ward FROM patient WHERE patient = ?1";
        let text: String = conn.query_row(sql, params![patient.as_bytes()], |row| row.get(0)).map_err(failed)?;
        let ward = Ward::try_from(text).map_err(|_| Corrupt("ward"))?;
        if self.wards.len() >= CACHED_ROWS_MAX {
            self.wards.clear();
        }
        self.wards.insert(patient, ward.clone());
        Ok(ward)
    }

    /// When the newest live observation of a patient and metric was captured.
    pub(super) fn newest(
        &mut self,
        conn: &Connection,
        patient: PatientId,
        metric: Metric,
    ) -> Result<Option<Timestamp>, StoreError> {
        if let Some(newest) = self.newest.get(&(patient, metric)) {
            return Ok(*newest);
        }
        let found = conn
            .prepare_cached("SELECT taken FROM latest WHERE patient = ?1 AND metric = ?2")
            .and_then(|mut query| {
                query.query_row(params![patient.as_bytes(), metric as i64], |row| row.get::<_, i64>(0)).optional()
            })
            .map_err(failed)?
            .map(Timestamp::from_millis);
        self.set_newest(patient, metric, found);
        Ok(found)
    }

    pub(super) fn set_newest(&mut self, patient: PatientId, metric: Metric, taken: Option<Timestamp>) {
        if self.newest.len() >= CACHED_ROWS_MAX && !self.newest.contains_key(&(patient, metric)) {
            // What this transaction has not written yet is in the list of live values too, and wins there.
            self.newest.clear();
        }
        self.newest.insert((patient, metric), taken);
    }
}

fn read_stream(conn: &Connection, hub: HubId, stream: StreamId) -> Result<Option<Stream>, StoreError> {
    let sql = "SELECT ordinal, opening IS NOT NULL, cloned, boot FROM stream WHERE hub = ?1 AND stream = ?2";
    let row = conn
        .prepare_cached(sql)
        .and_then(|mut query| {
            query
                .query_row(params![hub.as_bytes(), stream.as_bytes()], |row| {
                    let boot = row.get::<_, Option<[u8; 16]>>(3)?.map(BootId::from_bytes);
                    let mut stream = Stream::new(row.get(0)?, row.get(1)?, boot);
                    stream.cloned = row.get(2)?;
                    Ok(stream)
                })
                .optional()
        })
        .map_err(failed)?;
    let Some(mut row) = row else { return Ok(None) };
    row.ranges = ranges(conn, row.ordinal)?;
    Ok(Some(row))
}

fn ranges(conn: &Connection, ordinal: i64) -> Result<Ranges, StoreError> {
    let mut query =
        conn.prepare_cached("SELECT first, last FROM stream_range WHERE stream = ?1 ORDER BY first").map_err(failed)?;
    let rows = query.query_map([ordinal], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).map_err(failed)?;
    let mut ranges = Ranges::new();
    for row in rows {
        let (first, last) = row.map_err(failed)?;
        let place = |number| Sequence::new(count(number)).ok_or(Corrupt("range of sequences"));
        ranges.insert(Range::new(place(first)?, place(last)?).map_err(|_| Corrupt("range of sequences"))?);
    }
    Ok(ranges)
}
