//! Keeps certificates and the revocation list fresh without a restart.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::admin::Office;
use crate::broker::{Tls, TlsMisuse};
use crate::provisioning::ProvisioningError;
use crate::store::owner::StoreHandle;

/// How often certificates and the list are looked at.
const EVERY: Duration = Duration::from_secs(12 * 3600);

/// Renews what the doors show and believe.
pub(super) struct Renewal {
    pub(super) store: StoreHandle,
    pub(super) office: Arc<Office>,
    pub(super) tls: Tls,
    pub(super) feed_tls: Tls,
    pub(super) stop: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
enum NotRenewed {
    #[error(transparent)]
    Provisioning(#[from] ProvisioningError),
    #[error(transparent)]
    Tls(#[from] TlsMisuse),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl Renewal {
    /// Renews twice a day until stopped.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => self.renew().await,
            }
        }
    }

    /// Renews now. Connections that stand are not touched.
    pub(super) async fn renew(&self) {
        let office = Arc::clone(&self.office);
        let (tls, feed_tls) = (self.tls.clone(), self.feed_tls.clone());
        let renewed = self.store.ask(move |store, _, now| -> Result<(), NotRenewed> {
            let material = office.tls(&store.revoked()?, now)?;
            tls.replace(&material)?;
            Ok(feed_tls.replace_for_people(material.certificate_chain, material.key)?)
        });
        match renewed.await {
            Ok(Ok(())) => tracing::info!("certificates and the revocation list are fresh"),
            Ok(Err(error)) => tracing::error!(%error, "certificates or the revocation list could not be renewed"),
            // The server is stopping.
            Err(_) => {}
        }
    }
}
