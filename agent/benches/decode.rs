//! Decoding: a value of each Bluetooth characteristic, and a MiB of each serial line, clean and with garbage in it.
//! Bounds: a microsecond a value, 50 MB/s a line (`docs/performance.md`).
//!
//! `cargo bench -p agent --bench decode`. There is no public crate to stand beside: those that were looked at decode one
//! profile, to floats, and none finds frames in a line.
#![allow(missing_docs)]

use std::hint::black_box;

use agent::decode::ble::{Characteristic, Values};
use agent::decode::{Protocol, StreamDecoder, checksum};
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
                    black_box(&report);
                });
                assert!(read.is_ok(), "{name}: {read:?}");
            });
        });
    }
    group.finish();
}

/// What a device sends of one measurement, or a packet where frames stand for nothing alone.
fn frames(protocol: Protocol) -> Vec<u8> {
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
    match protocol {
        Protocol::NoninDf2 => packet(|first| vec![0x01, 0x80 | first, 100]),
        Protocol::NoninDf7 => packet(|first| vec![0x80 | first, 0x12, 0x34]),
        Protocol::NoninDf8 => vec![0x80, 72, 97, 0],
        Protocol::NoninDf13 => {
            vec![0, 2, 0, 13, 0, 14, 0x20, 0x26, 7, 0x28, 0x14, 0x30, 0x15, 0, 2, 0, 0, 72, 0, 97, 0x79, 3]
        }
        Protocol::Bci => vec![0x85, 50, 7, 72, 97],
        Protocol::Cms50V7 => vec![0x01, 0x80, 0x85, 0xBC, 0x94, 0xC8, 0xE2, 0xA3, 0x81],
        Protocol::MasimoAscii1 => {
            b"02/22/16 22:47:46 SN=1 SPO2=098% BPM=096 PI=03.95% ALARM=0000 EXC=000800\r\n\r\n".to_vec()
        }
        Protocol::SuntechNibp => {
            let mut packet = vec![0x3E, 0x18, 120, 0, 80, 0, 30, 1, 0, 0, 0, 0, 0, 0, 0, 0, 72, 0, 93, 0, 0, 0, 0];
            packet.push(checksum::sum8(&packet).wrapping_neg());
            packet
        }
        Protocol::AndUa767pc => b"804C4C4960\r\n".to_vec(),
        Protocol::AndScale => b"US,+0080.000 kg\r\nST,+0083.760 kg\r\n".to_vec(),
        Protocol::Lifescan => lifescan(&[5, 6, 0xA8, 0xBF, 0x68, 0x6A, 100, 0, 0, 0]),
        Protocol::LifescanVerio => lifescan(&[3, 6, 0x18, 0xBF, 0xFA, 0x31, 100, 0, 0, 0, 0, 0]),
        Protocol::BeurerBm65 => vec![0xAC, 0x5F, 0x37, 72, 7, 28, 14, 30, 26],
    }
}

/// A packet of a LifeScan meter.
fn lifescan(message: &[u8]) -> Vec<u8> {
    let length = u8::try_from(message.len()).unwrap_or(0).wrapping_add(6);
    let mut packet = [&[2, length, 2], message, &[3]].concat();
    packet.extend(checksum::crc16_ccitt_false(&packet).to_le_bytes());
    packet
}

/// The same with ten octets of garbage behind each thousand.
fn with_garbage(clean: &[u8]) -> Vec<u8> {
    let mut dirty = Vec::with_capacity(clean.len());
    let mut drawn = 1_u32;
    for part in clean.chunks(990) {
        dirty.extend_from_slice(part);
        for _ in 0..10 {
            // Numerical Recipes' quick generator; its high octet is random enough to be garbage.
            drawn = drawn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            dirty.push(drawn.to_be_bytes()[0]);
        }
    }
    dirty.truncate(clean.len());
    dirty
}

fn lines(criterion: &mut Criterion) {
    let at = Captured {
        tick: Tick::from_millis(0),
        wall: Timestamp::from_millis(1_774_000_000_000),
        clock: ClockState::Synchronised,
    };
    let mut group = criterion.benchmark_group("line");
    for protocol in Protocol::ALL {
        let clean = frames(protocol).into_iter().cycle().take(1024 * 1024).collect::<Vec<u8>>();
        let dirty = with_garbage(&clean);
        group.throughput(Throughput::Bytes(1024 * 1024));
        for (name, bytes) in [("clean", &clean), ("1 % garbage", &dirty)] {
            group.bench_function(format!("{protocol}, {name}"), |bencher| {
                let (mut decoder, mut moments) = (StreamDecoder::new(protocol), 0_u64);
                bencher.iter(|| {
                    for part in black_box(bytes).chunks(1024) {
                        decoder.push(part, at, &mut |moment| {
                            moments = moments.saturating_add(1);
                            black_box(&moment);
                        });
                    }
                });
                assert!(moments > 0, "{protocol}, {name}: nothing was decoded");
            });
        }
    }
    group.finish();
}

criterion_group!(benches, values, lines);
criterion_main!(benches);
