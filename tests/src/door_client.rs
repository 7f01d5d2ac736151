//! A hub as the door sees it, made by hand: its TLS, the octets of its packets, and batches sealed like an agent's.
//! What the real agent would never send can be sent with it.

pub mod attempts;
pub mod packets;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::{AlertDescription, ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use shared::enrolment::Enrolment;
use shared::id::{BootId, HubId, StreamId};
use shared::sealing::{RecordPlace, SealingPublic, StreamContext, StreamKeys, Suite, begin_stream, identity_digest};
use shared::sequence::{Range, Sequence};
use shared::time::{ClockState, Tick, Timestamp};
use shared::topic;
use shared::wire::{
    DownMessage, Entry, Opening, PreviousStream, Receipt, Record, SignedOpening, SignedSettings, UpMessage, WireBatch,
    from_bytes, to_bytes,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// DER of a P-256 SubjectPublicKeyInfo up to the point (RFC 5480 §2).
const P256_SPKI_PREFIX: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
/// How long an answer may take before it counts as none.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A hub's certificate chain and key.
#[derive(Debug)]
pub struct Shown {
    /// The chain, its own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

/// Who an enrolled hub is, and whom it trusts.
pub struct HubKeys {
    /// Its name.
    pub hub: HubId,
    /// TLS as it.
    pub tls: Arc<ClientConfig>,
    /// PEM of the roots it pins.
    pub roots_pem: String,
    /// What it seals to.
    pub sealing: SealingPublic,
    pkcs8: Vec<u8>,
}

impl HubKeys {
    /// Reads the key and enrolment of a hub's folder.
    ///
    /// # Errors
    /// If one is missing or unreadable.
    pub fn load(folder: &Path) -> anyhow::Result<Self> {
        let enrolment = serde_json::from_slice(&std::fs::read(folder.join("enrolment.json"))?)?;
        let key = PrivatePkcs8KeyDer::from_pem_file(folder.join("key.pem"))?;
        Self::of(enrolment, key.secret_pkcs8_der().to_vec())
    }

    /// Of an enrolment and the key it is for (PKCS#8).
    ///
    /// # Errors
    /// If they are unreadable or do not fit together.
    pub fn of(enrolment: Enrolment, pkcs8: Vec<u8>) -> anyhow::Result<Self> {
        let settings = shared::hex::decode(&enrolment.settings).context("the settings are not hexadecimal")?;
        let settings = from_bytes::<SignedSettings>(&settings)?.read()?;
        let chain = chain(&enrolment.certificate_pem)?;
        let key = PrivatePkcs8KeyDer::from(pkcs8.clone()).into();
        let tls = client_config(&enrolment.roots_pem, Some(Shown { chain, key }))?;
        let (hub, roots_pem) = (enrolment.hub, enrolment.roots_pem);
        Ok(Self { hub, tls, roots_pem, sealing: settings.sealing_key, pkcs8 })
    }

    /// Its key, for a certificate that others made for it.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pkcs8.clone()).into()
    }

    /// Begins a stream of it, its first.
    ///
    /// # Errors
    /// If it cannot be sealed or signed.
    pub fn stream(&self, wall: Timestamp) -> anyhow::Result<SealedStream> {
        self.stream_after(None, wall)
    }

    /// Begins a stream of it, its hub's clock at 0.
    ///
    /// # Errors
    /// If it cannot be sealed or signed.
    pub fn stream_after(&self, previous: Option<PreviousStream>, wall: Timestamp) -> anyhow::Result<SealedStream> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8, &random);
        let pair = pair.ok().context("the key is not P-256 in PKCS#8")?;
        let prefix = shared::hex::decode(P256_SPKI_PREFIX).context("the prefix")?;
        let identity_digest = identity_digest(&[prefix.as_slice(), pair.public_key().as_ref()].concat());
        let stream = StreamId::from_bytes(runtime::entropy::array()?);
        let sealing_key = self.sealing.id();
        let context = StreamContext { hub: self.hub, stream, sealing_key, identity_digest };
        let (encapsulation, keys) = begin_stream(&self.sealing, &context, &mut runtime::entropy::rng())?;
        let opening = Opening {
            suite: self.sealing.suite,
            hub: self.hub,
            stream,
            previous,
            bindings: Vec::new(),
            sealing_key,
            encapsulation,
            key_check: keys.check,
            boot: BootId::from_bytes(runtime::entropy::array()?),
            tick: Tick::from_millis(0),
            wall,
            clock: ClockState::Synchronised,
            agent_version: "test".into(),
        };
        let body = to_bytes(&opening)?;
        let signature = pair.sign(&random, &SignedOpening::signed_bytes(&body)).ok().context("no randomness")?;
        let signature = signature.as_ref().to_vec();
        let (hub, suite) = (self.hub, self.sealing.suite);
        Ok(SealedStream { hub, suite, stream, keys, opening: SignedOpening { body, signature }, next: Sequence::FIRST })
    }
}

/// A stream of a hub, from its first record on.
pub struct SealedStream {
    hub: HubId,
    suite: Suite,
    stream: StreamId,
    keys: StreamKeys,
    opening: SignedOpening,
    next: Sequence,
}

impl SealedStream {
    /// The next record in a batch of its own, with the opening; and its place.
    ///
    /// # Errors
    /// If it cannot be sealed.
    pub fn batch(&mut self, tick: Tick) -> anyhow::Result<(Sequence, Vec<u8>)> {
        let entries = vec![Entry::Void(Range::one(self.next))];
        self.seal(tick, true, entries, true)
    }

