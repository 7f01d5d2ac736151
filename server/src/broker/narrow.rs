//! A socket that gives a stranger's octets up to a limit.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::limits::HANDSHAKE_BYTES_MAX;

/// Reads at most [`HANDSHAKE_BYTES_MAX`] octets until it is widened.
#[derive(Debug)]
pub(super) struct Narrow<S = TcpStream> {
    socket: S,
    // Octets that may still be read; `None` is without limit.
    left: Option<usize>,
}

impl<S> Narrow<S> {
    /// Of a stranger.
    pub(super) fn new(socket: S) -> Self {
        Self { socket, left: Some(HANDSHAKE_BYTES_MAX) }
    }

    /// The other side has proved who it is: no limit any more.
    pub(super) fn widen(&mut self) {
        self.left = None;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Narrow<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(left) = self.left else { return Pin::new(&mut self.socket).poll_read(context, buffer) };
        if left == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a handshake is no longer than this")));
        }
        let room = buffer.remaining().min(left);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut part))?;
        let count = part.filled().len();
        buffer.advance(count);
        self.left = Some(left.saturating_sub(count));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Narrow<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, octets)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_stranger_is_read_so_far_and_a_hub_without_end() {
        let sent = vec![7; 2 * HANDSHAKE_BYTES_MAX];
        let mut narrow = Narrow::new(sent.as_slice());
        let mut read = vec![0; HANDSHAKE_BYTES_MAX];
        narrow.read_exact(&mut read[..100]).await.unwrap();
        narrow.read_exact(&mut read[100..]).await.unwrap();
        assert_eq!(narrow.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        narrow.widen();
        narrow.read_exact(&mut read).await.unwrap();
        assert_eq!(narrow.read(&mut [0; 1]).await.unwrap(), 0, "all of it came");
    }
}
