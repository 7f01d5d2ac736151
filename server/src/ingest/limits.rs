//! Ingest's limits, and what happens at each.

use std::time::Duration;

/// Streams whose keys are held in memory: more than the door lets hubs in. When full, the one not used for longest is
/// forgotten; its keys are derived again from the store when its hub sends next.
pub const STREAMS_MAX: usize = 16_384;
/// New openings of one hub in a minute that are looked at. A further one is counted and not kept: no receipt says its
/// batch is stored, so the hub sends it again.
pub const OPENINGS_PER_MINUTE_MAX: u32 = 10;
/// Hubs whose rate of openings is remembered. When full, those that have their whole allowance again are forgotten;
/// if none has, the opening is treated as over the rate.
pub const OPENING_RATES_MAX: usize = 16_384;
/// Places where hubs wait for their turn to have an unknown stream looked up; hubs share them by their id.
pub const LOOKUP_TURNS: usize = 64;
/// Half of the span in which the quickest message of a stream is looked for.
pub const QUICKEST_SPAN: Duration = Duration::from_secs(30 * 60);

/// Outcomes that wait to be receipted. When full, whoever brings one waits.
pub const OUTCOMES_MAX: usize = 1_024;
/// Shortest time between two receipts of one stream. What is stored meanwhile is said together.
pub const RECEIPT_PAUSE: Duration = Duration::from_millis(200);
/// Streams whose receipts are being paced. When full, no further outcome is read until one has left.
pub const RECEIPTS_MAX: usize = 16_384;
/// Quarantined ranges of one stream that wait to be said. What is beyond is counted and not said now: the hub sends
/// those records again and is told then.
pub const QUARANTINED_WAITING_MAX: usize = 4_096;
/// Stored ranges of one stream that wait to be said. What is beyond is counted and not said now: the hub sends those
/// records again and is told then.
pub const STORED_WAITING_MAX: usize = 4_096;
