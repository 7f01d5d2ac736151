//! What is tried, and how often. A case's number and the seed say all of it.

use super::draw::Draw;

/// A sort of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Random octets over plain TCP.
    Octets,
    /// A connection that ends at once, in order.
    Fin,
    /// A connection that is reset at once.
    Reset,
    /// A genuine ClientHello, changed.
    Hello,
    /// Everything that a hub once sent, again.
    Recording,
    /// A ClientHello that offers TLS 1.2 alone.
    OldTls,
    /// HTTP without TLS.
    Http,
    /// MQTT without TLS.
    PlainMqtt,
    /// Silence, before TLS, within it, or after it.
    Silence,
    /// A ClientHello an octet at a time.
    Loris,
    /// More connections from one address than it may have.
    Flood,
    /// Silence from several addresses at once, more of it than there are turns; a hub comes meanwhile.
    SilentMany,
    /// TLS without a certificate.
    NoCertificate,
    /// TLS with another authority's certificate.
    ForeignRoot,
    /// TLS with a hub's certificate, changed.
    TornCertificate,
    /// A hub's handshake, then the connection is cut.
    CutHandshake,
    /// PINGREQ within a session.
    Ping,
    /// A batch of its own, again.
    Repeat,
    /// Good packets in pieces.
    Pieces,
    /// What is allowed and rare.
    Odd,
    /// A batch of its own, changed after sealing.
    TornBatch,
    /// A rule of a session, broken.
    Rule,
    /// A rule of CONNECT, broken.
    ConnectRule,
    /// A packet of a session, changed.
    TornPacket,
    /// CONNECT, changed.
    TornConnect,
    /// Random octets within a session.
    SessionOctets,
    /// Another hub's batch.
    Stolen,
    /// Half a packet, then silence beyond the keep-alive.
    Mute,
    /// The hub comes in twice.
    TakeOver,
}

/// How many classes there are.
pub const CLASSES: usize = WEIGHTS.len();

/// Of 10,000 cases, how many are of a class.
const WEIGHTS: [(Class, usize); 29] = [
    (Class::Octets, 1_500),
    (Class::Fin, 900),
    (Class::Reset, 900),
    (Class::Hello, 2_400),
    (Class::Recording, 600),
    (Class::OldTls, 300),
    (Class::Http, 400),
    (Class::PlainMqtt, 392),
    (Class::Silence, 3),
    (Class::Loris, 3),
    (Class::Flood, 1),
    (Class::SilentMany, 1),
    (Class::NoCertificate, 250),
    (Class::ForeignRoot, 200),
    (Class::TornCertificate, 250),
    (Class::CutHandshake, 100),
    (Class::Ping, 250),
    (Class::Repeat, 550),
    (Class::Pieces, 200),
    (Class::Odd, 150),
    (Class::TornBatch, 150),
    (Class::Rule, 150),
    (Class::ConnectRule, 100),
    (Class::TornPacket, 100),
    (Class::TornConnect, 60),
    (Class::SessionOctets, 50),
    (Class::Stolen, 25),
    (Class::Mute, 5),
    (Class::TakeOver, 10),
];

/// Who does it: each lane has workers of its own, so that what is slow does not hold up what is quick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Strangers that end soon.
    Quick,
    /// Strangers that hold a place at the door for as long as it lets them.
    Patient,
    /// Floods, one at a time.
    Flood,
    /// The hostile hub of this number.
    Hub(usize),
}

impl Class {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// All.
    pub fn all() -> impl Iterator<Item = Self> {
        WEIGHTS.iter().map(|(class, _)| *class)
    }

    /// Its place among all.
    #[must_use]
    pub fn place(self) -> usize {
        Self::all().position(|class| class == self).unwrap_or(0)
    }

    /// Whether it comes to a TLS handshake that is a genuine one.
    #[must_use]
    pub fn is_tls_stranger(self) -> bool {
        matches!(self, Self::NoCertificate | Self::ForeignRoot | Self::TornCertificate | Self::CutHandshake)
    }

    /// Whether it is packets within TLS, by a hub that is enrolled.
    #[must_use]
    pub fn is_hubs(self) -> bool {
        self.place() >= Self::Ping.place()
    }
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its sort.
    pub class: Class,
    /// Who does it.
    pub lane: Lane,
    /// Its further choices.
    pub draw: Draw,
}

impl Case {
    /// The case of a number; `hubs` hostile hubs take part.
    #[must_use]
    pub fn of(seed: u64, number: u64, hubs: usize) -> Self {
        let mut draw = Draw::new(seed, number);
        let mut left = draw.below(WEIGHTS.iter().map(|(_, weight)| weight).sum());
        let mut found = Class::Octets;
        for (class, weight) in WEIGHTS {
            found = class;
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => break,
            }
        }
        let lane = match found {
            Class::Silence | Class::Loris => Lane::Patient,
            Class::Flood | Class::SilentMany => Lane::Flood,
            class if class.is_hubs() => Lane::Hub(draw.below(hubs)),
            _ => Lane::Quick,
        };
        Self { class: found, lane, draw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_are_whole_and_each_comes_as_often_as_it_says() {
        assert_eq!(WEIGHTS.iter().map(|(_, weight)| weight).sum::<usize>(), 10_000);
        let mut counts = [0_usize; CLASSES];
        for number in 0..50_000 {
            counts[Case::of(3, number, 16).class.place()] += 1;
        }
        for (class, weight) in WEIGHTS {
            let (count, expected) = (counts[class.place()], weight * 5);
            assert!(count * 2 + 20 > expected && count < expected * 2 + 20, "{class:?}: {count} of {expected}");
        }
    }

    #[test]
    fn enough_of_it_is_handshakes_and_enough_is_within_tls() {
        let share = |of: fn(Class) -> bool| -> usize {
            WEIGHTS.iter().filter(|(class, _)| of(*class)).map(|(_, weight)| weight).sum()
        };
        assert!(share(Class::is_tls_stranger) >= 500, "a twentieth are handshakes of strangers");
        assert!(share(Class::is_hubs) >= 1_000, "a tenth are packets within TLS");
    }

    #[test]
    fn a_case_is_the_same_each_time_and_each_hub_has_some() {
        let lanes: std::collections::BTreeSet<Lane> = (0..2_000).map(|number| Case::of(9, number, 4).lane).collect();
        assert!((0..4).all(|hub| lanes.contains(&Lane::Hub(hub))));
        let (one, other) = (Case::of(9, 77, 4), Case::of(9, 77, 4));
        assert_eq!((one.class, one.lane), (other.class, other.lane));
    }
}
