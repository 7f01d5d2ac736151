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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::tests::authority::Authority;
    use crate::broker::{Tls, identity::Identity};
    use crate::web::serve::Listener;
    use rustls::version::TLS13;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;
    use tokio_rustls::TlsConnector;

    const HUB: HubId = HubId::from_bytes([1; 16]);
    const STRANGER: HubId = HubId::from_bytes([2; 16]);

    struct Store;

    impl Admission for Store {
        fn admits<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<bool, Unanswered>> {
            Box::pin(async { Ok(identity.hub != STRANGER) })
        }

        fn connected(&self, _: HubId, _: bool) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
    }

    impl SettingsSource for Store {
        fn signed_settings(&self, hub: HubId) -> BoxFuture<'_, Result<Option<Vec<u8>>, Unanswered>> {
            Box::pin(async move { Ok((hub == HUB).then(|| b"settings of the first".to_vec())) })
        }
    }

    async fn ask(address: SocketAddr, authority: &Authority, hub: Option<HubId>, path: &str) -> Option<String> {
        let config = authority.client(hub.map(|hub| authority.hub(hub, 7)), &TLS13);
        let socket = TcpStream::connect(address).await.unwrap();
        let mut stream = TlsConnector::from(config).connect("localhost".try_into().unwrap(), socket).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        (!answer.is_empty()).then_some(answer)
    }

    #[tokio::test]
    async fn each_hub_gets_its_own_settings_and_nothing_else() {
        let authority = Authority::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::new());
        let listener = Listener {
            name: "hub_https",
            listener,
            tls: Some(Tls::for_hubs(&authority.material(&[9])).unwrap()),
            site: site(Arc::new(Store), Arc::new(Store), metrics.clone()),
            connection_max: Some(super::super::limits::CONNECTION_MAX),
            stop: tokio_util::sync::CancellationToken::new(),
        };
        let mut owner = JoinSet::new();
        owner.spawn(listener.run());
        let path = "/hub/v1/settings";
        let answer = ask(address, &authority, Some(HUB), path).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("settings of the first"), "{answer}");
        assert!(answer.contains("content-type: application/octet-stream"), "{answer}");
        let other = ask(address, &authority, Some(HubId::from_bytes([3; 16])), path).await.unwrap();
        assert!(other.starts_with("HTTP/1.1 404") && other.contains("enrol the hub"), "{other}");
        let elsewhere = ask(address, &authority, Some(HUB), "/v1/feed").await.unwrap();
        assert!(elsewhere.starts_with("HTTP/1.1 404") && elsewhere.contains("remedy"), "{elsewhere}");
        assert_eq!(ask(address, &authority, Some(STRANGER), path).await, None);
        assert_eq!(metrics.refusals("not_admitted"), 1);
        assert_eq!(ask(address, &authority, None, path).await, None);
    }
}
