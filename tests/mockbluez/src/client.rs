//! A plain client of bluetoothd, real or not: what tests look at it with.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use dbus::arg::{AppendAll, PropMap, RefArg, Variant};
use dbus::channel::Channel;
use dbus::{Message, MessageType, Path};

use crate::uuid::Uuid;
use crate::value::Value;

/// How long an answer may take. BlueZ itself gives up a connection after 40 s.
const ANSWER_MAX: Duration = Duration::from_secs(45);
const BLUEZ: &str = "org.bluez";
const DEVICE: &str = "org.bluez.Device1";
const CHARACTERISTIC: &str = "org.bluez.GattCharacteristic1";
/// The path of the agent, on this connection.
const AGENT: &str = "/agent";

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The error's name on D-Bus.
    pub name: String,
    /// Its text, which may be empty.
    pub text: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.text)
    }
}

impl std::error::Error for Failed {}

impl From<dbus::Error> for Failed {
    fn from(error: dbus::Error) -> Self {
        let said = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self { name: said(error.name()), text: said(error.message()) }
    }
}

fn late(what: &str) -> Failed {
    Failed { name: "late".to_owned(), text: format!("{what} did not come") }
}

type Interfaces = HashMap<String, PropMap>;

/// A connection to a bus with `org.bluez` on it.
pub struct Client {
    channel: Channel,
    /// Changes of values that nobody took yet: the characteristic's path and the octets. Other changes are not kept:
    /// what is so is asked.
    values: VecDeque<(String, Vec<u8>)>,
    answer_max: Duration,
    /// What the agent answers when a passkey is asked for.
    passkey: Option<u32>,
}

impl Client {
    /// Connects, and listens to every signal of bluetoothd.
    ///
    /// # Errors
    /// The bus cannot be reached or refuses.
    pub fn connect(address: &str) -> Result<Self, Failed> {
        let mut channel = Channel::open_private(address)?;
        channel.register()?;
        let client = Self { channel, values: VecDeque::new(), answer_max: ANSWER_MAX, passkey: None };
        client.listen("type='signal',sender='org.bluez'")?;
        Ok(client)
    }

    /// Another time to wait for answers.
    #[must_use]
    pub const fn answers_within(mut self, limit: Duration) -> Self {
        self.answer_max = limit;
        self
    }

    /// Adds a match rule.
    ///
    /// # Errors
    /// The bus has a limit.
    pub fn listen(&self, rule: &str) -> Result<(), Failed> {
        let call = Message::call_with_args(
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "AddMatch",
            (rule,),
        );
        self.channel.send_with_reply_and_block(call, self.answer_max)?;
        Ok(())
    }

    /// Calls any method of bluetoothd.
    ///
    /// # Errors
    /// It is refused, or no answer comes.
    pub fn call(
        &mut self,
        path: &str,
        interface: &str,
        method: &str,
        arguments: impl AppendAll,
    ) -> Result<Message, Failed> {
        let call = Message::call_with_args(BLUEZ, path.to_owned(), interface, method, arguments);
        let serial = self.channel.send(call).map_err(|()| late("the bus"))?;
        self.channel.flush();
        self.until(&format!("an answer to {method}"), self.answer_max, |_, message| {
            (message.get_reply_serial() == Some(serial)).then_some(())
        })
        .and_then(|(mut message, ())| {
            message.as_result()?;
            Ok(message)
        })
    }

