//! A door and a server in one, small enough to be read: it stores what it opens and answers with receipts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use shared::enrolment::Enrolment;
use shared::id::{HubId, StoreId, StreamId};
use shared::sealing::{SealingSecret, StreamContext, StreamKeys, Suite, derive_stream, identity_digest};
use shared::sequence::Range;
use shared::time::Timestamp;
use shared::topic;
use shared::wire::{
    BindingInForce, DownMessage, Entry, Opening, Receipt, Record, Settings, SignedReceipt, SignedSettings, UpMessage,
    from_bytes, to_bytes,
};

/// What the server holds.
#[derive(Default)]
pub(crate) struct Stored {
    keys: BTreeMap<StreamId, (Suite, StreamKeys)>,
    pub(crate) openings: Vec<Opening>,
    tags: BTreeMap<(StreamId, u64), [u8; 16]>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) repeats: u64,
    pub(crate) batches: u64,
    pub(crate) without_mac: u64,
    pub(crate) conflicts: u64,
    pub(crate) disconnects: u64,
    number: u64,
}

impl Stored {
    pub(crate) fn observations(&self) -> u64 {
        self.entries.iter().filter(|entry| matches!(entry, Entry::Observation(_))).count() as u64
    }

    pub(crate) fn streams(&self) -> BTreeSet<StreamId> {
        self.tags.keys().map(|(stream, _)| *stream).collect()
    }
}

pub(crate) struct Door {
    pub(crate) hub: HubId,
    secret: SealingSecret,
    control: Ed25519KeyPair,
    identity: [u8; 32],
    tls: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    pub(crate) stored: Mutex<Stored>,
    pub(crate) settings: Mutex<(u64, Vec<BindingInForce>)>,
    /// Whether receipts are given.
    pub(crate) answers: AtomicBool,
    /// Whether connections are taken and kept.
    pub(crate) is_open: AtomicBool,
}

fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// One MQTT packet: its first octet and its body.
fn packet(from: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let [first] = bytes(from)?;
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let [octet] = bytes(from)?;
        length |= usize::from(octet & 127) << shift;
        shift += 7;
        if octet < 128 {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((first, body))
}

fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut length = topic.len() + 2 + payload.len();
    let mut packet = vec![0x30];
    loop {
        let more = length > 127;
        packet.push((length & 127) as u8 | if more { 128 } else { 0 });
        length >>= 7;
        if !more {
            break;
        }
    }
    packet.extend((topic.len() as u16).to_be_bytes());
    packet.extend(topic.as_bytes());
    packet.extend(payload);
    packet
}

