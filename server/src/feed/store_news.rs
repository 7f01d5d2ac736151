//! What a client was told of the store: that it refuses at once, that it commits again with a pause in between, so
//! that a disk on the edge makes no flood. Pure.

use shared::time::Tick;

use super::limits::STORE_NEWS_PAUSE;

/// What the client was told last.
#[derive(Debug, Default)]
pub(super) struct StoreNews {
    refuses: bool,
    told_at: Tick,
}

impl StoreNews {
    /// Whether the client knows that the store refuses.
    pub(super) const fn refuses(&self) -> bool {
        self.refuses
    }

    /// What is to be told now, if anything: whether the store refuses.
    pub(super) fn next(&mut self, refuses: bool, now: Tick) -> Option<bool> {
        let waits = self.deadline(refuses).is_some_and(|at| now < at);
        if refuses == self.refuses || waits {
            return None;
        }
        *self = Self { refuses, told_at: now };
        Some(refuses)
    }

    /// From when the client may be told that the store commits again, if that is to be told.
    pub(super) fn deadline(&self, refuses: bool) -> Option<Tick> {
        (self.refuses && !refuses).then(|| self.told_at.after(STORE_NEWS_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_refusal_is_told_at_once_and_its_end_after_a_pause() {
        let at = |ms: u64| Tick::from_millis(5_000 + ms);
        let pause = u64::try_from(STORE_NEWS_PAUSE.as_millis()).unwrap();
        let mut news = StoreNews::default();
        assert_eq!((news.next(false, at(0)), news.deadline(false)), (None, None));
        assert_eq!(news.next(true, at(1)), Some(true));
        assert_eq!((news.next(true, at(2)), news.refuses()), (None, true));
        assert_eq!((news.next(false, at(pause)), news.deadline(false)), (None, Some(at(1 + pause))));
        // It refuses again meanwhile: the client knows.
        assert_eq!((news.next(true, at(pause)), news.deadline(true)), (None, None));
        assert_eq!(news.next(false, at(1 + pause)), Some(false));
        assert_eq!(news.next(true, at(1 + pause)), Some(true), "without a pause");
    }

    #[test]
    fn a_disk_on_the_edge_makes_no_flood() {
        let mut news = StoreNews::default();
        let told = (0..10_000).filter(|ms| news.next(ms % 2 == 0, Tick::from_millis(*ms)).is_some()).count();
        let pauses = Duration::from_secs(10).as_millis() / STORE_NEWS_PAUSE.as_millis();
        assert!(told <= 2 * (usize::try_from(pauses).unwrap() + 1), "{told} messages in ten seconds");
    }
}