    /// Takes messages until one is what is waited for; values on the way are kept.
    fn until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&mut Self, &Message) -> Option<T>,
    ) -> Result<(Message, T), Failed> {
        let start = Instant::now();
        loop {
            while let Some(message) = self.channel.pop_message() {
                self.keep_value(&message);
                self.answer_as_agent(&message);
                if let Some(found) = wanted(self, &message) {
                    return Ok((message, found));
                }
            }
            let left = limit.checked_sub(start.elapsed()).ok_or_else(|| late(what))?;
            self.channel.read_write(Some(left)).map_err(|()| late("the bus"))?;
        }
    }

    fn keep_value(&mut self, message: &Message) {
        let Some((path, CHARACTERISTIC, properties)) = changes(message) else { return };
        if let Some(Value::Octets(octets)) = properties.get("Value").and_then(|value| Value::read(&*value.0)) {
            self.values.push_back((path, octets));
        }
    }

    /// Agrees to pair from now on, with this passkey for devices that show one. The agent lives as long as the client,
    /// and answers while the client waits for something.
    ///
    /// # Errors
    /// bluetoothd refuses.
    pub fn register_agent(&mut self, passkey: Option<u32>) -> Result<(), Failed> {
        const AGENTS: &str = "org.bluez.AgentManager1";
        self.passkey = passkey;
        let able = if passkey.is_some() { "KeyboardOnly" } else { "NoInputNoOutput" };
        let agent = Path::from(AGENT);
        self.call("/org/bluez", AGENTS, "RegisterAgent", (agent.clone(), able))?;
        self.call("/org/bluez", AGENTS, "RequestDefaultAgent", (agent,)).map(|_| ())
    }

    fn answer_as_agent(&self, message: &Message) {
        if message.msg_type() != MessageType::MethodCall || message.path().as_deref() != Some(AGENT) {
            return;
        }
        let reply = message.method_return();
        let reply = match (message.member().as_deref(), self.passkey) {
            (Some("RequestPasskey"), Some(passkey)) => reply.append1(passkey),
            _ => reply,
        };
        // The bus may be gone; the next call says so.
        let _ = self.channel.send(reply);
        self.channel.flush();
    }

    /// Waits until a property of an object has this value.
    ///
    /// # Errors
    /// It does not come to have it in that time.
    pub fn wait_for(&mut self, path: &str, interface: &str, property: &str, value: &Value) -> Result<(), Failed> {
        let start = Instant::now();
        // Asked, then listened, then asked: nothing is missed, and an object may appear meanwhile.
        while self.property(path, interface, property).ok().as_ref() != Some(value) {
            if start.elapsed() > self.answer_max {
                return Err(late(&format!("{property} {value:?} of {path}")));
            }
            let _ = self.until("a signal", Duration::from_millis(200), |_, message| {
                (message.msg_type() == MessageType::Signal).then_some(())
            });
        }
        Ok(())
    }

    /// A property.
    ///
    /// # Errors
    /// There is no such object or property.
    pub fn property(&mut self, path: &str, interface: &str, property: &str) -> Result<Value, Failed> {
        let answer = self.call(path, "org.freedesktop.DBus.Properties", "Get", (interface, property))?;
        let value: Variant<Box<dyn RefArg>> =
            answer.read1().map_err(|error| Failed { name: "type".to_owned(), text: error.to_string() })?;
        Value::read(&*value.0).ok_or_else(|| late("a type that is known"))
    }

    /// Switches a property.
    ///
    /// # Errors
    /// bluetoothd refuses.
    pub fn set_flag(&mut self, path: &str, interface: &str, property: &str, on: bool) -> Result<(), Failed> {
        self.call(path, "org.freedesktop.DBus.Properties", "Set", (interface, property, Variant(on))).map(|_| ())
    }

    /// Every object with an interface, and a property of each.
    fn objects(&mut self, interface: &str, property: &str) -> Result<BTreeMap<String, Value>, Failed> {
        let answer = self.call("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", ())?;
        let all: HashMap<Path<'static>, Interfaces> =
            answer.read1().map_err(|error| Failed { name: "type".to_owned(), text: error.to_string() })?;
        let found = all.iter().filter_map(|(path, interfaces)| {
            Some((path.to_string(), Value::read(&*interfaces.get(interface)?.get(property)?.0)?))
        });
        Ok(found.collect())
    }

    /// The path of the device with this address, once it is seen.
    ///
    /// # Errors
    /// It is not seen in that time.
    pub fn find(&mut self, address: &str) -> Result<String, Failed> {
        let (start, wanted) = (Instant::now(), Value::text(address.to_uppercase()));
        loop {
            let seen = self.objects(DEVICE, "Address")?;
            if let Some((path, _)) = seen.into_iter().find(|(_, address)| *address == wanted) {
                return Ok(path);
            }
            if start.elapsed() > self.answer_max {
                return Err(late(address));
            }
            let _ = self.until("a device", Duration::from_millis(200), |_, message| {
                (message.member().as_deref() == Some("InterfacesAdded")).then_some(())
            });
        }
    }

    /// Scans for Bluetooth LE alone.
    ///
    /// # Errors
    /// bluetoothd refuses.
    pub fn scan(&mut self) -> Result<(), Failed> {
        const ADAPTER: &str = "org.bluez.Adapter1";
        let filter: PropMap = [("Transport".to_owned(), Variant(Box::new("le".to_owned()) as Box<dyn RefArg>))].into();
        self.call(crate::ADAPTER, ADAPTER, "SetDiscoveryFilter", (filter,))?;
        self.call(crate::ADAPTER, ADAPTER, "StartDiscovery", ()).map(|_| ())
    }

    /// Pairs, which also connects.
    ///
    /// # Errors
    /// bluetoothd or the device refuses.
    pub fn pair(&mut self, device: &str) -> Result<(), Failed> {
        self.call(device, DEVICE, "Pair", ()).map(|_| ())
    }

    /// Forgets a device and its bond.
    ///
    /// # Errors
    /// bluetoothd does not know it.
    pub fn remove_device(&mut self, device: &str) -> Result<(), Failed> {
        let path = Path::from(device.to_owned());
        self.call(crate::ADAPTER, "org.bluez.Adapter1", "RemoveDevice", (path,)).map(|_| ())
    }

    /// Connects and waits for the services.
    ///
    /// # Errors
    /// The device does not want to, or is not there.
    pub fn connect_device(&mut self, device: &str) -> Result<(), Failed> {
        self.call(device, DEVICE, "Connect", ())?;
        self.wait_for(device, DEVICE, "ServicesResolved", &Value::Flag(true))
    }

    /// The path of a device's characteristic.
    ///
    /// # Errors
    /// The device has no such.
    pub fn characteristic(&mut self, device: &str, uuid: impl Into<Uuid>) -> Result<String, Failed> {
        let (below, uuid) = (format!("{device}/"), uuid.into());
        let wanted = Value::text(uuid.as_str());
        let mut all = self.objects(CHARACTERISTIC, "UUID")?.into_iter();
        let found = all.find(|(path, uuid)| path.starts_with(&below) && *uuid == wanted);
        found.map(|(path, _)| path).ok_or_else(|| late(uuid.as_str()))
    }

    /// Reads a characteristic.
    ///
    /// # Errors
    /// bluetoothd or the device refuses.
    pub fn read(&mut self, device: &str, uuid: impl Into<Uuid>) -> Result<Vec<u8>, Failed> {
        let path = self.characteristic(device, uuid)?;
        let answer = self.call(&path, CHARACTERISTIC, "ReadValue", (PropMap::new(),))?;
        answer.read1().map_err(|error| Failed { name: "type".to_owned(), text: error.to_string() })
    }

    /// Writes a characteristic, with response.
    ///
    /// # Errors
    /// bluetoothd or the device refuses.
    pub fn write(&mut self, device: &str, uuid: impl Into<Uuid>, octets: &[u8]) -> Result<(), Failed> {
        let path = self.characteristic(device, uuid)?;
        self.call(&path, CHARACTERISTIC, "WriteValue", (octets.to_vec(), PropMap::new())).map(|_| ())
    }

    /// Subscribes.
    ///
    /// # Errors
    /// bluetoothd or the device refuses.
    pub fn subscribe(&mut self, device: &str, uuid: impl Into<Uuid>) -> Result<(), Failed> {
        let path = self.characteristic(device, uuid)?;
        self.call(&path, CHARACTERISTIC, "StartNotify", ()).map(|_| ())
    }

    /// The next value of a characteristic; values of others wait.
    ///
    /// # Errors
    /// None comes in that time.
    pub fn next_value(&mut self, device: &str, uuid: impl Into<Uuid>) -> Result<Vec<u8>, Failed> {
        let path = self.characteristic(device, uuid)?;
        let start = Instant::now();
        loop {
            let place = self.values.iter().position(|(from, _)| *from == path);
            if let Some((_, octets)) = place.and_then(|place| self.values.remove(place)) {
                return Ok(octets);
            }
            let left = self.answer_max.checked_sub(start.elapsed()).ok_or_else(|| late("a value"))?;
            self.until("a value", left, |client, _| client.values.iter().any(|(from, _)| *from == path).then_some(()))?;
        }
    }
}

/// A `PropertiesChanged`: the object's path, the interface if it is one of ours, what changed.
fn changes(message: &Message) -> Option<(String, &'static str, PropMap)> {
    if message.member().as_deref() != Some("PropertiesChanged") {
        return None;
    }
    let (interface, properties): (String, PropMap) = message.read2().ok()?;
    let interface = [CHARACTERISTIC, DEVICE].into_iter().find(|known| *known == interface)?;
    Some((message.path()?.to_string(), interface, properties))
}
