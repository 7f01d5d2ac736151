//! Recorded patients and public scenarios, where the folder of data lies beside the repository.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use server::alerts::{AlertEvent, Pack};
use server::store::AlertSink;
use shared::metric::Metric;
use shared::reading::{NoReading, Quality, Reading};

use crate::bench::*;

/// A place in the folder of data; `None`, said aloud, where it is missing. In CI that is a failure.
fn data(place: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = std::env::var_os("RPM_DATA").map_or_else(beside, PathBuf::from).join(place);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{}: the data is missing", path.display());
    let line = format!("skipped: nothing at {}; set RPM_DATA to the folder of data\n", path.display());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

const COLUMNS: [Metric; 4] = [Metric::HeartRate, Metric::PulseRate, Metric::RespiratoryRate, Metric::SpO2];

/// Runs a file through the engine, time compressed by the divisor, and gives the events.
fn run(path: &Path, divisor: i64) -> Vec<AlertEvent> {
    let mut bench = Bench::new(Pack::adult_default(divisor.unsigned_abs()).unwrap());
    let text = std::fs::read_to_string(path).unwrap();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',');
        let ms = cells.next().unwrap().parse::<i64>().unwrap() * 1000 / divisor;
        for (metric, cell) in COLUMNS.into_iter().zip(cells) {
            let reading = if cell.is_empty() {
                Reading::none(metric, NoReading::MissingData, Quality::GOOD)
            } else {
                reading(metric, cell, Quality::GOOD)
            };
            bench.take(&observed(&reading, ms, Some(0)), ms);
        }
        bench.events.extend(bench.alerts.deadlines(at_ms(ms)));
    }
    bench.events
}

#[test]
fn recorded_patients_alert_where_they_must_and_no_breathing_breaches_for_a_minute() {
    let Some(folder) = data("data/vitals/bidmc_1hz") else { return };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("bidmc_"));
    files.sort();
    assert!(files.len() > 20);
    for divisor in [1, 20] {
        for path in &files {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let events = run(path, divisor);
            let on = |rule: &str| events.iter().filter(|event| event.rule.starts_with(rule)).count();
            let respiration = |event: &&AlertEvent| event.rule == "respiration-high" || event.rule == "respiration-low";
            let respiration: Vec<&AlertEvent> = events.iter().filter(respiration).collect();
            // No recorded patient breaches for 60 s.
            assert!(respiration.is_empty(), "{name} at {divisor}: {respiration:?}");
            let low = on("spo2-low") + on("spo2-very-low") + on("spo2-floor");
            assert_eq!(low > 0, name == "bidmc_49", "{name} at {divisor}");
        }
    }
}

/// What a scenario of the public vectors says in our words; commands, escalation and the late lane come later.
fn expected(entry: &Json) -> Option<Vec<(i64, &'static str)>> {
    let events = entry["expected"]["events"].as_array()?;
    let told = events.iter().map(|event| {
        let word = match event["event"].as_str()? {
            "raised" => "limit Raised",
            "re-raised" => "limit RaisedAgain",
            "returned" => "limit Returned",
            "signal-poor" => "signal_poor Raised",
            "absence" => "absent Raised",
            "absence-ended" => "absent Returned",
            _ => return None,
        };
        Some((event["t"].as_i64()?, word))
    });
    told.collect()
}

#[test]
fn public_scenarios() {
    let Some(path) = data("vectors/alert-scenarios.json") else { return };
    let file: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut ran = 0;
    for entry in file["entries"].as_array().unwrap() {
        let (id, Some(expected)) = (entry["id"].as_str().unwrap(), expected(entry)) else { continue };
        if id == "late-crisis-nothing-newer" {
            // It asks for late observations to be evaluated (§5), which the engine does not do.
            continue;
        }
        let rule = &entry["input"]["rule"];
        let number = |key: &str| rule[key].as_u64().unwrap();
        let metric = Metric::from_name(rule["metric"].as_str().unwrap()).unwrap();
        let pack = OneRule {
            metric: metric.name(),
            side: if rule["op"] == "<" { "below" } else { "above" },
            limit: rule["limit"].as_i64().unwrap(),
            deadband: rule["deadband"].as_i64().unwrap(),
            persistence_s: number("persistence_s"),
            clear_delay_s: number("clear_delay_s"),
            max_gap_s: number("max_gap_s"),
            freshness_s: number("freshness_s"),
            absent_after_s: number("absent_after_s"),
            gate_s: number("gate_s"),
        };
        let mut bench = Bench::new(pack.pack());
        for event in entry["input"]["events"].as_array().unwrap() {
            let t = event["t"].as_i64().unwrap();
            let taken = event["at"].as_i64().unwrap_or(t);
            let text = event["value"].to_string();
            let reading = match event["usability"].as_str() {
                Some("implausible") => reading(metric, "0", Quality::GOOD),
                Some("gated") => reading(metric, &text, Quality::ARTEFACT),
                _ if event["value"].is_null() => {
                    bench.pass(t);
                    continue;
                }
                _ => reading(metric, &text, Quality::GOOD),
            };
            // Time passes up to just before the observation: at its instant, it comes first.
            bench.events.extend(bench.alerts.deadlines(at_ms(t * 1000 - 1)));
            let age = u64::try_from((t - taken) * 1000).unwrap();
            let known = event["age_known"] != false;
            bench.take(&observed(&reading, taken * 1000, known.then_some(age)), t * 1000);
        }
        let told: Vec<(i64, String)> =
            bench.told().iter().map(|(t, c, r, _)| (*t, format!("{} {c:?}", r.split(':').next().unwrap()))).collect();
        // The technical finding of an implausible value is not among the scenarios' words.
        let told: Vec<_> = told.into_iter().filter(|(_, word)| !word.starts_with("no_reading")).collect();
        let told: Vec<(i64, &str)> = told.iter().map(|(t, word)| (*t, word.as_str())).collect();
        assert_eq!(told, expected, "{id}");
        ran += 1;
    }
    assert!(ran >= 10, "only {ran} scenarios map");
}
