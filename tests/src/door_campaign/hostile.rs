//! A hub with a good certificate that is up to no good.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use shared::topic;
use tokio::io::AsyncWriteExt;

use super::case::{Case, Class};
use super::draw::Draw;
use super::ground::Ground;
use crate::door_client::attempts::{Attempt, connects, publishes, subscribes};
use crate::door_client::packets::{Connect, DISCONNECT, PING, connect, publish, subscribe};
use crate::door_client::{DoorClient, HubKeys};

/// After CONNACK 3, how long until a hub tries again ...
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// ... and how often. It regains ten connects a second.
const ATTEMPTS_MAX: usize = 40;

/// An enrolled hub, and its session while it has one.
pub struct Hostile {
    ground: Arc<Ground>,
    keys: Arc<HubKeys>,
    id: String,
    up: String,
    /// Batches of its own that are stored.
    batches: Vec<Vec<u8>>,
    /// Another hub's, as they were sent.
    stolen: Arc<Vec<Vec<u8>>>,
    session: Option<DoorClient>,
}

impl Hostile {
    /// Not connected yet.
    #[must_use]
    pub fn new(ground: Arc<Ground>, keys: Arc<HubKeys>, batches: Vec<Vec<u8>>, stolen: Arc<Vec<Vec<u8>>>) -> Self {
        let (id, up) = (keys.hub.to_string(), topic::up(keys.hub));
        Self { ground, keys, id, up, batches, stolen, session: None }
    }

    /// Does a case. It is counted by the caller.
    pub async fn attack(&mut self, case: Case) {
        let Case { class, mut draw, .. } = case;
        if let Err(error) = self.try_it(class, &mut draw).await {
            self.ground.complain(format!("{class:?}: {error:#}"));
            self.session = None;
        }
    }

    async fn try_it(&mut self, class: Class, draw: &mut Draw) -> anyhow::Result<()> {
        match class {
            Class::Ping => self.stay(&[&PING], 1, &[]).await,
            Class::Repeat => self.repeat(draw).await,
            Class::Pieces => self.pieces(draw).await,
            Class::Odd => self.odd(draw).await,
            Class::TornBatch => self.torn_batch(draw).await,
            Class::Rule => {
                let attempt = self.rule(draw)?;
                self.break_rule(&attempt).await
            }
            Class::ConnectRule => self.connect_rule(draw).await,
            Class::TornPacket | Class::SessionOctets => self.torn_packet(class, draw).await,
            Class::TornConnect => self.torn_connect(draw).await,
            Class::Stolen => {
                let batch = draw.of(&self.stolen).context("nothing was stolen")?;
                let attempt = ("another hub's batch", publish(0b10, &self.up, 7, batch), "unacceptable");
                self.break_rule(&attempt).await
            }
            Class::Mute => self.mute(draw).await,
            Class::TakeOver => self.take_over().await,
            _ => bail!("this is no hub's case"),
        }
    }

