//! The narrow MQTT 3.1.1 a hub may speak, as bytes. Pure.
//!
//! ```text
//! hub → server   CONNECT  PUBLISH (QoS 0, 1)  SUBSCRIBE (one topic)  PINGREQ  DISCONNECT
//! server → hub   CONNACK  PUBLISH (QoS 0)     SUBACK     PUBACK      PINGRESP
//! ```
//! Section numbers are those of MQTT 3.1.1 (OASIS, 29 October 2014). What is legal MQTT but not in the picture is
//! [`UnreadablePacket::Unwanted`].

use super::limits::{CONNECT_BYTES_MAX, PACKET_BYTES_MAX};

/// Bytes that are not a packet a hub may send. The connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum UnreadablePacket {
    /// A packet type a hub has no use for.
    #[error("packet type {0} is none a hub may send")]
    Unwanted(u8),
    /// The fixed header's flags are not those of the type (§2.2.2), or ask for retaining or QoS 2.
    #[error("the fixed header's flags do not fit the packet type")]
    Flags,
    /// A length that does not end (§2.2.3), or has a longer form than needed.
    #[error("the remaining length is malformed")]
    Length,
    /// Longer than the door takes.
    #[error("the packet is longer than the door takes")]
    TooLong,
    /// It ends before the field of this name.
    #[error("the packet ends before {0}")]
    Short(&'static str),
    /// Something is left over after its last field.
    #[error("the packet has {0} octets left over")]
    LeftOver(usize),
    /// The field of this name has a value it may not have.
    #[error("the packet's {0} is malformed")]
    Malformed(&'static str),
}

/// A packet from a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// §3.1
    Connect(Connect<'a>),
    /// §3.3
    Publish(Publish<'a>),
    /// §3.8, with one topic filter
    Subscribe(Subscribe<'a>),
    /// §3.12
    PingReq,
    /// §3.14
    Disconnect,
}

/// CONNECT (§3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The protocol level; 4 is MQTT 3.1.1.
    pub level: u8,
    /// Whether the session begins clean.
    pub clean_session: bool,
    /// Keep-alive in seconds.
    pub keep_alive_s: u16,
    /// The client identifier.
    pub client_id: &'a str,
    /// The will.
    pub will: Option<Will<'a>>,
    /// Whether a user name or password came. Their content is not looked at.
    pub credentials: bool,
}

/// A will (§3.1.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its content.
    pub content: &'a [u8],
    /// Its QoS, 0 to 2.
    pub qos: u8,
    /// Whether it is to be retained.
    pub retain: bool,
}

/// PUBLISH (§3.3), not retained, of QoS 0 or 1. Whether it is a repeat (DUP) makes no difference here: sequences tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The packet identifier, for QoS 1; `None` is QoS 0.
    pub packet_id: Option<u16>,
    /// The message.
    pub content: &'a [u8],
}

/// SUBSCRIBE (§3.8) with one topic filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The packet identifier.
    pub packet_id: u16,
    /// The filter.
    pub filter: &'a str,
    /// The QoS asked for, 0 to 2.
    pub qos: u8,
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], UnreadablePacket> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(UnreadablePacket::Short(field))?;
        self.rest = rest;
        Ok(head)
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, UnreadablePacket> {
        self.take(1, field)?.first().copied().ok_or(UnreadablePacket::Short(field))
    }

    fn two(&mut self, field: &'static str) -> Result<u16, UnreadablePacket> {
        let bytes = self.take(2, field)?;
        bytes.try_into().map(u16::from_be_bytes).map_err(|_| UnreadablePacket::Short(field))
    }

    fn packet_id(&mut self) -> Result<u16, UnreadablePacket> {
        match self.two("packet identifier")? {
            0 => Err(UnreadablePacket::Malformed("packet identifier")),
            id => Ok(id),
        }
    }

    fn binary(&mut self, field: &'static str) -> Result<&'a [u8], UnreadablePacket> {
        let length = self.two(field)?;
        self.take(usize::from(length), field)
    }

    /// UTF-8 (§1.5.3), without U+0000.
    fn text(&mut self, field: &'static str) -> Result<&'a str, UnreadablePacket> {
        let text = std::str::from_utf8(self.binary(field)?).map_err(|_| UnreadablePacket::Malformed(field))?;
        if text.contains('\0') { Err(UnreadablePacket::Malformed(field)) } else { Ok(text) }
    }

    fn end(&self) -> Result<(), UnreadablePacket> {
        if self.rest.is_empty() { Ok(()) } else { Err(UnreadablePacket::LeftOver(self.rest.len())) }
    }
}

/// Reads the packet that `bytes` begin with, and says how many octets it takes; `None` if it has not come whole.
///
/// # Errors
/// [`UnreadablePacket`]; the fixed header alone may be enough to tell.
pub fn read(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, UnreadablePacket> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    check_first(first)?;
    let Some((length, header)) = remaining_length(bytes.get(1..).unwrap_or_default())? else { return Ok(None) };
    check_length(first, length)?;
    let start = header.saturating_add(1);
    let end = start.saturating_add(length);
    let Some(body) = bytes.get(start..end) else { return Ok(None) };
    let mut cursor = Cursor { rest: body };
    let packet = match first >> 4 {
        1 => Packet::Connect(connect(&mut cursor)?),
        3 => Packet::Publish(publish(first, &mut cursor)?),
        8 => Packet::Subscribe(subscribe(&mut cursor)?),
        12 => Packet::PingReq,
        14 => Packet::Disconnect,
        other => return Err(UnreadablePacket::Unwanted(other)),
    };
    cursor.end()?;
    Ok(Some((packet, end)))
}

/// Type and flags, before anything is waited for.
fn check_first(first: u8) -> Result<(), UnreadablePacket> {
    let flags = first & 0x0f;
    match first >> 4 {
        1 | 12 | 14 if flags == 0 => Ok(()),
        8 if flags == 0b0010 => Ok(()),
        // DUP with QoS 0 is malformed (§3.3.1.1); retained and QoS 2 a hub has no use for.
        3 if matches!(flags, 0b0000 | 0b0010 | 0b1010) => Ok(()),
        1 | 3 | 8 | 12 | 14 => Err(UnreadablePacket::Flags),
        other => Err(UnreadablePacket::Unwanted(other)),
    }
}

fn check_length(first: u8, length: usize) -> Result<(), UnreadablePacket> {
    let max = match first >> 4 {
        3 => PACKET_BYTES_MAX,
        12 | 14 => 0,
        _ => CONNECT_BYTES_MAX,
    };
    if length > max { Err(UnreadablePacket::TooLong) } else { Ok(()) }
}

/// §2.2.3: the length and how many octets it took.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, UnreadablePacket> {
    let mut length = 0_usize;
    for (place, shift) in [0_u32, 7, 14, 21].into_iter().enumerate() {
        let Some(&byte) = bytes.get(place) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let longer_than_needed = place > 0 && byte == 0;
            return if longer_than_needed {
                Err(UnreadablePacket::Length)
            } else {
                Ok(Some((length, place.saturating_add(1))))
            };
        }
    }
    Err(UnreadablePacket::Length)
}

