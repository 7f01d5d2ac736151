//! One hub of a load: comes in, has its stream known, and sends when it is due.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use shared::id::BindingId;
use shared::metric::Metric;
use shared::observation::{Captured, Observation};
use shared::reading::{Quality, Reading};
use shared::sequence::Sequence;
use shared::time::{ClockState, Tick, Timestamp};
use shared::topic;
use shared::units::{Decimal, Unit};
use shared::wire::{Entry, PreviousStream};
use tokio::time::Instant;

use super::figures::Samples;
use super::fleet::{Member, device};
use crate::door_client::packets::{self, publish};
use crate::door_client::{DoorClient, HubKeys, SealedStream};

/// Publishes without PUBACK at most; with so many, what is due waits. As the agent's.
const UNANSWERED_MAX: usize = 16;
/// How long the first receipt may take: the server derives a stream's keys once.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);
/// A ping while nothing else is said, well within the keep-alive of the hand-made hub.
const PING_EVERY: Duration = Duration::from_secs(30);

/// When everybody sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// The first is due then.
    pub(super) begin: Instant,
    /// What is due from then on is not sent.
    pub(super) end: Instant,
    /// When unreceipted batches are given up.
    pub(super) give_up: Instant,
    /// From one batch of a hub to the next.
    pub(super) every: Duration,
    /// The hub's place among all, as a part of `every`.
    pub(super) offset: Duration,
    /// Observations in a batch.
    pub(super) observations: usize,
}

/// What became of a hub's batches.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) batches: u64,
    pub(super) receipted: u64,
    pub(super) latencies: Samples,
    pub(super) last_receipt: Option<Instant>,
}

impl Sent {
    /// Another hub's too.
    pub(super) fn add(&mut self, other: Self) {
        self.batches += other.batches;
        self.receipted += other.receipted;
        self.latencies.extend(other.latencies);
        self.last_receipt = self.last_receipt.max(other.last_receipt);
    }
}

/// A hub that is in.
pub(super) struct LoadHub {
    client: DoorClient,
    stream: SealedStream,
    up: String,
    bindings: Vec<BindingId>,
    began: Instant,
    wall: Timestamp,
    packet_id: u16,
    unanswered: usize,
    unreceipted: VecDeque<(Sequence, Instant)>,
    known: bool,
    sent: Sent,
}

impl LoadHub {
    /// Comes in and sends one batch, until the server knows its stream.
    pub(super) async fn enter(door: SocketAddr, member: &Member) -> anyhow::Result<Self> {
        let key = shared::hex::decode(&member.key).context("the key is not hexadecimal")?;
        let keys = HubKeys::of(member.enrolment.clone(), key)?;
        let client = DoorClient::enter(door, &keys).await?;
        let wall = runtime::clock::Clock::system().wall();
        let stream = keys.stream_after(member.previous, wall)?;
        let mut hub = Self {
            client,
            stream,
            up: topic::up(keys.hub),
            bindings: member.bindings.clone(),
            began: Instant::now(),
            wall,
            packet_id: 0,
            unanswered: 0,
            unreceipted: VecDeque::new(),
            known: false,
            sent: Sent::default(),
        };
        hub.send(Instant::now(), 1).await?;
        let until = Instant::now() + KNOWN_WITHIN;
        while !hub.known {
            let heard = tokio::time::timeout_at(until, hub.client.packet()).await;
            hub.hear(&heard.context("no receipt for the first batch")??)?;
        }
        hub.sent = Sent::default();
        Ok(hub)
    }

