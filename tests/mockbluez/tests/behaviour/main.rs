//! What the mock does, seen by a plain client: each test holds one behaviour of BlueZ that costs readings when a
//! program does not know it.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::time::Duration;

use mockbluez::{ADAPTER, Client, Connect, Device, Failed, Handle, Limits, MockBluez, Refusal, Uuid, Value};

const DEVICE: &str = "org.bluez.Device1";
const ADAPTER_INTERFACE: &str = "org.bluez.Adapter1";
const RATE: u16 = 0x2A37;
const BATTERY: u16 = 0x2A19;
const ACCESS: u16 = 0x2A52;
const GLUCOSE: u16 = 0x2A18;

fn strap() -> Device {
    Device::new("C0:00:00:00:00:01", "Strap")
        .service(0x180D, &[(RATE, "notify", b"")])
        .service(0x180F, &[(BATTERY, "read,notify", &[87])])
}

/// A mock with one device that was seen, and a client that saw it.
fn seen(device: Device) -> (MockBluez, Handle, Client) {
    let bluez = MockBluez::start();
    let handle = bluez.add(device);
    let mut client = client_of(&bluez);
    client.scan().unwrap();
    assert!(handle.advertise(-60));
    assert_eq!(client.find("C0:00:00:00:00:01").unwrap(), handle.path());
    (bluez, handle, client)
}

fn client_of(bluez: &MockBluez) -> Client {
    Client::connect(bluez.address()).unwrap().answers_within(Duration::from_secs(5))
}

fn refused(name: &str, text: &str) -> Failed {
    Failed { name: format!("org.bluez.Error.{name}"), text: text.to_owned() }
}

fn connect(client: &mut Client, handle: &Handle) -> Result<(), Failed> {
    client.call(handle.path(), DEVICE, "Connect", ()).map(|_| ())
}

#[test]
fn values_arrive_in_order_once_subscribed() {
    let (_bluez, strap, mut client) = seen(strap());
    client.connect_device(strap.path()).unwrap();
    assert!(!strap.notify(RATE, &[0, 60]));
    client.subscribe(strap.path(), RATE).unwrap();
    for rate in 60..65 {
        assert!(strap.notify(RATE, &[0, rate]));
    }
    for rate in 60..65 {
        assert_eq!(client.next_value(strap.path(), RATE).unwrap(), [0, rate]);
    }
}

#[test]
fn a_read_also_appears_as_a_value_unless_switched_off() {
    let (_bluez, strap_handle, mut client) = seen(strap());
    client.connect_device(strap_handle.path()).unwrap();
    assert_eq!(client.read(strap_handle.path(), BATTERY).unwrap(), [87]);
    assert_eq!(client.next_value(strap_handle.path(), BATTERY).unwrap(), [87]);

    let (_bluez, quiet, client) = seen(strap().without_echo());
    let mut client = client.answers_within(Duration::from_millis(300));
    client.connect_device(quiet.path()).unwrap();
    assert_eq!(client.read(quiet.path(), BATTERY).unwrap(), [87]);
    assert!(client.next_value(quiet.path(), BATTERY).is_err());
}

#[test]
fn a_connect_hangs_refuses_others_meanwhile_and_is_cancelled_by_disconnect() {
    let (bluez, strap, client) = seen(strap());
    strap.next_connects(&[Connect::Hang]);
    let mut client = client.answers_within(Duration::from_millis(300));
    assert_eq!(connect(&mut client, &strap).unwrap_err().name, "late");
    assert_eq!(connect(&mut client, &strap).unwrap_err(), refused("InProgress", "Operation already in progress"));
    client.call(strap.path(), DEVICE, "Disconnect", ()).unwrap();
    client.connect_device(strap.path()).unwrap();
    assert!(strap.is_connected());
    assert_eq!(bluez.log().iter().filter(|line| line.starts_with("connect ")).count(), 2);
}

#[test]
fn an_error_may_have_no_text() {
    let (bluez, strap, mut client) = seen(strap());
    strap.next_connects(&[Connect::Fail(Refusal::new("Failed", ""))]);
    assert_eq!(connect(&mut client, &strap).unwrap_err(), refused("Failed", ""));
    client.call(ADAPTER, ADAPTER_INTERFACE, "StopDiscovery", ()).unwrap();
    bluez.refuse_next("StartDiscovery", Refusal::new("Busy", ""));
    assert_eq!(client.scan().unwrap_err(), refused("Busy", ""));
    client.scan().unwrap();
}

