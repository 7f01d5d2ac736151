//! The line of a Contec CMS50 of protocol V4.6 to V7: live packages, and seconds from the device's memory.
//!
//! Source: as in [`super::cms50_package`].
//!
//! No checksum: packages must prove themselves before any is believed, and a live value must come several times. A stored
//! package is given when the one behind it begins or the line is silent, because an octet too many in it is seen only then. A
//! stored second has no time of its own: it counts from its segment's beginning, so one behind a loss is refused, and one whose
//! segment did not say when it began, or of which user it is. Live values do not say whose they are.

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
    /// The user and the segment's number, as the first of its headers says them.
    owner: Option<[u8; 2]>,
    date: Option<[u8; 4]>,
    clock: Option<[u8; 3]>,
    /// When the next second of it was, while no loss made that unsure.
    next: Option<DeviceTime>,
    number: u32,
    waiting: ArrayVec<Report, 3>,
}

impl Segment {
    /// Takes whose the next part of its beginning is. One that is not of the part before it begins another segment.
    fn is_of(&mut self, owner: [u8; 2], tally: &mut Tally) {
        if self.owner.is_some_and(|before| before != owner) {
            // With both parts it was whole; without, its other part is of another segment.
            if self.date.is_none() || self.clock.is_none() {
                tally.refuse(RefusedFrame::Contradiction, 1);
            }
            *self = Self::default();
        }
        self.owner = Some(owner);
    }

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
        let mut report = Report {
            device_time: Some(time),
            memory: Some(Memory::of(record, octets)),
            slot: self.owner.map(|[user, _]| user),
            ..Report::default()
        };
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
        // A package has three seconds at most, and they are given before the next.
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
    /// The seconds that wait in the segment may be given: another package began, or the line was silent.
    is_proven: bool,
}

impl Default for Cms50V7Line {
    fn default() -> Self {
        Self {
            bytes: ArrayVec::new(),
            belief: Belief::after(PACKAGES_BEFORE_BELIEF.into()),
            unproven: Quality::GOOD,
            tells_strength: false,
            segment: Segment::default(),
            is_proven: false,
        }
    }
}

impl Cms50V7Line {
    /// Takes bytes from the front until something is heard or none are left; first what waits of a stored package.
    pub fn hear(&mut self, bytes: &mut &[u8], tally: &mut Tally) -> Option<Heard> {
        self.proven().or_else(|| Marked::hear(self, bytes, tally))
    }

    /// Nothing more comes for now: gives the next second of a stored package that nothing followed.
    pub fn quiet(&mut self) -> Option<Report> {
        self.is_proven = self.bytes.is_empty();
        match self.proven()? {
            Heard::Report(report) => Some(report),
            Heard::Unit(_) => None,
        }
    }

    fn proven(&mut self) -> Option<Heard> {
        if self.is_proven { self.segment.pop() } else { None }
    }
}

impl Marked<PACKAGE_BYTES_MAX> for Cms50V7Line {
    type Frame = Live;
    type Heard = Heard;

