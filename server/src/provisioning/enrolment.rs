//! Puts together what a hub is handed.

use shared::enrolment::Enrolment;
use shared::hex;
use shared::wire::{SignedSettings, UnreadableMessage, to_bytes};

use super::authority::{Authority, IssuedHub};
use super::secrets::ControlKey;

/// Where hubs find the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// `host:port` of the MQTT door.
    pub mqtt: String,
    /// `host:port` of the HTTPS door for hubs.
    pub https: String,
    /// The name in the server's certificate.
    pub server_name: String,
}

/// A hub's enrolment file.
///
/// # Errors
/// [`UnreadableMessage`] if the settings cannot be written.
pub fn enrolment(
    authority: &Authority,
    control: &ControlKey,
    whereabouts: &Whereabouts,
    issued: &IssuedHub,
    settings: &SignedSettings,
) -> Result<Enrolment, UnreadableMessage> {
    Ok(Enrolment {
        version: 1,
        hub: issued.hub,
        mqtt_address: whereabouts.mqtt.clone(),
        https_address: whereabouts.https.clone(),
        server_name: whereabouts.server_name.clone(),
        roots_pem: authority.roots_pem().to_owned(),
        certificate_pem: issued.chain_pem.clone(),
        control_key: control.public_hex(),
        settings: hex::encode(&to_bytes(settings)?),
    })
}
