//! What a server's store holds, read beside the server.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use rusqlite::{Connection, OpenFlags, Row, params};
use serde_json::Value;
use shared::metric::Metric;

/// Opens the store in a server's folder, to be read.
///
/// # Errors
/// If there is none.
pub fn open(data: &Path) -> rusqlite::Result<Connection> {
    open_file(&data.join("store.sqlite"))
}

/// Opens a store's file, to be read.
///
/// # Errors
/// If there is none.
pub fn open_file(file: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn three<T: rusqlite::types::FromSql>(row: &Row<'_>) -> rusqlite::Result<(T, T, T)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// Each place of a record (stream, sequence, position) that is stored more than once.
///
/// # Errors
/// If the store cannot be read.
pub fn repeated(store: &Connection) -> rusqlite::Result<Vec<(i64, i64, i64)>> {
    let sql = "SELECT stream, sequence, position FROM observation GROUP BY 1, 2, 3 HAVING count(*) > 1";
    store.prepare(sql)?.query_map([], three)?.collect()
}

/// Gaps inside streams (stream, first, last): sequences before the last one that are neither stored nor reported gone.
///
/// # Errors
/// If the store cannot be read.
pub fn gaps(store: &Connection) -> rusqlite::Result<Vec<(i64, i64, i64)>> {
    let mut statement = store.prepare("SELECT stream, first, last FROM stream_range ORDER BY stream, first")?;
    let mut next: BTreeMap<i64, i64> = BTreeMap::new();
    let mut gaps = Vec::new();
    for range in statement.query_map([], three)? {
        let (stream, first, last) = range?;
        let expected = *next.get(&stream).unwrap_or(&1);
        if first > expected {
            gaps.push((stream, expected, first - 1));
        }
        next.insert(stream, last + 1);
    }
    Ok(gaps)
}

/// What an oximeter's moment is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When it was captured, by the hub's monotonic clock, in milliseconds.
    pub tick: i64,
    /// Pulse rate per minute, where there is a value.
    pub pulse: Option<i64>,
    /// Saturation in per cent, where there is a value.
    pub spo2: Option<i64>,
}

/// A device's readings in the order they were captured. Of one moment both rows have the same tick; where a read of the
/// port held several moments, their rows are in the order of their records. Rows without a partner, and of other metrics,
/// are moments of their own.
///
/// # Errors
/// If the store cannot be read.
pub fn readings(store: &Connection, device: &str) -> rusqlite::Result<Vec<Reading>> {
    let sql = "SELECT captured_tick, metric, CASE WHEN exponent = 0 THEN mantissa END FROM observation \
               WHERE device = ?1 ORDER BY captured_tick, stream, sequence, position";
    let mut statement = store.prepare(sql)?;
    let mut readings = Vec::new();
    let mut rows = statement.query(params![device])?;
    let (mut now, mut pulses, mut saturations) = (0, Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (tick, metric, value): (i64, i64, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if tick != now {
            pair(now, &mut pulses, &mut saturations, &mut readings);
            now = tick;
        }
        if metric == Metric::PulseRate as i64 {
            pulses.push(value);
        } else if metric == Metric::SpO2 as i64 {
            saturations.push(value);
        } else {
            readings.push(Reading { tick, pulse: None, spo2: None });
        }
    }
    pair(now, &mut pulses, &mut saturations, &mut readings);
    Ok(readings)
}

fn pair(tick: i64, pulses: &mut Vec<Option<i64>>, saturations: &mut Vec<Option<i64>>, readings: &mut Vec<Reading>) {
    let count = pulses.len().max(saturations.len());
    pulses.resize(count, None);
    saturations.resize(count, None);
    let pairs = pulses.drain(..).zip(saturations.drain(..));
    readings.extend(pairs.map(|(pulse, spo2)| Reading { tick, pulse, spo2 }));
}

/// A change of a device's state, as a hub told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// When, by the hub's monotonic clock, in milliseconds.
    pub tick: i64,
    /// Its name on the wire: `connected`, `absent` ...
    pub state: String,
}

/// Technical entries of a kind, in the order they were sealed.
fn technical(store: &Connection, kind: &str) -> anyhow::Result<Vec<Value>> {
    let sql = "SELECT body FROM technical_entry WHERE kind = ?1 ORDER BY stream, sequence, entry";
    let mut statement = store.prepare(sql)?;
    let bodies = statement.query_map([kind], |row| row.get::<_, String>(0))?;
    bodies.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
}

/// A device's changes of state.
///
/// # Errors
/// If the store cannot be read.
pub fn states(store: &Connection, device: &str) -> anyhow::Result<Vec<State>> {
    let of_device = technical(store, "device_status")?.into_iter().filter(|body| body["device"] == device);
    of_device
        .map(|body| {
            let tick = body["at"]["tick"].as_i64().with_context(|| format!("no tick in {body}"))?;
            Ok(State { tick, state: body["state"].as_str().unwrap_or_default().to_owned() })
        })
        .collect()
}

/// How many moments of a device a hub reported lost before they were taken.
///
/// # Errors
/// If the store cannot be read.
pub fn overrun(store: &Connection, device: &str) -> anyhow::Result<u64> {
    let losses = technical(store, "loss")?;
    let frames = losses.iter().map(|body| &body["extent"]["Frames"]).filter(|frames| frames["device"] == device);
    Ok(frames.filter_map(|frames| frames["count"].as_u64()).sum())
}

/// Refused frames of all devices, as the hub's newest report of itself says; `None` before the first.
///
/// # Errors
/// If the store cannot be read.
pub fn frames_refused(store: &Connection) -> anyhow::Result<Option<u64>> {
    Ok(technical(store, "hub_status")?.last().and_then(|body| body["frames_refused"].as_u64()))
}
