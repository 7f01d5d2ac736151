//! How long files are and what they are called.

use crate::files::{SourceFile, Violation};

/// Longest file of Rust, in lines.
const LINES_MAX: usize = 400;

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "managers", "misc", "stuff"];

pub(crate) fn lengths(file: &SourceFile) -> Vec<Violation> {
    let count = file.text.lines().count();
    if !file.path.ends_with(".rs") || count <= LINES_MAX {
        return Vec::new();
    }
    let why = format!("{count} lines, more than {LINES_MAX}: split it by concept");
    vec![file.violation(LINES_MAX + 1, "length", why)]
}

pub(crate) fn names(file: &SourceFile) -> Vec<Violation> {
    let said = |name: &str| format!("`{name}` says nothing: name what it holds");
    let mut found = Vec::new();
    for part in file.path.split('/') {
        let stem = part.split('.').next().unwrap_or_default();
        if EMPTY_NAMES.contains(&stem) {
            found.push(file.violation(1, "name", said(part)));
        }
    }
    for (number, line) in file.code() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        if words.by_ref().any(|word| word == "mod")
            && let Some(name) = words.next()
            && EMPTY_NAMES.contains(&name)
        {
            found.push(file.violation(number, "name", said(name)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        let long = "\n".repeat(LINES_MAX + 1);
        assert_eq!(lengths(&SourceFile::new("agent/src/a.rs", &long)).len(), 1);
        assert!(lengths(&SourceFile::new("agent/src/a.rs", &long[1..])).is_empty());
        assert!(lengths(&SourceFile::new("docs/a.md", &long)).is_empty());
    }

    #[test]
    fn an_empty_name_is_found() {
        assert_eq!(names(&SourceFile::new("agent/src/utils.rs", "")).len(), 1);
        assert_eq!(names(&SourceFile::new("agent/src/common/a.rs", "")).len(), 1);
        assert_eq!(names(&SourceFile::new("agent/src/a.rs", "pub(crate) mod helpers {}\n")).len(), 1);
        assert!(names(&SourceFile::new("agent/src/a.rs", "mod uncommon; // mod utils\n")).is_empty());
    }
}
