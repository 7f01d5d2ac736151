//! The owner of one serial port: opens it, speaks, listens, decides what is news, and opens it again when it is gone. What a
//! port is stands in [`super::serial`]; everything here works on any.

use std::io;
use std::path::Path;
use std::time::Duration;

use runtime::clock::Clock;
use shared::wire::{DeviceState, DeviceStatus};
use tokio::sync::mpsc::error::TrySendError;

use super::line_settings::LineSettings;
use super::outbox::Outbox;
use super::port::{Adapter, PortTrouble};
use super::presence::Presence;
use super::probe::Chooser;
use super::{Joints, SerialConfig};
use crate::decode::talk::Talk;
use crate::decode::{Moment, StreamDecoder, Tally};
use crate::limits::{
    OUTBOX_MAX, OUTBOX_STOP_WITHIN, PORT_READ_BYTES_MAX, PORT_READ_WITHIN, PORT_WRITE_WITHIN, REOPEN_FIRST, REOPEN_MAX,
};

/// Where ports come from.
pub(super) trait Ports {
    /// An open one.
    type Open: Port;
    /// Opens a port.
    fn open(&self, path: &Path, settings: &LineSettings) -> Result<Self::Open, PortTrouble>;
    /// The USB adapters that are there.
    fn adapters(&self) -> Vec<Adapter>;
}

/// An open port.
pub(super) trait Port {
    /// Reads what is there; waits for at most [`PORT_READ_WITHIN`].
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes one octet, if the port takes it within so long.
    fn write(&mut self, octet: u8, within: Duration) -> io::Result<()>;
    /// Gives the line other settings, and forgets what came with the old ones.
    fn set(&mut self, settings: &LineSettings) -> io::Result<()>;
    /// Forgets what was written and is not on the line yet, so that closing does not wait for it.
    fn forget(&mut self);
}

/// Why a port is not listened to any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is gone.
    Gone,
    /// It did not take what was said.
    NotTaken,
}

pub(super) struct Line<P> {
    ports: P,
    config: SerialConfig,
    joints: Joints,
    chooser: Chooser,
    decoder: StreamDecoder,
    talk: Talk,
    presence: Presence,
    outbox: Outbox,
    wait: Duration,
    trouble: Option<PortTrouble>,
}

impl<P: Ports> Line<P> {
    pub(super) fn new(ports: P, config: SerialConfig, joints: Joints) -> Self {
        let protocol = config.line(0).protocol;
        let chooser = Chooser::new(config.lines().len());
        if chooser.is_believed() {
            joints.counters.found_line(0);
        }
        Self {
            ports,
            chooser,
            decoder: StreamDecoder::new(protocol),
            talk: Talk::new(protocol, config.talk, joints.clock.tick()),
            presence: Presence::new(protocol.is_continuous()),
            outbox: Outbox::new(joints.device.clone()),
            wait: REOPEN_FIRST,
            trouble: None,
            config,
            joints,
        }
    }

    /// Until the stop.
    pub(super) fn work(&mut self) {
        while !self.joints.stop.is_cancelled() {
            let found = self.config.port.path(|| self.ports.adapters());
            let before = self.chooser.place();
            self.chooser.opened(self.joints.clock.tick());
            self.take_up(before);
            let settings = self.config.line(self.chooser.place());
            match found.and_then(|path| self.ports.open(&path, &settings)) {
                Ok(port) => self.listen(port),
                Err(why) => self.unopened(why),
            }
            self.pause();
        }
        self.hand_over_the_rest();
    }

    /// Reads and speaks until the port is gone, deaf, or the stop.
    fn listen(&mut self, mut port: P::Open) {
        let now = self.joints.clock.tick();
        if self.trouble != Some(PortTrouble::NotTaken) {
            self.note(None);
        }
        self.presence.opened(now, self.talk.can_wait());
        self.talk.opened(now);
        let mut buffer = [0_u8; PORT_READ_BYTES_MAX];
        // Spoken to before anything is said of its state: a port that takes nothing is not connected.
        let mut ended = self.speak(&mut port);
        let mut is_deaf = false;
        while ended.is_ok() && !is_deaf && !self.joints.stop.is_cancelled() {
            ended = self.turn(&mut port, &mut buffer);
            self.settle();
            is_deaf = self.presence.is_deaf(self.joints.clock.tick());
        }
        let last = self.decoder.finish();
        let tally = self.decoder.take_tally();
        self.keep(last.into_iter().collect(), &tally);
        match ended {
            Err(End::Gone) => self.presence.closed(DeviceState::Absent),
            Err(End::NotTaken) => {
                port.forget();
                self.note(Some(PortTrouble::NotTaken));
                self.presence.closed(DeviceState::Silent);
            }
            // One that is only deaf is opened again and stays silent until it speaks.
            Ok(()) if is_deaf => {
                self.chooser.deaf();
                if !self.chooser.is_believed() {
                    self.joints.counters.lost_line();
                }
            }
            Ok(()) => {}
        }
        self.settle();
    }

