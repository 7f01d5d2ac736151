//! The rules of the design guide that a program can check, over every file of the repository. Each finding says
//! what to do; each rule has a test of its own that it catches what it is for.
#![allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

mod claims;
mod code;
mod files;
mod imports;
mod layout;
mod limits;
mod manifests;
mod text;
mod words;

use files::{SourceFile, Violation};

/// Every rule.
const RULES: &[fn(&SourceFile) -> Vec<Violation>] = &[
    layout::lengths,
    layout::names,
    imports::layers,
    imports::one_file_per_library,
    imports::clocks,
    words::unfinished,
    words::detached_tasks,
    words::unbounded_channels,
    words::allowances,
    words::ignored_tests,
    words::floats,
    words::secrets_in_debug,
    manifests::versions_in_one_place,
    manifests::lints_inherited,
    text::machine_paths,
    text::pictures,
    text::nhs_numbers,
];

#[test]
fn the_repository_follows_its_rules() {
    let files = files::repository();
    assert!(files.len() > 20, "only {} files found: the walk is broken", files.len());
    nothing_found(files.iter().flat_map(|file| RULES.iter().flat_map(|rule| rule(file))));
}

#[test]
fn documents_name_what_exists() {
    nothing_found(claims::named_things_exist(&files::repository()));
}

fn nothing_found(violations: impl IntoIterator<Item = Violation>) {
    let found: Vec<String> = violations.into_iter().map(|found| found.to_string()).collect();
    assert!(found.is_empty(), "{} findings:\n{}\n", found.len(), found.join("\n"));
}
