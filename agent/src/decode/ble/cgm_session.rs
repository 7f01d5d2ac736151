//! A continuous glucose session: what the sensor says of itself (CGM Feature, 2AA8) and when it began (CGM Session Start Time,
//! 2AAA). With both, its records ([`super::cgm`]) have a checked CRC and a time.
//!
//! Source: Bluetooth CGM Service 1.0.2, 3.2 and 3.4; GATT Specification Supplement (STANDARDS §1.3).
//! ```text
//! feature  flags u24 (b12 E2E-CRC), type (low nibble) and site (high nibble), CRC u16 (FFFF where it sends none)
//! start    Date Time, zone i8 in quarters of an hour (-128 unknown), daylight saving u8, CRC u16 if b12
//! ```

use shared::observation::DeviceTime;

use super::cgm::{CgmRecords, E2eCrc, Sample};
use crate::decode::checksum::crc16_mcrf4xx;
use crate::decode::cursor::Cursor;
use crate::decode::{RefusedFrame, Report, date_time};

const CRC_SUPPORTED: u32 = 1 << 12;
const NO_CRC: u16 = 0xFFFF;
const FEATURE_BARE_BYTES: usize = 4;
const START_BARE_BYTES: usize = 9;
const ZONE_UNKNOWN: i8 = -128;

/// What a sensor can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// The flags as sent.
    pub flags: u32,
    /// What it measures, as sent: see [`Sample`].
    pub sample: u8,
    /// Where: 5 is under the skin.
    pub site: u8,
}

impl Feature {
    /// Reads a value of CGM Feature.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`], [`RefusedFrame::Checksum`], or [`RefusedFrame::Contradiction`]: a CRC, and the flags say
    /// that none is sent.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let (flags, place, crc) = (cursor.u24()?, cursor.u8()?, cursor.u16()?);
        let feature = Self { flags, sample: place & 0x0F, site: place >> 4 };
        let body = value.get(..FEATURE_BARE_BYTES).ok_or(RefusedFrame::Length)?;
        match feature.crc() {
            _ if !cursor.rest().is_empty() => Err(RefusedFrame::Length),
            E2eCrc::Sent if crc != crc16_mcrf4xx(body) => Err(RefusedFrame::Checksum),
            E2eCrc::NotSent if crc != NO_CRC => Err(RefusedFrame::Contradiction),
            _ => Ok(feature),
        }
    }

    /// Whether its values have a CRC.
    #[must_use]
    pub const fn crc(self) -> E2eCrc {
        if self.flags & CRC_SUPPORTED == 0 { E2eCrc::NotSent } else { E2eCrc::Sent }
    }
}

/// When a session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionStart {
    /// By the device's clock, local.
    pub time: DeviceTime,
    /// Its zone in quarters of an hour east of UTC, if known.
    pub zone_quarter_hours: Option<i8>,
    daylight_saving: u8,
}

impl SessionStart {
    /// Reads a value of CGM Session Start Time.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`], [`RefusedFrame::Checksum`], or [`RefusedFrame::DeviceTime`]: the octets are no time.
    pub fn of(value: &[u8], crc: E2eCrc) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(crc.checked(value, START_BARE_BYTES)?);
        let time = date_time::read(&mut cursor)?;
        let zone = Some(cursor.i8()?).filter(|zone| *zone != ZONE_UNKNOWN);
        Ok(Self { time, zone_quarter_hours: zone, daylight_saving: cursor.u8()? })
    }

    /// Which daylight saving its time has; `None` for a number that is reserved.
    #[must_use]
    pub const fn daylight_saving(self) -> Option<&'static str> {
        Some(match self.daylight_saving {
            0 => "standard",
            2 => "half-hour-daylight",
            4 => "daylight",
            8 => "double-daylight",
            255 => "unknown",
            _ => return None,
        })
    }
}

/// What is known of a sensor while it is connected.
#[derive(Debug, Clone, Copy, Default)]
pub struct CgmSession {
    crc: E2eCrc,
    sample: Sample,
    start: Option<DeviceTime>,
}

impl CgmSession {
    /// CGM Feature was read.
    ///
    /// # Errors
    /// As [`Feature::of`]; what was known stays.
    pub fn feature(&mut self, value: &[u8]) -> Result<(), RefusedFrame> {
        let feature = Feature::of(value)?;
        (self.crc, self.sample) = (feature.crc(), Sample::of(feature.sample));
        Ok(())
    }

