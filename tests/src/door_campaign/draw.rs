//! Choices that follow from a seed alone.

/// Numbers drawn one after the other (SplitMix64: Steele, Lea, Flood 2014). The same seed and case give the same.
#[derive(Debug, Clone)]
pub struct Draw(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draw {
    /// The choices of a case.
    #[must_use]
    pub fn new(seed: u64, case: u64) -> Self {
        let mut draw = Self(seed.wrapping_mul(GOLDEN) ^ case);
        // Cases that follow one another begin far apart.
        Self(draw.number() ^ case.rotate_left(32))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % limit).unwrap_or(0)
    }

    /// A number from one to another, both included.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True once in so many.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// An octet.
    pub fn octet(&mut self) -> u8 {
        self.number().to_le_bytes()[0]
    }

    /// Octets.
    pub fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.octet()).collect()
    }

    /// One of several; `None` if there are none.
    pub fn of<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        among.get(self.below(among.len()))
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Octets with something wrong: bits flipped, a part cut off, taken out, doubled or replaced. Never the same.
    pub fn torn(&mut self, octets: &[u8]) -> Vec<u8> {
        let mut torn = octets.to_vec();
        for _ in 0..self.between(1, 3) {
            self.tear(&mut torn);
        }
        if torn == octets {
            torn.push(self.octet());
        }
        torn
    }

    fn tear(&mut self, octets: &mut Vec<u8>) {
        let begin = self.below(octets.len());
        let end = (begin + self.between(1, 16)).min(octets.len());
        match self.below(6) {
            0 | 1 => {
                let bit = self.below(8);
                octets.iter_mut().skip(begin).take(1).for_each(|octet| *octet ^= 1 << bit);
            }
            2 => octets.truncate(begin),
            3 => drop(octets.drain(begin..end)),
            4 => {
                let doubled: Vec<u8> = octets.iter().copied().skip(begin).take(end - begin).collect();
                drop(octets.splice(begin..begin, doubled));
            }
            _ => {
                let other = self.octets(end - begin);
                drop(octets.splice(begin..end, other));
            }
        }
    }

    /// Octets in one to some pieces that are not empty.
    pub fn pieces<'a>(&mut self, octets: &'a [u8], most: usize) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        let mut rest = octets;
        while rest.len() > 1 && pieces.len() + 1 < most {
            let (piece, after) = rest.split_at(self.between(1, rest.len() - 1));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_case_give_the_same_and_others_do_not() {
        let draw = |seed, case| Draw::new(seed, case).octets(64);
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn what_is_torn_is_never_whole_and_pieces_are() {
        let octets: Vec<u8> = (0..100).collect();
        for case in 0..1_000 {
            let mut draw = Draw::new(7, case);
            assert_ne!(draw.torn(&octets), octets);
            assert_eq!(draw.torn(&[]).len().min(1), 1);
            let pieces = draw.pieces(&octets, 6);
            assert!(pieces.len() <= 6 && pieces.iter().all(|piece| !piece.is_empty()));
            assert_eq!(pieces.concat(), octets);
        }
    }
}
