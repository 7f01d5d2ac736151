//! The server's own keys besides certificates: the control key that signs settings, and the sealing keys hubs seal to.

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use shared::sealing::{SealingPublic, SealingSecret, Suite};
use shared::wire::{Settings, SignedSettings, UnreadableMessage, to_bytes};
use zeroize::Zeroizing;

use super::{ProvisioningError, Vault, VaultError};

/// Octets of a sealing key as it is kept: suite number and seed.
const KEPT_SEALING_BYTES: usize = 33;

/// Signs settings. Ed25519; hubs pin its public half at enrolment.
pub struct ControlKey(Ed25519KeyPair);

impl ControlKey {
    /// Makes the control key and keeps it.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn create(vault: &dyn Vault) -> Result<Self, ProvisioningError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| VaultError::NoEntropy)?;
        vault.put("control", pkcs8.as_ref())?;
        Self::load(vault)
    }

    /// Takes up the control key made before.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn load(vault: &dyn Vault) -> Result<Self, ProvisioningError> {
        let pkcs8 = vault.get("control")?.ok_or(ProvisioningError::Missing("control"))?;
        Ed25519KeyPair::from_pkcs8(&pkcs8).map(Self).map_err(|_| ProvisioningError::Unreadable("control"))
    }

    /// Its public half, 64 hexadecimal digits.
    #[must_use]
    pub fn public_hex(&self) -> String {
        shared::hex::encode(self.0.public_key().as_ref())
    }

    /// Writes and signs settings.
    ///
    /// # Errors
    /// [`UnreadableMessage`] if they cannot be written.
    pub fn sign(&self, settings: &Settings) -> Result<SignedSettings, UnreadableMessage> {
        let body = to_bytes(settings)?;
        let signature = self.0.sign(&SignedSettings::signed_bytes(&body)).as_ref().to_vec();
        Ok(SignedSettings { body, signature })
    }
}

/// Makes the first sealing key (suite 2) and keeps it.
///
/// # Errors
/// [`ProvisioningError`].
pub fn create_sealing_key(vault: &dyn Vault) -> Result<(), ProvisioningError> {
    let seed: Zeroizing<[u8; 32]> = Zeroizing::new(runtime::entropy::array().map_err(|_| VaultError::NoEntropy)?);
    let mut kept = Zeroizing::new(Vec::with_capacity(KEPT_SEALING_BYTES));
    kept.push(u8::from(Suite::XWing));
    kept.extend_from_slice(seed.as_slice());
    Ok(vault.put("sealing", &kept)?)
}

/// Takes up the sealing keys kept before, the newest first.
///
/// # Errors
/// [`ProvisioningError`].
pub fn sealing_keys(vault: &dyn Vault) -> Result<Vec<SealingSecret>, ProvisioningError> {
    let kept = vault.get("sealing")?.ok_or(ProvisioningError::Missing("sealing"))?;
    let unreadable = || ProvisioningError::Unreadable("sealing");
    let (keys, rest) = kept.as_chunks::<KEPT_SEALING_BYTES>();
    if keys.is_empty() || !rest.is_empty() {
        return Err(unreadable());
    }
    let read = |kept: &[u8; KEPT_SEALING_BYTES]| {
        let (suite, seed) = kept.split_first()?;
        let suite = Suite::try_from(*suite).ok()?;
        Some(SealingSecret::from_seed(suite, seed.try_into().ok()?))
    };
    keys.iter().map(|kept| read(kept).ok_or_else(unreadable)).collect()
}

/// The key new streams are sealed to.
///
/// # Errors
/// [`ProvisioningError`].
pub fn sealing_public(vault: &dyn Vault) -> Result<SealingPublic, ProvisioningError> {
    let keys = sealing_keys(vault)?;
    keys.first().map(SealingSecret::public).ok_or(ProvisioningError::Missing("sealing"))
}
