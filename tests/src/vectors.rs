//! The public test vectors that lie beside the repository, where they do: `RPM_DATA`, or `../shared`.

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde_json::Value as Json;

use crate::binaries::repository;

/// The folder of data.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("RPM_DATA").map_or_else(|| repository().join("../shared"), PathBuf::from)
}

/// The entries of an area's file of vectors; `None` where there is no folder of data, which in CI is a failure.
///
/// # Errors
/// If the file cannot be read though others are there, or has not as many entries as it says.
pub fn entries(area: &str) -> anyhow::Result<Option<Vec<Json>>> {
    let vectors = folder().join("vectors");
    if !vectors.exists() {
        if std::env::var_os("CI").is_some() {
            bail!("{}: the vectors are missing", vectors.display());
        }
        return Ok(None);
    }
    let path = vectors.join(format!("{area}.json"));
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let file: Json = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let entries = file["entries"].as_array().cloned().unwrap_or_default();
    if entries.is_empty() || Some(entries.len() as u64) != file["count"].as_u64() {
        bail!("{}: {} entries, and the file says {}", path.display(), entries.len(), file["count"]);
    }
    Ok(Some(entries))
}
