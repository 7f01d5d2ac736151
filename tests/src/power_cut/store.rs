//! The server's store before and after a power cut: the real SQLite store, played in a process whose calls are traced, and what
//! a store must still hold that is opened on what such a cut leaves.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use rusqlite::{Connection, OpenFlags};
use server::access::{Action, Actor, permit};
use server::alerts::{Alerts, Pack};
use server::ingest::{Arrived, NewStream, OpenedBatch, OpenedRecord};
use server::keys::{MasterKey, PatientVault};
use server::store::Store;
use server::store::sqlite::SqliteStore;
use shared::id::{BootId, HubId, SealingKeyId, StreamId};
use shared::metric::Metric;
use shared::observation::{Captured, Observation};
use shared::reading::{Quality, Reading};
use shared::sealing::Suite;
use shared::sequence::Sequence;
use shared::time::{ClockState, Tick, Timestamp};
use shared::units::{Decimal, Unit};
use shared::wire::{Entry, Opening};

use super::Checked;
use crate::simulators::patient::mix;

/// When the play begins, on the wall clock.
const BEGINS: i64 = 1_800_000_000_000;

fn open(file: &Path, now: Timestamp) -> anyhow::Result<SqliteStore> {
    let vault = PatientVault::new(&MasterKey::from_bytes([5; 32]));
    Ok(SqliteStore::open(file, vault, now)?)
}

fn alerts() -> anyhow::Result<Alerts> {
    Ok(Alerts::new(Pack::adult_default(1)?))
}

fn opening(hub: HubId, stream: StreamId) -> anyhow::Result<NewStream> {
    let opening = Opening {
        suite: Suite::XWing,
        hub,
        stream,
        previous: None,
        bindings: Vec::new(),
        sealing_key: SealingKeyId::from_bytes([2; 16]),
        encapsulation: vec![1; 1120],
        key_check: [3; 16],
        boot: BootId::from_bytes([4; 16]),
        tick: Tick::from_millis(0),
        wall: Timestamp::from_millis(BEGINS),
        clock: ClockState::Synchronised,
        agent_version: "1".to_owned(),
    };
    let body = shared::wire::to_bytes(&opening)?;
    Ok(NewStream { opening, body, signature: vec![4; 70], identity_digest: [6; 32] })
}

/// Batches as ingest would hand them over.
struct Sending {
    next: BTreeMap<(HubId, StreamId), u64>,
}

impl Sending {
    fn batch(&mut self, hub: u8, stream: u8, records: u64, at: u64, draw: u64) -> anyhow::Result<OpenedBatch> {
        let (hub, stream) = (HubId::from_bytes([hub; 16]), StreamId::from_bytes([stream; 16]));
        let next = self.next.entry((hub, stream)).or_insert(1);
        let new_stream = (*next == 1).then(|| opening(hub, stream)).transpose()?;
        let mut opened = Vec::new();
        for place in 0..records {
            let sequence = Sequence::new(*next).context("a sequence begins at 1")?;
            *next += 1;
            let draw = mix(draw ^ place);
            let tag = [mix(draw).to_be_bytes(), mix(draw ^ 1).to_be_bytes()].concat();
            let entries =
                (0..1 + draw % 4).map(|entry| observation(at, mix(draw ^ entry))).collect::<Result<_, _>>()?;
            opened.push(OpenedRecord {
                sequence,
                keep: false,
                tag: tag.try_into().unwrap_or_default(),
                content: Ok(entries),
                raw: vec![7; 100],
            });
        }
        let arrived =
            Arrived { tick: Tick::from_millis(at), wall: Timestamp::from_millis(BEGINS + i64::try_from(at)?) };
        let sent = Some(Tick::from_millis(at));
        Ok(OpenedBatch { hub, stream, new_stream, sent, transit_ms: 0, arrived, records: opened })
    }
}

fn observation(at: u64, draw: u64) -> anyhow::Result<Entry> {
    let tick = Tick::from_millis(at.saturating_sub(draw % 900));
    let wall = Timestamp::from_millis(BEGINS + i64::try_from(tick.as_millis())?);
    // Low for a quarter of the time, so that alerts come and go.
    let spo2 = if (at / 60_000).is_multiple_of(4) { 84 } else { 97 };
    Ok(Entry::Observation(Observation {
        device: "oximeter".parse()?,
        slot: None,
        binding: None,
        reading: Reading::value(Metric::SpO2, Decimal::from(spo2), Unit::Percent, Quality::GOOD),
        captured: Captured { tick, wall, clock: ClockState::Synchronised },
        device_time: None,
        from_memory: None,
    }))
}

