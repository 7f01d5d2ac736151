//! Who may import whom, and which file names which library.

use crate::code::{mentions, names_crate};
use crate::files::{SourceFile, Violation};

/// A part of the code and what it must not name.
struct Layer {
    places: &'static [&'static str],
    crates: &'static [&'static str],
    paths: &'static [&'static str],
    why: &'static str,
}

const PURE_PATHS: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
    "OffsetDateTime::now_utc",
    "runtime::clock",
    "runtime::entropy",
    "runtime::files",
    "OsRng",
    "SysRng",
    ".await",
    "async fn",
];

const PURE_CRATES: &[&str] = &[
    "tokio",
    "tokio_rustls",
    "rustls",
    "sled",
    "axum",
    "rumqttc",
    "rumqttd",
    "rusqlite",
    "serialport",
    "btleplug",
    "hyper",
    "getrandom",
    "rand",
];

const LAYERS: &[Layer] = &[
    Layer {
        places: &["shared/src/"],
        crates: PURE_CRATES,
        paths: PURE_PATHS,
        why: "`shared` is pure: take it as an argument",
    },
    Layer {
        places: &["shared/src/"],
        crates: &["runtime", "agent", "server", "tests"],
        paths: &[],
        why: "`shared` imports none of ours: move what both need into it",
    },
    Layer {
        places: &["shared/runtime/"],
        crates: &["agent", "server", "tests"],
        paths: &[],
        why: "`runtime` knows only `shared`",
    },
    Layer {
        places: &["agent/"],
        crates: &["server", "tests"],
        paths: &[],
        why: "hub and server meet on the wire alone: move what both need to `shared`",
    },
    Layer {
        places: &["server/"],
        crates: &["agent", "tests"],
        paths: &[],
        why: "hub and server meet on the wire alone: move what both need to `shared`",
    },
    Layer {
        places: &[
            "agent/src/decode/",
            "agent/src/devices/link.rs",
            "agent/src/queue/policy.rs",
            "agent/src/uplink/session.rs",
            "server/src/access/policy.rs",
            "server/src/alerts/absence.rs",
            "server/src/alerts/burden.rs",
            "server/src/alerts/coverage.rs",
            "server/src/alerts/engine.rs",
            "server/src/alerts/engine/",
            "server/src/alerts/escalation.rs",
            "server/src/alerts/lifecycle.rs",
            "server/src/alerts/news2.rs",
            "server/src/alerts/rule.rs",
            "server/src/alerts/rule/",
            "server/src/audit/chain.rs",
            "server/src/fhir/",
            "server/src/hl7v2/",
            "server/src/ingest/accept.rs",
            "server/src/quality.rs",
        ],
        crates: PURE_CRATES,
        paths: PURE_PATHS,
        why: "a pure core neither waits nor reads a clock, a file or a random source: take it as an argument",
    },
];

pub(crate) fn layers(file: &SourceFile) -> Vec<Violation> {
    let mut found = Vec::new();
    for layer in LAYERS.iter().filter(|layer| file.is_in(layer.places)) {
        for (number, line) in file.production_code() {
            let foreign = layer.crates.iter().filter(|name| names_crate(line, name));
            let impure = layer.paths.iter().filter(|path| mentions(line, path));
            for name in foreign.chain(impure) {
                found.push(file.violation(number, "layer", format!("`{name}` here: {}", layer.why)));
            }
        }
    }
    found
}

/// A library and where alone it is named.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("btleplug", &["agent/src/devices/ble.rs", "agent/src/devices/ble/"]),
    ("rumqttc", &["agent/src/uplink/mqtt.rs"]),
    ("rumqttd", &["server/src/broker/router.rs"]),
    ("rusqlite", &["server/src/store/sqlite/", "server/src/store/sqlite.rs"]),
    ("serialport", &["agent/src/devices/serial.rs"]),
    ("sled", &["agent/src/queue/sled_store.rs"]),
    ("sd_notify", &["shared/runtime/src/notify.rs"]),
    ("getrandom", &["shared/runtime/src/entropy.rs"]),
];

pub(crate) fn one_file_per_library(file: &SourceFile) -> Vec<Violation> {
    let mut found = Vec::new();
    for (library, places) in LIBRARIES.iter().filter(|(_, places)| !file.is_in(places)) {
        for (number, _) in file.production_code().filter(|(_, line)| names_crate(line, library)) {
            let why = format!("`{library}` is named in {} alone, so that it can be replaced: go through it", places[0]);
            found.push(file.violation(number, "library", why));
        }
    }
    found
}

const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", "OffsetDateTime::now_utc", "Utc::now", "Local::now"];

pub(crate) fn clocks(file: &SourceFile) -> Vec<Violation> {
    if file.is_in(&["shared/runtime/src/clock.rs"]) {
        return Vec::new();
    }
    let reads = |line: &str| CLOCKS.iter().find(|clock| line.contains(*clock)).copied();
    let found = file.production_code().filter_map(|(number, line)| Some((number, reads(line)?)));
    let why = |clock| format!("`{clock}` here: only runtime/clock.rs reads clocks, take `now` as an argument");
    found.map(|(number, clock)| file.violation(number, "clock", why(clock))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: fn(&SourceFile) -> Vec<Violation>, path: &str, text: &str) -> usize {
        rule(&SourceFile::new(path, text)).len()
    }

    #[test]
    fn an_impure_word_in_a_pure_part_is_found() {
        for line in ["use tokio::net;", "std::fs::read(p)", "async fn f() {}", "f().await;", "use runtime::clock;"] {
            assert!(found(layers, "shared/src/a.rs", line) > 0, "{line}");
            assert!(found(layers, "server/src/alerts/engine.rs", line) > 0, "{line}");
        }
        assert_eq!(found(layers, "server/src/alerts/mod.rs", "use tokio::sync;"), 0);
        assert_eq!(found(layers, "shared/src/a.rs", "let server = 1; // tokio::net"), 0);
        assert_eq!(found(layers, "shared/src/a.rs", "#[cfg(test)]\nmod tests { use std::fs; }"), 0);
    }

    #[test]
    fn hub_and_server_do_not_know_each_other() {
        assert_eq!(found(layers, "agent/src/a.rs", "use server::store;"), 1);
        assert_eq!(found(layers, "server/src/a.rs", "let q = agent::queue::open();"), 1);
        assert_eq!(found(layers, "shared/runtime/src/a.rs", "use agent::app;"), 1);
        assert_eq!(found(layers, "tests/src/a.rs", "use agent::app;\nuse server::app;"), 0);
    }

    #[test]
    fn a_library_named_elsewhere_is_found() {
        assert_eq!(found(one_file_per_library, "agent/src/queue/mod.rs", "use sled::Db;"), 1);
        assert_eq!(found(one_file_per_library, "agent/src/queue/sled_store.rs", "use sled::Db;"), 0);
        assert_eq!(found(one_file_per_library, "server/src/store/mod.rs", "fn f(c: rusqlite::Connection) {}"), 1);
        assert_eq!(found(one_file_per_library, "server/src/store/sqlite/schema.rs", "use rusqlite::Row;"), 0);
    }

    #[test]
    fn a_clock_read_elsewhere_is_found() {
        assert_eq!(found(clocks, "agent/src/a.rs", "let t = std::time::Instant::now();"), 1);
        assert_eq!(found(clocks, "shared/runtime/src/clock.rs", "let t = std::time::Instant::now();"), 0);
        assert_eq!(found(clocks, "tests/src/a.rs", "let t = std::time::Instant::now();"), 0);
    }
}
