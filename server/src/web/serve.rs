//! One HTTP/1.1 listener: accepts, shakes hands, serves a router. All connections are its own tasks.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::limits::{
    ACCEPT_PAUSE, CONNECTIONS_MAX, FAREWELL_MAX, HANDSHAKES_MAX, HEAD_BYTES_MAX, HEAD_MAX, HEADERS_MAX, TLS_MAX,
};
use crate::broker::Tls;
use crate::turns::Turns;

/// What a connection is served, given the certificate it showed; `None` closes it.
pub type Site = Arc<dyn Fn(Option<CertificateDer<'static>>) -> BoxFuture<'static, Option<Router>> + Send + Sync>;

/// The same for everybody.
#[must_use]
pub fn open_site(router: Router) -> Site {
    Arc::new(move |_| {
        let router = router.clone();
        Box::pin(async move { Some(router) })
    })
}

/// A listener and what it serves.
pub struct Listener {
    /// Its name in logs.
    pub name: &'static str,
    /// Where.
    pub listener: TcpListener,
    /// TLS; `None` is plain, for loopback alone.
    pub tls: Option<Tls>,
    /// What.
    pub site: Site,
    /// How long a connection may last; `None` where sockets stay open.
    pub connection_max: Option<Duration>,
    /// When cancelled, nothing more is accepted and requests may end.
    pub stop: CancellationToken,
}

impl Listener {
    /// Runs until stopped.
    pub async fn run(self) {
        let shared = Arc::new(Shared {
            tls: self.tls,
            site: self.site,
            connection_max: self.connection_max,
            handshakes: Turns { places: [Arc::new(Semaphore::new(HANDSHAKES_MAX))], wait_max: TLS_MAX },
            stop: self.stop.clone(),
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((socket, _)) if connections.len() < CONNECTIONS_MAX => {
                        let shared = shared.clone();
                        connections.spawn(async move { shared.attend(socket).await });
                    }
                    Ok(_) => tracing::warn!(listener = self.name, "a connection was closed: the listener is full"),
                    Err(error) => {
                        tracing::warn!(listener = self.name, %error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        let ending = async { while connections.join_next().await.is_some() {} };
        // What does not end is cut when the set is dropped.
        let _ = tokio::time::timeout(FAREWELL_MAX, ending).await;
    }
}

struct Shared {
    tls: Option<Tls>,
    site: Site,
    connection_max: Option<Duration>,
    handshakes: Turns<1>,
    stop: CancellationToken,
}

impl Shared {
    async fn attend(&self, socket: TcpStream) {
        // A socket that refuses is about to fail.
        let _ = socket.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, crate::feed::limits::SEND_BUFFER_BYTES);
        let Some(tls) = &self.tls else {
            if let Some(router) = (self.site)(None).await {
                self.serve(socket, router).await;
            }
            return;
        };
        let shaking = async {
            // A place is held while the processor works, and none for who is silent.
            let stream = self.handshakes.take(TlsAcceptor::from(tls.current()).accept(socket)).await.ok()?.ok()?;
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let router = (self.site)(shown.map(|certificate| certificate.clone().into_owned())).await?;
            Some((stream, router))
        };
        if let Ok(Some((stream, router))) = tokio::time::timeout(TLS_MAX, shaking).await {
            self.serve(stream, router).await;
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
        let service = service_fn(move |request: Request<Incoming>| router.clone().call(request));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
        builder.max_header_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
        let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::pin!(connection);
        let limit = async {
            match self.connection_max {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        // A connection's own end, orderly or not, is the client's affair.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = limit => {}
            () = self.stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(FAREWELL_MAX, connection).await;
    }
}