impl Door {
    /// Makes an authority, enrols the hub whose key lies in `key`, and opens both doors. The enrolment goes to `file`.
    pub(crate) fn open(key: &Path, hub: HubId, file: &Path) -> Arc<Self> {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, authority_key).unwrap();
        let server_key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["server.test".to_owned()]).unwrap();
        let server = server.signed_by(&server_key, &authority).unwrap();
        let hub_key = KeyPair::from_pem(&std::fs::read_to_string(key).unwrap()).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(format!("urn:rpm:hub:{hub}").as_str().try_into().unwrap())];
        let certificate = params.signed_by(&hub_key, &authority).unwrap();

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
        let server_key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![server.der().clone()], server_key)
            .unwrap();
        let mut https = tls.clone();
        https.alpn_protocols = vec![b"http/1.1".to_vec()];
        let identity = agent::identity::Identity::load(key).unwrap();
        let door = Arc::new(Self {
            hub,
            secret: SealingSecret::from_seed(Suite::XWing, [7; 32]),
            control: Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap(),
            identity: identity_digest(identity.subject_public_key_info()),
            tls: Arc::new(tls),
            https: Arc::new(https),
            stored: Mutex::new(Stored::default()),
            settings: Mutex::new((1, Vec::new())),
            answers: AtomicBool::new(true),
            is_open: AtomicBool::new(true),
        });
        let mqtt_address = Self::listen(&door, |door, tcp| door.serve_mqtt(tcp));
        let https_address = Self::listen(&door, |door, tcp| door.serve_https(tcp));
        let enrolment = Enrolment {
            version: 1,
            hub,
            mqtt_address,
            https_address,
            server_name: "server.test".into(),
            roots_pem: authority.pem(),
            certificate_pem: certificate.pem(),
            control_key: shared::hex::encode(door.control.public_key().as_ref()),
            settings: shared::hex::encode(&to_bytes(&door.signed_settings()).unwrap()),
        };
        std::fs::write(file, serde_json::to_vec(&enrolment).unwrap()).unwrap();
        door
    }

    fn listen(door: &Arc<Self>, serve: fn(&Self, TcpStream) -> io::Result<()>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let door = Arc::clone(door);
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let door = Arc::clone(&door);
                if door.is_open.load(Ordering::Relaxed) {
                    std::thread::spawn(move || serve(&door, tcp));
                }
            }
        });
        address
    }

    pub(crate) fn signed_settings(&self) -> SignedSettings {
        let (counter, bindings) = self.settings.lock().unwrap().clone();
        let settings = Settings {
            hub: self.hub,
            counter,
            issued: Timestamp::from_millis(0),
            bindings,
            sealing_key: self.secret.public(),
        };
        let body = to_bytes(&settings).unwrap();
        let signature = self.control.sign(&SignedSettings::signed_bytes(&body)).as_ref().to_vec();
        SignedSettings { body, signature }
    }

    fn serve_https(&self, tcp: TcpStream) -> io::Result<()> {
        let connection = ServerConnection::new(Arc::clone(&self.https)).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(connection, tcp);
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(bytes::<1>(&mut tls)?[0]);
        }
        assert!(request.starts_with(b"GET /hub/v1/settings HTTP/1.1\r\n"));
        let body = to_bytes(&self.signed_settings()).unwrap();
        write!(tls, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len())?;
        tls.write_all(&body)?;
        tls.flush()
    }

    fn serve_mqtt(&self, tcp: TcpStream) -> io::Result<()> {
        tcp.set_read_timeout(Some(Duration::from_millis(50)))?;
        let connection = ServerConnection::new(Arc::clone(&self.tls)).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(connection, tcp);
        loop {
            let mut patient = Patient { door: self, tls: &mut tls };
            let (first, body) = packet(&mut patient)?;
            match first >> 4 {
                1 => tls.write_all(&[0x20, 2, 0, 0])?,
                8 => {
                    tls.write_all(&[0x90, 3, body[0], body[1], 0])?;
                    let waiting = DownMessage::SettingsWaitingV1(self.settings.lock().unwrap().0);
                    tls.write_all(&publish(&topic::down(self.hub), &to_bytes(&waiting).unwrap()))?;
                }
                3 => {
                    let topic_length = usize::from(u16::from_be_bytes([body[0], body[1]]));
                    assert_eq!(&body[2..2 + topic_length], topic::up(self.hub).as_bytes());
                    let rest = &body[2 + topic_length..];
                    let answer = self.take(&rest[2..]);
                    tls.write_all(&[0x40, 2, rest[0], rest[1]])?;
                    if let Some(answer) = answer.filter(|_| self.answers.load(Ordering::Relaxed)) {
                        tls.write_all(&publish(&topic::down(self.hub), &to_bytes(&answer).unwrap()))?;
                    }
                }
                12 => tls.write_all(&[0xd0, 0])?,
                14 => {
                    self.stored.lock().unwrap().disconnects += 1;
                    return Ok(());
                }
                other => panic!("packet {other}"),
            }
            tls.flush()?;
        }
    }

    fn take(&self, payload: &[u8]) -> Option<DownMessage> {
        let UpMessage::BatchV1(wire) = from_bytes(payload).unwrap();
        let batch = wire.read().unwrap();
        let stored = &mut *self.stored.lock().unwrap();
        stored.batches += 1;
        let stream = batch.header.stream;
        if let Some(opening) = &batch.opening
            && !stored.keys.contains_key(&stream)
        {
            let opening = opening.read().unwrap();
            let context = StreamContext {
                hub: self.hub,
                stream,
                sealing_key: opening.sealing_key,
                identity_digest: self.identity,
            };
            let keys = derive_stream(&self.secret, &context, &opening.encapsulation).unwrap();
            assert_eq!(keys.check, opening.key_check);
            stored.keys.insert(stream, (opening.suite, keys));
            stored.openings.push(opening);
        }
        let Some((suite, keys)) = stored.keys.get(&stream) else { return Some(DownMessage::OpeningWantedV1(stream)) };
        match &wire.mac {
            Some(mac) => assert!(keys.batch.verifies(&wire.header, &wire.records, mac)),
            None => stored.without_mac += 1,
        }
        for record in &batch.records {
            match stored.tags.insert((stream, record.sequence.get()), record.tag()) {
                None => {
                    let plain = keys.record.open(*suite, self.hub, stream, record).unwrap();
                    let Record::V1(entries) = from_bytes(&plain).unwrap();
                    stored.entries.extend(entries);
                }
                Some(tag) if tag == record.tag() => stored.repeats += 1,
                Some(_) => stored.conflicts += 1,
            }
        }
        stored.number += 1;
        let held = stored.tags.keys().filter(|(of, _)| *of == stream);
        let receipt = Receipt {
            store: StoreId::from_bytes([1; 16]),
            number: stored.number,
            hub: self.hub,
            stream,
            known: true,
            stored: held.map(|(_, number)| Range::one(shared::sequence::Sequence::new(*number).unwrap())).collect(),
            quarantined: Vec::new(),
            safe: 0,
            server_time: Timestamp::from_millis(0),
        };
        Some(DownMessage::ReceiptV1(SignedReceipt::new(&receipt, &keys.receipt).unwrap()))
    }
}

/// Reads on through timeouts while the door is open.
struct Patient<'a> {
    door: &'a Door,
    tls: &'a mut StreamOwned<ServerConnection, TcpStream>,
}

impl Read for Patient<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.door.is_open.load(Ordering::Relaxed) {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                }
                other => return other,
            }
        }
    }
}
