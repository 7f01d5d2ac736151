//! The objects there are, and what changes of them is said on the bus. No input or output: messages to send are
//! collected in an outbox.

use std::collections::{BTreeMap, HashMap, VecDeque};

use dbus::arg::PropMap;
use dbus::{Message, Path};

use crate::ADAPTER;
use crate::device::{Connect, Device, Refusal};
use crate::uuid::Uuid;
use crate::value::{Value, property_map};

pub(crate) const ADAPTER_INTERFACE: &str = "org.bluez.Adapter1";
pub(crate) const DEVICE: &str = "org.bluez.Device1";
pub(crate) const SERVICE: &str = "org.bluez.GattService1";
pub(crate) const CHARACTERISTIC: &str = "org.bluez.GattCharacteristic1";
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

type Properties = BTreeMap<&'static str, Value>;

/// An object with its one interface.
pub(crate) struct Object {
    pub(crate) interface: &'static str,
    pub(crate) properties: Properties,
}

impl Object {
    pub(crate) fn is(&self, property: &str) -> bool {
        self.properties.get(property) == Some(&Value::Flag(true))
    }
}

/// Everything.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) objects: BTreeMap<String, Object>,
    /// By path; also those that are not seen at the moment.
    pub(crate) devices: BTreeMap<String, Device>,
    /// What is to be sent, in order.
    pub(crate) outbox: Vec<Message>,
    /// What clients did, in order.
    pub(crate) log: Vec<String>,
    /// Refusals that wait for the next call of a method.
    pub(crate) refusals: HashMap<String, VecDeque<Refusal>>,
    /// Attempts to connect that were not answered: what each is answered when it is cancelled.
    pub(crate) hanging: BTreeMap<String, Message>,
    /// Advertisements are heard. `Discovering` may say otherwise.
    pub(crate) scanning: bool,
    pub(crate) has_agent: bool,
}

