//! A hub's queue before and after a power cut: the real owner on the real disk, played in a process whose calls are traced, and
//! what a queue must still hold that is opened on what such a cut leaves.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::identity::Identity;
use agent::intake_item::Taken;
use agent::queue::shelf::Shelf;
use agent::queue::sled_store::SledDisk;
use agent::queue::{Lent, Owner, Question, QueueStatus, Setup};
use anyhow::{Context, bail, ensure};
use runtime::clock::{Clock, ManualClock};
use shared::id::{BootId, HubId, StoreId, StreamId};
use shared::metric::Metric;
use shared::observation::Captured;
use shared::reading::{Quality, Reading};
use shared::sealing::{SealingSecret, StreamContext, StreamKeys, Suite, derive_stream, identity_digest};
use shared::sequence::{Range, Ranges, Sequence};
use shared::time::{ClockState, Tick, Timestamp};
use shared::units::{Decimal, Unit};
use shared::wire::{Receipt, SignedReceipt};
use tokio::sync::{mpsc, oneshot, watch};

use super::Checked;
use crate::simulators::patient::mix;

const HUB: HubId = HubId::from_bytes([1; 16]);
/// Little room for a queue: generations end, are thinned out and removed.
const SMALL_BYTES_MAX: u64 = 3 * 1024 * 1024;

/// A queue's owner with everything that it talks to.
struct Hub {
    owner: Owner<SledDisk>,
    clock: ManualClock,
    live: mpsc::Receiver<Lent>,
    status: watch::Receiver<QueueStatus>,
}

struct Parts {
    clock: ManualClock,
    identity: Arc<Identity>,
    secret: SealingSecret,
}

impl Parts {
    fn new(at_millis: u64) -> anyhow::Result<Self> {
        let at = Captured {
            tick: Tick::from_millis(at_millis),
            wall: Timestamp::from_millis(1_800_000_000_000 + i64::try_from(at_millis)?),
            clock: ClockState::Synchronised,
        };
        let clock = ManualClock::new(at, BootId::from_bytes([9; 16]));
        let secret = SealingSecret::from_seed(Suite::X25519, [7; 32]);
        Ok(Self { clock, identity: Arc::new(Identity::generate()?), secret })
    }

    fn open(&self, folder: &Path, bytes_max: u64) -> anyhow::Result<Hub> {
        let setup = Setup {
            hub: HUB,
            identity: Arc::clone(&self.identity),
            clock: Clock::manual(self.clock.clone()),
            bindings: Vec::new(),
            sealing_key: self.secret.public(),
            bytes_max,
            frames_refused: Arc::new(|| 0),
        };
        let (live_out, live) = mpsc::channel(256);
        let (status_out, status) = watch::channel(QueueStatus::default());
        let owner = Owner::open(SledDisk, folder, setup, live_out, status_out)?;
        let mut hub = Hub { owner, clock: self.clock.clone(), live, status };
        hub.ask(|reply| Question::Connected(true, reply))?;
        Ok(hub)
    }
}

impl Hub {
    fn at(&self) -> Captured {
        self.clock.now()
    }

    fn turn(&mut self) {
        self.owner.turn(self.at());
    }

