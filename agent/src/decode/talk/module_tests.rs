//! A module whose cuff does what its test says.
#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::decode::checksum::sum8;

fn packet(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x3E, u8::try_from(data.len() + 3).unwrap()];
    bytes.extend(data);
    bytes.push(sum8(&bytes).wrapping_neg());
    bytes
}

fn result_of(systolic: u8, error: u8) -> Vec<u8> {
    packet(&[systolic, 0, 80, 0, 30, 1, 0, 0, 0, 0, 0, 0, 0, 0, 72, 0, 93, 0, error, 0, 0])
}

const NOTHING: [u8; 24] = {
    let mut octets = [0; 24];
    (octets[0], octets[1], octets[23]) = (0x3E, 0x18, 0xAA);
    octets
};

/// What came of a stretch of time: what was asked besides the pressure, the systolic pressures of the news, and the losses.
#[derive(Debug, Default, PartialEq, Eq)]
struct Came {
    results_asked: usize,
    started: Vec<u64>,
    news: Vec<u8>,
    lost: usize,
}

struct Rig {
    module: Module,
    millis: u64,
}

impl Rig {
    fn new(measure_every: Option<Duration>) -> Self {
        let mut module = Module::new(measure_every, Tick::from_millis(0));
        module.opened(Tick::from_millis(0));
        Self { module, millis: 0 }
    }

    fn opened(&mut self) {
        self.module.opened(Tick::from_millis(self.millis));
    }

    /// Plays so many seconds: `cuff` and `result` say what is answered a so-many-th millisecond after the beginning.
    fn play(
        &mut self,
        seconds: u64,
        mut cuff: impl FnMut(u64) -> Option<u8>,
        mut result: impl FnMut(u64) -> Option<Vec<u8>>,
    ) -> Came {
        let (mut came, from) = (Came::default(), self.millis);
        while self.millis < from + seconds * 1000 {
            let (now, since) = (Tick::from_millis(self.millis), self.millis - from);
            while let Some(words) = self.module.say(now) {
                let answer = if words.as_slice() == Command::CuffPressure.octets() {
                    cuff(since).map(|mmhg| packet(&[mmhg, 0]))
                } else if words.as_slice() == Command::Result.octets() {
                    came.results_asked += 1;
                    result(since)
                } else {
                    came.started.push(since / 1000);
                    Some(packet(b"O"))
                };
                let Some(answer) = answer else { continue };
                self.module.heard(&answer, now);
                if let Some(report) = Packet::of(&answer).unwrap().report()
                    && self.module.is_news(&report)
                {
                    came.news.push(answer[2]);
                    assert!(!self.module.is_news(&report), "a result counts once");
                }
                came.lost += usize::from(self.module.take_lost().is_some());
            }
            came.lost += usize::from(self.module.take_lost().is_some());
            self.millis += 100;
        }
        came
    }

    /// Twenty seconds of an empty cuff, with this result.
    fn idle(&mut self, result: &[u8]) -> Came {
        self.play(20, |_| Some(0), |_| Some(result.to_vec()))
    }
}

/// A measurement of thirty seconds that reaches this pressure, and then an empty cuff.
fn measures(peak: u8) -> impl FnMut(u64) -> Option<u8> {
    move |since| {
        Some(match since {
            0..8_000 => u8::try_from(u64::from(peak) * since / 8_000).unwrap(),
            8_000..30_000 => u8::try_from(u64::from(peak) * (30_000 - since) / 22_000).unwrap(),
            _ => 0,
        })
    }
}

#[test]
fn a_result_is_read_once_after_each_measurement_and_never_an_old_one() {
    let mut rig = Rig::new(None);
    let old = result_of(120, 0);
    assert_eq!(rig.idle(&old), Came { results_asked: 1, ..Came::default() }, "what was there is no news");
    // The module stores its result three seconds after the cuff is empty.
    let stored = |systolic: u8, before: Vec<u8>| {
        move |since| Some(if since < 33_000 { before.clone() } else { result_of(systolic, 0) })
    };
    let came = rig.play(50, measures(180), stored(131, old.clone()));
    assert_eq!((came.news, came.lost), (vec![131], 0));
    let came = rig.play(50, measures(180), stored(126, result_of(131, 0)));
    assert_eq!((came.news, came.lost), (vec![126], 0));
    let came = rig.play(50, measures(180), |_| Some(result_of(0, 2)));
    assert_eq!((came.news, came.lost), (vec![0], 0), "one that failed says so itself");
}

#[test]
fn a_measurement_that_is_broken_off_does_not_make_the_result_before_it_new() {
    let mut rig = Rig::new(None);
    let old = result_of(120, 0);
    rig.idle(&old);
    // Let go at 170 mmHg, which is above the earlier result.
    let came = rig.play(50, |since| Some(if since < 8_000 { 170 } else { 0 }), |_| Some(old.clone()));
    let asks = usize::from(RESULT_ASK_TIMES);
    assert_eq!(came, Came { results_asked: asks, lost: 1, ..Came::default() });
    // The same octets are a new measurement's only where the module was empty between.
    let came = rig.play(50, measures(170), |since| Some(if since < 34_000 { NOTHING.to_vec() } else { old.clone() }));
    assert_eq!((came.news, came.lost), (vec![120], 0));
}

