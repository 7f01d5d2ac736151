//! Why an expected observation may not have come (SEMANTICS §4.1), from what hubs said of themselves.

use std::collections::BTreeMap;

use shared::id::{DeviceId, HubId};
use shared::wire::DeviceState;

use super::state::MetricState;

/// What is known of hubs and devices since the server started.
#[derive(Debug, Default)]
pub struct Knowledge {
    hubs: BTreeMap<HubId, KnownHub>,
    /// What hubs were before the transaction under way.
    before: BTreeMap<HubId, Option<KnownHub>>,
}

/// Devices remembered for a hub; the state of further ones is not remembered, so their absence says `unknown`.
const DEVICES_MAX: usize = 64;

#[derive(Debug, Clone, Default)]
struct KnownHub {
    connected: Option<bool>,
    devices: BTreeMap<DeviceId, DeviceState>,
}

impl Knowledge {
    /// A hub connected or went.
    pub fn hub(&mut self, hub: HubId, connected: bool) {
        self.change(hub).connected = Some(connected);
    }

    /// A device changed its state.
    pub fn device(&mut self, hub: HubId, device: &DeviceId, state: DeviceState) {
        let devices = &mut self.change(hub).devices;
        if devices.len() < DEVICES_MAX || devices.contains_key(device) {
            devices.insert(device.clone(), state);
        }
    }

    fn change(&mut self, hub: HubId) -> &mut KnownHub {
        self.before.entry(hub).or_insert_with(|| self.hubs.get(&hub).cloned());
        self.hubs.entry(hub).or_default()
    }

    /// The transaction holds.
    pub fn commit(&mut self) {
        self.before.clear();
    }

    /// The transaction does not hold.
    pub fn roll_back(&mut self) {
        for (hub, known) in std::mem::take(&mut self.before) {
            match known {
                Some(known) => self.hubs.insert(hub, known),
                None => self.hubs.remove(&hub),
            };
        }
    }

    /// Why nothing comes from a device, as far as is known.
    #[must_use]
    pub fn cause_of(&self, hub: HubId, device: &DeviceId) -> &'static str {
        let Some(known) = self.hubs.get(&hub) else { return "hub not heard" };
        match (known.connected, known.devices.get(device)) {
            (Some(false) | None, _) => "hub not connected (hub off or network down)",
            (_, Some(DeviceState::Absent)) => "device not there (battery, range or off)",
            (_, Some(DeviceState::Silent)) => "device connected and silent",
            (_, Some(DeviceState::Unreadable)) => "device speaks and cannot be read",
            (_, Some(DeviceState::Busy)) => "device's port is held by another program",
            (_, Some(DeviceState::Connected)) => "sensor off or no usable signal",
            (_, None) => "the hub knows no device of this name, or has not fetched its new settings",
        }
    }

    /// The most likely cause, in words.
    #[must_use]
    pub fn cause(&self, metric: &MetricState, spot: bool) -> &'static str {
        let Some((hub, device)) = &metric.from else { return "cause unknown" };
        let Some(known) = self.hubs.get(hub) else { return "server was restarted, hub not heard since" };
        match (known.connected, known.devices.get(device)) {
            (Some(false), _) => "hub not connected (hub off or network down)",
            (_, Some(DeviceState::Absent)) => "device not there (battery, range or off)",
            (_, Some(DeviceState::Silent)) => "device connected and silent",
            (_, Some(DeviceState::Unreadable)) => "device speaks and cannot be read",
            (_, Some(DeviceState::Busy)) => "device's port is held by another program",
            (None, _) => "server was restarted, hub not heard since",
            _ if metric.no_reading.since.is_some() => "sensor off or no usable signal",
            _ if metric.gated.since.is_some() => "signal poor",
            (Some(true), Some(DeviceState::Connected)) if spot => "patient did not measure",
            _ => "cause unknown",
        }
    }
}
