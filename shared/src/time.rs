//! Two clocks that never mix: [`Tick`] (monotonic, counts through suspend) and [`Timestamp`] (wall, UTC).
//! Nothing here reads a clock; `runtime::clock` does.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Monotonic milliseconds since this machine's boot. Comparable only within one boot of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Tick(u64);

impl Tick {
    /// The tick at this many milliseconds since boot.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since boot.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This tick moved later; stops at the end of time rather than wrap.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; nothing if it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Wall-clock time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds. JSON shows RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as RFC 3339, for example 2026-03-29T08:15:00Z")]
pub struct UnreadableTimestamp;

impl Timestamp {
    /// The time at this many milliseconds since the start of 1970 (negative: before).
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start of 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This time moved later; stops at the end of time rather than wrap.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time moved earlier; stops at the start of time rather than wrap.
    #[must_use]
    pub fn before(self, back: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(back.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; nothing if it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0).saturating_mul(1_000_000);
        let text = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().and_then(|time| time.format(&Rfc3339).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl FromStr for Timestamp {
    type Err = UnreadableTimestamp;
    fn from_str(text: &str) -> Result<Self, UnreadableTimestamp> {
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| UnreadableTimestamp)?;
        let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(millis).map(Self).map_err(|_| UnreadableTimestamp)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

/// How far a wall clock can be believed. The order of variants is part of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockState {
    /// Disciplined by a time source now.
    Synchronised,
    /// Was set in this boot or by a battery-backed clock, and is running free.
    HeldOver,
    /// Never set since power came: the value means nothing.
    NeverSet,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_rfc_3339() {
        let time: Timestamp = "2026-03-29T01:15:00.250+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-03-29T00:15:00.25Z");
        assert_eq!("yesterday".parse::<Timestamp>(), Err(UnreadableTimestamp));
    }

    #[test]
    fn no_difference_is_negative_and_nothing_wraps() {
        let (early, late) = (Timestamp::from_millis(-5), Timestamp::from_millis(10));
        assert_eq!(late.since(early), Duration::from_millis(15));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(Tick::from_millis(u64::MAX).after(Duration::from_secs(1)), Tick::from_millis(u64::MAX));
        assert_eq!(Timestamp::from_millis(i64::MAX).after(Duration::MAX), Timestamp::from_millis(i64::MAX));
    }

    proptest! {
        #[test]
        fn text_and_back(millis in -60_000_000_000_000_i64..200_000_000_000_000) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn no_millisecond_count_panics(millis: i64) {
            let _ = Timestamp::from_millis(millis).to_string();
        }
    }
}
