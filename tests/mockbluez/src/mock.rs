//! The stand-in itself: its connection to the bus, its thread, and what a test makes it do.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dbus::channel::Channel;
use dbus::{Message, MessageType};

use crate::ADAPTER;
use crate::daemon::{Daemon, Limits};
use crate::device::{Connect, Device, Refusal};
use crate::uuid::Uuid;
use crate::value::Value;
use crate::world::World;

/// How long a turn of the thread waits for a call.
const TURN: Duration = Duration::from_millis(20);
/// What the bus itself may take to answer.
const BUS_ANSWER_MAX: Duration = Duration::from_secs(5);
/// D-Bus specification, `RequestName`: do not wait in a queue.
const DO_NOT_QUEUE: u32 = 4;

struct Shared {
    channel: Channel,
    world: Mutex<World>,
    /// The last of our own calls that the bus answered.
    answered: AtomicU32,
    ends: AtomicBool,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no thread panics with it")
    }

    /// Does something, and sends what is to be said of it before anybody else changes anything.
    fn change<T>(&self, what: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world();
        let result = what(&mut world);
        for message in world.outbox.drain(..) {
            // A bus that is gone was killed by the test.
            let _ = self.channel.send(message);
        }
        self.channel.flush();
        result
    }

    /// Asks the bus itself for something; the serving thread takes the answer.
    fn ask_bus(&self, method: &str, flags: Option<u32>) {
        let call = Message::new_method_call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", method);
        let call = call.expect("a call").append1("org.bluez");
        let call = if let Some(flags) = flags { call.append1(flags) } else { call };
        let serial = self.channel.send(call).expect("the bus takes a call");
        self.channel.flush();
        let start = Instant::now();
        // Serials grow, and the bus answers in order.
        while self.answered.load(Ordering::Relaxed) < serial {
            assert!(start.elapsed() < BUS_ANSWER_MAX, "the bus does not answer {method}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn serve(&self) {
        while !self.ends.load(Ordering::Relaxed) && self.channel.read_write(Some(TURN)).is_ok() {
            while let Some(message) = self.channel.pop_message() {
                if message.msg_type() == MessageType::MethodCall {
                    self.change(|world| world.handle(&message));
                } else if let Some(serial) = message.get_reply_serial() {
                    self.answered.store(serial, Ordering::Relaxed);
                }
            }
        }
    }
}

/// bluetoothd, as far as its clients can tell.
pub struct MockBluez {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    daemon: Daemon,
}

impl MockBluez {
    /// A bus, an adapter, no devices.
    pub fn start() -> Self {
        Self::with_limits(Limits::default())
    }

    /// The same with other limits of the bus.
    pub fn with_limits(limits: Limits) -> Self {
        let daemon = Daemon::start(limits);
        let mut channel = Channel::open_private(daemon.address()).expect("the bus takes connections");
        channel.register().expect("the bus says hello");
        let shared = Arc::new(Shared {
            channel,
            world: Mutex::default(),
            answered: AtomicU32::new(0),
            ends: AtomicBool::new(false),
        });
        shared.change(World::put_adapter);
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || served.serve());
        shared.ask_bus("RequestName", Some(DO_NOT_QUEUE));
        Self { shared, thread: Some(thread), daemon }
    }

    /// The bus's address, for `DBUS_SYSTEM_BUS_ADDRESS` or [`crate::Client::connect`].
    pub fn address(&self) -> &str {
        self.daemon.address()
    }

    /// A device that is not yet seen: it must advertise.
    pub fn add(&self, device: Device) -> Handle {
        let path = device.path();
        self.shared.change(|world| {
            if device.bonded {
                world.put(&path, crate::world::DEVICE, device.properties(None));
            }
            world.devices.insert(path.clone(), device);
        });
        Handle { path, shared: Arc::clone(&self.shared) }
    }

    /// The next call of this method, of whatever object, is refused; several refusals wait in order.
    pub fn refuse_next(&self, method: &str, refusal: Refusal) {
        self.shared.world().refusals.entry(method.to_owned()).or_default().push_back(refusal);
    }

    /// The adapter's switch, turned by somebody else.
    pub fn set_powered(&self, on: bool) {
        self.shared.change(|world| {
            world.set(ADAPTER, &[("Powered", Value::Flag(on))]);
            if !on {
                world.power_off();
            }
        });
    }

    /// Nothing advertised is heard any more, and `Discovering` says nothing of it.
    pub fn stop_scanning_silently(&self) {
        self.shared.world().scanning = false;
    }

    /// The adapter is pulled out, with all its devices.
    pub fn remove_adapter(&self) {
        self.shared.change(World::remove_adapter);
    }

    /// It is back, powered, not scanning; bonded devices with it.
    pub fn return_adapter(&self) {
        self.shared.change(World::put_adapter);
    }

    /// bluetoothd dies and comes back: links drop, scanning stops, its name changes its owner.
    pub fn restart(&self) {
        self.shared.change(World::drop_links);
        // What dies says nothing of its objects.
        self.shared.change(|world| {
            world.remove_adapter();
            world.hanging.clear();
            world.has_agent = false;
            world.outbox.clear();
        });
        self.shared.ask_bus("ReleaseName", None);
        self.shared.ask_bus("RequestName", Some(DO_NOT_QUEUE));
        self.shared.change(World::put_adapter);
    }

    /// The bus dies under everybody and does not come back.
    pub fn kill_bus(&mut self) {
        self.daemon.kill();
    }

    /// Whether advertisements are heard.
    pub fn is_scanning(&self) -> bool {
        self.shared.world().scanning
    }

    /// What clients did, in order.
    pub fn log(&self) -> Vec<String> {
        self.shared.world().log.clone()
    }
}

impl Drop for MockBluez {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}

/// One device of the mock.
#[derive(Clone)]
pub struct Handle {
    path: String,
    shared: Arc<Shared>,
}

impl Handle {
    /// Its object's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// One advertisement: the object appears, or its RSSI (dBm) changes. Whether it was heard.
    pub fn advertise(&self, rssi: i16) -> bool {
        self.shared.change(|world| world.advertise(&self.path, rssi))
    }

    /// A notification or indication. Whether somebody subscribed it and the link is there.
    pub fn notify(&self, uuid: impl Into<Uuid>, octets: &[u8]) -> bool {
        let uuid = uuid.into();
        self.shared.change(|world| world.notify(&self.path, &uuid, octets))
    }

    /// Whether a characteristic is subscribed.
    pub fn is_notifying(&self, uuid: impl Into<Uuid>) -> bool {
        self.shared.world().is_notifying(&self.path, &uuid.into())
    }

    /// Whether there is a link.
    pub fn is_connected(&self) -> bool {
        self.shared.world().is_connected(&self.path)
    }

    /// The link is lost.
    pub fn drop_link(&self) {
        self.shared.change(|world| world.link_down(&self.path));
    }

    /// The object goes, as an unbonded device's does some 30 s after it was last heard.
    pub fn forget(&self) {
        self.shared.change(|world| {
            world.link_down(&self.path);
            world.remove(&self.path);
        });
    }

    /// The device loses its keys; this side does not know.
    pub fn lose_bond(&self) {
        self.shared.change(|world| {
            world.link_down(&self.path);
            if let Some(device) = world.devices.get_mut(&self.path) {
                device.bond_lost = true;
            }
        });
    }

    /// What the next `Connect`s come to.
    pub fn next_connects(&self, outcomes: &[Connect]) {
        if let Some(device) = self.shared.world().devices.get_mut(&self.path) {
            device.connects = outcomes.iter().cloned().collect();
        }
    }
}
