//! Which port is a device's: by its path, by the name that udev gives it, or by its USB adapter. Pure: what adapters there are
//! comes in.
//!
//! `/dev/ttyUSB0` is whichever adapter was found first, and another after the next start. A name under `/dev/serial/by-id` or
//! the adapter's own numbers stay with the adapter.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::limits::PORT_NAME_BYTES_MAX;

/// Where udev keeps links named for what adapters say of themselves.
const BY_ID: &str = "/dev/serial/by-id";

/// How a configuration names a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortName {
    /// A path, looked up at each opening.
    Path(PathBuf),
    /// A name under `/dev/serial/by-id`.
    ById(ByIdName),
    /// The USB adapter that is there, whatever its path.
    Usb(UsbName),
}

/// A name under `/dev/serial/by-id`: no folder, not empty, at most [`PORT_NAME_BYTES_MAX`] octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByIdName(String);

/// Why a text is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is a name from {BY_ID}, such as usb-FTDI_FT232R_A1B2C3-if00-port0, without the folder")]
pub struct UnusableByIdName;

impl FromStr for ByIdName {
    type Err = UnusableByIdName;
    fn from_str(text: &str) -> Result<Self, UnusableByIdName> {
        let is_name = !text.is_empty() && text.len() <= PORT_NAME_BYTES_MAX && text != "." && text != "..";
        if !is_name || text.contains(['/', '\0']) {
            return Err(UnusableByIdName);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A USB adapter: its maker's and product's numbers, and its serial number where two of a kind are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbName {
    /// The USB vendor id.
    pub vendor: UsbId,
    /// The USB product id.
    pub product: UsbId,
    /// The serial number, as the adapter says it.
    pub serial: Option<String>,
}

/// A vendor's or product's number: four hexadecimal digits, as `lsusb` prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbId(pub u16);

/// Why a text is no such number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is four hexadecimal digits, as `lsusb` prints them, such as 1a86")]
pub struct UnusableUsbId;

impl FromStr for UsbId {
    type Err = UnusableUsbId;
    fn from_str(text: &str) -> Result<Self, UnusableUsbId> {
        if text.len() != 4 || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return Err(UnusableUsbId);
        }
        u16::from_str_radix(text, 16).map(Self).map_err(|_| UnusableUsbId)
    }
}

impl fmt::Display for UsbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

/// A USB adapter that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its port now.
    pub path: PathBuf,
    /// Its USB vendor id.
    pub vendor: UsbId,
    /// Its USB product id.
    pub product: UsbId,
    /// Its serial number, if it has one.
    pub serial: Option<String>,
}

/// What keeps a port from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PortTrouble {
    /// Nothing is at its path.
    #[error("the port is not there; it is tried again")]
    Absent,
    /// No adapter has these numbers.
    #[error("no adapter of this description is plugged in; it is looked for again")]
    NoAdapter,
    /// More than one adapter has these numbers.
    #[error("two adapters match: give the serial number or by_id")]
    SeveralAdapters,
    /// Somebody has it open.
    #[error("another program or another device of this hub holds the port: let one of them have it")]
    Busy,
    /// The agent's user may not open it.
    #[error("the port may not be opened: give the agent's user the port's group")]
    Forbidden,
    /// It did not take what was said to the device in time.
    #[error("the port did not take what the device must be told: check the adapter and its cable; it is opened again")]
    NotTaken,
    /// What is at its path is no serial port.
    #[error("what is at the port's path is no serial port: give the path of the adapter, such as /dev/ttyUSB0")]
    NoTerminal,
    /// It cannot have the settings.
    #[error("the adapter does not take the line's speed, parity or bits: correct them, or use another adapter")]
    SettingsRefused,
    /// The system has another reason.
    #[error("the system does not open the port: unplug the adapter and plug it in again; `dmesg` has the reason")]
    Unopenable,
}

impl PortTrouble {
    /// Every trouble, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Absent,
        Self::NoAdapter,
        Self::SeveralAdapters,
        Self::Busy,
        Self::Forbidden,
        Self::NotTaken,
        Self::NoTerminal,
        Self::SettingsRefused,
        Self::Unopenable,
    ];
}

impl PortName {
    /// The path of the port now. `adapters` is asked only where it is needed.
    ///
    /// # Errors
    /// [`PortTrouble::NoAdapter`] or [`PortTrouble::SeveralAdapters`]: which adapter is meant is never guessed.
    pub fn path(&self, adapters: impl FnOnce() -> Vec<Adapter>) -> Result<PathBuf, PortTrouble> {
        match self {
            Self::Path(path) => Ok(path.clone()),
            Self::ById(ByIdName(name)) => Ok(Path::new(BY_ID).join(name)),
            Self::Usb(usb) => usb.find(&adapters()),
        }
    }

