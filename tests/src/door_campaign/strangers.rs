//! Those who have no good certificate, with TLS and without.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::case::{Case, Class};
use super::credentials::Credentials;
use super::draw::Draw;
use super::ground::{Ground, address};
use super::hello::Hello;
use crate::door_client::DoorClient;
use crate::door_client::packets::{Connect, connect};

/// Between two octets of one that is slow.
const LORIS_EVERY: Duration = Duration::from_millis(200);
/// Connections of one address that have not proved who they are, at most: what the door says of itself.
const STRANGERS_PER_ADDRESS_MAX: usize = 512;
/// Addresses that many silent ones come from, and how many of each: nine times as many as there are turns at a
/// handshake.
const SILENT_ADDRESSES: usize = 8;
/// See [`SILENT_ADDRESSES`].
const SILENT_OF_EACH: usize = 72;
/// How long a hub's handshake may take beside them, on a machine that all others attack as well.
const IN_WITHIN: Duration = Duration::from_secs(5);

/// What strangers know.
pub struct Strangers {
    /// What the door is and what became of cases.
    pub ground: Arc<Ground>,
    /// What a hub says first.
    pub hello: Hello,
    /// All that hubs said in whole sessions, by connection.
    pub recordings: Vec<Vec<u8>>,
    /// What they show.
    pub credentials: Credentials,
}

impl Strangers {
    /// Does a case. It is counted by the caller.
    pub async fn attack(&self, case: Case) {
        let Case { class, mut draw, .. } = case;
        let draw = &mut draw;
        let done = match class {
            Class::Silence => self.silence(draw).await,
            Class::Loris => self.loris(draw).await,
            Class::Flood => self.flood(draw).await,
            Class::SilentMany => self.silent_many(draw).await,
            Class::NoCertificate => self.shake_hands(class, draw, self.credentials.none()).await,
            Class::ForeignRoot => {
                let tls = self.credentials.foreign(draw);
                self.shake_hands(class, draw, tls).await
            }
            Class::TornCertificate => {
                let tls = self.credentials.torn(draw);
                self.shake_hands(class, draw, tls).await
            }
            Class::CutHandshake => self.cut(draw).await,
            _ => self.plain(class, draw).await,
        };
        // Only opening a connection ends here: what the door does afterwards is its own business. Counted already.
        drop(done);
    }

    /// Octets, then the end: the door closes.
    async fn plain(&self, class: Class, draw: &mut Draw) -> io::Result<()> {
        let mut socket = self.ground.dial(Some(address(draw))).await?;
        if class == Class::Reset {
            socket.set_zero_linger()?;
            return Ok(());
        }
        let octets = self.octets(class, draw);
        let most = if draw.once_in(8) { 4 } else { 1 };
        for piece in draw.pieces(&octets, most) {
            // The door may have closed already.
            if piece.is_empty() || socket.write_all(piece).await.is_err() {
                break;
            }
        }
        let _ = socket.shutdown().await;
        self.ground.is_closed(class, &mut socket).await;
        self.ground.expect("tls", 1);
        Ok(())
    }

    fn octets(&self, class: Class, draw: &mut Draw) -> Vec<u8> {
        match class {
            Class::Octets => {
                let count = if draw.once_in(10) { draw.between(256, 16_384) } else { draw.between(1, 256) };
                let mut octets = draw.octets(count);
                if draw.once_in(4) {
                    // A header of TLS before it, so that it is looked into.
                    octets.splice(0..0, [*draw.of(&[20, 21, 22, 23, 24]).unwrap_or(&22), 3, 1, 0, draw.octet()]);
                }
                octets
            }
            Class::Hello => self.hello.changed(draw),
            Class::Recording => draw.of(&self.recordings).cloned().unwrap_or_default(),
            Class::OldTls => self.hello.without_tls_1_3().wire(),
            Class::Http => {
                let path = shared::hex::encode(&draw.octets(8));
                format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
            }
            Class::PlainMqtt => {
                let id = shared::hex::encode(&draw.octets(16));
                let genuine = connect(&Connect::of(&id));
                if draw.once_in(2) { draw.torn(&genuine) } else { genuine }
            }
            _ => Vec::new(),
        }
    }

