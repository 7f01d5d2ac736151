//! Services and characteristics of a device that is connected.

use dbus::Message;

use crate::calls::{Answer, unknown};
use crate::device::Refusal;
use crate::uuid::Uuid;
use crate::value::Value;
use crate::world::{CHARACTERISTIC, SERVICE, World};

/// The handle of the first service.
const FIRST_HANDLE: usize = 0x10;
/// Handles a characteristic takes: declaration, value, configuration.
const HANDLES_OF_CHARACTERISTIC: usize = 3;

impl World {
    /// Connected, with its services.
    pub(crate) fn link_up(&mut self, device: &str) {
        self.set(device, &[("Connected", Value::Flag(true))]);
        self.resolve_services(device);
    }

    /// Services appear, once; then they are said to be resolved.
    pub(crate) fn resolve_services(&mut self, device: &str) {
        let Some(known) = self.devices.get(device).cloned() else { return };
        let mut handle = FIRST_HANDLE;
        for (uuid, characteristics) in &known.services {
            let service = format!("{device}/service{handle:04x}");
            handle += 1;
            if !self.objects.contains_key(&service) {
                let properties = vec![
                    ("UUID", Value::text(uuid.as_str())),
                    ("Primary", Value::Flag(true)),
                    ("Device", Value::Object(device.to_owned())),
                ];
                self.put(&service, SERVICE, properties);
            }
            for characteristic in characteristics {
                let path = format!("{service}/char{handle:04x}");
                handle += HANDLES_OF_CHARACTERISTIC;
                if self.objects.contains_key(&path) {
                    continue;
                }
                let properties = vec![
                    ("UUID", Value::text(characteristic.uuid.as_str())),
                    ("Service", Value::Object(service.clone())),
                    ("Flags", Value::Texts(characteristic.flags.clone())),
                    ("Notifying", Value::Flag(false)),
                    ("MTU", Value::Number(known.mtu)),
                    ("Value", Value::Octets(characteristic.value.clone())),
                ];
                self.put(&path, CHARACTERISTIC, properties);
            }
        }
        self.set(device, &[("ServicesResolved", Value::Flag(true))]);
    }

    /// Both sides have keys now, and the address is the one that stays.
    pub(crate) fn bond(&mut self, device: &str) {
        let Some(known) = self.devices.get_mut(device) else { return };
        known.bonded = true;
        known.bond_lost = false;
        let address = known.identity.clone().unwrap_or_else(|| known.address.clone());
        self.set(
            device,
            &[("Address", Value::Text(address)), ("Paired", Value::Flag(true)), ("Bonded", Value::Flag(true))],
        );
    }

    pub(crate) fn gatt(&mut self, call: &Message, path: &str, member: &str) -> Answer {
        let device = path.split("/service").next().unwrap_or_default().to_owned();
        let says_ok = self.devices.get(&device).is_some_and(|known| known.ok_when_gone);
        if !self.is_connected(&device) {
            return match member {
                "StartNotify" | "StopNotify" | "WriteValue" if says_ok => Answer::Reply(call.method_return()),
                "StartNotify" => Answer::Refuse(Refusal::new("InProgress", "In Progress")),
                _ => Answer::Refuse(Refusal::new("NotConnected", "Not connected")),
            };
        }
        if self.is_protected(path, member) && !self.devices.get(&device).is_some_and(|known| known.bonded) {
            if !self.has_agent {
                // BlueZ waits for keys nobody may agree to.
                self.log.push(format!("hanging {member} {path}"));
                return Answer::Nothing;
            }
            self.bond(&device);
        }
        match member {
            "StartNotify" | "StopNotify" => {
                self.log.push(format!("{member} {}", self.uuid_of(path)));
                self.set(path, &[("Notifying", Value::Flag(member == "StartNotify"))]);
                Answer::Reply(call.method_return())
            }
            "ReadValue" => self.read(call, &device, path),
            "WriteValue" => self.write(call, &device, path),
            _ => unknown(CHARACTERISTIC, member, "UnknownMethod"),
        }
    }

    /// Flags as BlueZ has them: `encrypt-read`, `encrypt-authenticated-write`, `encrypt-notify` and so on.
    fn is_protected(&self, path: &str, member: &str) -> bool {
        let wanted = match member {
            "ReadValue" => "read",
            "WriteValue" => "write",
            _ => "notify",
        };
        let Some(Value::Texts(flags)) = self.objects[path].properties.get("Flags") else { return false };
        flags.iter().any(|flag| flag.starts_with("encrypt") && flag.ends_with(wanted))
    }

    fn uuid_of(&self, path: &str) -> Uuid {
        match self.objects[path].properties.get("UUID") {
            Some(Value::Text(uuid)) => Uuid::from(uuid.as_str()),
            _ => unreachable!("a characteristic has a UUID"),
        }
    }

    fn read(&mut self, call: &Message, device: &str, path: &str) -> Answer {
        let Some(Value::Octets(octets)) = self.objects[path].properties.get("Value").cloned() else {
            return Answer::Refuse(Refusal::new("NotSupported", "Operation is not supported"));
        };
        if self.devices.get(device).is_some_and(|known| known.echoes_reads) {
            self.set(path, &[("Value", Value::Octets(octets.clone()))]);
        }
        Answer::Reply(call.method_return().append1(octets))
    }

    fn write(&mut self, call: &Message, device: &str, path: &str) -> Answer {
        let Ok(octets) = call.read1::<Vec<u8>>() else {
            return Answer::Refuse(Refusal::new("InvalidArguments", "Invalid arguments in method call"));
        };
        let uuid = self.uuid_of(path);
        let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        self.log.push(format!("write {uuid} {digits}"));
        self.outbox.push(call.method_return());
        let answer = self.devices.get(device).and_then(|known| known.on_write.clone());
        for (uuid, octets) in answer.map(|answer| answer(&uuid, &octets)).unwrap_or_default() {
            self.notify(device, &uuid, &octets);
        }
        Answer::Nothing
    }
}
