//! A stand-in for bluetoothd on a D-Bus of its own: the objects, methods and signals of `org.bluez` that the agent's
//! libraries use, with the troubles that a real bluetoothd makes once a month made on demand.
//!
//! ```no_run
//! use mockbluez::{Connect, Device, MockBluez};
//!
//! let bluez = MockBluez::start();
//! let strap = bluez.add(Device::new("C0:00:00:00:00:01", "Strap").service(0x180D, &[(0x2A37, "notify", b"")]));
//! strap.next_connects(&[Connect::Hang, Connect::Ok]);
//! // A client of `bluez.address()` scans now, and hears:
//! assert!(strap.advertise(-60));
//! ```
//!
//! libdbus reads `DBUS_SYSTEM_BUS_ADDRESS` once in a process: whoever tests a client that connects to "the system
//! bus" starts it as a process of its own with that variable.
//!
//! Not here: descriptors, MTU exchange, filters, timeouts and caches of BlueZ, keys. How BlueZ itself behaves is seen in
//! the emulated machine of `tests/bluetooth`, through the same [`Client`].
// It serves tests: it stops at the first thing that is wrong.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![allow(clippy::disallowed_methods)]

mod calls;
mod client;
mod daemon;
mod device;
mod gatt;
mod mock;
mod uuid;
mod value;
mod world;

pub use client::{Client, Failed};
pub use daemon::{Daemon, Limits};
pub use device::{Connect, Device, Refusal};
pub use mock::{Handle, MockBluez};
pub use uuid::Uuid;
pub use value::Value;

/// The only adapter's path.
pub const ADAPTER: &str = "/org/bluez/hci0";
