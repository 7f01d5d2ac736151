//! Decoding: a value of each Bluetooth characteristic, and a minute of each serial line, clean and with garbage in it.
//!
//! `cargo bench -p agent --bench decode`. There is no public crate to stand beside: those that were looked at decode one
//! profile, to floats, and none finds frames in a line.
#![allow(missing_docs)]

use std::hint::black_box;

use agent::decode::ble::{Characteristic, Values};
use agent::decode::{Protocol, StreamDecoder};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shared::hex;
use shared::observation::Captured;
use shared::time::{ClockState, Tick, Timestamp};

const VALUES: [(&str, Characteristic, &str); 8] = [
    ("heart rate", Characteristic::HeartRate, "1f0101320101000201ffff"),
    ("temperature", Characteristic::Temperature, "066c0100ffea0701150a1e0002"),
    ("blood pressure", Characteristic::BloodPressure, "1e8a00580078000000041114293b3c00012700"),
    ("oximeter, continuous", Characteristic::PlxContinuous, "1fdef3caf3caf35af5d4f3b2f220010000007ae3"),
    ("glucose", Characteristic::Glucose, "1b0100e307021b0b0a1efbff1e00120501"),
    ("continuous glucose", Characteristic::Cgm, "06000c100600"),
    ("weight", Characteristic::Weight, "0e783eea07050c12353601ee002607"),
    ("body composition", Characteristic::BodyComposition, "9803c200df1a9701cc2fca21a811"),
];

fn values(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("value");
    for (name, characteristic, digits) in VALUES {
        let value = hex::decode(digits).unwrap_or_default();
        let mut reader = Values::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let read = reader.read(characteristic, black_box(&value), &mut |report| {
                    black_box(report);
                });
                assert!(read.is_ok(), "{name}: {read:?}");
            });
        });
    }
    group.finish();
}

/// Frames of a protocol.
fn frames(protocol: Protocol) -> Option<Vec<u8>> {
    let packet = |head: fn(u8) -> Vec<u8>| {
        let frame = |number: u8| {
            let float = match number {
                2 => 72,
                3 => 97,
                _ => 0,
            };
            let mut frame = head(u8::from(number == 1));
            frame.push(float);
            frame.push(frame.iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet)));
            frame
        };
        (1..=25).flat_map(frame).collect::<Vec<u8>>()
    };
    Some(match protocol {
        Protocol::NoninDf2 => packet(|first| vec![0x01, 0x80 | first, 100]),
        Protocol::NoninDf7 => packet(|first| vec![0x80 | first, 0x12, 0x34]),
        Protocol::NoninDf8 => vec![0x80, 72, 97, 0],
        Protocol::Bci => vec![0x85, 50, 7, 72, 97],
        Protocol::Cms50V7 => vec![0x01, 0x80, 0x85, 0xBC, 0x94, 0xC8, 0xE2, 0xA3, 0x81],
        Protocol::MasimoAscii1 => {
            b"02/22/16 22:47:46 SN=1 SPO2=098% BPM=096 PI=03.95% ALARM=0000 EXC=000800\r\n\r\n".to_vec()
        }
        _ => return None,
    })
}

fn lines(criterion: &mut Criterion) {
    let at = Captured {
        tick: Tick::from_millis(0),
        wall: Timestamp::from_millis(1_774_000_000_000),
        clock: ClockState::Synchronised,
    };
    let mut group = criterion.benchmark_group("line");
    for protocol in Protocol::ALL {
        let Some(frame) = frames(protocol) else { continue };
        let clean = frame.iter().copied().cycle().take(1024 * 1024).collect::<Vec<u8>>();
        let mut dirty = clean.clone();
        // One octet of a hundred is another, at places that follow no frame's length.
        for octet in dirty.iter_mut().step_by(101) {
            *octet ^= 0x55;
        }
        group.throughput(Throughput::Bytes(1024 * 1024));
        for (name, bytes) in [("clean", &clean), ("one octet of a hundred wrong", &dirty)] {
            group.bench_function(format!("{protocol}, {name}"), |bencher| {
                let mut decoder = StreamDecoder::new(protocol);
                bencher.iter(|| {
                    for part in black_box(bytes).chunks(1024) {
                        decoder.push(part, at, &mut |moment| {
                            black_box(moment);
                        });
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, values, lines);
criterion_main!(benches);
