//! The status: one JSON object on a Unix socket, for every connection that asks nothing else. It holds no value of a
//! patient; who listens to a device ([`listen`]) is told values, so the socket's mode lets in the agent's user alone.

pub mod devices;
pub mod listen;

use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use runtime::clock::Clock;
use runtime::supervisor::Progress;
use serde_json::{Value, json};
use shared::id::HubId;
use shared::sequence::Ranges;
use shared::time::Tick;
use shared::wire::BindingInForce;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::devices::Device;
use crate::health;
use crate::limits;
use crate::queue::QueueStatus;
use crate::uplink::{UplinkStatus, state_name};

/// Largest status read by the command, in octets.
const STATUS_BYTES_MAX: u64 = 1024 * 1024;

/// What the status is made of.
pub struct Sources {
    /// The hub.
    pub hub: HubId,
    /// Why the last good configuration is in force, if it is: problems of the one asked for.
    pub safe_mode: Value,
    /// The hub's certificate's last second.
    pub certificate_until_s: i64,
    /// When the agent started.
    pub started: Tick,
    /// The clock.
    pub clock: Clock,
    /// The devices.
    pub devices: Vec<Device>,
    /// The queue.
    pub queue: watch::Receiver<QueueStatus>,
    /// The uplink.
    pub uplink: watch::Receiver<UplinkStatus>,
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

fn pairs(ranges: &Ranges) -> Vec<[u64; 2]> {
    ranges.iter().map(|range| [range.first().get(), range.last().get()]).collect()
}

impl Sources {
    /// The status now.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let at = self.clock.captured();
        let queue = self.queue.borrow().clone();
        let uplink = *self.uplink.borrow();
        let stream = queue.stream.map(|(stream, last_sequence)| {
            let receipted = pairs(&queue.receipted_ranges);
            json!({ "id": stream.to_string(), "last_sequence": last_sequence, "receipted": receipted })
        });
        json!({
            "hub": self.hub.to_string(),
            "version": env!("CARGO_PKG_VERSION"),
            "up_for_ms": millis(at.tick.since(self.started)),
            "safe_mode": self.safe_mode,
            "state": state_name(uplink.state),
            "state_for_ms": millis(at.tick.since(uplink.since)),
            "connections": uplink.counts.connections,
            "stalls": uplink.counts.stalls,
            "stream": stream,
            "accepted_observations": queue.accepted_observations,
            "unaccepted_observations": queue.unaccepted_observations,
            "receipted_observations": queue.receipted_observations,
            "sent_records": uplink.counts.sent_records,
            "sent_batches": uplink.counts.sent_batches,
            "unanswered_batches": uplink.counts.unanswered_batches,
            "receipts": uplink.counts.receipts,
            "last_receipt_ago_ms": uplink.last_receipt.map(|last| millis(at.tick.since(last))),
            "queue_open": queue.is_open,
            "pending_records": queue.pending_records,
            "oldest_pending_ms": queue.oldest_pending_ms,
            "backlog_bytes": queue.backlog_bytes,
            "queue_bytes": queue.queue_bytes,
            "disk_free_bytes": queue.disk_free_bytes,
            "disk_refuses": queue.disk_refuses,
            "quarantined_records": queue.quarantined,
            "void_sequences": queue.voids,
            "losses": queue.losses,
            "databases_set_aside": queue.set_aside,
            "is_drained": queue.is_drained,
            "store": queue.store.map(|store| store.to_string()),
            "settings_counter": uplink.settings_counter,
            "certificate_until_s": self.certificate_until_s,
            "clock": { "tick_ms": at.tick.as_millis(), "wall": at.wall, "state": at.clock },
            "devices": self.devices.iter().map(|device| device_json(device, &queue, at.tick)).collect::<Vec<_>>(),
            "memory_bytes": health::memory_bytes(),
        })
    }
}

fn device_json(device: &Device, queue: &QueueStatus, now: Tick) -> Value {
    let counters = &device.counters;
    let refused: serde_json::Map<String, Value> = counters
        .refused()
        .filter(|(_, count)| *count > 0)
        .map(|(why, count)| (why.name().to_owned(), count.into()))
        .collect();
    let bindings: Vec<&BindingInForce> =
        queue.bindings.iter().filter(|binding| binding.device == device.name).collect();
    let bound: Vec<Value> = bindings
        .iter()
        .map(|binding| json!({ "slot": binding.slot, "binding": binding.binding.to_string() }))
        .collect();
    json!({
        "name": device.name.as_str(),
        "source": device.source,
        "line": counters.line().and_then(|place| device.lines.get(place)),
        "lines_tried": if counters.line().is_none() { device.lines.as_slice() } else { &[] },
        "port_trouble": counters.port_trouble().map(|trouble| trouble.to_string()),
        "last_heard_ago_ms": counters.last_heard().map(|last| millis(now.since(last))),
        "battery_low": counters.battery_low(),
        "state": queue.devices.get(&device.name),
        "bindings": bound,
        "is_unattributed": bindings.is_empty(),
        "frames_accepted": counters.accepted(),
        "frames_refused": refused,
        "overrun": counters.overrun(),
    })
}

