//! Serial ports: the only file that names `serialport`. One thread for each port, because a port is read by waiting; what it
//! does is in [`super::line`].
//!
//! What a port really does (RIGS §5): it is locked on opening, a second opener is refused; an unplugged one ends with a broken
//! pipe or reads nothing; control lines may not exist; a write of more than there is room for blocks beyond its time, so one
//! octet is written at a time, each when the port says that it has room.

use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use serialport::{
    ClearBuffer, ErrorKind, FlowControl, SerialPort, SerialPortBuilder, SerialPortInfo, SerialPortType, TTYPort,
    UsbPortInfo,
};
use shared::id::DeviceId;
use tokio::sync::oneshot;

use super::claims::Claims;
use super::line::{Line, Port, Ports};
use super::line_settings::{DataBits, LineSettings, Parity};
use super::port::{Adapter, PortTrouble, UsbId};
use super::{Joints, SerialConfig};
use crate::limits::PORT_READ_WITHIN;

/// A device's thread is gone.
#[derive(Debug, thiserror::Error)]
pub enum PortThreadLost {
    /// It could not be started.
    #[error("the thread of a serial device could not be started: the system has no more")]
    NotStarted(#[source] io::Error),
    /// It ended by panicking.
    #[error("the thread of a serial device panicked; standard error has the message")]
    Panicked,
}

/// Owns one port until the stop, on a thread named for the device.
///
/// # Errors
/// [`PortThreadLost`], if the thread is lost. A port that is absent, busy or unreadable is a state, not an error.
pub async fn run(config: SerialConfig, joints: Joints) -> Result<(), PortThreadLost> {
    let (ended, end) = oneshot::channel();
    let name = format!("device {}", joints.device);
    let thread = std::thread::Builder::new()
        .name(name)
        .spawn(move || {
            Line::new(System { device: joints.device.clone() }, config, joints).work();
            // Nobody listens only if the agent is going down.
            let _ = ended.send(());
        })
        .map_err(PortThreadLost::NotStarted)?;
    // Without an answer the thread unwound; with one it is at its last instruction.
    let answered = end.await.is_ok();
    if thread.join().is_err() || !answered { Err(PortThreadLost::Panicked) } else { Ok(()) }
}

/// The USB adapters that are plugged in now, as the kernel lists them.
#[must_use]
pub fn adapters() -> Vec<Adapter> {
    // Where the kernel lists no terminals, `available_ports` panics.
    if !Path::new("/sys/class/tty").is_dir() {
        return Vec::new();
    }
    serialport::available_ports().unwrap_or_default().into_iter().filter_map(adapter).collect()
}

fn adapter(port: SerialPortInfo) -> Option<Adapter> {
    let SerialPortType::UsbPort(UsbPortInfo { vid, pid, serial_number, .. }) = port.port_type else { return None };
    let (vendor, product) = (UsbId(vid), UsbId(pid));
    Some(Adapter { path: port.port_name.into(), vendor, product, serial: serial_number })
}

/// Which device of this hub has which port.
static CLAIMS: Claims = Claims::new();

/// The ports of this machine, for one device.
struct System {
    device: DeviceId,
}

impl Drop for System {
    fn drop(&mut self) {
        CLAIMS.release(&self.device);
    }
}

impl Ports for System {
    type Open = OpenPort;

    fn open(&self, path: &Path, settings: &LineSettings) -> Result<OpenPort, PortTrouble> {
        if !CLAIMS.claim(&self.device, path) {
            return Err(PortTrouble::Busy);
        }
        let mut port = TTYPort::open(&builder(path, settings)).map_err(|error| {
            tracing::debug!(device = %self.device, %error, "the port was not opened");
            trouble(&error, std::fs::metadata(path).ok().as_ref())
        })?;
        // Some adapters power the device from these lines; lines that do not exist are no fault.
        let _ = port.write_data_terminal_ready(true);
        let _ = port.write_request_to_send(true);
        Ok(OpenPort(port))
    }

