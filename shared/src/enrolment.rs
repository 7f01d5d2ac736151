//! What a hub is handed when it is enrolled: one JSON file beside its own key.

use serde::{Deserialize, Serialize};

use crate::id::HubId;

/// A hub's enrolment. Everything in it is public but says whom to trust, so the hub keeps it like its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// 1.
    pub version: u32,
    /// The hub it is for.
    pub hub: HubId,
    /// `host:port` of the MQTT door.
    pub mqtt_address: String,
    /// `host:port` of the HTTPS door for hubs.
    pub https_address: String,
    /// The name in the server's certificate.
    pub server_name: String,
    /// PEM of the pinned roots.
    pub roots_pem: String,
    /// PEM of the hub's certificate and the issuing authority's.
    pub certificate_pem: String,
    /// The server's control key: Ed25519 public key, 64 hexadecimal digits.
    pub control_key: String,
    /// postcard of the first [`SignedSettings`](crate::wire::SignedSettings), in hexadecimal.
    pub settings: String,
}
