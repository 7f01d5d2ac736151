//! A hub as the door sees it, made by hand: its TLS, the octets of its packets, and batches sealed like an agent's.
//! What the real agent would never send can be sent with it.

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
    DownMessage, Entry, Opening, Receipt, Record, SignedOpening, SignedSettings, UpMessage, WireBatch, from_bytes,
    to_bytes,
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
        let enrolment: Enrolment = serde_json::from_slice(&std::fs::read(folder.join("enrolment.json"))?)?;
        let key = PrivatePkcs8KeyDer::from_pem_file(folder.join("key.pem"))?;
        let pkcs8 = key.secret_pkcs8_der().to_vec();
        let settings = shared::hex::decode(&enrolment.settings).context("the settings are not hexadecimal")?;
        let settings = from_bytes::<SignedSettings>(&settings)?.read()?;
        let chain = chain(&enrolment.certificate_pem)?;
        let tls = client_config(&enrolment.roots_pem, Some(Shown { chain, key: key.into() }))?;
        let (hub, roots_pem) = (enrolment.hub, enrolment.roots_pem);
        Ok(Self { hub, tls, roots_pem, sealing: settings.sealing_key, pkcs8 })
    }

    /// Its key, for a certificate that others made for it.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.pkcs8.clone()).into()
    }

    /// Begins a stream of it.
    ///
    /// # Errors
    /// If it cannot be sealed or signed.
    pub fn stream(&self, wall: Timestamp) -> anyhow::Result<SealedStream> {
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
            previous: None,
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
        let sequence = self.next;
        self.next = sequence.next().context("the stream is at its end")?;
        let plaintext = to_bytes(&Record::V1(vec![Entry::Void(Range::one(sequence))]))?;
        let place = RecordPlace { suite: self.suite, hub: self.hub, stream: self.stream, sequence, keep: true };
        let record = self.keys.record.seal(&place, runtime::entropy::array()?, &plaintext)?;
        let (sent, opening) = (Some((tick, &self.keys.batch)), Some(self.opening.clone()));
        let batch = WireBatch::new(self.hub, self.stream, sent, opening, &[record])?;
        Ok((sequence, to_bytes(&UpMessage::BatchV1(batch))?))
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
        let name = ServerName::try_from(crate::server::SERVER_NAME).map_err(io::Error::other)?;
        let stream = TlsConnector::from(tls).connect(name, dial(door, from).await?).await?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Comes in as the hub and listens for its messages.
    ///
    /// # Errors
    /// If the door does not let it in.
    pub async fn enter(door: SocketAddr, keys: &HubKeys) -> anyhow::Result<Self> {
        let mut client = Self::shake_hands(door, None, keys.tls.clone()).await?;
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
        loop {
            if let Some(length) = packets::length(&self.read)
                && self.read.len() >= length
            {
                let rest = self.read.split_off(length);
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            if tokio::time::timeout(ANSWER_WITHIN, self.stream.read_buf(&mut self.read)).await?? == 0 {
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

/// Packets of MQTT 3.1.1 as octets, with anything in their fields.
pub mod packets {
    /// PINGREQ.
    pub const PING: [u8; 2] = [0xc0, 0];
    /// DISCONNECT.
    pub const DISCONNECT: [u8; 2] = [0xe0, 0];

    /// The fields of CONNECT.
    #[derive(Debug, Clone)]
    pub struct Connect<'a> {
        /// The protocol's level.
        pub level: u8,
        /// The flags, without those of `will`.
        pub flags: u8,
        /// In seconds.
        pub keep_alive_s: u16,
        /// The client identifier.
        pub client_id: &'a str,
        /// Topic, content and flags (bits 2 to 5) of a will.
        pub will: Option<(&'a str, &'a str, u8)>,
        /// What follows.
        pub rest: &'a [u8],
    }

    impl<'a> Connect<'a> {
        /// As an honest hub says it.
        #[must_use]
        pub fn of(client_id: &'a str) -> Self {
            Self { level: 4, flags: 0b10, keep_alive_s: 60, client_id, will: None, rest: &[] }
        }
    }

    fn text(into: &mut Vec<u8>, text: &str) {
        into.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        into.extend(text.as_bytes());
    }

    /// A packet of a first octet and a body.
    #[must_use]
    pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![first];
        let mut length = body.len();
        loop {
            let low = u8::try_from(length & 0x7f).unwrap_or(0);
            length >>= 7;
            packet.push(if length == 0 { low } else { low | 0x80 });
            if length == 0 {
                break;
            }
        }
        packet.extend(body);
        packet
    }

    /// CONNECT.
    #[must_use]
    pub fn connect(connect: &Connect<'_>) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, "MQTT");
        body.extend([connect.level, connect.flags | connect.will.map_or(0, |(_, _, flags)| 0b100 | flags)]);
        body.extend(connect.keep_alive_s.to_be_bytes());
        text(&mut body, connect.client_id);
        if let Some((topic, content, _)) = connect.will {
            text(&mut body, topic);
            text(&mut body, content);
        }
        body.extend(connect.rest);
        packet(0x10, &body)
    }

    /// PUBLISH; `flags` are the low four bits, the packet identifier comes where they ask for one.
    #[must_use]
    pub fn publish(flags: u8, topic: &str, packet_id: u16, content: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, topic);
        if flags & 0b110 != 0 {
            body.extend(packet_id.to_be_bytes());
        }
        body.extend(content);
        packet(0x30 | flags, &body)
    }

    /// SUBSCRIBE to one filter.
    #[must_use]
    pub fn subscribe(packet_id: u16, filter: &str, qos: u8) -> Vec<u8> {
        let mut body = packet_id.to_be_bytes().to_vec();
        text(&mut body, filter);
        body.push(qos);
        packet(0x82, &body)
    }

    /// How long the packet is that octets begin with, once that can be told.
    #[must_use]
    pub fn length(octets: &[u8]) -> Option<usize> {
        let mut length = 0;
        for (place, octet) in octets.iter().skip(1).take(4).enumerate() {
            length |= usize::from(octet & 0x7f) << (7 * place);
            if octet & 0x80 == 0 {
                return Some(2 + place + length);
            }
        }
        None
    }

    /// The content of a PUBLISH of QoS 0.
    #[must_use]
    pub fn content(packet: &[u8]) -> Option<&[u8]> {
        let header = packet.iter().skip(1).position(|octet| octet & 0x80 == 0)? + 2;
        let topic = usize::from(u16::from_be_bytes([*packet.get(header)?, *packet.get(header + 1)?]));
        packet.first().filter(|first| **first == 0x30)?;
        packet.get(header + 2 + topic..)
    }
}