    fn adapters(&self) -> Vec<Adapter> {
        adapters()
    }
}

/// What an error at opening means; `there` is what is at the port's path.
fn trouble(error: &serialport::Error, there: Option<&std::fs::Metadata>) -> PortTrouble {
    match error.kind {
        // serialport's word for a port that is locked.
        ErrorKind::NoDevice | ErrorKind::Io(io::ErrorKind::ResourceBusy) => PortTrouble::Busy,
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => PortTrouble::Forbidden,
        ErrorKind::Io(io::ErrorKind::NotFound) => PortTrouble::Absent,
        _ => match there {
            None => PortTrouble::Absent,
            Some(there) if !there.file_type().is_char_device() => PortTrouble::NoTerminal,
            // serialport has no kinds for these, only the system's words.
            Some(_) if error.description == "Not a typewriter" => PortTrouble::NoTerminal,
            Some(_) if ["Invalid argument", "Settings did not apply correctly"].contains(&&*error.description) => {
                PortTrouble::SettingsRefused
            }
            Some(_) => PortTrouble::Unopenable,
        },
    }
}

/// What a port is opened with. Flow control is off: a CMS50's packages have 11 and 13 (hexadecimal) as their types, which
/// XON/XOFF would take for its own octets and swallow.
fn builder(path: &Path, settings: &LineSettings) -> SerialPortBuilder {
    serialport::new(path.to_string_lossy(), settings.baud)
        .parity(parity(settings.parity))
        .data_bits(data_bits(settings.data_bits))
        .flow_control(FlowControl::None)
        .timeout(PORT_READ_WITHIN)
}

const fn parity(parity: Parity) -> serialport::Parity {
    match parity {
        Parity::None => serialport::Parity::None,
        Parity::Odd => serialport::Parity::Odd,
        Parity::Even => serialport::Parity::Even,
    }
}

const fn data_bits(bits: DataBits) -> serialport::DataBits {
    match bits {
        DataBits::Seven => serialport::DataBits::Seven,
        DataBits::Eight => serialport::DataBits::Eight,
    }
}

struct OpenPort(TTYPort);

impl Port for OpenPort {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn write(&mut self, octet: u8, within: Duration) -> io::Result<()> {
        self.0.set_timeout(within)?;
        // It waits until the port has room, and then writes what there is room for.
        let written = match self.0.write(&[octet]) {
            Ok(1) => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) => Err(error),
        };
        self.0.set_timeout(PORT_READ_WITHIN)?;
        written
    }

    fn set(&mut self, settings: &LineSettings) -> io::Result<()> {
        self.0.set_baud_rate(settings.baud)?;
        self.0.set_parity(parity(settings.parity))?;
        self.0.set_data_bits(data_bits(settings.data_bits))?;
        self.0.clear(ClearBuffer::Input)?;
        Ok(())
    }

    fn forget(&mut self) {
        // A port that is gone has nothing to forget.
        let _ = self.0.clear(ClearBuffer::Output);
    }
}

#[cfg(test)]
mod tests {
    use runtime::clock::Clock;

    use super::super::line::write;
    use super::*;
    use crate::decode::Protocol;
    use crate::limits::PORT_WRITE_WITHIN;

    fn system(device: &str) -> System {
        System { device: device.parse().unwrap() }
    }

    #[test]
    fn a_second_name_of_a_port_does_not_get_it_while_the_first_waits() {
        let pair = nix::pty::openpty(None, None).unwrap();
        let path = nix::unistd::ttyname(&pair.slave).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let settings = LineSettings::of(Protocol::Bci);
        let (first, second) = (system("one-of-two"), system("two-of-two"));
        let opened = first.open(&link, &settings);
        assert_eq!(second.open(&path, &settings).err(), Some(PortTrouble::Busy));
        drop(opened);
        assert_eq!(second.open(&path, &settings).err(), Some(PortTrouble::Busy), "it is only being opened again");
        assert!(first.open(&link, &settings).is_ok());
        drop(first);
        assert!(second.open(&path, &settings).is_ok());
    }

