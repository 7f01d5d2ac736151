//! Logs go to standard error, as text for people or JSON for machines. Nothing but a level is read from the
//! environment (`RPM_LOG`). Libraries are heard from WARN up only: their finer messages may hold payloads.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The environment variable that overrides the level.
pub const LEVEL_VARIABLE: &str = "RPM_LOG";

/// Crates of ours, by the targets their events carry.
const OURS: [&str; 7] = ["agent", "hub_agent", "hub_installer", "monitor_server", "runtime", "server", "shared"];

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// The finest messages that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Someone must act.
    Error,
    /// It recovered.
    Warn,
    /// Changes of state.
    #[default]
    Info,
    /// Per batch.
    Debug,
    /// Per frame.
    Trace,
}

/// A text that names no level or format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableLogging {
    /// No level.
    #[error("a log level is one of error, warn, info, debug, trace")]
    Level,
    /// No format.
    #[error("a log format is text or json")]
    Format,
}

impl FromStr for Level {
    type Err = UnreadableLogging;
    fn from_str(text: &str) -> Result<Self, UnreadableLogging> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(UnreadableLogging::Level),
        }
    }
}

impl FromStr for Format {
    type Err = UnreadableLogging;
    fn from_str(text: &str) -> Result<Self, UnreadableLogging> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnreadableLogging::Format),
        }
    }
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

/// Starts logging. Where it was started before, nothing changes. An unreadable `RPM_LOG` is said and ignored.
pub fn init(format: Format, level: Level) {
    let wanted = std::env::var(LEVEL_VARIABLE).ok();
    let parsed = wanted.as_deref().map(str::parse::<Level>);
    let level = match parsed {
        Some(Ok(level)) => level,
        Some(Err(_)) | None => level,
    };
    // Plain, for files and the journal.
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(targets(level)).with(filter_fn(is_wanted));
    let started = match format {
        Format::Text => registry.with(layer).try_init(),
        Format::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    if started.is_ok()
        && let Some(Err(error)) = parsed
    {
        tracing::warn!(variable = LEVEL_VARIABLE, %error, "the level in the environment is ignored");
    }
}

fn targets(level: Level) -> Targets {
    let level = LevelFilter::from(level);
    let others = level.min(LevelFilter::WARN);
    Targets::new().with_default(others).with_targets(OURS.map(|target| (target, level)))
}

/// Spans of libraries are not made at all: one of them writes every message into a span, at the level of errors, and it
/// would be most of what passing a message on costs.
fn is_wanted(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() || OURS.iter().any(|ours| metadata.target().starts_with(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_heard_and_libraries_only_when_they_warn() {
        let at_trace = targets(Level::Trace);
        assert!(at_trace.would_enable("agent::queue", &tracing::Level::TRACE));
        assert!(at_trace.would_enable("monitor_server", &tracing::Level::TRACE));
        assert!(!at_trace.would_enable("rumqttd::router", &tracing::Level::INFO));
        assert!(at_trace.would_enable("rumqttd::router", &tracing::Level::WARN));
        let at_error = targets(Level::Error);
        assert!(!at_error.would_enable("server::store", &tracing::Level::WARN));
        assert!(!at_error.would_enable("rumqttd::router", &tracing::Level::WARN));
    }

    #[test]
    fn a_second_start_changes_nothing_and_does_not_panic() {
        init(Format::Json, Level::Warn);
        init(Format::Text, Level::Trace);
    }

    #[test]
    fn words_of_the_configuration() {
        assert_eq!("debug".parse(), Ok(Level::Debug));
        assert_eq!("loud".parse::<Level>(), Err(UnreadableLogging::Level));
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("xml".parse::<Format>(), Err(UnreadableLogging::Format));
    }
}