    fn ask<T>(&mut self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> anyhow::Result<T> {
        let (reply, mut answer) = oneshot::channel();
        self.owner.answer(question(reply), self.at());
        self.turn();
        Ok(answer.try_recv()?)
    }

    fn take(&mut self, number: i64, keep: bool) -> anyhow::Result<()> {
        let reading = if keep {
            Reading::value(Metric::Weight, Decimal::new(number, 2), Unit::Kilogram, Quality::GOOD)
        } else {
            Reading::value(Metric::SpO2, Decimal::from(90 + number % 10), Unit::Percent, Quality::GOOD)
        };
        let (device, captured) = ("device".parse()?, self.at());
        let readings = vec![reading];
        let taken = Taken::Readings { device, slot: None, captured, device_time: None, from_memory: None, readings };
        self.owner.take(taken, captured);
        self.turn();
        Ok(())
    }
}

/// Plays a hub for so many steps and says, a line each, what it has accepted and what it may let go of from then on.
///
/// # Errors
/// If the queue does not do as it should.
pub fn play(folder: &Path, seed: u64, steps: u64) -> anyhow::Result<()> {
    let parts = Parts::new(1_000)?;
    let mut hub = parts.open(folder, u64::MAX)?;
    let mut server = Server::new(&parts);
    for step in 0..steps {
        let draw = |what: u64| mix(mix(seed ^ what.rotate_left(40)) ^ step);
        hub.clock.advance(Duration::from_millis(20 + draw(1) % 400));
        hub.take(i64::try_from(step)?, draw(2).is_multiple_of(7))?;
        server.hear(&mut hub)?;
        match draw(3) % 40 {
            0..=4 => server.receipts(&mut hub, draw(4))?,
            5 => hub.clock.advance(Duration::from_secs(6)),
            6 => hub.clock.advance(Duration::from_secs(31)),
            7 => {
                // In an orderly way, or not.
                let at = hub.at();
                if draw(5).is_multiple_of(2) {
                    hub.owner.close(at)?;
                } else {
                    drop(hub.owner);
                }
                server.sealed.clear();
                let is_small = draw(6).is_multiple_of(3);
                say(if is_small { "small" } else { "roomy" });
                hub = parts.open(folder, if is_small { SMALL_BYTES_MAX } else { u64::MAX })?;
            }
            _ => {}
        }
        hub.turn();
        server.hear(&mut hub)?;
    }
    Ok(())
}

/// A line is one call of the system, so that its place in the trace is the moment it was said.
fn say(line: &str) {
    println!("{line}");
}

/// What the server that is played here knows.
struct Server<'a> {
    parts: &'a Parts,
    /// Sealed and not yet accepted.
    sealed: Vec<(StreamId, u64, bool, [u8; 16])>,
    stored: BTreeMap<StreamId, Ranges>,
    keys: BTreeMap<StreamId, StreamKeys>,
    number: u64,
}

impl<'a> Server<'a> {
    const fn new(parts: &'a Parts) -> Self {
        Self { parts, sealed: Vec::new(), stored: BTreeMap::new(), keys: BTreeMap::new(), number: 0 }
    }

    /// Notes what was sealed, and says what of it is accepted.
    fn hear(&mut self, hub: &mut Hub) -> anyhow::Result<()> {
        while let Ok(lent) = hub.live.try_recv() {
            let opening = lent.run.opening.read()?;
            if let Entry::Vacant(place) = self.keys.entry(opening.stream) {
                let context = StreamContext {
                    hub: HUB,
                    stream: opening.stream,
                    sealing_key: opening.sealing_key,
                    identity_digest: identity_digest(self.parts.identity.subject_public_key_info()),
                };
                place.insert(derive_stream(&self.parts.secret, &context, &opening.encapsulation)?);
            }
            for record in &lent.records {
                self.sealed.push((opening.stream, record.sequence.get(), record.keep, record.tag()));
            }
        }
        let is_accepted = hub.status.borrow().unaccepted_observations == 0;
        if is_accepted && !self.sealed.is_empty() {
            let mut line = String::from("accepted");
            for (stream, sequence, keep, tag) in self.sealed.drain(..) {
                let range = Range::one(Sequence::new(sequence).context("a sequence begins at 1")?);
                self.stored.entry(stream).or_default().insert(range);
                line += &format!(" {stream}/{sequence}/{}/{}", u8::from(keep), shared::hex::encode(&tag));
            }
            say(&line);
        }
        Ok(())
    }

    /// Receipts all of some streams.
    fn receipts(&mut self, hub: &mut Hub, draw: u64) -> anyhow::Result<()> {
        for (place, (stream, stored)) in self.stored.iter().enumerate() {
            if mix(draw ^ place as u64).is_multiple_of(4) {
                continue;
            }
            self.number += 1;
            let receipt = Receipt {
                store: StoreId::from_bytes([1; 16]),
                number: self.number,
                hub: HUB,
                stream: *stream,
                known: true,
                stored: stored.clone(),
                quarantined: Vec::new(),
                safe: 0,
                server_time: Timestamp::from_millis(0),
            };
            let keys = self.keys.get(stream).context("a stream without keys")?;
            // Before it is obeyed: what it covers may go at once.
            say(&format!("released {stream}/{}", stored.last().map_or(0, Sequence::get)));
            let signed = SignedReceipt::new(&receipt, &keys.receipt)?;
            hub.ask(|reply| Question::Receipt(signed, reply))?;
        }
        Ok(())
    }
}

