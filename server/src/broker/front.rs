//! From an accepted socket to a session: TLS, certificate, admission, CONNECT, seat.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use runtime::clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::acl;
use super::identity::{self, Identity};
use super::limits::{ADMISSION_MAX, CONNECT_MAX, HANDSHAKE_WAIT_MAX, TLS_MAX, WRITE_MAX};
use super::narrow::Narrow;
use super::packet::{self, ConnectAnswer, Packet};
use super::ports::{Admission, Intake};
use super::refusal::Refusal;
use super::roster::{Roster, Seat};
use super::tls::{Shown, Tls};
use crate::turns::{NoTurn, Turns};
use crate::web::metrics::Metrics;

/// What every connection of the door shares.
pub(super) struct Shared {
    pub(super) tls: Tls,
    pub(super) admission: Arc<dyn Admission>,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) roster: Roster,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) handshakes: Arc<Semaphore>,
    pub(super) admissions: Semaphore,
    pub(super) unanswered_kib: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

/// A hub that has shaken hands.
pub(super) struct Guest {
    pub(super) stream: TlsStream<Narrow>,
    pub(super) identity: Identity,
    pub(super) seat: Seat,
    pub(super) keep_alive: Duration,
    /// What came behind CONNECT.
    pub(super) buffer: BytesMut,
}

/// Shakes hands, a turn at a time; then reads CONNECT, asks the store and takes the hub's seat.
pub(super) async fn shake_hands(
    shared: &Shared,
    socket: TcpStream,
    of_address: Arc<Semaphore>,
) -> Result<Guest, Refusal> {
    // Small packets both ways; waiting to fill segments would only delay them. A socket that refuses is about to fail.
    let _ = socket.set_nodelay(true);
    let tls = shared.tls.current();
    let turns = Turns { places: [of_address, shared.handshakes.clone()], wait_max: HANDSHAKE_WAIT_MAX };
    // All that is costly, the signatures of both sides, is done between two waits for the socket.
    let accepting = TlsAcceptor::from(Arc::clone(&tls)).accept(Narrow::new(socket));
    let accepting = async {
        let no_turn = |why| match why {
            NoTurn::TooLate => Refusal::HandshakesFull,
            NoTurn::Stopping => Refusal::Stopping,
        };
        turns.take(accepting).await.map_err(no_turn)?.map_err(|_| Refusal::Tls)
    };
    let mut stream = within(TLS_MAX, Refusal::TlsTimeout, accepting).await?;
    stream.get_mut().0.widen();
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificate = chain.first().ok_or(Refusal::Certificate)?;
    let shown = Shown::new(chain).ok_or(Refusal::Certificate)?;
    let identity = identity::read(certificate).map_err(|_| Refusal::Certificate)?;
    let mut buffer = BytesMut::with_capacity(1024);
    // Spent by the handshake, whatever comes; said when CONNECT has come, because only then can it be.
    let in_pace = shared.roster.connect(identity.hub, shared.clock.tick());
    let connected = async {
        let keep_alive_s =
            within(CONNECT_MAX, Refusal::ConnectTimeout, read_connect(&mut stream, &mut buffer, &identity)).await?;
        in_pace?;
        admit(shared, &identity).await?;
        let seat = shared.roster.take(identity.hub).await?;
        seat.showed(shown.clone());
        // Replaced since TLS looked, and perhaps since those who sit were looked at. TLS has looked at the time.
        if !Arc::ptr_eq(&tls, &shared.tls.current()) && !shared.tls.still_believes(&shown, shared.clock.wall()) {
            return Err(Refusal::Revoked);
        }
        // Revoked while it waited for its seat: the answer may be older than the revocation.
        admit(shared, &identity).await?;
        Ok((keep_alive_s, seat))
    };
    let (answer, result) = match connected.await {
        Ok(connected) => (Some(ConnectAnswer::Accepted), Ok(connected)),
        Err(refusal) => (Refusal::connect_answer(refusal), Err(refusal)),
    };
    if let Some(answer) = answer {
        write(&mut stream, &packet::connack(answer)).await?;
    }
    if result.is_err() {
        // Only a courtesy: the connection is dropped next.
        let _ = tokio::time::timeout(WRITE_MAX, stream.shutdown()).await;
    }
    let (keep_alive_s, seat) = result?;
    Ok(Guest { stream, identity, seat, keep_alive: Duration::from_secs(keep_alive_s.into()), buffer })
}

async fn admit(shared: &Shared, identity: &Identity) -> Result<(), Refusal> {
    let asking = async {
        let _place = shared.admissions.acquire().await.map_err(|_| Refusal::Stopping)?;
        shared.admission.admits(identity).await.map_err(|_| Refusal::StoreSilent)
    };
    if within(ADMISSION_MAX, Refusal::StoreSilent, asking).await? { Ok(()) } else { Err(Refusal::NotAdmitted) }
}

async fn read_connect(
    stream: &mut TlsStream<Narrow>,
    buffer: &mut BytesMut,
    identity: &Identity,
) -> Result<u16, Refusal> {
    loop {
        if let Some((packet, length)) = packet::read(buffer)? {
            let Packet::Connect(connect) = packet else { return Err(Refusal::NotConnect) };
            acl::connect(identity.hub, &connect)?;
            let keep_alive_s = connect.keep_alive_s;
            let _ = buffer.split_to(length);
            return Ok(keep_alive_s);
        }
        if stream.read_buf(buffer).await.map_err(|_| Refusal::Broken)? == 0 {
            return Err(Refusal::Broken);
        }
    }
}

/// Writes and flushes: what TLS keeps back, the other side may be waiting for.
pub(super) async fn write<W: AsyncWriteExt + Unpin>(to: &mut W, bytes: &[u8]) -> Result<(), Refusal> {
    let writing = async {
        to.write_all(bytes).await.map_err(|_| Refusal::Broken)?;
        to.flush().await.map_err(|_| Refusal::Broken)
    };
    within(WRITE_MAX, Refusal::WriteTimeout, writing).await
}

async fn within<T>(
    limit: Duration,
    refusal: Refusal,
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(refusal))
}
