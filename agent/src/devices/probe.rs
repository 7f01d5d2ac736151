//! Which of several possible settings of a line is right, found by trying. Pure: counts of frames and times come in.
//!
//! A setting is believed after [`LINE_BELIEVED_AFTER`] good frames in a row with none refused between, and abandoned after
//! [`LINE_TRIED_FOR`] without. What was found is kept and tried first at the next opening; it is abandoned only if the device
//! speaks and is not understood, or if its port was silent for so long that it was opened anew.

use shared::time::Tick;

use crate::limits::{LINE_BELIEVED_AFTER, LINE_TRIED_FOR};

/// Follows one line with so many possible settings.
#[derive(Debug)]
pub struct Chooser {
    count: usize,
    place: usize,
    /// The setting that was right last, if one was.
    found: Option<usize>,
    is_believed: bool,
    is_first_round: bool,
    /// Settings tried in this round.
    tried: usize,
    good: u64,
    /// When the setting was begun with; or, of one that is believed, the first bytes since the last good frame.
    since: Option<Tick>,
}

impl Chooser {
    /// A line with `count` possible settings; with one there is nothing to choose.
    #[must_use]
    pub const fn new(count: usize) -> Self {
        let is_believed = count <= 1;
        Self { count, place: 0, found: None, is_believed, is_first_round: true, tried: 1, good: 0, since: None }
    }

    /// The port was opened: what was found before is tried first.
    pub fn opened(&mut self, now: Tick) {
        if self.count <= 1 {
            return;
        }
        if let Some(found) = self.found {
            self.place = found;
            self.is_believed = true;
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(now);
        }
        self.good = 0;
    }

    /// The port cannot be opened: the time of the setting that is tried begins with the next opening.
    pub fn unopened(&mut self) {
        self.since = None;
    }

    /// The port was silent for so long that it is opened anew: what was found is tried first, and no longer believed.
    pub fn deaf(&mut self) {
        if self.count > 1 {
            self.place = self.found.take().unwrap_or(self.place);
            self.begin_round();
        }
    }

    fn begin_round(&mut self) {
        (self.is_believed, self.is_first_round, self.tried) = (false, true, 1);
        (self.good, self.since) = (0, None);
    }

    /// Bytes came, and so many frames were accepted and refused with them.
    pub fn heard(&mut self, accepted: u64, refused: u64, now: Tick) {
        if self.is_believed {
            if accepted > 0 {
                self.since = None;
            } else if self.count > 1 {
                self.since.get_or_insert(now);
            }
            return;
        }
        self.good = if refused == 0 { self.good.saturating_add(accepted) } else { 0 };
        if self.good >= LINE_BELIEVED_AFTER {
            (self.is_believed, self.found, self.since) = (true, Some(self.place), None);
        }
    }

    /// The setting to go on with, if it is time for another.
    pub fn next(&mut self, now: Tick) -> Option<usize> {
        let since = *if self.is_believed { self.since.as_ref()? } else { self.since.get_or_insert(now) };
        if now.since(since) < LINE_TRIED_FOR {
            return None;
        }
        if self.is_believed {
            self.begin_round();
        }
        self.place = self.place.saturating_add(1).checked_rem(self.count).unwrap_or(0);
        self.tried = self.tried.saturating_add(1);
        self.is_first_round &= self.tried <= self.count;
        (self.good, self.since) = (0, Some(now));
        Some(self.place)
    }

    /// The setting in force.
    #[must_use]
    pub const fn place(&self) -> usize {
        self.place
    }

    /// Whether it is known to be right.
    #[must_use]
    pub const fn is_believed(&self) -> bool {
        self.is_believed
    }

    /// Whether some settings were not tried yet, so that frames which cannot be read mean nothing.
    #[must_use]
    pub const fn is_first_round(&self) -> bool {
        !self.is_believed && self.is_first_round
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(seconds: u64) -> Tick {
        Tick::from_millis(seconds.saturating_mul(1000))
    }

    fn opened(count: usize) -> Chooser {
        let mut chooser = Chooser::new(count);
        chooser.opened(tick(0));
        chooser
    }

    #[test]
    fn one_setting_is_never_left() {
        let mut chooser = opened(1);
        assert!(chooser.is_believed() && !chooser.is_first_round());
        chooser.heard(0, 9, tick(1));
        chooser.deaf();
        assert_eq!((chooser.next(tick(1000)), chooser.is_believed()), (None, true));
    }

    #[test]
    fn each_is_tried_in_turn_until_three_good_frames_in_a_row() {
        let mut chooser = opened(3);
        assert_eq!(chooser.next(tick(4)), None);
        assert_eq!(chooser.next(tick(5)), Some(1));
        chooser.heard(2, 0, tick(6));
        chooser.heard(2, 1, tick(6));
        chooser.heard(2, 0, tick(7));
        assert!(!chooser.is_believed(), "one was refused between");
        assert!(chooser.is_first_round());
        assert_eq!(chooser.next(tick(9)), None);
        assert_eq!(chooser.next(tick(10)), Some(2));
        assert!(chooser.is_first_round());
        assert_eq!(chooser.next(tick(15)), Some(0));
        assert!(!chooser.is_first_round(), "all were tried");
        chooser.heard(2, 0, tick(16));
        chooser.heard(1, 0, tick(16));
        assert!(chooser.is_believed());
        assert_eq!((chooser.next(tick(100)), chooser.place()), (None, 0));
    }

    /// Found the second of three at six seconds.
    fn found() -> Chooser {
        let mut chooser = opened(3);
        assert_eq!(chooser.next(tick(5)), Some(1));
        chooser.heard(3, 0, tick(6));
        chooser
    }

    #[test]
    fn what_was_found_is_kept_through_silence_and_openings() {
        let mut chooser = found();
        assert_eq!(chooser.next(tick(1000)), None);
        chooser.opened(tick(2000));
        assert_eq!((chooser.place(), chooser.is_believed(), chooser.next(tick(3000))), (1, true, None));
        // The first bytes after a silence are no reason.
        chooser.heard(0, 1, tick(4000));
        assert_eq!(chooser.next(tick(4004)), None);
        chooser.heard(1, 0, tick(4004));
        assert_eq!(chooser.next(tick(4100)), None);
    }

    #[test]
    fn another_device_on_the_line_is_found_too() {
        let mut chooser = found();
        chooser.heard(0, 3, tick(100));
        assert_eq!(chooser.next(tick(105)), Some(2));
        assert!(!chooser.is_believed() && chooser.is_first_round());
        chooser.opened(tick(106));
        assert_eq!(chooser.place(), 1, "still the first to be tried at an opening");
        let mut chooser = found();
        chooser.deaf();
        chooser.opened(tick(100));
        assert_eq!((chooser.place(), chooser.is_believed()), (1, false));
        assert_eq!(chooser.next(tick(105)), Some(2));
    }

    #[test]
    fn a_try_goes_on_where_a_port_comes_and_goes() {
        let mut chooser = opened(2);
        chooser.opened(tick(3));
        assert_eq!(chooser.next(tick(5)), Some(1), "a loose plug does not keep it at the first");
        chooser.unopened();
        chooser.opened(tick(1000));
        assert_eq!(chooser.next(tick(1001)), None, "while it is gone, nothing is tried");
    }
}
