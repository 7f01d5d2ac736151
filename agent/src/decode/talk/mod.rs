//! What is said to a device on a serial line. Pure: what was heard and what the clock says come in, octets go out.
//!
//! A device is asked for what it has, and nothing in it is deleted. What changes something is said only where it is configured: a
//! Nonin's format and clock, and the one command that acts on a patient, the start of a cuff's measurement.

mod memory;
mod module;
mod nonin;

use std::time::Duration;

use arrayvec::ArrayVec;
use shared::observation::Captured;
use shared::time::Tick;

use super::cms50_package::Command;
use super::{Protocol, Report};
use crate::limits::{KEEP_AWAKE_EVERY, SILENT_AFTER};
use memory::Memory;
use module::Module;
use nonin::Nonin;

/// Octets of one saying.
pub type Words = ArrayVec<u8, 16>;

/// What of a talk is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Whether to tell a Nonin device which format to speak.
    pub select_format: bool,
    /// Whether to set a Nonin device's clock to the hub's, in UTC.
    pub set_clock: bool,
    /// How often a cuff shall measure by itself; `None`: when somebody starts it.
    pub measure_every: Option<Duration>,
}

/// One side of the conversation with one device. It outlives the opening of a port.
#[derive(Debug)]
pub struct Talk {
    kind: Kind,
    understood: bool,
}

#[derive(Debug)]
enum Kind {
    /// Nothing is said.
    Listen,
    Nonin(Nonin),
    /// A CMS50 is started and kept awake.
    Awake(Awake),
    Module(Box<Module>),
    Memory(Box<Memory>),
}

#[derive(Debug, Default)]
struct Awake {
    heard: Option<Tick>,
    started: Option<Tick>,
    kept_awake: Option<Tick>,
}

impl Talk {
    /// The conversation of a protocol, as configured. `now` is when the hub began: a cuff is not started before its
    /// interval has passed once, so that a hub which restarts again and again does not fill a cuff each time.
    #[must_use]
    pub fn new(protocol: Protocol, settings: Settings, now: Tick) -> Self {
        let kind = match (protocol, protocol.nonin_format()) {
            (_, Some(format)) if settings.select_format || settings.set_clock => Kind::Nonin(Nonin::new(
                settings.select_format.then_some(format),
                protocol.is_continuous(),
                settings.set_clock,
            )),
            (Protocol::Cms50V7, _) => Kind::Awake(Awake::default()),
            (Protocol::SuntechNibp, _) => Kind::Module(Box::new(Module::new(settings.measure_every, now))),
            (Protocol::Lifescan | Protocol::LifescanVerio | Protocol::BeurerBm65, _) => {
                Kind::Memory(Box::new(Memory::of(protocol)))
            }
            _ => Kind::Listen,
        };
        Self { kind, understood: false }
    }

    /// The port was opened: a conversation that was broken off begins again.
    pub fn opened(&mut self, now: Tick) {
        match &mut self.kind {
            Kind::Listen => {}
            Kind::Nonin(nonin) => nonin.opened(),
            Kind::Awake(awake) => *awake = Awake::default(),
            Kind::Module(module) => module.opened(now),
            Kind::Memory(memory) => memory.opened(),
        }
    }

    /// Hears what came in; gives the part of it that the decoder shall read.
    pub fn heard<'a>(&'a mut self, bytes: &'a [u8], now: Tick) -> &'a [u8] {
        match &mut self.kind {
            Kind::Listen | Kind::Nonin(_) => bytes,
            Kind::Awake(awake) => {
                awake.heard = Some(now);
                bytes
            }
            Kind::Module(module) => {
                self.understood |= module.heard(bytes, now);
                bytes
            }
            Kind::Memory(memory) => {
                let (rest, understood) = memory.heard(bytes);
                self.understood |= understood;
                rest
            }
        }
    }

    /// What is to be said now, if anything. To be asked until there is nothing, after bytes came and whenever none did.
    pub fn say(&mut self, now: Captured) -> Option<Words> {
        match &mut self.kind {
            Kind::Listen => None,
            Kind::Nonin(nonin) => nonin.say(now),
            Kind::Awake(awake) => awake.say(now.tick),
            Kind::Module(module) => module.say(now.tick),
            Kind::Memory(memory) => memory.say(now.tick),
        }
    }

