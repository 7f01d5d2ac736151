//! Words that must not stand in code.

use crate::code::{mentions, names_crate};
use crate::files::{SourceFile, Violation};

/// What people write where they mean to come back. In two parts, so that this file may say it.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("HA", "CK:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

pub(crate) fn unfinished(file: &SourceFile) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, line) in file.lines() {
        for word in UNFINISHED.iter().filter(|word| mentions(line, word)) {
            let why = format!("`{word}`: finish it, or say what is missing in the documentation");
            found.push(file.violation(number, "unfinished", why));
        }
    }
    found
}

pub(crate) fn detached_tasks(file: &SourceFile) -> Vec<Violation> {
    let detached = |line: &str| ["tokio::spawn(", "tokio::task::spawn("].iter().any(|call| line.contains(call));
    let found = file.production_code().filter(|(_, line)| detached(line));
    let why = "a task nobody holds: put it into a JoinSet of its owner, or own it by the supervisor";
    found.map(|(number, _)| file.violation(number, "detached", why)).collect()
}

pub(crate) fn unbounded_channels(file: &SourceFile) -> Vec<Violation> {
    let endless = |line: &str| {
        ["unbounded_channel", "flume::unbounded", "mpsc::unbounded", "mpsc::channel()"].iter().any(|c| line.contains(c))
            || (names_crate(line, "std") && line.contains("sync::mpsc::channel::<"))
    };
    let found = file.production_code().filter(|(_, line)| endless(line));
    let why = "a channel without a limit: give it one and say what happens when it is full";
    found.map(|(number, _)| file.violation(number, "limit", why)).collect()
}

/// Lints that keep production code from panicking.
const SAFETY_LINTS: &[&str] =
    &["unwrap_used", "expect_used", "panic", "indexing_slicing", "arithmetic_side_effects", "await_holding_lock"];

pub(crate) fn allowances(file: &SourceFile) -> Vec<Violation> {
    let lifted = |line: &str| {
        let lifts = line.contains("allow(") || line.contains("expect(clippy");
        SAFETY_LINTS.iter().find(|lint| lifts && mentions(line, &format!("clippy::{lint}"))).copied()
    };
    let found = file.production_code().filter_map(|(number, line)| Some((number, lifted(line)?)));
    let why = |lint| format!("`{lint}` is lifted outside tests: use checked_, get or an error");
    found.map(|(number, lint)| file.violation(number, "allowance", why(lint))).collect()
}

pub(crate) fn ignored_tests(file: &SourceFile) -> Vec<Violation> {
    let found = file.code().filter(|(_, line)| line.trim() == "#[ignore]");
    let why = "a test that never runs: say why with #[ignore = \"...\"], `cargo gate --full` runs it";
    found.map(|(number, _)| file.violation(number, "ignored", why)).collect()
}

/// Where values of patients are.
const CLINICAL: &[&str] = &[
    "shared/src/",
    "agent/src/decode/",
    "agent/src/intake.rs",
    "agent/src/queue/",
    "server/src/alerts/",
    "server/src/ingest/",
    "server/src/store/",
    "server/src/fhir/",
    "server/src/hl7v2/",
];

pub(crate) fn floats(file: &SourceFile) -> Vec<Violation> {
    if !file.is_in(CLINICAL) {
        return Vec::new();
    }
    let float = |line: &str| {
        ["f32", "f64"].into_iter().find(|name| {
            // Also as the suffix of a number.
            mentions(line, name)
                || line.match_indices(name).any(|(at, _)| line[..at].ends_with(|c: char| c.is_ascii_digit()))
        })
    };
    let found = file.production_code().filter_map(|(number, line)| Some((number, float(line)?)));
    let why =
        |name| format!("`{name}` on the clinical path: values are shared::units::Decimal, scores are whole numbers");
    found.map(|(number, name)| file.violation(number, "float", why(name))).collect()
}

/// Parts of names of types that hold what must not be printed.
const SECRET_NAMES: &[&str] = &["Secret", "Password", "PrivateKey", "BearerToken", "NhsNumber"];

