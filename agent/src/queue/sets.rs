//! Set arithmetic on ranges of sequences. Pure.

use shared::sequence::{Range, Ranges, Sequence};

/// What is in `from` and not in `without`.
#[must_use]
pub fn minus(from: &Ranges, without: &Ranges) -> Ranges {
    let mut rest = Vec::new();
    for range in from.iter() {
        let mut next = Some(range.first());
        for hole in without.iter().skip_while(|hole| hole.last() < range.first()) {
            let Some(start) = next else { break };
            if hole.first() > range.last() {
                break;
            }
            let before = Sequence::new(hole.first().get().saturating_sub(1));
            if let Some(Ok(piece)) = before.map(|before| Range::new(start, before)) {
                rest.push(piece);
            }
            next = hole.last().next().filter(|next| *next <= range.last());
        }
        if let Some(Ok(piece)) = next.map(|start| Range::new(start, range.last())) {
            rest.push(piece);
        }
    }
    rest.into()
}

/// What is in both.
#[must_use]
pub fn both(one: &Ranges, other: &Ranges) -> Ranges {
    minus(one, &minus(one, other))
}

/// Every sequence of the set, in order.
pub fn each(ranges: &Ranges) -> impl Iterator<Item = Sequence> + '_ {
    ranges.iter().flat_map(|range| {
        std::iter::successors(Some(range.first()), |sequence| sequence.next()).take_while(move |s| *s <= range.last())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn ranges(numbers: &BTreeSet<u64>) -> Ranges {
        numbers.iter().filter_map(|number| Sequence::new(*number)).map(Range::one).collect()
    }

    proptest! {
        #[test]
        fn behave_as_sets(one in prop::collection::btree_set(1_u64..60, 0..40),
                          other in prop::collection::btree_set(1_u64..60, 0..40)) {
            let (a, b) = (ranges(&one), ranges(&other));
            let listed = |set: &Ranges| each(set).map(Sequence::get).collect::<BTreeSet<u64>>();
            prop_assert_eq!(listed(&minus(&a, &b)), &one - &other);
            prop_assert_eq!(listed(&both(&a, &b)), &one & &other);
        }
    }

    #[test]
    fn the_end_of_numbers_does_not_wrap() {
        let last = Sequence::new(u64::MAX).unwrap();
        let all = Ranges::from(vec![Range::new(Sequence::FIRST, last).unwrap()]);
        assert_eq!(minus(&all, &Ranges::from(vec![Range::one(last)])).last().unwrap().get(), u64::MAX - 1);
        assert!(minus(&all, &all).is_empty());
    }
}