    /// Whether the device keeps what it has until it is asked: then nothing need be said while the hub has no room for answers.
    #[must_use]
    pub const fn can_wait(&self) -> bool {
        matches!(self.kind, Kind::Memory(_))
    }

    /// Whether a report is news: a result that was asked for, or a record that was not handed on before.
    pub fn is_news(&mut self, report: &Report) -> bool {
        match &mut self.kind {
            Kind::Listen | Kind::Awake(_) => true,
            Kind::Nonin(nonin) => {
                nonin.read();
                true
            }
            Kind::Module(module) => module.is_news(report),
            Kind::Memory(memory) => memory.is_news(report),
        }
    }

    /// A measurement that took place, or that the hub began in vain, and of which no result is known; each once.
    pub fn take_lost(&mut self) -> Option<Report> {
        match &mut self.kind {
            Kind::Module(module) => module.take_lost(),
            Kind::Listen | Kind::Nonin(_) | Kind::Awake(_) | Kind::Memory(_) => None,
        }
    }

    /// The decoder refused something of what was heard: what was asked for is not all read.
    pub fn refused(&mut self) {
        if let Kind::Memory(memory) = &mut self.kind {
            memory.refused();
        }
    }

    /// A record that was news could not be kept: it is news again.
    pub fn not_kept(&mut self, record: &super::Memory) {
        if let Kind::Memory(memory) = &mut self.kind {
            memory.not_kept(record);
        }
    }

    /// Whether a device that keeps what it has until it is asked let all questions go unanswered since this was last asked.
    pub fn take_given_up(&mut self) -> bool {
        match &mut self.kind {
            Kind::Memory(memory) => memory.take_given_up(),
            Kind::Listen | Kind::Nonin(_) | Kind::Awake(_) | Kind::Module(_) => false,
        }
    }

    /// Whether an answer was understood since this was last asked: such a device can be read, even if it has nothing new.
    pub fn take_understood(&mut self) -> bool {
        std::mem::take(&mut self.understood)
    }
}

impl Awake {
    /// Starts a device that is silent, again and again, because it may be switched on later; keeps one that speaks awake.
    fn say(&mut self, now: Tick) -> Option<Words> {
        let since = |earlier: Option<Tick>| earlier.map_or(Duration::MAX, |earlier| now.since(earlier));
        if since(self.heard) >= SILENT_AFTER && since(self.started) >= SILENT_AFTER {
            self.started = Some(now);
            self.kept_awake = Some(now);
            return Some(words(&Command::Start.package()));
        }
        if since(self.kept_awake) >= KEEP_AWAKE_EVERY {
            self.kept_awake = Some(now);
            return Some(words(&Command::KeepAlive.package()));
        }
        None
    }
}

/// Octets as one saying; all have room.
fn words(octets: &[u8]) -> Words {
    octets.iter().copied().take(Words::new_const().capacity()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tests::at;

    fn tick(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    #[test]
    fn nothing_is_said_where_nothing_is_configured_or_needed() {
        for protocol in [Protocol::NoninDf7, Protocol::Bci, Protocol::MasimoAscii1, Protocol::AndScale] {
            let mut talk = Talk::new(protocol, Settings::default(), tick(0));
            talk.opened(tick(0));
            assert_eq!(talk.say(at(60_000)), None, "{protocol}");
            assert_eq!(talk.heard(&[1, 2], tick(0)), [1, 2]);
            assert!(!talk.can_wait() && !talk.take_understood());
        }
    }

    #[test]
    fn a_cms50_is_started_until_it_speaks_and_then_kept_awake() {
        let mut talk = Talk::new(Protocol::Cms50V7, Settings::default(), tick(0));
        talk.opened(tick(0));
        let start = [0x7D, 0x81, 0xA1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
        let keep = [0x7D, 0x81, 0xAF, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
        let mut said = Vec::new();
        for millis in (0..20_000).step_by(100) {
            // Switched on after four seconds; it stops after fourteen.
            if (4_000..14_000).contains(&millis) {
                talk.heard(&[1], tick(millis));
            }
            while let Some(words) = talk.say(at(millis)) {
                said.push((millis, words.as_slice() == start));
                assert!(words.as_slice() == start || words.as_slice() == keep);
            }
        }
        let expected = [(0, true), (3_000, true), (8_000, false), (13_000, false), (16_900, true), (19_900, true)];
        assert_eq!(said, expected);
    }
}
