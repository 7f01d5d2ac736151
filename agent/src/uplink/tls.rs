//! TLS for both doors: 1.3 only, ring named explicitly, the hub's certificate, the enrolment's pinned roots and no
//! others, and always the enrolment's server name, whatever address is dialled.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::check_time::CheckTime;
use crate::identity::{Identity, IdentityError};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The enrolment's roots cannot be read.
    #[error("the enrolment holds no readable roots; enrol the hub again")]
    UnreadableRoots,
    /// The enrolment's server name is none.
    #[error("the enrolment's server_name is not a DNS name or address; enrol the hub again")]
    UnreadableName,
    /// The hub's certificate does not fit.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// rustls refuses the material.
    #[error("the TLS library refuses the enrolment's certificates")]
    Rustls(#[from] rustls::Error),
    /// The verifier cannot be built.
    #[error("the TLS library refuses the enrolment's roots")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// Checks a server's certificate for one fixed name.
#[derive(Debug)]
struct Pinned {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// What TLS needs of an enrolment.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// PEM of the pinned roots.
    pub roots_pem: &'a str,
    /// PEM of the hub's certificate and its issuer's.
    pub certificate_pem: &'a str,
    /// The name in the server's certificate.
    pub server_name: &'a str,
}

/// A client configuration with this ALPN list.
///
/// # Errors
/// [`TlsError`].
pub fn client_config(
    material: Material<'_>,
    identity: &Identity,
    time: &Arc<CheckTime>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(material.roots_pem.as_bytes()) {
        roots.add(root.map_err(|_| TlsError::UnreadableRoots)?)?;
    }
    if roots.is_empty() {
        return Err(TlsError::UnreadableRoots);
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let name = ServerName::try_from(material.server_name.to_owned()).map_err(|_| TlsError::UnreadableName)?;
    let (chain, _) = identity.check_chain(material.certificate_pem)?;
    let time: Arc<dyn TimeProvider> = Arc::clone(time) as Arc<dyn TimeProvider>;
    let mut config = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { inner, name }))
        .with_client_auth_cert(chain, identity.private_key())?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::clock::{Clock, ManualClock};
    use shared::time::Timestamp;

    #[test]
    fn unreadable_material_is_an_error() {
        let time = CheckTime::new(Clock::manual(ManualClock::default()), Timestamp::from_millis(0));
        let identity = Identity::generate().unwrap();
        let material = Material { roots_pem: "", certificate_pem: "", server_name: "server" };
        assert!(matches!(client_config(material, &identity, &time, &[]), Err(TlsError::UnreadableRoots)));
    }
}
