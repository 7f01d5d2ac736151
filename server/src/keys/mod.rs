//! The server's secrets at rest. The master key seals the other private keys' files and wraps each patient's key;
//! it is never used itself, only keys derived from it, one for each purpose.

mod patients;
mod sealed;

use std::io;
use std::path::{Path, PathBuf};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use hmac::{Hmac, Mac as _};
use runtime::config_file::{Problem, check_private};
use runtime::entropy::{self, EntropyUnavailable};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use patients::{PatientKey, PatientVault};
pub use sealed::{SealedFolder, read_sealed, write_sealed};

const NONCE_BYTES: usize = 12;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A key file cannot be read or written.
    #[error("the key file {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read it.
    #[error("{0}")]
    Exposed(Problem),
    /// Not 32 octets.
    #[error("the master key {0} is not 32 octets; put the right file back from escrow")]
    Length(PathBuf),
    /// It was not sealed under this master key, or is damaged.
    #[error("{0} does not open under this master key; put the right master key, or the file, back")]
    DoesNotOpen(&'static str),
    /// The operating system gives no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyUnavailable),
}

/// A key for AES-256-GCM, wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Cipher([u8; 32]);

impl Cipher {
    /// Nonce and ciphertext with its tag.
    pub(crate) fn seal(&self, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, KeysError> {
        let nonce: [u8; NONCE_BYTES] = entropy::array()?;
        let sealed = self
            .engine()
            .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad })
            .map_err(|_| KeysError::DoesNotOpen("a plaintext over 64 GiB"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// What was sealed; `None` if it does not open.
    pub(crate) fn open(&self, sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.engine().decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad }).ok().map(Zeroizing::new)
    }

    fn engine(&self) -> Aes256Gcm {
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(self.0))
    }
}

/// HMAC-SHA-256.
fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length: the error has no case.
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key)
        .unwrap_or_else(|_| <Hmac<Sha256> as KeyInit>::new(&Default::default()));
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Whether two secrets are the same, in constant time: HMAC's own comparison, under each of them as key.
#[must_use]
pub fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let expected = mac(one, b"rpm comparison v1");
    let mut tried = <Hmac<Sha256> as KeyInit>::new_from_slice(other)
        .unwrap_or_else(|_| <Hmac<Sha256> as KeyInit>::new(&Default::default()));
    tried.update(b"rpm comparison v1");
    tried.verify_slice(&expected).is_ok()
}

/// The master key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// The key of these octets.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Makes one and writes it to a file nobody else may read.
    ///
    /// # Errors
    /// [`KeysError`]; an existing file is never replaced.
    pub fn create(path: &Path) -> Result<Self, KeysError> {
        let file = |source| KeysError::File { path: path.to_owned(), source };
        if path.exists() {
            return Err(file(io::Error::from(io::ErrorKind::AlreadyExists)));
        }
        let key = Self(entropy::array()?);
        runtime::files::write_atomically(path, &key.0, 0o600).map_err(file)?;
        Ok(key)
    }

    /// Reads it; refuses a file that others may read.
    ///
    /// # Errors
    /// [`KeysError`]
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        if let Some(problem) = check_private(path) {
            return Err(KeysError::Exposed(problem));
        }
        let bytes = runtime::files::read_bounded(path, 64)
            .map_err(|source| KeysError::File { path: path.to_owned(), source })?;
        let bytes = Zeroizing::new(bytes);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| KeysError::Length(path.to_owned()))?;
        Ok(Self(key))
    }

    /// The key for one purpose.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        mac(&self.0, purpose.as_bytes())
    }

    /// The cipher for one purpose.
    pub(crate) fn cipher(&self, purpose: &str) -> Cipher {
        Cipher(self.derive(purpose))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::create(&path).unwrap();
        assert_eq!(MasterKey::load(&path).unwrap().0, made.0);
        assert!(matches!(MasterKey::create(&path), Err(KeysError::File { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::load(&path), Err(KeysError::Exposed(_))));
    }

    #[test]
    fn a_master_key_of_another_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        runtime::files::write_atomically(&path, &[1; 31], 0o600).unwrap();
        assert!(matches!(MasterKey::load(&path), Err(KeysError::Length(_))));
    }

    #[test]
    fn secrets_are_compared() {
        assert!(same(&[1; 32], &[1; 32]));
        let mut other = [1; 32];
        other[31] = 2;
        assert!(!same(&[1; 32], &other));
    }

    #[test]
    fn purposes_give_other_keys() {
        let master = MasterKey::from_bytes([7; 32]);
        assert_ne!(master.derive("a"), master.derive("b"));
        let sealed = master.cipher("a").seal(b"text", b"place").unwrap();
        assert_eq!(master.cipher("a").open(&sealed, b"place").unwrap().as_slice(), b"text");
        assert!(master.cipher("b").open(&sealed, b"place").is_none());
        assert!(master.cipher("a").open(&sealed, b"elsewhere").is_none());
    }
}
