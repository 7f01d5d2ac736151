//! Serial lines: the only file that names `serialport`. One thread for each port, because a port is read by waiting.
//!
//! What a port really does (RIGS §5): it is locked on opening, a second opener is refused; an unplugged one ends
//! with a broken pipe or reads nothing; control lines may not exist; a write may block, so writes stay small.

use std::io;
use std::time::Duration;

use serialport::{ErrorKind, SerialPort};
use shared::wire::{DeviceState, DeviceStatus};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::outbox::Outbox;
use super::presence::Presence;
use super::{Joints, Parity, SerialConfig};
use crate::decode::{Moment, StreamDecoder};
use crate::limits::{OUTBOX_STOP_WITHIN, PORT_READ_BYTES_MAX, PORT_READ_WITHIN, REOPEN_FIRST, REOPEN_MAX};

/// A device's thread is gone.
#[derive(Debug, thiserror::Error)]
pub enum PortThreadLost {
    /// It could not be started.
    #[error("the thread of a serial device could not be started: the system has no more")]
    NotStarted(#[source] io::Error),
    /// It ended by panicking.
    #[error("the thread of a serial device panicked; standard error has the message")]
    Panicked,
}

/// Owns one port until the stop, on a thread named for the device.
///
/// # Errors
/// [`PortThreadLost`], if the thread is lost. A port that is absent, busy or unreadable is a state, not an error.
pub async fn run(config: SerialConfig, joints: Joints) -> Result<(), PortThreadLost> {
    let (ended, end) = oneshot::channel();
    let name = format!("device {}", joints.device);
    let thread = std::thread::Builder::new()
        .name(name)
        .spawn(move || {
            Line::new(config, joints).work();
            // Nobody listens only if the agent is going down.
            let _ = ended.send(());
        })
        .map_err(PortThreadLost::NotStarted)?;
    // Without an answer the thread unwound; with one it is at its last instruction.
    let answered = end.await.is_ok();
    if thread.join().is_err() || !answered { Err(PortThreadLost::Panicked) } else { Ok(()) }
}

/// Why a port cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unopened {
    Absent,
    Busy,
    Forbidden,
}

struct Line {
    config: SerialConfig,
    joints: Joints,
    decoder: StreamDecoder,
    presence: Presence,
    outbox: Outbox,
    wait: Duration,
    unopened: Option<Unopened>,
}

impl Line {
    fn new(config: SerialConfig, joints: Joints) -> Self {
        Self {
            decoder: StreamDecoder::new(config.protocol),
            presence: Presence::new(config.protocol.is_continuous()),
            outbox: Outbox::new(joints.device.clone()),
            wait: REOPEN_FIRST,
            unopened: None,
            config,
            joints,
        }
    }

    fn work(&mut self) {
        while !self.joints.stop.is_cancelled() {
            match open(&self.config) {
                Ok(port) => {
                    self.unopened = None;
                    self.listen(port);
                }
                Err(why) => self.note_unopened(why),
            }
            self.pause();
        }
        self.hand_over_the_rest();
    }

    /// Reads until the port is gone, deaf, or the stop.
    fn listen(&mut self, mut port: Box<dyn SerialPort>) {
        self.presence.opened(self.joints.clock.tick());
        self.select_format(port.as_mut());
        let mut buffer = [0_u8; PORT_READ_BYTES_MAX];
        let mut is_gone = false;
        while !is_gone && !self.joints.stop.is_cancelled() && !self.presence.is_deaf(self.joints.clock.tick()) {
            match port.read(&mut buffer) {
                Ok(0) => is_gone = true,
                Ok(count) => self.take(buffer.get(..count).unwrap_or_default()),
                Err(error) if is_patience(error.kind()) => self.idle(),
                Err(_) => is_gone = true,
            }
            self.settle();
        }
        let last = self.decoder.finish();
        self.keep(last.into_iter().collect());
        // A port that is only deaf is opened again and stays silent until it speaks.
        if is_gone {
            self.presence.closed(DeviceState::Absent);
        }
        self.settle();
    }

    fn take(&mut self, bytes: &[u8]) {
        let at = self.joints.clock.captured();
        self.presence.bytes(at.tick);
        let mut moments = self.decoder.moments(bytes, at);
        moments.extend(self.decoder.expire(at));
        self.keep(moments);
        self.presence.look(at.tick);
    }

    fn idle(&mut self) {
        let now = self.joints.clock.captured();
        let late = self.decoder.expire(now);
        self.keep(late.into_iter().collect());
        self.presence.look(now.tick);
    }

    fn keep(&mut self, moments: Vec<Moment>) {
        if !moments.is_empty() {
            self.presence.readings();
            self.wait = REOPEN_FIRST;
        }
        self.joints.counters.add(&self.decoder.take_tally());
        if let Some(low) = moments.iter().rev().find_map(|moment| moment.report.battery_low) {
            self.presence.battery(low);
        }
        // A state comes before the readings that it is about.
        self.say_change();
        for moment in moments {
            let captured = moment.captured;
            let given_up = self.outbox.readings(self.joints.taken(None, moment), captured);
            self.joints.counters.overrun_by(given_up);
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

    fn note_unopened(&mut self, why: Unopened) {
        if self.unopened != Some(why) {
            self.unopened = Some(why);
            let (device, path) = (&self.joints.device, self.config.path.display());
            match why {
                Unopened::Absent => tracing::info!(%device, %path, "the device is not there; it is tried again"),
                Unopened::Busy => {
                    tracing::warn!(%device, %path, "another program holds the port: stop it; it is tried again");
                }
                Unopened::Forbidden => {
                    tracing::error!(%device, %path, "the port may not be opened: give the agent's user the port's group");
                }
            }
        }
        self.presence.closed(if why == Unopened::Busy { DeviceState::Busy } else { DeviceState::Absent });
        self.settle();
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

    /// Tells a Nonin device which format to speak: `02 70 02 02 ff 03` (OEM specification 6470-000-01). Its answer,
    /// 06 or 15, is no frame and counts as such.
    fn select_format(&self, port: &mut dyn SerialPort) {
        let Some(format) = self.config.protocol.nonin_format().filter(|_| self.config.select_format) else { return };
        if port.write_all(&[0x02, 0x70, 0x02, 0x02, format, 0x03]).is_err() {
            tracing::warn!(device = %self.joints.device, "the device did not take the command that selects its format");
        }
    }
}

/// Nothing came yet; the port is still there.
const fn is_patience(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::TimedOut | io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
}

fn open(config: &SerialConfig) -> Result<Box<dyn SerialPort>, Unopened> {
    let parity = match config.parity {
        Parity::None => serialport::Parity::None,
        Parity::Odd => serialport::Parity::Odd,
        Parity::Even => serialport::Parity::Even,
    };
    let path = config.path.to_string_lossy();
    let opened = serialport::new(path, config.baud).parity(parity).timeout(PORT_READ_WITHIN).open();
    let mut port = opened.map_err(|error| match error.kind {
        // serialport's word for a port that is locked.
        ErrorKind::NoDevice => Unopened::Busy,
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => Unopened::Forbidden,
        _ => Unopened::Absent,
    })?;
    // Some adapters power the device from these lines; lines that do not exist are no fault.
    let _ = port.write_data_terminal_ready(true);
    let _ = port.write_request_to_send(true);
    Ok(port)
}
