//! The server's sealing keys by their ids.

use std::collections::HashMap;

use shared::id::SealingKeyId;
use shared::sealing::SealingSecret;

use crate::provisioning::secrets::sealing_keys;
use crate::provisioning::{ProvisioningError, Vault};

/// Every sealing key that streams may still be sealed to. The secrets are wiped when it is dropped.
pub struct SealingKeys(HashMap<SealingKeyId, SealingSecret>);

impl SealingKeys {
    /// Takes up the kept keys.
    ///
    /// # Errors
    /// [`ProvisioningError`].
    pub fn load(vault: &dyn Vault) -> Result<Self, ProvisioningError> {
        Ok(sealing_keys(vault)?.into_iter().collect())
    }

    /// The key of this id; `None` if it is retired or was never ours.
    #[must_use]
    pub fn get(&self, id: SealingKeyId) -> Option<&SealingSecret> {
        self.0.get(&id)
    }
}

impl FromIterator<SealingSecret> for SealingKeys {
    fn from_iter<T: IntoIterator<Item = SealingSecret>>(secrets: T) -> Self {
        Self(secrets.into_iter().map(|secret| (secret.public().id(), secret)).collect())
    }
}

impl std::fmt::Debug for SealingKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealingKeys({})", self.0.len())
    }
}
