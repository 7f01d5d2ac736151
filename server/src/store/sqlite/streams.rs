//! Streams: their openings, their ranges, and whether a hub is two.

use rusqlite::{Connection, OptionalExtension, params};
use shared::id::{HubId, StreamId};
use shared::sequence::{Range, Ranges, Sequence};

use super::memory::{Advancing, Stream};
use super::rows::{Corrupt, column, failed};
use super::take::{Taking, last_stored};
use super::trail::{fact, named};
use crate::ingest::{NewStream, OpenedBatch};
use crate::limits::HELD_AHEAD_MAX;
use crate::store::StoreError;

/// The batch's stream; it begins with its opening, or unknown if none came.
pub(super) fn find_or_open(taking: &mut Taking<'_>, batch: &OpenedBatch) -> Result<Stream, StoreError> {
    let found = taking.memory.stream(taking.conn, batch.hub, batch.stream)?;
    match (found, &batch.new_stream) {
        (Some(stream), None) => Ok(stream),
        (Some(stream), Some(_)) if stream.known => Ok(stream),
        (Some(mut stream), Some(new)) => {
            let sql = "UPDATE stream SET opening = ?2, signature = ?3, identity_digest = ?4, boot = ?5,
                       previous = ?6 WHERE ordinal = ?1";
            let boot = new.opening.boot;
            taking
                .conn
                .execute(
                    sql,
                    params![
                        stream.ordinal,
                        new.body,
                        new.signature,
                        new.identity_digest.as_slice(),
                        boot.as_bytes(),
                        previous(new)
                    ],
                )
                .map_err(failed)?;
            (stream.known, stream.boot) = (true, Some(boot));
            opened(taking, batch, new)?;
            Ok(stream)
        }
        (None, new) => insert(taking, batch, new.as_ref()),
    }
}

fn insert(taking: &mut Taking<'_>, batch: &OpenedBatch, new: Option<&NewStream>) -> Result<Stream, StoreError> {
    let sql = "INSERT INTO stream (hub, stream, opening, signature, identity_digest, boot, arrived, previous)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    taking
        .conn
        .execute(
            sql,
            params![
                batch.hub.as_bytes(),
                batch.stream.as_bytes(),
                new.map(|new| &new.body),
                new.map(|new| &new.signature),
                new.map(|new| new.identity_digest.as_slice()),
                new.map(|new| new.opening.boot.as_bytes().as_slice()),
                taking.now.as_millis(),
                new.and_then(previous)
            ],
        )
        .map_err(failed)?;
    let ordinal = taking.conn.last_insert_rowid();
    if let Some(new) = new {
        opened(taking, batch, new)?;
    }
    Ok(Stream::new(ordinal, new.is_some(), new.map(|new| new.opening.boot)))
}

fn previous(new: &NewStream) -> Option<&[u8]> {
    new.opening.previous.as_ref().map(|previous| previous.stream.as_bytes().as_slice())
}

/// Notes the opening, and whether it lies far behind what is held: the mark of a restored or cloned hub.
fn opened(taking: &mut Taking<'_>, batch: &OpenedBatch, new: &NewStream) -> Result<(), StoreError> {
    let resources = vec![named("hub", batch.hub), named("stream", batch.stream)];
    fact(taking.conn, taking.memory, "stream_opened", resources, taking.now)?;
    let Some(previous) = new.opening.previous else { return Ok(()) };
    let held = last_stored(taking.conn, batch.hub, previous.stream)?;
    // What was in the air when the power failed is held here and lost there.
    let behind = (held > previous.last_durable.saturating_add(HELD_AHEAD_MAX)).then_some((previous.stream, held));
    let ahead = match behind {
        None => forked(taking.conn, batch, previous.stream)?,
        behind => behind,
    };
    let Some((ahead, held)) = ahead else { return Ok(()) };
    let resources = vec![named("hub", batch.hub), named("stream", batch.stream), named("stream", ahead)];
    fact(taking.conn, taking.memory, "restored_or_cloned_hub", resources, taking.now)?;
    let body = serde_json::json!({"stream": batch.stream, "previous": previous.stream,
        "last_durable": previous.last_durable, "ahead": ahead, "held": held});
    technical(taking, batch.hub, None, None, "restored_or_cloned_hub", &body)
}

/// Another stream that followed the same one, and how far it got, if that is further than a power cut may take back.
fn forked(conn: &Connection, batch: &OpenedBatch, previous: StreamId) -> Result<Option<(StreamId, u64)>, StoreError> {
    let sql = "SELECT stream FROM stream WHERE hub = ?1 AND previous = ?2 AND stream <> ?3";
    let mut query = conn.prepare_cached(sql).map_err(failed)?;
    let found = query
        .query_map(params![batch.hub.as_bytes(), previous.as_bytes(), batch.stream.as_bytes()], |row| row.get(0))
        .and_then(Iterator::collect::<Result<Vec<[u8; 16]>, _>>)
        .map_err(failed)?;
    for stream in found.into_iter().map(StreamId::from_bytes) {
        let held = last_stored(conn, batch.hub, stream)?;
        if held > HELD_AHEAD_MAX {
            return Ok(Some((stream, held)));
        }
    }
    Ok(None)
}

