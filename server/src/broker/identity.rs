//! Who a certificate says its bearer is. TLS has checked it before: chain, dates, revocation list.

use shared::id::HubId;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The scheme a hub's certificate names it in: `urn:rpm:hub:<id>`.
pub const HUB_URN: &str = "urn:rpm:hub:";

/// A hub as its certificate proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The hub.
    pub hub: HubId,
    /// Its identity public key, DER SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// SHA-256 of it.
    pub digest: [u8; 32],
    /// The certificate's serial number, see [`serial_text`].
    pub serial: String,
}

/// A certificate that does not name exactly one hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableCertificate {
    /// Not X.509.
    #[error("not an X.509 certificate")]
    Shape,
    /// Not exactly one URI among its alternative names, or not one of a hub.
    #[error("not exactly one alternative name of the form urn:rpm:hub:<id>")]
    Name,
}

/// A serial number as text: lower-case hexadecimal of its octets, without leading zero octets.
#[must_use]
pub fn serial_text(octets: &[u8]) -> String {
    let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    shared::hex::encode(octets.get(start..).unwrap_or_default())
}

/// Reads a hub's certificate (DER).
///
/// # Errors
/// [`UnreadableCertificate`]
pub fn read(certificate: &[u8]) -> Result<Identity, UnreadableCertificate> {
    let (rest, certificate) = X509Certificate::from_der(certificate).map_err(|_| UnreadableCertificate::Shape)?;
    if !rest.is_empty() {
        return Err(UnreadableCertificate::Shape);
    }
    let names = certificate.subject_alternative_name().map_err(|_| UnreadableCertificate::Shape)?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (Some(uri), None) = (uris.next(), uris.next()) else { return Err(UnreadableCertificate::Name) };
    let hub = uri.strip_prefix(HUB_URN).and_then(|id| id.parse().ok()).ok_or(UnreadableCertificate::Name)?;
    let public_key = certificate.public_key().raw.to_vec();
    let digest = shared::sealing::identity_digest(&public_key);
    Ok(Identity { hub, public_key, digest, serial: serial_text(certificate.raw_serial()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType, SerialNumber};

    fn certificate(names: &[&str]) -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.serial_number = Some(SerialNumber::from_slice(&[0, 0x81, 2]));
        parameters.subject_alt_names = names.iter().map(|name| SanType::URI((*name).try_into().unwrap())).collect();
        (parameters.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn names_its_hub_key_and_serial() {
        let id = "0123456789abcdef0123456789abcdef";
        let (der, key) = certificate(&[&format!("{HUB_URN}{id}")]);
        let identity = read(&der).unwrap();
        assert_eq!(identity.hub.to_string(), id);
        assert_eq!(identity.public_key, rcgen::PublicKeyData::subject_public_key_info(&key));
        assert_eq!(identity.digest, shared::sealing::identity_digest(&identity.public_key));
        assert_eq!(identity.serial, "8102");
    }

    #[test]
    fn anything_but_one_hub_is_refused() {
        let one = format!("{HUB_URN}{}", "1".repeat(32));
        let two = format!("{HUB_URN}{}", "2".repeat(32));
        let (one, two) = (one.as_str(), two.as_str());
        for names in [&[][..], &[one, two], &[one, "urn:other"], &["urn:rpm:hub:1"], &["urn:rpm:user:x"]] {
            assert_eq!(read(&certificate(names).0), Err(UnreadableCertificate::Name), "{names:?}");
        }
        let mut longer = certificate(&[one]).0;
        longer.push(0);
        assert_eq!(read(&longer), Err(UnreadableCertificate::Shape));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(read(&bytes).is_err());
        }
    }
}
