//! Packets of MQTT 3.1.1 as octets, with anything in their fields.

/// PINGREQ.
pub const PING: [u8; 2] = [0xc0, 0];
/// DISCONNECT.
pub const DISCONNECT: [u8; 2] = [0xe0, 0];

/// The fields of CONNECT.
#[derive(Debug, Clone)]
pub struct Connect<'a> {
    /// The protocol's level.
    pub level: u8,
    /// The flags, without those of `will`.
    pub flags: u8,
    /// In seconds.
    pub keep_alive_s: u16,
    /// The client identifier.
    pub client_id: &'a str,
    /// Topic, content and flags (bits 2 to 5) of a will.
    pub will: Option<(&'a str, &'a str, u8)>,
    /// What follows.
    pub rest: &'a [u8],
}

impl<'a> Connect<'a> {
    /// As an honest hub says it.
    #[must_use]
    pub fn of(client_id: &'a str) -> Self {
        Self { level: 4, flags: 0b10, keep_alive_s: 60, client_id, will: None, rest: &[] }
    }
}

fn text(into: &mut Vec<u8>, text: &str) {
    into.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    into.extend(text.as_bytes());
}

/// A packet of a first octet and a body.
#[must_use]
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        packet.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// CONNECT.
#[must_use]
pub fn connect(connect: &Connect<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    body.extend([connect.level, connect.flags | connect.will.map_or(0, |(_, _, flags)| 0b100 | flags)]);
    body.extend(connect.keep_alive_s.to_be_bytes());
    text(&mut body, connect.client_id);
    if let Some((topic, content, _)) = connect.will {
        text(&mut body, topic);
        text(&mut body, content);
    }
    body.extend(connect.rest);
    packet(0x10, &body)
}

/// PUBLISH; `flags` are the low four bits, the packet identifier comes where they ask for one.
#[must_use]
pub fn publish(flags: u8, topic: &str, packet_id: u16, content: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    if flags & 0b110 != 0 {
        body.extend(packet_id.to_be_bytes());
    }
    body.extend(content);
    packet(0x30 | flags, &body)
}

/// SUBSCRIBE to one filter.
#[must_use]
pub fn subscribe(packet_id: u16, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    text(&mut body, filter);
    body.push(qos);
    packet(0x82, &body)
}

/// How long the packet is that octets begin with, once that can be told.
#[must_use]
pub fn length(octets: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (place, octet) in octets.iter().skip(1).take(4).enumerate() {
        length |= usize::from(octet & 0x7f) << (7 * place);
        if octet & 0x80 == 0 {
            return Some(2 + place + length);
        }
    }
    None
}

/// The content of a PUBLISH of QoS 0.
#[must_use]
pub fn content(packet: &[u8]) -> Option<&[u8]> {
    let header = packet.iter().skip(1).position(|octet| octet & 0x80 == 0)? + 2;
    let topic = usize::from(u16::from_be_bytes([*packet.get(header)?, *packet.get(header + 1)?]));
    packet.first().filter(|first| **first == 0x30)?;
    packet.get(header + 2 + topic..)
}
