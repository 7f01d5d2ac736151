//! Every rule of the door's access that a hub with a good certificate can break, each with what must be counted.

use super::packets::{self, Connect, connect, publish, subscribe};

/// What a hostile hub sends: in words, in octets, and the reason the door must count for it.
pub type Attempt = (&'static str, Vec<u8>, &'static str);

fn hello(id: &str) -> Connect<'_> {
    Connect::of(id)
}

/// In CONNECT's place: the hub `own`, which would be `other`, or more than a hub may be.
#[must_use]
pub fn connects(own: &str, other: &str) -> Vec<Attempt> {
    let will =
        |topic: &str, content: &str, flags: u8| connect(&Connect { will: Some((topic, content, flags)), ..hello(own) });
    let gone = |id: &str| format!("hubs/{id}/gone");
    let name_in_capitals = own.to_uppercase();
    vec![
        ("another hub's client id", connect(&hello(other)), "foreign_client_id"),
        ("no client id", connect(&hello("")), "foreign_client_id"),
        ("a part of the own client id", connect(&hello(&own[..31])), "foreign_client_id"),
        ("the own client id and more", connect(&hello(&format!("{own}/{other}"))), "foreign_client_id"),
        ("a wildcard as client id", connect(&hello("+")), "foreign_client_id"),
        ("the server's link as client id", connect(&hello("server")), "foreign_client_id"),
        ("a session that is to last", connect(&Connect { flags: 0, ..hello(own) }), "lasting_session"),
        ("a user name", connect(&Connect { flags: 0x82, rest: &[0, 1, b'a'], ..hello(own) }), "credentials"),
        ("no keep-alive", connect(&Connect { keep_alive_s: 0, ..hello(own) }), "keep_alive"),
        ("a long keep-alive", connect(&Connect { keep_alive_s: 601, ..hello(own) }), "keep_alive"),
        ("MQTT 5", connect(&Connect { level: 5, ..hello(own) }), "protocol_version"),
        ("another hub's will", will(&gone(other), "", 0), "will"),
        ("a will to another hub's door", will(&format!("hubs/{other}/up"), "", 0), "will"),
        ("a will to messages for another", will(&format!("hubs/{other}/down"), "", 0), "will"),
        ("a will with a content", will(&gone(own), "x", 0), "will"),
        ("a retained will", will(&gone(own), "", 0b10_0000), "will"),
        ("a will of QoS 2", will(&gone(own), "", 0b1_0000), "will"),
        ("a will of QoS 3", will(&gone(own), "", 0b1_1000), "packet"),
        ("something left over", connect(&Connect { rest: b"more", ..hello(own) }), "packet"),
        ("a packet before CONNECT", packets::PING.to_vec(), "not_connect"),
        ("a publish before CONNECT", publish(0, &format!("hubs/{own}/up"), 0, b"x"), "not_connect"),
        ("a client id in capitals", connect(&hello(&name_in_capitals)), "foreign_client_id"),
    ]
}

/// Within a session: publishing where a hub may not, or what it may not.
#[must_use]
pub fn publishes(own: &str, other: &str) -> Vec<Attempt> {
    let to = |topic: &str| publish(0b10, topic, 7, b"x");
    let up = format!("hubs/{own}/up");
    vec![
        ("another hub's records", to(&format!("hubs/{other}/up")), "foreign_topic"),
        ("a message to another hub", to(&format!("hubs/{other}/down")), "foreign_topic"),
        ("a message to itself", to(&format!("hubs/{own}/down")), "foreign_topic"),
        ("its own will", to(&format!("hubs/{own}/gone")), "foreign_topic"),
        ("a level more", to(&format!("{up}/x")), "foreign_topic"),
        ("an empty level more", to(&format!("{up}/")), "foreign_topic"),
        ("an empty level before", to(&format!("/{up}")), "foreign_topic"),
        ("a prefix of the topic", to(&up[..up.len() - 1]), "foreign_topic"),
        ("way up and down again", to(&format!("hubs/{own}/../{other}/up")), "foreign_topic"),
        ("another case", to(&format!("HUBS/{own}/up")), "foreign_topic"),
        ("a wildcard for the hub", to("hubs/+/up"), "foreign_topic"),
        ("all topics", to("#"), "foreign_topic"),
        ("the broker's own", to("$SYS/broker"), "foreign_topic"),
        ("a shared topic", to(&format!("$share/g/{up}")), "foreign_topic"),
        ("no topic", to(""), "foreign_topic"),
        ("a topic with a NUL", to(&format!("{up}\0")), "packet"),
        ("a retained one", publish(0b11, &up, 7, b"x"), "packet"),
        ("QoS 2", publish(0b100, &up, 7, b"x"), "packet"),
        ("QoS 3", publish(0b110, &up, 7, b"x"), "packet"),
        ("packet identifier 0", publish(0b10, &up, 0, b"x"), "packet"),
        ("PUBREL", packets::packet(0x62, &[0, 7]), "packet"),
        ("UNSUBSCRIBE", packets::packet(0xa2, &[0, 7, 0, 1, b'a']), "packet"),
        ("a second CONNECT", connect(&hello(own)), "connect_twice"),
        ("octets that are no batch", to(&up), "unacceptable"),
        ("a length without end", vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x7f], "packet"),
        ("256 MiB to come", vec![0x30, 0xff, 0xff, 0xff, 0x7f], "packet"),
    ]
}

/// Within a session: listening to what is for others, or in ways there are none.
#[must_use]
pub fn subscribes(own: &str, other: &str) -> Vec<Attempt> {
    let to = |filter: &str| subscribe(7, filter, 0);
    let down = format!("hubs/{own}/down");
    let mut two = subscribe(7, &down, 0).split_off(2);
    two.extend([0, 1, b'#', 0]);
    vec![
        ("another hub's messages", to(&format!("hubs/{other}/down")), "foreign_topic"),
        ("every hub's messages", to("hubs/+/down"), "foreign_topic"),
        ("everything", to("#"), "foreign_topic"),
        ("everything of its own", to(&format!("hubs/{own}/#")), "foreign_topic"),
        ("a level below", to(&format!("{down}/#")), "foreign_topic"),
        ("a share of another's", to(&format!("$share/g/hubs/{other}/down")), "foreign_topic"),
        ("a share of its own", to(&format!("$share/g/{down}")), "foreign_topic"),
        ("the broker's own", to("$SYS/#"), "foreign_topic"),
        ("what it sends itself", to(&format!("hubs/{own}/up")), "foreign_topic"),
        ("what others send", to("hubs/+/up"), "foreign_topic"),
        ("all wills", to("hubs/+/gone"), "foreign_topic"),
        ("its own of QoS 2", subscribe(7, &down, 2), "foreign_topic"),
        ("its own of QoS 3", subscribe(7, &down, 3), "packet"),
        ("its own and everything", packets::packet(0x82, &two), "packet"),
        ("its own twice", [to(&down), to(&down)].concat(), "subscribe_twice"),
    ]
}
