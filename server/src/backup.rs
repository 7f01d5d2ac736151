//! Backups: a consistent copy of the store, encrypted to a key that is not on the server (age, X25519), so that a
//! backup in the wrong hands shows nothing. The only file that names age.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use age::x25519::{Identity, Recipient as AgeRecipient};

/// Largest identity file, in octets.
const IDENTITY_BYTES_MAX: u64 = 4096;

/// Why a backup could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk.
    #[error("{path}: {source}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not a public key.
    #[error("not the public half of a backup key (age1...)")]
    Recipient,
    /// Not a private key.
    #[error("not the private half of a backup key")]
    Identity,
    /// Not a backup, or not for this key, or damaged.
    #[error("the backup does not open with this key: it is for another one, or it is damaged")]
    DoesNotOpen,
}

fn disk(path: &Path) -> impl Fn(io::Error) -> BackupError + '_ {
    move |source| BackupError::Disk { path: path.to_owned(), source }
}

fn create_private(path: &Path) -> Result<File, BackupError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(disk(path))
}

/// Whom a backup is for.
#[derive(Debug, Clone)]
pub struct Recipient(AgeRecipient);

impl FromStr for Recipient {
    type Err = BackupError;
    fn from_str(text: &str) -> Result<Self, BackupError> {
        AgeRecipient::from_str(text).map(Self).map_err(|_| BackupError::Recipient)
    }
}

/// Makes a key pair: the private half goes to a new file, the public one is returned.
///
/// # Errors
/// [`BackupError::Disk`]; an existing file is not written over.
pub fn create_key(path: &Path) -> Result<String, BackupError> {
    let identity = Identity::generate();
    let mut file = create_private(path)?;
    file.write_all(identity.to_string().expose_secret().as_bytes()).map_err(disk(path))?;
    file.write_all(b"\n").and_then(|()| file.sync_all()).map_err(disk(path))?;
    Ok(identity.to_public().to_string())
}

/// Encrypts `from` into the new file `to`, synced.
///
/// # Errors
/// [`BackupError`]; what was written of `to` is removed.
pub fn seal(from: &Path, to: &Path, recipient: &Recipient) -> Result<(), BackupError> {
    let mut source = File::open(from).map_err(disk(from))?;
    let target = create_private(to)?;
    let sealed = (|| {
        let recipients = std::iter::once(&recipient.0 as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(|_| BackupError::Recipient)?;
        let mut writer = encryptor.wrap_output(&target).map_err(disk(to))?;
        io::copy(&mut source, &mut writer).map_err(disk(to))?;
        writer.finish().and_then(|_| target.sync_all()).map_err(disk(to))
    })();
    if sealed.is_err() {
        // What is left of it is of no use, and its name would be in the way.
        let _ = std::fs::remove_file(to);
    }
    sealed
}

/// Decrypts `from` into the new file `to`, synced.
///
/// # Errors
/// [`BackupError`]; what was written of `to` is removed.
pub fn open(from: &Path, to: &Path, identity: &Path) -> Result<(), BackupError> {
    let text = runtime::files::read_bounded(identity, IDENTITY_BYTES_MAX).map_err(disk(identity))?;
    let text = zeroize::Zeroizing::new(text);
    let key = std::str::from_utf8(&text).ok().and_then(|text| Identity::from_str(text.trim()).ok());
    let key = key.ok_or(BackupError::Identity)?;
    let source = io::BufReader::new(File::open(from).map_err(disk(from))?);
    let decryptor = age::Decryptor::new_buffered(source).map_err(|_| BackupError::DoesNotOpen)?;
    let identities = std::iter::once(&key as &dyn age::Identity);
    let mut reader = decryptor.decrypt(identities).map_err(|_| BackupError::DoesNotOpen)?;
    let mut target = create_private(to)?;
    // age authenticates each 64 KiB before it gives it out.
    let opened = io::copy(&mut reader, &mut target).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => BackupError::DoesNotOpen,
        _ => disk(to)(error),
    });
    let synced = opened.and_then(|_| target.sync_all().map_err(disk(to)));
    if synced.is_err() {
        let _ = std::fs::remove_file(to);
    }
    synced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens_a_backup() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("store"), b"spo2 97 ".repeat(20_000)).unwrap();
        let recipient: Recipient = create_key(&at("key")).unwrap().parse().unwrap();
        create_key(&at("other")).unwrap();
        seal(&at("store"), &at("backup"), &recipient).unwrap();
        let sealed = std::fs::read(at("backup")).unwrap();
        assert!(!sealed.windows(4).any(|four| four == b"spo2"));
        assert!(matches!(open(&at("backup"), &at("out"), &at("other")), Err(BackupError::DoesNotOpen)));
        assert!(!at("out").exists());
        open(&at("backup"), &at("out"), &at("key")).unwrap();
        assert_eq!(std::fs::read(at("out")).unwrap(), std::fs::read(at("store")).unwrap());

        let mut damaged = sealed;
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        std::fs::write(at("damaged"), damaged).unwrap();
        assert!(matches!(open(&at("damaged"), &at("out2"), &at("key")), Err(BackupError::DoesNotOpen)));
        assert!(!at("out2").exists());
    }

    #[test]
    fn nothing_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_key(&path).unwrap();
        assert!(matches!(create_key(&path), Err(BackupError::Disk { .. })));
    }
}
