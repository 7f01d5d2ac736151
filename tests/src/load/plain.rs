//! The same load on any MQTT broker: hubs with mutual TLS that publish with QoS 1 and take PUBACK as the answer. For
//! comparisons with what is not ours.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustls::ClientConfig;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::figures::{Percentiles, Samples};
use crate::door_client::DoorClient;
use crate::door_client::packets::{self, Connect, connect, publish};

/// Publishes without PUBACK at most, as the sealing hubs'.
const UNANSWERED_MAX: usize = 16;
/// From the last connection to the first message.
const START_AFTER: Duration = Duration::from_millis(500);
/// How long PUBACKs may take at the end.
const DRAINED_WITHIN: Duration = Duration::from_secs(20);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct PlainPlan {
    /// Connections.
    pub hubs: u32,
    /// Messages a second, of all together.
    pub rate: f64,
    /// How long.
    pub sending: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct PlainOutcome {
    /// Messages with PUBACK.
    pub acknowledged: u64,
    /// Likewise in a second, from the first due to the last PUBACK.
    pub per_s: f64,
    /// From the moment a message was due to its PUBACK.
    pub latency: Option<Percentiles>,
}

/// Where the broker is, and as whom to come.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Its address.
    pub address: SocketAddr,
    /// TLS towards it.
    pub tls: Arc<ClientConfig>,
}

/// The content of a hub's message, by the hub's place and the message's number.
pub type Content = dyn Fn(u32, u64) -> Vec<u8> + Send + Sync;

/// Loads a broker.
///
/// # Errors
/// If a connection is refused or ends.
pub async fn run(plan: PlainPlan, broker: &Broker, content: &Arc<Content>) -> anyhow::Result<PlainOutcome> {
    let mut clients = Vec::new();
    for place in 0..plan.hubs {
        clients.push(enter(broker, place).await?);
    }
    let begin = Instant::now() + START_AFTER;
    let every = Duration::from_secs_f64(f64::from(plan.hubs) / plan.rate);
    let mut tasks = JoinSet::new();
    for (place, client) in (0_u32..).zip(clients) {
        let due = begin + every.mul_f64(f64::from(place) / f64::from(plan.hubs));
        let content = content.clone();
        let sender = Sender { client, place, content, due, every, end: begin + plan.sending, waiting: VecDeque::new() };
        tasks.spawn(sender.run());
    }
    let (mut samples, mut last) = (Samples::default(), begin + plan.sending);
    while let Some(ended) = tasks.join_next().await {
        let (own, at) = ended??;
        samples.extend(own);
        last = last.max(at);
    }
    let latency = samples.percentiles();
    let acknowledged = u64::try_from(latency.map_or(0, |latency| latency.samples))?;
    let per_s = f64::from(u32::try_from(acknowledged)?) / (last - begin).as_secs_f64();
    Ok(PlainOutcome { acknowledged, per_s, latency })
}

async fn enter(broker: &Broker, place: u32) -> anyhow::Result<DoorClient> {
    let mut client = DoorClient::shake_hands(broker.address, None, broker.tls.clone()).await?;
    client.send(&connect(&Connect::of(&format!("load-{place}")))).await?;
    ensure!(client.packet().await? == [0x20, 2, 0, 0], "CONNACK is no welcome");
    Ok(client)
}

struct Sender {
    client: DoorClient,
    place: u32,
    content: Arc<Content>,
    due: Instant,
    every: Duration,
    end: Instant,
    waiting: VecDeque<Instant>,
}

impl Sender {
    async fn run(mut self) -> anyhow::Result<(Samples, Instant)> {
        let topic = format!("hubs/load-{}/up", self.place);
        let (mut samples, mut last, mut number) = (Samples::default(), self.due, 0_u64);
        while self.due < self.end || !self.waiting.is_empty() {
            tokio::select! {
                biased;
                packet = self.client.packet_unhurried() => {
                    if packet?.first() != Some(&0x40) {
                        bail!("the broker says something else than PUBACK");
                    }
                    let due = self.waiting.pop_front().context("a PUBACK too many")?;
                    last = Instant::now();
                    samples.push(last - due);
                }
                () = tokio::time::sleep_until(self.due), if self.due < self.end && self.waiting.len() < UNANSWERED_MAX => {
                    let packet_id = u16::try_from(number % 60_000)? + 1;
                    let content = (self.content)(self.place, number);
                    self.client.send(&publish(0b10, &topic, packet_id, &content)).await?;
                    self.waiting.push_back(self.due);
                    self.due += self.every;
                    number += 1;
                }
                () = tokio::time::sleep_until(self.end + DRAINED_WITHIN) => bail!("PUBACKs are missing"),
            }
        }
        self.client.send(&packets::DISCONNECT).await?;
        Ok((samples, last))
    }
}