#[test]
fn a_result_above_what_the_cuff_was_seen_to_reach_is_not_this_measurements() {
    for (peak, is_believed) in [(80, false), (115, false), (119, true), (180, true)] {
        let mut rig = Rig::new(None);
        rig.idle(&NOTHING);
        let came = rig.play(50, measures(peak), |_| Some(result_of(120, 0)));
        assert_eq!((came.news.len(), came.lost), (usize::from(is_believed), usize::from(!is_believed)), "{peak}");
    }
    // What the cuff loses in one look may have been missed, but no more than a cuff that measures loses.
    let fall = |peak, after, at: u64| Watched { peak, after_peak: Some(after), seen: Tick::from_millis(at) }.reached();
    assert_eq!((fall(150, 140, 0), fall(150, 0, 0)), (160, 150 + FALL_MAX));
}

#[test]
fn a_measurement_that_was_not_watched_to_its_end_is_not_read_and_counts_as_failed() {
    let mut rig = Rig::new(None);
    rig.idle(&NOTHING);
    rig.play(10, measures(180), |_| Some(NOTHING.to_vec()));
    rig.opened();
    let came = rig.idle(&result_of(120, 0));
    assert_eq!(came, Came { results_asked: 1, lost: 1, ..Came::default() });
    // A line that is dead for a while.
    let came =
        rig.play(60, |since| if (10_000..25_000).contains(&since) { None } else { measures(180)(since) }, |_| None);
    assert_eq!((came.news.len(), came.lost), (0, 2), "the first half, and what came after it without a result");
    let came = rig.play(60, measures(180), |_| None);
    assert_eq!((came.results_asked, came.lost), (usize::from(RESULT_ASK_TIMES), 1), "no answer");
}

const EVERY: Duration = Duration::from_secs(600);

#[test]
fn a_cuff_is_filled_only_as_configured() {
    let mut rig = Rig::new(None);
    assert!(rig.play(4000, |_| Some(0), |_| Some(NOTHING.to_vec())).started.is_empty());
    let mut rig = Rig::new(Some(EVERY));
    // Not when the hub begins, nor when a port is opened again.
    assert!(rig.play(590, |_| Some(0), |_| Some(NOTHING.to_vec())).started.is_empty());
    rig.opened();
    let came = rig.play(320, |_| Some(0), |_| Some(NOTHING.to_vec()));
    assert_eq!(came.started, [300], "overdue, it waits until the arm has recovered from what nobody watched");
}

#[test]
fn a_cuff_that_somebody_filled_rests_for_a_whole_interval() {
    let mut rig = Rig::new(Some(EVERY));
    rig.play(590, |_| Some(0), |_| Some(NOTHING.to_vec()));
    // Full when its time comes.
    let came = rig.play(60, measures(180), |_| Some(result_of(120, 0)));
    assert_eq!((came.started.len(), came.news), (0, vec![120]));
    let came = rig.play(590, |_| Some(0), |_| Some(result_of(120, 0)));
    // It was empty 29 seconds after it began to fill, half a minute before this.
    assert!(matches!(came.started.as_slice(), [at] if (568..=572).contains(at)), "{came:?}");
}

#[test]
fn a_cuff_is_filled_only_on_an_answer_that_has_just_come() {
    let mut rig = Rig::new(Some(EVERY));
    // It stops answering a second before its time, while the cuff was empty.
    let came = rig.play(900, |since| (since < 599_000).then_some(0), |_| Some(NOTHING.to_vec()));
    assert!(came.started.is_empty(), "{came:?}");
    assert!(Rig::new(Some(EVERY)).play(900, |_| None, |_| None).started.is_empty(), "one that never answers");
}

#[test]
fn a_start_that_is_not_obeyed_is_told_once_and_given_again_a_minute_later() {
    let mut rig = Rig::new(Some(EVERY));
    let came = rig.play(800, |_| Some(0), |_| Some(NOTHING.to_vec()));
    assert_eq!((came.started.len(), came.lost), (3, 1), "{came:?}");
    assert!(came.started.windows(2).all(|pair| (89..=92).contains(&(pair[1] - pair[0]))), "{came:?}");
    // It obeys again.
    let came = rig.play(60, measures(180), |_| Some(result_of(120, 0)));
    assert_eq!((came.news, came.lost), (vec![120], 0));
    let came = rig.play(640, |_| Some(0), |_| Some(result_of(120, 0)));
    assert_eq!((came.started.len(), came.lost), (1, 1), "{came:?}");
}
