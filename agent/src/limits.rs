//! Every limit of the agent, with what happens at it. Append at the end of a section.

use std::time::Duration;

// ---- intake and queue ----

/// Things taken and not yet looked at by the queue's owner. Full: a source that can wait waits; one that cannot
/// keeps a small buffer of its own and then counts an overrun, which becomes a loss entry.
pub const TAKEN_MAX: usize = 256;
/// Questions to the queue's owner that wait for their turn. Full: the asker waits.
pub const QUESTIONS_MAX: usize = 64;
/// Sealed records on their way to the uplink before they are durable. Full: the record is fetched from disk later.
pub const LIVE_MAX: usize = 64;
/// Octets of entries at which an open record closes (PROTOCOL §4).
pub const RECORD_CLOSES_AT_BYTES: usize = 2 * 1024;
/// Age at which an open record closes (PROTOCOL §4).
pub const RECORD_CLOSES_AFTER: Duration = Duration::from_millis(250);
/// Age at which thinnable records are synced together (PROTOCOL §4: within one second; a tenth is left for the
/// sync itself).
pub const SYNC_WITHIN: Duration = Duration::from_millis(900);
/// Octets of sealed records that wait for their sync. Full: they are synced at once.
pub const UNSYNCED_BYTES_MAX: usize = 256 * 1024;
/// Octets of entries kept for another attempt after the disk refused a write. Full: the oldest become a loss entry.
pub const RETRY_BYTES_MAX: usize = 256 * 1024;
/// Technical entries that wait for the next record. Full: the two oldest losses of one kind melt together.
pub const TECHNICAL_MAX: usize = 4096;
/// Records in one generation of the queue. Full: a new generation begins.
pub const GENERATION_RECORDS_MAX: u64 = 16_384;
/// A stream's longest life (PROTOCOL §1). Reached: a new stream begins with the next record.
pub const STREAM_LIFE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long released records are kept while there is room (PROTOCOL §5).
pub const RELEASED_KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// Default of `queue_bytes_max`: octets of the queue's folder. Full: policy gives up what matters least.
pub const QUEUE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Octets that stay free on the queue's disk. Reached: as if the queue were full.
pub const DISK_FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// How often the ledger learns of released records. A crash before that only sends them again.
pub const LEDGER_EVERY: Duration = Duration::from_secs(5);
/// How often sizes on disk are measured and the capacity policy runs.
pub const CAPACITY_EVERY: Duration = Duration::from_secs(30);
/// How often the hub says how it is.
pub const HUB_STATUS_EVERY: Duration = Duration::from_secs(60);
/// Wait before the disk is tried again after it refused a write.
pub const DISK_RETRY_AFTER: Duration = Duration::from_secs(2);
/// Ended streams of this run whose batch key is kept until their records are receipted. More: the oldest key is
/// forgotten, and its backlog goes without a trusted age.
pub const RUNS_KEPT_MAX: usize = 4;
/// A wall clock that moved by more than this against the monotonic clock has stepped.
pub const CLOCK_STEP: Duration = Duration::from_secs(1);
/// Tables of bindings remembered after they changed, for readings captured before. Full: the oldest is forgotten, and a
/// reading captured under it has no binding.
pub const PAST_BINDINGS_MAX: usize = 8;
/// Stores (each restore of the server is another) whose last receipt number is remembered. Full: the one that
/// has not answered for longest is forgotten, and an old receipt of it would make everything held be sent again.
pub const STORES_MAX: usize = 64;

// ---- uplink ----

/// Batches sent and not receipted. Full: nothing more is sent until a receipt comes.
pub const FLIGHT_MAX: usize = 20;
/// Octets of records in one batch; the rest of the 64 KiB of a message is for header and opening.
pub const BATCH_RECORD_BYTES_MAX: usize = 48 * 1024;
/// Records that wait for room in flight. Full: given back to the queue, which lends them again later.
pub const LIVE_WAITING_MAX: usize = 256;
/// Events from the MQTT client that wait for the uplink. Full: the client reads no more from the network.
pub const UPLINK_EVENTS_MAX: usize = 64;
/// Requests inside the MQTT client. Full: the batch is given back.
pub const MQTT_REQUESTS_MAX: usize = 32;
/// Largest MQTT packet either way. Larger: the connection ends.
pub const MQTT_PACKET_BYTES_MAX: usize = 70 * 1024;
/// MQTT keep-alive.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A batch without a receipt for so long, while connected, is sent again.
pub const UNANSWERED_AFTER: Duration = Duration::from_secs(10);
/// No receipt at all for so long, with something in flight: the client is thrown away and rebuilt.
pub const STALLED_AFTER: Duration = Duration::from_secs(30);
/// TCP, TLS, CONNECT and SUBSCRIBE together.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(12);
/// The first wait before a new connection.
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(500);
/// The longest wait before a new connection.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(60);
/// How long a stopping agent waits for receipts.
pub const STOP_RECEIPTS_WITHIN: Duration = Duration::from_secs(5);
/// Streams remembered as known to the server. Full: forgotten, and the opening travels again.
pub const KNOWN_STREAMS_MAX: usize = 64;

