//! Decoded reports for people and programs: what the commands `decode` and `listen` print.

use serde_json::{Map, Value as Json, json};
use shared::hex;
use shared::observation::DeviceTime;
use shared::plausibility::{Implausible, Usability, mark_inconsistent, usability};
use shared::reading::{Outcome, Reading};

use crate::decode::{Memory, RefusedFrame, Report, Tally};

/// A reading for programs. `value` is the digits as received; `usability` says what rules may do with it.
#[must_use]
pub fn reading_json(reading: &Reading) -> Json {
    let mut shown = Map::new();
    shown.insert("metric".into(), reading.metric.name().into());
    match reading.outcome {
        Outcome::Value(value) => {
            shown.insert("value".into(), value.decimal.to_string().into());
            shown.insert("unit".into(), value.unit.ucum().into());
        }
        Outcome::None(why) => {
            shown.insert("absent".into(), why.name().into());
        }
    }
    shown.insert("flags".into(), reading.quality.names().collect());
    let usability = usability(reading);
    shown.insert("usability".into(), usability.name().into());
    if let Usability::Implausible(why) = usability {
        shown.insert("implausible".into(), why.name().into());
    }
    Json::Object(shown)
}

/// A reading for people, in one line.
#[must_use]
pub fn reading_text(reading: &Reading) -> String {
    let mut text = match reading.outcome {
        Outcome::Value(value) => format!("{} {} {}", reading.metric.label(), value.decimal, value.unit.symbol()),
        Outcome::None(why) => format!("{}: no value, {} ({})", reading.metric.label(), why.explained(), why.name()),
    };
    let flags: Vec<String> = reading.quality.names().map(|name| name.replace('_', " ")).collect();
    if !flags.is_empty() {
        text.push_str(&format!(" [{}]", flags.join(", ")));
    }
    text.push_str(match usability(reading) {
        Usability::Valid { unlikely: false } | Usability::Absent(_) => "",
        Usability::Valid { unlikely: true } => "; unlikely, used and flagged",
        Usability::Gated => "; held back by rules' quality gate",
        Usability::Implausible(why) => implausible_text(why),
    });
    text
}

const fn implausible_text(why: Implausible) -> &'static str {
    match why {
        Implausible::Negative => "; implausible: below zero",
        Implausible::Zero => "; implausible: zero cannot be told from a sensor that is off",
        Implausible::TooLow => "; implausible: too low to be possible",
        Implausible::TooHigh => "; implausible: too high to be possible",
        Implausible::MissingDataCode => "; implausible: a code for missing data",
        Implausible::WrongUnit => "; implausible: never sent in this unit",
        Implausible::OtherUnit => "; implausible: a number of this metric's other unit",
        Implausible::Inconsistent => "; implausible beside the others",
    }
}

/// The device's own time; an unknown part is `?`.
fn device_time(time: DeviceTime) -> String {
    let DeviceTime { year, month, day, hour, minute, second } = time;
    let known = |part: u16, width: usize| {
        if part == 0 { "?".repeat(width) } else { format!("{part:0width$}") }
    };
    let (year, month, day) = (known(year, 4), known(month.into(), 2), known(day.into(), 2));
    format!("{year}-{month}-{day} {hour:02}:{minute:02}:{second:02}")
}

/// A report as the agent would take it: what cannot be true together is marked.
fn judged(report: &Report) -> Vec<Reading> {
    let mut readings: Vec<Reading> = report.readings.iter().cloned().collect();
    mark_inconsistent(&mut readings);
    readings
}

/// The readings of a report for programs, as the agent would take them.
#[must_use]
pub fn readings_json(report: &Report) -> Vec<Json> {
    judged(report).iter().map(reading_json).collect()
}

/// A report for programs.
#[must_use]
pub fn report_json(report: &Report) -> Json {
    let memory = report.memory.as_ref();
    let memory = memory.map(|Memory { record, digest }| json!({ "record": record, "digest": hex::encode(digest) }));
    json!({
        "readings": readings_json(report),
        "device_time": report.device_time.map(device_time),
        "from_memory": memory,
        "slot": report.slot,
        "battery_low": report.battery_low,
    })
}

