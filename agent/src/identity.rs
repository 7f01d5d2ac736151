//! Who the hub is: its P-256 key, the request for a certificate, and whether a certificate is for this key.
//!
//! The key is PKCS#8 in PEM, mode 0600. The hub's id is chosen here, at random, and is the request's subject
//! (common name) and its only alternative name (`urn:rpm:hub:<id>`).

use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use shared::id::HubId;
use shared::time::Timestamp;
use zeroize::Zeroizing;

/// DER of a P-256 SubjectPublicKeyInfo up to the point (RFC 5480 §2): id-ecPublicKey, prime256v1, BIT STRING.
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Largest key file read, in octets.
const KEY_BYTES_MAX: u64 = 16 * 1024;

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("the identity key file: {0}")]
    File(#[from] io::Error),
    /// Not a PKCS#8 P-256 key in PEM.
    #[error("the identity key is not a P-256 key in PKCS#8 PEM; make one with `hub-agent identity new`")]
    UnreadableKey,
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness; try again")]
    NoEntropy,
    /// The file is there already.
    #[error("the key file exists; a new key makes the hub a new hub: give --force if that is meant")]
    Exists,
    /// The request could not be written.
    #[error("the certificate request cannot be made")]
    Request(#[source] rcgen::Error),
    /// The enrolment's certificate cannot be read.
    #[error("the enrolment holds no readable certificate; enrol the hub again")]
    UnreadableCertificate,
    /// The certificate is for another key.
    #[error("the enrolment's certificate is for another key than identity_key; enrol this key's request")]
    OtherKey,
}

/// The hub's key pair. Neither copied nor printed.
pub struct Identity {
    pair: EcdsaKeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    spki: Vec<u8>,
}

impl Identity {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`IdentityError::NoEntropy`].
    pub fn generate() -> Result<Self, IdentityError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| IdentityError::NoEntropy)?;
        Self::from_pkcs8(Zeroizing::new(pkcs8.as_ref().to_vec()))
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, IdentityError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &SystemRandom::new())
            .map_err(|_| IdentityError::UnreadableKey)?;
        let spki = [P256_SPKI_PREFIX.as_slice(), pair.public_key().as_ref()].concat();
        Ok(Self { pair, pkcs8, spki })
    }

    /// Reads the key from a PEM file.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        let pem = Zeroizing::new(runtime::files::read_bounded(path, KEY_BYTES_MAX)?);
        let key = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| IdentityError::UnreadableKey)?;
        Self::from_pkcs8(Zeroizing::new(key.secret_pkcs8_der().to_vec()))
    }

    /// Its public half: DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn subject_public_key_info(&self) -> &[u8] {
        &self.spki
    }

    /// Signs: ECDSA P-256 with SHA-256, ASN.1 DER.
    ///
    /// # Errors
    /// [`IdentityError::NoEntropy`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IdentityError> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| IdentityError::NoEntropy)?;
        Ok(signature.as_ref().to_vec())
    }

    /// The private key for TLS.
    #[must_use]
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pkcs8.to_vec()))
    }

    /// Its PEM.
    fn pem(&self) -> Zeroizing<String> {
        let body = Zeroizing::new(BASE64.encode(&*self.pkcs8));
        let mut pem = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
        for line in body.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        pem
    }

    /// A certificate request in the name of `hub`, PEM.
    ///
    /// # Errors
    /// [`IdentityError::Request`].
    pub fn request(&self, hub: HubId) -> Result<String, IdentityError> {
        let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(self.pkcs8.as_slice()),
            &rcgen::PKCS_ECDSA_P256_SHA256,
        )
        .map_err(IdentityError::Request)?;
        let mut params = rcgen::CertificateParams::default();
        let mut name = rcgen::DistinguishedName::new();
        name.push(rcgen::DnType::CommonName, hub.to_string());
        params.distinguished_name = name;
        let urn = format!("urn:rpm:hub:{hub}").as_str().try_into().map_err(IdentityError::Request)?;
        params.subject_alt_names = vec![rcgen::SanType::URI(urn)];
        params.serialize_request(&key).and_then(|request| request.pem()).map_err(IdentityError::Request)
    }

    /// Checks that the first certificate of a PEM chain is for this key. Returns the chain and the certificate's
    /// last second of validity, since 1970.
    ///
    /// # Errors
    /// [`IdentityError::UnreadableCertificate`] or [`IdentityError::OtherKey`].
    pub fn check_chain(&self, pem: &str) -> Result<(Vec<CertificateDer<'static>>, i64), IdentityError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| IdentityError::UnreadableCertificate)?;
        let leaf = chain.first().ok_or(IdentityError::UnreadableCertificate)?;
        let (_, certificate) =
            x509_parser::parse_x509_certificate(leaf).map_err(|_| IdentityError::UnreadableCertificate)?;
        if certificate.public_key().raw != self.spki {
            return Err(IdentityError::OtherKey);
        }
        let until = certificate.validity().not_after.timestamp();
        Ok((chain, until))
    }
}

/// When the first certificate of a PEM chain begins to be valid.
///
/// # Errors
/// [`IdentityError::UnreadableCertificate`].
pub fn issued_at(pem: &str) -> Result<Timestamp, IdentityError> {
    let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| IdentityError::UnreadableCertificate)?;
    let (_, certificate) =
        x509_parser::parse_x509_certificate(&leaf).map_err(|_| IdentityError::UnreadableCertificate)?;
    Ok(Timestamp::from_millis(certificate.validity().not_before.timestamp().saturating_mul(1_000)))
}

/// Makes a key and a request in files. Returns the new hub's id.
///
/// # Errors
/// [`IdentityError`]; nothing is written over without `force`.
pub fn create(key_file: &Path, request_file: &Path, force: bool) -> Result<HubId, IdentityError> {
    if key_file.exists() && !force {
        return Err(IdentityError::Exists);
    }
    let hub = HubId::from_bytes(runtime::entropy::array().map_err(|_| IdentityError::NoEntropy)?);
    let identity = Identity::generate()?;
    let request = identity.request(hub)?;
    runtime::files::write_atomically(key_file, identity.pem().as_bytes(), 0o600)?;
    runtime::files::write_atomically(request_file, request.as_bytes(), 0o644)?;
    Ok(hub)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_written_privately_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (key, csr) = (folder.path().join("key.pem"), folder.path().join("hub.csr"));
        let hub = create(&key, &csr, false).unwrap();
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(create(&key, &csr, false), Err(IdentityError::Exists)));
        let identity = Identity::load(&key).unwrap();
        let signature = identity.sign(b"message").unwrap();
        let point = &identity.subject_public_key_info()[26..];
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(b"message", &signature).unwrap();
        let request = std::fs::read(&csr).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&request).unwrap();
        use x509_parser::prelude::FromDer;
        let (_, request) =
            x509_parser::certification_request::X509CertificationRequest::from_der(&pem.contents).unwrap();
        let info = &request.certification_request_info;
        assert_eq!(info.subject_pki.raw, identity.subject_public_key_info());
        assert_eq!(info.subject.iter_common_name().next().unwrap().as_str().unwrap(), hub.to_string());
    }

    #[test]
    fn another_keys_certificate_is_refused() {
        let own = Identity::generate().unwrap();
        let other = rcgen::generate_simple_self_signed(["hub".to_owned()]).unwrap();
        assert!(matches!(own.check_chain(&other.cert.pem()), Err(IdentityError::OtherKey)));
        assert!(matches!(own.check_chain("no PEM"), Err(IdentityError::UnreadableCertificate)));
    }
}
