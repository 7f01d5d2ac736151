//! TLS at the doors: 1.3 only, `ring` named explicitly, no resumption (it would skip checking the certificate again).

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

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
}

/// A configuration that can be replaced: connections made later use the new one, those made before are not touched.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ArcSwap<ServerConfig>>);

impl Tls {
    /// For hubs: a client certificate of our authority is required.
    ///
    /// # Errors
    /// [`TlsMisuse`]
    pub fn for_hubs(material: &TlsMaterial) -> Result<Self, TlsMisuse> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(hubs(material)?))))
    }

    /// For people: the server alone shows a certificate. Speaks HTTP/1.1.
    ///
    /// # Errors
    /// [`TlsMisuse`]
    pub fn for_people(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsMisuse> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(people(chain, key)?))))
    }

    /// Replaces certificate and key of a listener for people.
    ///
    /// # Errors
    /// [`TlsMisuse`]; the old ones stay.
    pub fn replace_for_people(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), TlsMisuse> {
        self.0.store(Arc::new(people(chain, key)?));
        Ok(())
    }

    /// Replaces certificate, key, authorities and revocation list of a door for hubs.
    ///
    /// # Errors
    /// [`TlsMisuse`]; the old ones stay.
    pub fn replace(&self, material: &TlsMaterial) -> Result<(), TlsMisuse> {
        self.0.store(Arc::new(hubs(material)?));
        Ok(())
    }

    /// The configuration now.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.load_full()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn people(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, TlsMisuse> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = careful(builder.with_no_client_auth().with_single_cert(chain, key)?);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn hubs(material: &TlsMaterial) -> Result<ServerConfig, TlsMisuse> {
    let mut roots = RootCertStore::empty();
    for root in &material.client_roots {
        roots.add(root.clone())?;
    }
    // Not enforcing the list's own expiry: a late renewal must not shut every home out. The store's word on each
    // certificate is asked at every connection as well.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .with_crls(material.crl.iter().cloned())
        .only_check_end_entity_revocation()
        .build()?;
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = builder.with_client_cert_verifier(verifier);
    Ok(careful(builder.with_single_cert(material.certificate_chain.clone(), material.key.clone_key())?))
}

fn careful(mut config: ServerConfig) -> ServerConfig {
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    config
}
