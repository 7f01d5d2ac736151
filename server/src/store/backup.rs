//! Backups: a copy of the store, sealed to a public key whose private half does not lie on the server.
//!
//! A file is `rpm backup v1\n`, the head's length (4 octets, big-endian) and the head (postcard of [`Head`]), then
//! chunks: length (4 octets, big-endian), 4 octets of nonce, and up to 64 KiB sealed with AES-256-GCM under a key
//! that HPKE encapsulates to the recipient. Each chunk is bound to its place; the last one is marked in its seal, so
//! a file cut short does not open.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use shared::id::{HubId, StoreId, StreamId};
use shared::sealing::{
    RecordKey, RecordPlace, SealingError, SealingPublic, SealingSecret, StreamContext, Suite, begin_stream,
    derive_stream,
};
use shared::sequence::Sequence;
use shared::wire::SealedRecord;
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"rpm backup v1\n";
const CHUNK_BYTES: usize = 64 * 1024;
/// Largest sealed chunk: plaintext and tag.
const SEALED_BYTES_MAX: u32 = 64 * 1024 + 16;
const HEAD_BYTES_MAX: u32 = 8 * 1024;
const PUBLIC: &str = "rpm-backup-";
const SECRET: &str = "RPM-BACKUP-SECRET-";

/// Why a backup is not written or opened.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk.
    #[error("the backup's file cannot be read or written: {0}; check its path and the free space")]
    File(#[from] io::Error),
    /// A text that is no key of `backup-key`.
    #[error("not a backup key; make one with `monitor-server backup-key`")]
    UnreadableKey,
    /// Not a backup, cut short, changed, or sealed to another key.
    #[error("the backup does not open: it is for another key, damaged, or cut short")]
    DoesNotOpen,
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness; try again")]
    NoEntropy,
}

impl From<SealingError> for BackupError {
    fn from(_: SealingError) -> Self {
        Self::DoesNotOpen
    }
}

/// Who may open a backup: a public key, as text `rpm-backup-` and hexadecimal digits.
#[derive(Debug, Clone)]
pub struct Recipient(SealingPublic);

impl FromStr for Recipient {
    type Err = BackupError;
    fn from_str(text: &str) -> Result<Self, BackupError> {
        let bytes = text.trim().strip_prefix(PUBLIC).and_then(shared::hex::decode);
        let (suite, bytes) = key_parts(bytes)?;
        let expected = match suite {
            Suite::X25519 => 32,
            Suite::XWing => 1216,
        };
        if bytes.len() != expected {
            return Err(BackupError::UnreadableKey);
        }
        Ok(Self(SealingPublic { suite, bytes }))
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = [[u8::from(self.0.suite)].as_slice(), &self.0.bytes].concat();
        write!(f, "{PUBLIC}{}", shared::hex::encode(&key))
    }
}

fn key_parts(bytes: Option<Vec<u8>>) -> Result<(Suite, Vec<u8>), BackupError> {
    let bytes = bytes.ok_or(BackupError::UnreadableKey)?;
    let (suite, bytes) = bytes.split_first().ok_or(BackupError::UnreadableKey)?;
    Ok((Suite::try_from(*suite).map_err(|_| BackupError::UnreadableKey)?, bytes.to_vec()))
}

/// Opens backups. Kept away from the server.
pub struct BackupSecret(SealingSecret);

impl BackupSecret {
    /// A new one, hybrid post-quantum.
    ///
    /// # Errors
    /// [`BackupError::NoEntropy`]
    pub fn generate() -> Result<Self, BackupError> {
        let seed = Zeroizing::new(runtime::entropy::array::<32>().map_err(|_| BackupError::NoEntropy)?);
        Ok(Self(SealingSecret::from_seed(Suite::XWing, *seed)))
    }

    /// Its public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(self.0.public())
    }

    /// As text, to be kept offline.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let key = Zeroizing::new([[u8::from(self.0.suite())].as_slice(), self.0.seed()].concat());
        Zeroizing::new(format!("{SECRET}{}", shared::hex::encode(&key)))
    }
}

impl FromStr for BackupSecret {
    type Err = BackupError;
    fn from_str(text: &str) -> Result<Self, BackupError> {
        let (suite, seed) = key_parts(text.trim().strip_prefix(SECRET).and_then(shared::hex::decode))?;
        let seed = Zeroizing::new(seed);
        let seed: [u8; 32] = seed.as_slice().try_into().map_err(|_| BackupError::UnreadableKey)?;
        Ok(Self(SealingSecret::from_seed(suite, seed)))
    }
}

