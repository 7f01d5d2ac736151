//! Every limit of this crate.

use std::time::Duration;

/// Largest configuration file, in octets; a larger one is a problem of the configuration.
pub(crate) const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// The longest single sleep towards a tick: sleeping does not count a suspended machine, ticks do, so the tick is
/// asked again at least this often.
pub(crate) const SLEEP_STEP_MAX: Duration = Duration::from_secs(30);

/// How old the time source's last word may be before the clock counts as held over: five of the longest polls of
/// systemd-timesyncd (`PollIntervalMaxSec`, 2,048 s).
pub(crate) const SYNCHRONISED_AGE_MAX: Duration = Duration::from_secs(5 * 2048);

/// How long the asynchronous runtime may take to end once the exit code is decided; threads that still block
/// then are left to the end of the process.
pub(crate) const RUNTIME_END_MAX: Duration = Duration::from_secs(2);
