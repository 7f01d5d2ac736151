//! What is wrong with a network at a moment, and the seeded numbers by which octets are chosen.

use std::time::Duration;

/// A way through the network, as seen by whoever connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From those who connect to the address behind the network.
    Up,
    /// From the address behind the network to those who connect.
    Down,
}

impl Direction {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];

    pub(super) const fn place(self) -> usize {
        match self {
            Self::Up => 0,
            Self::Down => 1,
        }
    }
}

/// Whether anything passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    #[default]
    Open,
    Cut,
    Stalled,
}

/// One octet in so many is another one; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Corruption {
    pub(super) seed: u64,
    pub(super) one_in: u64,
}

/// Everything that can be switched. The default is a good network.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) state: State,
    pub(super) delay: Duration,
    /// Per connection and direction; 0 is no limit.
    pub(super) throttle_bytes_per_s: u64,
    pub(super) reorder: Duration,
    pub(super) corruption: [Corruption; 2],
    /// How often each direction was ended: a connection taken before the last time loses it.
    pub(super) half_closes: [u64; 2],
}

/// Numbers that look random and are the same for a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// The numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next one below a limit (0 if the limit is 0).
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number().checked_rem(limit).unwrap_or(0)
    }
}

/// Changes octets of one connection's one direction.
#[derive(Debug)]
pub(super) struct Corruptor {
    connection: u64,
    direction: Direction,
    set_to: Corruption,
    numbers: Seeded,
    /// Octets that pass unchanged before the next that does not.
    spared: u64,
}

impl Corruptor {
    pub(super) const fn new(connection: u64, direction: Direction) -> Self {
        Self { connection, direction, set_to: Corruption { seed: 0, one_in: 0 }, numbers: Seeded::new(0), spared: 0 }
    }

    /// Changes what passes as it is set now.
    pub(super) fn pass(&mut self, octets: &mut [u8], now: Corruption) {
        if self.set_to != now {
            self.set_to = now;
            // Each connection's directions have numbers of their own, and the same ones for the same seed.
            let of_connection = self.connection.wrapping_mul(2).wrapping_add(self.direction.place() as u64);
            self.numbers = Seeded::new(now.seed ^ Seeded::new(of_connection).number());
            self.spared = self.distance();
        }
        if now.one_in == 0 {
            return;
        }
        for octet in octets {
            if self.spared == 0 {
                // Never by 0: it would be the same octet.
                *octet ^= self.numbers.below(255).to_le_bytes()[0].wrapping_add(1);
                self.spared = self.distance();
            } else {
                self.spared -= 1;
            }
        }
    }

    /// Between 0 and twice the mean, so that one octet in so many is hit and nobody can tell which.
    fn distance(&mut self) -> u64 {
        self.numbers.below(self.set_to.one_in.saturating_mul(2).saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrupted(connection: u64, seed: u64, one_in: u64, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        let mut corruptor = Corruptor::new(connection, Direction::Up);
        for part in octets.chunks_mut(7) {
            corruptor.pass(part, Corruption { seed, one_in });
        }
        octets
    }

    fn hits(octets: &[u8]) -> usize {
        octets.iter().filter(|octet| **octet != 0).count()
    }

    #[test]
    fn one_octet_in_so_many_is_another_and_the_same_ones_for_a_seed() {
        assert_eq!(hits(&corrupted(1, 9, 0, 10_000)), 0);
        assert_eq!(hits(&corrupted(1, 9, 1, 10_000)), 10_000);
        let few = hits(&corrupted(1, 9, 100, 100_000));
        assert!((900..1100).contains(&few), "{few} of 100000, one in 100");
        assert_eq!(corrupted(1, 9, 50, 1000), corrupted(1, 9, 50, 1000));
        assert_ne!(corrupted(1, 9, 50, 1000), corrupted(2, 9, 50, 1000), "another connection");
        assert_ne!(corrupted(1, 9, 50, 1000), corrupted(1, 8, 50, 1000), "another seed");
    }

    #[test]
    fn corruption_that_is_switched_off_ends() {
        let mut corruptor = Corruptor::new(1, Direction::Down);
        let mut octets = [0; 64];
        corruptor.pass(&mut octets, Corruption { seed: 1, one_in: 1 });
        assert_eq!(hits(&octets), 64);
        let mut octets = [0; 64];
        corruptor.pass(&mut octets, Corruption::default());
        assert_eq!(hits(&octets), 0);
    }
}
