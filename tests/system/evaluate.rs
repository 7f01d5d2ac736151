//! The port for independent verification through the programs as they are run: every area there must be, every case.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};
use tests::binaries::Binaries;
use tests::vectors;

/// What the hub must answer for.
const HUB: [&str; 16] = [
    "ble-blood-pressure",
    "ble-cgm",
    "ble-glucose",
    "ble-heart-rate",
    "ble-misc",
    "ble-pulse-oximeter",
    "ble-thermometer",
    "ble-weight-bodycomp",
    "crc",
    "datetime",
    "medfloat",
    "serial-bci-cms50",
    "serial-extra",
    "serial-masimo",
    "serial-nonin",
    "serial-suntech",
];

/// What the server must answer for.
const SERVER: [&str; 3] = ["nhs-number", "ods-code", "plausibility"];

/// Runs `PROGRAM evaluate ARGUMENTS` with lines of cases: exit code, standard output, standard error.
fn evaluate(program: &Path, arguments: &[&str], cases: &str) -> (i32, String, String) {
    let mut command = Command::new(program);
    command.arg("evaluate").args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let cases = cases.to_owned();
    // From a thread of its own: the program answers while it reads.
    let writer = std::thread::spawn(move || stdin.write_all(cases.as_bytes()));
    let out = child.wait_with_output().unwrap();
    // A program that ends before it read everything has said why.
    let _ = writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

/// Every case of the areas through a program; the cases that differ.
fn differing(program: &Path, areas: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for area in areas {
        let Some(entries) = vectors::entries(area).unwrap() else {
            let line = "skipped: no test vectors; set RPM_DATA to the folder that has them\n";
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return Vec::new();
        };
        // Without what is expected: the program cannot know it.
        let case = |entry: &Json| json!({ "id": entry["id"], "input": entry["input"] }).to_string();
        let cases: Vec<String> = entries.iter().map(case).collect();
        let (code, out, complaint) = evaluate(program, &[area], &cases.join("\n"));
        assert_eq!(code, 0, "{area}: {complaint}");
        let answers: Vec<Json> = out.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(answers.len(), entries.len(), "{area}: a line for each case");
        for (entry, answer) in entries.iter().zip(&answers) {
            assert_eq!(entry["id"], answer["id"], "{area}: in order");
            let differences = runtime::evaluate::differences(&entry["expected"], answer);
            if !differences.is_empty() {
                found.push(format!("{area} {}: {} ({answer})", entry["id"], differences.join("; ")));
            }
        }
    }
    found
}

#[test]
fn both_programs_answer_every_vector_of_every_area() {
    let binaries = Binaries::for_tests().unwrap();
    let mut differ = differing(&binaries.hub_agent, &HUB);
    differ.extend(differing(&binaries.monitor_server, &SERVER));
    assert!(differ.is_empty(), "{} differ:\n{}", differ.len(), differ.join("\n"));
}

#[test]
fn the_areas_are_listed_and_an_unknown_one_is_refused() {
    let binaries = Binaries::for_tests().unwrap();
    for (program, areas) in [(&binaries.hub_agent, HUB.as_slice()), (&binaries.monitor_server, SERVER.as_slice())] {
        let (code, listed, _) = evaluate(program, &[], "");
        assert_eq!((code, listed.lines().collect::<Vec<_>>()), (0, areas.to_vec()));
        let (code, out, complaint) = evaluate(program, &["astrology"], "{}");
        assert_eq!((code, out.as_str()), (64, ""));
        assert!(complaint.contains("astrology: there is no such area"), "{complaint}");
    }
}

#[test]
fn a_case_that_expects_something_else_is_told_and_ends_with_one() {
    let binaries = Binaries::for_tests().unwrap();
    let case = |expected: &str| json!({ "id": expected, "input": { "text": "RJ1" }, "expected": { "outcome": "ok", "normalised": expected } });
    let compared = |cases: &str| evaluate(&binaries.monitor_server, &["ods-code", "--compare"], cases);
    let (code, out, _) = compared(&case("RJ1").to_string());
    assert_eq!((code, out.as_str()), (0, "ods-code: 1 cases, 0 differ\n"));
    let (code, out, _) = compared(&format!("{}\n{}", case("RJ1"), case("RJ2")));
    assert_eq!(code, 1);
    assert!(out.contains("normalised: \"RJ1\" instead of \"RJ2\""), "{out}");
}