    /// Live packages only.
    fn whole(&self, octets: [u8; PACKAGE_BYTES_MAX]) -> Option<Live> {
        if self.bytes.is_empty() && self.segment.waiting.is_empty() { Live::whole(octets) } else { None }
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
        if self.bytes.len() == 1 && !self.segment.waiting.is_empty() {
            // A package has its first octet and no other, so the one before it was whole.
            self.is_proven = true;
            return self.proven();
        }
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
            (STORED_DATE, [user, segment, date @ ..]) => {
                self.segment.is_of([*user, *segment], tally);
                self.segment.date = date.first_chunk().copied();
                self.segment.begins();
            }
            (STORED_TIME, [user, segment, clock @ ..]) => {
                self.segment.is_of([*user, *segment], tally);
                self.segment.clock = clock.first_chunk().copied();
                self.segment.begins();
            }
            (STORED, seconds) if believed => seconds.chunks(2).for_each(|second| self.segment.second(second)),
            (STORED_WITH_PERFUSION, second) if believed => self.segment.second(second),
            _ => {}
        }
        self.is_proven = false;
        None
    }

    fn break_off(&mut self, tally: &mut Tally) {
        self.bytes.clear();
        self.unproven = Quality::GOOD;
        self.segment = Segment::default();
        self.belief.broken(tally);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use shared::reading::Outcome;

    use super::super::tests::at;
    use super::super::{Moment, Protocol, StreamDecoder};
    use super::*;

    const GOOD: [u8; 9] = [0x01, 0x80, 0x85, 0xBC, 0x94, 0xC8, 0xE2, 0xA3, 0x81];
    /// User 0, segment 0, began 2026-12-31 23:59:58.
    const BEGAN: [u8; 16] =
        [0x07, 0x80, 0x80, 0x80, 0x94, 0x9A, 0x8C, 0x9F, 0x12, 0x80, 0x80, 0x80, 0x97, 0xBB, 0xBA, 0x80];
    const STORED_SECONDS: [u8; 8] = [0x0F, 0x80, 0xE1, 0xC8, 0xFF, 0x80, 0xE2, 0xC9];

    /// A segment's beginning and three packages of it, 96/70 up to 98/75, as one frame and its parts as others.
    pub(in crate::decode) fn stored() -> Vec<Vec<u8>> {
        let package = |n: u8| vec![0x0F, 0x80, 0xE0 | n, 0xC6 | n, 0xE1, 0xC7, 0xE2, 0xC8 | n];
        vec![[&BEGAN[..], &package(0), &package(1), &package(2)].concat()]
    }

    fn moments(bytes: &[u8]) -> (Vec<Moment>, Tally) {
        let mut decoder = StreamDecoder::new(Protocol::Cms50V7);
        let mut moments = decoder.moments(bytes, at(0));
        moments.extend(std::iter::from_fn(|| decoder.expire(at(1000))));
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
    fn a_stored_package_waits_for_the_next_or_for_silence() {
        let mut decoder = StreamDecoder::new(Protocol::Cms50V7);
        assert!(decoder.moments(&[&BEGAN[..], &STORED_SECONDS].concat(), at(0)).is_empty());
        assert_eq!(decoder.moments(&STORED_SECONDS[..1], at(5)).len(), 3);
        assert!(decoder.moments(&STORED_SECONDS[1..], at(10)).is_empty());
        assert_eq!(decoder.expire(at(209)), None);
        assert_eq!(std::iter::from_fn(|| decoder.expire(at(210))).count(), 3);
        assert!(decoder.moments(&STORED_SECONDS, at(300)).is_empty(), "the segment goes on");
        assert_eq!(decoder.moments(&[0x0D], at(900)).len(), 3);
    }

    #[test]
    fn an_octet_too_many_refuses_its_stored_package() {
        let (found, tally) = moments(&[&BEGAN[..], &[0x0F, 0x80, 0xE2, 0xFF, 0xC8, 0xE2, 0xC8, 0xE2, 0xC8]].concat());
        assert_eq!((found.len(), tally.refused(RefusedFrame::Marker)), (0, 1));
    }

    #[test]
    fn stored_seconds_are_of_the_user_that_both_headers_name() {
        let slot = |date_user: u8, clock_user: u8| {
            let mut began = BEGAN;
            (began[2], began[10]) = (0x80 | date_user, 0x80 | clock_user);
            let (found, tally) = moments(&[&began[..], &STORED_SECONDS].concat());
            let slots: Vec<_> = found.iter().map(|moment| moment.report.slot).collect();
            (slots, tally.refused(RefusedFrame::Contradiction))
        };
        assert_eq!(slot(0, 0), (vec![Some(0); 3], 0));
        assert_eq!(slot(1, 1), (vec![Some(1); 3], 0));
        assert_eq!(slot(1, 0), (vec![], 1));
        let of_two = [&BEGAN[..], &STORED_SECONDS, &BEGAN, &STORED_SECONDS].concat();
        assert_eq!(moments(&of_two).0.len(), 6, "one segment behind another");
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