    fn turn(&mut self, port: &mut P::Open, buffer: &mut [u8]) -> Result<(), End> {
        match port.read(buffer) {
            Ok(0) => return Err(End::Gone),
            Ok(count) => self.take(buffer.get(..count).unwrap_or_default()),
            Err(error) if is_patience(error.kind()) => self.idle(),
            Err(_) => return Err(End::Gone),
        }
        self.try_another(port)?;
        self.speak(port)
    }

    /// Goes on with another setting of the line, if it is time.
    fn try_another(&mut self, port: &mut P::Open) -> Result<(), End> {
        let (before, now) = (self.chooser.place(), self.joints.clock.tick());
        let Some(place) = self.chooser.next(now) else { return Ok(()) };
        self.joints.counters.lost_line();
        self.take_up(before);
        let settings = self.config.line(place);
        tracing::debug!(device = %self.joints.device, %settings, "another setting of the line is tried");
        port.set(&settings).map_err(|_| End::Gone)?;
        self.talk.opened(now);
        Ok(())
    }

    /// Begins with the protocol of the setting in force, if it is another than before.
    fn take_up(&mut self, before: usize) {
        if self.chooser.place() != before {
            let protocol = self.config.line(self.chooser.place()).protocol;
            self.decoder = StreamDecoder::new(protocol);
            self.talk = Talk::new(protocol, self.config.talk, self.joints.clock.tick());
        }
    }

