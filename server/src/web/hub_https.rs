//! The hubs' HTTPS door: the same certificates as the MQTT door; a hub gets what is its own and nothing else.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::future::BoxFuture;
use rustls_pki_types::CertificateDer;
use shared::id::HubId;

use super::error::Problem;
use super::limits::BODY_BYTES_MAX;
use super::serve::Site;
use crate::broker::{Admission, Refusal, Unanswered, identity};
use crate::web::metrics::Metrics;

/// A hub's settings, signed by the control key.
pub trait SettingsSource: Send + Sync + 'static {
    /// postcard of the hub's `SignedSettings`; `None` if it has none.
    ///
    /// # Errors
    /// [`Unanswered`]
    fn signed_settings(&self, hub: HubId) -> BoxFuture<'_, Result<Option<Vec<u8>>, Unanswered>>;
}

#[derive(Clone)]
struct Served {
    hub: HubId,
    settings: Arc<dyn SettingsSource>,
}

/// The site: each connection is served what is its hub's.
#[must_use]
pub fn site(admission: Arc<dyn Admission>, settings: Arc<dyn SettingsSource>, metrics: Arc<Metrics>) -> Site {
    Arc::new(move |certificate| {
        let (admission, settings, metrics) = (admission.clone(), settings.clone(), metrics.clone());
        Box::pin(async move {
            let hub = match admit(certificate, &*admission).await {
                Ok(hub) => hub,
                Err(refusal) => {
                    metrics.refused(refusal.name());
                    return None;
                }
            };
            Some(router(Served { hub, settings }))
        })
    })
}

async fn admit(certificate: Option<CertificateDer<'static>>, admission: &dyn Admission) -> Result<HubId, Refusal> {
    let certificate = certificate.ok_or(Refusal::Certificate)?;
    let identity = identity::read(&certificate).map_err(|_| Refusal::Certificate)?;
    match admission.admits(&identity).await {
        Ok(true) => Ok(identity.hub),
        Ok(false) => Err(Refusal::NotAdmitted),
        Err(Unanswered) => Err(Refusal::StoreSilent),
    }
}

fn router(served: Served) -> Router {
    Router::new()
        .route("/hub/v1/settings", get(settings))
        .fallback(async || Problem::NOT_FOUND)
        .method_not_allowed_fallback(async || Problem::METHOD)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(served)
}

async fn settings(State(served): State<Served>) -> Result<impl IntoResponse, Problem> {
    let found = served.settings.signed_settings(served.hub).await.map_err(|Unanswered| Problem::STORE)?;
    let bytes = found.ok_or(Problem::NO_SETTINGS)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")], bytes))
}
