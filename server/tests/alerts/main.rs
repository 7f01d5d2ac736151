//! The alert engine against SEMANTICS §§2 to 4, clause by clause, and over recorded patients.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod bench;
mod clauses;
mod data;
mod findings;
mod properties;
