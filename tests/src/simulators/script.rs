//! What goes wrong with a device and its line, second by second: drawn from a seed, so that a run can be played again.

use std::time::Duration;

use super::Bytes;
use super::patient::mix;

/// How long a finger stays out, in seconds.
pub const FINGER_OUT_FOR: u64 = 10;
/// Longest noise, in octets.
pub const NOISE_BYTES_MAX: u64 = 24;

/// What goes wrong. The default is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Decides where.
    pub seed: u64,
    /// Seconds in a thousand that have noise on the line.
    pub noise_per_mille: u32,
    /// The plug is pulled each so many seconds.
    pub unplug_every: Option<u64>,
    /// How long it stays out, in real time, because the host looks for it again in real time.
    pub unplugged_for: Duration,
    /// The finger is out for [`FINGER_OUT_FOR`] each so many seconds.
    pub finger_out_every: Option<u64>,
    /// The line has another speed for one second each so many seconds: a pseudo-terminal carries octets at any speed, so
    /// they arrive as octets that nobody sent.
    pub wrong_speed_every: Option<u64>,
    /// The battery is low from this second on.
    pub battery_low_from: Option<u64>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            seed: 0,
            noise_per_mille: 0,
            unplug_every: None,
            unplugged_for: Duration::from_secs(2),
            finger_out_every: None,
            wrong_speed_every: None,
            battery_low_from: None,
        }
    }
}

/// What goes wrong in one second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trouble {
    /// Octets that are no frame, before the frame at this place of the second (taken modulo its frames).
    pub noise: Option<(usize, Bytes)>,
    /// The plug is pulled before this second.
    pub unplug: bool,
    /// No finger is in it.
    pub finger_out: bool,
    /// Its octets arrive as others.
    pub wrong_speed: bool,
    /// The battery is low.
    pub battery_low: bool,
}

impl Script {
    /// What goes wrong in this second.
    #[must_use]
    pub fn at(&self, second: u64) -> Trouble {
        let draw = |what: u64| mix(mix(self.seed ^ what.rotate_left(48)) ^ second);
        // Each happens first in the middle of its period, at another place for another seed.
        let is_time = |every: Option<u64>, what: u64, lasts: u64| {
            let Some(every) = every.filter(|every| *every > 0) else { return false };
            let offset = mix(self.seed ^ what) % every;
            second >= every / 2 && (second + offset) % every < lasts
        };
        let noise = (draw(1) % 1000 < u64::from(self.noise_per_mille)).then(|| {
            let count = 1 + draw(2) % NOISE_BYTES_MAX;
            let octets = (0..count).map(|place| mix(draw(3) ^ place) as u8).collect();
            (draw(4) as usize, octets)
        });
        Trouble {
            noise,
            unplug: is_time(self.unplug_every, 5, 1),
            finger_out: is_time(self.finger_out_every, 6, FINGER_OUT_FOR),
            wrong_speed: is_time(self.wrong_speed_every, 7, 1),
            battery_low: self.battery_low_from.is_some_and(|from| second >= from),
        }
    }
}

/// What arrives of octets that were sent at another speed: about half as many, and others.
#[must_use]
pub fn at_wrong_speed(bytes: &[u8], seed: u64) -> Bytes {
    bytes
        .iter()
        .step_by(2)
        .enumerate()
        .map(|(place, octet)| mix(seed ^ place as u64 ^ u64::from(*octet)) as u8)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_troubles_about_as_often_as_asked_for() {
        let script = Script {
            seed: 3,
            noise_per_mille: 20,
            unplug_every: Some(1000),
            finger_out_every: Some(500),
            wrong_speed_every: Some(200),
            battery_low_from: Some(9000),
            ..Script::default()
        };
        let troubles: Vec<Trouble> = (0..10_000).map(|second| script.at(second)).collect();
        let count = |is: fn(&Trouble) -> bool| troubles.iter().filter(|trouble| is(trouble)).count();
        assert!((100..400).contains(&count(|trouble| trouble.noise.is_some())));
        assert!((9..=10).contains(&count(|trouble| trouble.unplug)));
        assert!((180..=200).contains(&count(|trouble| trouble.finger_out)));
        assert!((49..=50).contains(&count(|trouble| trouble.wrong_speed)));
        assert_eq!(count(|trouble| trouble.battery_low), 1000);
        assert!((0..10_000).all(|second| script.at(second) == troubles[second as usize]));
        assert!((0..1000).all(|second| Script::default().at(second) == Trouble::default()));
    }
}
