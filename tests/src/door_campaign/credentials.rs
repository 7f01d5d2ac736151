//! What strangers show in TLS: hubs' own certificates, changed ones, another authority's, or none.

use std::sync::Arc;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::client::ResolvesClientCert;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::draw::Draw;
use crate::door_client::{HubKeys, Shown, chain, client_config};

/// Certificates of another authority that are made.
const FOREIGN: usize = 8;

/// Hands out what it was given, whether or not the key fits and whoever the door says it trusts.
#[derive(Debug)]
struct Stubborn(Arc<CertifiedKey>);

impl ResolvesClientCert for Stubborn {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A hub whose certificate strangers got hold of.
struct Hub {
    name: String,
    tls: Arc<ClientConfig>,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
}

/// What strangers show.
pub struct Credentials {
    roots: Arc<RootCertStore>,
    none: Arc<ClientConfig>,
    foreign: Vec<Arc<ClientConfig>>,
    hubs: Vec<Hub>,
}

fn stubborn(
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
) -> anyhow::Result<Arc<ClientConfig>> {
    let shown = Stubborn(Arc::new(CertifiedKey::new(chain, key)));
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots.clone());
    Ok(Arc::new(builder.with_client_cert_resolver(Arc::new(shown))))
}

fn signing(key: &PrivateKeyDer<'_>) -> anyhow::Result<Arc<dyn SigningKey>> {
    Ok(rustls::crypto::ring::sign::any_ecdsa_type(key)?)
}

/// A certificate for the hub, with its key, by an authority of a name that nobody knows.
///
/// # Errors
/// If it cannot be made.
pub fn foreign(hub: &str) -> anyhow::Result<Shown> {
    let (root_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "An authority of nobody's");
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name.push(DnType::CommonName, hub);
    leaf.subject_alt_names = vec![SanType::URI(format!("urn:rpm:hub:{hub}").try_into()?)];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = leaf.signed_by(&key, &Issuer::new(root, root_key))?;
    Ok(Shown { chain: vec![certificate.der().clone()], key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() })
}

impl Credentials {
    /// Of hubs that are enrolled, with their certificate chains in PEM.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn new(hubs: &[(Arc<HubKeys>, String)]) -> anyhow::Result<Self> {
        let (first, _) = hubs.first().context("there are no hubs")?;
        let mut roots = RootCertStore::empty();
        for root in chain(&first.roots_pem)? {
            roots.add(root)?;
        }
        let roots = Arc::new(roots);
        let of_foreign = hubs.iter().cycle().take(FOREIGN).map(|(hub, _)| {
            let shown = foreign(&hub.hub.to_string())?;
            stubborn(&roots, shown.chain, signing(&shown.key)?)
        });
        let of_hub = |(hub, chain_pem): &(Arc<HubKeys>, String)| -> anyhow::Result<Hub> {
            let (chain, key) = (chain(chain_pem)?, signing(&hub.key())?);
            Ok(Hub { name: hub.hub.to_string(), tls: hub.tls.clone(), chain, key })
        };
        Ok(Self {
            none: client_config(&first.roots_pem, None)?,
            foreign: of_foreign.collect::<anyhow::Result<_>>()?,
            hubs: hubs.iter().map(of_hub).collect::<anyhow::Result<_>>()?,
            roots,
        })
    }

    /// No certificate.
    #[must_use]
    pub fn none(&self) -> Option<Arc<ClientConfig>> {
        Some(self.none.clone())
    }

    /// Another authority's certificate.
    pub fn foreign(&self, draw: &mut Draw) -> Option<Arc<ClientConfig>> {
        draw.of(&self.foreign).cloned()
    }

    /// A hub's certificate with something wrong in it, and its key.
    pub fn torn(&self, draw: &mut Draw) -> Option<Arc<ClientConfig>> {
        let hub = draw.of(&self.hubs)?;
        let mut chain = hub.chain.clone();
        let leaf = chain.first_mut()?;
        *leaf = draw.torn(leaf).into();
        stubborn(&self.roots, chain, hub.key.clone()).ok()
    }

    /// A hub's good certificate.
    pub fn hub(&self, draw: &mut Draw) -> Arc<ClientConfig> {
        draw.of(&self.hubs).map_or_else(|| self.none.clone(), |hub| hub.tls.clone())
    }

    /// A hub's name.
    pub fn name(&self, draw: &mut Draw) -> String {
        draw.of(&self.hubs).map(|hub| hub.name.clone()).unwrap_or_default()
    }
}
