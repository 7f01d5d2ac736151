//! The port for independent verification against the public vectors: every area, every case, where the folder of data is
//! (`RPM_DATA`, or `../shared`).
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, clippy::tests_outside_test_module)]

use std::io::Write;
use std::path::{Path, PathBuf};

use agent::evaluate::AREAS;
use runtime::evaluate::{Area, answer};
use serde_json::Value as Json;

/// The entries of a file of vectors; `None`, said aloud, where there is no folder of data. In CI that is a failure.
fn entries(area: &str) -> Option<Vec<Json>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("RPM_DATA").map_or_else(beside, PathBuf::from);
    let path = folder.join("vectors").join(format!("{area}.json"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(std::env::var_os("CI").is_none(), "{}: the vectors are missing", path.display());
        let line =
            format!("skipped: no test vectors at {}; set RPM_DATA to the folder that has them\n", path.display());
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    };
    let file: Json = serde_json::from_str(&text).unwrap();
    Some(file["entries"].as_array().unwrap().clone())
}

fn differences(area: Area) -> Vec<String> {
    let entries = entries(area.0).unwrap_or_default();
    let differs = |entry: &Json| {
        let found = answer(area, &entry.to_string());
        let differences = runtime::evaluate::differences(&entry["expected"], &found);
        (!differences.is_empty()).then(|| format!("{}: {} ({found})", entry["id"], differences.join("; ")))
    };
    entries.iter().filter_map(differs).collect()
}

#[test]
fn every_area_agrees_with_every_vector() {
    let differences: Vec<String> = AREAS.iter().flat_map(|area| differences(*area)).collect();
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}
