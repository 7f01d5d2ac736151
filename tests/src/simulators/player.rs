//! Plays a device's course on its line, on a thread of its own.
//!
//! Played faster than life, a device sends the same frames at a multiple of its pace; frames whose time has come leave
//! together, so the line is written at most every 10 ms.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::device::{Device, Now};
use super::ledger::{Fate, Played, Second};
use super::line::{Line, SETTLES_WITHIN};
use super::port::{Port, Sent};
use super::script::{Trouble, at_wrong_speed};
use super::{Bytes, DevicePlan, Protocol, Vitals, Writes, wall_ms};

#[derive(Debug)]
enum Command {
    Finger(bool),
    Plugged(bool),
    Garbage(Bytes),
}

/// A simulated device on a thread of its own. Dropped, it is pulled.
#[derive(Debug)]
pub struct SimulatedDevice {
    commands: Option<SyncSender<Command>>,
    writes: Arc<Writes>,
    protocol: Protocol,
    link: PathBuf,
    thread: Option<JoinHandle<Played>>,
}

/// Commands that wait. Full: the caller waits.
const COMMANDS_MAX: usize = 16;
/// How long the last bytes may take to be read.
const LAST_READ_WITHIN: Duration = Duration::from_millis(500);
/// Played faster than life, the line is written at most this often.
const STEP: Duration = Duration::from_millis(10);
/// How often a device listens for its host while it has nothing to say.
const LISTENS_EVERY: Duration = Duration::from_millis(20);
/// How long a device is quiet before its plug is pulled: what is not read by then goes with the plug.
const QUIET_BEFORE_UNPLUG: Duration = Duration::from_millis(400);

