//! A clinician's screen without a screen: a WebSocket client of the feed that believes nothing.
//!
//! It checks that `n` counts 1, 2, 3 … on each connection, keeps the newest cursor, and resumes with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures_util::StreamExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};

/// How to reach a feed.
#[derive(Clone)]
pub struct FeedAccess {
    /// Its address.
    pub address: SocketAddr,
    /// The name in its certificate.
    pub server_name: String,
    /// PEM of the roots it is trusted by.
    pub roots_pem: String,
    /// A clinician's token.
    pub token: String,
}

/// One connection to the feed.
pub struct FeedClient {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    expected: u64,
    cursor: Option<String>,
}

/// TLS 1.3 that trusts these roots.
///
/// # Errors
/// If the text holds no certificate.
pub fn tls(roots_pem: &str) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(certificate.map_err(|error| anyhow!("no certificate: {error}"))?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

impl FeedClient {
    /// Connects; with a cursor, resumes after it.
    ///
    /// # Errors
    /// If the feed cannot be reached or refuses.
    pub async fn connect(access: &FeedAccess, cursor: Option<&str>) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(access.address).await.context("the feed cannot be reached")?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(access.server_name.clone())?;
        let tls = TlsConnector::from(tls(&access.roots_pem)?).connect(name, tcp).await.context("no TLS")?;
        let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let mut request = format!("wss://{}/v1/feed{query}", access.server_name).into_client_request()?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", access.token))?;
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = tokio_tungstenite::client_async(request, tls).await.context("the feed refuses")?;
        Ok(Self { socket, expected: 1, cursor: cursor.map(str::to_owned) })
    }

    /// The newest cursor.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The next message; `None` when the feed has closed.
    ///
    /// # Errors
    /// If the connection breaks, a message is no JSON object, or its number is not the next one.
    pub async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            match self.socket.next().await {
                None | Some(Err(WebSocketError::ConnectionClosed)) => return Ok(None),
                Some(Ok(Message::Text(text))) => return self.take(text.as_str()).map(Some),
                Some(Ok(Message::Close(frame))) => {
                    if let Some(frame) = frame.filter(|frame| !frame.reason.is_empty()) {
                        bail!("the feed closed: {}", frame.reason);
                    }
                    return Ok(None);
                }
                // Pings are answered by the library with the next read.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("the feed broke off"),
            }
        }
    }

    /// The next message, if one comes in time.
    ///
    /// # Errors
    /// As [`FeedClient::next`].
    pub async fn next_within(&mut self, time: Duration) -> anyhow::Result<Option<Value>> {
        match tokio::time::timeout(time, self.next()).await {
            Ok(message) => message,
            Err(_) => Ok(None),
        }
    }

    fn take(&mut self, text: &str) -> anyhow::Result<Value> {
        let message: Value = serde_json::from_str(text).context("a message that is no JSON")?;
        let number = message.get("n").and_then(Value::as_u64);
        if number != Some(self.expected) {
            bail!("a gap in the feed: message {} came as {number:?}", self.expected);
        }
        self.expected += 1;
        if let Some(cursor) = message.get("cursor").and_then(Value::as_str) {
            self.cursor = Some(cursor.to_owned());
        }
        Ok(message)
    }
}
