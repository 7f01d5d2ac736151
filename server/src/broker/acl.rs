//! What a hub may say, given who its certificate says it is. Pure.

use shared::id::HubId;
use shared::topic;
use shared::wire::MESSAGE_BYTES_MAX;

use super::limits::KEEP_ALIVE_S_MAX;
use super::packet::{Connect, Publish, Subscribe};
use super::refusal::Refusal;

/// Whether the hub may connect so.
///
/// # Errors
/// The [`Refusal`].
pub fn connect(hub: HubId, connect: &Connect<'_>) -> Result<(), Refusal> {
    if connect.level != 4 {
        return Err(Refusal::ProtocolVersion);
    }
    if connect.client_id.parse() != Ok(hub) {
        return Err(Refusal::ForeignClientId);
    }
    if !connect.clean_session {
        return Err(Refusal::LastingSession);
    }
    if connect.credentials {
        return Err(Refusal::Credentials);
    }
    if connect.keep_alive_s == 0 || connect.keep_alive_s > KEEP_ALIVE_S_MAX {
        return Err(Refusal::KeepAlive);
    }
    let will_fits = connect
        .will
        .as_ref()
        .is_none_or(|will| will.topic == topic::gone(hub) && will.content.is_empty() && will.qos < 2 && !will.retain);
    if will_fits { Ok(()) } else { Err(Refusal::Will) }
}

/// Whether the hub may publish so.
///
/// # Errors
/// The [`Refusal`].
pub fn publish(hub: HubId, publish: &Publish<'_>) -> Result<(), Refusal> {
    if publish.topic != topic::up(hub) {
        return Err(Refusal::ForeignTopic);
    }
    if publish.content.len() > MESSAGE_BYTES_MAX { Err(Refusal::MessageTooLong) } else { Ok(()) }
}

/// Whether the hub may subscribe so.
///
/// # Errors
/// The [`Refusal`].
pub fn subscribe(hub: HubId, subscribe: &Subscribe<'_>) -> Result<(), Refusal> {
    if subscribe.filter == topic::down(hub) && subscribe.qos < 2 { Ok(()) } else { Err(Refusal::ForeignTopic) }
}

#[cfg(test)]
mod tests {
    use super::super::packet::Will;
    use super::*;

    const HUB: HubId = HubId::from_bytes([1; 16]);
    const OTHER: HubId = HubId::from_bytes([2; 16]);

    fn good<'a>(client_id: &'a str, topic: &'a str) -> Connect<'a> {
        let will = Some(Will { topic, content: b"", qos: 0, retain: false });
        Connect { level: 4, clean_session: true, keep_alive_s: 30, client_id, will, credentials: false }
    }

    #[test]
    fn each_refusal_of_connect() {
        let (id, gone) = (HUB.to_string(), topic::gone(HUB));
        let base = good(&id, &gone);
        let check = |change: &dyn Fn(&mut Connect<'_>)| {
            let mut changed = good(&id, &gone);
            change(&mut changed);
            connect(HUB, &changed)
        };
        assert_eq!(connect(HUB, &base), Ok(()));
        assert_eq!(check(&|c| c.will = None), Ok(()));
        assert_eq!(connect(OTHER, &base), Err(Refusal::ForeignClientId));
        assert_eq!(check(&|c| c.client_id = ""), Err(Refusal::ForeignClientId));
        assert_eq!(check(&|c| c.level = 5), Err(Refusal::ProtocolVersion));
        assert_eq!(check(&|c| c.level = 3), Err(Refusal::ProtocolVersion));
        assert_eq!(check(&|c| c.clean_session = false), Err(Refusal::LastingSession));
        assert_eq!(check(&|c| c.credentials = true), Err(Refusal::Credentials));
        assert_eq!(check(&|c| c.keep_alive_s = 0), Err(Refusal::KeepAlive));
        assert_eq!(check(&|c| c.keep_alive_s = 600), Ok(()));
        assert_eq!(check(&|c| c.keep_alive_s = 601), Err(Refusal::KeepAlive));
        let will = |change: &dyn Fn(&mut Will<'_>)| check(&|c| c.will.iter_mut().for_each(change));
        assert_eq!(will(&|w| w.qos = 1), Ok(()));
        assert_eq!(will(&|w| w.qos = 2), Err(Refusal::Will));
        assert_eq!(will(&|w| w.retain = true), Err(Refusal::Will));
        assert_eq!(will(&|w| w.content = b"x"), Err(Refusal::Will));
        assert_eq!(will(&|w| w.topic = "hubs/x/gone"), Err(Refusal::Will));
    }

    #[test]
    fn only_its_own_topics() {
        let content = &[0_u8; MESSAGE_BYTES_MAX + 1];
        let says = |topic: &str, length: usize| {
            publish(HUB, &Publish { topic, packet_id: None, content: content.get(..length).unwrap() })
        };
        assert_eq!(says(&topic::up(HUB), MESSAGE_BYTES_MAX), Ok(()));
        assert_eq!(says(&topic::up(HUB), MESSAGE_BYTES_MAX + 1), Err(Refusal::MessageTooLong));
        for foreign in [topic::up(OTHER), topic::down(HUB), topic::gone(HUB), "hubs/+/up".to_owned(), String::new()] {
            assert_eq!(says(&foreign, 1), Err(Refusal::ForeignTopic), "{foreign}");
        }
        let hears = |filter: &str, qos| subscribe(HUB, &Subscribe { packet_id: 1, filter, qos });
        assert_eq!(hears(&topic::down(HUB), 0), Ok(()));
        assert_eq!(hears(&topic::down(HUB), 1), Ok(()));
        assert_eq!(hears(&topic::down(HUB), 2), Err(Refusal::ForeignTopic));
        let shared = format!("$share/g/{}", topic::down(HUB));
        for foreign in [topic::down(OTHER), topic::up(HUB), "#".to_owned(), "hubs/+/down".to_owned(), shared] {
            assert_eq!(hears(&foreign, 0), Err(Refusal::ForeignTopic), "{foreign}");
        }
    }
}
