//! Devices that answer as their protocols say, or not at all.
#![allow(clippy::arithmetic_side_effects)]

use std::time::Duration;

use shared::reading::Outcome;

use super::*;
use crate::decode::StreamDecoder;
use crate::decode::lifescan::tests::{packet, record};
use crate::decode::lifescan::{LINK_ACKNOWLEDGED, LINK_DISCONNECT, Packet};
use crate::decode::talk::{Settings, Talk};
use crate::decode::tests::at;

/// What a test device does with one saying.
type Device = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

/// A talk, its decoder, a device, and what came of it.
struct Rig {
    talk: Talk,
    decoder: StreamDecoder,
    device: Device,
    millis: u64,
    said: usize,
    news: Vec<Report>,
}

impl Rig {
    fn with(protocol: Protocol, device: Device) -> Self {
        let mut talk = Talk::new(protocol, Settings::default(), Tick::from_millis(0));
        talk.opened(Tick::from_millis(0));
        Self { talk, decoder: StreamDecoder::new(protocol), device, millis: 0, said: 0, news: Vec::new() }
    }

    fn run(&mut self, time: Duration) {
        let until = self.millis + u64::try_from(time.as_millis()).unwrap();
        while self.millis < until {
            let now = Tick::from_millis(self.millis);
            while let Some(words) = self.talk.say(at(self.millis)) {
                self.said += 1;
                // In two parts, as a line may bring them.
                let answer = (self.device)(&words);
                let (first, second) = answer.split_at(answer.len() / 2);
                for part in [first, second] {
                    let part = self.talk.heard(part, now);
                    let moments = self.decoder.moments(part, at(self.millis));
                    if self.decoder.take_tally().refused_in_all() > 0 {
                        self.talk.refused();
                    }
                    for moment in moments {
                        if self.talk.is_news(&moment.report) {
                            self.news.push(moment.report);
                        }
                    }
                }
            }
            self.millis += 100;
            assert_eq!(self.decoder.expire(at(self.millis)), None);
        }
    }
}

fn bm65(records: &'static std::sync::Mutex<Vec<[u8; 9]>>) -> Device {
    Box::new(|words| {
        let records = records.lock().unwrap();
        match *words {
            [0xAA] => vec![0x55],
            [0xA2] => vec![u8::try_from(records.len()).unwrap()],
            [0xA3, number] => records[usize::from(number) - 1].to_vec(),
            _ => panic!("{words:?}"),
        }
    })
}

fn result(pulse: u8) -> [u8; 9] {
    [0xAC, 95, 55, pulse, 7, 28, 14, 30, 26]
}

#[test]
fn a_cuffs_memory_is_read_once_and_then_what_is_new() {
    static RECORDS: std::sync::Mutex<Vec<[u8; 9]>> = std::sync::Mutex::new(Vec::new());
    let mut rig = Rig::with(Protocol::BeurerBm65, bm65(&RECORDS));
    rig.run(Duration::from_secs(5));
    assert_eq!((rig.news.len(), rig.said), (0, 2), "an empty memory is greeted and counted");
    RECORDS.lock().unwrap().extend([result(60), result(61), result(62)]);
    rig.run(MEMORY_READ_EVERY);
    assert_eq!((rig.news.len(), rig.said), (3, 10));
    rig.run(MEMORY_READ_EVERY);
    assert_eq!((rig.news.len(), rig.said), (3, 16), "the first and the last are looked at");
    // Full: the oldest goes, and the number stays.
    let mut records = RECORDS.lock().unwrap();
    records.remove(0);
    records.push(result(63));
    drop(records);
    rig.run(MEMORY_READ_EVERY);
    assert_eq!(rig.news.len(), 4);
    assert!(rig.news.iter().all(|report| report.memory.is_some() && report.device_time.is_some()));
    assert!(rig.talk.take_understood());
}

#[test]
fn a_device_that_is_off_is_greeted_a_few_times_and_then_later() {
    let mut rig = Rig::with(Protocol::BeurerBm65, Box::new(|_| Vec::new()));
    rig.run(ANSWER_WITHIN * u32::from(ASK_TIMES) + Duration::from_secs(1));
    assert_eq!(rig.said, usize::from(ASK_TIMES));
    assert!(!rig.talk.take_understood());
    rig.run(MEMORY_GREETED_EVERY);
    assert!(rig.said > usize::from(ASK_TIMES));
}

#[test]
fn a_record_without_a_checksum_is_taken_only_if_it_came_twice_alike() {
    // One octet of every third answer is hit; what is hit is still a result with a date.
    let mut answers = 0;
    let device: Device = Box::new(move |words| match *words {
        [0xAA] => vec![0x55],
        [0xA2] => vec![5],
        [0xA3, number] => {
            answers += 1;
            let mut octets = result(60 + number);
            octets[1] ^= u8::from(answers % 3 == 0) << 4;
            octets.to_vec()
        }
        _ => panic!("{words:?}"),
    });
    let mut rig = Rig::with(Protocol::BeurerBm65, device);
    rig.run(MEMORY_READ_EVERY * 4);
    let systolic = |report: &Report| {
        let is_it = |outcome| matches!(outcome, Outcome::Value(value) if value.decimal == 120.into());
        report.readings.iter().any(|reading| is_it(reading.outcome))
    };
    assert_eq!((rig.news.len(), rig.news.iter().filter(|report| systolic(report)).count()), (5, 5));
}

