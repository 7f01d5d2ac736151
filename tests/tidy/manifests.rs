//! Versions stand once, and every crate is held to the same lints.

use crate::files::{SourceFile, Violation};

fn is_member(file: &SourceFile) -> bool {
    file.path.ends_with("/Cargo.toml")
}

pub(crate) fn versions_in_one_place(file: &SourceFile) -> Vec<Violation> {
    if !is_member(file) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut section = "";
    for (number, line) in file.lines().map(|(number, line)| (number, line.trim())) {
        if line.starts_with('[') {
            section = line;
        }
        let dependency = section.contains("dependencies") && !line.starts_with('[');
        let said = !line.is_empty() && !line.starts_with('#');
        if dependency && said && !line.contains("workspace = true") {
            let why = "a dependency that is not the workspace's: put the version into the root Cargo.toml, here `.workspace = true`";
            found.push(file.violation(number, "version", why));
        }
    }
    found
}

pub(crate) fn lints_inherited(file: &SourceFile) -> Vec<Violation> {
    if !is_member(file) || file.text.replace(' ', "").contains("[lints]\nworkspace=true") {
        return Vec::new();
    }
    vec![file.violation(1, "lints", "the workspace's lints are not inherited: add `[lints]` with `workspace = true`")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_in_a_member_is_found() {
        let member = |text: &str| versions_in_one_place(&SourceFile::new("agent/Cargo.toml", text)).len();
        assert_eq!(member("[dependencies]\nserde = \"1\"\n"), 1);
        assert_eq!(member("[dev-dependencies]\nshared = { path = \"../shared\" }\n"), 1);
        assert_eq!(
            member("[dependencies]\nserde.workspace = true\n# why\nrcgen = { workspace = true }\n\n[lints]\nx = 1\n"),
            0
        );
        assert!(versions_in_one_place(&SourceFile::new("Cargo.toml", "[dependencies]\nserde = \"1\"\n")).is_empty());
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        let member = |text: &str| lints_inherited(&SourceFile::new("agent/Cargo.toml", text)).len();
        assert_eq!(member("[package]\nname = \"agent\"\n"), 1);
        assert_eq!(member("[package]\nname = \"agent\"\n\n[lints]\nworkspace = true\n"), 0);
    }
}