    /// CGM Session Start Time was read. A value that is refused makes the start unknown: the one before it may be that of
    /// another session.
    ///
    /// # Errors
    /// As [`SessionStart::of`].
    pub fn start(&mut self, value: &[u8]) -> Result<(), RefusedFrame> {
        let start = SessionStart::of(value, self.crc);
        self.start = start.ok().map(|start| start.time);
        start.map(|_| ())
    }

    /// A notification of CGM Measurement: a report for each record.
    ///
    /// # Errors
    /// As [`CgmRecords::of`].
    pub fn records(self, value: &[u8], from_memory: bool) -> Result<impl Iterator<Item = Report>, RefusedFrame> {
        let records = CgmRecords::of(value, self.crc)?;
        Ok(records.iter().map(move |record| record.report(self.start, from_memory, self.sample)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use shared::metric::Metric;

    use super::*;

    const START: [u8; 9] = [0xEA, 7, 4, 24, 23, 8, 24, 8, 4];

    fn with_crc(value: &[u8]) -> Vec<u8> {
        [value, &crc16_mcrf4xx(value).to_le_bytes()].concat()
    }

    #[test]
    fn features_say_whether_a_crc_comes() {
        assert_eq!(Feature::of(&[0, 0, 0, 0x59, 0xFF, 0xFF]).map(Feature::crc), Ok(E2eCrc::NotSent));
        assert_eq!(Feature::of(&with_crc(&[0, 0x10, 0, 0x59])).map(Feature::crc), Ok(E2eCrc::Sent));
        assert_eq!(Feature::of(&[0, 0x10, 0, 0x59, 0xFF, 0xFF]), Err(RefusedFrame::Checksum));
        assert_eq!(Feature::of(&with_crc(&[0, 0, 0, 0x59])), Err(RefusedFrame::Contradiction));
        for length in [0, 3, 4, 5] {
            assert_eq!(Feature::of(&[0, 0, 0, 0x59, 0xFF, 0xFF][..length]), Err(RefusedFrame::Length));
        }
        assert_eq!(Feature::of(&[0, 0, 0, 0x59, 0xFF, 0xFF, 0]), Err(RefusedFrame::Length));
    }

    #[test]
    fn a_records_time_counts_from_the_start() {
        let mut session = CgmSession::default();
        let time =
            |session: CgmSession| session.records(&[6, 0, 120, 0, 90, 0], false).unwrap().next().unwrap().device_time;
        assert_eq!(time(session), None);
        session.start(&START).unwrap();
        let later = DeviceTime { year: 2026, month: 4, day: 25, hour: 0, minute: 38, second: 24 };
        assert_eq!(time(session), Some(later), "90 minutes after 23:08:24");
        assert_eq!(session.start(&[0xEA, 7, 2, 30, 0, 0, 0, 0, 0]), Err(RefusedFrame::DeviceTime));
        assert_eq!(time(session), None, "no longer known");
    }

    #[test]
    fn what_the_features_say_is_measured_holds_for_every_record() {
        let mut session = CgmSession::default();
        let metric = |session: CgmSession| {
            session.records(&[6, 0, 120, 0, 90, 0], false).unwrap().next().unwrap().readings[0].metric
        };
        assert_eq!(metric(session), Metric::InterstitialGlucose, "until it says");
        session.feature(&[0, 0, 0, 0x51, 0xFF, 0xFF]).unwrap();
        assert_eq!(metric(session), Metric::Glucose);
    }

    #[test]
    fn a_crc_that_the_features_announce_is_asked_of_the_start_and_of_records() {
        let mut session = CgmSession::default();
        session.feature(&with_crc(&[0, 0x10, 0, 0x59])).unwrap();
        assert_eq!(session.start(&START), Err(RefusedFrame::Length));
        assert_eq!(session.start(&with_crc(&START)), Ok(()));
        assert!(session.records(&[6, 0, 120, 0, 90, 0], false).is_err());
        let record = with_crc(&[8, 0, 120, 0, 90, 0]);
        assert_eq!(session.records(&record, false).unwrap().count(), 1);
        assert_eq!(
            session.records(&record, true).unwrap().next().unwrap().memory.map(|memory| memory.record),
            Some(90)
        );
    }
}
