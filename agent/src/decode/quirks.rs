//! What single models send otherwise than their standard says: one table, and nothing about a model anywhere else.
//!
//! A decoder takes [`Quirks`] and looks at its fields, never at a name. Without an entry a device is taken at its
//! standard's word, unless its maker is known to break the layout: then what cannot be read without knowing the model is refused.
//! An entry stands here only with a captured frame, or a source that quotes one, of that model that shows it.
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
    /// Weight and body composition: this maker's models differ in their steps, and this one is not known: they are refused.
    pub mass_steps_unknown: bool,
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
        mass_steps_unknown: false,
        holds_values_without_finger: false,
    };

    /// What is known of a device.
    #[must_use]
    pub fn of(identity: &Identity<'_>) -> Self {
        let of_maker = || MAKERS.iter().find(|(maker, _)| identity.is_of(maker)).map(|(_, does)| *does);
        let of_model = MODELS.iter().find(|model| model.is(identity)).map(|model| model.does);
        of_model.or_else(of_maker).unwrap_or(Self::NONE)
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

    /// Whether any of its names is or begins with this maker's, letters of either case.
    fn is_of(&self, maker: &str) -> bool {
        let begins = |name: &str| name.get(..maker.len()).is_some_and(|given| given.eq_ignore_ascii_case(maker));
        [self.maker, self.model, self.name].into_iter().flatten().any(|name| begins(name.trim_start()))
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
        // The number that the device itself gives decides alone; its name may be of another or of none.
        let named = identity.model.or(identity.name).is_some_and(|name| self.has_name(name));
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

/// Makers of whom a captured model breaks the layout, and what holds for their models that are not in the table: the steps of the
/// Renpho below are ten times those of the standard, and which of its others do so too is not known.
const MAKERS: &[(&str, Quirks)] = &[("Renpho", Quirks { mass_steps_unknown: true, ..Quirks::NONE })];

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
        for name in ["", "ES-WBE2", "ES-WBE28B", "Beurer ES-WBE28", "é", "My Renpho", "Renph"] {
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
    fn the_number_that_a_device_gives_decides_alone() {
        let of = |model, name| Quirks::of(&Identity { model, name, ..Identity::default() }).cuff_user_always;
        assert!(of(Some("BM85"), None) && of(None, Some("BM85")) && of(Some("BM85"), Some("BM77")));
        assert!(!of(Some("BM77"), Some("BM85")), "a name does not speak against it");
    }

    #[test]
    fn an_unlisted_model_of_a_maker_that_breaks_the_layout_is_refused() {
        let refused = |maker, model, name| {
            let quirks = Quirks::of(&Identity { maker, model, firmware: None, name });
            assert!(!quirks.mass_steps_unknown || !quirks.mass_in_tenfold_steps);
            quirks.mass_steps_unknown
        };
        assert!(refused(None, None, Some("RENPHO-SCALE-1234")) && refused(None, None, Some("renpho")));
        assert!(refused(Some("Renpho Ltd"), Some("ES-CS20M"), None) && refused(Some("RENPHO"), None, None));
        assert!(refused(None, Some("ES-CS20M"), Some("Renpho-Scale")), "the number decides, and is not listed");
        assert!(!refused(Some("Renpho"), Some("ES-WBE28"), None) && !refused(None, None, Some("Renpho-Scale")));
        assert!(!refused(Some("Beurer"), Some("BF720"), None));
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