/// Takes the place of the status socket.
///
/// # Errors
/// The file system's.
pub fn open(socket: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // A socket left by a run before: the lock on the state folder says that it is over.
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until the uplink has ended, so that a stop can be watched.
///
/// # Errors
/// The socket's.
pub async fn run(
    listener: UnixListener,
    sources: Sources,
    stop: CancellationToken,
    progress: Progress,
) -> io::Result<()> {
    let sources = Arc::new(sources);
    let seats = Arc::new(Semaphore::new(limits::LISTENERS_MAX));
    let mut connections: JoinSet<()> = JoinSet::new();
    progress.waiting("people");
    let mut uplink = sources.uplink.clone();
    let mut end = std::pin::pin!(async move {
        stop.cancelled().await;
        // An error means that the uplink has ended.
        while uplink.changed().await.is_ok() {}
    });
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < limits::STATUS_CONNECTIONS_MAX => {
                let (stream, _) = accepted?;
                connections.spawn(answer(stream, Arc::clone(&sources), Arc::clone(&seats)));
            }
            Some(_) = connections.join_next() => {}
            () = &mut end => return Ok(()),
        }
    }
}

async fn answer(mut stream: UnixStream, sources: Arc<Sources>, seats: Arc<Semaphore>) {
    match listen::question(&mut stream).await {
        listen::Question::Status => say_status(stream, &sources).await,
        listen::Question::Listen { device, json } => {
            match (listen::find(&sources.devices, &device), seats.try_acquire()) {
                (Err(why), _) => listen::refuse(stream, &why).await,
                (_, Err(_)) => listen::refuse(stream, "as many as may listen do already; end one of them").await,
                (Ok(device), Ok(_seat)) => {
                    // Whoever went away or is too slow was let go; nothing is lost but their view.
                    let _ = listen::tell(stream, device, json).await;
                }
            }
        }
    }
}

async fn say_status(mut stream: UnixStream, sources: &Sources) {
    // Counts of a queue that is not open yet would say that nothing is held. A disk that takes longer shows as such.
    let mut queue = sources.queue.clone();
    let _ = tokio::time::timeout(limits::STATUS_OPEN_WITHIN, queue.wait_for(|queue| queue.is_open)).await;
    let text = format!("{}\n", sources.to_json());
    let written = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await
    };
    // Whoever asked and does not listen is let go.
    let _ = tokio::time::timeout(limits::STATUS_WITHIN, written).await;
}

/// Asks a running agent.
///
/// # Errors
/// [`io::Error`] if none answers.
pub fn ask(socket: &Path) -> io::Result<Value> {
    let stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(limits::STATUS_WITHIN))?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut text = String::new();
    stream.take(STATUS_BYTES_MAX).read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(Into::into)
}

/// Prints a status for people: one line for each thing.
///
/// # Errors
/// The output's.
pub fn print(status: &Value, out: &mut impl Write) -> io::Result<()> {
    let Value::Object(rows) = status else { return writeln!(out, "{status}") };
    for (key, value) in rows {
        match value {
            Value::Array(items) => {
                writeln!(out, "{}:", words(key))?;
                items.iter().try_for_each(|item| writeln!(out, "  {}", line(item)))?;
            }
            other => writeln!(out, "{:<26}{}", words(key), line(other))?,
        }
    }
    Ok(())
}

fn words(key: &str) -> String {
    key.replace('_', " ")
}

fn line(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(rows) => {
            let parts = rows.iter().map(|(key, value)| format!("{} {}", words(key), line(value)));
            parts.collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().map(line).collect::<Vec<_>>().join("; "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
    }
}

/// Where the socket is, for messages.
#[must_use]
pub fn no_answer(socket: &Path, error: &io::Error) -> String {
    let socket: PathBuf = socket.to_owned();
    format!("{}: no agent answers ({error}); is the service running?", socket.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_lines() {
        let status = json!({
            "state": "connected", "pending_records": 3, "store": null, "is_drained": false,
            "devices": [{ "name": "oximeter", "state": "connected" }],
        });
        let mut out = Vec::new();
        print(&status, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("pending records           3\n"), "{text}");
        assert!(text.contains("  name oximeter, state connected\n"), "{text}");
        assert!(text.contains("is drained                no\n"), "{text}");
    }

    #[test]
    fn nobody_there_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("status.sock");
        let error = ask(&socket).unwrap_err();
        assert!(no_answer(&socket, &error).contains("no agent answers"));
    }
}
