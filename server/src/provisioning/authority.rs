//! The authority: a root, an issuing authority under it, and what they sign.
//!
//! ```text
//! root (10 years) ──▶ issuing authority (1 year) ──▶ hubs (30 days), server (90 days), revocation list
//! ```
//! Every time here is the wall clock's, because whoever checks a certificate does so by theirs: the time deadlines run
//! on never goes back, and may be ahead for good.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams,
    SanType, SerialNumber,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use shared::hex;
use shared::id::HubId;
use shared::time::Timestamp;
use time::OffsetDateTime;

use super::request::HubRequest;
use super::{ProvisioningError, Vault};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A root's life (PROTOCOL §9).
const ROOT_DAYS: u32 = 3650;
/// An issuing authority's life (PROTOCOL §9).
const ISSUING_DAYS: u32 = 365;
/// The server certificate's life (PROTOCOL §9).
const SERVER_DAYS: u32 = 90;
/// The server certificate is made anew when it has less than this left.
const SERVER_DAYS_LEFT_MIN: u32 = 30;
/// A hub certificate's life (PROTOCOL §9).
const HUB_DAYS: u32 = 30;
/// A revocation list's life; it is made anew at every start, on every revocation and daily.
const LIST_DAYS: u32 = 7;
/// Clocks may differ: everything is valid from so long before it is made.
const BACKDATED: Duration = Duration::from_secs(3600);

/// What a TLS listener needs.
#[derive(Debug)]
pub struct TlsMaterial {
    /// The server's certificate and the issuing authority's.
    pub certificate_chain: Vec<CertificateDer<'static>>,
    /// The server certificate's key.
    pub key: PrivateKeyDer<'static>,
    /// Whose certificates hubs must have.
    pub client_roots: Vec<CertificateDer<'static>>,
    /// Which of them are taken back.
    pub crl: Vec<CertificateRevocationListDer<'static>>,
}

/// A certificate that was taken back.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// When.
    pub at: Timestamp,
    /// Whether its key may be known to others.
    pub compromised: bool,
}

/// A certificate made for a hub.
#[derive(Debug)]
pub struct IssuedHub {
    /// The hub.
    pub hub: HubId,
    /// Its identity public key, DER SubjectPublicKeyInfo.
    pub identity: Vec<u8>,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// PEM of the certificate and the issuing authority's.
    pub chain_pem: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
}

/// The authority, ready to sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    issuing_pem: String,
    root_pem: String,
    folder: PathBuf,
}

fn offset(at: Timestamp) -> Result<OffsetDateTime, ProvisioningError> {
    OffsetDateTime::from_unix_timestamp(at.as_millis().div_euclid(1000)).map_err(|_| ProvisioningError::Clock)
}

fn days(count: u32) -> Duration {
    DAY.saturating_mul(count)
}

fn serial() -> Result<SerialNumber, ProvisioningError> {
    // RFC 5280 §4.1.2.2: positive, at most 20 octets. 16 random ones, the first bit clear and the next set.
    let mut bytes: [u8; 16] = runtime::entropy::array().map_err(|_| super::VaultError::NoEntropy)?;
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

fn params(name: &str, now: Timestamp, life: Duration) -> Result<CertificateParams, ProvisioningError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = offset(now.before(BACKDATED))?;
    params.not_after = offset(now.after(life))?;
    params.serial_number = Some(serial()?);
    Ok(params)
}

fn authority_params(
    name: &str,
    now: Timestamp,
    life: Duration,
    below: u8,
) -> Result<CertificateParams, ProvisioningError> {
    let mut params = params(name, now, life)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn keep_pem(folder: &Path, name: &str, pem: &str) -> Result<(), ProvisioningError> {
    Ok(runtime::files::write_atomically(&folder.join(name), pem.as_bytes(), 0o644)?)
}

fn read_pem(folder: &Path, name: &'static str) -> Result<String, ProvisioningError> {
    match runtime::files::read_bounded(&folder.join(name), 64 * 1024) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| ProvisioningError::Unreadable(name)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(ProvisioningError::Missing(name)),
        Err(error) => Err(error.into()),
    }
}

