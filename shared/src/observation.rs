//! An observation: a reading with its device, its binding, its time and the state of the clock that told it.

use serde::{Deserialize, Serialize};

use crate::id::{BindingId, DeviceId};
use crate::reading::Reading;
use crate::time::{ClockState, Tick, Timestamp};

/// A reading as the hub took it. Sealed at once; the server alone reads it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The device, by its name on the hub.
    pub device: DeviceId,
    /// The user slot of a device that several people use.
    pub slot: Option<u8>,
    /// The binding in force when it was taken; `None` is *unattributed*.
    pub binding: Option<BindingId>,
    /// What the device said.
    pub reading: Reading,
    /// When the hub took it.
    pub captured: Captured,
    /// The device's own clock, if it sent one.
    pub device_time: Option<DeviceTime>,
    /// Set when it came from the device's memory, not from the moment.
    pub from_memory: Option<DeviceRecordId>,
}

/// A moment on the hub: both clocks, and how far the wall clock can be believed. The boot is the stream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Captured {
    /// The hub's monotonic clock.
    pub tick: Tick,
    /// The hub's wall clock, whatever it said.
    pub wall: Timestamp,
    /// How far to believe `wall`.
    pub clock: ClockState,
}

/// A device's own clock: local time without a zone, 0 = unknown (Bluetooth GSS, Date Time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceTime {
    /// 0 or 1582 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl DeviceTime {
    /// The moment it would be if it were UTC, to compare it roughly with others: a device's clock has no zone and may be wrong.
    /// `None` if a part of it is unknown or there is no such time.
    #[must_use]
    pub fn as_if_utc(self) -> Option<Timestamp> {
        if self.year == 0 {
            return None;
        }
        let month = time::Month::try_from(self.month).ok()?;
        let date = time::Date::from_calendar_date(self.year.into(), month, self.day).ok()?;
        let time = time::Time::from_hms(self.hour, self.minute, self.second).ok()?;
        let seconds = time::PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp();
        Some(Timestamp::from_millis(seconds.checked_mul(1000)?))
    }
}

/// Which record of a device's memory an observation is; the second with the same id is a repeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceRecordId {
    /// The device's serial number or address, at most 64 octets.
    pub identity: String,
    /// The record's number in the device.
    pub record: u32,
    /// The time the device gave it.
    pub time: Option<DeviceTime>,
    /// The first 16 octets of SHA-256 over the record's bytes.
    pub digest: [u8; 16],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_time_is_a_moment_only_if_all_of_it_is_known() {
        let time = DeviceTime { year: 2026, month: 2, day: 28, hour: 23, minute: 59, second: 58 };
        assert_eq!(time.as_if_utc(), Some(Timestamp::from_millis(1_772_323_198_000)));
        for wrong in [
            DeviceTime { year: 0, ..time },
            DeviceTime { month: 0, ..time },
            DeviceTime { day: 0, ..time },
            DeviceTime { day: 29, ..time },
            DeviceTime { hour: 24, ..time },
            DeviceTime { second: 60, ..time },
        ] {
            assert_eq!(wrong.as_if_utc(), None, "{wrong:?}");
        }
    }
}
