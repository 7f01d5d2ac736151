//! What a simulated device knows of what it said: second by second, and what became of it on the line.

use super::Vitals;

/// What became of a second's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All are on the line, and nothing else.
    Whole,
    /// All are on the line, and noise among them or in their place.
    Noisy,
    /// Some are not on the line: the port was opened or pulled meanwhile, or its buffer was full.
    Partly,
    /// None is: nobody had the port open.
    Unheard,
    /// The device had nothing to say.
    Silent,
}

/// A second of a device's course.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Second {
    /// Which.
    pub number: u64,
    /// What the device showed.
    pub shown: Vitals,
    /// What became of it.
    pub fate: Fate,
    /// How often the port had been found open until then; the same number is the same opening.
    pub opening: u32,
    /// Octets on the line.
    pub bytes: usize,
}

/// What a device did. Seconds are kept only where the plan says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Played {
    /// Seconds of the course.
    pub seconds: u64,
    /// Frames that were sent while nobody listened.
    pub unheard: u64,
    /// Frames that found the line's buffer full.
    pub overflowed: u64,
    /// Times that noise, or octets of another speed, were on an open line.
    pub noises: u64,
    /// Times that the plug was pulled from a line that somebody had open.
    pub unplugs: u64,
    /// Every second, in order.
    pub ledger: Vec<Second>,
}
