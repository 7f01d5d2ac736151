//! Decides and signs: the authority behind hubs' and the server's certificates, and the server's own keys.

pub mod authority;
pub mod enrolment;
pub mod request;
pub mod secrets;

use zeroize::Zeroizing;

/// Where private keys lie, sealed. Names are short and fixed.
pub trait Vault {
    /// Seals and keeps a secret, in place of an older one of this name.
    ///
    /// # Errors
    /// [`VaultError`].
    fn put(&self, name: &str, secret: &[u8]) -> Result<(), VaultError>;

    /// Opens a secret; `None` if there is none of this name.
    ///
    /// # Errors
    /// [`VaultError`].
    fn get(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError>;
}

/// Why a secret is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The disk.
    #[error("a sealed key cannot be read or written: {0}")]
    Disk(#[from] std::io::Error),
    /// Sealed by another master key, or changed.
    #[error("a sealed key does not open: it was sealed under another master key, or it is damaged")]
    DoesNotOpen,
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness; try again")]
    NoEntropy,
}

/// Why something could not be signed or made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisioningError {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A public file (a certificate) cannot be read or written.
    #[error("a certificate file cannot be read or written: {0}")]
    Disk(#[from] std::io::Error),
    /// A key or certificate that `init` makes is not there.
    #[error("{0} is missing from the data folder; restore it from the backup, or make a new system with `init`")]
    Missing(&'static str),
    /// A key or certificate of ours cannot be read.
    #[error("{0} in the data folder is unreadable; restore it from the backup")]
    Unreadable(&'static str),
    /// The certificate library refused.
    #[error("the certificate cannot be made")]
    Certificate(#[source] rcgen::Error),
    /// The hub's request is refused.
    #[error(transparent)]
    Request(#[from] request::RefusedRequest),
    /// A time outside what certificates can say.
    #[error("the server's clock shows a time certificates cannot hold; set the clock")]
    Clock,
}
