//! A hub's certificate request, checked.

use rcgen::{CertificateSigningRequestParams, PublicKeyData, SanType};
use shared::id::HubId;

/// The prefix of a hub's name in its certificate.
pub const HUB_URN: &str = "urn:rpm:hub:";

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedRequest {
    /// Not PEM of a PKCS#10 request with a valid signature.
    #[error("not a certificate request with a valid signature; make one with `hub-agent identity new`")]
    Unreadable,
    /// Another algorithm than P-256.
    #[error("the request's key is not P-256; make one with `hub-agent identity new`")]
    Algorithm,
    /// Not exactly one URI `urn:rpm:hub:<id>` as its name.
    #[error("the request must have exactly one alternative name, the URI urn:rpm:hub:<32 hexadecimal digits>")]
    Name,
}

/// A request whose signature holds and whose name is a hub's.
#[derive(Debug)]
pub struct HubRequest {
    /// The hub.
    pub hub: HubId,
    /// Its identity public key, DER SubjectPublicKeyInfo.
    pub identity: Vec<u8>,
    pub(super) params: CertificateSigningRequestParams,
}

impl HubRequest {
    /// Reads PEM and checks signature, algorithm and name.
    ///
    /// # Errors
    /// [`RefusedRequest`].
    pub fn from_pem(pem: &str) -> Result<Self, RefusedRequest> {
        let params = CertificateSigningRequestParams::from_pem(pem).map_err(|_| RefusedRequest::Unreadable)?;
        if params.public_key.algorithm() != &rcgen::PKCS_ECDSA_P256_SHA256 {
            return Err(RefusedRequest::Algorithm);
        }
        let hub = match params.params.subject_alt_names.as_slice() {
            [SanType::URI(uri)] => uri.as_str().strip_prefix(HUB_URN).and_then(|id| id.parse().ok()),
            _ => None,
        };
        let identity = params.public_key.subject_public_key_info();
        Ok(Self { hub: hub.ok_or(RefusedRequest::Name)?, identity, params })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn request(names: Vec<SanType>, key: &KeyPair) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.serialize_request(key).unwrap().pem().unwrap()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    #[test]
    fn a_hubs_request_is_taken() {
        let key = KeyPair::generate().unwrap();
        let hub = HubId::from_bytes([7; 16]);
        let taken = HubRequest::from_pem(&request(vec![uri(&format!("{HUB_URN}{hub}"))], &key)).unwrap();
        assert_eq!(taken.hub, hub);
        assert_eq!(taken.identity, key.subject_public_key_info());
    }

    #[test]
    fn other_names_and_keys_are_refused() {
        let key = KeyPair::generate().unwrap();
        let name = uri(&format!("{HUB_URN}{}", HubId::from_bytes([7; 16])));
        let refused = |names: Vec<SanType>, key: &KeyPair| HubRequest::from_pem(&request(names, key)).unwrap_err();
        assert_eq!(refused(vec![], &key), RefusedRequest::Name);
        assert_eq!(refused(vec![name.clone(), name.clone()], &key), RefusedRequest::Name);
        assert_eq!(refused(vec![uri("urn:rpm:hub:1")], &key), RefusedRequest::Name);
        assert_eq!(refused(vec![SanType::DnsName("hub".try_into().unwrap())], &key), RefusedRequest::Name);
        let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert_eq!(refused(vec![name], &other), RefusedRequest::Algorithm);
        assert_eq!(HubRequest::from_pem("").unwrap_err(), RefusedRequest::Unreadable);
    }

    #[test]
    fn a_changed_request_is_refused() {
        let key = KeyPair::generate().unwrap();
        let pem = request(vec![uri(&format!("{HUB_URN}{}", HubId::from_bytes([7; 16])))], &key);
        // One letter of the body, away from the frame.
        let mut letters: Vec<char> = pem.chars().collect();
        let middle = letters.len() / 2;
        letters[middle] = if letters[middle] == 'A' { 'B' } else { 'A' };
        let changed: String = letters.into_iter().collect();
        assert!(HubRequest::from_pem(&changed).is_err());
    }
}
