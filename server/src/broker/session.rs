//! A hub's session: publishes in, their PUBACKs and the server's messages out.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};
use runtime::clock::Clock;
use shared::time::Tick;
use shared::topic;
use shared::wire::MESSAGE_BYTES_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{AcquireError, SemaphorePermit, TryAcquireError};
use tokio_rustls::server::TlsStream;

use super::acl;
use super::front::{Guest, Shared, write};
use super::identity::Identity;
use super::limits::{FAREWELL_MAX, UNANSWERED_MAX, WRITE_MAX};
use super::mailbox::Mailbox;
use super::narrow::Narrow;
use super::packet::{self, Packet, Publish, UnreadablePacket};
use super::ports::{Arrival, IntakeRefused};
use super::refusal::Refusal;
use super::roster::Seat;
use crate::ingest::Arrived;

/// Octets a connection's buffer keeps while it is idle.
const IDLE_BUFFER_BYTES: usize = 4 * 1024;

/// Committed or not, and the packet identifier its PUBACK needs.
type Answer = Result<Option<u16>, Refusal>;

struct Session<'s> {
    shared: &'s Shared,
    identity: Identity,
    public_key: Arc<[u8]>,
    seat: Seat,
    reader: ReadHalf<TlsStream<Narrow>>,
    writer: WriteHalf<TlsStream<Narrow>>,
    buffer: BytesMut,
    mailbox: Option<Mailbox>,
    // At most UNANSWERED_MAX: with so many, nothing is read.
    answers: FuturesOrdered<BoxFuture<'s, Answer>>,
    room: Room<'s>,
    keep_alive: std::time::Duration,
    last_heard: Tick,
}

/// Room for the content of the next publish among all that have no answer.
enum Room<'s> {
    /// Not asked for.
    Unasked,
    /// Asked for when the publish came, in order with other connections. Nothing is read meanwhile.
    Awaited(Arrived, BoxFuture<'s, Result<SemaphorePermit<'s>, AcquireError>>),
    /// Granted, for the publish that came then.
    Granted(Arrived, SemaphorePermit<'s>),
}

/// What ended it: `Ok` is DISCONNECT.
pub(super) async fn run(shared: &Shared, guest: Guest) -> Result<(), Refusal> {
    let hub = guest.identity.hub;
    let (reader, writer) = tokio::io::split(guest.stream);
    let mut session = Session {
        shared,
        public_key: guest.identity.public_key.clone().into(),
        identity: guest.identity,
        seat: guest.seat,
        reader,
        writer,
        buffer: guest.buffer,
        mailbox: None,
        answers: FuturesOrdered::new(),
        room: Room::Unasked,
        keep_alive: guest.keep_alive,
        last_heard: shared.clock.tick(),
    };
    shared.admission.connected(hub, true).await;
    let result = session.serve().await;
    let farewell = tokio::time::timeout(FAREWELL_MAX, session.say_farewell(result.err()));
    // What had no time is sent again by the hub, and stored once.
    let _ = farewell.await;
    shared.admission.connected(hub, false).await;
    result
}

enum Input {
    Leave(Refusal),
    Answered(Answer),
    Down(Bytes),
    Read(std::io::Result<usize>),
    Paced,
    Room,
    Silent,
}

impl<'s> Session<'s> {
    async fn serve(&mut self) -> Result<(), Refusal> {
        loop {
            let mut paced_until = None;
            while paced_until.is_none() && self.has_room() {
                match self.next_packet().await? {
                    Heard::Nothing => break,
                    Heard::Early => {}
                    Heard::Packet => paced_until = self.seat.wait_until(self.shared.clock.tick()),
                    Heard::Disconnect => return Ok(()),
                }
            }
            let reads = paced_until.is_none() && self.has_room();
            match self.wait(reads, paced_until).await {
                Input::Leave(refusal) => return Err(refusal),
                Input::Answered(answer) => self.puback(answer?).await?,
                Input::Down(message) => self.send_down(&message).await?,
                Input::Read(Ok(0) | Err(_)) => return Err(Refusal::Broken),
                Input::Read(Ok(_)) | Input::Paced | Input::Room => {}
                Input::Silent => return Err(Refusal::Silent),
            }
            if !reads {
                // It could not be heard meanwhile, so it was not silent.
                self.last_heard = self.shared.clock.tick();
            }
        }
    }

