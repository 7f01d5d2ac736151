//! Takes hubs' messages: reads, finds the stream's keys, opens, has it committed.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use shared::id::HubId;
use shared::wire::{Batch, DownMessage, QuarantineReason, SignedOpening, UnreadableMessage, WireBatch, to_bytes};
use tokio::sync::Mutex as TurnMutex;

use super::counters::Counters;
use super::limits::LOOKUP_TURNS;
use super::open::{derive, open_records, read, unopened, verify_opening};
use super::ports::{Down, TakeFailed, Takes};
use super::rate::OpeningRates;
use super::streams::{StreamState, Streams, locked};
use super::{OpenedBatch, SealingKeys};
use crate::broker::{Arrival, Intake, IntakeRefused};
use crate::store::BatchOutcome;

/// Why a message is not taken. No PUBACK; the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IngestRefused {
    /// The octets are no message.
    #[error("the message is unreadable: {0}")]
    Unreadable(#[from] UnreadableMessage),
    /// The batch is another hub's than the certificate's.
    #[error("the batch names another hub than the certificate; nothing of it is kept")]
    AnotherHubs,
    /// It could not be committed now.
    #[error("the batch could not be committed; the hub sends it again")]
    Unavailable,
}

impl From<IngestRefused> for IntakeRefused {
    fn from(refused: IngestRefused) -> Self {
        match refused {
            IngestRefused::Unreadable(_) | IngestRefused::AnotherHubs => Self::Unacceptable,
            IngestRefused::Unavailable => Self::Unavailable,
        }
    }
}

/// Takes hubs' messages. Cheap to clone.
#[derive(Clone)]
pub struct Ingest(Arc<Parts>);

struct Parts {
    takes: Arc<dyn Takes>,
    keys: SealingKeys,
    streams: Arc<Streams>,
    rates: Mutex<OpeningRates>,
    // Unknown streams are looked up one after the other for each hub: what is in flight waits for the first, and
    // stays in order.
    turns: Vec<TurnMutex<()>>,
    down: Down,
    counters: Arc<Counters>,
}

/// What is to be done with a batch, by what is known of its stream.
enum Known {
    Stream(Arc<StreamState>),
    /// Its keys are not to be had. Everything is kept raw in quarantine, where people see it. No receipt says so:
    /// receipts are authenticated with a key of the stream, which cannot be derived. The hub gets its PUBACK, keeps
    /// its records and sends them again; the store knows them by their tags and keeps them once.
    Unopenable(QuarantineReason),
    /// Nobody knows it: not kept. The hub is asked for the opening and sends again.
    Unknown,
    /// It brought an opening over the hub's rate: not kept. Without a receipt the hub sends it again. The connection
    /// stays, so that what the hub measures now is not held up by the streams of its past.
    OverRate,
}

impl Ingest {
    /// Makes it. `streams` is shared with the receipts' owner.
    #[must_use]
    pub fn new(
        takes: Arc<dyn Takes>,
        keys: SealingKeys,
        streams: Arc<Streams>,
        down: Down,
        counters: Arc<Counters>,
    ) -> Self {
        let turns = std::iter::repeat_with(TurnMutex::default).take(LOOKUP_TURNS).collect();
        Self(Arc::new(Parts { takes, keys, streams, rates: Mutex::default(), turns, down, counters }))
    }

    /// Takes a message; ends when it is committed, or deliberately not kept.
    ///
    /// # Errors
    /// [`IngestRefused`]; it is counted.
    pub async fn take(&self, arrival: Arrival) -> Result<(), IngestRefused> {
        let counters = &self.0.counters;
        let taken = self.0.take(arrival).await;
        match taken {
            Ok(()) => {}
            Err(IngestRefused::Unreadable(_)) => counters.refused_unreadable.add(1),
            Err(IngestRefused::AnotherHubs) => counters.refused_foreign.add(1),
            Err(IngestRefused::Unavailable) => counters.refused_unavailable.add(1),
        }
        taken
    }
}

impl Intake for Ingest {
    fn take(&self, arrival: Arrival) -> BoxFuture<'_, Result<(), IntakeRefused>> {
        Box::pin(async move { Ok(Self::take(self, arrival).await?) })
    }
}

impl Parts {
    async fn take(&self, arrival: Arrival) -> Result<(), IngestRefused> {
        let (wire, batch) = read(&arrival.bytes)?;
        if batch.header.hub != arrival.hub {
            return Err(IngestRefused::AnotherHubs);
        }
        match self.known(&arrival, &batch).await? {
            Known::Stream(state) => {
                let opened = self.opened(&arrival, &wire, &batch, &state);
                self.commit(opened, Some(&state)).await
            }
            Known::Unopenable(reason) => {
                tracing::warn!(hub = %arrival.hub, stream = %batch.header.stream, reason = reason.name(),
                    "a stream cannot be opened; its records go to quarantine and its hub keeps them");
                self.commit(sealed_batch(&arrival, &batch, reason), None).await
            }
            Known::Unknown => {
                self.counters.openings_wanted.add(1);
                let wanted = to_bytes(&DownMessage::OpeningWantedV1(batch.header.stream))?;
                // It fails only when the door is gone, and with it the hub's connection.
                let _ = self.down.send((arrival.hub, wanted)).await;
                Ok(())
            }
            Known::OverRate => {
                self.counters.openings_over_rate.add(1);
                Ok(())
            }
        }
    }

