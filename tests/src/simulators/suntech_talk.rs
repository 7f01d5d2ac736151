//! The agent's conversation with the simulated module, in a time that passes only here.

use std::time::Duration;

use agent::decode::talk::{Settings, Talk};
use agent::decode::{self, StreamDecoder};
use shared::metric::Metric;
use shared::observation::Captured;
use shared::reading::Outcome;
use shared::time::{ClockState, Tick, Timestamp};

use super::device::{Device, Now};
use super::suntech::{MEASURES_FOR, SunTech};
use super::{Pressure, Vitals};

struct Rig {
    talk: Talk,
    decoder: StreamDecoder,
    module: SunTech,
    millis: u64,
    systolics: Vec<String>,
    lost: usize,
}

impl Rig {
    fn new(measure_every: Option<Duration>) -> Self {
        let protocol = decode::Protocol::SuntechNibp;
        let settings = Settings { measure_every, ..Settings::default() };
        let mut talk = Talk::new(protocol, settings, Tick::from_millis(0));
        talk.opened(Tick::from_millis(0));
        let decoder = StreamDecoder::new(protocol);
        Self { talk, decoder, module: SunTech::default(), millis: 0, systolics: Vec::new(), lost: 0 }
    }

    fn run(&mut self, seconds: u64) {
        let until = self.millis + seconds * 1000;
        while self.millis < until {
            let tick = Tick::from_millis(self.millis);
            let now = Captured { tick, wall: Timestamp::from_millis(0), clock: ClockState::Synchronised };
            while let Some(words) = self.talk.say(now) {
                let heard = self.module.hear(&words, Now { second: self.millis / 1000, ..Now::default() });
                for bytes in heard {
                    let bytes = self.talk.heard(&bytes, tick).to_vec();
                    for moment in self.decoder.moments(&bytes, now) {
                        let systolic = moment.report.readings.iter().find(|it| it.metric == Metric::SystolicPressure);
                        if self.talk.is_news(&moment.report)
                            && let Some(Outcome::Value(value)) = systolic.map(|reading| reading.outcome)
                        {
                            self.systolics.push(value.decimal.to_string());
                        }
                    }
                }
            }
            self.lost += usize::from(self.talk.take_lost().is_some());
            self.millis += 100;
        }
    }

    fn shows(&mut self, systolic: u16) {
        let shown = Vitals { pressure: Some(Pressure::of(systolic, 80)), pulse: Some(70), ..Vitals::OFF };
        self.module.second(&shown, Now { second: self.millis / 1000, ..Now::default() });
    }
}

#[test]
fn each_measurement_of_a_module_is_read_once_and_none_is_made_up() {
    let mut rig = Rig::new(None);
    for (systolic, seconds) in [(124, 5), (131, 60), (118, 45), (119, 90)] {
        rig.run(seconds);
        rig.shows(systolic);
    }
    rig.run(60);
    assert_eq!((rig.systolics.as_slice(), rig.lost), (["124", "131", "118", "119"].map(String::from).as_slice(), 0));
    // Pulled in the middle of a measurement, and plugged in again: what nobody watched is not read.
    rig.shows(140);
    rig.run(MEASURES_FOR / 2);
    rig.talk.opened(Tick::from_millis(rig.millis));
    rig.run(60);
    rig.shows(141);
    rig.run(60);
    assert_eq!((rig.systolics.len(), rig.systolics[4].as_str()), (5, "141"));
    assert!(rig.lost > 0);
    // The very same numbers again: nothing tells that they are new, and that is said.
    let lost = rig.lost;
    rig.shows(141);
    rig.run(60);
    assert_eq!((rig.systolics.len(), rig.lost), (5, lost + 1));
}

#[test]
fn a_module_that_the_hub_starts_measures_with_an_interval_of_rest() {
    let mut rig = Rig::new(Some(Duration::from_secs(600)));
    rig.run(300);
    rig.shows(124);
    rig.run(60);
    let began = rig.millis / 1000;
    // An interval after the cuff was empty, and not after the hub began.
    rig.run(560);
    assert_eq!(rig.systolics.len(), 1, "at {began}");
    rig.run(60);
    assert_eq!((rig.systolics.len(), rig.lost), (1, 1), "it measured again, with the same numbers");
}
