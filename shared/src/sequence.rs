//! Sequences and sets of them.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// A record's place in its stream, from 1, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence(NonZeroU64);

impl Sequence {
    /// The first of every stream.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The sequence of this number; `None` for 0.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number, at least 1.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The one after it; `None` after the last that 64 bits hold.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

/// Sequences `first` to `last`, both included, `first <= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(Sequence, Sequence)", into = "(Sequence, Sequence)")]
pub struct Range {
    first: Sequence,
    last: Sequence,
}

/// A range that ends before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a range of sequences ends before it starts")]
pub struct UnreadableRange;

impl Range {
    /// From `first` to `last`.
    ///
    /// # Errors
    /// [`UnreadableRange`] if `last` is before `first`.
    pub fn new(first: Sequence, last: Sequence) -> Result<Self, UnreadableRange> {
        if first <= last { Ok(Self { first, last }) } else { Err(UnreadableRange) }
    }

    /// Just this one.
    #[must_use]
    pub const fn one(sequence: Sequence) -> Self {
        Self { first: sequence, last: sequence }
    }

    /// Its first sequence.
    #[must_use]
    pub const fn first(self) -> Sequence {
        self.first
    }

    /// Its last sequence.
    #[must_use]
    pub const fn last(self) -> Sequence {
        self.last
    }

    /// How many sequences it holds; at least 1.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.last.get().saturating_sub(self.first.get()).saturating_add(1)
    }
}

impl TryFrom<(Sequence, Sequence)> for Range {
    type Error = UnreadableRange;
    fn try_from((first, last): (Sequence, Sequence)) -> Result<Self, UnreadableRange> {
        Self::new(first, last)
    }
}

impl From<Range> for (Sequence, Sequence) {
    fn from(range: Range) -> Self {
        (range.first, range.last)
    }
}

/// A set of sequences, kept as sorted ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Range>", into = "Vec<Range>")]
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a range; touching and overlapping ones melt together.
    pub fn insert(&mut self, range: Range) {
        let (mut first, mut last) = (range.first, range.last);
        // Everything from `from` to `until` touches the new range.
        let from = self.0.partition_point(|r| r.last.get().saturating_add(1) < first.get());
        let until = self.0.partition_point(|r| r.first.get() <= last.get().saturating_add(1));
        if let Some(touched) = self.0.get(from..until) {
            if let (Some(low), Some(high)) = (touched.first(), touched.last()) {
                first = first.min(low.first);
                last = last.max(high.last);
            }
            self.0.splice(from..until, [Range { first, last }]);
        }
    }

    /// Adds every range of `other`.
    pub fn insert_all(&mut self, other: &Self) {
        other.iter().for_each(|range| self.insert(range));
    }

    /// Whether the sequence is in the set.
    #[must_use]
    pub fn contains(&self, sequence: Sequence) -> bool {
        let place = self.0.partition_point(|range| range.last < sequence);
        self.0.get(place).is_some_and(|range| range.first <= sequence)
    }

    /// Whether every sequence of `range` is in the set.
    #[must_use]
    pub fn contains_range(&self, range: Range) -> bool {
        let place = self.0.partition_point(|r| r.last < range.first);
        self.0.get(place).is_some_and(|r| r.first <= range.first && range.last <= r.last)
    }

    /// What lies between 1 and `last` and is not in the set.
    #[must_use]
    pub fn missing_up_to(&self, last: Sequence) -> Self {
        let mut missing = Vec::new();
        let mut next = Some(Sequence::FIRST);
        for range in &self.0 {
            let Some(from) = next.filter(|from| *from <= last) else { break };
            let before = Sequence::new(range.first.get().saturating_sub(1));
            if let Some(Ok(gap)) = before.map(|before| Range::new(from, before.min(last))) {
                missing.push(gap);
            }
            next = range.last.next();
        }
        if let Some(Ok(gap)) = next.map(|from| Range::new(from, last)) {
            missing.push(gap);
        }
        Self(missing)
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range> + ExactSizeIterator + '_ {
        self.0.iter().copied()
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ranges it takes to write the set.
    #[must_use]
    pub const fn range_count(&self) -> usize {
        self.0.len()
    }

    /// How many sequences it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, range| sum.saturating_add(range.count()))
    }

    /// Its highest sequence.
    #[must_use]
    pub fn last(&self) -> Option<Sequence> {
        self.0.last().map(|range| range.last)
    }
}

impl From<Vec<Range>> for Ranges {
    fn from(list: Vec<Range>) -> Self {
        list.into_iter().collect()
    }
}

impl From<Ranges> for Vec<Range> {
    fn from(ranges: Ranges) -> Self {
        ranges.0
    }
}

impl FromIterator<Range> for Ranges {
    fn from_iter<T: IntoIterator<Item = Range>>(list: T) -> Self {
        let mut ranges = Self::new();
        list.into_iter().for_each(|range| ranges.insert(range));
        ranges
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn sequence(number: u64) -> Sequence {
        Sequence::new(number).unwrap()
    }

    fn range(first: u64, last: u64) -> Range {
        Range::new(sequence(first), sequence(last)).unwrap()
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(pairs in prop::collection::vec((1_u64..60, 0_u64..8), 0..40)) {
            let mut model = BTreeSet::new();
            let mut ranges = Ranges::new();
            for (first, more) in pairs {
                ranges.insert(range(first, first + more));
                model.extend(first..=first + more);
            }
            for number in 1..80 {
                prop_assert_eq!(ranges.contains(sequence(number)), model.contains(&number));
            }
            prop_assert_eq!(ranges.count(), model.len() as u64);
            let missing = ranges.missing_up_to(sequence(70));
            for number in 1..=70 {
                prop_assert_eq!(missing.contains(sequence(number)), !model.contains(&number));
            }
            let parts: Vec<Range> = ranges.iter().collect();
            for pair in parts.windows(2) {
                prop_assert!(pair[0].last().get() + 1 < pair[1].first().get());
            }
        }
    }

    #[test]
    fn the_end_of_numbers_does_not_wrap() {
        let mut ranges = Ranges::new();
        ranges.insert(range(u64::MAX - 1, u64::MAX));
        ranges.insert(range(1, 1));
        assert_eq!(ranges.range_count(), 2);
        assert_eq!(sequence(u64::MAX).next(), None);
        assert!(!ranges.missing_up_to(sequence(u64::MAX)).contains(sequence(u64::MAX)));
    }

    #[test]
    fn a_backward_range_is_refused_from_the_wire_too() {
        let bytes = postcard::to_stdvec(&(sequence(5), sequence(4))).unwrap();
        assert!(postcard::from_bytes::<Range>(&bytes).is_err());
        assert!(postcard::from_bytes::<Sequence>(&[0]).is_err());
    }
}
