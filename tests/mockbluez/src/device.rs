//! What a device of the mock is and does.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::Uuid;
use crate::value::Value;

/// What comes of a `Connect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connect {
    /// Connected, services resolved.
    Ok,
    /// Refused.
    Fail(Refusal),
    /// No answer, until a `Disconnect` cancels the attempt.
    Hang,
    /// Connected, but services are never resolved.
    NoServices,
    /// Connected, and gone before services are resolved.
    HangUp,
}

/// An error as D-Bus carries it. BlueZ sometimes leaves the text empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// As `org.bluez.Error.Failed`.
    pub name: String,
    /// For people.
    pub text: String,
}

impl Refusal {
    /// `org.bluez.Error.` and this name.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: format!("org.bluez.Error.{name}"), text: text.to_owned() }
    }

    /// What BlueZ says of a device out of reach, of radio trouble and of a lost bond alike.
    pub fn aborted() -> Self {
        Self::new("Failed", "le-connection-abort-by-local")
    }

    /// What BlueZ says while the same thing is being done.
    pub fn in_progress() -> Self {
        Self::new("InProgress", "Operation already in progress")
    }
}

/// What a device notifies or indicates after a write, in order.
pub(crate) type OnWrite = Arc<dyn Fn(&Uuid, &[u8]) -> Vec<(Uuid, Vec<u8>)> + Send + Sync>;

/// A characteristic as described.
#[derive(Debug, Clone)]
pub(crate) struct Characteristic {
    pub(crate) uuid: Uuid,
    pub(crate) flags: Vec<String>,
    pub(crate) value: Vec<u8>,
}

/// A device's description, for [`crate::MockBluez::add`].
#[derive(Clone)]
pub struct Device {
    pub(crate) address: String,
    pub(crate) identity: Option<String>,
    pub(crate) name: String,
    pub(crate) services: Vec<(Uuid, Vec<Characteristic>)>,
    pub(crate) connects: VecDeque<Connect>,
    pub(crate) on_write: Option<OnWrite>,
    /// Both sides have the keys.
    pub(crate) bonded: bool,
    /// The device lost its keys; this side does not know.
    pub(crate) bond_lost: bool,
    pub(crate) ok_when_gone: bool,
    pub(crate) echoes_reads: bool,
    pub(crate) mtu: u16,
}

impl Device {
    /// A device with this address, without services.
    pub fn new(address: &str, name: &str) -> Self {
        Self {
            address: address.to_owned(),
            identity: None,
            name: name.to_owned(),
            services: Vec::new(),
            connects: VecDeque::new(),
            on_write: None,
            bonded: false,
            bond_lost: false,
            ok_when_gone: false,
            echoes_reads: true,
            mtu: 247,
        }
    }

    /// A service with its characteristics: UUID, flags as BlueZ spells them (`"read,notify"`), value.
    #[must_use]
    pub fn service<C: Into<Uuid> + Clone>(
        mut self,
        uuid: impl Into<Uuid>,
        characteristics: &[(C, &str, &[u8])],
    ) -> Self {
        let described = characteristics.iter().map(|(uuid, flags, value)| Characteristic {
            uuid: uuid.clone().into(),
            flags: flags.split(',').map(str::to_owned).collect(),
            value: value.to_vec(),
        });
        self.services.push((uuid.into(), described.collect()));
        self
    }

    /// What the next `Connect`s come to; after these all are [`Connect::Ok`].
    #[must_use]
    pub fn connects(mut self, outcomes: &[Connect]) -> Self {
        self.connects = outcomes.iter().cloned().collect();
        self
    }

    /// What the device notifies or indicates after a write, as a record access control point does.
    #[must_use]
    pub fn on_write(mut self, answer: impl Fn(&Uuid, &[u8]) -> Vec<(Uuid, Vec<u8>)> + Send + Sync + 'static) -> Self {
        self.on_write = Some(Arc::new(answer));
        self
    }

    /// Paired already.
    #[must_use]
    pub const fn bonded(mut self) -> Self {
        self.bonded = true;
        self
    }

    /// Its address changes; this is the one a pairing reveals. The object's path stays the first address.
    #[must_use]
    pub fn identity(mut self, address: &str) -> Self {
        self.identity = Some(address.to_owned());
        self
    }

    /// `StartNotify` and `WriteValue` answer Ok though the link is gone, as BlueZ at times does.
    #[must_use]
    pub const fn ok_when_gone(mut self) -> Self {
        self.ok_when_gone = true;
        self
    }

    /// A read does not also appear as a change of value; BlueZ's does.
    #[must_use]
    pub const fn without_echo(mut self) -> Self {
        self.echoes_reads = false;
        self
    }

    /// The MTU its characteristics show once connected.
    #[must_use]
    pub const fn mtu(mut self, octets: u16) -> Self {
        self.mtu = octets;
        self
    }

    pub(crate) fn path(&self) -> String {
        format!("{}/dev_{}", crate::ADAPTER, self.address.replace(':', "_"))
    }

    /// The address that is shown: after pairing, the one that does not change.
    fn shown_address(&self) -> &str {
        self.identity.as_deref().filter(|_| self.bonded).unwrap_or(&self.address)
    }

    /// The properties of a device that is seen and not connected.
    pub(crate) fn properties(&self, rssi: Option<i16>) -> Vec<(&'static str, Value)> {
        let services = self.services.iter().map(|(uuid, _)| uuid.to_string()).collect();
        let mut properties = vec![
            ("Address", Value::text(self.shown_address())),
            ("AddressType", Value::text("random")),
            ("Name", Value::text(&self.name)),
            ("Alias", Value::text(&self.name)),
            ("Paired", Value::Flag(self.bonded)),
            ("Bonded", Value::Flag(self.bonded)),
            ("Trusted", Value::Flag(false)),
            ("Blocked", Value::Flag(false)),
            ("LegacyPairing", Value::Flag(false)),
            ("Connected", Value::Flag(false)),
            ("ServicesResolved", Value::Flag(false)),
            ("Adapter", Value::Object(crate::ADAPTER.to_owned())),
            ("UUIDs", Value::Texts(services)),
        ];
        properties.extend(rssi.map(|rssi| ("RSSI", Value::Signed(rssi))));
        properties
    }
}
