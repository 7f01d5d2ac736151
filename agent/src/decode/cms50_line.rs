//! The line of a Contec CMS50 of protocol V4.6 to V7: live packages, and seconds from the device's memory.
//!
//! Source: as in [`super::cms50_package`].
//!
//! No checksum: packages must prove themselves before any is believed, and a live value must come several times. A stored
//! second has no time of its own: it counts from its segment's beginning, so one behind a loss is refused, and one whose
//! segment did not say when it began. Neither live nor stored values say which user they are of.

use arrayvec::ArrayVec;
use shared::metric::Metric;
use shared::observation::DeviceTime;
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit as UnitOfMeasure};

use super::belief::Belief;
use super::cms50_package::{
    LIVE, Live, PACKAGE_BYTES_MAX, Package, STORED, STORED_DATE, STORED_TIME, STORED_WITH_PERFUSION, hundredths,
    length_of, perfusion, pulse, spo2,
};
use super::date_time;
use super::framing::Marked;
use super::refused::{RefusedFrame, Tally};
use super::stream::Heard;
use super::{Memory, Report};

/// Live packages in a second.
pub const PACKAGES_PER_SECOND: u32 = 60;
/// Good packages in a row before one is believed: noise looks like a live one once in 65,536 times.
pub const PACKAGES_BEFORE_BELIEF: u32 = 3;
/// How often a live value must come in a row.
pub const REPEATS_BEFORE_BELIEF: u32 = 3;
/// A strength that means that there is none.
const STRENGTH_INVALID: u8 = 15;

/// A segment of the device's memory on its way.
#[derive(Debug, Default)]
struct Segment {
    date: Option<[u8; 4]>,
    clock: Option<[u8; 3]>,
    /// When the next second of it was, while no loss made that unsure.
    next: Option<DeviceTime>,
    number: u32,
    waiting: ArrayVec<Report, 3>,
}

impl Segment {
    /// Takes a part of its beginning.
    fn begins(&mut self) {
        self.number = 0;
        self.next = None;
        let (Some([hundreds, year, month, day]), Some([hour, minute, second])) = (self.date, self.clock) else {
            return;
        };
        let year = u16::from(hundreds).saturating_mul(100).saturating_add(year.into());
        self.next =
            Some(DeviceTime { year, month, day, hour, minute, second }).and_then(|time| date_time::shifted(&time, 0));
    }

    /// Takes one second of it: octets SpO2 and PR, and of perfusion if there are.
    fn second(&mut self, octets: &[u8]) {
        let Some(time) = self.next else { return };
        self.next = date_time::shifted(&time, 1);
        let record = self.number;
        self.number = record.saturating_add(1);
        let (saturation, rate, index) = match *octets {
            // Octets that fill a package up.
            [0, 0, ..] => return,
            [saturation, rate, low, high] => (spo2(saturation), pulse(rate), Some(perfusion(low, high))),
            [saturation, rate, ..] => (spo2(saturation), pulse(rate), None),
            _ => return,
        };
        let mut report =
            Report { device_time: Some(time), memory: Some(Memory::of(record, octets)), ..Report::default() };
        let mut add = |metric, unit, value: Option<Decimal>| {
            report.add(match value {
                Some(decimal) => Reading::value(metric, decimal, unit, Quality::GOOD),
                None => Reading::none(metric, NoReading::MissingData, Quality::GOOD),
            });
        };
        add(Metric::SpO2, UnitOfMeasure::Percent, saturation.map(|value| i64::from(value).into()));
        add(Metric::PulseRate, UnitOfMeasure::PerMinute, rate.map(|value| i64::from(value).into()));
        if let Some(index) = index {
            add(Metric::PerfusionIndex, UnitOfMeasure::Percent, index.map(hundredths));
        }
        // A package has three seconds at most, and they are given before the next is read.
        let _ = self.waiting.try_push(report);
    }

    fn pop(&mut self) -> Option<Heard> {
        self.waiting.pop_at(0).map(Heard::Report)
    }
}

/// Finds packages in a line. Holds at most eight octets and three stored seconds.
#[derive(Debug)]
pub struct Cms50V7Line {
    bytes: ArrayVec<u8, PACKAGE_BYTES_MAX>,
    belief: Belief,
    /// Flags of packages that are not yet believed.
    unproven: Quality,
    tells_strength: bool,
    segment: Segment,
}

