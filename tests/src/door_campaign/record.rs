//! A connection of which everything that is sent is kept, to be sent again by others.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls_pki_types::ServerName;
use shared::topic;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::door_client::HubKeys;
use crate::door_client::packets::{Connect, DISCONNECT, PING, connect, subscribe};

struct Recorder {
    socket: TcpStream,
    sent: Vec<u8>,
}

impl AsyncRead for Recorder {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let recorder = self.get_mut();
        let written = Pin::new(&mut recorder.socket).poll_write(cx, octets);
        if let Poll::Ready(Ok(count)) = &written {
            recorder.sent.extend(octets.iter().take(*count));
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

/// Everything a hub sends in a whole session: handshake, CONNECT, SUBSCRIBE, PINGREQ, a batch, DISCONNECT.
///
/// # Errors
/// The connection's, TLS's, or that the door did not end the session in order.
pub async fn session(socket: TcpStream, keys: &Arc<HubKeys>, publish: &[u8]) -> anyhow::Result<Vec<u8>> {
    let name = ServerName::try_from(crate::server::SERVER_NAME)?;
    let recorder = Recorder { socket, sent: Vec::new() };
    let mut stream = TlsConnector::from(keys.tls.clone()).connect(name, recorder).await?;
    let id = keys.hub.to_string();
    for packet in [&connect(&Connect::of(&id)), &subscribe(1, &topic::down(keys.hub), 0), publish, &PING, &DISCONNECT] {
        stream.write_all(packet).await?;
        stream.flush().await?;
    }
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).await?;
    anyhow::ensure!(answers.starts_with(&[0x20, 2, 0, 0]), "the hub whose session is recorded did not come in");
    Ok(std::mem::take(&mut stream.get_mut().0.sent))
}
