//! A message bus of its own: Debian's dbus-daemon with a configuration for this test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// What the bus allows each connection.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Match rules; at more, `AddMatch` is refused with `org.freedesktop.DBus.Error.LimitsExceeded`. Debian's system
    /// bus allows 512.
    pub match_rules_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { match_rules_max: 512 }
    }
}

/// A dbus-daemon, ended when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    process: Child,
    address: String,
    /// Holds the configuration and the socket.
    _folder: TempDir,
}

impl Daemon {
    /// Starts one and waits until it listens.
    pub fn start(limits: Limits) -> Self {
        let folder = tempfile::Builder::new().prefix("mockbluez").tempdir().expect("a folder for the bus");
        let configuration = folder.path().join("bus.conf");
        std::fs::write(&configuration, configuration_of(&folder, limits)).expect("the bus's configuration");
        let mut process = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", configuration.display()))
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // It says that it cannot raise its limit of files, which is no trouble here.
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon (Debian: dbus-daemon)");
        let output = process.stdout.take().expect("its output is piped");
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address).expect("the bus's address");
        let address = address.trim().to_owned();
        assert!(!address.is_empty(), "dbus-daemon ended: {:?}", process.wait());
        Self { process, address, _folder: folder }
    }

    /// What a client connects to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The bus dies under everybody. Once is enough.
    pub fn kill(&mut self) {
        // An error says that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn configuration_of(folder: &TempDir, limits: Limits) -> String {
    let (folder, rules) = (folder.path().display(), limits.match_rules_max);
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:dir={folder}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_match_rules_per_connection">{rules}</limit>
</busconfig>
"#
    )
}
