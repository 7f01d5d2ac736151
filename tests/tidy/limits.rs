//! `docs/limits.md` is made from the files of limits, so that it cannot grow stale.

use std::fmt::Write;

use crate::files::{self, SourceFile};

/// Where the page is. `LIMITS_WRITE=1` writes it anew.
const PAGE: &str = "docs/limits.md";

/// The page as the files of limits have it.
pub(crate) fn page(files: &[SourceFile]) -> String {
    let mut page = String::from(
        "# Limits\n\nEvery queue, buffer, message and connection has a limit. They stand in one file for each part; this page is\n\
         made from those files and `tests/tidy` compares the two.\n",
    );
    for file in files.iter().filter(|file| file.path.ends_with("/limits.rs") && !file.path.starts_with("tests/")) {
        writeln!(page, "\n## `{}`\n\n| limit | value | what it is, and what happens at it |\n|---|---|---|", file.path)
            .unwrap();
        let mut words: Vec<&str> = Vec::new();
        for line in file.text.lines() {
            let line = line.trim();
            if let Some(more) = line.strip_prefix("/// ") {
                words.push(more);
            } else if let Some((name, value)) = constant(line) {
                writeln!(page, "| `{name}` | `{value}` | {} |", words.join(" ").replace('|', "\\|")).unwrap();
                words.clear();
            } else {
                words.clear();
            }
        }
    }
    page
}

fn constant(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once("const ")?;
    let (name, rest) = rest.split_once(": ")?;
    let (_, value) = rest.split_once(" = ")?;
    Some((name, value.trim_end_matches(';')))
}

#[test]
fn the_page_of_limits_is_that_of_the_code() {
    let page = page(&files::repository());
    assert!(page.lines().count() > 60, "the files of limits were not found");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join(PAGE);
    if std::env::var_os("LIMITS_WRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "{PAGE} is not what the code says; run this test once with LIMITS_WRITE=1 and commit it");
}
