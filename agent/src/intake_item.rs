//! What sources hand to the queue's owner.

use shared::id::DeviceId;
use shared::observation::{Captured, DeviceRecordId, DeviceTime};
use shared::reading::Reading;
use shared::time::Tick;
use shared::wire::DeviceStatus;

/// One thing a source took. The queue's owner adds the binding in force, seals it and keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Readings of one moment of one device.
    Readings {
        /// The device.
        device: DeviceId,
        /// The user slot, for a device that several people use.
        slot: Option<u8>,
        /// When the bytes that completed them came in.
        captured: Captured,
        /// The device's own clock, if it sent one.
        device_time: Option<DeviceTime>,
        /// Set when they came from the device's memory, not from the moment.
        from_memory: Option<DeviceRecordId>,
        /// At most one for each metric.
        readings: Vec<Reading>,
    },
    /// A device changed its state.
    Device(DeviceStatus),
    /// Readings a source could not hand over in time: they are gone, and this says so.
    Overrun {
        /// The device.
        device: DeviceId,
        /// How many moments of readings are gone.
        count: u64,
        /// The first of them.
        from: Tick,
        /// The last of them.
        until: Tick,
        /// When this was written.
        at: Captured,
    },
}
