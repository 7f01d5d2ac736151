//! Oximeters that are not there: the bytes real ones send, at the pace they send them, over pseudo-terminals.
//!
//! Played faster than life, an oximeter sends the same frames at a multiple of its pace; frames whose time has come
//! leave together, so the line is written at most every 10 ms.

pub mod bci;
pub mod nonin;
pub mod patient;
pub mod port;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use patient::Course;
use port::{Port, Sent};

/// Bytes of one frame.
pub type Bytes = Vec<u8>;

/// What an oximeter shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vitals {
    /// Pulse rate per minute, if there is one.
    pub pulse: Option<u16>,
    /// Saturation in per cent, if there is one.
    pub spo2: Option<u8>,
    /// Whether a finger is in it.
    pub finger: bool,
}

impl Vitals {
    /// No finger.
    pub const OFF: Self = Self { pulse: None, spo2: None, finger: false };
}

/// What a simulated oximeter speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Nonin data format 2.
    NoninDf2,
    /// Nonin data format 7.
    NoninDf7,
    /// Nonin data format 8.
    NoninDf8,
    /// Nonin data format 13.
    NoninDf13,
    /// BCI.
    Bci,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 5] = [Self::NoninDf2, Self::NoninDf7, Self::NoninDf8, Self::NoninDf13, Self::Bci];

    /// Its name in an agent's configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoninDf2 => "nonin-df2",
            Self::NoninDf7 => "nonin-df7",
            Self::NoninDf8 => "nonin-df8",
            Self::NoninDf13 => "nonin-df13",
            Self::Bci => "bci",
        }
    }

    /// The frames of a second, in order, evenly spread over it.
    #[must_use]
    pub fn second(self, vitals: &Vitals, second: u64) -> Vec<Bytes> {
        let timer = (second as u16).wrapping_mul(nonin::PACKETS_PER_SECOND as u16);
        match self {
            Self::NoninDf2 => nonin::wide_second(nonin::Wide::Df2, vitals, timer),
            Self::NoninDf7 => nonin::wide_second(nonin::Wide::Df7, vitals, timer),
            Self::NoninDf8 => vec![nonin::df8(vitals)],
            Self::NoninDf13 => vec![nonin::df13(vitals, second)],
            Self::Bci => bci::second(vitals),
        }
    }

    /// Whether the frame at this place in a second completes something a reader could use.
    const fn completes(self, place: usize) -> bool {
        match self {
            Self::NoninDf2 | Self::NoninDf7 => place % nonin::FRAMES_PER_PACKET == nonin::FRAMES_PER_PACKET - 1,
            Self::NoninDf8 | Self::NoninDf13 | Self::Bci => true,
        }
    }
}

/// When bytes that complete a frame or packet were written, by the wall clock in milliseconds.
#[derive(Debug, Default)]
pub struct Writes(Mutex<VecDeque<i64>>);

/// Moments kept; older ones are forgotten, because nothing that old is still on its way.
const WRITES_KEPT: usize = 16_384;

impl Writes {
    fn note(&self, at_ms: i64) {
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if writes.len() == WRITES_KEPT {
            writes.pop_front();
        }
        writes.push_back(at_ms);
    }

    /// The newest write at or before a moment, in milliseconds of the wall clock.
    #[must_use]
    pub fn latest_by(&self, at_ms: i64) -> Option<i64> {
        let writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.iter().rev().find(|write| **write <= at_ms).copied()
    }
}

/// The wall clock, in milliseconds.
#[must_use]
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(i64::MAX)
}

/// What to simulate.
#[derive(Debug, Clone)]
pub struct OximeterPlan {
    /// The name of its port.
    pub link: PathBuf,
    /// What it speaks.
    pub protocol: Protocol,
    /// Whom it measures.
    pub course: Course,
    /// How much faster than life.
    pub speed: f64,
}

#[derive(Debug)]
enum Command {
    Finger(bool),
    Plugged(bool),
    Garbage(Bytes),
}

/// A simulated oximeter on a thread of its own. Dropped, it is pulled.
#[derive(Debug)]
pub struct Oximeter {
    commands: Option<SyncSender<Command>>,
    writes: Arc<Writes>,
    protocol: Protocol,
    link: PathBuf,
    thread: Option<JoinHandle<Played>>,
}

/// What it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Played {
    /// Seconds of the course.
    pub seconds: u64,
    /// Frames that were sent while nobody listened.
    pub unheard: u64,
    /// Frames that found the line's buffer full.
    pub overflowed: u64,
}

/// Commands that wait. Full: the caller waits.
const COMMANDS_MAX: usize = 16;

impl Oximeter {
    /// Plugs it in and begins as soon as somebody opens the port.
    ///
    /// # Errors
    /// If there is no pseudo-terminal.
    pub fn start(plan: OximeterPlan) -> anyhow::Result<Self> {
        let (commands, inbox) = sync_channel(COMMANDS_MAX);
        let writes = Arc::new(Writes::default());
        let (protocol, link) = (plan.protocol, plan.link.clone());
        let mut port = Port::unplugged(plan.link.clone());
        port.plug()?;
        let mut player = Player { plan, port, writes: Arc::clone(&writes), finger: true, played: Played::default() };
        let thread = std::thread::Builder::new().name("oximeter".into()).spawn(move || {
            player.play(&inbox);
            player.played
        })?;
        Ok(Self { commands: Some(commands), writes, protocol, link, thread: Some(thread) })
    }

