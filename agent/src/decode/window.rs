//! Seconds: what comes many times a second becomes one reading of each metric a second.
//!
//! A second is complete with the frame that the device's own rate makes its last, so a reading leaves with the byte
//! that completes it. Where frames were lost, it ends by the clock: with the first frame at least a second after its
//! first, or when nothing more comes.

use std::time::Duration;

use shared::metric::Metric;
use shared::observation::{Captured, DeviceTime};
use shared::reading::{NoReading, Quality, Reading};
use shared::units::{Decimal, Unit as UnitOfMeasure};

use super::refused::{RefusedFrame, Tally};
use super::{Memory, Moment, Report, Unit};

/// One metric inside a second.
#[derive(Debug)]
struct Track<T> {
    /// How often a value must come in a row before it counts.
    repeats: u32,
    candidate: Option<(T, u32)>,
    value: Option<(T, Quality)>,
    none: Option<NoReading>,
}

impl<T: Copy + PartialEq> Track<T> {
    const fn new(repeats: u32) -> Self {
        Self { repeats, candidate: None, value: None, none: None }
    }

    fn add(&mut self, outcome: Result<T, NoReading>, quality: Quality) {
        match outcome {
            Ok(value) => {
                let seen = match self.candidate {
                    Some((candidate, seen)) if candidate == value => seen.saturating_add(1),
                    _ => 1,
                };
                self.candidate = Some((value, seen));
                if seen >= self.repeats {
                    self.value = Some((value, quality));
                }
            }
            Err(why) => {
                self.candidate = None;
                self.none = Some(why);
            }
        }
    }

    /// The second's outcome; the candidate stays, because a value may straddle two seconds.
    fn take(&mut self, metric: Metric, unit: UnitOfMeasure, adverse: Quality) -> Option<Reading>
    where
        Decimal: From<T>,
    {
        let none = self.none.take();
        match self.value.take() {
            Some((value, own)) => Some(Reading::value(metric, Decimal::from(value), unit, own.and(adverse))),
            None => none.map(|why| Reading::none(metric, why, adverse)),
        }
    }
}

/// The second in progress.
#[derive(Debug)]
pub struct Window {
    second: Duration,
    units_per_second: u32,
    units: u32,
    first: Option<Captured>,
    last: Option<Captured>,
    pulse: Track<i64>,
    spo2: Track<i64>,
    perfusion: Track<Decimal>,
    /// Flags against the readings: the worst of the second.
    adverse: Quality,
    battery_low: Option<bool>,
    device_time: Option<DeviceTime>,
    memory: Option<Memory>,
}

impl Window {
    /// Seconds of this many units; a value counts after it came `repeats` times in a row. `second` is how long the
    /// device's second lasts here.
    #[must_use]
    pub const fn of(second: Duration, units_per_second: u32, repeats: u32) -> Self {
        Self {
            second,
            units_per_second,
            units: 0,
            first: None,
            last: None,
            pulse: Track::new(repeats),
            spo2: Track::new(repeats),
            perfusion: Track::new(repeats),
            adverse: Quality::GOOD,
            battery_low: None,
            device_time: None,
            memory: None,
        }
    }

    /// Adds a unit; gives the moments that this completes to `out` (two where the second before had lost its end).
    pub fn add(&mut self, unit: Unit, at: Captured, tally: &mut Tally, out: &mut impl FnMut(Moment)) {
        if self.is_over(at) {
            self.end(tally, out);
        }
        self.first.get_or_insert(at);
        self.last = Some(at);
        self.units = self.units.saturating_add(unit.frames);
        // What speaks for a reading holds for its own unit only; what speaks against it, for the whole second.
        let favourable = Quality::SMART_POINT.when(unit.quality.contains(Quality::SMART_POINT));
        self.adverse = self.adverse.and(Quality::from_bits(unit.quality.bits() & !Quality::SMART_POINT.bits()));
        self.pulse.add(unit.pulse.map(i64::from), favourable);
        self.spo2.add(unit.spo2.map(i64::from), favourable);
        if let Some(perfusion) = unit.perfusion {
            self.perfusion.add(perfusion, favourable);
        }
        self.battery_low = unit.battery_low.or(self.battery_low);
        self.device_time = unit.device_time.or(self.device_time);
        self.memory = unit.memory.or(self.memory);
        if self.units >= self.units_per_second {
            self.end(tally, out);
        }
    }

    /// Ends the second if it began a second ago or longer.
    pub fn expire(&mut self, now: Captured, tally: &mut Tally) -> Option<Moment> {
        if self.is_over(now) { self.finish(tally) } else { None }
    }

    /// Ends the second with what it has.
    pub fn finish(&mut self, tally: &mut Tally) -> Option<Moment> {
        let mut last = None;
        self.end(tally, &mut |moment| last = Some(moment));
        last
    }

    fn is_over(&self, now: Captured) -> bool {
        self.first.is_some_and(|first| now.tick.since(first.tick) >= self.second)
    }

