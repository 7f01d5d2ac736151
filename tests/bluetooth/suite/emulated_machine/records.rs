//! Stored records: five hundred of them, counted, sent, stopped in between, and never deleted.

use agent::decode::ble::glucose::Glucose;
use agent::decode::ble::glucose_context::GlucoseContext;
use agent::decode::ble::record_access::{Answer, Request};
use mockbluez::Client;
use serde_json::json;

use super::rig::Rig;

const ACCESS: u16 = 0x2A52;
const GLUCOSE: u16 = 0x2A18;
const CONTEXT: u16 = 0x2A34;
const STORED: u16 = 500;
/// Codes of answers: Glucose Service 1.0.1, table 3.10.
const SUCCESS: u8 = 1;
const NO_RECORDS: u8 = 6;

fn meter(rig: &mut Rig) -> (Client, String) {
    let (mut client, meter) = rig.connected("meter", "glucose", json!({ "stored": STORED }));
    client.subscribe(&meter, GLUCOSE).unwrap();
    client.subscribe(&meter, CONTEXT).unwrap();
    client.subscribe(&meter, ACCESS).unwrap();
    (client, meter)
}

fn ask(client: &mut Client, meter: &str, request: Request) {
    client.write(meter, ACCESS, &request.encode()).unwrap();
}

fn answer(client: &mut Client, meter: &str) -> Answer {
    Answer::of(&client.next_value(meter, ACCESS).unwrap()).unwrap()
}

fn records(client: &mut Client, meter: &str, count: u16) -> Vec<u16> {
    (0..count).map(|_| Glucose::of(&client.next_value(meter, GLUCOSE).unwrap()).unwrap().sequence).collect()
}

fn succeeded(request: Request) -> Answer {
    Answer::Ended { request: request.operation(), code: SUCCESS }
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn five_hundred_records_are_counted_and_sent_in_order_and_stay() {
    let mut rig = Rig::fresh();
    let (mut client, meter) = meter(&mut rig);
    ask(&mut client, &meter, Request::Count);
    assert_eq!(answer(&mut client, &meter), Answer::Count(STORED.into()));
    ask(&mut client, &meter, Request::All);
    assert_eq!(answer(&mut client, &meter), succeeded(Request::All));
    assert_eq!(records(&mut client, &meter, STORED), (1..=STORED).collect::<Vec<_>>());
    ask(&mut client, &meter, Request::Count);
    assert_eq!(answer(&mut client, &meter), Answer::Count(STORED.into()));
    assert!(rig.events("meter", "deleted").is_empty());
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn only_newer_records_are_sent_with_their_context_and_none_is_said() {
    let mut rig = Rig::fresh();
    let (mut client, meter) = meter(&mut rig);
    rig.sim(&json!({ "cmd": "measure", "name": "meter", "value": { "mg_per_dl": 101, "meal": 2 } }));
    let newer = Request::From(STORED - 1);
    ask(&mut client, &meter, newer);
    assert_eq!(answer(&mut client, &meter), succeeded(newer));
    assert_eq!(records(&mut client, &meter, 3), [STORED - 1, STORED, STORED + 1]);
    let context = GlucoseContext::of(&client.next_value(&meter, CONTEXT).unwrap()).unwrap();
    assert_eq!((context.sequence, context.meal), (STORED + 1, Some(2)));
    let none = Request::From(STORED + 2);
    ask(&mut client, &meter, none);
    let ended = Answer::Ended { request: none.operation(), code: NO_RECORDS };
    assert_eq!(answer(&mut client, &meter), ended);
}

#[test]
#[ignore = "needs the emulated machine: cargo gate --only bluetooth"]
fn sending_is_stopped_by_an_abort_and_a_second_request_meanwhile_is_refused() {
    let mut rig = Rig::fresh();
    let (mut client, meter) = meter(&mut rig);
    rig.sim(&json!({ "cmd": "change", "name": "meter", "record_gap": 0.05 }));
    ask(&mut client, &meter, Request::All);
    assert_eq!(records(&mut client, &meter, 3), [1, 2, 3]);
    // GATT, "procedure already in progress".
    let refused = client.write(&meter, ACCESS, &Request::Count.encode()).unwrap_err();
    assert!(refused.text.to_lowercase().contains("progress") || refused.text.contains("0xfe"), "{refused}");
    ask(&mut client, &meter, Request::Abort);
    assert_eq!(answer(&mut client, &meter), succeeded(Request::Abort));
    let sent = rig.events("meter", "sent").len();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(rig.events("meter", "sent").len(), sent);
}
