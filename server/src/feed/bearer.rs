//! The bearer token: `rpm_<id, 32 hex digits>_<secret, 64 hex digits>`, in the `Authorization` header alone: an address
//! ends up in logs. Pure.

use sha2::{Digest, Sha256};
use shared::id::TokenId;

/// A token as shown: its public part and the hash of its secret. The secret itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The token.
    pub token: TokenId,
    /// SHA-256 of the secret's 32 octets.
    pub secret_hash: [u8; 32],
}

/// Reads the header's value; `None` if it is none of ours.
#[must_use]
pub fn read(header: &str) -> Option<Shown> {
    let (token, secret) = header.strip_prefix("Bearer rpm_")?.split_once('_')?;
    let token = token.parse().ok()?;
    let secret = zeroize::Zeroizing::new(shared::hex::decode(secret)?);
    (secret.len() == 32).then(|| Shown { token, secret_hash: Sha256::digest(&*secret).into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_its_own_form_only() {
        let (id, secret) = ("0123456789abcdef0123456789abcdef", "5a".repeat(32));
        let shown = read(&format!("Bearer rpm_{id}_{secret}")).unwrap();
        assert_eq!(shown.token.to_string(), id);
        assert_eq!(shown.secret_hash, <[u8; 32]>::from(Sha256::digest([0x5a; 32])));
        let short = "5a".repeat(31);
        for other in [format!("rpm_{id}_{secret}"), format!("Bearer rpm_{id}_{short}"), format!("Bearer {id}_{secret}")]
        {
            assert!(read(&other).is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let header = format!("Bearer rpm_{text}");
            prop_assert!(read(&header).is_none());
        }
    }
}
