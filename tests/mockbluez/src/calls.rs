//! What each method of each interface answers.

use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;

use dbus::arg::{PropMap, Variant};
use dbus::strings::ErrorName;
use dbus::{Message, Path};

use crate::ADAPTER;
use crate::device::{Connect, Refusal};
use crate::value::{Value, property_map};
use crate::world::{ADAPTER_INTERFACE, CHARACTERISTIC, DEVICE, World};

/// What becomes of a call.
pub(crate) enum Answer {
    /// This is sent.
    Reply(Message),
    /// An error is sent.
    Refuse(Refusal),
    /// It was answered, or never will be.
    Nothing,
}

impl World {
    /// Answers a call, in the outbox.
    pub(crate) fn handle(&mut self, call: &Message) {
        let path = call.path().map(|path| path.to_string()).unwrap_or_default();
        let interface = call.interface().map(|name| name.to_string()).unwrap_or_default();
        let member = call.member().map(|name| name.to_string()).unwrap_or_default();
        let waiting = self.refusals.get_mut(&member).and_then(std::collections::VecDeque::pop_front);
        let answer = match waiting {
            Some(refusal) => Answer::Refuse(refusal),
            None => self.answer(call, &path, &interface, &member),
        };
        match answer {
            Answer::Reply(reply) => self.outbox.push(reply),
            Answer::Refuse(refusal) => self.outbox.push(refusal_of(call, &refusal)),
            Answer::Nothing => {}
        }
    }

    fn answer(&mut self, call: &Message, path: &str, interface: &str, member: &str) -> Answer {
        match (interface, member) {
            ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects") => self.all_objects(call),
            ("org.freedesktop.DBus.Introspectable", "Introspect") => self.introspect(call, path),
            ("org.freedesktop.DBus.Peer", "Ping") => Answer::Reply(call.method_return()),
            ("org.bluez.AgentManager1", "RegisterAgent" | "RequestDefaultAgent") => {
                self.has_agent = true;
                Answer::Reply(call.method_return())
            }
            ("org.bluez.AgentManager1", "UnregisterAgent") => {
                self.has_agent = false;
                Answer::Reply(call.method_return())
            }
            _ if !self.objects.contains_key(path) => unknown(interface, member, "UnknownObject"),
            ("org.freedesktop.DBus.Properties", _) => self.properties(call, path, member),
            (ADAPTER_INTERFACE, _) => self.adapter(call, path, member),
            (DEVICE, _) => self.device(call, path, member),
            (CHARACTERISTIC, _) => self.gatt(call, path, member),
            _ => unknown(interface, member, "UnknownMethod"),
        }
    }

    fn all_objects(&self, call: &Message) -> Answer {
        let objects = self.objects.iter().map(|(path, object)| {
            let properties = property_map(object.properties.iter().map(|(name, value)| (*name, value)));
            (Path::from(path.clone()), HashMap::from([(object.interface.to_owned(), properties)]))
        });
        let all: HashMap<Path<'static>, HashMap<String, PropMap>> = objects.collect();
        Answer::Reply(call.method_return().append1(all))
    }

    /// The names of what lies below; libraries walk the tree by them.
    fn introspect(&self, call: &Message, path: &str) -> Answer {
        let above = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let below = self.objects.keys().filter_map(|known| known.strip_prefix(above.as_str())?.split('/').next());
        let nodes: BTreeSet<&str> = below.collect();
        let nodes: String = nodes.iter().map(|name| format!("<node name=\"{name}\"/>")).collect();
        Answer::Reply(call.method_return().append1(format!("<node>{nodes}</node>")))
    }

    fn properties(&mut self, call: &Message, path: &str, member: &str) -> Answer {
        let properties = &self.objects[path].properties;
        match member {
            "Get" => {
                let asked = call.read2::<String, String>().ok();
                match asked.and_then(|(_, name)| properties.get(name.as_str())) {
                    Some(value) => Answer::Reply(call.method_return().append1(value.variant())),
                    None => Answer::Refuse(Refusal {
                        name: "org.freedesktop.DBus.Error.InvalidArgs".to_owned(),
                        text: "No such property".to_owned(),
                    }),
                }
            }
            "GetAll" => {
                let all = property_map(properties.iter().map(|(name, value)| (*name, value)));
                Answer::Reply(call.method_return().append1(all))
            }
            "Set" => {
                let given = call.read3::<String, String, Variant<bool>>().ok();
                let name = given.as_ref().and_then(|(_, name, _)| properties.keys().find(|known| *known == name));
                if let (Some(&name), Some((_, _, flag))) = (name, &given) {
                    self.log.push(format!("set {path} {name} {}", flag.0));
                    self.set(path, &[(name, Value::Flag(flag.0))]);
                    if name == "Powered" && !flag.0 {
                        self.power_off();
                    }
                }
                Answer::Reply(call.method_return())
            }
            _ => unknown("org.freedesktop.DBus.Properties", member, "UnknownMethod"),
        }
    }