fn connect<'a>(cursor: &mut Cursor<'a>) -> Result<Connect<'a>, UnreadablePacket> {
    if cursor.text("protocol name")? != "MQTT" {
        return Err(UnreadablePacket::Malformed("protocol name"));
    }
    let level = cursor.byte("protocol level")?;
    let flags = cursor.byte("connect flags")?;
    let [user, password, retain, will, clean] = [7, 6, 5, 2, 1].map(|bit| flags & (1 << bit) != 0);
    let qos = (flags >> 3) & 3;
    let will_flags_fit = if will { qos < 3 } else { qos == 0 && !retain };
    if flags & 1 != 0 || !will_flags_fit || (password && !user) {
        return Err(UnreadablePacket::Malformed("connect flags"));
    }
    let keep_alive_s = cursor.two("keep-alive")?;
    let client_id = cursor.text("client identifier")?;
    let will = if will {
        let topic = cursor.text("will topic")?;
        Some(Will { topic, content: cursor.binary("will message")?, qos, retain })
    } else {
        None
    };
    if user {
        cursor.binary("user name")?;
    }
    if password {
        cursor.binary("password")?;
    }
    Ok(Connect { level, clean_session: clean, keep_alive_s, client_id, will, credentials: user || password })
}

fn publish<'a>(first: u8, cursor: &mut Cursor<'a>) -> Result<Publish<'a>, UnreadablePacket> {
    let topic = cursor.text("topic")?;
    let packet_id = if first & 0b0110 == 0 { None } else { Some(cursor.packet_id()?) };
    let content = std::mem::take(&mut cursor.rest);
    Ok(Publish { topic, packet_id, content })
}

fn subscribe<'a>(cursor: &mut Cursor<'a>) -> Result<Subscribe<'a>, UnreadablePacket> {
    let packet_id = cursor.packet_id()?;
    let filter = cursor.text("topic filter")?;
    let qos = cursor.byte("requested QoS")?;
    if qos > 2 { Err(UnreadablePacket::Malformed("requested QoS")) } else { Ok(Subscribe { packet_id, filter, qos }) }
}

/// What CONNACK says (§3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectAnswer {
    /// Come in.
    Accepted,
    /// Not MQTT 3.1.1.
    Version,
    /// Not the client identifier of this certificate.
    Identifier,
    /// The server cannot tell now.
    Unavailable,
    /// Not admitted.
    NotAuthorised,
}

/// CONNACK (§3.2), never with a session present.
#[must_use]
pub const fn connack(answer: ConnectAnswer) -> [u8; 4] {
    let code = match answer {
        ConnectAnswer::Accepted => 0,
        ConnectAnswer::Version => 1,
        ConnectAnswer::Identifier => 2,
        ConnectAnswer::Unavailable => 3,
        ConnectAnswer::NotAuthorised => 5,
    };
    [0x20, 2, 0, code]
}

/// PUBACK (§3.4).
#[must_use]
pub const fn puback(packet_id: u16) -> [u8; 4] {
    let [high, low] = packet_id.to_be_bytes();
    [0x40, 2, high, low]
}

/// SUBACK (§3.9) for one filter, granting QoS 0.
#[must_use]
pub const fn suback(packet_id: u16) -> [u8; 5] {
    let [high, low] = packet_id.to_be_bytes();
    [0x90, 3, high, low, 0]
}

/// PINGRESP (§3.13).
pub const PINGRESP: [u8; 2] = [0xd0, 0];

/// PUBLISH of QoS 0 (§3.3); `None` if it is longer than MQTT can say.
#[must_use]
pub fn publish_down(topic: &str, content: &[u8]) -> Option<Vec<u8>> {
    let topic_length = u16::try_from(topic.len()).ok()?;
    let mut length = topic.len().checked_add(content.len())?.checked_add(2)?;
    if length >= 1 << 28 {
        return None;
    }
    let mut packet = Vec::with_capacity(length.saturating_add(5));
    packet.push(0x30);
    loop {
        let low = u8::try_from(length & 0x7f).ok()?;
        length >>= 7;
        packet.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(&topic_length.to_be_bytes());
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(content);
    Some(packet)
}

#[cfg(test)]
pub(crate) mod tests;