    /// Whether a further packet may be looked at.
    fn has_room(&self) -> bool {
        self.answers.len() < UNANSWERED_MAX && !matches!(self.room, Room::Awaited(..))
    }

    async fn wait(&mut self, reads: bool, paced_until: Option<Tick>) -> Input {
        let Self { shared, seat, reader, buffer, mailbox, answers, room, .. } = self;
        let patience = self.keep_alive.saturating_mul(3).checked_div(2).unwrap_or(self.keep_alive);
        let silent_at = self.last_heard.after(patience);
        tokio::select! {
            refusal = seat.asked_to_leave() => Input::Leave(refusal),
            () = shared.stop.cancelled() => Input::Leave(Refusal::Stopping),
            Some(answer) = answers.next() => Input::Answered(answer),
            message = next_down(mailbox.as_ref()), if mailbox.is_some() => Input::Down(message),
            () = sleep_until(&shared.clock, paced_until), if paced_until.is_some() => Input::Paced,
            () = room.granted() => Input::Room,
            () = shared.clock.sleep_until(silent_at), if reads => Input::Silent,
            read = reader.read_buf(buffer), if reads => Input::Read(read),
        }
    }

    async fn next_packet(&mut self) -> Result<Heard, Refusal> {
        let now = self.shared.clock.tick();
        let (heard, length) = match packet::read(&self.buffer)? {
            None => return Ok(Heard::Nothing),
            Some((Packet::Connect(_), _)) => return Err(Refusal::ConnectTwice),
            Some((Packet::Disconnect, length)) => (Heard::Disconnect, length),
            Some((Packet::PingReq, length)) => {
                write(&mut self.writer, &packet::PINGRESP).await?;
                (Heard::Packet, length)
            }
            Some((Packet::Subscribe(subscribe), length)) => {
                acl::subscribe(self.identity.hub, &subscribe)?;
                let packet_id = subscribe.packet_id;
                if self.mailbox.is_some() {
                    return Err(Refusal::SubscribeTwice);
                }
                self.mailbox = Some(self.seat.subscribed());
                write(&mut self.writer, &packet::suback(packet_id)).await?;
                (Heard::Packet, length)
            }
            Some((Packet::Publish(publish), length)) => {
                acl::publish(self.identity.hub, &publish)?;
                let kib = u32::try_from(publish.content.len().div_ceil(1024)).unwrap_or(u32::MAX);
                let room = std::mem::replace(&mut self.room, Room::Unasked);
                let (arrived, held) = match room.or_asked(self.shared, kib)? {
                    Room::Granted(arrived, held) => (arrived, held),
                    awaited => {
                        // The publish stays in the buffer, and is looked at again.
                        self.room = awaited;
                        return Ok(Heard::Early);
                    }
                };
                let answer = self.take(&publish, arrived, held);
                self.answers.push_back(answer);
                (Heard::Packet, length)
            }
        };
        self.seat.spend(length, now);
        self.last_heard = now;
        self.buffer.advance(length);
        if self.buffer.is_empty() && self.buffer.capacity() > IDLE_BUFFER_BYTES {
            self.buffer = BytesMut::with_capacity(IDLE_BUFFER_BYTES);
        }
        Ok(heard)
    }
}