    /// What goes with the adapter's power.
    pub(crate) fn power_off(&mut self) {
        self.drop_links();
        self.scanning = false;
        self.set(ADAPTER, &[("Discovering", Value::Flag(false))]);
    }

    fn adapter(&mut self, call: &Message, path: &str, member: &str) -> Answer {
        match member {
            "SetDiscoveryFilter" => Answer::Reply(call.method_return()),
            "StartDiscovery" if !self.objects[path].is("Powered") => {
                Answer::Refuse(Refusal::new("NotReady", "Resource Not Ready"))
            }
            "StartDiscovery" if self.scanning => Answer::Refuse(Refusal::in_progress()),
            "StartDiscovery" => {
                self.log.push("scan".to_owned());
                self.scanning = true;
                self.set(path, &[("Discovering", Value::Flag(true))]);
                Answer::Reply(call.method_return())
            }
            "StopDiscovery" if !self.objects[path].is("Discovering") => {
                Answer::Refuse(Refusal::new("Failed", "No discovery started"))
            }
            "StopDiscovery" => {
                self.scanning = false;
                self.set(path, &[("Discovering", Value::Flag(false))]);
                Answer::Reply(call.method_return())
            }
            "RemoveDevice" => {
                let device = call.read1::<Path<'_>>().map(|path| path.to_string()).unwrap_or_default();
                if !self.objects.contains_key(&device) {
                    return Answer::Refuse(Refusal::new("DoesNotExist", "Does Not Exist"));
                }
                self.log.push(format!("remove {device}"));
                self.link_down(&device);
                self.remove(&device);
                if let Some(known) = self.devices.get_mut(&device) {
                    known.bonded = false;
                }
                Answer::Reply(call.method_return())
            }
            _ => unknown(ADAPTER_INTERFACE, member, "UnknownMethod"),
        }
    }

    fn device(&mut self, call: &Message, path: &str, member: &str) -> Answer {
        match member {
            "Connect" => self.connect(call, path),
            "Disconnect" => {
                self.log.push(format!("disconnect {path}"));
                self.outbox.extend(self.hanging.remove(path));
                self.link_down(path);
                Answer::Reply(call.method_return())
            }
            "Pair" => {
                self.log.push(format!("pair {path}"));
                if !self.has_agent {
                    return Answer::Refuse(Refusal::new("AuthenticationFailed", "Authentication Failed"));
                }
                if self.devices.get(path).is_some_and(|device| device.bonded) {
                    return Answer::Refuse(Refusal::new("AlreadyExists", "Already Exists"));
                }
                self.bond(path);
                self.outbox.push(call.method_return());
                if !self.is_connected(path) {
                    self.link_up(path);
                }
                Answer::Nothing
            }
            "CancelPairing" => Answer::Refuse(Refusal::new("DoesNotExist", "Does Not Exist")),
            _ => unknown(DEVICE, member, "UnknownMethod"),
        }
    }

    fn connect(&mut self, call: &Message, path: &str) -> Answer {
        if self.hanging.contains_key(path) {
            return Answer::Refuse(Refusal::in_progress());
        }
        if self.is_connected(path) {
            return Answer::Reply(call.method_return());
        }
        let outcome = self.next_connect(path);
        self.log.push(format!("connect {path} {outcome:?}"));
        match outcome {
            Connect::Fail(refusal) => return Answer::Refuse(refusal),
            Connect::Hang => {
                let cancelled = refusal_of(call, &Refusal::aborted());
                self.hanging.insert(path.to_owned(), cancelled);
                return Answer::Nothing;
            }
            Connect::Ok | Connect::NoServices | Connect::HangUp => {}
        }
        self.set(path, &[("Connected", Value::Flag(true))]);
        self.outbox.push(call.method_return());
        match outcome {
            Connect::HangUp => self.link_down(path),
            Connect::Ok => self.resolve_services(path),
            Connect::Fail(_) | Connect::Hang | Connect::NoServices => {}
        }
        Answer::Nothing
    }
}

fn refusal_of(call: &Message, refusal: &Refusal) -> Message {
    let name = ErrorName::new(refusal.name.as_str()).expect("a name of an error");
    let text = CString::new(refusal.text.as_str()).expect("a text without a zero");
    call.error(&name, &text)
}

/// In the words BlueZ uses.
pub(crate) fn unknown(interface: &str, member: &str, error: &str) -> Answer {
    Answer::Refuse(Refusal {
        name: format!("org.freedesktop.DBus.Error.{error}"),
        text: format!("Method \"{member}\" with signature \"\" on interface \"{interface}\" doesn't exist\n"),
    })
}