    /// The next record, of these entries, in a batch of its own; and its place. `sent` is the hub's clock.
    ///
    /// # Errors
    /// If it cannot be sealed.
    pub fn seal(
        &mut self,
        sent: Tick,
        keep: bool,
        entries: Vec<Entry>,
        with_opening: bool,
    ) -> anyhow::Result<(Sequence, Vec<u8>)> {
        let sequence = self.next;
        Ok((sequence, self.seal_all(sent, keep, vec![entries], with_opening)?))
    }

    /// The next records, each of these entries, in one batch. `sent` is the hub's clock.
    ///
    /// # Errors
    /// If it cannot be sealed, or is too large.
    pub fn seal_all(
        &mut self,
        sent: Tick,
        keep: bool,
        records: Vec<Vec<Entry>>,
        with_opening: bool,
    ) -> anyhow::Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(records.len());
        for entries in records {
            let sequence = self.next;
            self.next = sequence.next().context("the stream is at its end")?;
            let plaintext = to_bytes(&Record::V1(entries))?;
            let place = RecordPlace { suite: self.suite, hub: self.hub, stream: self.stream, sequence, keep };
            sealed.push(self.keys.record.seal(&place, runtime::entropy::array()?, &plaintext)?);
        }
        let opening = with_opening.then(|| self.opening.clone());
        let batch = WireBatch::new(self.hub, self.stream, Some((sent, &self.keys.batch)), opening, &sealed)?;
        Ok(to_bytes(&UpMessage::BatchV1(batch))?)
    }

    /// What its hub's next stream says of it, if everything sealed so far is durable.
    #[must_use]
    pub fn ended(&self) -> PreviousStream {
        PreviousStream { stream: self.stream, last_durable: self.next.get().saturating_sub(1) }
    }

    /// The receipt in a message, if it is one of this stream and nobody else made it.
    #[must_use]
    pub fn receipt(&self, message: &[u8]) -> Option<Receipt> {
        let Ok(DownMessage::ReceiptV1(signed)) = from_bytes(message) else { return None };
        signed.verify(&self.keys.receipt).ok().filter(|receipt| receipt.stream == self.stream)
    }
}

/// The certificates of a PEM, the first first.
///
/// # Errors
/// If it is unreadable.
pub fn chain(pem: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
}

/// TLS towards the door with a certificate, or none.
///
/// # Errors
/// If the parts do not fit together.
pub fn client_config(roots_pem: &str, shown: Option<Shown>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for root in chain(roots_pem)? {
        roots.add(root)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    Ok(Arc::new(match shown {
        Some(shown) => builder.with_client_auth_cert(shown.chain, shown.key)?,
        None => builder.with_no_client_auth(),
    }))
}

/// A connection to the door, with TLS.
pub struct DoorClient {
    /// The stream.
    pub stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

/// Connects from an address of this machine.
///
/// # Errors
/// The system's.
pub async fn dial(door: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(door).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl DoorClient {
    /// Shakes hands. That the door takes the client's certificate is seen only when it answers.
    ///
    /// # Errors
    /// The connection's or TLS's.
    pub async fn shake_hands(door: SocketAddr, from: Option<IpAddr>, tls: Arc<ClientConfig>) -> io::Result<Self> {
        Self::shake_hands_over(dial(door, from).await?, tls).await
    }

    /// Shakes hands over a connection that is there.
    ///
    /// # Errors
    /// The connection's or TLS's.
    pub async fn shake_hands_over(socket: TcpStream, tls: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(crate::server::SERVER_NAME).map_err(io::Error::other)?;
        let stream = TlsConnector::from(tls).connect(name, socket).await?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Comes in as the hub and listens for its messages.
    ///
    /// # Errors
    /// If the door does not let it in.
    pub async fn enter(door: SocketAddr, keys: &HubKeys) -> anyhow::Result<Self> {
        Self::enter_over(dial(door, None).await?, keys).await
    }

    /// The same over a connection that is there.
    ///
    /// # Errors
    /// If the door does not let it in.
    pub async fn enter_over(socket: TcpStream, keys: &HubKeys) -> anyhow::Result<Self> {
        let mut client = Self::shake_hands_over(socket, keys.tls.clone()).await?;
        client.send(&packets::connect(&packets::Connect::of(&keys.hub.to_string()))).await?;
        anyhow::ensure!(client.packet().await? == [0x20, 2, 0, 0], "CONNACK is no welcome");
        client.send(&packets::subscribe(1, &topic::down(keys.hub), 0)).await?;
        anyhow::ensure!(client.packet().await? == [0x90, 3, 0, 1, 0], "SUBACK is no welcome");
        Ok(client)
    }

    /// Sends octets.
    ///
    /// # Errors
    /// The connection's.
    pub async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// The next packet, whole.
    ///
    /// # Errors
    /// If the connection ends, or nothing comes for [`ANSWER_WITHIN`].
    pub async fn packet(&mut self) -> io::Result<Vec<u8>> {
        tokio::time::timeout(ANSWER_WITHIN, self.packet_unhurried()).await?
    }

    /// The next packet, whole, however long it takes. May be dropped half-way and called again.
    ///
    /// # Errors
    /// If the connection ends.
    pub async fn packet_unhurried(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(length) = packets::length(&self.read)
                && self.read.len() >= length
            {
                let rest = self.read.split_off(length);
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The octets until the door closes, and the TLS alert it closed with, if it did not close in order.
    ///
    /// # Errors
    /// If it does not close within [`ANSWER_WITHIN`].
    pub async fn end(&mut self) -> io::Result<(Vec<u8>, Option<AlertDescription>)> {
        let mut read = std::mem::take(&mut self.read);
        let ended = tokio::time::timeout(ANSWER_WITHIN, self.stream.read_to_end(&mut read)).await?;
        Ok((read, ended.err().as_ref().and_then(alert)))
    }
}

/// The alert in an error of TLS.
#[must_use]
pub fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}
