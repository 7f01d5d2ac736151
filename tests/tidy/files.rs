//! The files of the repository, and what a finding looks like.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::code;

/// A text file of the repository.
pub(crate) struct SourceFile {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
    /// Rust only: its lines without comments and the insides of literals. Otherwise empty.
    code: Vec<String>,
    /// Rust only: the line its tests start at.
    tests_from: usize,
}

impl SourceFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { code::without_comments_and_literals(text) } else { Vec::new() };
        let only_tests = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs");
        let first = code.iter().position(|line| line.trim() == "#[cfg(test)]");
        let tests_from = if only_tests { 0 } else { first.unwrap_or(usize::MAX) };
        Self { path: path.to_owned(), text: text.to_owned(), code, tests_from }
    }

    /// Every line, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(place, line)| (place + 1, line))
    }

    /// Every line of Rust code, without comments and literals.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().map(|(place, line)| (place + 1, line.as_str()))
    }

    /// The same, without tests.
    pub(crate) fn production_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code().filter(|(line, _)| *line <= self.tests_from)
    }

    /// Whether the file is below one of these folders, or is one of these files.
    pub(crate) fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path == *place || (place.ends_with('/') && self.path.starts_with(place)))
    }

    pub(crate) fn violation(&self, line: usize, rule: &'static str, why: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, rule, why: why.into() }
    }
}

/// A finding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    path: String,
    pub(crate) line: usize,
    rule: &'static str,
    why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.why)
    }
}

/// Folders that are made, not written.
const SKIPPED_FOLDERS: &[&str] = &[".git", "target", "__pycache__", "node_modules"];
/// Files that are made, not written.
const SKIPPED_FILES: &[&str] = &[".git", "Cargo.lock", "LICENSE"];

/// Every text file of the repository.
pub(crate) fn repository() -> Vec<SourceFile> {
    // Asked when it runs: a shared target folder may hold a binary that was built in another checkout.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let root = Path::new(&package).parent().unwrap();
    let mut files = Vec::new();
    walk(root, root, &mut files);
    files
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<SourceFile>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap_or_default();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if !SKIPPED_FOLDERS.contains(&name) {
                walk(root, &path, files);
            }
        } else if !SKIPPED_FILES.contains(&name)
            // What is not UTF-8 is no text.
            && let Ok(text) = fs::read_to_string(&path)
        {
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.push(SourceFile::new(relative, &text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_from_the_rest() {
        let file = SourceFile::new("agent/src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(file.production_code().map(|(line, _)| line).collect::<Vec<_>>(), [1]);
        assert_eq!(SourceFile::new("agent/tests/a.rs", "fn a() {}\n").production_code().count(), 0);
        assert_eq!(SourceFile::new("agent/src/decode/tests.rs", "fn a() {}\n").production_code().count(), 0);
        assert_eq!(SourceFile::new("docs/a.md", "fn a() {}\n").code().count(), 0);
    }

    #[test]
    fn the_walk_finds_this_file_and_nothing_made() {
        let files = repository();
        assert!(files.iter().any(|file| file.path == "tests/tidy/files.rs"));
        assert!(!files.iter().any(|file| file.path.starts_with("target/") || file.path == "Cargo.lock"));
    }

    #[test]
    fn a_finding_is_said_in_one_line() {
        let found = SourceFile::new("a.md", "").violation(3, "rule", "why, do this");
        assert_eq!(found.to_string(), "a.md:3: rule: why, do this");
    }
}
