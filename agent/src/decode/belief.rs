//! A protocol without a checksum must prove itself: only after several good frames in a row is any of them
//! believed, after the start and after each resynchronisation.

use super::refused::{RefusedFrame, Tally};

/// How far a line is believed.
#[derive(Debug, Clone, Copy)]
pub struct Belief {
    needed: u64,
    run: u64,
}

impl Belief {
    /// Nothing is believed before `needed` good frames in a row.
    #[must_use]
    pub const fn after(needed: u64) -> Self {
        Self { needed, run: 0 }
    }

    /// A good frame came: whether to believe it.
    pub fn good(&mut self, tally: &mut Tally) -> bool {
        self.run = self.run.saturating_add(1);
        tally.framed();
        if self.run < self.needed {
            return false;
        }
        // At the moment of belief the frames that proved it count too.
        tally.accept(if self.run == self.needed { self.needed } else { 1 });
        true
    }

    /// The run is broken: frames that were not yet believed are refused.
    pub fn broken(&mut self, tally: &mut Tally) {
        if self.run < self.needed {
            tally.refuse(RefusedFrame::Unproven, self.run);
        }
        self.run = 0;
    }

    /// Whether the frame just counted as good is the one that made the run believed.
    #[must_use]
    pub const fn just_now(&self) -> bool {
        self.run == self.needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn believed_from_the_nth_in_a_row_only() {
        let (mut belief, mut tally) = (Belief::after(3), Tally::default());
        assert!(!belief.good(&mut tally) && !belief.good(&mut tally));
        belief.broken(&mut tally);
        assert_eq!((tally.accepted, tally.refused(RefusedFrame::Unproven)), (0, 2));
        assert!(!belief.good(&mut tally) && !belief.good(&mut tally));
        assert!(belief.good(&mut tally) && belief.just_now());
        assert!(belief.good(&mut tally) && !belief.just_now());
        assert_eq!(tally.accepted, 4);
        belief.broken(&mut tally);
        assert!(!belief.good(&mut tally));
        assert_eq!(tally.refused(RefusedFrame::Unproven), 2);
    }
}
