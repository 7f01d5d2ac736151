//! No bytes panic, what a client writes is read back, and every refusal has its example.
#![allow(clippy::arithmetic_side_effects)]

use proptest::prelude::*;

use super::*;

fn framed(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128).unwrap();
        length /= 128;
        packet.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

fn field(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// As a client writes CONNECT.
pub(crate) fn write_connect(connect: &Connect<'_>) -> Vec<u8> {
    let mut flags = u8::from(connect.clean_session) << 1;
    if let Some(will) = &connect.will {
        flags |= 1 << 2 | will.qos << 3 | u8::from(will.retain) << 5;
    }
    if connect.credentials {
        flags |= 0b1100_0000;
    }
    let mut body = [&field(b"MQTT")[..], &[connect.level, flags], &connect.keep_alive_s.to_be_bytes()].concat();
    body.extend(field(connect.client_id.as_bytes()));
    if let Some(will) = &connect.will {
        body.extend(field(will.topic.as_bytes()));
        body.extend(field(will.content));
    }
    if connect.credentials {
        body.extend(field(b"user"));
        body.extend(field(b"word"));
    }
    framed(0x10, &body)
}

/// As a client writes PUBLISH.
pub(crate) fn write_publish(topic: &str, packet_id: Option<u16>, content: &[u8]) -> Vec<u8> {
    let id = packet_id.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default();
    framed(if packet_id.is_some() { 0x32 } else { 0x30 }, &[&field(topic.as_bytes())[..], &id, content].concat())
}

/// As a client writes SUBSCRIBE.
pub(crate) fn write_subscribe(packet_id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    for (filter, qos) in filters {
        body.extend(field(filter.as_bytes()));
        body.push(*qos);
    }
    framed(0x82, &body)
}

fn whole(bytes: &[u8]) -> Result<Packet<'_>, UnreadablePacket> {
    read(bytes).map(|packet| packet.expect("it came whole").0)
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_bytes_panic_behind_a_good_header(first in prop::sample::select(vec![0x10_u8, 0x30, 0x32, 0x3a, 0x82]), body: Vec<u8>) {
        let _ = read(&framed(first, &body));
    }

    #[test]
    fn publish_is_read_back_and_its_parts_are_not(
        topic in "[a-z/]{0,40}", id in prop::option::of(1_u16..), content: Vec<u8>, cut: prop::sample::Index, more: Vec<u8>,
    ) {
        let bytes = write_publish(&topic, id, &content);
        let expected = Packet::Publish(Publish { topic: &topic, packet_id: id, content: &content });
        let followed = [&bytes[..], &more[..]].concat();
        prop_assert_eq!(read(&followed), Ok(Some((expected, bytes.len()))));
        prop_assert_eq!(read(&bytes[..cut.index(bytes.len())]), Ok(None));
    }

    #[test]
    fn connect_is_read_back(
        level: u8, clean_session: bool, keep_alive_s: u16, client_id in "[a-f0-9]{0,32}", credentials: bool,
        will in prop::option::of(("[a-z/]{0,40}", prop::collection::vec(any::<u8>(), 0..20), 0_u8..3, any::<bool>())),
    ) {
        let will = will.as_ref().map(|(topic, content, qos, retain)| Will { topic, content, qos: *qos, retain: *retain });
        let connect = Connect { level, clean_session, keep_alive_s, client_id: &client_id, will, credentials };
        let bytes = write_connect(&connect);
        prop_assert_eq!(whole(&bytes), Ok(Packet::Connect(connect)));
    }

    #[test]
    fn publish_down_is_well_formed(topic in "[a-z/]{0,40}", content in prop::collection::vec(any::<u8>(), 0..20_000)) {
        let bytes = publish_down(&topic, &content).unwrap();
        let expected = Packet::Publish(Publish { topic: &topic, packet_id: None, content: &content });
        prop_assert_eq!(whole(&bytes), Ok(expected));
    }
}

#[test]
fn what_a_hub_has_no_use_for_is_refused_by_its_first_octet() {
    for kind in [0_u8, 2, 4, 5, 6, 7, 9, 10, 11, 13, 15] {
        assert_eq!(read(&[kind << 4]), Err(UnreadablePacket::Unwanted(kind)));
    }
    for first in [0x11, 0x31, 0x33, 0x34, 0x36, 0x38, 0x80, 0x83, 0xc1, 0xe1] {
        assert_eq!(read(&[first]), Err(UnreadablePacket::Flags), "{first:#x}");
    }
}

#[test]
fn lengths_are_checked_before_the_content_comes() {
    assert_eq!(read(&[0xc0, 1]), Err(UnreadablePacket::TooLong));
    assert_eq!(read(&[0x30, 0xff, 0xff, 0xff, 0x7f]), Err(UnreadablePacket::TooLong));
    assert_eq!(read(&[0x10, 0x81, 0x04]), Err(UnreadablePacket::TooLong));
    assert_eq!(read(&[0x30, 0x80, 0x80, 0x80, 0x80]), Err(UnreadablePacket::Length));
    assert_eq!(read(&[0x30, 0x80, 0x00]), Err(UnreadablePacket::Length));
    let longest = framed(0x30, &[&field(b"t")[..], &vec![0; PACKET_BYTES_MAX - 3]].concat());
    assert!(whole(&longest).is_ok());
}

#[test]
fn malformed_fields_are_named() {
    assert_eq!(whole(&framed(0x32, b"\0\x01t\0\0")), Err(UnreadablePacket::Malformed("packet identifier")));
    assert_eq!(whole(&framed(0x30, b"\0\x01\0")), Err(UnreadablePacket::Malformed("topic")));
    assert_eq!(whole(&framed(0x30, b"\0\x05t")), Err(UnreadablePacket::Short("topic")));
    assert_eq!(
        whole(&framed(0x10, b"\0\x04MQIs\x04\x02\0\x0a\0\0")),
        Err(UnreadablePacket::Malformed("protocol name"))
    );
    assert_eq!(
        whole(&framed(0x10, b"\0\x04MQTT\x04\x03\0\x0a\0\0")),
        Err(UnreadablePacket::Malformed("connect flags"))
    );
    assert_eq!(whole(&write_subscribe(1, &[("a", 0), ("b", 0)])), Err(UnreadablePacket::LeftOver(4)));
    assert_eq!(whole(&write_subscribe(1, &[("a", 3)])), Err(UnreadablePacket::Malformed("requested QoS")));
}