    /// Sends what is due and waits for the receipts. The hub's stream at the end is what its next one follows.
    pub(super) async fn run(mut self, schedule: Schedule) -> anyhow::Result<(Sent, PreviousStream)> {
        let mut due = schedule.begin + schedule.offset;
        let mut ping = Instant::now() + PING_EVERY;
        loop {
            let over = due >= schedule.end;
            if over && self.unreceipted.is_empty() && Instant::now() >= schedule.end {
                break;
            }
            tokio::select! {
                biased;
                packet = self.client.packet_unhurried() => self.hear(&packet?)?,
                () = tokio::time::sleep_until(due), if !over && self.unanswered < UNANSWERED_MAX => {
                    self.send(due, schedule.observations).await?;
                    due += schedule.every;
                    ping = Instant::now() + PING_EVERY;
                }
                () = tokio::time::sleep_until(schedule.end), if over && self.unreceipted.is_empty() => {}
                () = tokio::time::sleep_until(ping) => {
                    self.client.send(&packets::PING).await?;
                    ping = Instant::now() + PING_EVERY;
                }
                () = tokio::time::sleep_until(schedule.give_up), if over => break,
            }
        }
        self.client.send(&packets::DISCONNECT).await?;
        Ok((self.sent, self.stream.ended()))
    }

    async fn send(&mut self, due: Instant, observations: usize) -> anyhow::Result<()> {
        let place = usize::try_from(self.sent.batches).unwrap_or(0) % self.bindings.len().max(1);
        let entries = self.entries(place, due, observations)?;
        let tick = self.tick(Instant::now());
        let (sequence, batch) = self.stream.seal(tick, false, entries, !self.known)?;
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        self.client.send(&publish(0b10, &self.up, self.packet_id, &batch)).await?;
        self.unanswered += 1;
        self.unreceipted.push_back((sequence, due));
        self.sent.batches += 1;
        Ok(())
    }

    fn tick(&self, at: Instant) -> Tick {
        Tick::from_millis(at.saturating_duration_since(self.began).as_millis().try_into().unwrap_or(u64::MAX))
    }

    /// Pulse and saturation in turn, the newest taken when the batch was due, pairs half a second apart.
    fn entries(&self, place: usize, due: Instant, observations: usize) -> anyhow::Result<Vec<Entry>> {
        let device = device(place)?;
        let observation = |back: usize| {
            let before = Duration::from_millis(u64::try_from(back / 2).unwrap_or(0) * 500);
            let tick = self.tick(due.checked_sub(before).unwrap_or(due));
            let wall = self.wall.after(Duration::from_millis(tick.as_millis()));
            let swing = i64::try_from(tick.as_millis() / 500 % 5).unwrap_or(0);
            let reading = if back.is_multiple_of(2) {
                Reading::value(Metric::SpO2, Decimal::from(94 + swing), Unit::Percent, Quality::GOOD)
            } else {
                Reading::value(Metric::PulseRate, Decimal::from(66 + swing), Unit::PerMinute, Quality::GOOD)
            };
            Entry::Observation(Observation {
                device: device.clone(),
                slot: None,
                binding: self.bindings.get(place).copied(),
                reading,
                captured: Captured { tick, wall, clock: ClockState::Synchronised },
                device_time: None,
                from_memory: None,
            })
        };
        Ok((0..observations).rev().map(observation).collect())
    }

    fn hear(&mut self, packet: &[u8]) -> anyhow::Result<()> {
        match packet.first().map(|first| first >> 4) {
            Some(4) => self.unanswered = self.unanswered.saturating_sub(1),
            Some(3) => self.hear_message(packets::content(packet).context("a message without content")?)?,
            Some(13) => {}
            _ => bail!("the door says {packet:02x?}"),
        }
        Ok(())
    }

    fn hear_message(&mut self, message: &[u8]) -> anyhow::Result<()> {
        // A change of settings waits: not what is measured.
        let Some(receipt) = self.stream.receipt(message) else { return Ok(()) };
        let now = Instant::now();
        self.known |= receipt.known;
        ensure!(receipt.quarantined.is_empty(), "the server put {:?} in quarantine", receipt.quarantined);
        while let Some((sequence, due)) = self.unreceipted.front().copied() {
            if !receipt.stored.contains(sequence) {
                break;
            }
            self.unreceipted.pop_front();
            self.sent.receipted += 1;
            self.sent.latencies.push(now - due);
            self.sent.last_receipt = Some(now);
        }
        Ok(())
    }
}
