//! What a source counts and heard last, for the status, the hub's own report and people who listen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shared::time::Tick;
use tokio::sync::broadcast;

use super::port::PortTrouble;
use crate::decode::{Moment, RefusedFrame, Tally};
use crate::limits::HEARD_MAX;

/// Counts since the agent started. Written by one source, read by anyone.
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    refused: [AtomicU64; RefusedFrame::ALL.len()],
    overrun: AtomicU64,
    /// The tick of the last readings in milliseconds, and 1 more: 0 is never.
    last_heard: AtomicU64,
    /// 0 if it never said, 1 not low, 2 low.
    battery: AtomicU64,
    /// The place of the line's setting that was found right, and 1 more: 0 is none yet.
    line: AtomicU64,
    /// The place of the port's trouble in [`PortTrouble::ALL`], and 1 more: 0 is none.
    trouble: AtomicU64,
    listeners: Listeners,
}

/// Whoever listens to one device. Full ([`HEARD_MAX`]): who is slow loses the oldest, and is told how many.
#[derive(Debug)]
struct Listeners(broadcast::Sender<Arc<Moment>>);

impl Default for Listeners {
    fn default() -> Self {
        Self(broadcast::Sender::new(HEARD_MAX))
    }
}

impl Counters {
    /// Adds a stretch.
    pub fn add(&self, tally: &Tally) {
        self.accepted.fetch_add(tally.accepted, Ordering::Relaxed);
        for (why, count) in RefusedFrame::ALL.into_iter().zip(&self.refused) {
            count.fetch_add(tally.refused(why), Ordering::Relaxed);
        }
    }

    /// Counts refused frames.
    pub fn refuse(&self, why: RefusedFrame) {
        let mut tally = Tally::default();
        tally.refuse(why, 1);
        self.add(&tally);
    }

    /// Counts readings that could not be handed over in time.
    pub fn overrun_by(&self, count: u64) {
        self.overrun.fetch_add(count, Ordering::Relaxed);
    }

    /// Notes which of its line's settings is right.
    pub fn found_line(&self, place: usize) {
        self.line.store(u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1), Ordering::Relaxed);
    }

    /// Notes that none of them is known to be right any longer.
    pub fn lost_line(&self) {
        self.line.store(0, Ordering::Relaxed);
    }

    /// The place of its line's setting, if one is known to be right.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        usize::try_from(self.line.load(Ordering::Relaxed)).ok()?.checked_sub(1)
    }

    /// Notes what keeps its port from being used.
    pub fn port_trouble_is(&self, trouble: Option<PortTrouble>) {
        let place = PortTrouble::ALL.iter().zip(1..).find(|(one, _)| Some(**one) == trouble);
        self.trouble.store(place.map_or(0, |(_, number)| number), Ordering::Relaxed);
    }

    /// What keeps its port from being used, if anything does.
    #[must_use]
    pub fn port_trouble(&self) -> Option<PortTrouble> {
        let number = self.trouble.load(Ordering::Relaxed);
        PortTrouble::ALL.into_iter().zip(1..).find(|(_, its)| *its == number).map(|(one, _)| one)
    }

    /// Notes a moment and tells it to whoever listens.
    pub fn heard(&self, moment: &Moment) {
        if !moment.report.readings.is_empty() {
            self.last_heard.store(moment.captured.tick.as_millis().saturating_add(1), Ordering::Relaxed);
        }
        if let Some(low) = moment.report.battery_low {
            self.battery.store(if low { 2 } else { 1 }, Ordering::Relaxed);
        }
        // Nobody listens most of the time; then nothing is copied.
        if self.listeners.0.receiver_count() > 0 {
            let _ = self.listeners.0.send(Arc::new(moment.clone()));
        }
    }

    /// What is heard from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Moment>> {
        self.listeners.0.subscribe()
    }

    /// When readings were last heard.
    #[must_use]
    pub fn last_heard(&self) -> Option<Tick> {
        self.last_heard.load(Ordering::Relaxed).checked_sub(1).map(Tick::from_millis)
    }

    /// Whether the device says its battery is low, if it ever said.
    #[must_use]
    pub fn battery_low(&self) -> Option<bool> {
        match self.battery.load(Ordering::Relaxed) {
            0 => None,
            said => Some(said == 2),
        }
    }

    /// Frames (packets, rows) that were believed.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Readings that could not be handed over in time.
    #[must_use]
    pub fn overrun(&self) -> u64 {
        self.overrun.load(Ordering::Relaxed)
    }

    /// Refused frames by reason.
    pub fn refused(&self) -> impl Iterator<Item = (RefusedFrame, u64)> {
        RefusedFrame::ALL.into_iter().zip(&self.refused).map(|(why, count)| (why, count.load(Ordering::Relaxed)))
    }

    /// Refused frames, all reasons.
    #[must_use]
    pub fn refused_in_all(&self) -> u64 {
        self.refused().fold(0, |sum, (_, count)| sum.saturating_add(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Report;
    use crate::decode::tests::at;

    #[test]
    fn stretches_add_up() {
        let counters = Counters::default();
        let mut tally = Tally::default();
        tally.accept(3);
        tally.refuse(RefusedFrame::Checksum, 2);
        counters.add(&tally);
        counters.add(&tally);
        counters.refuse(RefusedFrame::Cell);
        assert_eq!((counters.accepted(), counters.refused_in_all()), (6, 5));
        assert!(counters.refused().any(|counted| counted == (RefusedFrame::Checksum, 4)));
    }

    #[test]
    fn the_line_and_the_ports_trouble_are_known() {
        let counters = Counters::default();
        assert_eq!((counters.line(), counters.port_trouble()), (None, None));
        counters.found_line(0);
        assert_eq!(counters.line(), Some(0));
        counters.lost_line();
        assert_eq!(counters.line(), None);
        for trouble in PortTrouble::ALL {
            counters.port_trouble_is(Some(trouble));
            assert_eq!(counters.port_trouble(), Some(trouble));
        }
        counters.port_trouble_is(None);
        assert_eq!(counters.port_trouble(), None);
    }

    #[test]
    fn what_was_heard_last_is_known_and_told() {
        let counters = Counters::default();
        assert_eq!((counters.last_heard(), counters.battery_low()), (None, None));
        counters.heard(&Report { battery_low: Some(true), ..Report::default() }.at(at(0)));
        assert_eq!((counters.last_heard(), counters.battery_low()), (None, Some(true)), "it said nothing of a patient");
        let mut listener = counters.listen();
        let mut report = Report { battery_low: Some(false), ..Report::default() };
        report.add(shared::reading::Reading::none(
            shared::metric::Metric::SpO2,
            shared::reading::NoReading::SensorOff,
            shared::reading::Quality::GOOD,
        ));
        let moment = report.at(at(0));
        counters.heard(&moment);
        assert_eq!((counters.last_heard(), counters.battery_low()), (Some(Tick::from_millis(0)), Some(false)));
        assert_eq!(*listener.try_recv().unwrap(), moment);
        for _ in 0..=HEARD_MAX {
            counters.heard(&moment);
        }
        let lost = listener.try_recv().unwrap_err();
        assert!(matches!(lost, broadcast::error::TryRecvError::Lagged(1)), "{lost:?}");
    }
}
