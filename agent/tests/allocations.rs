//! What decoding asks of the allocator: nothing. A file of its own, because counting replaces the allocator.
#![allow(clippy::unwrap_used, clippy::tests_outside_test_module)]

use agent::decode::{Protocol, StreamDecoder};
use allocation_counter::measure;
use shared::observation::Captured;
use shared::time::{ClockState, Tick, Timestamp};

/// A second of a line, as its device sends it.
fn second(protocol: Protocol) -> Vec<u8> {
    let packet = |head: [u8; 3], sync: u8| {
        let frame = |number: usize| {
            let [first, second, third] = head;
            let mark = |octet: u8| if number == 1 { octet | 1 } else { octet };
            let (first, second) = if sync == 0 { (mark(first), second) } else { (first, mark(second)) };
            let float = match number {
                2 => 72,
                3 => 97,
                _ => 0,
            };
            let sum = [first, second, third, float].iter().fold(0_u8, |sum, octet| sum.wrapping_add(*octet));
            [first, second, third, float, sum]
        };
        (1..=25).flat_map(frame).collect::<Vec<u8>>().repeat(3)
    };
    match protocol {
        Protocol::NoninDf2 => packet([0x01, 0x80, 100], 1),
        Protocol::NoninDf7 => packet([0x80, 0x12, 0x34], 0),
        Protocol::NoninDf8 => vec![0x80, 72, 97, 0],
        Protocol::Bci => [0x85, 50, 7, 72, 97].repeat(60),
        Protocol::Cms50V7 => [0x01, 0x80, 0x85, 0xBC, 0x94, 0xC8, 0xE2, 0xA3, 0x81].repeat(60),
        Protocol::MasimoAscii1 => {
            b"02/22/16 22:47:46 SN=1 SPO2=098% BPM=096 PI=03.95% ALARM=0000 EXC=000800\r\n\r\n".to_vec()
        }
        _ => vec![0, 2, 0, 13, 0, 14, 0x20, 0x26, 7, 0x28, 0x14, 0x30, 0x15, 0, 2, 0, 0, 72, 0, 97, 0x79, 3],
    }
}

/// Moments that a minute of a line gives, and how often the allocator was asked meanwhile.
fn minute(protocol: Protocol, garbage: &[u8]) -> (u64, u64) {
    let mut decoder = StreamDecoder::new(protocol);
    let bytes = [second(protocol), garbage.to_vec()].concat();
    let mut moments = 0_u64;
    let asked = measure(|| {
        for n in 0..60_u64 {
            let wall = Timestamp::from_millis(1_774_000_000_000);
            let at =
                Captured { tick: Tick::from_millis(n.saturating_mul(1000)), wall, clock: ClockState::Synchronised };
            // As a port gives them: some octets at a time.
            for part in bytes.chunks(37) {
                decoder.push(part, at, &mut |_| moments = moments.saturating_add(1));
            }
            decoder.expire(at);
            decoder.take_tally();
        }
    });
    (moments, asked.count_total)
}

const CONTINUOUS: [Protocol; 7] = [
    Protocol::NoninDf2,
    Protocol::NoninDf7,
    Protocol::NoninDf8,
    Protocol::NoninDf13,
    Protocol::Bci,
    Protocol::Cms50V7,
    Protocol::MasimoAscii1,
];

#[test]
fn a_minute_of_a_line_takes_no_memory() {
    let told = measure(|| drop(std::hint::black_box(vec![0_u8; 100]))).count_total;
    assert_eq!(told, 1, "the counter counts");
    for protocol in CONTINUOUS {
        let (moments, asked) = minute(protocol, &[]);
        assert!(moments >= 59, "{protocol}: {moments}");
        assert_eq!(asked, 0, "{protocol}");
    }
}

#[test]
fn garbage_takes_no_memory_either() {
    let garbage: Vec<u8> = (0..=255).collect();
    for protocol in CONTINUOUS {
        assert_eq!(minute(protocol, &garbage).1, 0, "{protocol}");
    }
}