    /// Says what there is to say.
    fn speak(&mut self, port: &mut P::Open) -> Result<(), End> {
        // What the device keeps is not asked for while there is no room for it.
        while !self.talk.can_wait() || self.outbox.held() < CROWDED {
            let Some(words) = self.talk.say(self.joints.clock.captured()) else { break };
            write(port, &words, &self.joints.clock).map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => End::NotTaken,
                _ => End::Gone,
            })?;
            self.note(None);
        }
        if self.talk.take_given_up() {
            self.presence.unanswering();
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        let at = self.joints.clock.captured();
        self.presence.bytes(at.tick);
        let of_readings = self.talk.heard(bytes, at.tick);
        let mut moments = self.decoder.moments(of_readings, at);
        moments.extend(self.decoder.expire(at));
        let tally = self.decoder.take_tally();
        let was_believed = self.chooser.is_believed();
        self.chooser.heard(tally.accepted, tally.refused_in_all(), at.tick);
        if self.chooser.is_believed() && !was_believed {
            let place = self.chooser.place();
            tracing::info!(device = %self.joints.device, settings = %self.config.line(place), "the line's setting is found");
            self.joints.counters.found_line(place);
        }
        self.keep(moments, &tally);
        if self.chooser.is_first_round() {
            self.presence.excused();
        }
        self.presence.look(at.tick);
    }

    fn idle(&mut self) {
        let now = self.joints.clock.captured();
        let late = self.decoder.expire(now);
        let tally = self.decoder.take_tally();
        self.keep(late.into_iter().collect(), &tally);
        self.presence.look(now.tick);
    }

    fn keep(&mut self, mut moments: Vec<Moment>, tally: &Tally) {
        if !self.chooser.is_believed() {
            // Read with a setting that is only tried: it may be anything.
            return;
        }
        self.joints.counters.add(tally);
        if tally.refused_in_all() > 0 {
            self.talk.refused();
        }
        moments.retain(|moment| self.talk.is_news(&moment.report));
        // A device for spot measurements is read frame by frame: each tells that it can be.
        let is_spot = !self.config.line(self.chooser.place()).protocol.is_continuous();
        if self.talk.take_understood() || !moments.is_empty() || (is_spot && tally.accepted > 0) {
            self.presence.readings();
            self.wait = REOPEN_FIRST;
        }
        moments.extend(self.talk.take_lost().map(|lost| lost.at(self.joints.clock.captured())));
        if let Some(low) = moments.iter().rev().find_map(|moment| moment.report.battery_low) {
            self.presence.battery(low);
        }
        // A state comes before the readings that it is about.
        self.say_change();
        for moment in moments {
            let (captured, record) = (moment.captured, moment.report.memory);
            let given_up = self.outbox.readings(self.joints.taken(None, moment), captured);
            self.joints.counters.overrun_by(given_up);
            if let Some(record) = record.filter(|_| given_up > 0) {
                self.talk.not_kept(&record);
            }
        }
    }

    fn say_change(&mut self) {
        if let Some((state, battery_low)) = self.presence.change() {
            let device = self.joints.device.clone();
            tracing::info!(%device, ?state, battery_low, "the device changed its state");
            self.outbox.state(DeviceStatus { at: self.joints.clock.captured(), device, state, battery_low });
        }
    }

    /// Says what changed and hands over what there is room for; never waits.
    fn settle(&mut self) {
        self.say_change();
        self.flush();
        self.joints.progress.turn();
    }

    fn flush(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        let out = &self.joints.out;
        self.outbox.flush(self.joints.clock.captured(), |taken| match out.try_send(taken) {
            Ok(()) => None,
            Err(TrySendError::Full(taken) | TrySendError::Closed(taken)) => Some(taken),
        });
    }

    fn unopened(&mut self, why: PortTrouble) {
        self.note(Some(why));
        self.chooser.unopened();
        self.presence.closed(if why == PortTrouble::Busy { DeviceState::Busy } else { DeviceState::Absent });
        self.settle();
    }

    /// Notes what keeps the port from being used, and says it once.
    fn note(&mut self, trouble: Option<PortTrouble>) {
        if self.trouble == trouble {
            return;
        }
        self.trouble = trouble;
        self.joints.counters.port_trouble_is(trouble);
        let (device, port) = (&self.joints.device, &self.config.port);
        match trouble {
            None => tracing::info!(%device, %port, "the port is in order again"),
            Some(PortTrouble::Absent | PortTrouble::NoAdapter) => {
                tracing::info!(%device, %port, "the device is not there; it is looked for again");
            }
            Some(why @ (PortTrouble::Busy | PortTrouble::NotTaken)) => tracing::warn!(%device, %port, "{why}"),
            Some(why) => tracing::error!(%device, %port, "{why}"),
        }
    }

    /// Waits before the port is opened again: longer each time, until something was decoded.
    fn pause(&mut self) {
        let until = self.joints.clock.tick().after(self.wait);
        self.wait = self.wait.saturating_mul(2).min(REOPEN_MAX);
        while !self.joints.stop.is_cancelled() && self.joints.clock.tick() < until {
            std::thread::sleep(PORT_READ_WITHIN);
            self.settle();
        }
    }

    fn hand_over_the_rest(&mut self) {
        let until = self.joints.clock.tick().after(OUTBOX_STOP_WITHIN);
        self.flush();
        while !self.outbox.is_empty() && !self.joints.out.is_closed() && self.joints.clock.tick() < until {
            std::thread::sleep(Duration::from_millis(10));
            self.flush();
        }
        if !self.outbox.is_empty() {
            let (device, count) = (&self.joints.device, self.outbox.held());
            tracing::error!(%device, count, "stopped while the queue had no room: these were never accepted");
        }
    }
}

/// Writes octet by octet, as the port takes them, each saying within [`PORT_WRITE_WITHIN`].
pub(super) fn write(port: &mut impl Port, octets: &[u8], clock: &Clock) -> io::Result<()> {
    let until = clock.tick().after(PORT_WRITE_WITHIN);
    for octet in octets {
        let within = until.since(clock.tick());
        if within.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        port.write(*octet, within)?;
    }
    Ok(())
}

/// With so much kept, a memory is not read on: each of its records would find less room.
const CROWDED: u64 = OUTBOX_MAX as u64 / 2;

/// Nothing came yet; the port is still there.
const fn is_patience(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::TimedOut | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
