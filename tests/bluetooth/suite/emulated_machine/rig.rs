//! The rig as a test has it: the machine made fresh, the simulator's commands, the guest's.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mockbluez::Client;
use serde_json::{Value, json};
use tests::wait::until;

/// How long an event of a device may take.
const EVENT_MAX: Duration = Duration::from_secs(20);
/// The only machine, one test at a time.
static MACHINE: Mutex<()> = Mutex::new(());

/// The machine, with no devices and no bonds.
pub(crate) struct Rig {
    folder: PathBuf,
    simulator: BufReader<UnixStream>,
    _alone: MutexGuard<'static, ()>,
}

impl Rig {
    /// Resets the machine that `rig run` or `rig up` brought up.
    pub(crate) fn fresh() -> Self {
        // A test that failed leaves nothing that a reset does not clear.
        let alone = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = std::env::var_os("BLUETOOTH_RIG");
        let folder = PathBuf::from(folder.expect("no machine: run this by `cargo gate --only bluetooth`"));
        run("reset", &folder);
        let simulator = UnixStream::connect(folder.join("simulator.sock")).expect("the simulator listens");
        Self { folder, simulator: BufReader::new(simulator), _alone: alone }
    }

    /// A command to the simulator that must succeed; its answer.
    pub(crate) fn sim(&mut self, command: &Value) -> Value {
        self.simulator.get_mut().write_all(format!("{command}\n").as_bytes()).expect("the simulator reads");
        loop {
            let mut line = String::new();
            self.simulator.read_line(&mut line).expect("the simulator answers");
            let answer: Value = serde_json::from_str(&line).expect("a line of JSON");
            if answer.get("ok").is_some() {
                assert_eq!(answer["ok"], true, "{command}: {answer}");
                return answer;
            }
        }
    }

    /// A device; its address. `options` are those of the simulator.
    pub(crate) fn add(&mut self, name: &str, kind: &str, options: Value) -> String {
        let mut command = json!({ "cmd": "add", "name": name, "kind": kind });
        let fields = command.as_object_mut().expect("an object");
        fields.extend(options.as_object().expect("options are an object").clone());
        self.sim(&command)["address"].as_str().expect("an address").to_owned()
    }

    /// A command that needs only the device's name.
    pub(crate) fn tell(&mut self, name: &str, command: &str) {
        self.sim(&json!({ "cmd": command, "name": name }));
    }

    /// What happened to a device, of this kind.
    pub(crate) fn events(&mut self, name: &str, event: &str) -> Vec<Value> {
        let answer = self.sim(&json!({ "cmd": "events", "name": name, "event": event }));
        answer["events"].as_array().expect("a list").clone()
    }

    /// Waits until so many have happened; the last.
    pub(crate) fn wait_for(&mut self, name: &str, event: &str, count: usize) -> Value {
        let what = format!("{count} times `{event}` of {name}");
        until(&what, EVENT_MAX, || self.events(name, event).get(count - 1..)?.last().cloned()).unwrap()
    }

    /// A command to the guest that must succeed.
    pub(crate) fn guest(&self, line: &str) {
        let mut control = UnixStream::connect(self.folder.join("control.sock")).expect("the guest listens");
        writeln!(control, "{line}").expect("the guest reads");
        let mut lines = BufReader::new(control).lines().map(|line| line.expect("the guest answers"));
        let last = lines.find(|line| line.starts_with("ok ") || line.starts_with("? "));
        assert!(last.as_deref().is_some_and(|last| last.starts_with("ok ")), "{line}: {last:?}");
    }

    /// The adapter is pulled out.
    pub(crate) fn unplug(&self) {
        run("unplug", &self.folder);
    }

    /// The adapter is back.
    pub(crate) fn plug(&self) {
        run("plug", &self.folder);
    }

    /// A client of the guest's bluetoothd.
    pub(crate) fn client(&self) -> Client {
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").expect("the rig names the bus");
        // A bus that has just started may not listen yet.
        until("the bus", EVENT_MAX, || Client::connect(&address).ok()).unwrap()
    }

    /// Scans, as soon as bluetoothd does: right after its start or the adapter's it is busy.
    pub(crate) fn scan(client: &mut Client) {
        until("a scan", EVENT_MAX, || client.scan().ok()).unwrap();
    }

    /// A device that is connected, with the client that did it; the device's path.
    pub(crate) fn connected(&mut self, name: &str, kind: &str, options: Value) -> (Client, String) {
        let address = self.add(name, kind, options);
        let mut client = self.client();
        client.scan().unwrap();
        let device = client.find(&address).unwrap();
        client.connect_device(&device).unwrap();
        (client, device)
    }
}

/// A command of the rig that must succeed.
fn run(command: &str, folder: &Path) {
    let done = Command::new(program()).arg(command).arg(folder).output().expect("the rig runs");
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bluetooth/rig/rig")
}

impl Drop for Rig {
    /// A test that fails says what the devices saw and how the guest's kernel is.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for words in [&["sim", r#"{"cmd":"events"}"#][..], &["ctl", "sh", "dmesg | tail -5"]] {
            let said = Command::new(program()).arg(words[0]).arg(&self.folder).args(&words[1..]).output();
            let said = said.map(|output| output.stdout).unwrap_or_default();
            eprintln!("{}", String::from_utf8_lossy(&said).replace("}, {", "}\n{"));
        }
    }
}