impl SimulatedDevice {
    /// Plugs it in and begins as soon as somebody opens the port.
    ///
    /// # Errors
    /// If there is no pseudo-terminal.
    pub fn start(plan: DevicePlan) -> anyhow::Result<Self> {
        let (commands, inbox) = sync_channel(COMMANDS_MAX);
        let writes = Arc::new(Writes::default());
        let (protocol, link) = (plan.protocol, plan.link.clone());
        let mut port = Port::unplugged(plan.link.clone());
        port.plug()?;
        let mut player = Player {
            device: protocol.device(),
            line: Line { port, opened: None, opening: 0, replug_at: None, waits: plan.waits_for_reader },
            plan,
            writes: Arc::clone(&writes),
            begin: Instant::now(),
            finger: true,
            played: Played::default(),
        };
        let thread = std::thread::Builder::new().name("simulated device".into()).spawn(move || {
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
    pub fn link(&self) -> &Path {
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

    /// Waits until its course is over; returns what it did.
    pub fn play_out(mut self) -> Played {
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }

    /// Stops it, at once, between two frames; returns what it did. The port goes with it.
    pub fn stop(mut self) -> Played {
        self.end()
    }

    fn end(&mut self) -> Played {
        self.commands = None;
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for SimulatedDevice {
    fn drop(&mut self) {
        self.end();
    }
}

struct Player {
    plan: DevicePlan,
    device: Box<dyn Device>,
    line: Line,
    writes: Arc<Writes>,
    begin: Instant,
    finger: bool,
    played: Played,
}

/// The device shall stop.
struct Stop;

/// What became of the frames so far in a second.
#[derive(Default)]
struct SoFar {
    taken: usize,
    lost: usize,
    bytes: usize,
    is_noisy: bool,
}

impl Player {
    fn play(&mut self, inbox: &Receiver<Command>) {
        while self.line.opened.is_none() {
            if self.wait(inbox, Duration::from_millis(5)).is_err() {
                return;
            }
        }
        self.begin = Instant::now() + SETTLES_WITHIN;
        for second in 0.. {
            let Some(vitals) = self.plan.course.at(second) else { break };
            let trouble = self.plan.script.at(second);
            if trouble.unplug && self.unplug(inbox).is_err() {
                return;
            }
            let is_in = self.finger && !trouble.finger_out;
            let shown = if is_in { vitals } else { Vitals::OFF };
            let shown = Vitals { battery_low: shown.battery_low || trouble.battery_low, ..shown };
            let ended = self.play_second(inbox, second, &shown, &trouble);
            if ended.is_err() {
                return;
            }
            self.played.seconds += 1;
        }
        // Over. A plug pulled at once would take unread bytes with it.
        let _ = self.wait(inbox, LAST_READ_WITHIN);
    }

    fn now(&self, second: u64) -> Now {
        Now { second, elapsed: self.begin.elapsed() }
    }

    fn unplug(&mut self, inbox: &Receiver<Command>) -> Result<(), Stop> {
        self.wait(inbox, QUIET_BEFORE_UNPLUG)?;
        if self.line.opened.is_some() {
            self.played.unplugs += 1;
            self.line.unplug();
            self.line.replug_at = Some(Instant::now() + self.plan.script.unplugged_for);
        }
        Ok(())
    }

    fn play_second(
        &mut self,
        inbox: &Receiver<Command>,
        second: u64,
        shown: &Vitals,
        trouble: &Trouble,
    ) -> Result<(), Stop> {
        let frames = self.device.second(shown, self.now(second));
        let count = frames.len().max(1);
        let (begin, speed) = (self.begin, self.plan.speed);
        let due =
            |place: usize| begin + Duration::from_secs_f64((second as f64 + (place + 1) as f64 / count as f64) / speed);
        let mut so_far = SoFar::default();
        let (mut place, mut last_write) = (0, begin);
        while place < count {
            let target = if speed > 1.0 { due(place).max(last_write + STEP) } else { due(place) };
            // The second's last frame is never held back beyond its own time.
            self.wait_until(inbox, second, target.min(due(count - 1)))?;
            let now = Instant::now();
            let ready = (place..count).take_while(|place| due(*place) <= now).count().max(1);
            let places = place..(place + ready).min(frames.len());
            if !places.is_empty() {
                self.put(&frames, places, second, trouble, &mut so_far);
            }
            place += ready;
            last_write = now;
        }
        self.enter(second, shown, &so_far);
        self.converse(second);
        self.drain(inbox)
    }

    /// Puts frames, and the noise that belongs among them, on the line.
    fn put(
        &mut self,
        frames: &[Bytes],
        places: std::ops::Range<usize>,
        second: u64,
        trouble: &Trouble,
        so_far: &mut SoFar,
    ) {
        let completes = places.clone().any(|place| self.plan.protocol.completes(place));
        let (mut bytes, mut is_noisy, count) = (Bytes::new(), trouble.wrong_speed, places.len());
        for place in places {
            if let Some((_, noise)) = trouble.noise.as_ref().filter(|(at, _)| at % frames.len() == place) {
                bytes.extend(noise);
                is_noisy = true;
            }
            bytes.extend(&frames[place]);
        }
        if trouble.wrong_speed {
            bytes = at_wrong_speed(&bytes, second);
        }
        if self.line.look() {
            self.device.switched_on();
        }
        let at_ms = wall_ms();
        match self.line.send(&bytes) {
            Sent::Taken => {
                so_far.taken += count;
                so_far.bytes += bytes.len();
                self.played.noises += u64::from(is_noisy && !so_far.is_noisy);
                so_far.is_noisy |= is_noisy;
                if completes && !is_noisy {
                    self.writes.note(at_ms);
                }
            }
            Sent::Unheard => {
                so_far.lost += count;
                self.played.unheard += count as u64;
            }
            Sent::Overflowed => {
                so_far.lost += count;
                self.played.overflowed += count as u64;
            }
        }
    }

    fn enter(&mut self, number: u64, shown: &Vitals, so_far: &SoFar) {
        if !self.plan.keeps_ledger {
            return;
        }
        let fate = match so_far {
            SoFar { taken: 0, lost: 0, .. } => Fate::Silent,
            SoFar { taken: 0, .. } => Fate::Unheard,
            SoFar { lost: 1.., .. } => Fate::Partly,
            SoFar { is_noisy: true, .. } => Fate::Noisy,
            _ => Fate::Whole,
        };
        let (shown, opening, bytes) = (shown.clone(), self.line.opening, so_far.bytes);
        self.played.ledger.push(Second { number, shown, fate, opening, bytes });
    }

    /// Looks at the line, and answers what the host says.
    fn converse(&mut self, second: u64) {
        if self.line.look() {
            self.device.switched_on();
        }
        let said = self.line.port.received();
        if said.is_empty() {
            return;
        }
        for answer in self.device.hear(&said, self.now(second)) {
            self.line.port.send(&answer);
        }
    }

    fn wait_until(&mut self, inbox: &Receiver<Command>, second: u64, target: Instant) -> Result<(), Stop> {
        loop {
            let now = Instant::now();
            if now >= target {
                return Ok(());
            }
            self.obey_within(inbox, (target - now).min(LISTENS_EVERY))?;
            self.converse(second);
        }
    }

    /// Obeys commands and answers the host until the time is over.
    fn wait(&mut self, inbox: &Receiver<Command>, time: Duration) -> Result<(), Stop> {
        self.wait_until(inbox, self.played.seconds, Instant::now() + time)
    }

    fn obey_within(&mut self, inbox: &Receiver<Command>, time: Duration) -> Result<(), Stop> {
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
                self.line.plug();
                self.device.switched_on();
            }
            Command::Plugged(false) => self.line.unplug(),
            Command::Garbage(bytes) => {
                self.line.port.send(&bytes);
            }
        }
    }
}
