//! What single models send otherwise than their standard says: one table, and nothing about a model anywhere else.
//!
//! A decoder takes [`Quirks`] and looks at its fields, never at a name. Without an entry a device is taken at its
//! standard's word. An entry stands here only with a frame of that model that shows it.
//!
//! Needs no entry: 127 and 255 from a Contec CMS50D+ mean "no data" in its protocol, for every maker ([`super::bci`]). A cuff
//! that sets every flag contradicts itself and is refused by its length.

/// What one model does otherwise. The default is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// Blood Pressure Measurement (2A35): the pulse and the measurement status are sent high octet first. The pressures and
    /// the year are not.
    pub cuff_tail_big_endian: bool,
    /// Blood Pressure Measurement (2A35): the user's octet follows the pulse although its flag is clear.
    pub cuff_user_always: bool,
    /// Weight and body composition: a step of a mass is ten times that of the standard, 0.05 kg or 0.1 lb.
    pub mass_in_tenfold_steps: bool,
    /// Weight and body composition: a zero stands where nothing was measured.
    pub zero_is_no_value: bool,
    /// Oximeter: the last values are sent on after the finger has left.
    pub holds_values_without_finger: bool,
}

impl Quirks {
    /// None: the device does as its standard says.
    pub const NONE: Self = Self {
        cuff_tail_big_endian: false,
        cuff_user_always: false,
        mass_in_tenfold_steps: false,
        zero_is_no_value: false,
        holds_values_without_finger: false,
    };

    /// What is known of a device.
    #[must_use]
    pub fn of(identity: &Identity<'_>) -> Self {
        MODELS.iter().find(|model| model.is(identity)).map_or(Self::NONE, |model| model.does)
    }
}

/// How a device names itself. Empty parts are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity<'a> {
    /// Manufacturer Name (2A29).
    pub maker: Option<&'a str>,
    /// Model Number (2A24).
    pub model: Option<&'a str>,
    /// Firmware Revision (2A26).
    pub firmware: Option<&'a str>,
    /// The name it advertises, or under which it stands in the configuration.
    pub name: Option<&'a str>,
}

impl<'a> Identity<'a> {
    /// A device of which only a name is known.
    #[must_use]
    pub const fn named(name: &'a str) -> Self {
        Self { maker: None, model: None, firmware: None, name: Some(name) }
    }
}

/// A line of the table. Names are compared whole, letters of either case.
struct Model {
    maker: &'static str,
    /// Each alone, or behind the maker's name and a space.
    names: &'static [&'static str],
    /// This firmware only; `None` is any.
    firmware: Option<&'static str>,
    does: Quirks,
}

impl Model {
    fn is(&self, identity: &Identity<'_>) -> bool {
        let of_maker = identity.maker.is_none_or(|maker| maker.eq_ignore_ascii_case(self.maker));
        let of_firmware =
            self.firmware.is_none_or(|only| identity.firmware.is_some_and(|it| it.eq_ignore_ascii_case(only)));
        let named = [identity.model, identity.name].into_iter().flatten().any(|name| self.has_name(name));
        of_maker && of_firmware && named
    }

    fn has_name(&self, name: &str) -> bool {
        is_named(name, self.maker, self.names)
    }
}

/// Whether a text is one of a model's names: alone, or behind the maker's name and a space or hyphen. Letters of either case,
/// names whole. The one way in which models are named, here and in configurations.
#[must_use]
pub fn is_named(text: &str, maker: &str, names: &[&str]) -> bool {
    let behind_maker = text
        .split_at_checked(maker.len())
        .filter(|(given, _)| given.eq_ignore_ascii_case(maker))
        .and_then(|(_, rest)| rest.strip_prefix([' ', '-']));
    [Some(text), behind_maker].into_iter().flatten().any(|it| names.iter().any(|own| own.eq_ignore_ascii_case(it)))
}

const MODELS: &[Model] = &[
    // Captured frames, with and without an irregular pulse and of both users: derdilla/blood-pressure-monitor-fl,
    // ble_measurement_data_test.dart. Pressures 6A 00 = 106 as in the standard, pulse 00 3F = 63, user, status 00 04 = irregular
    // pulse; flags 56 have no bit for the user.
    Model {
        maker: "Beurer",
        names: &["BM85"],
        firmware: None,
        does: Quirks { cuff_tail_big_endian: true, cuff_user_always: true, ..Quirks::NONE },
    },
    // Captured frame: KristianP26/ble-scale-sync, renpho.test.ts: 07 6A is 94.9 kg, and body mass index and height are zeros.
    // It also sets the reserved flag bit 6, which no decoder looks at.
    Model {
        maker: "Renpho",
        names: &["ES-WBE28", "Renpho-Scale", "Renpho scale"],
        firmware: None,
        does: Quirks { mass_in_tenfold_steps: true, zero_is_no_value: true, ..Quirks::NONE },
    },
    // Captured session: KristianP26/ble-scale-sync, beurer-bf720.ts: 35 of 36 body compositions that came with old records have
    // zeros in every field but the basal metabolism.
    Model {
        maker: "Beurer",
        names: &["BF788"],
        firmware: None,
        does: Quirks { zero_is_no_value: true, ..Quirks::NONE },
    },
    // Captured frame: tobiasisenberg/OxiVis: EB 01 04 53 63 without a finger still says 83 and 99.
    Model {
        maker: "Contec",
        names: &["CMS50D-BT"],
        firmware: None,
        does: Quirks { holds_values_without_finger: true, ..Quirks::NONE },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_its_whole_name() {
        let tenfold = |identity| Quirks::of(&identity).mass_in_tenfold_steps;
        for name in ["ES-WBE28", "es-wbe28", "Renpho ES-WBE28", "renpho-es-wbe28", "RENPHO-SCALE"] {
            assert!(tenfold(Identity::named(name)), "{name}");
        }
        for name in ["", "ES-WBE2", "ES-WBE28B", "RenphoES-WBE28", "Beurer ES-WBE28", "é", "Renpho"] {
            assert_eq!(Quirks::of(&Identity::named(name)), Quirks::NONE, "{name}");
        }
    }

    #[test]
    fn another_makers_device_of_that_name_is_another_device() {
        let of = |maker, model| Quirks::of(&Identity { maker, model, ..Identity::default() }).cuff_user_always;
        assert!(of(Some("BEURER"), Some("bm85")) && of(None, Some("BM85")));
        assert!(!of(Some("Medisana"), Some("BM85")) && !of(Some("Beurer"), None) && !of(None, None));
    }

    #[test]
    fn a_line_for_one_firmware_is_for_no_other() {
        let model = Model { maker: "M", names: &["X"], firmware: Some("1.2"), does: Quirks::NONE };
        let is = |firmware| model.is(&Identity { firmware, ..Identity::named("X") });
        assert!(is(Some("1.2")) && !is(Some("1.3")) && !is(None));
    }

    #[test]
    fn no_name_stands_in_two_lines() {
        let names: Vec<_> =
            MODELS.iter().flat_map(|model| model.names.iter().map(|name| name.to_ascii_lowercase())).collect();
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn none_is_the_default() {
        assert_eq!(Quirks::NONE, Quirks::default());
    }
}