/// Two boots of one hub that both advance under their own MACs are two machines. The one that was passed by is set
/// aside: what it sends from then on goes to quarantine until a person settles it.
pub(super) fn watch_for_clones(
    taking: &mut Taking<'_>,
    batch: &OpenedBatch,
    stream: &mut Stream,
) -> Result<(), StoreError> {
    if batch.sent.is_none() || stream.boot.is_none() {
        return Ok(());
    }
    let own = Advancing { ordinal: stream.ordinal, boot: stream.boot };
    let advancing = taking.memory.advancing.get(&batch.hub).copied();
    let behind = advancing.is_some_and(|other| other.ordinal > own.ordinal && other.boot != own.boot);
    if !behind {
        if advancing.is_none_or(|other| own.ordinal > other.ordinal) {
            taking.memory.advancing.insert(batch.hub, own);
        }
        return Ok(());
    }
    // Repeats were under way while the hub started again; only sequences nobody saw yet tell of a second machine.
    let fresh = batch.records.iter().any(|record| !stream.ranges.contains(record.sequence));
    if stream.cloned || !fresh {
        return Ok(());
    }
    stream.cloned = true;
    taking.conn.execute("UPDATE stream SET cloned = 1 WHERE ordinal = ?1", [stream.ordinal]).map_err(failed)?;
    let resources = vec![named("hub", batch.hub), named("stream", batch.stream)];
    fact(taking.conn, taking.memory, "cloned_hub", resources, taking.now)?;
    technical(taking, batch.hub, None, None, "cloned_hub", &serde_json::json!({"stream": batch.stream}))
}

/// Adds sequences to a stream's ranges, on the disk too.
pub(super) fn extend(conn: &Connection, stream: &mut Stream, added: &Ranges) -> Result<(), StoreError> {
    stream.ranges.insert_all(added);
    for new in added.iter() {
        let Some(range) = stream.ranges.iter().find(|range| range.last() >= new.first()) else { continue };
        let (first, last) = (column(range.first().get(), "sequences")?, column(range.last().get(), "sequences")?);
        conn.prepare_cached("DELETE FROM stream_range WHERE stream = ?1 AND first BETWEEN ?2 AND ?3")
            .and_then(|mut delete| delete.execute([stream.ordinal, first, last]))
            .and_then(|_| conn.prepare_cached("INSERT INTO stream_range (stream, first, last) VALUES (?1, ?2, ?3)"))
            .and_then(|mut insert| insert.execute([stream.ordinal, first, last]))
            .map_err(failed)?;
    }
    Ok(())
}

/// Sequences that will never come.
pub(super) fn gone(
    conn: &Connection,
    hub: HubId,
    stream: StreamId,
    range: Range,
    cause: &str,
) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO gone_range (hub, stream, first, last, cause) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (first, last) = (column(range.first().get(), "sequences")?, column(range.last().get(), "sequences")?);
    conn.execute(sql, params![hub.as_bytes(), stream.as_bytes(), first, last, cause]).map_err(failed)?;
    Ok(())
}

/// Whether the hub said that this sequence is void: its content was sealed again under another.
pub(super) fn is_void(conn: &Connection, batch: &OpenedBatch, sequence: Sequence) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM gone_range
               WHERE hub = ?1 AND stream = ?2 AND first <= ?3 AND last >= ?3 AND cause = 'void')";
    let sequence = column(sequence.get(), "sequences")?;
    conn.prepare_cached(sql)
        .and_then(|mut query| {
            query.query_row(params![batch.hub.as_bytes(), batch.stream.as_bytes(), sequence], |row| row.get(0))
        })
        .map_err(failed)
}

/// Keeps a technical entry.
pub(super) fn technical(
    taking: &Taking<'_>,
    hub: HubId,
    stream: Option<i64>,
    sequence: Option<i64>,
    kind: &str,
    body: &impl serde::Serialize,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO technical_entry (hub, stream, sequence, kind, body, arrived)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let body = serde_json::to_string(body).map_err(|_| Corrupt("technical entry"))?;
    taking
        .conn
        .prepare_cached(sql)
        .and_then(|mut insert| {
            insert.execute(params![hub.as_bytes(), stream, sequence, kind, body, taking.now.as_millis()])
        })
        .map_err(failed)?;
    Ok(())
}

/// A stream's opening as stored.
pub(super) fn opening(conn: &Connection, hub: HubId, stream: StreamId) -> Result<Option<NewStream>, StoreError> {
    let sql = "SELECT opening, signature, identity_digest FROM stream
               WHERE hub = ?1 AND stream = ?2 AND opening IS NOT NULL";
    let row = conn
        .query_row(sql, params![hub.as_bytes(), stream.as_bytes()], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, [u8; 32]>(2)?))
        })
        .optional()
        .map_err(failed)?;
    let Some((body, signature, identity_digest)) = row else { return Ok(None) };
    let opening = shared::wire::from_bytes(&body).map_err(|_| Corrupt("opening"))?;
    Ok(Some(NewStream { opening, body, signature, identity_digest }))
}
