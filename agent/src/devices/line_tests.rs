//! An owner on ports that exist only here, in a time that passes only here.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use runtime::clock::ManualClock;
use runtime::supervisor::Supervisor;
use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::decode::Protocol;
use crate::devices::models::Model;
use crate::devices::{Counters, PortName};
use crate::intake_item::Taken;

/// What a device does each tenth of a second: the settings of its line, and what it was told.
type Acts = Box<dyn FnMut(&LineSettings, &mut VecDeque<u8>) -> Option<Vec<u8>>>;

#[derive(Clone)]
struct Fake {
    clock: ManualClock,
    acts: Rc<RefCell<Acts>>,
    told: Rc<RefCell<VecDeque<u8>>>,
    settings: Rc<RefCell<Vec<LineSettings>>>,
}

impl Ports for Fake {
    type Open = Self;

    fn open(&self, _path: &Path, settings: &LineSettings) -> Result<Self, PortTrouble> {
        self.settings.borrow_mut().push(*settings);
        Ok(self.clone())
    }

    fn adapters(&self) -> Vec<Adapter> {
        Vec::new()
    }
}

impl Port for Fake {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.clock.advance(PORT_READ_WITHIN);
        let settings = *self.settings.borrow().last().unwrap();
        match (self.acts.borrow_mut())(&settings, &mut self.told.borrow_mut()) {
            None => Ok(0),
            Some(said) if said.is_empty() => Err(io::ErrorKind::TimedOut.into()),
            Some(said) => {
                buffer[..said.len()].copy_from_slice(&said);
                Ok(said.len())
            }
        }
    }

    fn write(&mut self, octet: u8, _within: Duration) -> io::Result<()> {
        self.told.borrow_mut().push_back(octet);
        Ok(())
    }

    fn set(&mut self, settings: &LineSettings) -> io::Result<()> {
        self.settings.borrow_mut().push(*settings);
        Ok(())
    }

    fn forget(&mut self) {}
}

struct Rig {
    line: Line<Fake>,
    port: Fake,
    counters: Arc<Counters>,
    taken: Receiver<Taken>,
}

fn rig(config: SerialConfig, room: usize, acts: Acts) -> Rig {
    let (out, taken) = channel(room);
    let (clock, counters) = (ManualClock::default(), Arc::new(Counters::default()));
    let joints = Joints {
        device: "device".parse().unwrap(),
        clock: Clock::manual(clock.clone()),
        out,
        counters: Arc::clone(&counters),
        stop: tokio_util::sync::CancellationToken::new(),
        progress: Supervisor::new().progress("device"),
    };
    let (acts, told, settings) = (Rc::new(RefCell::new(acts)), Rc::default(), Rc::default());
    let port = Fake { clock, acts, told, settings };
    Rig { line: Line::new(port.clone(), config, joints), port, counters, taken }
}

impl Rig {
    /// One opening, until the device is gone.
    fn listen(&mut self) {
        let place = self.line.chooser.place();
        self.line.chooser.opened(self.port.clock.now().tick);
        let port = self.port.open(Path::new("/p"), &self.line.config.line(place)).unwrap();
        self.line.listen(port);
    }
}

fn cms50() -> SerialConfig {
    let model: Model = "contec-cms50e".parse().unwrap();
    SerialConfig::with(PortName::Path("/p".into()), model.first(), model.others())
}

/// 97 per cent, 72 a minute, a tenth of a second of it.
fn tenth() -> Vec<u8> {
    [0x85, 60, 4, 72, 97].repeat(6)
}

#[test]
fn a_setting_that_was_found_is_kept_while_the_device_is_silent() {
    let mut tenths = 0;
    let acts: Acts = Box::new(move |settings, _| {
        tenths += 1;
        let is_heard = settings.to_string() == "bci at 19200 8O1";
        match tenths {
            // Fifty seconds of silence after ten of speaking.
            0..100 | 600..700 if is_heard => Some(tenth()),
            0..100 | 600..700 => Some(vec![0x00, 0x13, 0x7F]),
            100..600 => Some(Vec::new()),
            _ => None,
        }
    });
    let mut rig = rig(cms50(), 256, acts);
    rig.listen();
    let settings: Vec<String> = rig.port.settings.borrow().iter().map(ToString::to_string).collect();
    assert_eq!(settings, ["cms50-v7 at 115200 8N1", "bci at 19200 8O1"]);
    assert_eq!(rig.counters.line(), Some(1));
    let seconds = std::iter::from_fn(|| rig.taken.try_recv().ok()).filter(|it| matches!(it, Taken::Readings { .. }));
    assert!(seconds.count() >= 14);
}

#[test]
fn what_is_read_with_a_wrong_setting_is_not_taken() {
    // Every second frame is cut short: never three good ones in a row.
    let mut tenths = 0;
    let acts: Acts = Box::new(move |_, _| {
        tenths += 1;
        let cut = [&[0x85, 60, 4, 72, 97][..], &[0x85, 60, 4]].concat();
        (tenths < 300).then_some(cut)
    });
    let mut rig = rig(cms50(), 256, acts);
    rig.listen();
    assert!(rig.port.settings.borrow().len() >= 6, "each is tried again and again");
    assert_eq!((rig.counters.line(), rig.counters.accepted()), (None, 0));
    let mut all = std::iter::from_fn(|| rig.taken.try_recv().ok());
    assert!(all.all(|taken| matches!(taken, Taken::Device(_))));
}

#[test]
fn a_memory_waits_while_the_hub_has_no_room() {
    let mut tenths = 0;
    let acts: Acts = Box::new(move |_, told| {
        tenths += 1;
        let answer = match told.pop_front() {
            Some(0xAA) => vec![0x55],
            Some(0xA2) => vec![200],
            Some(0xA3) => vec![0xAC, 95, 55, told.pop_front().unwrap(), 7, 28, 14, 30, 26],
            _ => Vec::new(),
        };
        (tenths < 400).then_some(answer)
    });
    let mut rig = rig(SerialConfig::new("/p".into(), Protocol::BeurerBm65), 8, acts);
    rig.listen();
    assert_eq!(rig.counters.overrun(), 0, "nothing of it is lost");
    let handed_on = u64::try_from(rig.taken.len()).unwrap();
    assert!(handed_on == 8 && rig.line.outbox.held() >= CROWDED, "{handed_on}, {}", rig.line.outbox.held());
    // With room again it goes on where it was.
    let mut records = 0;
    for _ in 0..40 {
        while let Ok(taken) = rig.taken.try_recv() {
            records += u64::from(matches!(taken, Taken::Readings { .. }));
        }
        rig.line.flush();
    }
    assert!((CROWDED..=CROWDED + 8).contains(&records), "{records}");
}

#[test]
fn a_memory_that_does_not_answer_is_silent_and_connected_once_it_does() {
    let mut tenths = 0;
    let acts: Acts = Box::new(move |_, told| {
        tenths += 1;
        let answer = match told.pop_front() {
            // Switched on after half a minute.
            Some(0xAA) if tenths > 300 => vec![0x55],
            Some(0xA2) => vec![0],
            _ => Vec::new(),
        };
        (tenths < 500).then_some(answer)
    });
    let mut rig = rig(SerialConfig::new("/p".into(), Protocol::BeurerBm65), 8, acts);
    rig.listen();
    let states = std::iter::from_fn(|| rig.taken.try_recv().ok()).filter_map(|taken| match taken {
        Taken::Device(status) => Some(status.state),
        _ => None,
    });
    assert_eq!(states.collect::<Vec<_>>(), [DeviceState::Silent, DeviceState::Connected, DeviceState::Absent]);
}
