//! Omron cuffs of before the Bluetooth profile: records of 14 octets read out of the cuff's memory.
//!
//! Source: captured records of an HEM-7142T2 and an HEM-7600T (eigger/hass-omron, test_record_parsers.py).
//! ```text
//! 0     systolic - 25, mmHg        4-5   hour b0-4, day b5-9, month b10-13, b14 irregular pulse, b15 movement
//! 1     diastolic, mmHg            6-7   second b0-5, minute b6-11
//! 2     pulse, per minute          10-11 the record's number (HEM-7142T2)
//! 3     year - 2000, b0-5
//! ```
//! Words are little-endian in an HEM-7142T2. An HEM-7600T has each pair of octets the other way round; where it keeps the
//! record's number is not known. A place that was never written is all ones or all zeros. What the other bits mean is not known.

use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::{Quality, Reading};
use shared::units::Unit;

use crate::decode::{Memory, RefusedFrame, Report, date_time};

/// Octets of a record.
pub const RECORD_BYTES: usize = 14;

/// Higher first octets than this mark a place that was never written.
const SYSTOLIC_MAX: u8 = 0xE1;

/// How a model lays out its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// HEM-7142T2.
    LittleEndian,
    /// HEM-7600T.
    BigEndian,
}

impl Layout {
    /// The layout of a model; `None` for one whose records are not known.
    #[must_use]
    pub fn of_model(model: &str) -> Option<Self> {
        let is = |name: &str| model.eq_ignore_ascii_case(name);
        if is("HEM-7142T2") {
            Some(Self::LittleEndian)
        } else if is("HEM-7600T") || is("HEM-7600T-E") {
            Some(Self::BigEndian)
        } else {
            None
        }
    }
}

/// A record as kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OmronRecord {
    /// mmHg.
    pub systolic: u16,
    /// mmHg.
    pub diastolic: u8,
    /// Per minute.
    pub pulse: u8,
    /// By the cuff's clock.
    pub time: DeviceTime,
    /// The pulse was irregular.
    pub irregular_pulse: bool,
    /// The body moved.
    pub movement: bool,
    /// The record's number; 0 where it is not known.
    pub number: u16,
}

impl OmronRecord {
    /// Reads a record; `None` for a place that was never written.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: not 14 octets. [`RefusedFrame::DeviceTime`]: without a date and time, so that it is not a
    /// record of this layout. [`RefusedFrame::Unknown`]: a systolic pressure that no record has.
    pub fn of(octets: &[u8], layout: Layout) -> Result<Option<Self>, RefusedFrame> {
        let mut record: [u8; RECORD_BYTES] = octets.try_into().map_err(|_| RefusedFrame::Length)?;
        if record.iter().all(|octet| *octet == 0xFF) || record.iter().all(|octet| *octet == 0) {
            return Ok(None);
        }
        if layout == Layout::BigEndian {
            record.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair.reverse());
        }
        let [systolic, diastolic, pulse, year, day_0, day_1, time_0, time_1, _, _, number_0, number_1, _, _] = record;
        let (day, clock) = (u16::from_le_bytes([day_0, day_1]), u16::from_le_bytes([time_0, time_1]));
        let time = DeviceTime {
            year: u16::from(year & 0x3F).saturating_add(2000),
            month: bits(day, 10, 4),
            day: bits(day, 5, 5),
            hour: bits(day, 0, 5),
            minute: bits(clock, 6, 6),
            second: bits(clock, 0, 6),
        };
        if time.month == 0 || time.day == 0 || !date_time::is_a_time(&time) {
            return Err(RefusedFrame::DeviceTime);
        }
        if systolic > SYSTOLIC_MAX {
            return Err(RefusedFrame::Unknown);
        }
        Ok(Some(Self {
            systolic: u16::from(systolic).saturating_add(25),
            diastolic,
            pulse,
            time,
            irregular_pulse: bits(day, 14, 1) == 1,
            movement: bits(day, 15, 1) == 1,
            number: if layout == Layout::LittleEndian { u16::from_le_bytes([number_0, number_1]) } else { 0 },
        }))
    }

    /// What of it is a reading. `octets` are those it was read from.
    #[must_use]
    pub fn report(&self, octets: &[u8]) -> Report {
        let quality = Quality::ARTEFACT.when(self.movement).and(Quality::IRREGULAR_PULSE.when(self.irregular_pulse));
        let mut report = Report {
            device_time: Some(self.time),
            memory: Some(Memory::of(u32::from(self.number), octets)),
            ..Report::default()
        };
        for (metric, value, unit) in [
            (Metric::SystolicPressure, self.systolic, Unit::MillimetreOfMercury),
            (Metric::DiastolicPressure, self.diastolic.into(), Unit::MillimetreOfMercury),
            (Metric::PulseRate, self.pulse.into(), Unit::PerMinute),
        ] {
            report.add(Reading::value(metric, i64::from(value).into(), unit, quality));
        }
        report
    }
}