/// What a backup says of itself in the clear.
#[derive(Serialize, Deserialize)]
struct Head {
    store: StoreId,
    suite: Suite,
    file: StreamId,
    encapsulation: Vec<u8>,
}

/// The file's key is bound to the store and to the file's own random name.
fn context(store: StoreId, file: StreamId, public: &SealingPublic) -> StreamContext {
    let hub = HubId::from_bytes(*store.as_bytes());
    StreamContext { hub, stream: file, sealing_key: public.id(), identity_digest: [0; 32] }
}

/// Seals a file to a recipient. The new file is complete and synced, or not there.
///
/// # Errors
/// [`BackupError`]
pub fn seal(plain: &Path, to: &Path, store: StoreId, recipient: &Recipient) -> Result<(), BackupError> {
    if to.exists() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
    }
    let file = StreamId::from_bytes(runtime::entropy::array().map_err(|_| BackupError::NoEntropy)?);
    let context = context(store, file, &recipient.0);
    let (encapsulation, keys) = begin_stream(&recipient.0, &context, &mut runtime::entropy::rng())?;
    let head = Head { store, suite: recipient.0.suite, file, encapsulation };
    let part = beside(to);
    let result = write(plain, &part, &head, &keys.record).and_then(|()| Ok(std::fs::rename(&part, to)?));
    if result.is_err() {
        // It may never have been made; the first error is the one to tell.
        let _ = std::fs::remove_file(&part);
    }
    result?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(runtime::files::sync_dir(folder)?)
}

fn beside(to: &Path) -> std::path::PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn write(plain: &Path, to: &Path, head: &Head, key: &RecordKey) -> Result<(), BackupError> {
    let mut input = BufReader::new(File::open(plain)?);
    let mut output = BufWriter::new(private(to)?);
    let bytes = shared::wire::to_bytes(head).map_err(|_| BackupError::DoesNotOpen)?;
    output.write_all(MAGIC)?;
    write_length(&mut output, bytes.len())?;
    output.write_all(&bytes)?;
    let mut place = Some(Sequence::FIRST);
    let mut chunk = read_chunk(&mut input)?;
    loop {
        let next = read_chunk(&mut input)?;
        let last = next.is_empty();
        let sequence = place.ok_or(BackupError::DoesNotOpen)?;
        let at = RecordPlace {
            suite: head.suite,
            hub: HubId::from_bytes(*head.store.as_bytes()),
            stream: head.file,
            sequence,
            keep: last,
        };
        let nonce = runtime::entropy::array().map_err(|_| BackupError::NoEntropy)?;
        let sealed = key.seal(&at, nonce, &chunk)?;
        write_length(&mut output, sealed.sealed.len())?;
        output.write_all(&sealed.nonce)?;
        output.write_all(&sealed.sealed)?;
        if last {
            break;
        }
        (place, chunk) = (sequence.next(), next);
    }
    let file = output.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(file.sync_all()?)
}

fn write_length(output: &mut impl Write, length: usize) -> Result<(), BackupError> {
    let length = u32::try_from(length).map_err(|_| BackupError::DoesNotOpen)?;
    Ok(output.write_all(&length.to_be_bytes())?)
}