impl Default for Cms50V7Line {
    fn default() -> Self {
        Self {
            bytes: ArrayVec::new(),
            belief: Belief::after(PACKAGES_BEFORE_BELIEF.into()),
            unproven: Quality::GOOD,
            tells_strength: false,
            segment: Segment::default(),
        }
    }
}

impl Cms50V7Line {
    /// Takes bytes from the front until something is heard or none are left; first what waits of a stored package.
    pub fn hear(&mut self, bytes: &mut &[u8], tally: &mut Tally) -> Option<Heard> {
        self.segment.pop().or_else(|| Marked::hear(self, bytes, tally))
    }
}

impl Marked<PACKAGE_BYTES_MAX> for Cms50V7Line {
    type Frame = Live;
    type Heard = Heard;

    /// Live packages only.
    fn whole(&self, octets: [u8; PACKAGE_BYTES_MAX]) -> Option<Live> {
        if self.bytes.is_empty() { Live::whole(octets) } else { None }
    }

    fn octet(&mut self, byte: u8, tally: &mut Tally) -> Option<Heard> {
        if byte & 0x80 == 0 {
            if !self.bytes.is_empty() {
                tally.refuse(RefusedFrame::Length, 1);
                self.break_off(tally);
            }
            if length_of(byte).is_none() {
                tally.refuse_frame(RefusedFrame::Unknown);
                self.break_off(tally);
                return None;
            }
        } else if self.bytes.is_empty() {
            self.break_off(tally);
            tally.garbage();
            return None;
        }
        self.bytes.push(byte);
        let kind = *self.bytes.first()?;
        if length_of(kind).is_some_and(|length| self.bytes.len() < length) {
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.package(kind, &bytes, tally)
    }

    fn take(&mut self, live: Live, tally: &mut Tally) -> Option<Heard> {
        // No segment goes on behind a live package.
        if self.segment.next.is_some() {
            self.segment = Segment::default();
        }
        let believed = self.belief.good(tally);
        self.tells_strength |= believed && !matches!(live.strength(), 0 | STRENGTH_INVALID);
        let mut unit = live.unit(self.tells_strength);
        if !believed {
            self.unproven = self.unproven.and(unit.quality);
            return None;
        }
        if self.belief.just_now() {
            unit.frames = PACKAGES_BEFORE_BELIEF;
            unit.quality = unit.quality.and(std::mem::take(&mut self.unproven));
        }
        Some(Heard::Unit(unit))
    }
}

impl Cms50V7Line {
    fn package(&mut self, kind: u8, bytes: &[u8], tally: &mut Tally) -> Option<Heard> {
        if kind == LIVE {
            return Live::of(bytes).ok().and_then(|live| self.take(live, tally));
        }
        if matches!(kind, STORED | STORED_WITH_PERFUSION) && self.segment.next.is_none() {
            tally.refuse(RefusedFrame::OutOfOrder, 1);
            return None;
        }
        let believed = self.belief.good(tally);
        let package = Package::of(bytes).ok()?;
        match (kind, package.payload.as_slice()) {
            (STORED_DATE, [_, _, date @ ..]) => {
                self.segment.date = date.first_chunk().copied();
                self.segment.begins();
            }
            (STORED_TIME, [_, _, clock @ ..]) => {
                self.segment.clock = clock.first_chunk().copied();
                self.segment.begins();
            }
            (STORED, seconds) if believed => seconds.chunks(2).for_each(|second| self.segment.second(second)),
            (STORED_WITH_PERFUSION, second) if believed => self.segment.second(second),
            _ => {}
        }
        self.segment.pop()
    }

    fn break_off(&mut self, tally: &mut Tally) {
        self.bytes.clear();
        self.unproven = Quality::GOOD;
        self.segment = Segment::default();
        self.belief.broken(tally);
    }
}

#[cfg(test)]
mod tests {
    use shared::reading::Outcome;

    use super::super::tests::at;
    use super::super::{Moment, Protocol, StreamDecoder};
    use super::*;

    const GOOD: [u8; 9] = [0x01, 0x80, 0x85, 0xBC, 0x94, 0xC8, 0xE2, 0xA3, 0x81];
    /// User 0, segment 0, began 2026-12-31 23:59:58.
    const BEGAN: [u8; 16] =
        [0x07, 0x80, 0x80, 0x80, 0x94, 0x9A, 0x8C, 0x9F, 0x12, 0x80, 0x80, 0x80, 0x97, 0xBB, 0xBA, 0x80];
    const STORED_SECONDS: [u8; 8] = [0x0F, 0x80, 0xE1, 0xC8, 0xFF, 0x80, 0xE2, 0xC9];