impl World {
    /// An object appears.
    pub(crate) fn put(&mut self, path: &str, interface: &'static str, properties: Vec<(&'static str, Value)>) {
        let properties: Properties = properties.into_iter().collect();
        let said = property_map(properties.iter().map(|(name, value)| (*name, value)));
        let interfaces: HashMap<String, PropMap> = [(interface.to_owned(), said)].into();
        let signal = Message::new_signal("/", OBJECT_MANAGER, "InterfacesAdded").expect("a signal");
        self.outbox.push(signal.append2(Path::from(path.to_owned()), interfaces));
        self.objects.insert(path.to_owned(), Object { interface, properties });
    }

    /// An object and all below it disappear.
    pub(crate) fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        let gone = self.objects.keys().filter(|known| *known == path || known.starts_with(&below));
        for known in gone.cloned().collect::<Vec<String>>() {
            let Some(object) = self.objects.remove(&known) else { continue };
            let signal = Message::new_signal("/", OBJECT_MANAGER, "InterfacesRemoved").expect("a signal");
            self.outbox.push(signal.append2(Path::from(known), vec![object.interface.to_owned()]));
        }
    }

    /// Properties change.
    pub(crate) fn set(&mut self, path: &str, changes: &[(&'static str, Value)]) {
        let Some(object) = self.objects.get_mut(path) else { return };
        object.properties.extend(changes.iter().cloned());
        let said = property_map(changes.iter().map(|(name, value)| (*name, value)));
        let signal = Message::new_signal(path.to_owned(), PROPERTIES, "PropertiesChanged").expect("a signal");
        self.outbox.push(signal.append3(object.interface, said, Vec::<String>::new()));
    }

    /// The adapter appears, powered.
    pub(crate) fn put_adapter(&mut self) {
        let properties = vec![
            ("Address", Value::text("00:1A:7D:DA:71:13")),
            ("AddressType", Value::text("public")),
            ("Name", Value::text("mock")),
            ("Alias", Value::text("mock")),
            ("Modalias", Value::text("usb:v1D6Bp0246d0542")),
            ("Powered", Value::Flag(true)),
            ("Discovering", Value::Flag(false)),
        ];
        self.put(ADAPTER, ADAPTER_INTERFACE, properties);
        // What is bonded is remembered over a restart.
        let bonded: Vec<_> = self
            .devices
            .iter()
            .filter(|(_, device)| device.bonded)
            .map(|(path, device)| (path.clone(), device.properties(None)))
            .collect();
        for (path, properties) in bonded {
            self.put(&path, DEVICE, properties);
        }
    }

    /// The adapter goes with all its devices.
    pub(crate) fn remove_adapter(&mut self) {
        self.drop_links();
        self.scanning = false;
        self.remove(ADAPTER);
    }

    /// Every link is lost.
    pub(crate) fn drop_links(&mut self) {
        let devices: Vec<String> = self.devices.keys().cloned().collect();
        devices.iter().for_each(|path| self.link_down(path));
    }

    /// An advertisement; whether anybody listens.
    pub(crate) fn advertise(&mut self, path: &str, rssi: i16) -> bool {
        let heard = self.scanning && self.objects.get(ADAPTER).is_some_and(|adapter| adapter.is("Powered"));
        if heard && self.objects.contains_key(path) {
            self.set(path, &[("RSSI", Value::Signed(rssi))]);
        } else if heard {
            let properties = self.devices[path].properties(Some(rssi));
            self.put(path, DEVICE, properties);
        }
        heard
    }

    pub(crate) fn is_connected(&self, device: &str) -> bool {
        self.objects.get(device).is_some_and(|object| object.is("Connected"))
    }

    pub(crate) fn link_down(&mut self, device: &str) {
        if !self.is_connected(device) {
            return;
        }
        // As with BlueZ, the objects of services stay, and what was subscribed is again after the next connection.
        if self.objects[device].is("ServicesResolved") {
            self.set(device, &[("ServicesResolved", Value::Flag(false))]);
        }
        self.set(device, &[("Connected", Value::Flag(false))]);
    }

    /// The path of a device's characteristic.
    pub(crate) fn characteristic(&self, device: &str, uuid: &Uuid) -> Option<String> {
        let (below, wanted) = (format!("{device}/"), Value::text(uuid.as_str()));
        let found = self.objects.iter().find(|(path, object)| {
            path.starts_with(&below)
                && object.interface == CHARACTERISTIC
                && object.properties.get("UUID") == Some(&wanted)
        });
        found.map(|(path, _)| path.clone())
    }

    pub(crate) fn is_notifying(&self, device: &str, uuid: &Uuid) -> bool {
        self.characteristic(device, uuid).is_some_and(|path| self.objects[&path].is("Notifying"))
    }

    /// A notification or indication; whether somebody subscribed it and the link is there.
    pub(crate) fn notify(&mut self, device: &str, uuid: &Uuid, octets: &[u8]) -> bool {
        let heard = self.is_connected(device) && self.is_notifying(device, uuid);
        if heard && let Some(path) = self.characteristic(device, uuid) {
            self.set(&path, &[("Value", Value::Octets(octets.to_vec()))]);
        }
        heard
    }

    /// What the next `Connect` to this device comes to.
    pub(crate) fn next_connect(&mut self, device: &str) -> Connect {
        let Some(known) = self.devices.get_mut(device) else { return Connect::Ok };
        if known.bond_lost && known.bonded {
            return Connect::Fail(Refusal::aborted());
        }
        known.connects.pop_front().unwrap_or(Connect::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> (World, String) {
        let mut world = World::default();
        let device = Device::new("C0:00:00:00:00:01", "A").service(0x180D, &[(0x2A37, "notify", b"")]);
        let path = device.path();
        world.devices.insert(path.clone(), device);
        world.put_adapter();
        (world, path)
    }

    #[test]
    fn only_who_scans_with_a_powered_adapter_hears() {
        let (mut world, path) = world();
        assert!(!world.advertise(&path, -60));
        world.scanning = true;
        assert!(world.advertise(&path, -60));
        world.set(ADAPTER, &[("Powered", Value::Flag(false))]);
        assert!(!world.advertise(&path, -60));
    }

    #[test]
    fn with_the_adapter_all_below_it_goes_and_bonded_devices_come_back() {
        let (mut world, path) = world();
        world.scanning = true;
        world.advertise(&path, -60);
        world.remove_adapter();
        assert!(world.objects.is_empty() && !world.scanning);
        world.put_adapter();
        assert!(!world.objects.contains_key(&path));
        world.remove_adapter();
        world.devices.get_mut(&path).unwrap().bonded = true;
        world.put_adapter();
        assert!(world.objects.contains_key(&path));
    }

    #[test]
    fn a_lost_bond_refuses_until_the_bond_is_removed_here_too() {
        let (mut world, path) = world();
        let device = world.devices.get_mut(&path).unwrap();
        (device.bonded, device.bond_lost) = (true, true);
        assert_eq!(world.next_connect(&path), Connect::Fail(Refusal::aborted()));
        world.devices.get_mut(&path).unwrap().bonded = false;
        assert_eq!(world.next_connect(&path), Connect::Ok);
    }
}
