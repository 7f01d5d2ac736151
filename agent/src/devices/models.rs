//! What the line of each known model is set to: one table. Pure.
//!
//! Names are given as in [`crate::decode::quirks`]: a model's name alone or behind its maker's, letters of either case, a space
//! or a hyphen between. Source of the settings: STANDARDS §2 and the heads of the protocols' files.
//!
//! A model has several settings where its firmware or its setup decides what it speaks; the hub then tries each ([`super::probe`]).

use std::fmt;
use std::str::FromStr;

use super::line_settings::{LineSettings, Parity};
use crate::decode::Protocol;
use crate::decode::quirks::is_named;

/// A model of a device on a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model(&'static Entry);

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    /// The name that lists have.
    key: &'static str,
    maker: &'static str,
    names: &'static [&'static str],
    first: LineSettings,
    others: &'static [LineSettings],
}

const fn entry(
    key: &'static str,
    maker: &'static str,
    names: &'static [&'static str],
    first: LineSettings,
    others: &'static [LineSettings],
) -> Entry {
    Entry { key, maker, names, first, others }
}

const fn only(key: &'static str, maker: &'static str, names: &'static [&'static str], protocol: Protocol) -> Entry {
    entry(key, maker, names, LineSettings::of(protocol), &[])
}

/// Before V4.6 BCI frames at one of two speeds, from V4.6 on packages.
const CMS50: LineSettings = LineSettings::of(Protocol::Cms50V7);
const CMS50_OLD: &[LineSettings] =
    &[LineSettings::of(Protocol::Bci).at(19_200, Parity::Odd), LineSettings::of(Protocol::Bci)];

/// Which format it begins with is set in the module.
const NONIN: LineSettings = LineSettings::of(Protocol::NoninDf2);
const NONIN_OTHERS: &[LineSettings] = &[LineSettings::of(Protocol::NoninDf7), LineSettings::of(Protocol::NoninDf8)];

const MODELS: &[Entry] = &[
    entry("nonin-oem-iii", "Nonin", &["OEM-III", "OEM III"], NONIN, NONIN_OTHERS),
    entry("nonin-xpod", "Nonin", &["Xpod"], NONIN, NONIN_OTHERS),
    only("nonin-9560", "Nonin", &["9560"], Protocol::NoninDf13),
    entry("contec-cms50d+", "Contec", &["CMS50D+"], CMS50, CMS50_OLD),
    entry("contec-cms50e", "Contec", &["CMS50E"], CMS50, CMS50_OLD),
    entry("contec-cms50f", "Contec", &["CMS50F"], CMS50, CMS50_OLD),
    only("masimo-rad-8", "Masimo", &["Rad-8"], Protocol::MasimoAscii1),
    only("masimo-radical-7", "Masimo", &["Radical-7"], Protocol::MasimoAscii1),
    only("suntech-advantage", "SunTech", &["Advantage", "Advantage OEM"], Protocol::SuntechNibp),
    only("and-ua-767pc", "A&D", &["UA-767PC"], Protocol::AndUa767pc),
    only("and-scale", "A&D", &["scale"], Protocol::AndScale),
    only("lifescan-ultra-easy", "LifeScan", &["Ultra-Easy", "Ultra Easy", "OneTouch Ultra Easy"], Protocol::Lifescan),
    only("lifescan-ultra-mini", "LifeScan", &["Ultra-Mini", "Ultra Mini", "OneTouch Ultra Mini"], Protocol::Lifescan),
    only("lifescan-verio-iq", "LifeScan", &["Verio-IQ", "Verio IQ", "OneTouch Verio IQ"], Protocol::LifescanVerio),
    only("beurer-bm58", "Beurer", &["BM58"], Protocol::BeurerBm65),
    only("beurer-bm65", "Beurer", &["BM65"], Protocol::BeurerBm65),
];

impl Model {
    /// Every model.
    pub fn all() -> impl Iterator<Item = Self> {
        MODELS.iter().map(Self)
    }