/// What a queue has promised at some moment.
#[derive(Debug, Clone, Default)]
pub struct Promised {
    records: BTreeMap<(StreamId, u64), (bool, [u8; 16])>,
    /// Whether it has little room, so that what may be thinned out may go.
    is_small: bool,
}

impl Promised {
    /// Takes note of a line that [`play`] said.
    ///
    /// # Errors
    /// If it is none of its lines.
    pub fn hear(&mut self, line: &str) -> anyhow::Result<()> {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("accepted") => {
                for word in words {
                    let mut parts = word.split('/');
                    let mut part = || parts.next().context("too few parts");
                    let (stream, sequence, keep) = (part()?.parse()?, part()?.parse()?, part()? == "1");
                    let tag = shared::hex::decode(part()?).and_then(|tag| tag.try_into().ok()).context("no tag")?;
                    if keep || !self.is_small {
                        self.records.insert((stream, sequence), (keep, tag));
                    }
                }
            }
            Some("released") => {
                let (stream, last) = words.next().and_then(|word| word.split_once('/')).context("no range")?;
                let (stream, last): (StreamId, u64) = (stream.parse()?, last.parse()?);
                self.records.retain(|(of, sequence), _| *of != stream || *sequence > last);
            }
            Some("small") => {
                self.is_small = true;
                self.records.retain(|_, (keep, _)| *keep);
            }
            Some("roomy") => self.is_small = false,
            _ => bail!("not a line of a queue: {line:.100}"),
        }
        Ok(())
    }

    /// Opens a queue as the agent does and looks for everything that was promised; then takes a reading into it.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn check(&self, folder: &Path) -> anyhow::Result<Checked> {
        let parts = Parts::new(100_000_000)?;
        let begun = Instant::now();
        let (mut shelf, found) = Shelf::open(SledDisk, folder, parts.clock.now()).context("the queue does not open")?;
        let took = begun.elapsed();
        for ((stream, sequence), (_, tag)) in &self.records {
            let name = || format!("record {sequence} of stream {stream}");
            let ordinal = shelf.ordinal(*stream).with_context(|| format!("{}: the stream is not there", name()))?;
            let row = shelf.stream_row(ordinal)?.with_context(|| format!("{}: no opening", name()))?;
            ensure!(row.stream == *stream, "{}: another stream's opening", name());
            let place = Sequence::new(*sequence).context("a sequence begins at 1")?;
            let (record, _) = shelf
                .read(ordinal, place)
                .map_err(|(error, generation)| anyhow::anyhow!("{}: generation {generation}: {error}", name()))?
                .with_context(|| format!("{}: accepted, and not there", name()))?;
            ensure!(record.tag() == *tag, "{}: other octets than were accepted", name());
        }
        let durable = shelf.last_stream();
        let last = self.records.keys().filter(|(stream, _)| durable.is_some_and(|(last, _)| last == *stream));
        if let (Some((stream, durable)), Some(last)) = (durable, last.map(|(_, sequence)| *sequence).max()) {
            ensure!(durable >= last, "stream {stream}: {last} was accepted, and {durable} is named as durable");
        }
        drop(shelf);
        let mut hub = parts.open(folder, u64::MAX).context("the queue does not open a second time")?;
        let before = hub.status.borrow().accepted_observations;
        hub.take(1, true)?;
        hub.turn();
        let after = hub.status.borrow().accepted_observations;
        ensure!(after > before, "a reading is not accepted");
        let at = hub.at();
        hub.owner.close(at).context("the queue does not close")?;
        Ok(Checked { promises: self.records.len() as u64, set_aside: found.set_aside, took })
    }
}