pub(crate) fn secrets_in_debug(file: &SourceFile) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut derived = String::new();
    for (number, line) in file.production_code() {
        if line.contains("derive(") {
            derived.push_str(line);
        }
        let Some(name) = type_name(line) else { continue };
        let holds_secret = SECRET_NAMES.iter().any(|part| name.contains(part)) && !name.starts_with("Unreadable");
        if mentions(&derived, "Debug")
            && (holds_secret || mentions(&derived, "ZeroizeOnDrop"))
            && line.contains("struct ")
        {
            let why =
                format!("`{name}` holds a secret and derives Debug: write one that prints `redacted`, or have none");
            found.push(file.violation(number, "secret", why));
        }
        derived.clear();
    }
    found
}

fn type_name(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("struct ").or_else(|| line.split_once("enum "))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: fn(&SourceFile) -> Vec<Violation>, path: &str, text: &str) -> usize {
        rule(&SourceFile::new(path, text)).len()
    }

    #[test]
    fn unfinished_work_is_found_in_any_file() {
        for word in UNFINISHED {
            assert_eq!(found(unfinished, "docs/a.md", &format!("text\n{word} more\n")), 1, "{word}");
        }
        assert_eq!(found(unfinished, "agent/src/a.rs", "let todos = 5;"), 0);
    }

    #[test]
    fn a_detached_task_is_found() {
        assert_eq!(found(detached_tasks, "agent/src/a.rs", "tokio::spawn(async {});"), 1);
        assert_eq!(found(detached_tasks, "agent/src/a.rs", "owners.spawn(async {}); // tokio::spawn("), 0);
    }

    #[test]
    fn a_channel_without_limit_is_found() {
        assert_eq!(found(unbounded_channels, "agent/src/a.rs", "let (a, b) = mpsc::unbounded_channel();"), 1);
        assert_eq!(found(unbounded_channels, "agent/src/a.rs", "let (a, b) = mpsc::channel();"), 1);
        assert_eq!(found(unbounded_channels, "agent/src/a.rs", "let (a, b) = mpsc::channel(limits::FRAMES_MAX);"), 0);
    }

    #[test]
    fn a_lifted_safety_lint_is_found() {
        let lifted = "#[allow(clippy::unwrap_used)]\nfn a() {}";
        assert_eq!(found(allowances, "agent/src/a.rs", lifted), 1);
        assert_eq!(found(allowances, "agent/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{lifted}\n}}")), 0);
        assert_eq!(found(allowances, "agent/tests/a.rs", lifted), 0);
        assert_eq!(found(allowances, "agent/src/a.rs", "#[allow(clippy::too_many_arguments)]\nfn a() {}"), 0);
    }

    #[test]
    fn a_test_ignored_without_a_reason_is_found() {
        assert_eq!(found(ignored_tests, "agent/src/a.rs", "#[cfg(test)]\n#[test]\n#[ignore]\nfn a() {}"), 1);
        assert_eq!(found(ignored_tests, "agent/src/a.rs", "#[ignore = \"takes an hour\"]\nfn a() {}"), 0);
    }

    #[test]
    fn a_float_on_the_clinical_path_is_found() {
        assert_eq!(found(floats, "shared/src/units.rs", "fn value() -> f64 { 0 }"), 1);
        assert_eq!(found(floats, "server/src/alerts/engine.rs", "let x = 1f32;"), 1);
        assert_eq!(found(floats, "server/src/web/pages.rs", "fn width() -> f64 { 0.0 }"), 0);
        assert_eq!(found(floats, "shared/src/units.rs", "/// never an f64\nfn a() {}"), 0);
    }

    #[test]
    fn a_printable_secret_is_found() {
        let printable = "#[derive(Clone, Debug)]\npub struct SealingSecret([u8; 32]);";
        assert_eq!(found(secrets_in_debug, "shared/src/a.rs", printable), 1);
        let wiped = "#[derive(Debug, ZeroizeOnDrop)]\npub struct Seed([u8; 32]);";
        assert_eq!(found(secrets_in_debug, "shared/src/a.rs", wiped), 1);
        let fine = "#[derive(Debug)]\npub struct Public;\n#[derive(Clone)]\npub struct Password(String);";
        assert_eq!(found(secrets_in_debug, "shared/src/a.rs", fine), 0);
    }
}