/// So many bits of a word from this one on; at most eight.
fn bits(word: u16, from: u8, count: u8) -> u8 {
    let mask = 1_u16.checked_shl(count.into()).unwrap_or(0).saturating_sub(1);
    let [low, _] = (word.checked_shr(from.into()).unwrap_or(0) & mask).to_le_bytes();
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::hex;

    use super::*;

    fn of(text: &str, layout: Layout) -> Result<Option<OmronRecord>, RefusedFrame> {
        OmronRecord::of(&hex::decode(text).unwrap(), layout)
    }

    #[test]
    fn both_layouts() {
        let read = of("6558541a331ade1800004c00ba00", Layout::LittleEndian).unwrap().unwrap();
        let time = DeviceTime { year: 2026, month: 6, day: 17, hour: 19, minute: 35, second: 30 };
        assert_eq!((read.systolic, read.diastolic, read.pulse, read.number, read.time), (126, 88, 84, 76, time));
        let read = of("5b781a4819d71b42000014006996", Layout::BigEndian).unwrap().unwrap();
        assert_eq!((read.systolic, read.diastolic, read.pulse, read.time.month), (145, 91, 72, 6));
        assert_eq!(of("5b781a4819d71b42000014006996", Layout::LittleEndian), Err(RefusedFrame::DeviceTime));
    }

    #[test]
    fn movement_is_gated_and_an_irregular_pulse_is_not() {
        let gated = |word: &str| {
            let octets = hex::decode(&format!("6558541a{word}de1800004c00ba00")).unwrap();
            let report = OmronRecord::of(&octets, Layout::LittleEndian).unwrap().unwrap().report(&octets);
            let quality = report.readings[0].quality;
            (quality.is_gated(), quality.contains(Quality::IRREGULAR_PULSE), report.memory.map(|memory| memory.record))
        };
        assert_eq!(gated("331a"), (false, false, Some(76)));
        assert_eq!(gated("335a"), (false, true, Some(76)));
        assert_eq!(gated("339a"), (true, false, Some(76)));
    }

    #[test]
    fn a_place_never_written_is_no_record() {
        for layout in [Layout::LittleEndian, Layout::BigEndian] {
            assert_eq!(of(&"ff".repeat(14), layout), Ok(None));
            assert_eq!(of(&"00".repeat(14), layout), Ok(None));
        }
        assert_eq!(of("e258541a331ade1800004c00ba00", Layout::LittleEndian), Err(RefusedFrame::Unknown));
        assert_eq!(of("ff", Layout::LittleEndian), Err(RefusedFrame::Length));
    }

    #[test]
    fn models_whose_records_are_known() {
        assert_eq!(Layout::of_model("hem-7142t2"), Some(Layout::LittleEndian));
        assert_eq!(Layout::of_model("HEM-7600T"), Some(Layout::BigEndian));
        assert_eq!(Layout::of_model("HEM-7322T"), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..20)) {
            for layout in [Layout::LittleEndian, Layout::BigEndian] {
                if let Ok(Some(read)) = OmronRecord::of(&octets, layout) {
                    prop_assert!(octets.len() == RECORD_BYTES && date_time::is_a_time(&read.time));
                }
            }
        }
    }
}
