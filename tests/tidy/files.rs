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
        // A bench is not shipped either: it may read clocks and give up.
        let only_tests = path.starts_with("tests/")
            || path.contains("/tests/")
            || path.contains("/benches/")
            || path.ends_with("/tests.rs");
        let first = test_modules(&code).find(|(_, declaration)| declaration.contains('{')).map(|(line, _)| line);
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
        self.code().filter(|(line, _)| *line < self.tests_from)
    }

    /// Whether the file is below one of these folders, or is one of these files.
    pub(crate) fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path == *place || (place.ends_with('/') && self.path.starts_with(place)))
    }

    /// The files that hold the test modules this one declares (`#[cfg(test)] mod name;`).
    fn files_of_test_modules(&self) -> Vec<String> {
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let stem = name.trim_end_matches(".rs");
        let inner = if ["mod", "lib", "main"].contains(&stem) { folder.to_owned() } else { format!("{folder}/{stem}") };
        let mut files = Vec::new();
        for (line, declaration) in test_modules(&self.code).filter(|(_, declaration)| !declaration.contains('{')) {
            let name = declaration.trim_end_matches(';').rsplit(' ').next().unwrap_or_default();
            // The path is a literal, so it stands only in the text.
            let attribute = self.text.lines().skip(line).find_map(|text| text.trim().strip_prefix("#[path = \""));
            if let Some(path) = attribute.and_then(|text| text.strip_suffix("\"]")) {
                files.push(format!("{folder}/{path}"));
            }
            files.push(format!("{inner}/{name}.rs"));
            files.push(format!("{inner}/{name}/mod.rs"));
        }
        files
    }

    pub(crate) fn violation(&self, line: usize, rule: &'static str, why: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, rule, why: why.into() }
    }
}

/// The declarations of test modules: the line of `#[cfg(test)]`, and `mod name {` or `mod name;`.
fn test_modules(code: &[String]) -> impl Iterator<Item = (usize, &str)> {
    let marks = code.iter().enumerate().filter(|(_, line)| line.trim() == "#[cfg(test)]");
    marks.filter_map(|(place, _)| {
        let declaration = code[place + 1..].iter().map(|line| line.trim()).find(|line| !line.starts_with('#'))?;
        declaration.split(' ').any(|word| word == "mod").then_some((place + 1, declaration))
    })
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
    mark_test_modules(&mut files);
    files
}

/// A file that is a test module of another has nothing but tests.
fn mark_test_modules(files: &mut [SourceFile]) {
    let tests: Vec<String> = files.iter().flat_map(SourceFile::files_of_test_modules).collect();
    files.iter_mut().filter(|file| tests.contains(&file.path)).for_each(|file| file.tests_from = 0);
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
        assert_eq!(SourceFile::new("agent/benches/a.rs", "fn a() {}\n").production_code().count(), 0);
        assert_eq!(SourceFile::new("agent/src/decode/tests.rs", "fn a() {}\n").production_code().count(), 0);
        assert_eq!(SourceFile::new("docs/a.md", "fn a() {}\n").code().count(), 0);
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_a_test_and_what_follows_it_is_not() {
        let parent = "#[cfg(test)]\nmod model;\n#[cfg(test)]\n#[path = \"odd.rs\"]\nmod other;\nfn a() {}\n";
        let files = ["queue/mod.rs", "queue/model.rs", "queue/odd.rs", "queue/policy.rs"];
        let mut files =
            files.map(|path| SourceFile::new(path, if path.ends_with("mod.rs") { parent } else { "fn a() {}" }));
        mark_test_modules(&mut files);
        let production = files.map(|file| file.production_code().any(|(_, line)| line == "fn a() {}"));
        assert_eq!(production, [true, false, false, true]);
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
