//! Durations measured, and what is said of them.

use std::time::Duration;

use serde::Serialize;

/// Durations in microseconds, unordered.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<u32>);

/// What is said of them, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many there were.
    pub samples: usize,
    /// Half of them were shorter.
    pub p50_ms: f64,
    /// 99 of 100 were shorter.
    pub p99_ms: f64,
    /// 999 of 1,000 were shorter.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Samples {
    /// One more; longer than an hour counts as an hour and eleven minutes.
    pub fn push(&mut self, duration: Duration) {
        self.0.push(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX));
    }

    /// All of others too.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// What is said of them; `None` if there are none.
    #[must_use]
    pub fn percentiles(mut self) -> Option<Percentiles> {
        self.0.sort_unstable();
        // Nearest rank: the smallest that is no shorter than so many of a thousand.
        let rank = |thousandths: usize| {
            let rank = (self.0.len() * thousandths).div_ceil(1_000).max(1);
            self.0.get(rank - 1).map(|micros| f64::from(*micros) / 1_000.0)
        };
        Some(Percentiles {
            samples: self.0.len(),
            p50_ms: rank(500)?,
            p99_ms: rank(990)?,
            p999_ms: rank(999)?,
            max_ms: rank(1_000)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest_above() {
        let mut samples = Samples::default();
        for millis in (1..=1_000).rev() {
            samples.push(Duration::from_millis(millis));
        }
        let said = samples.percentiles().unwrap();
        assert_eq!(
            (said.samples, said.p50_ms, said.p99_ms, said.p999_ms, said.max_ms),
            (1_000, 500.0, 990.0, 999.0, 1_000.0)
        );
        let mut one = Samples::default();
        one.push(Duration::from_micros(1_500));
        assert_eq!(one.percentiles().unwrap().p50_ms, 1.5);
        assert!(Samples::default().percentiles().is_none());
    }
}
