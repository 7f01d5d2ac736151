//! TLS at the doors: 1.3 only, `ring` named explicitly, no resumption (it would skip checking the certificate again).

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore, ServerConfig};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, InvalidDnsNameError, PrivateKeyDer, ServerName, UnixTime,
};
use shared::time::Timestamp;

pub use crate::provisioning::authority::TlsMaterial;

/// TLS material that does not fit together.
#[derive(Debug, thiserror::Error)]
pub enum TlsMisuse {
    /// Key, certificate or protocol version.
    #[error("the server's certificate and key cannot be used; make them again with the authority")]
    Server(#[from] rustls::Error),
    /// An authority or its revocation list.
    #[error("the hubs' authority or its revocation list cannot be used; make the list again with the authority")]
    Authority(#[from] VerifierBuilderError),
    /// A name of the server's that no certificate can hold.
    #[error("the server's name cannot stand in a certificate; correct `server_name`")]
    Name(#[from] InvalidDnsNameError),
}

/// The certificates somebody showed, their own first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    own: CertificateDer<'static>,
    /// Those above it: the same for most hubs.
    above: Arc<[CertificateDer<'static>]>,
}

impl Shown {
    /// Of a chain; `None` of an empty one.
    #[must_use]
    pub fn new(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let (own, above) = chain.split_first()?;
        let above = above.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Some(Self { own: own.clone().into_owned(), above })
    }

    /// Keeps the certificates above once, where another's are the same.
    #[must_use]
    pub(super) fn sharing(mut self, other: &Self) -> Self {
        if self.above == other.above {
            self.above = Arc::clone(&other.above);
        }
        self
    }
}

/// Whose certificates hubs must have: roots and revocation lists, ready to be asked.
#[derive(Debug, Clone)]
pub struct Belief(Arc<dyn ClientCertVerifier>);

fn roots(certificates: &[CertificateDer<'static>]) -> Result<Arc<RootCertStore>, TlsMisuse> {
    let mut roots = RootCertStore::empty();
    for root in certificates {
        roots.add(root.clone())?;
    }
    Ok(Arc::new(roots))
}

fn unix(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0)))
}

impl Belief {
    /// In these roots, without what is on the lists.
    ///
    /// # Errors
    /// [`TlsMisuse`]
    pub fn new(
        client_roots: &[CertificateDer<'static>],
        crl: &[CertificateRevocationListDer<'static>],
    ) -> Result<Self, TlsMisuse> {
        // Not enforcing the list's own expiry: a late renewal must not shut every home out. The store's word on each
        // certificate is asked at every connection as well.
        let verifier = WebPkiClientVerifier::builder_with_provider(roots(client_roots)?, provider())
            .with_crls(crl.iter().cloned())
            .only_check_end_entity_revocation()
            .build()?;
        Ok(Self(verifier))
    }

    /// Whether these certificates are good at this time of the wall clock: all of them have begun and none has ended,
    /// they lead to a root of ours and are not taken back.
    #[must_use]
    pub fn holds(&self, shown: &Shown, wall: Timestamp) -> bool {
        self.0.verify_client_cert(&shown.own, &shown.above, unix(wall)).is_ok()
    }

    /// Whether a session that began with these certificates may go on: they lead to a root of ours and are not taken
    /// back. That one of them has ended meanwhile does not matter to a session that stands, nor that one has not begun:
    /// it had when TLS looked at the handshake, so the wall clock was set back since, which must not end every session
    /// as revoked.
    #[must_use]
    pub fn still_holds(&self, shown: &Shown, wall: Timestamp) -> bool {
        let mut at = unix(wall);
        // Each certificate of the chain may have ended or not begun; then it is asked as of its own end or beginning.
        for _ in 0..=shown.above.len().saturating_add(1) {
            match self.0.verify_client_cert(&shown.own, &shown.above, at) {
                Ok(_) => return true,
                Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                    at = not_after;
                }
                Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
                    at = not_before;
                }
                Err(_) => return false,
            }
        }
        false
    }
}

/// Whether who pins these roots takes this server's certificate for each of these names, at this time of the wall clock.
///
/// # Errors
/// [`TlsMisuse`] if not.
pub fn try_server(material: &TlsMaterial, names: &[String], wall: Timestamp) -> Result<(), TlsMisuse> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(&material.client_roots)?, provider()).build()?;
    let Some(shown) = Shown::new(&material.certificate_chain) else {
        return Err(rustls::Error::NoCertificatesPresented.into());
    };
    for name in names {
        let name = ServerName::try_from(name.clone())?;
        verifier.verify_server_cert(&shown.own, &shown.above, &name, &[], unix(wall))?;
    }
    Ok(())
}

/// A configuration ready to be used.
#[derive(Debug, Clone)]
pub struct Prepared {
    config: Arc<ServerConfig>,
    belief: Option<Belief>,
}

impl Prepared {
    /// For hubs: a client certificate of our authority is required.
    ///
    /// # Errors
    /// [`TlsMisuse`]
    pub fn for_hubs(material: &TlsMaterial) -> Result<Self, TlsMisuse> {
        let belief = Belief::new(&material.client_roots, &material.crl)?;
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = builder.with_client_cert_verifier(Arc::clone(&belief.0));
        let config = builder.with_single_cert(material.certificate_chain.clone(), material.key.clone_key())?;
        Ok(Self { config: Arc::new(careful(config)), belief: Some(belief) })
    }

    /// For people: the server alone shows a certificate. Speaks HTTP/1.1.
    ///
    /// # Errors
    /// [`TlsMisuse`]
    pub fn for_people(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsMisuse> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13])?;
        let mut config = careful(builder.with_no_client_auth().with_single_cert(chain, key)?);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), belief: None })
    }
}

/// A configuration that can be replaced: connections made later use the new one, those made before are not touched.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ArcSwap<Prepared>>);

impl Tls {
    /// With this configuration.
    #[must_use]
    pub fn new(prepared: Prepared) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(prepared)))
    }

    /// For hubs, see [`Prepared::for_hubs`].
    ///
    /// # Errors
    /// [`TlsMisuse`]
    pub fn for_hubs(material: &TlsMaterial) -> Result<Self, TlsMisuse> {
        Prepared::for_hubs(material).map(Self::new)
    }

    /// For people, see [`Prepared::for_people`].
    ///
    /// # Errors
    /// [`TlsMisuse`]
    pub fn for_people(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsMisuse> {
        Prepared::for_people(chain, key).map(Self::new)
    }

    /// Replaces the configuration.
    pub fn replace(&self, prepared: Prepared) {
        self.0.store(Arc::new(prepared));
    }

    /// The configuration now.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.load().config)
    }

    /// See [`Belief::still_holds`]; where nobody need show a certificate, every session may go on.
    #[must_use]
    pub fn still_believes(&self, shown: &Shown, wall: Timestamp) -> bool {
        let belief = self.0.load().belief.clone();
        belief.is_none_or(|belief| belief.still_holds(shown, wall))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn careful(mut config: ServerConfig) -> ServerConfig {
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    config
}
