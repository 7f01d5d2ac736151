//! Honest hubs: a batch each half second, and how long each receipt took.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use runtime::clock::Clock;
use shared::metric::Metric;
use shared::observation::{Captured, Observation};
use shared::reading::{Quality, Reading};
use shared::sequence::Sequence;
use shared::time::{ClockState, Tick};
use shared::topic;
use shared::units::{Decimal, Unit};
use shared::wire::Entry;

use super::ground::Ground;
use crate::door_client::packets::{self, DISCONNECT, publish};
use crate::door_client::{DoorClient, HubKeys, SealedStream};

/// Between two batches of a hub.
pub const EVERY: Duration = Duration::from_millis(500);
/// How late a receipt may be: later is a stall.
pub const RECEIPT_WITHIN: Duration = Duration::from_secs(10);

/// What the campaign does now. A batch's latency counts for the phase in which it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing that is measured.
    Else,
    /// Nobody attacks.
    Before,
    /// All attack.
    During,
    /// No more batches: the last receipts are waited for.
    End,
}

/// What honest hubs share.
#[derive(Debug, Default)]
pub struct Watch {
    phase: AtomicU8,
    latencies: Mutex<Latencies>,
}

/// Latencies of receipts, and how many batches were sent in all.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// Of batches sent while nobody attacked.
    pub before: Vec<Duration>,
    /// Of batches sent while all attacked.
    pub during: Vec<Duration>,
    /// All batches, of all phases; each holds one record with one observation.
    pub batches: u64,
}

impl Watch {
    /// From now on it is this phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    fn phase(&self) -> Phase {
        let now = self.phase.load(Relaxed);
        let all = [Phase::Before, Phase::During, Phase::End];
        all.into_iter().find(|phase| *phase as u8 == now).unwrap_or(Phase::Else)
    }

    /// What was measured.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn sent(&self) {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).batches += 1;
    }

    fn received(&self, phase: Phase, after: Duration) {
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        match phase {
            Phase::Before => latencies.before.push(after),
            Phase::During => latencies.during.push(after),
            Phase::Else | Phase::End => {}
        }
    }
}

/// The next record of a stream, with one observation, as a batch; `since` is when its hub's clock was 0.
///
/// # Errors
/// If it cannot be sealed.
pub fn batch(stream: &mut SealedStream, since: Instant, first: bool) -> anyhow::Result<(Sequence, Vec<u8>)> {
    let tick = Tick::from_millis(u64::try_from(since.elapsed().as_millis())?);
    let captured = Captured { tick, wall: Clock::system().wall(), clock: ClockState::Synchronised };
    let reading = Reading::value(Metric::SpO2, Decimal::from(97), Unit::Percent, Quality::GOOD);
    let device = "oximeter".parse().ok().context("the device's name")?;
    let (slot, binding, device_time, from_memory) = (None, None, None, None);
    let observation = Observation { device, slot, binding, reading, captured, device_time, from_memory };
    stream.seal(tick, false, vec![Entry::Observation(observation)], first)
}

struct Sent {
    sequence: Sequence,
    at: Instant,
    phase: Phase,
}

/// Sends until the watch says that it ends, and leaves in order.
///
/// # Errors
/// If its session is cut, or a receipt does not come in time.
pub async fn run(ground: &Ground, keys: &HubKeys, watch: &Arc<Watch>, wait: Duration) -> anyhow::Result<()> {
    let mut client = DoorClient::enter_over(ground.dial(None).await?, keys).await?;
    let mut stream = keys.stream(Clock::system().wall())?;
    let (begin, up) = (Instant::now(), topic::up(keys.hub));
    let mut every = tokio::time::interval_at(tokio::time::Instant::now() + wait, EVERY);
    let mut waiting: VecDeque<Sent> = VecDeque::new();
    let (mut packet_id, mut first) = (0_u16, true);
    loop {
        if watch.phase() == Phase::End && waiting.is_empty() {
            client.send(&DISCONNECT).await?;
            client.end().await.context("the door did not close after DISCONNECT")?;
            return Ok(());
        }
        tokio::select! {
            packet = client.packet() => {
                let packet = packet.context("an honest hub's session was cut")?;
                let Some(receipt) = packets::content(&packet).and_then(|content| stream.receipt(content)) else { continue };
                waiting.retain(|sent| {
                    let stored = receipt.stored.contains(sent.sequence);
                    if stored {
                        watch.received(sent.phase, sent.at.elapsed());
                    }
                    !stored
                });
            }
            _ = every.tick() => {
                if waiting.front().is_some_and(|sent| sent.at.elapsed() > RECEIPT_WITHIN) {
                    bail!("a receipt did not come within {} s", RECEIPT_WITHIN.as_secs());
                }
                let phase = watch.phase();
                if phase != Phase::End {
                    packet_id = packet_id.checked_add(1).unwrap_or(1);
                    let (sequence, batch) = batch(&mut stream, begin, first)?;
                    first = false;
                    waiting.push_back(Sent { sequence, at: Instant::now(), phase });
                    watch.sent();
                    client.send(&publish(0b10, &up, packet_id, &batch)).await?;
                }
            }
        }
    }
}

/// The value that so many of a hundred are not above; 0 of none.
#[must_use]
pub fn percentile(of: &[Duration], percent: usize) -> Duration {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_values_there_are() {
        let values: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Duration::from_millis(100));
        assert_eq!(percentile(&values, 99), Duration::from_millis(198));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn a_latency_counts_for_the_phase_in_which_its_batch_was_sent() {
        let watch = Watch::default();
        assert_eq!(watch.phase(), Phase::Else);
        watch.enter(Phase::During);
        let phase = watch.phase();
        watch.enter(Phase::End);
        watch.received(phase, EVERY);
        watch.received(watch.phase(), EVERY);
        let latencies = watch.latencies();
        assert_eq!((latencies.before.len(), latencies.during.len()), (0, 1));
    }
}
