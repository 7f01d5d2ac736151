//! What a Nonin device is told when its port opens: which format to speak, and what time it is, each only if configured.
//!
//! Source: OEM specification 6470-000-01 (STANDARDS §2.1).
//! ```text
//! 02 70 02 02 ff 03                    speak format ff
//! 02 72 06 YY MM DD hh mm ss 03        set the clock; binary, YY counts from 2000
//! ```
//! The device answers 06 or 15, which is no frame and counts as such. It is told its format again while nothing of that format
//! is read, because it may have been switched off and on since: only formats of which there is something each second. Its clock has no zone: it is set to UTC, and only while
//! the hub's own clock is known to be right.

use shared::observation::Captured;
use shared::time::{ClockState, Tick};

use super::{Words, words};
use crate::decode::date_time;
use crate::limits::{COMMANDS_APART, FORMAT_SAID_EVERY, SILENT_AFTER};

/// The hub's side.
#[derive(Debug)]
pub(super) struct Nonin {
    /// The format to be told, if one is.
    format: Option<u8>,
    sets_clock: bool,
    /// The format is one that speaks all the time.
    is_continuous: bool,
    format_said: Option<Tick>,
    /// Something was read since this was last looked at.
    is_read: bool,
    read: Option<Tick>,
    is_clock_said: bool,
    /// Nothing more is said before this: the last command is still being obeyed.
    quiet_until: Option<Tick>,
}

impl Nonin {
    pub(super) const fn new(format: Option<u8>, is_continuous: bool, sets_clock: bool) -> Self {
        Self {
            format,
            sets_clock,
            is_continuous,
            format_said: None,
            is_read: false,
            read: None,
            is_clock_said: false,
            quiet_until: None,
        }
    }

    pub(super) fn opened(&mut self) {
        (self.format_said, self.is_clock_said, self.quiet_until) = (None, false, None);
        (self.is_read, self.read) = (false, None);
    }

    /// Something of the format was read.
    pub(super) fn read(&mut self) {
        self.is_read = true;
    }

    pub(super) fn say(&mut self, now: Captured) -> Option<Words> {
        if std::mem::take(&mut self.is_read) {
            self.read = Some(now.tick);
        }
        let is_over = |at: Option<Tick>, after| at.is_none_or(|at| now.tick.since(at) >= after);
        let is_again =
            self.is_continuous && is_over(self.read, SILENT_AFTER) && is_over(self.format_said, FORMAT_SAID_EVERY);
        if let Some(format) = self.format.filter(|_| self.format_said.is_none() || is_again) {
            self.format_said = Some(now.tick);
            self.quiet_until = Some(now.tick.after(COMMANDS_APART));
            return Some(words(&[0x02, 0x70, 0x02, 0x02, format, 0x03]));
        }
        let is_known = now.clock != ClockState::NeverSet;
        let is_quiet = self.quiet_until.is_some_and(|until| now.tick < until);
        if !self.sets_clock || self.is_clock_said || !is_known || is_quiet {
            return None;
        }
        self.is_clock_said = true;
        let time = date_time::of_seconds(now.wall.as_millis().div_euclid(1000))?;
        let year = u8::try_from(time.year.checked_sub(2000)?).ok().filter(|year| *year < 100)?;
        Some(words(&[0x02, 0x72, 0x06, year, time.month, time.day, time.hour, time.minute, time.second, 0x03]))
    }
}

#[cfg(test)]
mod tests {
    use shared::time::Timestamp;

    use super::*;
    use crate::decode::Protocol;
    use crate::decode::talk::{Settings, Talk};

    /// 2050-12-31 14:30:15 and so many milliseconds, with a clock in this state.
    fn at(millis: u64, clock: ClockState) -> Captured {
        let wall = Timestamp::from_millis(2_556_109_815_000_i64.saturating_add(millis.try_into().unwrap()));
        Captured { tick: Tick::from_millis(millis), wall, clock }
    }

    const FORMAT: [u8; 6] = [0x02, 0x70, 0x02, 0x02, 0x07, 0x03];
    /// The example of the specification.
    const TIME: [u8; 10] = [0x02, 0x72, 0x06, 0x32, 0x0C, 0x1F, 0x0E, 0x1E, 0x0F, 0x03];

    fn talk(settings: Settings) -> Talk {
        let mut talk = Talk::new(Protocol::NoninDf7, settings, Tick::from_millis(0));
        talk.opened(Tick::from_millis(0));
        talk
    }

    #[test]
    fn the_format_is_told_once_for_each_opening() {
        let mut talk = talk(Settings { select_format: true, ..Settings::default() });
        let say = |talk: &mut Talk, millis| talk.say(at(millis, ClockState::Synchronised));
        assert_eq!(say(&mut talk, 0).as_deref(), Some(&FORMAT[..]));
        assert_eq!(say(&mut talk, 2_999), None);
        talk.opened(Tick::from_millis(10_000));
        assert_eq!(say(&mut talk, 10_000).as_deref(), Some(&FORMAT[..]));
    }

    #[test]
    fn the_format_is_told_again_while_nothing_is_read() {
        let mut talk = talk(Settings { select_format: true, ..Settings::default() });
        let mut said = Vec::new();
        for second in 0..60_u64 {
            // Read until the 20th second, and again from the 40th on.
            if !(20..40).contains(&second) {
                assert!(talk.is_news(&crate::decode::Report::default()));
            }
            while let Some(words) = talk.say(at(second.saturating_mul(1000), ClockState::Synchronised)) {
                assert_eq!(words.as_slice(), FORMAT);
                said.push(second);
            }
        }
        assert_eq!(said, [0, 22, 32]);
        let mut spot = Talk::new(
            Protocol::NoninDf13,
            Settings { select_format: true, ..Settings::default() },
            Tick::from_millis(0),
        );
        spot.opened(Tick::from_millis(0));
        let told = (0..60).filter(|second| spot.say(at(second * 1000, ClockState::Synchronised)).is_some());
        assert_eq!(told.count(), 1, "one that is silent between measurements is told once");
    }

    #[test]
    fn the_clock_is_set_once_and_as_the_specification_has_it() {
        let mut talk = talk(Settings { set_clock: true, ..Settings::default() });
        assert_eq!(talk.say(at(0, ClockState::HeldOver)).as_deref(), Some(&TIME[..]));
        assert_eq!(talk.say(at(60_000, ClockState::HeldOver)), None);
    }

    #[test]
    fn a_clock_that_is_not_known_is_given_to_nobody() {
        let mut talk = talk(Settings { set_clock: true, ..Settings::default() });
        assert_eq!(talk.say(at(0, ClockState::NeverSet)), None);
        assert!(talk.say(at(60_000, ClockState::Synchronised)).is_some(), "as soon as it is known");
    }

    #[test]
    fn the_clock_waits_until_the_format_is_obeyed() {
        let mut talk = talk(Settings { select_format: true, set_clock: true, ..Settings::default() });
        let say = |talk: &mut Talk, millis| talk.say(at(millis, ClockState::Synchronised));
        assert_eq!(say(&mut talk, 0).as_deref(), Some(&FORMAT[..]));
        assert_eq!(say(&mut talk, 999), None);
        assert_eq!(say(&mut talk, 1_000).as_deref().map(|words| words[..3].to_vec()), Some(TIME[..3].to_vec()));
        assert_eq!(say(&mut talk, 2_000), None);
    }
}
