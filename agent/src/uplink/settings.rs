//! Settings: fetched over the HTTPS door with the hub's certificate, signed by the server's control key, stored
//! durably before they are obeyed, and never older than what is stored.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use ring::signature::{ED25519, UnparsedPublicKey};
use rustls::pki_types::ServerName;
use shared::id::HubId;
use shared::wire::{Settings, SignedSettings, UnreadableMessage, from_bytes, to_bytes};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::limits;

/// Why settings were not taken.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No connection, or it broke.
    #[error("the HTTPS door cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
    /// The exchange failed.
    #[error("the HTTPS door misbehaved: {0}")]
    DoorMisbehaved(#[from] hyper::Error),
    /// Another status than 200.
    #[error("the HTTPS door answers {0}")]
    Status(u16),
    /// The body is over the limit or broke off.
    #[error("the settings are too long or broke off")]
    Body,
    /// It took too long.
    #[error("the HTTPS door is too slow")]
    TooSlow,
    /// The bytes are no settings.
    #[error("the settings are unreadable: {0}")]
    Unreadable(#[from] UnreadableMessage),
    /// The signature is not the control key's.
    #[error("the settings are not signed by the pinned control key")]
    Forged,
    /// They are for another hub.
    #[error("the settings are for another hub")]
    OtherHub,
    /// Their counter is not above the stored one.
    #[error("the settings have counter {offered}, and {stored} is stored")]
    Stale {
        /// The offered counter.
        offered: u64,
        /// The stored one.
        stored: u64,
    },
}

/// Whose settings to believe, and where they are kept.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The hub.
    pub hub: HubId,
    /// The server's control key, Ed25519.
    pub control_key: [u8; 32],
    /// The file.
    pub file: PathBuf,
}

impl Keeper {
    /// Checks signature and hub.
    ///
    /// # Errors
    /// [`SettingsError::Forged`], [`SettingsError::OtherHub`], [`SettingsError::Unreadable`].
    pub fn verify(&self, signed: &SignedSettings) -> Result<Settings, SettingsError> {
        UnparsedPublicKey::new(&ED25519, self.control_key)
            .verify(&SignedSettings::signed_bytes(&signed.body), &signed.signature)
            .map_err(|_| SettingsError::Forged)?;
        let settings = signed.read()?;
        if settings.hub != self.hub {
            return Err(SettingsError::OtherHub);
        }
        Ok(settings)
    }

    /// Checks new settings and stores them durably. They may be obeyed afterwards.
    ///
    /// # Errors
    /// [`SettingsError`]; then they must not be obeyed.
    pub fn accept(&self, signed: &SignedSettings, stored: u64) -> Result<Settings, SettingsError> {
        let settings = self.verify(signed)?;
        if settings.counter <= stored {
            return Err(SettingsError::Stale { offered: settings.counter, stored });
        }
        runtime::files::write_atomically(&self.file, &to_bytes(signed)?, 0o600)?;
        Ok(settings)
    }

    /// The settings to start with: the stored ones, or the enrolment's if they are newer or nothing usable is stored.
    ///
    /// # Errors
    /// [`SettingsError`] about the enrolment's.
    pub fn start(&self, enrolment_hex: &str) -> Result<Settings, SettingsError> {
        let bytes = shared::hex::decode(enrolment_hex).ok_or(UnreadableMessage::Shape)?;
        let first = self.verify(&from_bytes(&bytes)?)?;
        match self.stored() {
            Ok(Some(stored)) if stored.counter >= first.counter => Ok(stored),
            Ok(_) => Ok(first),
            Err(error) => {
                tracing::error!(%error, "the stored settings are unusable; the enrolment's are used until new ones come");
                Ok(first)
            }
        }
    }

    fn stored(&self) -> Result<Option<Settings>, SettingsError> {
        let bytes = match runtime::files::read_bounded(&self.file, limits::SETTINGS_BYTES_MAX as u64) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        self.verify(&from_bytes(&bytes)?).map(Some)
    }
}

/// Where settings are fetched.
#[derive(Debug, Clone)]
pub struct Source {
    /// `host:port` of the HTTPS door.
    pub address: String,
    /// Both ends' certificates; ALPN `http/1.1`.
    pub tls: Arc<rustls::ClientConfig>,
}

/// Fetches the settings: `GET /hub/v1/settings`.
///
/// # Errors
/// [`SettingsError`]; nothing is checked yet but the door's certificate.
pub async fn fetch(source: Source) -> Result<SignedSettings, SettingsError> {
    tokio::time::timeout(limits::SETTINGS_WITHIN, fetch_slowly(source)).await.unwrap_or(Err(SettingsError::TooSlow))
}

