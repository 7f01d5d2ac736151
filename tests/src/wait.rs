//! Waiting for something to become true.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(50);

/// Asks until there is an answer.
///
/// # Errors
/// If none came in time, with what was waited for.
pub fn until<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if begin.elapsed() > within {
            bail!("waited {} s in vain for {what}", within.as_secs());
        }
        std::thread::sleep(EVERY);
    }
}
