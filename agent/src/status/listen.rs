//! Listening to a device: what is decoded is told, as it comes, to a person at this machine. The socket is local, and its
//! mode lets in the agent's own user and root alone; who listens is in the log, what they heard is not.

use std::io::{self, BufRead, Write};
use std::os::unix::net::UnixStream as Blocking;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::broadcast::error::RecvError;

use crate::decode::Moment;
use crate::devices::{Counters, Device};
use crate::{limits, show};

/// How often refused frames are told, if there are new ones.
const REFUSALS_EVERY: Duration = Duration::from_secs(1);

/// What may be asked at the status socket. Nothing at all asks for the status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// How the agent is.
    Status,
    /// What a device says from now on.
    Listen {
        /// Its name.
        device: String,
        /// JSON lines instead of text.
        json: bool,
    },
}

/// The first line of an answer to [`Question::Listen`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Greeting {
    /// What follows is what this device says.
    Listening(String),
    /// Nothing follows, and why.
    Refused(String),
}

/// Answers nothing but why not.
pub(super) async fn refuse(stream: UnixStream, why: &str) {
    let (_, mut out) = stream.into_split();
    let _ = write(&mut out, &[greeting(&Greeting::Refused(why.to_owned()))]).await;
}

fn greeting(greeting: &Greeting) -> String {
    json!(greeting).to_string()
}

/// Tells what a device says until the other end goes, or does not take a line in time.
pub(super) async fn tell(stream: UnixStream, device: &Device, as_json: bool) -> io::Result<()> {
    let user = stream.peer_cred().map_or(0, |peer| peer.uid());
    tracing::info!(device = %device.name, user, "somebody at this machine listens to a device");
    let (mut question, mut out) = stream.into_split();
    let mut moments = device.counters.listen();
    let mut counted = Counted::of(&device.counters);
    let mut look = tokio::time::interval(REFUSALS_EVERY);
    write(&mut out, &[greeting(&Greeting::Listening(device.name.to_string()))]).await?;
    let mut nothing = [0_u8; 16];
    loop {
        let lines = tokio::select! {
            moment = moments.recv() => match moment {
                Ok(moment) => moment_lines(&moment, as_json),
                Err(RecvError::Lagged(lost)) => vec![lost_line(lost, as_json)],
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = look.tick() => counted.news(&device.counters, as_json),
            // Nothing more is asked: what ends here is the other end.
            read = question.read(&mut nothing) => match read {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => continue,
            },
        };
        write(&mut out, &lines).await?;
    }
}

async fn write(out: &mut OwnedWriteHalf, lines: &[String]) -> io::Result<()> {
    let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let written = tokio::time::timeout(limits::LISTEN_TAKES_WITHIN, out.write_all(text.as_bytes())).await;
    written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn moment_lines(moment: &Moment, as_json: bool) -> Vec<String> {
    let captured = &moment.captured;
    if as_json {
        let report = show::report_json(&moment.report);
        return vec![json!({ "captured": captured.wall, "clock": captured.clock, "report": report }).to_string()];
    }
    let wall = captured.wall.to_string();
    let time = wall.get(11..19).unwrap_or(&wall);
    show::report_text(&moment.report).into_iter().map(|line| format!("{time}Z {line}")).collect()
}

fn lost_line(count: u64, as_json: bool) -> String {
    if as_json {
        return json!({ "lost": count }).to_string();
    }
    format!("({count} moments are not shown here: this listener is too slow; the agent has them all)")
}

/// Refused frames as they were last told.
struct Counted(Vec<u64>);

impl Counted {
    fn of(counters: &Counters) -> Self {
        Self(counters.refused().map(|(_, count)| count).collect())
    }

    /// Lines for what was refused since.
    fn news(&mut self, counters: &Counters, as_json: bool) -> Vec<String> {
        let now = Self::of(counters);
        let pairs = counters.refused().zip(&now.0).zip(&self.0);
        let new = pairs.map(|(((why, _), now), before)| (why, now.saturating_sub(*before)));
        let lines = new.filter(|(_, count)| *count > 0).map(|(why, count)| match as_json {
            true => json!({ "refused": show::refused_json(why), "count": count }).to_string(),
            false => format!("{count} refused ({}): {}", why.name(), why.explained()),
        });
        let lines = lines.collect();
        *self = now;
        lines
    }
}

/// How listening ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The agent refused, and says why.
    Refused(String),
    /// The agent stopped, or let go of us.
    LetGo,
    /// Who reads what we print went away.
    Unread,
}

/// Listens to a device of the running agent and writes what it says.
///
/// # Errors
/// [`io::Error`] if no agent answers.
pub fn follow(socket: &Path, device: &str, as_json: bool, out: &mut impl Write) -> io::Result<Ended> {
    let mut stream = Blocking::connect(socket)?;
    let question = json!(Question::Listen { device: device.to_owned(), json: as_json });
    writeln!(stream, "{question}")?;
    let mut lines = io::BufReader::new(stream).lines();
    let first = lines.next().transpose()?.ok_or(io::ErrorKind::UnexpectedEof)?;
    if let Greeting::Refused(why) = serde_json::from_str(&first)? {
        return Ok(Ended::Refused(why));
    }
    for line in lines {
        let Ok(line) = line else { return Ok(Ended::LetGo) };
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return Ok(Ended::Unread);
        }
    }
    Ok(Ended::LetGo)
}

/// Reads a question; what is none asks for the status, as an empty one does.
pub(super) async fn question(stream: &mut UnixStream) -> Question {
    let mut text = Vec::new();
    let mut byte = [0_u8; 1];
    let read = async {
        while u64::try_from(text.len()).unwrap_or(u64::MAX) < limits::QUESTION_BYTES_MAX {
            match stream.read(&mut byte).await {
                Ok(1) if byte != *b"\n" => text.extend(byte),
                _ => break,
            }
        }
    };
    // Whoever asks nothing for so long wants to know how the agent is.
    let _ = tokio::time::timeout(limits::STATUS_WITHIN, read).await;
    serde_json::from_slice(&text).unwrap_or(Question::Status)
}

/// The device of this name.
pub(super) fn find<'a>(devices: &'a [Device], name: &str) -> Result<&'a Device, String> {
    devices.iter().find(|device| device.name.as_str() == name).ok_or_else(|| {
        let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        format!("there is no device {name}; there are: {}", names.join(", "))
    })
}
