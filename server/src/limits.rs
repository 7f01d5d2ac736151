//! Every limit of the server that is not on the wire, with what happens when it is reached.

use std::time::Duration;

/// Items waiting for the store's owner. When full, whoever sends waits.
pub const STORE_ITEMS_MAX: usize = 4_096;
/// Commit reports waiting for the router. When full, the store's owner waits.
pub const COMMIT_REPORTS_MAX: usize = 256;
/// Observations in one transaction; the rest goes into the next.
pub const OBSERVATIONS_PER_COMMIT_MAX: usize = 5_000;
/// Batches in one transaction; the rest goes into the next.
pub const BATCHES_PER_COMMIT_MAX: usize = 2_048;
/// How long a transaction is held open for further batches, once one waits.
pub const GATHER_MAX: Duration = Duration::from_millis(20);
/// How long nothing must come before the store's owner uses the moment for a checkpoint.
pub const IDLE_AFTER: Duration = Duration::from_millis(50);
/// How long the store's owner waits after deadlines could not be committed, before it tries again.
pub const DEADLINES_RETRY: Duration = Duration::from_secs(1);
/// How long after a failed transaction, with nobody sending, the store's owner tries a small one to see whether the disk
/// takes writes again.
pub const STORE_PROBE_AFTER: Duration = Duration::from_secs(30);
/// How long after the log could not be emptied every transaction is refused at once, before it is tried again.
pub const SETTLE_RETRY: Duration = Duration::from_secs(1);
/// A wall clock that moved by more than this against the monotonic clock since it was last looked at has stepped
/// (PROTOCOL §6): a technical finding.
pub const WALL_STEP_MIN: Duration = Duration::from_secs(60);
/// How long a look at both clocks may take; one that took longer, as when the machine paused, tells nothing.
pub const WALL_LOOK_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether certificates and the revocation list are to be made anew; after a step of the wall
/// clock they are at the next look.
pub const RENEWAL_LOOK_EVERY: Duration = Duration::from_secs(60);
/// The longest the store's owner sleeps before it shows that it is alive.
pub const STORE_TURN_MAX: Duration = Duration::from_secs(2);
/// Open files the server wants: a connection of every hub and every screen, and room for its own. With fewer it runs,
/// says so in its log, and refuses connections earlier.
pub const OPEN_FILES_WANTED: u64 = 24_576;
/// Streams whose ranges the store keeps in memory; the ones not used for longest are read again from the disk.
pub const STREAMS_CACHED_MAX: usize = 16_384;
/// Bindings and newest captures kept in memory; beyond, all are forgotten and read again as they are needed.
pub const CACHED_ROWS_MAX: usize = 100_000;
/// Pages in the write-ahead log after which a commit is followed by writing them back.
pub const WAL_PAGES_MAX: u32 = 20_000;
/// Observations committed since the last checkpoint, from which an idle moment is used for one.
pub const CHECKPOINT_WORTH: u64 = 2_000;
/// Longest identity of a device's memory record, in octets; longer ones put the observation's record in error.
pub const DEVICE_IDENTITY_BYTES_MAX: usize = 64;
/// Longest name of a patient, in characters; a longer one is refused.
pub const NAME_CHARACTERS_MAX: usize = 200;
/// Most events a feed can ask for at once; more come with the next call.
pub const EVENTS_PAGE_MAX: usize = 1_000;
/// Largest request on the administration socket, in octets; a larger one is refused.
pub const ADMIN_BYTES_MAX: u64 = 256 * 1024;
/// Administration requests served at once; further ones wait to be accepted.
pub const ADMIN_CONNECTIONS_MAX: usize = 8;
/// How long an administration request may take to arrive; a slower one is closed.
pub const ADMIN_READ_MAX: Duration = Duration::from_secs(10);
/// Longest time for draining at the end.
pub const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How old a device's state may be to say something about now; older ones are kept as history only.
pub const DEVICE_STATE_AGE_MAX: Duration = Duration::from_secs(120);
/// Records of a hub's last stream that may be held beyond what its next opening calls durable: a hub sends its urgent
/// records before its disk has synced them, so after a power cut the server holds some that the hub lost. Beyond, the
/// hub is noted as restored from a copy or cloned.
pub const HELD_AHEAD_MAX: u64 = 128;
/// Shortest time between two audit entries about refused bearer tokens; refusals meanwhile are counted in the next one.
pub const REFUSALS_NOTED_EVERY: Duration = Duration::from_secs(1);
/// Refused tokens named in one audit entry; further ones are only counted in it.
pub const REFUSED_TOKENS_NAMED_MAX: usize = 16;