async fn fetch_slowly(source: Source) -> Result<SignedSettings, SettingsError> {
    let tcp = TcpStream::connect(&source.address).await?;
    tcp.set_nodelay(true)?;
    let host = host_of(&source.address).unwrap_or_default().to_owned();
    let name = ServerName::try_from(host).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let tls = TlsConnector::from(source.tls).connect(name, tcp).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
    let exchange = async move {
        let request = hyper::Request::get("/hub/v1/settings")
            .header(hyper::header::HOST, source.address)
            .body(Empty::<Bytes>::new())
            .map_err(|_| SettingsError::Unreachable(io::ErrorKind::InvalidInput.into()))?;
        let answer = sender.send_request(request).await?;
        if answer.status() != hyper::StatusCode::OK {
            return Err(SettingsError::Status(answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), limits::SETTINGS_BYTES_MAX).collect().await;
        Ok(body.map_err(|_| SettingsError::Body)?.to_bytes())
    };
    // The connection is driven beside the exchange. It may end in disorder once the answer is whole, and then its
    // error says nothing; before that the exchange says it.
    let (body, _) = tokio::join!(exchange, connection);
    let body = body?;
    Ok(from_bytes(&body)?)
}

/// The host in `host:port` or `[host]:port`.
#[must_use]
pub fn host_of(address: &str) -> Option<&str> {
    let (host, _) = address.rsplit_once(':')?;
    Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
}

/// The port in `host:port`.
#[must_use]
pub fn port_of(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use ring::signature::{Ed25519KeyPair, KeyPair};
    use shared::sealing::{SealingSecret, Suite};
    use shared::time::Timestamp;

    fn signed(key: &Ed25519KeyPair, hub: HubId, counter: u64) -> SignedSettings {
        let settings = Settings {
            hub,
            counter,
            issued: Timestamp::from_millis(0),
            bindings: Vec::new(),
            sealing_key: SealingSecret::from_seed(Suite::X25519, [3; 32]).public(),
        };
        let body = to_bytes(&settings).unwrap();
        let signature = key.sign(&SignedSettings::signed_bytes(&body)).as_ref().to_vec();
        SignedSettings { body, signature }
    }

    fn keeper(folder: &Path, key: &Ed25519KeyPair) -> Keeper {
        let control_key = key.public_key().as_ref().try_into().unwrap();
        Keeper { hub: HubId::from_bytes([1; 16]), control_key, file: folder.join("settings") }
    }

    #[test]
    fn settings_are_stored_before_they_are_obeyed_and_never_go_back() {
        let folder = tempfile::tempdir().unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        let keeper = keeper(folder.path(), &key);
        let first = shared::hex::encode(&to_bytes(&signed(&key, keeper.hub, 1)).unwrap());
        assert_eq!(keeper.start(&first).unwrap().counter, 1);
        assert_eq!(keeper.accept(&signed(&key, keeper.hub, 3), 1).unwrap().counter, 3);
        assert_eq!(keeper.start(&first).unwrap().counter, 3);
        let stale = keeper.accept(&signed(&key, keeper.hub, 3), 3);
        assert!(matches!(stale, Err(SettingsError::Stale { offered: 3, stored: 3 })));
        std::fs::write(&keeper.file, b"rubbish").unwrap();
        assert_eq!(keeper.start(&first).unwrap().counter, 1);
    }

    #[test]
    fn forged_and_foreign_settings_are_refused_and_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        let other = Ed25519KeyPair::from_seed_unchecked(&[6; 32]).unwrap();
        let keeper = keeper(folder.path(), &key);
        assert!(matches!(keeper.accept(&signed(&other, keeper.hub, 9), 1), Err(SettingsError::Forged)));
        let foreign = signed(&key, HubId::from_bytes([2; 16]), 9);
        assert!(matches!(keeper.accept(&foreign, 1), Err(SettingsError::OtherHub)));
        let mut changed = signed(&key, keeper.hub, 9);
        changed.body[17] ^= 1;
        assert!(matches!(keeper.accept(&changed, 1), Err(SettingsError::Forged)));
        assert!(!keeper.file.exists());
    }

    #[test]
    fn addresses_are_split() {
        assert_eq!((host_of("door.example:8883"), port_of("door.example:8883")), (Some("door.example"), Some(8883)));
        assert_eq!((host_of("[::1]:1"), port_of("[::1]:1")), (Some("::1"), Some(1)));
        assert_eq!(host_of("door"), None);
        assert_eq!(port_of("door:x"), None);
    }
}