    async fn known(&self, arrival: &Arrival, batch: &Batch) -> Result<Known, IngestRefused> {
        let key = (arrival.hub, batch.header.stream);
        if let Some(state) = self.streams.get(key) {
            return Ok(Known::Stream(state));
        }
        let Some(turn) = self.turns.get(turn_of(arrival.hub)) else { return Err(IngestRefused::Unavailable) };
        let _turn = turn.lock().await;
        if let Some(state) = self.streams.get(key) {
            return Ok(Known::Stream(state));
        }
        let stored = self.takes.stream(arrival.hub, batch.header.stream).await;
        if let Some(stored) = stored.map_err(|_| IngestRefused::Unavailable)? {
            return Ok(match derive(&stored, arrival.hub, batch.header.stream, &self.keys) {
                Ok(keys) => self.hold(key, StreamState::new(keys, stored.opening.suite, None)),
                Err(reason) => Known::Unopenable(reason),
            });
        }
        match &batch.opening {
            Some(opening) => self.begin(arrival, batch, opening).await,
            None => Ok(Known::Unknown),
        }
    }

    async fn begin(&self, arrival: &Arrival, batch: &Batch, signed: &SignedOpening) -> Result<Known, IngestRefused> {
        if !locked(&self.rates).allows(arrival.hub, arrival.arrived.tick) {
            return Ok(Known::OverRate);
        }
        let identities = self.takes.identities(arrival.hub).await.map_err(|_| IngestRefused::Unavailable)?;
        let key = (arrival.hub, batch.header.stream);
        let now = arrival.arrived.wall;
        Ok(match verify_opening(signed, key, &identities, &arrival.identity, &self.keys, now) {
            Ok((new, keys)) => {
                self.counters.openings.add(1);
                self.hold(key, StreamState::new(keys, new.opening.suite, Some(new)))
            }
            Err(reason) => Known::Unopenable(reason),
        })
    }

    fn hold(&self, key: super::streams::StreamKey, state: StreamState) -> Known {
        let state = Arc::new(state);
        self.streams.hold(key, state.clone());
        Known::Stream(state)
    }

    fn opened(&self, arrival: &Arrival, wire: &WireBatch, batch: &Batch, state: &StreamState) -> OpenedBatch {
        let header = &batch.header;
        let vouched = match &wire.mac {
            Some(mac) if state.keys.batch.verifies(&wire.header, &wire.records, mac) => header.sent,
            // The records have seals of their own: only their age is not to be believed.
            Some(_) => {
                self.counters.mac_failures.add(1);
                None
            }
            None => None,
        };
        OpenedBatch {
            hub: arrival.hub,
            stream: header.stream,
            new_stream: state.unstored(),
            sent: vouched,
            transit_ms: vouched.map_or(0, |sent| state.transit_ms(sent, arrival.arrived.tick)),
            arrived: arrival.arrived,
            records: open_records(&state.keys, state.suite, arrival.hub, header.stream, &batch.records),
        }
    }

    /// Has a batch committed. What the store cannot take as it is, is taken apart until the records it cannot take
    /// stand alone; those are kept raw in quarantine, so that no record holds its hub up for ever.
    async fn commit(&self, batch: OpenedBatch, state: Option<&StreamState>) -> Result<(), IngestRefused> {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            match self.takes.take(part.clone()).await {
                Ok(outcome) => self.committed(&part, &outcome, state),
                Err(TakeFailed::Unavailable) => return Err(IngestRefused::Unavailable),
                Err(TakeFailed::Batch) if part.records.len() > 1 => {
                    self.counters.taken_apart.add(1);
                    let second = part.records.split_off(part.records.len() / 2);
                    parts.push(OpenedBatch { records: second, ..part.clone() });
                    parts.push(part);
                }
                Err(TakeFailed::Batch) => {
                    let Some(record) = part.records.first_mut().filter(|record| record.content.is_ok()) else {
                        tracing::error!(hub = %part.hub, stream = %part.stream,
                            "the store takes a record not even into quarantine; its hub keeps it");
                        return Err(IngestRefused::Unavailable);
                    };
                    record.content = Err(QuarantineReason::Unreadable);
                    parts.push(part);
                }
            }
        }
        Ok(())
    }

    fn committed(&self, batch: &OpenedBatch, outcome: &BatchOutcome, state: Option<&StreamState>) {
        if let Some(state) = state.filter(|_| outcome.known) {
            state.is_stored();
        }
        self.counters.batches.add(1);
        self.counters.records.add(u64::try_from(batch.records.len()).unwrap_or(u64::MAX));
        self.counters.observations.add(outcome.observations);
        self.counters.repeats.add(outcome.repeats);
        for entry in &outcome.quarantined {
            self.counters.quarantine(entry.reason, entry.range.count());
        }
    }
}

fn sealed_batch(arrival: &Arrival, batch: &Batch, reason: QuarantineReason) -> OpenedBatch {
    OpenedBatch {
        hub: arrival.hub,
        stream: batch.header.stream,
        new_stream: None,
        sent: None,
        transit_ms: 0,
        arrived: arrival.arrived,
        records: unopened(&batch.records, reason),
    }
}

fn turn_of(hub: HubId) -> usize {
    hub.as_bytes().last().map_or(0, |octet| usize::from(*octet) % LOOKUP_TURNS)
}
