//! Files sealed under the master key: `rpm sealed v1\n`, then nonce, ciphertext and tag of AES-256-GCM. The file's
//! name is associated data, so one cannot stand in for another.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{KeysError, MasterKey};
use crate::provisioning::{Vault, VaultError};

const HEAD: &[u8] = b"rpm sealed v1\n";
const PURPOSE: &str = "rpm sealed file v1";
/// Largest sealed file, in octets.
const BYTES_MAX: u64 = 64 * 1024;

fn path(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join(format!("{name}.sealed"))
}

/// Writes a secret to `folder/name.sealed`.
///
/// # Errors
/// [`KeysError`]
pub fn write_sealed(folder: &Path, name: &str, master: &MasterKey, secret: &[u8]) -> Result<(), KeysError> {
    let sealed = master.cipher(PURPOSE).seal(secret, name.as_bytes())?;
    let path = path(folder, name);
    runtime::files::write_atomically(&path, &[HEAD, &sealed].concat(), 0o600)
        .map_err(|source| KeysError::File { path, source })
}

/// Reads the secret in `folder/name.sealed`.
///
/// # Errors
/// [`KeysError`]
pub fn read_sealed(folder: &Path, name: &str, master: &MasterKey) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let path = path(folder, name);
    let bytes = runtime::files::read_bounded(&path, BYTES_MAX).map_err(|source| KeysError::File { path, source })?;
    let sealed = bytes.strip_prefix(HEAD).ok_or(KeysError::DoesNotOpen("a sealed file"))?;
    master.cipher(PURPOSE).open(sealed, name.as_bytes()).ok_or(KeysError::DoesNotOpen("a sealed file"))
}

/// The folder of sealed files, with the key that opens them.
pub struct SealedFolder {
    folder: PathBuf,
    master: MasterKey,
}

impl SealedFolder {
    /// The folder under this master key.
    #[must_use]
    pub const fn new(folder: PathBuf, master: MasterKey) -> Self {
        Self { folder, master }
    }

    /// The master key, for what is derived from it.
    #[must_use]
    pub const fn master(&self) -> &MasterKey {
        &self.master
    }
}

impl Vault for SealedFolder {
    fn put(&self, name: &str, secret: &[u8]) -> Result<(), VaultError> {
        write_sealed(&self.folder, name, &self.master, secret).map_err(vault_error)
    }

    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        match read_sealed(&self.folder, name, &self.master) {
            Ok(secret) => Ok(Some(secret)),
            Err(KeysError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(vault_error(error)),
        }
    }
}

fn vault_error(error: KeysError) -> VaultError {
    match error {
        KeysError::File { source, .. } => VaultError::Disk(source),
        KeysError::Entropy(_) => VaultError::NoEntropy,
        KeysError::Exposed(_) | KeysError::Length(_) | KeysError::DoesNotOpen(_) => VaultError::DoesNotOpen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_opens_under_its_own_name_and_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let master = MasterKey::from_bytes([1; 32]);
        write_sealed(folder.path(), "control", &master, b"secret").unwrap();
        assert_eq!(read_sealed(folder.path(), "control", &master).unwrap().as_slice(), b"secret");
        let other = MasterKey::from_bytes([2; 32]);
        assert!(matches!(read_sealed(folder.path(), "control", &other), Err(KeysError::DoesNotOpen(_))));
        std::fs::rename(folder.path().join("control.sealed"), folder.path().join("root.sealed")).unwrap();
        assert!(matches!(read_sealed(folder.path(), "root", &master), Err(KeysError::DoesNotOpen(_))));
        assert!(matches!(read_sealed(folder.path(), "control", &master), Err(KeysError::File { .. })));
    }
}