    /// Whether both can only ever be the same port, as far as their names tell.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Usb(usb), Self::Usb(other)) => usb == other,
            (Self::Usb(_), _) | (_, Self::Usb(_)) => false,
            _ => self.path(Vec::new) == other.path(Vec::new),
        }
    }
}

impl UsbName {
    fn find(&self, adapters: &[Adapter]) -> Result<PathBuf, PortTrouble> {
        let is_meant = |adapter: &&Adapter| {
            let of_kind = adapter.vendor == self.vendor && adapter.product == self.product;
            of_kind && self.serial.as_ref().is_none_or(|serial| adapter.serial.as_ref() == Some(serial))
        };
        let mut meant = adapters.iter().filter(is_meant);
        match (meant.next(), meant.next()) {
            (Some(adapter), None) => Ok(adapter.path.clone()),
            (None, _) => Err(PortTrouble::NoAdapter),
            (Some(_), Some(_)) => Err(PortTrouble::SeveralAdapters),
        }
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::ById(ByIdName(name)) => write!(f, "{BY_ID}/{name}"),
            Self::Usb(UsbName { vendor, product, serial: None }) => write!(f, "the adapter {vendor}:{product}"),
            Self::Usb(UsbName { vendor, product, serial: Some(serial) }) => {
                write!(f, "the adapter {vendor}:{product} {serial}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(path: &str, product: u16, serial: Option<&str>) -> Adapter {
        Adapter { path: path.into(), vendor: UsbId(0x1a86), product: UsbId(product), serial: serial.map(str::to_owned) }
    }

    fn usb(serial: Option<&str>) -> PortName {
        PortName::Usb(UsbName { vendor: UsbId(0x1a86), product: UsbId(0x7523), serial: serial.map(str::to_owned) })
    }

    #[test]
    fn an_adapter_is_found_wherever_it_is_and_never_guessed() {
        let other = adapter("/dev/ttyUSB0", 0x5523, None);
        let first = adapter("/dev/ttyUSB1", 0x7523, Some("A1"));
        let second = adapter("/dev/ttyUSB2", 0x7523, None);
        let found = |name: &PortName, adapters: &[&Adapter]| name.path(|| adapters.iter().copied().cloned().collect());
        assert_eq!(found(&usb(None), &[]), Err(PortTrouble::NoAdapter));
        assert_eq!(found(&usb(None), &[&other]), Err(PortTrouble::NoAdapter));
        assert_eq!(found(&usb(None), &[&other, &first]), Ok("/dev/ttyUSB1".into()));
        assert_eq!(found(&usb(None), &[&other, &second, &first]), Err(PortTrouble::SeveralAdapters));
        assert_eq!(found(&usb(Some("A1")), &[&second, &first]), Ok("/dev/ttyUSB1".into()));
        assert_eq!(found(&usb(Some("A2")), &[&second, &first]), Err(PortTrouble::NoAdapter));
    }

    #[test]
    fn the_system_is_not_asked_where_the_name_tells() {
        let nobody = || panic!("asked");
        assert_eq!(PortName::Path("/dev/ttyUSB0".into()).path(nobody), Ok("/dev/ttyUSB0".into()));
        let by_id = PortName::ById("usb-FTDI-if00".parse().unwrap());
        assert_eq!(by_id.path(nobody), Ok("/dev/serial/by-id/usb-FTDI-if00".into()));
    }

    #[test]
    fn names_of_one_port_are_the_same() {
        let path = |text: &str| PortName::Path(text.into());
        let by_id = PortName::ById("usb-1".parse().unwrap());
        assert!(path("/dev/a").is_same(&path("/dev//./a")) && by_id.is_same(&path("/dev/serial/by-id/usb-1")));
        assert!(!path("/dev/a").is_same(&path("/dev/b")) && !by_id.is_same(&path("usb-1")));
        assert!(usb(None).is_same(&usb(None)) && usb(Some("1")).is_same(&usb(Some("1"))));
        assert!(!usb(None).is_same(&usb(Some("1"))) && !usb(None).is_same(&by_id) && !by_id.is_same(&usb(None)));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for text in ["", ".", "..", "../x", "a/b", "/dev/ttyUSB0", "a\0b", &"x".repeat(256)] {
            assert_eq!(text.parse::<ByIdName>(), Err(UnusableByIdName), "{text:?}");
        }
        assert!("x".repeat(255).parse::<ByIdName>().is_ok());
        for text in ["", "86", "1a867", "0x86", "+a86", "1A 6", "gggg"] {
            assert_eq!(text.parse::<UsbId>(), Err(UnusableUsbId), "{text:?}");
        }
        assert_eq!("1A86".parse::<UsbId>().unwrap().to_string(), "1a86");
    }
}