    /// When it wrote what.
    #[must_use]
    pub fn writes(&self) -> Arc<Writes> {
        Arc::clone(&self.writes)
    }

    /// What it speaks.
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The name of its port.
    #[must_use]
    pub fn link(&self) -> &std::path::Path {
        &self.link
    }

    fn tell(&self, command: Command) {
        // A course that is over listens to nobody.
        let _ = self.commands.as_ref().map(|commands| commands.send(command));
    }

    /// Puts the finger in or takes it out.
    pub fn finger(&self, is_in: bool) {
        self.tell(Command::Finger(is_in));
    }

    /// Pulls the plug or puts it back.
    pub fn plugged(&self, is_plugged: bool) {
        self.tell(Command::Plugged(is_plugged));
    }

    /// Sends bytes that are no frame.
    pub fn garbage(&self, bytes: &[u8]) {
        self.tell(Command::Garbage(bytes.to_vec()));
    }

    /// Whether its course is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops it, at once, between two frames. The port stays until this is dropped by the thread's end.
    pub fn stop(mut self) -> Played {
        self.end()
    }

    fn end(&mut self) -> Played {
        self.commands = None;
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Oximeter {
    fn drop(&mut self) {
        self.end();
    }
}

struct Player {
    plan: OximeterPlan,
    port: Port,
    writes: Arc<Writes>,
    finger: bool,
    played: Played,
}

/// The oximeter shall stop.
struct Stop;

impl Player {
    fn play(&mut self, inbox: &Receiver<Command>) {
        while !self.port.is_open() {
            if self.wait(inbox, Duration::from_millis(5)).is_err() {
                return;
            }
        }
        let begin = Instant::now();
        for second in 0.. {
            let Some(vitals) = self.plan.course.at(second) else { break };
            let shown = if self.finger { vitals } else { Vitals::OFF };
            if self.play_second(inbox, begin, second, &shown).is_err() {
                return;
            }
            self.played.seconds += 1;
        }
        // Over. A plug pulled at once would take unread bytes with it.
        let _ = self.wait(inbox, LAST_READ_WITHIN);
    }

    fn play_second(
        &mut self,
        inbox: &Receiver<Command>,
        begin: Instant,
        second: u64,
        vitals: &Vitals,
    ) -> Result<(), Stop> {
        let frames = self.plan.protocol.second(vitals, second);
        let count = frames.len();
        let due = |place: usize| {
            let at = (second as f64 + (place + 1) as f64 / count as f64) / self.plan.speed;
            begin + Duration::from_secs_f64(at)
        };
        let dues: Vec<Instant> = (0..count).map(due).collect();
        let (mut place, mut last_write) = (0, begin);
        while place < count {
            let target = if self.plan.speed > 1.0 { dues[place].max(last_write + STEP) } else { dues[place] };
            // The second's last frame is never held back beyond its own time.
            let target = target.min(dues[count - 1]);
            loop {
                let now = Instant::now();
                if now >= target {
                    break;
                }
                self.wait(inbox, target - now)?;
            }
            let now = Instant::now();
            let ready = dues.iter().skip(place).take_while(|due| **due <= now).count().max(1);
            let bytes: Bytes = frames[place..place + ready].concat();
            let completes = (place..place + ready).any(|place| self.plan.protocol.completes(place));
            let at_ms = wall_ms();
            match self.port.send(&bytes) {
                Sent::Taken if completes => self.writes.note(at_ms),
                Sent::Taken => {}
                Sent::Unheard => self.played.unheard += ready as u64,
                Sent::Overflowed => self.played.overflowed += ready as u64,
            }
            place += ready;
            last_write = now;
        }
        // What an agent says to its device (select a format) needs no answer here.
        let _ = self.port.received();
        self.drain(inbox)
    }

    /// Obeys commands until the time is over.
    fn wait(&mut self, inbox: &Receiver<Command>, time: Duration) -> Result<(), Stop> {
        match inbox.recv_timeout(time) {
            Ok(command) => {
                self.obey(command);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Stop),
        }
    }

    fn drain(&mut self, inbox: &Receiver<Command>) -> Result<(), Stop> {
        loop {
            match inbox.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Stop),
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Finger(is_in) => self.finger = is_in,
            Command::Plugged(true) => {
                if let Err(error) = self.port.plug() {
                    eprintln!("the simulated oximeter cannot be plugged in again: {error:#}");
                }
            }
            Command::Plugged(false) => self.port.unplug(),
            Command::Garbage(bytes) => {
                self.port.send(&bytes);
            }
        }
    }
}

/// How long the last bytes may take to be read.
const LAST_READ_WITHIN: Duration = Duration::from_millis(500);
/// Played faster than life, the line is written at most this often.
const STEP: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