// ---- settings and status ----

/// Largest signed settings. Larger: refused.
pub const SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// Connecting, asking and reading the settings together.
pub const SETTINGS_WITHIN: Duration = Duration::from_secs(20);
/// Wait before settings are fetched again after a failure.
pub const SETTINGS_RETRY_AFTER: Duration = Duration::from_secs(30);
/// Status connections served at the same time. Full: the next waits to be accepted.
pub const STATUS_CONNECTIONS_MAX: usize = 4;
/// How long a question about the status waits for the queue to open. Over: it is answered as it is.
pub const STATUS_OPEN_WITHIN: Duration = Duration::from_secs(1);
/// A status connection's longest life.
pub const STATUS_WITHIN: Duration = Duration::from_secs(2);
/// How long owners may take to end after a signal: the wait for receipts and the last syncs.
pub const STOP_WITHIN: Duration = Duration::from_secs(15);
/// Devices in a configuration. More: a configuration problem.
pub const DEVICES_MAX: usize = 32;

// ---- devices ----

/// Octets taken from a port in one read. More wait in the kernel for the next.
pub const PORT_READ_BYTES_MAX: usize = 1024;
/// How long one read waits for bytes, and so how soon a device's thread sees that it shall stop.
pub const PORT_READ_WITHIN: Duration = Duration::from_millis(100);
/// Things a port's thread keeps while the queue's owner has no room. Full: further readings are counted as overrun.
pub const OUTBOX_MAX: usize = 64;
/// How long a stopping port's thread tries to hand over what it keeps. Over: it is counted in the log.
pub const OUTBOX_STOP_WITHIN: Duration = Duration::from_secs(1);
/// No byte for so long from a device that speaks all the time: it is silent.
pub const SILENT_AFTER: Duration = Duration::from_secs(3);
/// No byte for so long from a device that speaks all the time: its port is closed and opened again, in case the
/// adapter hangs.
pub const SILENT_REOPEN_AFTER: Duration = Duration::from_secs(60);
/// Bytes for so long, and no readings from them: the device cannot be read.
pub const UNREADABLE_AFTER: Duration = Duration::from_secs(3);
/// The first wait before a port is opened again; doubles each time.
pub const REOPEN_FIRST: Duration = Duration::from_secs(1);
/// The longest wait before a port or a recording is opened again.
pub const REOPEN_MAX: Duration = Duration::from_secs(10);
/// Octets in one line of a recording. Longer: the line is refused.
pub const RECORDING_LINE_BYTES_MAX: usize = 64 * 1024;
/// Columns of a recording that are looked at. More: the recording is refused.
pub const RECORDING_COLUMNS_MAX: usize = 64;
/// Streams introduced to the server within [`OPENINGS_WITHIN`]; it takes 10 a minute (PROTOCOL §1). Full: the backlog
/// of further streams waits, the living stream does not.
pub const OPENINGS_MAX: usize = 8;
/// See [`OPENINGS_MAX`].
pub const OPENINGS_WITHIN: Duration = Duration::from_secs(60);
/// Octets kept in a file that is given up when the disk is so full that the queue cannot be opened.
pub const BALLAST_BYTES: usize = 4 * 1024 * 1024;
/// Batches of backlog in flight; the rest of [`FLIGHT_MAX`] is for live records. Full: the backlog waits.
pub const BACKLOG_FLIGHT_MAX: usize = 6;
/// How far beyond the elapsed time one receipt may move the time that certificates are checked at (PROTOCOL §6).
pub const TIME_FLOOR_STEP_MAX: Duration = Duration::from_secs(24 * 3600);
/// How far that time must have moved before it is written to the disk again.
pub const TIME_FLOOR_KEPT_EVERY: Duration = Duration::from_secs(3600);
/// How often it is looked at for that.
pub const TIME_FLOOR_LOOKED_AT_EVERY: Duration = Duration::from_secs(60);
/// Octets of the file it is kept in; a longer one is not ours, and the time is learnt anew.
pub const TIME_FLOOR_BYTES_MAX: u64 = 128;
/// How long the client may take to say DISCONNECT when the agent stops.
pub const DISCONNECT_WITHIN: Duration = Duration::from_millis(500);
/// Moments of a device that wait for one who listens to it. Full: the oldest are lost to them, and they are told how many.
pub const HEARD_MAX: usize = 64;
/// Commands that listen to a device at the same time; a part of [`STATUS_CONNECTIONS_MAX`]. Full: the next is refused.
pub const LISTENERS_MAX: usize = 2;
/// A line that whoever listens did not take for so long: they are let go.
pub const LISTEN_TAKES_WITHIN: Duration = Duration::from_secs(10);
/// Octets of a question at the status socket. Longer: it is answered as no question.
pub const QUESTION_BYTES_MAX: u64 = 1024;
/// How long an answer of a serial device is waited for. Over: the question is asked again.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How often a question is asked. Not answered then: the device counts as switched off, and the cuff's result as lost.
pub const ASK_TIMES: u8 = 3;
/// How often a CMS50 is told to stay awake; it stops speaking a little later (STANDARDS §2.3).
pub const KEEP_AWAKE_EVERY: Duration = Duration::from_secs(5);
/// How often the pressure of a cuff is looked at, so that the end of a measurement is seen.
pub const CUFF_WATCHED_EVERY: Duration = Duration::from_secs(1);
/// The same while the cuff is full, so that its highest pressure is seen.
pub const FULL_CUFF_WATCHED_EVERY: Duration = Duration::from_millis(250);
/// How long a full cuff may go unseen. Longer: what was measured then is not known, and counts as a failed measurement.
pub const FULL_CUFF_UNSEEN_MAX: Duration = Duration::from_secs(5);
/// How long after the cuff is empty its result is asked for, and asked for again: the module has yet to store it.
pub const RESULT_SETTLES: Duration = Duration::from_secs(2);
/// How often a result that is not new yet is asked for. Not new then: the measurement counts as failed.
pub const RESULT_ASK_TIMES: u8 = 5;
/// How long after it was told to measure a cuff may stay empty. Over: it counts as not obeyed, and is told again.
pub const CUFF_FILLS_WITHIN: Duration = Duration::from_secs(30);
/// How long after a start that was not obeyed the next is given.
pub const START_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How often a device whose memory was read is asked for what is new.
pub const MEMORY_READ_EVERY: Duration = Duration::from_secs(60);
/// How often a device that does not answer is greeted.
pub const MEMORY_GREETED_EVERY: Duration = Duration::from_secs(10);
/// Records of a device's memory that are asked for. More: the further ones are not read.
pub const MEMORY_RECORDS_MAX: u16 = 1000;
/// Records remembered as handed on. Full: the oldest is forgotten; handed on again, the server knows it.
pub const MEMORY_SEEN_MAX: usize = 2000;
/// How long a port may take what is said to a device. Over: the port is closed and opened again.
pub const PORT_WRITE_WITHIN: Duration = Duration::from_millis(500);
/// The shortest interval at which a cuff may be configured to measure by itself.
pub const MEASURE_EVERY_MIN: Duration = Duration::from_secs(5 * 60);
/// The longest.
pub const MEASURE_EVERY_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long after one command a Nonin device is given the next.
pub const COMMANDS_APART: Duration = Duration::from_secs(1);
/// How often a Nonin device of which nothing is read is told its format again.
pub const FORMAT_SAID_EVERY: Duration = Duration::from_secs(10);
/// How long a device for spot measurements counts as unreadable after octets that are no measurement.
pub const STRAY_FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// How long a device with several possible settings of its line is listened to with one of them. Over, and nothing believed:
/// the next is tried.
pub const LINE_TRIED_FOR: Duration = Duration::from_secs(5);
/// Good frames in a row, none refused between, that settle which setting is right.
pub const LINE_BELIEVED_AFTER: u64 = 3;
/// Settings of the line that one model may have. A model with more would not build.
pub const LINE_CHOICES_MAX: usize = 4;
/// Octets of a name under `/dev/serial/by-id`. Longer: refused in the configuration.
pub const PORT_NAME_BYTES_MAX: usize = 255;
