//! The frames that cases are made from: those of the public test vectors, and a few built here.

use std::collections::BTreeMap;

use agent::decode::ble::Characteristic;
use agent::decode::{Protocol, checksum};
use agent::evaluate::AREAS;
use serde_json::Value as Json;

use super::{Decoder, Layouts};
use crate::vectors;

/// Frames of decoders that the vectors have none for, built from the layouts that the decoders' files quote.
const BUILT: [(Characteristic, &str); 7] = [
    (Characteristic::EnhancedBloodPressure, "7e8a0058007800805101003c0001270080510100"),
    (Characteristic::CuffPressure, "009600ff07ff07"),
    (Characteristic::IntermediateTemperature, "006c0100ff"),
    (Characteristic::PlxFeatures, "0000"),
    (Characteristic::CgmFeature, "00000059ffff"),
    (Characteristic::Jumper, "81386344"),
    (Characteristic::ContecBt, "eb010453637f0025"),
];

/// Records of LifeScan meters: the message of a packet, of the Ultra Easy and of the Verio.
const LIFESCAN: [(Protocol, &str); 2] =
    [(Protocol::Lifescan, "0506a8bf686a64000000"), (Protocol::LifescanVerio, "030618bffa31640000000000")];

/// Frames by decoder.
#[derive(Debug, Clone, Default)]
pub struct Seeds(BTreeMap<String, Vec<Vec<u8>>>);

impl Seeds {
    /// Those that are built, and those of the vectors where there is a folder of data.
    ///
    /// # Errors
    /// If there is a folder, and a file of it cannot be read.
    pub fn read() -> anyhow::Result<Self> {
        let mut seeds = Self::default();
        for (characteristic, digits) in BUILT {
            seeds.push(Decoder::Value(characteristic), shared::hex::decode(digits).unwrap_or_default());
        }
        for layout in Layouts::ALL {
            seeds.push(Decoder::Layout(layout), shared::hex::decode(layout.frame()).unwrap_or_default());
        }
        for (protocol, digits) in LIFESCAN {
            let message = shared::hex::decode(digits).unwrap_or_default();
            let length = u8::try_from(message.len() + 6)?;
            let mut packet = [&[2, length, 2], message.as_slice(), &[3]].concat();
            packet.extend(checksum::crc16_ccitt_false(&packet).to_le_bytes());
            seeds.push(Decoder::Line(protocol), packet);
        }
        for (area, _) in AREAS {
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
            self.push(decoder, octets.clone());
        }
    }

    fn push(&mut self, decoder: Decoder, octets: Vec<u8>) {
        self.0.entry(decoder.to_string()).or_default().push(octets);
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
