//! Somebody who reads behind the door's TLS: what a broker in the door's place would see of a hub that runs.
//!
//! A hub is made to trust the tap besides its server; the tap shows the door the hub's own certificate.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::Value;
use tests::hub::Hub;
use tests::server::SERVER_NAME;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Octets read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// What went over, in clear, one stretch of bytes each way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overheard {
    pub(crate) up: Vec<u8>,
    pub(crate) down: Vec<u8>,
}

/// Listens until it is dropped.
pub(crate) struct Tap {
    overheard: Arc<Mutex<Overheard>>,
    // Dropped, it ends its tasks.
    _runtime: tokio::runtime::Runtime,
}

impl Tap {
    /// Between a hub, which must not run yet, and a door.
    pub(crate) fn between(hub: &Hub, door: SocketAddr) -> Self {
        let upstream = as_hub(hub);
        let (root, downstream) = as_server();
        trust(&hub.enrolment(), &root);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        hub.reach_door_at(address).unwrap();
        let overheard = Arc::<Mutex<Overheard>>::default();
        let hears = Arc::clone(&overheard);
        let (acceptor, connector) = (TlsAcceptor::from(downstream), TlsConnector::from(upstream));
        runtime.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, connector, hears) = (acceptor.clone(), connector.clone(), Arc::clone(&hears));
                connections.spawn(async move {
                    // A connection that fails is tried again by the hub, and seen by the test in what is missing.
                    let _ = pass(socket, door, &acceptor, &connector, &hears).await;
                });
            }
        });
        Self { overheard, _runtime: runtime }
    }

    /// Everything so far.
    pub(crate) fn overheard(&self) -> Overheard {
        self.overheard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The hub's own certificate and key, towards the real door.
fn as_hub(hub: &Hub) -> Arc<ClientConfig> {
    let enrolment: Value = serde_json::from_str(&std::fs::read_to_string(hub.enrolment()).unwrap()).unwrap();
    let text = |key: &str| enrolment[key].as_str().unwrap().to_owned();
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(text("roots_pem").as_bytes()) {
        roots.add(root.unwrap()).unwrap();
    }
    let chain = CertificateDer::pem_slice_iter(text("certificate_pem").as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(hub.folder().join("key.pem")).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

/// A root of its own (PEM), and a server of it with the real one's name.
fn as_server() -> (String, Arc<ServerConfig>) {
    let root_key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = parameters.self_signed(&root_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::from_params(&parameters, &root_key);
    let leaf = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    (root.pem(), Arc::new(config))
}

/// Adds a root to those a hub trusts.
fn trust(enrolment: &Path, root_pem: &str) {
    let mut value: Value = serde_json::from_str(&std::fs::read_to_string(enrolment).unwrap()).unwrap();
    let roots = format!("{}\n{root_pem}", value["roots_pem"].as_str().unwrap());
    value["roots_pem"] = roots.into();
    std::fs::write(enrolment, value.to_string()).unwrap();
}

async fn pass(
    socket: TcpStream,
    door: SocketAddr,
    acceptor: &TlsAcceptor,
    connector: &TlsConnector,
    hears: &Mutex<Overheard>,
) -> std::io::Result<()> {
    let near = acceptor.accept(socket).await?;
    let far = connector.connect(ServerName::try_from(SERVER_NAME).unwrap(), TcpStream::connect(door).await?).await?;
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    tokio::select! {
        ended = copy(near_read, far_write, |bytes| hears.lock().unwrap().up.extend_from_slice(bytes)) => ended,
        ended = copy(far_read, near_write, |bytes| hears.lock().unwrap().down.extend_from_slice(bytes)) => ended,
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    hear: impl Fn(&[u8]),
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        hear(&chunk[..count]);
        to.write_all(&chunk[..count]).await?;
        to.flush().await?;
    }
}
