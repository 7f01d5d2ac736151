//! What is said to devices, and what of a line is found by trying.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use agent::decode::Protocol;
use agent::devices::models::Model;
use agent::devices::port::{PortName, UsbId, UsbName};
use agent::devices::{PortTrouble, SerialConfig};
use agent::intake_item::Taken;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use shared::wire::DeviceState;

use super::home::{Home, Instrument, values};

const START: [u8; 9] = [0x7D, 0x81, 0xA1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
/// 98 per cent, 72 a minute.
const PACKAGE: [u8; 9] = [0x01, 0x80, 0x85, 0xBC, 0x84, 0xC8, 0xE2, 0x80, 0x80];
/// 97 per cent, 72 a minute.
const BCI: [u8; 5] = [0x85, 60, 4, 72, 97];

/// Does something again and again until dropped.
struct Again {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Again {
    fn each(every: Duration, mut act: impl FnMut() + Send + 'static) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                act();
                std::thread::sleep(every);
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A device that says the same 60 times a second.
fn speaks(instrument: &Instrument, frame: &'static [u8]) -> Again {
    let mut line = instrument.line.try_clone().unwrap();
    Again::each(Duration::from_millis(16), move || line.write_all(frame).unwrap())
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..100 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: not within 5 s");
}

/// Writes until there is no room, and none is made by what the kernel still moves on: nobody reads the other side.
fn fill(instrument: &Instrument) {
    let flags = fcntl(&instrument.other_end, FcntlArg::F_GETFL).unwrap();
    let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK;
    fcntl(instrument.other_end.as_fd(), FcntlArg::F_SETFL(flags)).unwrap();
    let mut times_full = 0;
    while times_full < 5 {
        times_full += 1;
        while nix::unistd::write(&instrument.other_end, &[0]).is_ok() {
            times_full = 0;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_port_that_takes_nothing_is_opened_again_and_named() {
    let mut instrument = Instrument::plugged_in();
    fill(&instrument);
    let mut home = Home::on(&instrument.path, Protocol::Cms50V7);
    assert_eq!(home.next_state().await, DeviceState::Silent);
    assert_eq!(home.counters.port_trouble(), Some(PortTrouble::NotTaken));
    assert!(home.taken.try_recv().is_err(), "and was never said to be connected");
    // Somebody reads again.
    let mut line = instrument.line.try_clone().unwrap();
    let heard = tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while !all.ends_with(&START) {
            let count = line.read(&mut buffer).unwrap();
            all.extend(&buffer[..count]);
        }
    });
    tokio::time::timeout(Duration::from_secs(5), heard).await.expect("it is not started").unwrap();
    until("the trouble is over", || home.counters.port_trouble().is_none()).await;
    instrument.send(&PACKAGE.repeat(60));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    assert_eq!(values(&home.next_outcomes().await), ["98", "72"]);
    home.stopped().await;
}

#[tokio::test]
async fn a_model_that_varies_is_found_by_trying_and_known_at_the_next_opening() {
    let model: Model = "contec-cms50e".parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("oximeter");
    let instrument = Instrument::plugged_in();
    symlink(&instrument.path, &link).unwrap();
    let config = SerialConfig::with(PortName::Path(link.clone()), model.first(), model.others());
    let mut home = Home::with(config, 256);
    let speaking = speaks(&instrument, &BCI);
    assert_eq!(home.next_state().await, DeviceState::Connected, "unreadable is no device that is only tried");
    assert_eq!(values(&home.next_outcomes().await), ["97", "72"]);
    assert_eq!(home.counters.line(), Some(1));
    assert_eq!(home.counters.refused_in_all(), 0, "what was read with the wrong setting is not counted");
    drop(speaking);
    drop(instrument);
    while home.next_state().await != DeviceState::Absent {}
    let instrument = Instrument::plugged_in();
    std::fs::remove_file(&link).unwrap();
    symlink(&instrument.path, &link).unwrap();
    let _speaking = speaks(&instrument, &BCI);
    let found = tokio::time::timeout(Duration::from_secs(4), home.next_state()).await;
    assert_eq!(found.expect("it is looked for anew"), DeviceState::Connected);
    assert_eq!(home.counters.line(), Some(1));
    home.stopped().await;
}

#[tokio::test]
async fn a_second_device_on_a_port_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let mut instrument = Instrument::plugged_in();
    let link = folder.path().join("other");
    symlink(&instrument.path, &link).unwrap();
    let mut first = Home::on(&instrument.path, Protocol::Bci);
    instrument.send(&BCI.repeat(60));
    assert_eq!(first.next_state().await, DeviceState::Connected);
    let mut second = Home::on(&link, Protocol::Bci);
    assert_eq!(second.next_state().await, DeviceState::Busy);
    assert_eq!(second.counters.port_trouble(), Some(PortTrouble::Busy));
    second.stopped().await;
    first.stopped().await;
}

#[tokio::test]
async fn an_adapter_that_is_not_there_is_named() {
    let usb = UsbName { vendor: UsbId(0xFFFF), product: UsbId(0xFFFF), serial: Some("none".into()) };
    let mut config = SerialConfig::new("/none".into(), Protocol::Bci);
    config.port = PortName::Usb(usb);
    let mut home = Home::with(config, 8);
    assert_eq!(home.next_state().await, DeviceState::Absent);
    assert_eq!(home.counters.port_trouble(), Some(PortTrouble::NoAdapter));
    home.stopped().await;
}

/// A BM65 with these results answers on the line until dropped; each whole question is counted.
fn bm65(instrument: &Instrument, results: &'static [[u8; 9]]) -> Again {
    let mut line = instrument.line.try_clone().unwrap();
    let flags = fcntl(&line, FcntlArg::F_GETFL).unwrap();
    fcntl(&line, FcntlArg::F_SETFL(OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK)).unwrap();
    let mut asked = Vec::new();
    Again::each(Duration::from_millis(5), move || {
        let mut buffer = [0; 64];
        match line.read(&mut buffer) {
            Ok(count) => asked.extend(&buffer[..count]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        let (answer, length) = match *asked {
            [0xAA, ..] => (vec![0x55], 1),
            [0xA2, ..] => (vec![u8::try_from(results.len()).unwrap()], 1),
            [0xA3, number, ..] => (results[usize::from(number) - 1].to_vec(), 2),
            _ => return,
        };
        asked.drain(..length);
        line.write_all(&answer).unwrap();
    })
}

#[tokio::test]
async fn a_memory_is_read_and_after_a_pulled_plug_only_what_is_new() {
    const RESULTS: [[u8; 9]; 3] = [
        [0xAC, 95, 55, 72, 7, 28, 14, 30, 26],
        [0xAC, 96, 56, 73, 7, 29, 14, 30, 26],
        [0xAC, 97, 57, 74, 7, 30, 14, 30, 26],
    ];
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("cuff");
    let instrument = Instrument::plugged_in();
    symlink(&instrument.path, &link).unwrap();
    let cuff = bm65(&instrument, &RESULTS[..2]);
    let mut home = Home::on(&link, Protocol::BeurerBm65);
    assert_eq!(home.next_state().await, DeviceState::Connected);
    for expected in [["120", "80", "72"], ["121", "81", "73"]] {
        let taken = home.next().await;
        let Taken::Readings { readings, from_memory, .. } = taken else { panic!("{taken:?}") };
        let outcomes: Vec<_> = readings.iter().map(|reading| reading.outcome).collect();
        assert_eq!((values(&outcomes).as_slice(), from_memory.is_some()), (&expected.map(str::to_owned)[..], true));
    }
    drop(cuff);
    drop(instrument);
    assert_eq!(home.next_state().await, DeviceState::Absent);
    let instrument = Instrument::plugged_in();
    std::fs::remove_file(&link).unwrap();
    symlink(&instrument.path, &link).unwrap();
    let _cuff = bm65(&instrument, &RESULTS);
    assert_eq!(home.next_state().await, DeviceState::Connected);
    assert_eq!(values(&home.next_outcomes().await), ["122", "82", "74"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(home.taken.try_recv().is_err(), "what was read before is not sent again");
    home.stopped().await;
}

#[tokio::test]
async fn a_scale_that_somebody_stands_on_for_long_can_be_read() {
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::on(&instrument.path, Protocol::AndScale);
    assert_eq!(home.next_state().await, DeviceState::Connected);
    for _ in 0..35 {
        instrument.send(b"US,+0083.100 kg\r\n");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    instrument.send(b"ST,+0083.760 kg\r\n");
    // Nothing else was said of it meanwhile.
    assert_eq!(values(&home.next_outcomes().await), ["83.760"]);
    home.stopped().await;
}
