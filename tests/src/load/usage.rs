//! What a process uses, as the kernel counts it (proc(5)).

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

/// Ticks of the kernel's clock in a second: fixed for programs on Linux (`USER_HZ`).
const TICKS_PER_S: u64 = 100;

/// A process's use so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Processor time, user and system, in milliseconds.
    pub cpu_ms: u64,
    /// Memory resident now, in KiB.
    pub rss_kib: u64,
    /// The most that was ever resident, in KiB.
    pub rss_peak_kib: u64,
}

impl Usage {
    /// Of a process by its id.
    ///
    /// # Errors
    /// If it has ended.
    pub fn of(id: u32) -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let memory = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line in status")?;
            Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
        };
        Ok(Self { cpu_ms: cpu_ms(&stat)?, rss_kib: memory("VmRSS")?, rss_peak_kib: memory("VmHWM")? })
    }

    /// Processors kept busy since an earlier reading that long ago.
    #[must_use]
    pub fn cores_since(&self, earlier: &Self, passed: Duration) -> f64 {
        Duration::from_millis(self.cpu_ms.saturating_sub(earlier.cpu_ms)).as_secs_f64() / passed.as_secs_f64()
    }
}

fn cpu_ms(stat: &str) -> anyhow::Result<u64> {
    // The name in parentheses may hold anything; the fields after it are counted from 3. utime is 14, stime 15.
    let rest = stat.rsplit_once(')').context("no name in stat")?.1;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || -> anyhow::Result<u64> { Ok(fields.next().context("too few fields in stat")?.parse()?) };
    Ok((next()? + next()?) * (1_000 / TICKS_PER_S))
}

/// The machine's load average over one minute.
#[must_use]
pub fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

/// Raises this process's limit of open files as far as it may, for a connection of each hub.
pub fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let stat = "12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(cpu_ms(stat).unwrap(), 3_000);
        assert!(cpu_ms("12 (a) S 1").is_err());
        let own = Usage::of(std::process::id()).unwrap();
        assert!(own.rss_kib > 0 && own.rss_peak_kib >= own.rss_kib, "{own:?}");
        let later = Usage { cpu_ms: own.cpu_ms + 500, ..own };
        assert!((later.cores_since(&own, Duration::from_secs(1)) - 0.5).abs() < 1e-9);
    }
}
