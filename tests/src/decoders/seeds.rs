//! The frames that cases are made from: those of the public test vectors.

use std::collections::BTreeMap;

use agent::decode::Protocol;
use agent::decode::ble::Characteristic;
use serde_json::Value as Json;

use super::Decoder;
use crate::vectors;

const AREAS: [&str; 14] = [
    "ble-blood-pressure",
    "ble-cgm",
    "ble-glucose",
    "ble-heart-rate",
    "ble-misc",
    "ble-pulse-oximeter",
    "ble-thermometer",
    "ble-weight-bodycomp",
    "datetime",
    "serial-bci-cms50",
    "serial-extra",
    "serial-masimo",
    "serial-nonin",
    "serial-suntech",
];

/// Frames by decoder.
#[derive(Debug, Clone, Default)]
pub struct Seeds(BTreeMap<String, Vec<Vec<u8>>>);

impl Seeds {
    /// Reads the vectors; none where there is no folder of data.
    ///
    /// # Errors
    /// If there is a folder, and a file of it cannot be read.
    pub fn read() -> anyhow::Result<Self> {
        let mut seeds = Self::default();
        for area in AREAS {
            for entry in vectors::entries(area)?.unwrap_or_default() {
                seeds.add(area, &entry["input"]);
            }
        }
        Ok(seeds)
    }

    /// The frames of a decoder.
    #[must_use]
    pub fn of(&self, decoder: Decoder) -> &[Vec<u8>] {
        self.0.get(&decoder.to_string()).map_or(&[], Vec::as_slice)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn add(&mut self, area: &str, input: &Json) {
        let octets = match (input["hex"].as_str(), input["text"].as_str()) {
            (Some(digits), _) => shared::hex::decode(digits).unwrap_or_default(),
            (None, Some(text)) => format!("{text}\r\n").into_bytes(),
            (None, None) => return,
        };
        if octets.is_empty() {
            return;
        }
        let name = input["protocol"].as_str().or(input["characteristic"].as_str());
        for decoder in decoders(area, name.unwrap_or_default()) {
            self.0.entry(decoder.to_string()).or_default().push(octets.clone());
        }
    }
}

/// Which decoders read what the vectors call by this name.
fn decoders(area: &str, name: &str) -> Vec<Decoder> {
    let lines: &[Protocol] = match name {
        "nonin-df8-3" | "nonin-df8-4" => &[Protocol::NoninDf8],
        "bci-5" => return vec![Decoder::Line(Protocol::Bci), Decoder::Value(Characteristic::Berry)],
        "cms50-v7-unpack" => &[Protocol::Cms50V7],
        "suntech-nibp-host" => &[Protocol::SuntechNibp],
        "lifescan-binary" => &[Protocol::Lifescan, Protocol::LifescanVerio],
        "nonin-3230-ble" => return vec![Decoder::Value(Characteristic::NoninOximetry)],
        "viatom-o2-sensors" => return vec![Decoder::Value(Characteristic::Viatom)],
        _ if area == "datetime" => return vec![Decoder::Value(Characteristic::DateTime)],
        _ => &[],
    };
    let named = name.parse().map(Decoder::Line).ok().or(name.parse().map(Decoder::Value).ok());
    lines.iter().copied().map(Decoder::Line).chain(named).collect()
}