#[test]
fn a_dead_link_refuses_or_says_ok() {
    let (_bluez, handle, mut client) = seen(strap());
    client.connect_device(handle.path()).unwrap();
    handle.drop_link();
    client.wait_for(handle.path(), DEVICE, "Connected", &Value::Flag(false)).unwrap();
    assert_eq!(client.subscribe(handle.path(), RATE).unwrap_err(), refused("InProgress", "In Progress"));
    assert_eq!(client.read(handle.path(), BATTERY).unwrap_err(), refused("NotConnected", "Not connected"));

    let (_bluez, liar, mut client) = seen(strap().ok_when_gone());
    client.connect_device(liar.path()).unwrap();
    liar.drop_link();
    client.subscribe(liar.path(), RATE).unwrap();
    assert!(!liar.notify(RATE, &[0, 60]));
}

#[test]
fn a_subscription_lives_on_over_a_new_connection() {
    let (_bluez, strap, mut client) = seen(strap());
    client.connect_device(strap.path()).unwrap();
    client.subscribe(strap.path(), RATE).unwrap();
    strap.drop_link();
    assert!(!strap.notify(RATE, &[0, 60]));
    client.connect_device(strap.path()).unwrap();
    assert!(strap.is_notifying(RATE) && strap.notify(RATE, &[0, 61]));
    assert_eq!(client.next_value(strap.path(), RATE).unwrap(), [0, 61]);
}

#[test]
fn scanning_stops_without_a_word_and_starts_again_when_asked() {
    let (bluez, strap, mut client) = seen(strap());
    bluez.stop_scanning_silently();
    assert!(!strap.advertise(-60) && !bluez.is_scanning());
    assert_eq!(client.property(ADAPTER, ADAPTER_INTERFACE, "Discovering").unwrap(), Value::Flag(true));
    client.scan().unwrap();
    assert!(strap.advertise(-60));
    assert_eq!(client.scan().unwrap_err(), refused("InProgress", "Operation already in progress"));
}

#[test]
fn the_adapter_goes_and_comes_back_without_scanning() {
    let (bluez, strap, mut client) = seen(strap());
    client.connect_device(strap.path()).unwrap();
    bluez.remove_adapter();
    assert!(client.scan().is_err() && !strap.is_connected());
    bluez.return_adapter();
    assert!(!strap.advertise(-60));
    client.scan().unwrap();
    assert!(strap.advertise(-60));
}

#[test]
fn an_adapter_without_power_hears_nothing_and_says_not_ready() {
    let (bluez, strap, mut client) = seen(strap());
    bluez.set_powered(false);
    assert!(!strap.advertise(-60));
    assert_eq!(client.scan().unwrap_err(), refused("NotReady", "Resource Not Ready"));
    client.set_flag(ADAPTER, ADAPTER_INTERFACE, "Powered", true).unwrap();
    client.scan().unwrap();
    assert!(strap.advertise(-60));
}

#[test]
fn bluetoothd_starts_anew_and_knows_only_what_is_bonded() {
    let (bluez, strap, mut client) = seen(strap());
    let scale = bluez.add(Device::new("C0:00:00:00:00:02", "Scale").bonded());
    client.connect_device(strap.path()).unwrap();
    bluez.restart();
    assert!(!bluez.is_scanning() && !strap.is_connected());
    assert_eq!(client.find("C0:00:00:00:00:02").unwrap(), scale.path());
    assert!(connect(&mut client, &strap).unwrap_err().name.ends_with("UnknownObject"));
    client.scan().unwrap();
    assert!(strap.advertise(-60));
    client.connect_device(strap.path()).unwrap();
}

#[test]
fn a_device_that_lost_its_bond_fails_like_radio_trouble_until_it_is_removed() {
    let (_bluez, strap, mut client) = seen(strap().bonded());
    client.connect_device(strap.path()).unwrap();
    strap.lose_bond();
    for _ in 0..3 {
        assert_eq!(connect(&mut client, &strap).unwrap_err(), refused("Failed", "le-connection-abort-by-local"));
    }
    client.remove_device(strap.path()).unwrap();
    assert!(strap.advertise(-60));
    client.register_agent(None).unwrap();
    client.pair(strap.path()).unwrap();
    assert!(strap.is_connected());
}