    /// Its name in lists.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.0.key
    }

    /// The setting of its line that is tried first.
    #[must_use]
    pub const fn first(self) -> LineSettings {
        self.0.first
    }

    /// Settings that it may have instead.
    #[must_use]
    pub const fn others(self) -> &'static [LineSettings] {
        self.0.others
    }

    /// Its protocol, if it has only one.
    #[must_use]
    pub fn protocol(self) -> Option<Protocol> {
        let first = self.0.first.protocol;
        self.0.others.iter().all(|other| other.protocol == first).then_some(first)
    }
}

/// Why a text names no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no serial device of this name is known; known are {Known}; give any other its protocol")]
pub struct UnknownModel;

/// The names of all.
struct Known;

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, model) in Model::all().enumerate() {
            write!(f, "{}{}", if place == 0 { "" } else { ", " }, model.key())?;
        }
        Ok(())
    }
}

impl FromStr for Model {
    type Err = UnknownModel;
    fn from_str(text: &str) -> Result<Self, UnknownModel> {
        let is_meant =
            |entry: &&Entry| entry.key.eq_ignore_ascii_case(text) || is_named(text, entry.maker, entry.names);
        MODELS.iter().find(is_meant).map(Self).ok_or(UnknownModel)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::decode::quirks::{Identity, Quirks};
    use crate::limits::LINE_CHOICES_MAX;

    #[test]
    fn a_model_is_named_as_the_table_of_quirks_names_it() {
        let key = |text: &str| text.parse::<Model>().map(Model::key);
        for text in ["contec-cms50d+", "Contec CMS50D+", "cms50d+", "CONTEC-CMS50D+"] {
            assert_eq!(key(text), Ok("contec-cms50d+"), "{text}");
        }
        assert_eq!((key("LifeScan Ultra Easy"), key("A&D UA-767PC")), (Ok("lifescan-ultra-easy"), Ok("and-ua-767pc")));
        for text in ["", "contec", "CMS50", "contec-cms50d", "Beurer CMS50E", "contec cms50d-bt"] {
            assert_eq!(key(text), Err(UnknownModel), "{text}");
        }
    }

    #[test]
    fn no_two_models_share_a_name_and_none_needs_a_quirk_that_serial_lines_do_not_know() {
        let mut names = BTreeSet::new();
        for entry in MODELS {
            assert!(entry.names.iter().all(|name| names.insert(name.to_ascii_lowercase())), "{}", entry.key);
            assert_eq!(entry.key.parse(), Ok(Model(entry)));
            for name in entry.names {
                assert_eq!(format!("{} {name}", entry.maker).parse(), Ok(Model(entry)));
                assert_eq!(Quirks::of(&Identity::named(name)), Quirks::NONE, "{name}");
            }
        }
    }

    #[test]
    fn an_unknown_model_is_told_the_known_ones() {
        let told = UnknownModel.to_string();
        assert!(Model::all().all(|model| told.contains(model.key())), "{told}");
    }

    #[test]
    fn models_that_vary_have_their_choices_and_every_protocol_has_a_model() {
        let cms50: Model = "cms50e".parse().unwrap();
        let lines: Vec<String> =
            std::iter::once(&cms50.first()).chain(cms50.others()).map(ToString::to_string).collect();
        assert_eq!(lines, ["cms50-v7 at 115200 8N1", "bci at 19200 8O1", "bci at 4800 8N1"]);
        assert_eq!((cms50.protocol(), Model(&MODELS[2]).protocol()), (None, Some(Protocol::NoninDf13)));
        assert!(MODELS.iter().all(|entry| entry.others.len() < LINE_CHOICES_MAX));
        for protocol in Protocol::ALL {
            let speaks = |model: Model| {
                std::iter::once(&model.first()).chain(model.others()).any(|line| line.protocol == protocol)
            };
            assert!(Model::all().any(speaks), "{protocol}");
        }
    }
}
