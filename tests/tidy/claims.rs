//! What documents name must exist: the tests that hold their claims, the files they point at.

use std::collections::BTreeSet;

use crate::files::{SourceFile, Violation};

/// Names with at least this many underscores are taken for tests (`a_copy_of_the_disk_opens_no_record`).
const UNDERSCORES_OF_A_TEST: usize = 4;

pub(crate) fn named_things_exist(files: &[SourceFile]) -> Vec<Violation> {
    let functions: BTreeSet<&str> = files.iter().flat_map(functions).collect();
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let exists = |path: &str| {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        paths.contains(path) || paths.iter().any(|known| known.starts_with(&folder))
    };
    let mut found = Vec::new();
    // Decisions are history: what they name may be gone.
    let documents = files.iter().filter(|file| file.path.ends_with(".md") && !file.is_in(&["docs/decisions/"]));
    for file in documents {
        for (number, line) in file.lines() {
            for word in quoted(line) {
                if looks_like_a_test(word) && !functions.contains(word) {
                    found.push(file.violation(number, "claim", format!("no function `{word}`: name the test that is")));
                }
                if looks_like_a_path(word) && !exists(word) {
                    found.push(file.violation(number, "claim", format!("no file `{word}`: name what is there")));
                }
            }
            for target in links(line) {
                let Some(path) = resolve(&file.path, target) else { continue };
                if !exists(&path) {
                    found.push(file.violation(number, "claim", format!("the link to `{target}` leads nowhere")));
                }
            }
        }
    }
    found
}

fn functions(file: &SourceFile) -> impl Iterator<Item = &str> {
    let names = file.code().filter_map(|(_, line)| line.split_once("fn ")?.1.split(['(', '<']).next());
    names.map(str::trim)
}

/// What stands between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn looks_like_a_test(word: &str) -> bool {
    let name = word.rsplit("::").next().unwrap_or(word);
    let clean = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name == word && word.chars().all(clean) && word.matches('_').count() >= UNDERSCORES_OF_A_TEST
}

fn looks_like_a_path(word: &str) -> bool {
    const TOP: &[&str] = &["agent/", "server/", "shared/", "tests/", "docs/", "systemd/", "cross/"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    TOP.iter().any(|top| word.starts_with(top)) && word.chars().all(plain)
}

/// Where `[text](target)` leads.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The path from the root of a link in this file; `None` if it leads elsewhere.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().filter(|target| !target.is_empty() && !target.contains(':'))?;
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str) -> Vec<String> {
        let files = [
            SourceFile::new("docs/claims.md", document),
            SourceFile::new("docs/other.md", ""),
            SourceFile::new("tests/system/main.rs", "fn nothing_accepted_is_ever_lost() {}\n"),
        ];
        named_things_exist(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        assert!(found("held by `nothing_accepted_is_ever_lost` in `tests/system`").is_empty());
        assert_eq!(found("held by `nothing_accepted_is_ever_gone`").len(), 1);
        assert!(found("the field `timeout_ms`, the word `a_b_c`").is_empty());
    }

    #[test]
    fn a_path_or_a_link_that_leads_nowhere_is_found() {
        assert_eq!(found("see `tests/system/other.rs`").len(), 1);
        assert_eq!(found("see `docs/none.md`, and\n[it](gone.md#part)").len(), 2);
        assert!(found("[a](other.md) [b](../tests/system/main.rs) [c](#here) [d](https://example.org/x)").is_empty());
        assert!(found("`tests/golden/*.hex` and `docs/{a,b}`").is_empty());
    }
}