#[test]
fn a_memory_of_which_a_record_was_refused_is_read_again() {
    static RECORDS: std::sync::Mutex<Vec<[u8; 9]>> = std::sync::Mutex::new(Vec::new());
    let mut bad = result(62);
    bad[4] = 13; // no month
    RECORDS.lock().unwrap().extend([result(60), result(61), bad, result(63)]);
    let mut rig = Rig::with(Protocol::BeurerBm65, bm65(&RECORDS));
    rig.run(Duration::from_secs(10));
    assert_eq!(rig.news.len(), 3);
    RECORDS.lock().unwrap()[2] = result(62);
    rig.run(MEMORY_READ_EVERY);
    assert_eq!(rig.news.len(), 4, "the number of records is as before, and so are the first and the last");
}

#[test]
fn a_record_that_could_not_be_kept_is_read_again() {
    static RECORDS: std::sync::Mutex<Vec<[u8; 9]>> = std::sync::Mutex::new(Vec::new());
    RECORDS.lock().unwrap().extend([result(60), result(61), result(62), result(63)]);
    let mut rig = Rig::with(Protocol::BeurerBm65, bm65(&RECORDS));
    rig.run(Duration::from_secs(10));
    let lost = rig.news[2].memory.unwrap();
    rig.talk.not_kept(&lost);
    rig.run(MEMORY_READ_EVERY);
    assert_eq!(rig.news.len(), 5);
    assert_eq!(rig.news[4].memory, Some(lost), "this one, and no other");
}

/// An Ultra Easy that looks at the sequences, and leaves every `deaf`th question without an answer.
fn ultra_easy(count: u16, deaf: usize) -> Device {
    let (mut sent, mut expected, mut asked, mut unacknowledged) = (false, false, 0, false);
    Box::new(move |words| {
        let Packet { link, message } = Packet::of(words).unwrap();
        let bits = |sent, expected| (u8::from(sent) * LINK_SENT) | (u8::from(expected) * LINK_EXPECTED);
        if link & LINK_DISCONNECT != 0 {
            (sent, expected, unacknowledged) = (false, false, false);
            return packet(LINK_DISCONNECT | LINK_ACKNOWLEDGED, &[]);
        }
        if link & LINK_ACKNOWLEDGED != 0 {
            assert!(unacknowledged && message.is_empty());
            unacknowledged = false;
            return Vec::new();
        }
        assert!(!unacknowledged, "the last answer was not acknowledged");
        asked += 1;
        if asked % deaf == 0 {
            return Vec::new();
        }
        assert_eq!(link & (LINK_SENT | LINK_EXPECTED), bits(expected, sent), "sequences");
        expected = !expected;
        let [5, 0x1F, low, high] = *message else { panic!("{message:?}") };
        let number = u16::from_le_bytes([low, high]);
        let answer = if number < count {
            record(1_785_249_000 + u32::from(number), 100)
        } else {
            [&[5, 0x0F][..], &count.to_le_bytes()].concat()
        };
        let answer = [packet(LINK_ACKNOWLEDGED | bits(sent, expected), &[]), packet(bits(sent, expected), &answer)];
        sent = !sent;
        unacknowledged = true;
        answer.concat()
    })
}

#[test]
fn a_meters_memory_is_read_with_each_answer_acknowledged() {
    let mut rig = Rig::with(Protocol::Lifescan, ultra_easy(300, usize::MAX));
    rig.run(Duration::from_secs(5));
    assert_eq!(rig.news.len(), 300);
    assert_eq!(rig.said, 1 + 2 * 301, "a greeting; a question and an acknowledgement for each answer");
}

#[test]
fn a_question_without_an_answer_costs_no_record() {
    let mut rig = Rig::with(Protocol::Lifescan, ultra_easy(20, 4));
    rig.run(Duration::from_secs(60));
    assert_eq!(rig.news.len(), 20);
}

#[test]
fn a_verio_is_read_without_a_greeting() {
    let device = |words: &[u8]| match Packet::of(words).unwrap().message {
        [3, 0x27, 0] => packet(0, &[3, 6, 2, 0]),
        [3, 0x21, number, 0] => packet(0, &[3, 6, *number, 0, 0, 50, 104, 0, 0, 0, 0, 0]),
        other => panic!("{other:?}"),
    };
    let mut rig = Rig::with(Protocol::LifescanVerio, Box::new(device));
    rig.run(Duration::from_secs(5));
    assert_eq!((rig.news.len(), rig.said), (2, 3));
}