/// A report for people: a line for each thing said.
#[must_use]
pub fn report_text(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = judged(report).iter().map(reading_text).collect();
    if lines.is_empty() {
        lines.push("no reading: a measurement in progress, or something that describes the device".to_owned());
    }
    lines.extend(report.device_time.map(|time| format!("the device's clock: {}", device_time(time))));
    lines.extend(report.memory.map(|memory| format!("from the device's memory: record {}", memory.record)));
    lines.extend(report.slot.map(|slot| format!("the device's user {slot}")));
    lines.extend(report.battery_low.map(|low| format!("battery {}", if low { "low" } else { "not low" })));
    lines
}

/// A refused frame for programs.
#[must_use]
pub fn refused_json(why: RefusedFrame) -> Json {
    json!({ "reason": why.name(), "explained": why.explained() })
}

/// A count of frames for programs: reasons that did not occur are left out.
#[must_use]
pub fn tally_json(tally: &Tally) -> Json {
    let refused: Map<String, Json> = counted(tally).map(|(why, count)| (why.name().to_owned(), count.into())).collect();
    json!({ "frames_accepted": tally.accepted, "frames_refused": refused })
}

/// A count of frames for people.
#[must_use]
pub fn tally_text(tally: &Tally) -> Vec<String> {
    let refused = counted(tally).map(|(why, count)| format!("{count} refused ({}): {}", why.name(), why.explained()));
    std::iter::once(format!("{} frames accepted", tally.accepted)).chain(refused).collect()
}

fn counted(tally: &Tally) -> impl Iterator<Item = (RefusedFrame, u64)> {
    RefusedFrame::ALL.into_iter().map(|why| (why, tally.refused(why))).filter(|(_, count)| *count > 0)
}

#[cfg(test)]
mod tests {
    use shared::metric::Metric;
    use shared::reading::{NoReading, Quality};
    use shared::units::Unit;

    use super::*;

    fn cuff() -> Report {
        let mut report = Report { slot: Some(2), memory: Some(Memory::of(7, b"a")), ..Report::default() };
        report.device_time = Some(DeviceTime { year: 2026, month: 0, day: 3, hour: 4, minute: 5, second: 6 });
        let pressure = |metric, text: &str| {
            Reading::value(metric, text.parse().unwrap(), Unit::MillimetreOfMercury, Quality::ARTEFACT)
        };
        report.add(pressure(Metric::SystolicPressure, "118.0"));
        report.add(pressure(Metric::DiastolicPressure, "76"));
        report.add(Reading::none(Metric::MeanPressure, NoReading::NotANumber, Quality::GOOD));
        report
    }

    #[test]
    fn people_read_words_and_units() {
        assert_eq!(
            report_text(&cuff()),
            [
                "Systolic pressure 118.0 mmHg [artefact]; held back by rules' quality gate",
                "Diastolic pressure 76 mmHg [artefact]; held back by rules' quality gate",
                "Mean pressure: no value, the device sent \"not a number\" (not_a_number)",
                "the device's clock: 2026-??-03 04:05:06",
                "from the device's memory: record 7",
                "the device's user 2",
            ]
        );
        assert!(report_text(&Report::default())[0].starts_with("no reading"));
    }

    #[test]
    fn programs_read_names_and_codes() {
        let shown = report_json(&cuff());
        let expected = json!({ "metric": "systolic_pressure", "value": "118.0", "unit": "mm[Hg]",
            "flags": ["artefact"], "usability": "gated" });
        assert_eq!(shown["readings"][0], expected);
        assert_eq!(shown["readings"][2]["absent"], "not_a_number");
        assert_eq!((&shown["from_memory"]["record"], &shown["slot"]), (&json!(7), &json!(2)));
    }

    #[test]
    fn readings_are_judged_beside_each_other() {
        let mut report = Report::default();
        let pressure =
            |metric, mmhg: i64| Reading::value(metric, mmhg.into(), Unit::MillimetreOfMercury, Quality::GOOD);
        report.add(pressure(Metric::SystolicPressure, 70));
        report.add(pressure(Metric::DiastolicPressure, 90));
        assert_eq!(report_json(&report)["readings"][0]["implausible"], "inconsistent");
        let text = report_text(&report);
        assert_eq!(text[1], "Diastolic pressure 90 mmHg [inconsistent]; implausible beside the others");
    }

    #[test]
    fn counts_name_only_what_occurred() {
        let mut tally = Tally::default();
        tally.accept(3);
        tally.refuse(RefusedFrame::Checksum, 2);
        assert_eq!(tally_json(&tally), json!({ "frames_accepted": 3, "frames_refused": { "checksum": 2 } }));
        assert_eq!(tally_text(&tally), ["3 frames accepted", "2 refused (checksum): the checksum does not fit"]);
    }
}
