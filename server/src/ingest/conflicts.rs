//! Sequences in conflict are held, but with other content than the hub sent: they are never called stored.

use shared::sequence::{Range, Ranges, Sequence};
use shared::wire::{QuarantineReason, Quarantined};

/// The ranges of `stored`, in order, without what `quarantined` names as in conflict.
#[must_use]
pub fn without_conflicts(stored: &Ranges, quarantined: &[Quarantined]) -> Vec<Range> {
    let conflicts: Ranges = quarantined
        .iter()
        .filter(|entry| entry.reason == QuarantineReason::Conflict)
        .map(|entry| entry.range)
        .collect();
    if conflicts.is_empty() {
        return stored.iter().collect();
    }
    let mut left = Vec::new();
    for range in stored.iter() {
        let mut from = Some(range.first());
        for conflict in conflicts.iter().filter(|c| c.first() <= range.last() && c.last() >= range.first()) {
            let before = Sequence::new(conflict.first().get().saturating_sub(1));
            if let (Some(first), Some(last)) = (from, before)
                && let Ok(piece) = Range::new(first, last)
            {
                left.push(piece);
            }
            from = conflict.last().next();
        }
        if let Some(Ok(piece)) = from.map(|first| Range::new(first, range.last())) {
            left.push(piece);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u64, last: u64) -> Range {
        Range::new(Sequence::new(first).unwrap(), Sequence::new(last).unwrap()).unwrap()
    }

    #[test]
    fn conflicts_alone_are_taken_out() {
        let stored = [range(1, 3), range(5, 9), range(11, 11)].into_iter().collect();
        let entry = |reason, range| Quarantined { range, reason };
        let quarantined = [
            entry(QuarantineReason::Conflict, range(1, 1)),
            entry(QuarantineReason::Damaged, range(2, 2)),
            entry(QuarantineReason::Conflict, range(6, 7)),
            entry(QuarantineReason::Conflict, range(11, 12)),
        ];
        assert_eq!(without_conflicts(&stored, &quarantined), [range(2, 3), range(5, 5), range(8, 9)]);
        assert_eq!(without_conflicts(&stored, &quarantined[1..2]), stored.iter().collect::<Vec<_>>());
    }
}