fn read_chunk(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    input.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

/// Opens a backup into a new file, which is complete and synced, or not there.
///
/// # Errors
/// [`BackupError`]
pub fn open(sealed: &Path, to: &Path, secret: &BackupSecret) -> Result<(), BackupError> {
    if to.exists() {
        return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
    }
    let part = beside(to);
    let result = read(sealed, &part, secret).and_then(|()| Ok(std::fs::rename(&part, to)?));
    if result.is_err() {
        // It may never have been made; the first error is the one to tell.
        let _ = std::fs::remove_file(&part);
    }
    result
}

fn read(sealed: &Path, to: &Path, secret: &BackupSecret) -> Result<(), BackupError> {
    let mut input = BufReader::new(File::open(sealed)?);
    let mut magic = [0_u8; MAGIC.len()];
    input.read_exact(&mut magic).map_err(|_| BackupError::DoesNotOpen)?;
    if magic != MAGIC {
        return Err(BackupError::DoesNotOpen);
    }
    let head = read_bytes(&mut input, HEAD_BYTES_MAX)?;
    let head: Head = shared::wire::from_bytes(&head).map_err(|_| BackupError::DoesNotOpen)?;
    let keys = derive_stream(&secret.0, &context(head.store, head.file, &secret.0.public()), &head.encapsulation)?;
    let hub = HubId::from_bytes(*head.store.as_bytes());
    let mut output = BufWriter::new(private(to)?);
    let mut place = Some(Sequence::FIRST);
    loop {
        let length = read_length(&mut input, SEALED_BYTES_MAX)?;
        let mut nonce = [0_u8; 4];
        input.read_exact(&mut nonce).map_err(|_| BackupError::DoesNotOpen)?;
        let sequence = place.ok_or(BackupError::DoesNotOpen)?;
        // A chunk that is the last of the file must be marked so, and no other may be.
        let bytes = read_exactly(&mut input, length)?;
        let last = io::BufRead::fill_buf(&mut input)?.is_empty();
        let record = SealedRecord { sequence, keep: last, nonce, sealed: bytes };
        let chunk = Zeroizing::new(keys.record.open(head.suite, hub, head.file, &record)?);
        output.write_all(&chunk)?;
        if last {
            break;
        }
        place = sequence.next();
    }
    let file = output.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(file.sync_all()?)
}

fn read_length(input: &mut impl Read, most: u32) -> Result<u32, BackupError> {
    let mut length = [0_u8; 4];
    input.read_exact(&mut length).map_err(|_| BackupError::DoesNotOpen)?;
    let length = u32::from_be_bytes(length);
    if length > most { Err(BackupError::DoesNotOpen) } else { Ok(length) }
}

fn read_exactly(input: &mut impl Read, length: u32) -> Result<Vec<u8>, BackupError> {
    let mut bytes = Vec::new();
    input.by_ref().take(u64::from(length)).read_to_end(&mut bytes)?;
    if u32::try_from(bytes.len()) == Ok(length) { Ok(bytes) } else { Err(BackupError::DoesNotOpen) }
}

fn read_bytes(input: &mut impl Read, most: u32) -> Result<Vec<u8>, BackupError> {
    let length = read_length(input, most)?;
    read_exactly(input, length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;

    fn sealed(size: usize) -> (tempfile::TempDir, BackupSecret, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let plain: Vec<u8> = (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect();
        std::fs::write(folder.path().join("plain"), &plain).unwrap();
        let secret = BackupSecret::generate().unwrap();
        let recipient = secret.recipient().to_string().parse().unwrap();
        let store = StoreId::from_bytes([7; 16]);
        seal(&folder.path().join("plain"), &folder.path().join("sealed"), store, &recipient).unwrap();
        (folder, secret, plain)
    }

    #[test]
    fn a_backup_opens_with_its_secret_only() {
        for size in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let (folder, secret, plain) = sealed(size);
            let (from, to) = (folder.path().join("sealed"), folder.path().join("opened"));
            let other = BackupSecret::generate().unwrap();
            assert!(matches!(open(&from, &to, &other), Err(BackupError::DoesNotOpen)));
            assert!(!to.exists());
            let again: BackupSecret = secret.reveal().parse().unwrap();
            open(&from, &to, &again).unwrap();
            assert_eq!(std::fs::read(&to).unwrap(), plain, "{size}");
        }
    }

    #[test]
    fn a_changed_or_shortened_backup_does_not_open() {
        let (folder, secret, _) = sealed(2 * CHUNK_BYTES);
        let whole = std::fs::read(folder.path().join("sealed")).unwrap();
        let one = CHUNK_BYTES + 16 + 8;
        let cuts = [0, 5, MAGIC.len() + 3, whole.len() - one, whole.len() - 1];
        let mut tried: Vec<Vec<u8>> = cuts.iter().map(|cut| whole[..*cut].to_vec()).collect();
        for place in [0, 40, whole.len() - one, whole.len() - one + 4, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            tried.push(changed);
        }
        tried.push([whole.as_slice(), b"x"].concat());
        for (number, bytes) in tried.iter().enumerate() {
            let (from, to) = (folder.path().join("changed"), folder.path().join("opened"));
            std::fs::write(&from, bytes).unwrap();
            assert!(open(&from, &to, &secret).is_err(), "{number}");
            assert!(!to.exists());
        }
    }

    #[test]
    fn other_texts_are_no_keys() {
        for text in ["", "rpm-backup-", "rpm-backup-02", "rpm-backup-03aa", "age1abc"] {
            assert!(text.parse::<Recipient>().is_err(), "{text}");
            assert!(text.parse::<BackupSecret>().is_err(), "{text}");
        }
    }
}