    /// A session that listens for nothing. Whoever connects too often is told so and tries again later.
    async fn come_in(&self, keep_alive_s: u16) -> anyhow::Result<DoorClient> {
        for _ in 0..ATTEMPTS_MAX {
            let socket = self.ground.dial(None).await?;
            let mut client = DoorClient::shake_hands_over(socket, self.keys.tls.clone()).await?;
            client.send(&connect(&Connect { keep_alive_s, ..Connect::of(&self.id) })).await?;
            match client.packet().await.context("CONNACK")?.as_slice() {
                [0x20, 2, 0, 0] => return Ok(client),
                [0x20, 2, 0, 3] => self.ground.expect("connects_too_fast", 1),
                _ => bail!("the hub did not come in"),
            }
            client.end().await.context("the door did not close after it refused CONNECT")?;
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        bail!("the hub was told {ATTEMPTS_MAX} times that it connects too often")
    }

    async fn enter(&self, keep_alive_s: u16) -> anyhow::Result<DoorClient> {
        let mut client = self.come_in(keep_alive_s).await?;
        client.send(&subscribe(1, &topic::down(self.keys.hub), 0)).await?;
        ensure!(client.packet().await.context("SUBACK")? == [0x90, 3, 0, 1, 0], "the hub may not listen");
        Ok(client)
    }

    /// The session there is, or a new one; it is put back if it lives on.
    async fn session(&mut self) -> anyhow::Result<DoorClient> {
        match self.session.take() {
            Some(session) => Ok(session),
            None => self.enter(60).await,
        }
    }

    /// Leaves in order, if it is here.
    ///
    /// # Errors
    /// If the door does not close.
    pub async fn leave(&mut self) -> anyhow::Result<()> {
        if let Some(mut session) = self.session.take() {
            session.send(&DISCONNECT).await?;
            session.end().await.context("the door did not close after DISCONNECT")?;
        }
        Ok(())
    }

    /// Sends packets that keep the session, and waits for so many PINGRESPs and these PUBACKs, in whatever order.
    async fn stay(&mut self, segments: &[&[u8]], pings: usize, packet_ids: &[u16]) -> anyhow::Result<()> {
        let mut session = self.session().await?;
        for segment in segments {
            session.send(segment).await?;
        }
        let (mut pings, mut packet_ids) = (pings, packet_ids.to_vec());
        while pings > 0 || !packet_ids.is_empty() {
            match session.packet().await.context("a session that broke no rule ended")?.as_slice() {
                [0xd0, 0] => pings = pings.checked_sub(1).context("a PINGRESP too many")?,
                [0x40, 2, high, low] => {
                    let packet_id = u16::from_be_bytes([*high, *low]);
                    let place = packet_ids.iter().position(|waits| *waits == packet_id);
                    packet_ids.remove(place.context("a PUBACK for nothing")?);
                }
                // A receipt, or that an opening is wanted.
                [0x30, ..] => {}
                _ => bail!("the door sent something else"),
            }
        }
        self.session = Some(session);
        Ok(())
    }

    fn own(&self, draw: &mut Draw) -> anyhow::Result<Vec<u8>> {
        draw.of(&self.batches).cloned().context("it has no batches")
    }

    /// What is stored is acknowledged again; that it is stored once is told by the store's counts.
    async fn repeat(&mut self, draw: &mut Draw) -> anyhow::Result<()> {
        let count = draw.between(1, 3);
        let mut segments = Vec::new();
        let mut packet_ids = Vec::new();
        for place in 1..=count {
            let packet_id = u16::try_from(draw.between(1, 0x3fff) * 4 + place).unwrap_or(1);
            segments.push(publish(0b10, &self.up, packet_id, &self.own(draw)?));
            packet_ids.push(packet_id);
        }
        let segments: Vec<&[u8]> = segments.iter().map(Vec::as_slice).collect();
        self.stay(&segments, 0, &packet_ids).await
    }

    async fn pieces(&mut self, draw: &mut Draw) -> anyhow::Result<()> {
        let octets = [publish(0b10, &self.up, 11, &self.own(draw)?), PING.to_vec(), PING.to_vec()].concat();
        let pieces = draw.pieces(&octets, 6);
        self.stay(&pieces, 2, &[11]).await
    }

    async fn odd(&mut self, draw: &mut Draw) -> anyhow::Result<()> {
        let own = self.own(draw)?;
        let many = PING.repeat(draw.between(2, 12));
        match draw.below(4) {
            // A repeat that says so.
            0 => self.stay(&[&publish(0b1010, &self.up, u16::MAX, &own)], 0, &[u16::MAX]).await,
            // QoS 0 has no answer; what comes behind it has.
            1 => self.stay(&[&publish(0, &self.up, 0, &own), &PING], 1, &[]).await,
            2 => self.stay(&[&many], many.len() / 2, &[]).await,
            // The same packet identifier twice, in flight at once.
            _ => {
                let twice = publish(0b10, &self.up, 5, &own).repeat(2);
                self.stay(&[&twice], 0, &[5, 5]).await
            }
        }
    }

    /// Its seals or its envelope are broken: acknowledged or refused, but nothing of it becomes a record.
    async fn torn_batch(&mut self, draw: &mut Draw) -> anyhow::Result<()> {
        let own = self.own(draw)?;
        let torn = draw.torn(&own);
        let mut session = self.session().await?;
        session.send(&publish(0b10, &self.up, 13, &torn)).await?;
        loop {
            match session.packet().await.as_deref() {
                Ok([0x40, 2, 0, 13]) => break,
                Ok([0x30, ..]) => {}
                Ok(_) => bail!("the door sent something else"),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => bail!("neither an answer nor the end"),
                // Refused: the door closes.
                Err(_) => return Ok(()),
            }
        }
        self.session = Some(session);
        Ok(())
    }

    fn rule(&self, draw: &mut Draw) -> anyhow::Result<Attempt> {
        let other = shared::hex::encode(&draw.octets(16));
        let rules = if draw.once_in(3) { subscribes(&self.id, &other) } else { publishes(&self.id, &other) };
        draw.of(&rules).cloned().context("there are no rules")
    }

    /// The session must end, for the reason there is.
    async fn break_rule(&mut self, (what, octets, reason): &Attempt) -> anyhow::Result<()> {
        if *reason == "subscribe_twice" || octets.first() == Some(&0x82) {
            // The session listens already, which is the only other thing there may be wrong.
            self.leave().await?;
            self.session = Some(self.come_in(60).await?);
        }
        let mut session = self.session().await?;
        session.send(octets).await?;
        self.ground.expect(reason, 1);
        session.end().await.with_context(|| format!("{what}: the door did not close"))?;
        Ok(())
    }

    async fn connect_rule(&mut self, draw: &mut Draw) -> anyhow::Result<()> {
        let other = shared::hex::encode(&draw.octets(16));
        let (what, octets, reason) = draw.of(&connects(&self.id, &other)).cloned().context("there are no rules")?;
        let socket = self.ground.dial(None).await?;
        let mut client = DoorClient::shake_hands_over(socket, self.keys.tls.clone()).await?;
        client.send(&octets).await?;
        self.ground.expect(reason, 1);
        let (answer, _) = client.end().await.with_context(|| format!("{what}: the door did not close"))?;
        ensure!(matches!(answer.as_slice(), [] | [0x20, 2, 0, 1..=5]), "{what}: the door let it in");
        Ok(())
    }

    /// Whatever it means, it is followed by the end of the connection.
    async fn torn_packet(&mut self, class: Class, draw: &mut Draw) -> anyhow::Result<()> {
        let octets = if class == Class::SessionOctets {
            let count = draw.between(1, 600);
            draw.octets(count)
        } else {
            let whole = match draw.below(4) {
                0 => PING.to_vec(),
                1 => subscribe(9, &topic::down(self.keys.hub), 0),
                _ => publish(0b10, &self.up, 9, &self.own(draw)?),
            };
            draw.torn(&whole)
        };
        let mut session = self.session().await?;
        session.send(&octets).await?;
        Self::hang_up(&mut session).await
    }

    async fn torn_connect(&mut self, draw: &mut Draw) -> anyhow::Result<()> {
        // It may still be a good one, which would take over.
        self.leave().await?;
        let gone = topic::gone(self.keys.hub);
        let will = draw.once_in(2).then_some((gone.as_str(), "", 0));
        let octets = draw.torn(&connect(&Connect { will, ..Connect::of(&self.id) }));
        let socket = self.ground.dial(None).await?;
        let mut client = DoorClient::shake_hands_over(socket, self.keys.tls.clone()).await?;
        client.send(&octets).await?;
        Self::hang_up(&mut client).await
    }

    async fn hang_up(session: &mut DoorClient) -> anyhow::Result<()> {
        // The door may have closed already.
        let _ = session.stream.shutdown().await;
        session.end().await.context("the door did not close")?;
        Ok(())
    }

    async fn mute(&mut self, draw: &mut Draw) -> anyhow::Result<()> {
        self.leave().await?;
        let mut session = self.enter(1).await?;
        let whole = publish(0b10, &self.up, 9, &self.own(draw)?);
        let said = draw.below(whole.len());
        session.send(whole.get(..said).unwrap_or_default()).await?;
        self.ground.expect("silent", 1);
        session.end().await.context("the door waits for ever")?;
        Ok(())
    }

    async fn take_over(&mut self) -> anyhow::Result<()> {
        let mut older = self.session().await?;
        self.session = Some(self.enter(60).await?);
        self.ground.expect("taken_over", 1);
        older.end().await.context("the older session did not end")?;
        Ok(())
    }
}