impl<'s> Room<'s> {
    /// Itself if it was asked for; else asks now for so many KiB.
    fn or_asked(self, shared: &'s Shared, kib: u32) -> Result<Self, Refusal> {
        let Self::Unasked = self else { return Ok(self) };
        let arrived = Arrived { tick: shared.clock.tick(), wall: shared.clock.wall() };
        match shared.unanswered_kib.try_acquire_many(kib) {
            Ok(held) => Ok(Self::Granted(arrived, held)),
            Err(TryAcquireError::NoPermits) => {
                Ok(Self::Awaited(arrived, Box::pin(shared.unanswered_kib.acquire_many(kib))))
            }
            Err(TryAcquireError::Closed) => Err(Refusal::Stopping),
        }
    }

    /// Resolves when what is awaited has been granted; never if nothing is. Dropped half-way, it keeps its place.
    async fn granted(&mut self) {
        match self {
            // It is closed only when the door is gone.
            Self::Awaited(arrived, asked) => {
                let (arrived, asked) = (*arrived, asked.await);
                *self = asked.map_or(Self::Unasked, |held| Self::Granted(arrived, held));
            }
            Self::Unasked | Self::Granted(..) => std::future::pending().await,
        }
    }
}

enum Heard {
    Nothing,
    /// A publish for whose content there is no room yet.
    Early,
    Packet,
    Disconnect,
}

async fn next_down(mailbox: Option<&Mailbox>) -> Bytes {
    match mailbox {
        Some(mailbox) => mailbox.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(clock: &Clock, until: Option<Tick>) {
    match until {
        Some(until) => clock.sleep_until(until).await,
        None => std::future::pending().await,
    }
}

impl<'s> Session<'s> {
    fn take(&self, publish: &Publish<'_>, arrived: Arrived, held: SemaphorePermit<'s>) -> BoxFuture<'s, Answer> {
        let shared = self.shared;
        let packet_id = publish.packet_id;
        let arrival = Arrival {
            hub: self.identity.hub,
            identity_digest: self.identity.digest,
            identity: self.public_key.clone(),
            bytes: publish.content.to_vec(),
            arrived,
        };
        shared.metrics.batches_arrived.inc();
        Box::pin(async move {
            let _held = held;
            match shared.intake.take(arrival).await {
                Ok(()) => Ok(packet_id),
                Err(IntakeRefused::Unacceptable) => Err(Refusal::Unacceptable),
                Err(IntakeRefused::Unavailable) => Err(Refusal::IntakeUnavailable),
            }
        })
    }

    async fn puback(&mut self, packet_id: Option<u16>) -> Result<(), Refusal> {
        match packet_id {
            Some(packet_id) => write(&mut self.writer, &packet::puback(packet_id)).await,
            None => Ok(()),
        }
    }

    async fn send_down(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let packet = (message.len() <= MESSAGE_BYTES_MAX)
            .then(|| packet::publish_down(&topic::down(self.identity.hub), message))
            .flatten()
            .ok_or(UnreadablePacket::TooLong)?;
        self.shared.metrics.messages_down.inc();
        write(&mut self.writer, &packet).await
    }

    /// What was taken is answered, if the hub still listens; when the server stops, what is here for the hub follows.
    /// Then TLS is closed in order.
    async fn say_farewell(&mut self, refusal: Option<Refusal>) {
        // Nothing further is taken: others may have the room.
        self.room = Room::Unasked;
        let listens = !matches!(refusal, Some(Refusal::Broken | Refusal::WriteTimeout));
        while let Some(answer) = self.answers.next().await {
            match answer {
                Ok(packet_id) if listens => {
                    if self.puback(packet_id).await.is_err() {
                        break;
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        if refusal == Some(Refusal::Stopping) {
            while let Some(message) = self.mailbox.as_ref().and_then(Mailbox::take) {
                if self.send_down(&message).await.is_err() {
                    break;
                }
            }
        }
        if listens {
            let _ = tokio::time::timeout(WRITE_MAX, self.writer.shutdown()).await;
        }
    }
}
