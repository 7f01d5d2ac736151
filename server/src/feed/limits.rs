//! The feed's limits, and what happens at each.

use std::time::Duration;

/// Sockets in all. A further request is answered with 503.
pub const CLIENTS_MAX: usize = 2_000;
/// Commits that the feed has not passed on. Whoever brings a further one waits.
pub const COMMITS_MAX: usize = 64;
/// Alert events that a client has not read. At a further one it is closed as too slow; it resumes with its cursor.
pub const EVENTS_WAITING_MAX: usize = 1_024;
/// Live values of a client that wait, one for each patient and metric. Beyond, it is closed as too slow.
pub const LIVE_WAITING_MAX: usize = 50_000;
/// Alert events of one page when a client resumes.
pub const PAGE_EVENTS: usize = 256;
/// Pages before a client that does not catch up is closed as too slow.
pub const PAGES_MAX: usize = 10_000;
/// Live values in one frame; the rest follow in further ones.
pub const LIVE_IN_FRAME_MAX: usize = 256;
/// Live values are sent at once, but not more often than this.
pub const LIVE_EVERY: Duration = Duration::from_millis(50);
/// How long after a client was told that the store refuses it may be told that it commits again; a refusal is told at
/// once.
pub const STORE_NEWS_PAUSE: Duration = Duration::from_secs(1);
/// How often a heartbeat and a ping are sent.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(10);
/// How long a client may be silent, pongs included. Then it is closed.
pub const SILENCE_MAX: Duration = Duration::from_secs(20);
/// How often rights are looked up again.
pub const RIGHTS_EVERY: Duration = Duration::from_secs(5);
/// How long the store may fail to say what rights a client has. Then it is closed.
pub const RIGHTS_UNKNOWN_MAX: Duration = Duration::from_secs(15);
/// How long before its token expires a client is warned.
pub const EXPIRY_WARNING: Duration = Duration::from_secs(60);
/// How long a write may take. Then the client is closed as too slow.
pub const WRITE_MAX: Duration = Duration::from_secs(10);
/// How long closing a socket in order may take.
pub const CLOSE_MAX: Duration = Duration::from_secs(2);
/// Longest message of a client, in octets. A longer one closes it.
pub const CLIENT_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// A socket's buffers, in octets.
pub const BUFFER_BYTES: usize = 4 * 1024;
/// Octets the kernel may hold for a client that does not read.
pub const SEND_BUFFER_BYTES: usize = 64 * 1024;