    /// Says nothing more: the door must end it.
    async fn silence(&self, draw: &mut Draw) -> io::Result<()> {
        let from = Some(address(draw));
        if draw.once_in(3) {
            let mut client =
                DoorClient::shake_hands_over(self.ground.dial(from).await?, self.credentials.hub(draw)).await?;
            if client.end().await.is_err() {
                self.ground.complain("Silence: the door waits for CONNECT for ever".into());
            }
            self.ground.expect("connect_timeout", 1);
            return Ok(());
        }
        let mut socket = self.ground.dial(from).await?;
        let wire = self.hello.wire();
        let said = if draw.once_in(2) { 0 } else { draw.below(wire.len()) };
        socket.write_all(wire.get(..said).unwrap_or_default()).await?;
        self.ground.is_closed(Class::Silence, &mut socket).await;
        self.ground.expect("tls_timeout", 1);
        Ok(())
    }

    async fn loris(&self, draw: &mut Draw) -> io::Result<()> {
        let mut socket = self.ground.dial(Some(address(draw))).await?;
        for octet in self.hello.wire() {
            let mut answer = [0; 64];
            if socket.write_all(&[octet]).await.is_err() {
                break;
            }
            match tokio::time::timeout(LORIS_EVERY, socket.read(&mut answer)).await {
                Err(_) => {}
                Ok(Ok(count)) if count > 0 => {}
                Ok(_) => break,
            }
        }
        self.ground.is_closed(Class::Loris, &mut socket).await;
        self.ground.expect("tls_timeout", 1);
        Ok(())
    }

    /// One address, more connections than it may have; those beyond are closed at once.
    async fn flood(&self, draw: &mut Draw) -> io::Result<()> {
        let beyond = draw.between(1, 88);
        let from = Some(address(draw));
        let mut held: Vec<TcpStream> = Vec::new();
        for _ in 0..STRANGERS_PER_ADDRESS_MAX + beyond {
            held.push(self.ground.dial(from).await?);
        }
        for socket in held.iter_mut().skip(STRANGERS_PER_ADDRESS_MAX) {
            self.ground.is_closed(Class::Flood, socket).await;
        }
        // Some of those before may have ended meanwhile, of others from this address: no number is certain but one.
        self.ground.expect("address_full", 1);
        Ok(())
    }

    /// Many say nothing, from several addresses; a hub shakes hands meanwhile.
    async fn silent_many(&self, draw: &mut Draw) -> io::Result<()> {
        let mut held: Vec<TcpStream> = Vec::new();
        for _ in 0..SILENT_ADDRESSES {
            let from = Some(address(draw));
            for _ in 0..SILENT_OF_EACH {
                held.push(self.ground.dial(from).await?);
                // Ends before TLS.
                self.ground.expect("tls", 1);
            }
        }
        let socket = self.ground.dial(Some(address(draw))).await?;
        let shaking = DoorClient::shake_hands_over(socket, self.credentials.hub(draw));
        match tokio::time::timeout(IN_WITHIN, shaking).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.ground.complain(format!("SilentMany: a hub was refused: {error}")),
            Err(_) => {
                let limit = IN_WITHIN.as_secs();
                self.ground.complain(format!("SilentMany: a hub's handshake took over {limit} s"));
            }
        }
        Ok(())
    }

    /// The whole handshake, with what is no good; the door says so, at the latest with its first answer.
    async fn shake_hands(&self, class: Class, draw: &mut Draw, tls: Option<Arc<ClientConfig>>) -> io::Result<()> {
        let Some(tls) = tls else {
            self.ground.complain(format!("{class:?}: there is nothing to show"));
            return Ok(());
        };
        let socket = self.ground.dial(Some(address(draw))).await?;
        self.ground.expect("tls", 1);
        let Ok(mut client) = DoorClient::shake_hands_over(socket, tls).await else { return Ok(()) };
        let _ = client.send(&connect(&Connect::of(&self.credentials.name(draw)))).await;
        match client.end().await {
            Ok((answer, _)) if answer.is_empty() => {}
            Ok(_) => self.ground.complain(format!("{class:?}: the door answered")),
            Err(_) => self.ground.complain(format!("{class:?}: the door did not close")),
        }
        Ok(())
    }

    /// A hub's own handshake, after which the connection ends before CONNECT.
    async fn cut(&self, draw: &mut Draw) -> io::Result<()> {
        let socket = self.ground.dial(Some(address(draw))).await?;
        if draw.once_in(2) {
            socket.set_zero_linger()?;
        }
        let client = DoorClient::shake_hands_over(socket, self.credentials.hub(draw)).await;
        if client.is_err() {
            self.ground.complain("CutHandshake: a good certificate was refused".into());
        }
        Ok(())
    }
}
