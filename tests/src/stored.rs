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

/// Gaps inside streams (stream, first, last): sequences before the last one that are not stored, reported gone or not.
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

/// What hubs reported lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// Moments of each device that were never taken, because the queue had no room in time.
    pub overrun: BTreeMap<String, u64>,
    /// Loss entries about anything else, by cause: a disk that was full, or refused, or was damaged.
    pub others: BTreeMap<String, u64>,
}

/// What hubs reported lost, all of it.
///
/// # Errors
/// If the store cannot be read.
pub fn losses(store: &Connection) -> anyhow::Result<Losses> {
    let mut losses = Losses::default();
    for body in technical(store, "loss")? {
        let cause = body["cause"].as_str().with_context(|| format!("no cause in {body}"))?;
        let frames = &body["extent"]["Frames"];
        match (cause, frames["device"].as_str(), frames["count"].as_u64()) {
            ("overrun", Some(device), Some(count)) => *losses.overrun.entry(device.to_owned()).or_default() += count,
            _ => *losses.others.entry(cause.to_owned()).or_default() += 1,
        }
    }
    Ok(losses)
}

/// Refused frames of all devices, as the hub's newest report of itself says; `None` before the first.
///
/// # Errors
/// If the store cannot be read.
pub fn frames_refused(store: &Connection) -> anyhow::Result<Option<u64>> {
    Ok(technical(store, "hub_status")?.last().and_then(|body| body["frames_refused"].as_u64()))
}

#[cfg(test)]
mod tests {
    use shared::observation::Captured;
    use shared::sequence::{Range, Sequence};
    use shared::time::{ClockState, Tick, Timestamp};
    use shared::wire::{Loss, LossCause, LossExtent};

    use super::*;

    fn store(sql: &str) -> Connection {
        let store = Connection::open_in_memory().unwrap();
        store.execute_batch(sql).unwrap();
        store
    }

    #[test]
    fn what_was_lost_is_counted_by_device_and_by_cause() {
        let store = store("CREATE TABLE technical_entry (entry INTEGER PRIMARY KEY, stream, sequence, kind, body)");
        let tick = Tick::from_millis(5);
        let at = Captured { tick, wall: Timestamp::from_millis(0), clock: ClockState::NeverSet };
        let frames = |device: &str, count| LossExtent::Frames {
            device: device.parse().unwrap(),
            count,
            from: tick,
            until: tick,
        };
        let range = Range::one(Sequence::new(1).unwrap());
        let records = LossExtent::Records { stream: shared::id::StreamId::from_bytes([1; 16]), range };
        let losses = [
            (frames("a", 3), LossCause::Overrun),
            (frames("a", 4), LossCause::Overrun),
            (frames("b", 1), LossCause::Overrun),
            (records, LossCause::DiskFull),
        ];
        for (extent, cause) in losses {
            let body = serde_json::to_string(&Loss { at, extent, cause }).unwrap();
            store.execute("INSERT INTO technical_entry VALUES (NULL, 1, 1, 'loss', ?1)", [body]).unwrap();
        }
        let expected = Losses {
            overrun: [("a".to_owned(), 7), ("b".to_owned(), 1)].into(),
            others: [("disk_full".to_owned(), 1)].into(),
        };
        assert_eq!(super::losses(&store).unwrap(), expected);
    }

    #[test]
    fn both_rows_of_a_moment_are_one_reading_and_others_stand_alone() {
        let (pulse, spo2, other) = (Metric::PulseRate as i64, Metric::SpO2 as i64, Metric::Weight as i64);
        let store = store(&format!(
            "CREATE TABLE observation (device, captured_tick, stream, sequence, position, metric, mantissa, exponent);
             INSERT INTO observation VALUES ('a', 10, 1, 1, 0, {spo2}, 97, 0), ('a', 10, 1, 1, 1, {pulse}, 72, 0),
               ('b', 10, 1, 1, 2, {pulse}, 50, 0), ('a', 20, 1, 3, 0, {spo2}, 98, 0), ('a', 20, 1, 2, 0, {pulse}, NULL, NULL),
               ('a', 30, 1, 4, 0, {pulse}, 73, 0), ('a', 40, 1, 5, 0, {other}, 80, 0)"
        ));
        let reading = |tick, pulse, spo2| Reading { tick, pulse, spo2 };
        let expected = [
            reading(10, Some(72), Some(97)),
            reading(20, None, Some(98)),
            reading(30, Some(73), None),
            reading(40, None, None),
        ];
        assert_eq!(readings(&store, "a").unwrap(), expected);
    }
}
