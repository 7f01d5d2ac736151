//! The three MQTT topics a hub has: `hubs/{hub}/up`, `hubs/{hub}/down`, `hubs/{hub}/gone`.

use crate::id::HubId;

/// Where a hub publishes batches.
#[must_use]
pub fn up(hub: HubId) -> String {
    format!("hubs/{hub}/up")
}

/// Where a hub listens for receipts and notices.
#[must_use]
pub fn down(hub: HubId) -> String {
    format!("hubs/{hub}/down")
}

/// Where all hubs listen, as an MQTT filter: for the server's own use, no hub may subscribe to it.
pub const DOWN_OF_ALL: &str = "hubs/+/down";

/// Where a hub's will is published when its connection ends without DISCONNECT.
#[must_use]
pub fn gone(hub: HubId) -> String {
    format!("hubs/{hub}/gone")
}

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// [`up`]
    Up(HubId),
    /// [`down`]
    Down(HubId),
    /// [`gone`]
    Gone(HubId),
}

/// Reads a topic; `None` for anything but exactly one of the three.
#[must_use]
pub fn parse(text: &str) -> Option<Topic> {
    let rest = text.strip_prefix("hubs/")?;
    let (hub, leaf) = rest.split_once('/')?;
    let hub = hub.parse().ok()?;
    match leaf {
        "up" => Some(Topic::Up(hub)),
        "down" => Some(Topic::Down(hub)),
        "gone" => Some(Topic::Gone(hub)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three() {
        let hub = HubId::from_bytes([7; 16]);
        assert_eq!(parse(&up(hub)), Some(Topic::Up(hub)));
        assert_eq!(parse(&down(hub)), Some(Topic::Down(hub)));
        assert_eq!(parse(&gone(hub)), Some(Topic::Gone(hub)));
        for other in ["hubs/+/up", "hubs/#", "hubs/0/up", "/hubs/x/up", "$share/g/hubs/x/up", ""] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(parse(&format!("{}/x", up(hub))), None);
    }
}