#[test]
fn pairing_needs_an_agent_and_reveals_the_address_that_stays() {
    let (_bluez, strap, mut client) = seen(strap().identity("C0:FF:EE:00:00:01"));
    let failure = client.pair(strap.path()).unwrap_err();
    assert_eq!(failure, refused("AuthenticationFailed", "Authentication Failed"));
    client.register_agent(None).unwrap();
    client.pair(strap.path()).unwrap();
    assert_eq!(client.property(strap.path(), DEVICE, "Address").unwrap(), Value::text("C0:FF:EE:00:00:01"));
    assert!(strap.path().ends_with("C0_00_00_00_00_01"));
}

#[test]
fn a_protected_read_without_an_agent_hangs_and_with_one_bonds() {
    let protected = Device::new("C0:00:00:00:00:01", "Cuff").service(0x1810, &[(0x2A49, "encrypt-read", &[0x3F, 0])]);
    let (_bluez, cuff, client) = seen(protected);
    let mut client = client.answers_within(Duration::from_millis(300));
    client.connect_device(cuff.path()).unwrap();
    assert_eq!(client.read(cuff.path(), 0x2A49).unwrap_err().name, "late");
    client.register_agent(None).unwrap();
    assert_eq!(client.read(cuff.path(), 0x2A49).unwrap(), [0x3F, 0]);
    assert_eq!(client.property(cuff.path(), DEVICE, "Bonded").unwrap(), Value::Flag(true));
}

#[test]
fn services_may_never_be_resolved_and_a_device_may_hang_up_before() {
    let (_bluez, strap, client) = seen(strap());
    let mut client = client.answers_within(Duration::from_millis(300));
    strap.next_connects(&[Connect::NoServices, Connect::HangUp]);
    assert_eq!(client.connect_device(strap.path()).unwrap_err().name, "late");
    assert!(strap.is_connected());
    client.call(strap.path(), DEVICE, "Disconnect", ()).unwrap();
    assert_eq!(client.connect_device(strap.path()).unwrap_err().name, "late");
    assert!(!strap.is_connected());
}

#[test]
fn a_device_not_seen_for_long_is_unknown() {
    let (_bluez, strap, mut client) = seen(strap());
    strap.forget();
    let failure = connect(&mut client, &strap).unwrap_err();
    assert!(failure.name.ends_with("UnknownObject") && failure.text.contains("doesn't exist"), "{failure}");
}

#[test]
fn a_write_is_answered_by_records_and_then_the_response() {
    let meter = Device::new("C0:00:00:00:00:01", "Meter")
        .service(0x1808, &[(GLUCOSE, "notify", b""), (ACCESS, "write,indicate", b"")])
        .on_write(|uuid, octets| match octets {
            [1, 1] if *uuid == Uuid::from(ACCESS) => {
                vec![(GLUCOSE.into(), vec![1]), (GLUCOSE.into(), vec![2]), (ACCESS.into(), vec![6, 0, 1, 1])]
            }
            _ => Vec::new(),
        });
    let (bluez, meter, mut client) = seen(meter);
    client.connect_device(meter.path()).unwrap();
    client.subscribe(meter.path(), GLUCOSE).unwrap();
    client.subscribe(meter.path(), ACCESS).unwrap();
    client.write(meter.path(), ACCESS, &[1, 1]).unwrap();
    assert_eq!(client.next_value(meter.path(), ACCESS).unwrap(), [6, 0, 1, 1]);
    for record in [1, 2] {
        assert_eq!(client.next_value(meter.path(), GLUCOSE).unwrap(), [record]);
    }
    assert!(bluez.log().contains(&format!("write {} 0101", Uuid::from(ACCESS))));
}

#[test]
fn the_bus_limits_match_rules_and_may_die() {
    let mut bluez = MockBluez::with_limits(Limits { match_rules_max: 3 });
    let mut client = client_of(&bluez);
    let over = (0..3).find_map(|number| client.listen(&format!("type='signal',member='M{number}'")).err());
    assert_eq!(over.map(|failure| failure.name).as_deref(), Some("org.freedesktop.DBus.Error.LimitsExceeded"));
    bluez.kill_bus();
    assert!(client.scan().is_err());
}
