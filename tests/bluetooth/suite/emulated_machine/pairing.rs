//! Keys: made with and without a passkey, refused, lost, and the address that changes.

use std::time::Duration;

use mockbluez::Value;
use serde_json::json;

use super::rig::Rig;

const DEVICE: &str = "org.bluez.Device1";
const FEATURE: u16 = 0x2A49;

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn a_protected_value_is_read_after_pairing_and_not_without_an_agent() {
    let mut rig = Rig::fresh();
    let (client, cuff) = rig.connected("cuff", "blood_pressure", json!({ "security": "justworks" }));
    let mut client = client.answers_within(Duration::from_secs(3));
    client.read(&cuff, FEATURE).unwrap_err();
    rig.wait_for("cuff", "pairing_failed", 1);
    // The read is still pending in BlueZ, and nothing else is done until the link is gone.
    client.call(&cuff, DEVICE, "Disconnect", ()).unwrap();
    rig.wait_for("cuff", "disconnected", 1);
    client.wait_for(&cuff, DEVICE, "Connected", &Value::Flag(false)).unwrap();

    let mut client = rig.client();
    client.register_agent(None).unwrap();
    client.connect_device(&cuff).unwrap();
    assert_eq!(client.read(&cuff, FEATURE).unwrap(), [0x3F, 0]);
    rig.wait_for("cuff", "paired", 1);
    client.wait_for(&cuff, DEVICE, "Bonded", &Value::Flag(true)).unwrap();
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn a_passkey_must_be_the_one_the_device_shows() {
    let mut rig = Rig::fresh();
    let options = json!({ "security": "passkey", "passkey": 314_159 });
    let address = rig.add("cuff", "blood_pressure", options);
    let mut client = rig.client();
    client.scan().unwrap();
    let cuff = client.find(&address).unwrap();
    client.register_agent(Some(271_828)).unwrap();
    let refused = client.pair(&cuff).unwrap_err();
    assert_eq!(refused.name, "org.bluez.Error.AuthenticationFailed", "{refused}");
    assert_eq!(rig.wait_for("cuff", "passkey_shown", 1)["passkey"], 314_159);
    rig.wait_for("cuff", "disconnected", 1);

    let mut client = rig.client();
    client.scan().unwrap();
    client.find(&address).unwrap();
    client.register_agent(Some(314_159)).unwrap();
    client.pair(&cuff).unwrap();
    client.connect_device(&cuff).unwrap();
    assert_eq!(client.read(&cuff, FEATURE).unwrap(), [0x3F, 0]);
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn a_lost_bond_looks_like_radio_trouble_until_the_device_is_removed() {
    let mut rig = Rig::fresh();
    let address = rig.add("cuff", "blood_pressure", json!({ "security": "justworks" }));
    let mut client = rig.client();
    client.scan().unwrap();
    let cuff = client.find(&address).unwrap();
    client.register_agent(None).unwrap();
    client.pair(&cuff).unwrap();
    rig.tell("cuff", "hang_up");
    client.wait_for(&cuff, DEVICE, "Connected", &Value::Flag(false)).unwrap();
    rig.tell("cuff", "forget");
    let refused = client.call(&cuff, DEVICE, "Connect", ()).unwrap_err();
    assert_eq!(refused.text, "le-connection-abort-by-local", "{refused}");

    client.remove_device(&cuff).unwrap();
    let cuff = client.find(&address).unwrap();
    client.pair(&cuff).unwrap();
    client.connect_device(&cuff).unwrap();
    assert_eq!(client.read(&cuff, FEATURE).unwrap(), [0x3F, 0]);
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn a_bonded_device_is_known_under_a_new_address_and_its_path_stays() {
    let mut rig = Rig::fresh();
    let options = json!({ "security": "justworks", "rotates_seconds": 900, "address": "C0:00:00:00:0B:0E" });
    rig.add("cuff", "blood_pressure", options);
    let shown = rig.sim(&json!({ "cmd": "rotate", "name": "cuff" }))["address"].as_str().unwrap().to_owned();
    let mut client = rig.client();
    client.scan().unwrap();
    let cuff = client.find(&shown).unwrap();
    client.register_agent(None).unwrap();
    client.pair(&cuff).unwrap();
    let identity = client.property(&cuff, DEVICE, "Address").unwrap();
    assert_ne!(identity, Value::text(&shown));
    rig.tell("cuff", "hang_up");
    client.wait_for(&cuff, DEVICE, "Connected", &Value::Flag(false)).unwrap();
    let rotated = rig.sim(&json!({ "cmd": "rotate", "name": "cuff" }))["address"].as_str().unwrap().to_owned();
    assert_ne!(rotated, shown);
    client.connect_device(&cuff).unwrap();
    assert_eq!(client.read(&cuff, FEATURE).unwrap(), [0x3F, 0]);
    assert_eq!(client.property(&cuff, DEVICE, "Address").unwrap(), identity);
}
