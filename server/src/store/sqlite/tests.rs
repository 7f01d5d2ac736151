//! The store against a real file.
#![allow(clippy::arithmetic_side_effects)]
