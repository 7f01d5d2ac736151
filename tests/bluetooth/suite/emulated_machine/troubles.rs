//! What goes wrong in a home: devices that vanish, hang up, send too little; a radio and a daemon that come back.

use std::time::Duration;

use agent::decode::ble::blood_pressure::BloodPressure;
use agent::decode::quirks::Quirks;
use mockbluez::Value;
use serde_json::json;

use super::rig::Rig;

const DEVICE: &str = "org.bluez.Device1";
const PRESSURE: u16 = 0x2A35;
const RATE: u16 = 0x2A37;
const CLOCK: u16 = 0x2A2B;

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn a_device_that_vanishes_is_noticed_and_is_back_with_its_subscription() {
    let mut rig = Rig::fresh();
    let (mut client, strap) = rig.connected("strap", "heart_rate", json!({}));
    client.subscribe(&strap, RATE).unwrap();
    client.next_value(&strap, RATE).unwrap();
    rig.tell("strap", "vanish");
    client.wait_for(&strap, DEVICE, "Connected", &Value::Flag(false)).unwrap();
    rig.tell("strap", "advertise");
    client.connect_device(&strap).unwrap();
    // BlueZ subscribes again by itself.
    rig.wait_for("strap", "subscribed", 2);
    client.next_value(&strap, RATE).unwrap();
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn a_cuff_that_advertises_for_seconds_sends_and_hangs_up_is_read() {
    let mut rig = Rig::fresh();
    let address = rig.add("cuff", "blood_pressure", json!({ "advertise": false }));
    let mut client = rig.client();
    client.scan().unwrap();
    for pulse in [71, 72] {
        let value = json!({ "pulse": pulse });
        rig.sim(&json!({ "cmd": "measure", "name": "cuff", "value": value, "burst": 6 }));
        let cuff = client.find(&address).unwrap();
        client.call(&cuff, DEVICE, "Connect", ()).unwrap();
        if pulse == 71 {
            client.wait_for(&cuff, DEVICE, "ServicesResolved", &Value::Flag(true)).unwrap();
            client.subscribe(&cuff, PRESSURE).unwrap();
        }
        let octets = client.next_value(&cuff, PRESSURE).unwrap();
        let read = BloodPressure::of(&octets, Quirks::default()).unwrap();
        let readings = read.report().readings;
        assert!(readings.iter().any(|reading| format!("{:?}", reading.outcome).contains(&pulse.to_string())));
        client.wait_for(&cuff, DEVICE, "Connected", &Value::Flag(false)).unwrap();
    }
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn values_of_a_wrong_length_arrive_as_sent_and_are_refused() {
    let mut rig = Rig::fresh();
    let (mut client, cuff) = rig.connected("cuff", "blood_pressure", json!({}));
    client.subscribe(&cuff, PRESSURE).unwrap();
    let mut lengths = Vec::new();
    for (cut, pad) in [(0, 0), (1, 0), (19, 0), (0, 3)] {
        rig.sim(&json!({ "cmd": "measure", "name": "cuff", "cut": cut, "pad": pad }));
        let octets = client.next_value(&cuff, PRESSURE).unwrap();
        assert_eq!(BloodPressure::of(&octets, Quirks::default()).is_err(), cut > 0, "{octets:02x?}");
        lengths.push(octets.len());
    }
    assert_eq!(lengths, [19, 18, 0, 22]);
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn a_device_hangs_up_when_it_likes_and_is_mute_when_told() {
    let mut rig = Rig::fresh();
    let (mut client, strap) = rig.connected("strap", "heart_rate", json!({ "hang_up_after": 4, "per_second": 5 }));
    client.subscribe(&strap, RATE).unwrap();
    client.next_value(&strap, RATE).unwrap();
    rig.sim(&json!({ "cmd": "change", "name": "strap", "mute": true }));
    client.wait_for(&strap, DEVICE, "Connected", &Value::Flag(false)).unwrap();
    client.connect_device(&strap).unwrap();
    let mut hasty = client.answers_within(Duration::from_secs(2));
    while hasty.next_value(&strap, RATE).is_ok() {}
    assert!(rig.events("strap", "subscribed").len() >= 2);
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn a_wrong_clock_is_read_and_set() {
    let mut rig = Rig::fresh();
    let (mut client, scale) = rig.connected("scale", "weight", json!({}));
    assert_eq!(client.read(&scale, CLOCK).unwrap().len(), 10);
    // 2026-11-25 12:30:15, a Wednesday, set by hand.
    client.write(&scale, CLOCK, &[0xEA, 0x07, 11, 25, 12, 30, 15, 3, 0, 1]).unwrap();
    assert_eq!(rig.wait_for("scale", "clock_set", 1)["to"], "2026-11-25T12:30:15");
    assert_eq!(client.read(&scale, CLOCK).unwrap()[..5], [0xEA, 0x07, 11, 25, 12]);
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn adapter_and_bluetoothd_go_and_come_back() {
    let mut rig = Rig::fresh();
    let (mut client, strap) = rig.connected("strap", "heart_rate", json!({}));
    rig.unplug();
    rig.wait_for("strap", "disconnected", 1);
    assert!(client.property(mockbluez::ADAPTER, "org.bluez.Adapter1", "Powered").is_err());
    rig.plug();
    client.wait_for(mockbluez::ADAPTER, "org.bluez.Adapter1", "Powered", &Value::Flag(true)).unwrap();
    Rig::scan(&mut client);
    let again = client.find("C0:00:00:00:00:01").unwrap();
    assert_eq!(again, strap);
    client.connect_device(&strap).unwrap();

    rig.guest("restart-bluetoothd");
    rig.wait_for("strap", "disconnected", 2);
    client.wait_for(mockbluez::ADAPTER, "org.bluez.Adapter1", "Powered", &Value::Flag(true)).unwrap();
    Rig::scan(&mut client);
    client.find("C0:00:00:00:00:01").unwrap();
    client.connect_device(&strap).unwrap();
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn a_bus_that_dies_takes_its_clients_connection_and_a_new_one_works() {
    let mut rig = Rig::fresh();
    let address = rig.add("strap", "heart_rate", json!({}));
    let mut old = rig.client();
    Rig::scan(&mut old);
    rig.guest("restart-bus");
    old.scan().unwrap_err();
    let mut new = rig.client();
    new.wait_for(mockbluez::ADAPTER, "org.bluez.Adapter1", "Powered", &Value::Flag(true)).unwrap();
    Rig::scan(&mut new);
    new.find(&address).unwrap();
    old.find(&address).unwrap_err();
}