    /// Gives the second to `out`, if it holds anything. The moment is made where it is given from: it is large, and a line
    /// of short frames makes one of every frame.
    fn end(&mut self, tally: &mut Tally, out: &mut impl FnMut(Moment)) {
        let Some(captured) = self.last.take() else { return };
        self.first = None;
        self.units = 0;
        let adverse = std::mem::take(&mut self.adverse);
        let (device_time, memory) = (self.device_time.take(), self.memory.take());
        let report = Report { device_time, memory, battery_low: self.battery_low.take(), ..Report::default() };
        let mut moment = Moment { captured, report };
        let mut add = |reading: Option<Reading>| {
            if let Some(reading) = reading {
                moment.report.add(reading);
            }
        };
        add(self.spo2.take(Metric::SpO2, UnitOfMeasure::Percent, adverse));
        add(self.pulse.take(Metric::PulseRate, UnitOfMeasure::PerMinute, adverse));
        let perfusion = self.perfusion.take(Metric::PerfusionIndex, UnitOfMeasure::Percent, adverse);
        // Both are in every frame, so one that is missing never came alike often enough.
        if moment.report.readings.len() < 2 {
            tally.refuse(RefusedFrame::Inconsistent, 1);
        }
        if let Some(perfusion) = perfusion {
            moment.report.add(perfusion);
        }
        if !moment.report.readings.is_empty() {
            out(moment);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use shared::reading::Outcome;

    use super::super::tests::at;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn good(pulse: u16, spo2: u8) -> Unit {
        Unit::live(Ok(pulse), Ok(spo2), Quality::GOOD, None)
    }

    fn off() -> Unit {
        Unit::live(Err(NoReading::SensorOff), Err(NoReading::SensorOff), Quality::GOOD, None)
    }

    fn run(window: &mut Window, units: impl IntoIterator<Item = (u64, Unit)>) -> Vec<Moment> {
        let (mut tally, mut moments) = (Tally::default(), Vec::new());
        for (tick, unit) in units {
            window.add(unit, at(tick), &mut tally, &mut |moment| moments.push(moment));
        }
        moments
    }

    fn value(moment: &Moment, metric: Metric) -> Option<i64> {
        moment.report.readings.iter().find(|r| r.metric == metric).and_then(|r| match r.outcome {
            Outcome::Value(value) => Some(value.decimal.mantissa()),
            Outcome::None(_) => None,
        })
    }

    #[test]
    fn the_last_unit_of_a_second_completes_it() {
        let mut window = Window::of(SECOND, 3, 1);
        let moments =
            run(&mut window, [(0, good(70, 97)), (333, good(71, 97)), (667, good(72, 96)), (1000, good(73, 95))]);
        assert_eq!(moments.len(), 1);
        assert_eq!(moments[0].captured, at(667));
        assert_eq!(value(&moments[0], Metric::PulseRate), Some(72));
        assert_eq!(value(&moments[0], Metric::SpO2), Some(96));
    }

    #[test]
    fn a_second_with_losses_ends_by_the_clock_on_both_sides_of_the_edge() {
        let mut window = Window::of(SECOND, 3, 1);
        assert!(run(&mut window, [(0, good(70, 97)), (333, good(71, 97))]).is_empty());
        assert_eq!(window.expire(at(999), &mut Tally::default()), None);
        let moment = window.expire(at(1000), &mut Tally::default()).unwrap();
        assert_eq!(moment.captured, at(333));
        let moments = run(&mut window, [(2000, good(70, 97)), (3000, good(80, 97))]);
        assert_eq!(moments.len(), 1, "a frame a second later belongs to the next second");
        assert_eq!(value(&moments[0], Metric::PulseRate), Some(70));
    }

    #[test]
    fn the_worst_flags_count_and_a_value_outlives_absence_inside_its_second() {
        let mut window = Window::of(SECOND, 3, 1);
        let bad = Unit::live(Ok(70), Ok(97), Quality::ARTEFACT.and(Quality::SMART_POINT), Some(true));
        let moments = run(&mut window, [(0, bad), (333, good(71, 98)), (667, off())]);
        assert_eq!(value(&moments[0], Metric::SpO2), Some(98));
        assert_eq!(moments[0].report.readings[0].quality, Quality::ARTEFACT);
        assert_eq!(moments[0].report.battery_low, Some(true));
        let moments = run(&mut window, [(1000, off()), (1333, off()), (1667, off())]);
        assert_eq!(moments[0].report.readings[0].outcome, Outcome::None(NoReading::SensorOff));
        assert_eq!(moments[0].report.readings[0].quality, Quality::GOOD, "flags do not outlive their second");
    }

    #[test]
    fn a_lone_value_is_no_value_where_repeats_are_asked_for() {
        let mut window = Window::of(SECOND, 10, 3);
        let mut units: Vec<_> = (0..9).map(|n| (n * 17, good(70, 97))).collect();
        units.push((160, good(70, 33)));
        let moments = run(&mut window, units);
        assert_eq!(value(&moments[0], Metric::SpO2), Some(97));
        let mut tally = Tally::default();
        let mut moments = Vec::new();
        for n in 0..10_u8 {
            window.add(good(100 + u16::from(n), n), at(1000), &mut tally, &mut |moment| moments.push(moment));
        }
        assert!(moments.is_empty());
        assert_eq!(tally.refused(RefusedFrame::Inconsistent), 1);
    }
}
