//! What a record holds once it is opened.

use serde::{Deserialize, Serialize};

use crate::id::{BootId, DeviceId, StreamId};
use crate::observation::{Captured, Observation};
use crate::sequence::Range;
use crate::time::{Tick, Timestamp};

/// The plaintext of a record: what was sealed together under one sequence. The version is the variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Entries in the order they were taken.
    V1(Vec<Entry>),
}

/// One thing the hub has to say. Append-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A reading with its circumstances.
    Observation(Observation),
    /// How the hub is.
    HubStatus(HubStatus),
    /// How a device is.
    DeviceStatus(DeviceStatus),
    /// Something is gone, and why.
    Loss(Loss),
    /// A clock arrived or stepped.
    ClockFix(ClockFix),
    /// The agent started.
    Boot(Boot),
    /// These sequences of this stream were consumed by sealing and never written.
    Void(Range),
}

/// How the hub is, about once a minute and at changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubStatus {
    /// When.
    pub at: Captured,
    /// Records that await a receipt.
    pub backlog_records: u64,
    /// Their size, in octets.
    pub backlog_bytes: u64,
    /// Octets free on the queue's disk.
    pub disk_free_bytes: u64,
    /// Frames refused since the agent started, all reasons.
    pub frames_refused: u64,
}

/// A device's state, as the hub sees it. Append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// Open and speaking.
    Connected,
    /// Not there: unplugged, out of range or switched off.
    Absent,
    /// Open, and silent for longer than its protocol allows.
    Silent,
    /// It speaks, and nothing it says can be read.
    Unreadable,
    /// Another program holds its port.
    Busy,
}

/// A change of a device's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// When.
    pub at: Captured,
    /// Which device.
    pub device: DeviceId,
    /// Its state from then on.
    pub state: DeviceState,
    /// Whether the device says its battery is low, if it says.
    pub battery_low: Option<bool>,
}

/// Something that was taken, or could have been, and is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// When it was noticed.
    pub at: Captured,
    /// What is gone.
    pub extent: LossExtent,
    /// Why.
    pub cause: LossCause,
}

/// How much is gone. Append-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossExtent {
    /// Durable records of a stream.
    Records {
        /// The stream.
        stream: StreamId,
        /// Their sequences.
        range: Range,
    },
    /// Frames of a device that were never taken.
    Frames {
        /// The device.
        device: DeviceId,
        /// How many, as far as can be told.
        count: u64,
        /// From this tick of this boot.
        from: Tick,
        /// To this tick.
        until: Tick,
    },
}

/// Why something is gone. Append-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCause {
    /// The disk was full and policy gave this up.
    DiskFull,
    /// A generation of the queue was damaged and this could not be salvaged.
    Damaged,
    /// A source that cannot wait was not read in time.
    Overrun,
    /// The disk refused the write; what it held was sealed and never became durable.
    WriteFailed,
}

/// Relates the two clocks of a boot, when a time source arrives or the wall clock steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockFix {
    /// The boot it is about.
    pub boot: BootId,
    /// The monotonic clock ...
    pub tick: Tick,
    /// ... when the wall clock read this.
    pub wall: Timestamp,
    /// The wall clock's uncertainty, in milliseconds.
    pub uncertainty_ms: u32,
}

/// The agent started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// When.
    pub at: Captured,
    /// The machine's boot.
    pub boot: BootId,
    /// Whether the run before stopped in an orderly way, if known.
    pub stopped_orderly: Option<bool>,
}
