//! What a device said, decoded: readings, and what came with them.

use arrayvec::ArrayVec;
use sha2::{Digest, Sha256};
use shared::observation::{Captured, DeviceTime};
use shared::reading::Reading;

/// Readings of one report: at most one for each metric. Kept in place, so that decoding takes no memory.
pub type Readings = ArrayVec<Reading, READINGS_MAX>;

/// The most metrics that one frame of any device carries (body composition: nine).
pub const READINGS_MAX: usize = 12;

/// What a device said in one frame, or in what its protocol joins to one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The device's own clock, if it sent one.
    pub device_time: Option<DeviceTime>,
    /// Which record it is, if it is from the device's memory.
    pub memory: Option<Memory>,
    /// The device's user slot, if it says whose it is.
    pub slot: Option<u8>,
    /// At most one for each metric; none while a measurement is in progress.
    pub readings: Readings,
    /// What the device says of its battery, if it does.
    pub battery_low: Option<bool>,
}

impl Report {
    /// Adds a reading. A second one of its metric, or one more than there is room for, is not added: a decoder gives each
    /// metric once.
    pub fn add(&mut self, reading: Reading) {
        if self.readings.iter().all(|other| other.metric != reading.metric) {
            // Full: more metrics than any protocol has.
            let _ = self.readings.try_push(reading);
        }
    }

    /// The report as one of this moment.
    #[must_use]
    pub const fn at(self, captured: Captured) -> Moment {
        Moment { captured, report: self }
    }
}

/// A report and when it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When the bytes that completed it came in.
    pub captured: Captured,
    /// What it says.
    pub report: Report,
}

/// Which record of a device's memory a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The record's number in the device; 0 where its protocol has none.
    pub record: u32,
    /// The first 16 octets of SHA-256 over the record's bytes.
    pub digest: [u8; 16],
}

impl Memory {
    /// The record of this number with these bytes.
    #[must_use]
    pub fn of(record: u32, bytes: &[u8]) -> Self {
        let sum = Sha256::digest(bytes);
        Self { record, digest: sum.first_chunk().copied().unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use shared::metric::Metric;
    use shared::reading::{NoReading, Quality};

    use super::*;

    #[test]
    fn each_metric_once() {
        let mut report = Report::default();
        report.add(Reading::none(Metric::SpO2, NoReading::SensorOff, Quality::GOOD));
        report.add(Reading::none(Metric::SpO2, NoReading::Searching, Quality::GOOD));
        report.add(Reading::none(Metric::PulseRate, NoReading::SensorOff, Quality::GOOD));
        let metrics: Vec<_> = report.readings.iter().map(|reading| reading.metric).collect();
        assert_eq!(metrics, [Metric::SpO2, Metric::PulseRate]);
    }

    #[test]
    fn a_record_is_told_by_its_bytes() {
        // SHA-256 of "abc", FIPS 180-4.
        assert_eq!(shared::hex::encode(&Memory::of(0, b"abc").digest), "ba7816bf8f01cfea414140de5dae2223");
        assert_ne!(Memory::of(0, b"a"), Memory::of(0, b"b"));
    }
}