    fn moments(bytes: &[u8]) -> (Vec<Moment>, Tally) {
        let mut decoder = StreamDecoder::new(Protocol::Cms50V7);
        let moments = decoder.moments(bytes, at(0));
        (moments, decoder.take_tally())
    }

    fn values(moment: &Moment) -> Vec<Option<String>> {
        let value = |reading: &Reading| match reading.outcome {
            Outcome::Value(value) => Some(value.decimal.to_string()),
            Outcome::None(_) => None,
        };
        moment.report.readings.iter().map(value).collect()
    }

    #[test]
    fn a_second_of_live_packages_is_a_moment() {
        let (found, tally) = moments(&GOOD.repeat(120));
        assert_eq!(found.len(), 2);
        let expected = ["98", "72", "2.91"].map(|value| Some(value.to_owned()));
        assert_eq!(values(&found[0]), expected);
        assert_eq!((tally.accepted, tally.refused_in_all()), (120, 0));
    }

    #[test]
    fn stored_seconds_count_from_their_segments_beginning() {
        let (found, tally) = moments(&[&BEGAN[..], &STORED_SECONDS, &STORED_SECONDS].concat());
        let times: Vec<_> = found.iter().map(|moment| moment.report.device_time.unwrap()).collect();
        let time = |year, month, day, hour, minute, second| DeviceTime { year, month, day, hour, minute, second };
        assert_eq!(times[..2], [time(2026, 12, 31, 23, 59, 58), time(2026, 12, 31, 23, 59, 59)]);
        assert_eq!(times[2..4], [time(2027, 1, 1, 0, 0, 0), time(2027, 1, 1, 0, 0, 1)]);
        assert_eq!(values(&found[0]), ["97", "72"].map(|value| Some(value.to_owned())));
        assert_eq!(values(&found[1]), [None, None], "127 and 0 are no data");
        assert_eq!(found[5].report.memory, Some(Memory::of(5, &[98, 73])));
        assert_eq!(tally.refused_in_all(), 0);
    }

    #[test]
    fn a_stored_second_with_perfusion() {
        // The second package is one that OSCAR's loader quotes from a device.
        let captured = [0x09, 0x80, 0xE1, 0xC4, 0xCE, 0x82];
        let (found, _) = moments(&[&BEGAN[..], &captured].concat());
        assert_eq!(values(&found[0]), ["97", "68", "5.90"].map(|value| Some(value.to_owned())));
    }

    #[test]
    fn a_stored_second_whose_time_is_unsure_is_refused() {
        let (found, tally) = moments(&STORED_SECONDS.repeat(2));
        assert_eq!((found.len(), tally.refused(RefusedFrame::OutOfOrder)), (0, 2));
        let lost = [&BEGAN[..], &STORED_SECONDS, &STORED_SECONDS[..5], &STORED_SECONDS].concat();
        let (found, tally) = moments(&lost);
        assert_eq!(found.len(), 3, "a package is missing, so the time behind it is unsure");
        assert_eq!((tally.refused(RefusedFrame::Length), tally.refused(RefusedFrame::OutOfOrder)), (1, 1));
        let mut no_date = BEGAN;
        no_date[6] = 0x8D;
        let (found, tally) = moments(&[&no_date[..], &STORED_SECONDS].concat());
        assert_eq!((found.len(), tally.refused(RefusedFrame::OutOfOrder)), (0, 1), "there is no thirteenth month");
    }

    #[test]
    fn octets_that_fill_a_package_up_are_no_second() {
        let filled = [0x0F, 0x80, 0xE1, 0xC8, 0x80, 0x80, 0x80, 0x80];
        assert_eq!(moments(&[&BEGAN[..], &filled].concat()).0.len(), 1);
    }

    #[test]
    fn a_lost_octet_starts_the_proof_again() {
        let cut = [&GOOD.repeat(4)[..], &GOOD[..6], &GOOD.repeat(2)].concat();
        let (found, tally) = moments(&cut);
        assert!(found.is_empty());
        assert_eq!((tally.accepted, tally.refused(RefusedFrame::Length)), (4, 1));
        let long = [&GOOD.repeat(2)[..], &[0x80], &GOOD.repeat(2)].concat();
        let (_, tally) = moments(&long);
        assert_eq!(
            (tally.accepted, tally.refused(RefusedFrame::Unproven), tally.refused(RefusedFrame::Marker)),
            (0, 2, 1)
        );
    }
}
