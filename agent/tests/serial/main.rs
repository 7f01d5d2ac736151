//! Serial lines on pseudo-terminals: what a port really does when it is plugged, pulled, held or silent.
#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod home;
mod spoken;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use agent::decode::{Protocol, RefusedFrame};
use agent::devices::SerialConfig;
use agent::intake_item::Taken;
use home::{Home, Instrument, values};
use nix::fcntl::{Flock, FlockArg};
use shared::reading::{NoReading, Outcome};
use shared::wire::DeviceState;

/// A second of Nonin DF7.
fn second(pulse: u8, spo2: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    for number in 1..=25 {
        let float = match number {
            2 => pulse,
            3 => spo2,
            _ => 0,
        };
        let head = [0x80 | u8::from(number == 1), 0x12, 0x34, float];
        packet.extend(head);
        packet.push(head.iter().fold(0, |sum: u8, octet| sum.wrapping_add(*octet)));
    }
    packet.repeat(3)
}

#[tokio::test]
async fn a_second_leaves_with_its_last_byte() {
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::on(&instrument.path, Protocol::NoninDf7);
    let bytes = second(72, 97);
    let (head, last) = bytes.split_at(bytes.len() - 1);
    instrument.send(head);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(home.taken.try_recv().is_err());
    let sent = Instant::now();
    instrument.send(last);
    assert_eq!(home.next_state().await, DeviceState::Connected);
    assert_eq!(values(&home.next_outcomes().await), ["97", "72"]);
    assert!(sent.elapsed() < Duration::from_millis(250), "{:?}", sent.elapsed());
    assert_eq!(home.counters.accepted(), 3);
    home.stopped().await;
}

/// Prints how long after its last octet each frame is with the queue's owner; the figures stand in docs/performance.md.
#[tokio::test]
async fn each_frame_is_handed_on_with_its_last_octet() {
    const FRAMES: u8 = 250;
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::on(&instrument.path, Protocol::NoninDf8);
    // The first frame of a line without checksums is not yet believed.
    instrument.send(&[0x80, 1, 97, 0]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut took = Vec::new();
    for number in 1..=FRAMES {
        let pulse = number % 120 + 1;
        let frame = [0x80, pulse, 97, 0];
        instrument.send(&frame[..3]);
        tokio::time::sleep(Duration::from_millis(u64::from(number % 8))).await;
        let sent = Instant::now();
        instrument.send(&frame[3..]);
        let mut taken = home.next().await;
        if matches!(taken, Taken::Device(_)) {
            taken = home.next().await;
        }
        took.push(sent.elapsed());
        let Taken::Readings { readings, .. } = taken else { panic!("{taken:?}") };
        let outcomes: Vec<_> = readings.iter().map(|reading| reading.outcome).collect();
        assert_eq!(values(&outcomes), ["97".to_owned(), pulse.to_string()]);
    }
    took.sort_unstable();
    let at = |per_cent: usize| took[(took.len() - 1) * per_cent / 100];
    println!("last octet to queue: median {:?}, p99 {:?}, longest {:?} of {FRAMES}", at(50), at(99), at(100));
    home.stopped().await;
}

#[tokio::test]
async fn pulled_out_and_plugged_in_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("oximeter");
    let mut home = Home::on(&link, Protocol::NoninDf7);
    assert_eq!(home.next_state().await, DeviceState::Absent);

    let mut instrument = Instrument::plugged_in();
    symlink(&instrument.path, &link).unwrap();
    instrument.send(&second(72, 97));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    home.next_outcomes().await;
    // The second after is cut off in the middle: what it held is not lost.
    instrument.send(&second(75, 96)[..300]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(instrument);
    assert_eq!(values(&home.next_outcomes().await), ["96", "75"]);
    assert_eq!(home.next_state().await, DeviceState::Absent);

    let mut instrument = Instrument::plugged_in();
    std::fs::remove_file(&link).unwrap();
    symlink(&instrument.path, &link).unwrap();
    instrument.send(&second(80, 95));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    assert_eq!(values(&home.next_outcomes().await), ["95", "80"]);
    home.stopped().await;
}

#[tokio::test]
async fn a_port_that_another_program_holds_is_busy() {
    let mut instrument = Instrument::plugged_in();
    let held = Flock::lock(File::open(&instrument.path).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    let mut home = Home::on(&instrument.path, Protocol::NoninDf7);
    assert_eq!(home.next_state().await, DeviceState::Busy);
    drop(held);
    instrument.send(&second(72, 97));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    home.stopped().await;
}

#[tokio::test]
async fn silent_then_unreadable_then_well() {
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::on(&instrument.path, Protocol::NoninDf7);
    assert_eq!(home.next_state().await, DeviceState::Silent);
    for n in 0..34_u8 {
        instrument.send(&[n, 0x81, 7, 9]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(home.next_state().await, DeviceState::Unreadable);
    assert!(home.counters.refused().any(|(why, count)| why == RefusedFrame::Marker && count > 0));
    instrument.send(&second(72, 97));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    assert_eq!(values(&home.next_outcomes().await), ["97", "72"]);
    assert!(home.taken.try_recv().is_err(), "each state is said once");
    home.stopped().await;
}

#[tokio::test]
async fn a_queue_without_room_is_an_overrun_and_nothing_goes_missing_in_silence() {
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::with(SerialConfig::new(instrument.path.clone(), Protocol::NoninDf8), 8);
    for n in 0..100_u8 {
        instrument.send(&[0x80, n, 97, 0]);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(home.counters.overrun() > 0);
    let (mut moments, mut gone) = (0, 0);
    while gone == 0 {
        match home.next().await {
            Taken::Readings { .. } => moments += 1,
            Taken::Overrun { count, .. } => gone = count,
            Taken::Device(_) => {}
        }
    }
    // The first frame of a line without checksums is not yet believed.
    assert_eq!(moments + gone, 99);
    assert_eq!(home.counters.overrun(), gone);
    instrument.send(&[0x80, 60, 97, 0]);
    assert_eq!(values(&home.next_outcomes().await), ["97", "60"]);
    home.stopped().await;
}

#[tokio::test]
async fn a_finger_off_is_said_each_second() {
    let mut instrument = Instrument::plugged_in();
    let mut home = Home::on(&instrument.path, Protocol::Bci);
    instrument.send(&[0x80, 0, 0x50, 127, 127].repeat(120));
    assert_eq!(home.next_state().await, DeviceState::Connected);
    for _ in 0..2 {
        assert_eq!(home.next_outcomes().await, [Outcome::None(NoReading::SensorOff); 2]);
    }
    home.stopped().await;
}

#[tokio::test]
async fn a_nonin_device_is_told_its_format_if_configured() {
    let mut instrument = Instrument::plugged_in();
    let mut config = SerialConfig::new(instrument.path.clone(), Protocol::NoninDf7);
    config.talk.select_format = true;
    let home = Home::with(config, 256);
    let mut line = instrument.line.try_clone().unwrap();
    let reader = tokio::task::spawn_blocking(move || {
        let mut command = [0_u8; 6];
        line.read_exact(&mut command).unwrap();
        command
    });
    assert_eq!(reader.await.unwrap(), [0x02, 0x70, 0x02, 0x02, 0x07, 0x03]);
    instrument.send(&[0x06]);
    home.stopped().await;
}