fn open_key(vault: &dyn Vault, name: &'static str) -> Result<KeyPair, ProvisioningError> {
    let pkcs8 = vault.get(name)?.ok_or(ProvisioningError::Missing(name))?;
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8.as_slice()), &rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|_| ProvisioningError::Unreadable(name))
}

fn first_certificate(pem: &str, name: &'static str) -> Result<CertificateDer<'static>, ProvisioningError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| ProvisioningError::Unreadable(name))
}

/// All of them; there is at least one.
fn certificates(pem: &str, name: &'static str) -> Result<Vec<CertificateDer<'static>>, ProvisioningError> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    all.ok().filter(|all| !all.is_empty()).ok_or(ProvisioningError::Unreadable(name))
}

impl Authority {
    /// Makes root and issuing authority. Private keys go into the vault, certificates into `folder`.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn create(vault: &dyn Vault, folder: &Path, now: Timestamp) -> Result<Self, ProvisioningError> {
        let made = ProvisioningError::Certificate;
        let root_key = KeyPair::generate().map_err(made)?;
        let root_params = authority_params("RPM root authority", now, days(ROOT_DAYS), 1)?;
        let root = root_params.self_signed(&root_key).map_err(made)?;
        let issuing_key = KeyPair::generate().map_err(made)?;
        let issuing_params = authority_params("RPM issuing authority", now, days(ISSUING_DAYS), 0)?;
        let root_issuer = Issuer::from_params(&root_params, &root_key);
        let issuing = issuing_params.signed_by(&issuing_key, &root_issuer).map_err(made)?;
        vault.put("root", root_key.serialized_der())?;
        vault.put("issuing", issuing_key.serialized_der())?;
        keep_pem(folder, "root.pem", &root.pem())?;
        keep_pem(folder, "issuing.pem", &issuing.pem())?;
        Self::load(vault, folder)
    }

    /// Takes up the authority made before.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn load(vault: &dyn Vault, folder: &Path) -> Result<Self, ProvisioningError> {
        let root_pem = read_pem(folder, "root.pem")?;
        let issuing_pem = read_pem(folder, "issuing.pem")?;
        let certificate = first_certificate(&issuing_pem, "issuing.pem")?;
        let key = open_key(vault, "issuing")?;
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|_| ProvisioningError::Unreadable("issuing.pem"))?;
        Ok(Self { issuer, issuing_pem, root_pem, folder: folder.to_owned() })
    }

    /// The roots hubs and clients pin, PEM.
    #[must_use]
    pub fn roots_pem(&self) -> &str {
        &self.root_pem
    }

    /// The roots, of which there are several while one takes another's place.
    ///
    /// # Errors
    /// [`ProvisioningError::Unreadable`]
    pub fn roots(&self) -> Result<Vec<CertificateDer<'static>>, ProvisioningError> {
        certificates(&self.root_pem, "root.pem")
    }

    /// A certificate like a hub's, for nobody and kept nowhere, to see whether those we make are believed.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn trial(&self, now: Timestamp) -> Result<Vec<CertificateDer<'static>>, ProvisioningError> {
        let made = ProvisioningError::Certificate;
        let key = KeyPair::generate().map_err(made)?;
        let mut params = params("trial", now, DAY)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let mut chain = vec![params.signed_by(&key, &self.issuer).map_err(made)?.der().clone()];
        chain.extend(certificates(&self.issuing_pem, "issuing.pem")?);
        Ok(chain)
    }

    /// Makes a certificate for a hub from its checked request.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn issue_hub(&self, request: HubRequest, now: Timestamp) -> Result<IssuedHub, ProvisioningError> {
        let HubRequest { hub, identity, params: mut to_sign } = request;
        // Nothing of the request but its key and its checked name is taken over.
        let mut params = params(&hub.to_string(), now, days(HUB_DAYS))?;
        params.subject_alt_names = std::mem::take(&mut to_sign.params.subject_alt_names);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let serial = params.serial_number.as_ref().map(|serial| hex::encode(&serial.to_bytes())).unwrap_or_default();
        to_sign.params = params;
        let certificate = to_sign.signed_by(&self.issuer).map_err(ProvisioningError::Certificate)?;
        Ok(IssuedHub {
            hub,
            identity,
            certificate: certificate.der().to_vec(),
            chain_pem: format!("{}{}", certificate.pem(), self.issuing_pem),
            serial,
            not_before: now.before(BACKDATED),
            not_after: now.after(days(HUB_DAYS)),
        })
    }

    /// Makes the server's certificate if there is none, or the one there is ends soon, has not begun (it was made while
    /// the wall clock was ahead), or names other hosts. `now` is the wall clock's.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn ensure_server(&self, vault: &dyn Vault, names: &[String], now: Timestamp) -> Result<(), ProvisioningError> {
        let label = names.join("\n");
        let current = match read_pem(&self.folder, "server.pem") {
            Ok(pem) => Some(pem),
            Err(ProvisioningError::Missing(_)) => None,
            Err(error) => return Err(error),
        };
        let named = runtime::files::read_bounded(&self.folder.join("server.names"), 4096).unwrap_or_default();
        if let Some(pem) = current {
            let certificate = first_certificate(&pem, "server.pem")?;
            let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
                .map_err(|_| ProvisioningError::Unreadable("server.pem"))?;
            let (begun, needed) = (offset(now)?, offset(now.after(days(SERVER_DAYS_LEFT_MIN)))?);
            let validity = parsed.validity();
            let lasts = validity.not_before.timestamp() <= begun.unix_timestamp()
                && validity.not_after.timestamp() > needed.unix_timestamp();
            if lasts && named == label.as_bytes() {
                return Ok(());
            }
        }
        let made = ProvisioningError::Certificate;
        let key = KeyPair::generate().map_err(made)?;
        let first = names.first().map_or("monitor-server", String::as_str);
        let mut params = params(first, now, days(SERVER_DAYS))?;
        params.subject_alt_names = names.iter().map(|name| host(name)).collect::<Result<_, _>>()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(made)?;
        vault.put("server", key.serialized_der())?;
        keep_pem(&self.folder, "server.pem", &format!("{}{}", certificate.pem(), self.issuing_pem))?;
        Ok(runtime::files::write_atomically(&self.folder.join("server.names"), label.as_bytes(), 0o644)?)
    }

    /// Signs a list of the certificates that were taken back. Its number is the wall clock's and goes back with it: the
    /// doors of this process alone read the list, and take the latest that was made.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn revocation_list(
        &self,
        revoked: &[Revoked],
        now: Timestamp,
    ) -> Result<CertificateRevocationListDer<'static>, ProvisioningError> {
        let entry = |revoked: &Revoked| {
            let serial =
                hex::decode(&revoked.serial).ok_or(ProvisioningError::Unreadable("a revoked serial number"))?;
            let reason = if revoked.compromised {
                RevocationReason::KeyCompromise
            } else {
                RevocationReason::CessationOfOperation
            };
            Ok::<_, ProvisioningError>(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&serial),
                revocation_time: offset(revoked.at)?,
                reason_code: Some(reason),
                invalidity_date: None,
            })
        };
        let number = u64::try_from(now.as_millis()).unwrap_or(0);
        let list = CertificateRevocationListParams {
            this_update: offset(now.before(BACKDATED))?,
            next_update: offset(now.after(days(LIST_DAYS)))?,
            crl_number: SerialNumber::from_slice(&number.to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect::<Result<_, _>>()?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = list.signed_by(&self.issuer).map_err(ProvisioningError::Certificate)?;
        Ok(signed.der().clone())
    }

    /// What the doors need now. Call [`Self::ensure_server`] first.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn tls(
        &self,
        vault: &dyn Vault,
        revoked: &[Revoked],
        now: Timestamp,
    ) -> Result<TlsMaterial, ProvisioningError> {
        let chain_pem = read_pem(&self.folder, "server.pem")?;
        let certificate_chain = certificates(&chain_pem, "server.pem")?;
        let key = vault.get("server")?.ok_or(ProvisioningError::Missing("server"))?;
        Ok(TlsMaterial {
            certificate_chain,
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec())),
            client_roots: self.roots()?,
            crl: vec![self.revocation_list(revoked, now)?],
        })
    }
}

fn host(name: &str) -> Result<SanType, ProvisioningError> {
    match name.parse() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => name.try_into().map(SanType::DnsName).map_err(ProvisioningError::Certificate),
    }
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