/// Plays a store for so many transactions and says, a line each, what is stored.
///
/// # Errors
/// If the store does not do as it should.
pub fn play(folder: &Path, seed: u64, steps: u64) -> anyhow::Result<()> {
    let file = folder.join("store.sqlite");
    let mut at = 1_000_u64;
    let wall = |at: u64| Ok::<_, anyhow::Error>(Timestamp::from_millis(BEGINS + i64::try_from(at)?));
    let mut store = open(&file, wall(at)?)?;
    let mut engine = alerts()?;
    let mut sending = Sending { next: BTreeMap::new() };
    println!("begun");
    for step in 0..steps {
        let draw = |what: u64| mix(mix(seed ^ what.rotate_left(40)) ^ step);
        at += 200 + draw(1) % 2_000;
        let mut batches = Vec::new();
        for place in 0..1 + draw(2) % 4 {
            let hub = 1 + (draw(3 + place) % 3) as u8;
            let stream = hub * 16 + (step * 4 / steps.max(1)) as u8;
            batches.push(sending.batch(hub, stream, 1 + draw(10 + place) % 5, at, draw(20 + place))?);
        }
        let committed = store.take(&batches, &mut engine, wall(at)?)?;
        let mut line = String::from("stored");
        for (batch, outcome) in batches.iter().zip(committed.batches) {
            outcome?;
            for record in &batch.records {
                let count = record.content.as_ref().map_or(0, Vec::len);
                line += &format!(" {}/{}/{count}", batch.stream, record.sequence.get());
            }
        }
        if let Some(last) = committed.events.last() {
            line += &format!(" event/{}", last.number.0);
        }
        println!("{line}");
        match draw(4) % 24 {
            0 => store.idle(wall(at)?)?,
            1 => {
                drop(store);
                store = open(&file, wall(at)?)?;
                engine = alerts()?;
                store.restore_alerts(&mut engine)?;
            }
            2 | 3 => {
                let committed = store.take_deadlines(&mut engine, wall(at)?)?;
                if let Some(last) = committed.events.last() {
                    println!("stored event/{}", last.number.0);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a store has promised at some moment.
#[derive(Debug, Clone, Default)]
pub struct Promised {
    begun: bool,
    /// Observations of each record.
    records: BTreeMap<(StreamId, u64), i64>,
    /// The last alert event.
    event: i64,
}

impl Promised {
    /// Takes note of a line that [`play`] said.
    ///
    /// # Errors
    /// If it is none of its lines.
    pub fn hear(&mut self, line: &str) -> anyhow::Result<()> {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("begun") => self.begun = true,
            Some("stored") => {
                for word in words {
                    let parts: Vec<&str> = word.split('/').collect();
                    match parts.as_slice() {
                        ["event", number] => self.event = number.parse()?,
                        [stream, sequence, count] => {
                            self.records.insert((stream.parse()?, sequence.parse()?), count.parse()?);
                        }
                        _ => bail!("not a word of a store: {word:.100}"),
                    }
                }
            }
            _ => bail!("not a line of a store: {line:.100}"),
        }
        Ok(())
    }

    /// Opens a store as the server does and looks for everything that was promised; then stores something in it.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn check(&self, folder: &Path) -> anyhow::Result<Checked> {
        let file = folder.join("store.sqlite");
        let now = Timestamp::from_millis(BEGINS + 86_400_000);
        let begun = Instant::now();
        let mut store = open(&file, now).context("the store does not open")?;
        let mut engine = alerts()?;
        store.restore_alerts(&mut engine).context("alert states are not read")?;
        let took = begun.elapsed();
        let found = look(&file)?;
        for ((stream, sequence), count) in &self.records {
            let there = found.records.get(&(*stream, *sequence));
            ensure!(there == Some(count), "record {sequence} of stream {stream}: {count} observations, not {there:?}");
        }
        ensure!(found.twice == 0, "{} observations are stored twice", found.twice);
        ensure!(found.event >= self.event, "alert event {} was told, and {} is the last", self.event, found.event);
        ensure!(found.events == found.event, "{} alert events up to number {}", found.events, found.event);
        let operator = Actor::LocalOperator { user: "operator".to_owned() };
        let verdict = store.audit_verify(&permit(&operator, Action::AuditVerify)?, now)?;
        ensure!(verdict.first_broken.is_none(), "the audit chain is broken at {:?}", verdict.first_broken);
        let mut sending = Sending { next: BTreeMap::new() };
        let batch = sending.batch(9, 99, 1, 86_400_000, 1)?;
        for outcome in store.take(&[batch], &mut engine, now).context("nothing can be stored")?.batches {
            outcome?;
        }
        Ok(Checked { promises: self.records.len() as u64, set_aside: 0, took })
    }
}

struct Found {
    records: BTreeMap<(StreamId, u64), i64>,
    twice: i64,
    event: i64,
    events: i64,
}

/// Reads the store beside whoever has it open.
fn look(file: &Path) -> anyhow::Result<Found> {
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    let sound: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    ensure!(sound == "ok", "SQLite finds: {sound}");
    let sql = "SELECT stream.stream, record.sequence, (SELECT count(*) FROM observation \
               WHERE observation.stream = record.stream AND observation.sequence = record.sequence) \
               FROM record JOIN stream ON stream.ordinal = record.stream";
    let mut statement = conn.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        let stream: [u8; 16] = row.get(0)?;
        Ok(((StreamId::from_bytes(stream), row.get::<_, i64>(1)?.unsigned_abs()), row.get(2)?))
    })?;
    let records = rows.collect::<Result<_, _>>()?;
    let one = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let twice =
        "SELECT count(*) FROM (SELECT 1 FROM observation GROUP BY stream, sequence, position HAVING count(*) > 1)";
    let twice = one(twice)?;
    let event = one("SELECT coalesce(max(number), 0) FROM alert_event")?;
    let events = one("SELECT count(*) FROM alert_event")?;
    Ok(Found { records, twice, event, events })
}