    #[test]
    fn what_keeps_a_port_closed_is_named() {
        let settings = LineSettings::of(Protocol::Bci);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let why = |path: &Path| system("named").open(path, &settings).err();
        assert_eq!(why(&folder.path().join("nothing")), Some(PortTrouble::Absent));
        assert_eq!(why(&file), Some(PortTrouble::NoTerminal));
        assert_eq!(why(Path::new("/dev/null")), Some(PortTrouble::NoTerminal));
        let (null, error) =
            (std::fs::metadata("/dev/null").unwrap(), |kind, words| serialport::Error::new(kind, words));
        let named = |words: &'static str| trouble(&error(ErrorKind::Unknown, words), Some(&null));
        assert_eq!(named("Invalid argument"), PortTrouble::SettingsRefused);
        assert_eq!(named("Input/output error"), PortTrouble::Unopenable);
        assert_eq!(trouble(&error(ErrorKind::Unknown, "No such device"), None), PortTrouble::Absent);
    }

    #[test]
    fn octets_that_flow_control_would_swallow_come_through() {
        let pair = nix::pty::openpty(None, None).unwrap();
        let path = nix::unistd::ttyname(&pair.slave).unwrap();
        let mut port = system("flow").open(&path, &LineSettings::of(Protocol::Cms50V7)).unwrap();
        nix::unistd::write(&pair.master, &[0x11, 0x13, 0x01]).unwrap();
        let (mut heard, mut buffer) = (Vec::new(), [0; 8]);
        while heard.len() < 3 {
            let count = port.read(&mut buffer).unwrap();
            heard.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(heard, [0x11, 0x13, 0x01]);
    }

    #[test]
    fn a_port_is_asked_for_the_settings_of_its_line() {
        let scale = builder(Path::new("/dev/p"), &LineSettings::of(Protocol::AndScale));
        let expected = serialport::new("/dev/p", 2400)
            .parity(serialport::Parity::Even)
            .data_bits(serialport::DataBits::Seven)
            .stop_bits(serialport::StopBits::One)
            .flow_control(serialport::FlowControl::None)
            .timeout(PORT_READ_WITHIN);
        assert_eq!(scale, expected);
        let old = LineSettings::of(Protocol::Bci).at(19_200, Parity::Odd);
        let expected = serialport::new("/dev/p", 19_200).parity(serialport::Parity::Odd).timeout(PORT_READ_WITHIN);
        assert_eq!(builder(Path::new("/dev/p"), &old), expected);
        assert_ne!(builder(Path::new("/dev/p"), &LineSettings::of(Protocol::Bci)), expected);
    }

    #[test]
    fn a_line_that_nobody_reads_holds_up_no_longer_than_a_saying_may_last() {
        let pair = nix::pty::openpty(None, None).unwrap();
        let path = nix::unistd::ttyname(&pair.slave).unwrap();
        let mut port = system("device").open(&path, &LineSettings::of(Protocol::Cms50V7)).unwrap();
        let (out, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // More than there is room for: a write of all at once waits for ever.
            out.send(write(&mut port, &[0; 256 * 1024], &Clock::system()).map_err(|error| error.kind())).unwrap();
        });
        let written = end.recv_timeout(PORT_WRITE_WITHIN.saturating_mul(4));
        assert_eq!(written, Ok(Err(io::ErrorKind::TimedOut)));
        drop(pair);
    }

    #[test]
    fn only_usb_adapters_are_listed() {
        let port = |port_type| SerialPortInfo { port_name: "/dev/ttyUSB3".into(), port_type };
        let usb = UsbPortInfo {
            vid: 0x0403,
            pid: 0x6001,
            serial_number: Some("A1".into()),
            manufacturer: None,
            product: None,
        };
        let found = adapter(port(SerialPortType::UsbPort(usb))).unwrap();
        assert_eq!((found.vendor, found.product, found.serial.as_deref()), (UsbId(0x0403), UsbId(0x6001), Some("A1")));
        assert_eq!(found.path, Path::new("/dev/ttyUSB3"));
        assert_eq!(adapter(port(SerialPortType::PciPort)), None);
        // What this machine has is listed without a panic.
        let _ = adapters();
    }
}
