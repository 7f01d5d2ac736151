//! An authority for tests: certificates for the server and for hubs, and a revocation list.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use shared::id::HubId;

use crate::broker::TlsMaterial;
use crate::broker::identity::HUB_URN;

/// Signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// A certificate and its key.
pub(crate) struct Shown {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = parameters.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(parameters, key), root }
    }

    fn sign(&self, mut parameters: CertificateParams, usage: ExtendedKeyUsagePurpose, serial: u8) -> Shown {
        let key = KeyPair::generate().unwrap();
        parameters.extended_key_usages = vec![usage];
        parameters.serial_number = Some(SerialNumber::from_slice(&[serial]));
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().der().clone();
        Shown { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() }
    }

    pub(crate) fn server(&self) -> Shown {
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        self.sign(parameters, ExtendedKeyUsagePurpose::ServerAuth, 1)
    }

    pub(crate) fn hub(&self, hub: HubId, serial: u8) -> Shown {
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = vec![SanType::URI(format!("{HUB_URN}{hub}").try_into().unwrap())];
        self.sign(parameters, ExtendedKeyUsagePurpose::ClientAuth, serial)
    }

    pub(crate) fn material(&self, revoked: &[u8]) -> TlsMaterial {
        let now = rcgen::date_time_ymd(2026, 1, 1);
        let revoked_certs = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: rcgen::date_time_ymd(2096, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let crl = list.signed_by(&self.issuer).unwrap().der().clone();
        let server = self.server();
        let certificate_chain = vec![server.certificate];
        TlsMaterial { certificate_chain, key: server.key, client_roots: vec![self.root.clone()], crl: vec![crl] }
    }

    /// What a client of the server uses.
    pub(crate) fn client(&self, shown: Option<Shown>, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match shown {
            Some(shown) => builder.with_client_auth_cert(vec![shown.certificate], shown.key).unwrap(),
            None => builder.with_no_client_auth(),
        })
    }
}
