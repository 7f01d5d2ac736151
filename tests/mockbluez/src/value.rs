//! The few types of values the properties of BlueZ have.

use dbus::Path;
use dbus::arg::{PropMap, RefArg, Variant, cast};

/// A property's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Signed, as a signal's strength.
    Signed(i16),
    /// Unsigned, as an MTU.
    Number(u16),
    /// Several texts, as UUIDs and flags.
    Texts(Vec<String>),
    /// Octets, as a characteristic's value.
    Octets(Vec<u8>),
    /// Another object.
    Object(String),
}

impl Value {
    /// Text of anything that is text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As D-Bus carries it.
    pub(crate) fn variant(&self) -> Variant<Box<dyn RefArg>> {
        Variant(match self.clone() {
            Self::Text(text) => Box::new(text),
            Self::Flag(flag) => Box::new(flag),
            Self::Signed(number) => Box::new(number),
            Self::Number(number) => Box::new(number),
            Self::Texts(texts) => Box::new(texts),
            Self::Octets(octets) => Box::new(octets),
            Self::Object(path) => Box::new(Path::from(path)),
        })
    }

    /// Back again; `None` for a type that no property here has.
    pub(crate) fn read(given: &(dyn RefArg + 'static)) -> Option<Self> {
        if let Some(octets) = cast::<Vec<u8>>(given) {
            return Some(Self::Octets(octets.clone()));
        }
        if let Some(texts) = cast::<Vec<String>>(given) {
            return Some(Self::Texts(texts.clone()));
        }
        if let Some(flag) = cast::<bool>(given) {
            return Some(Self::Flag(*flag));
        }
        if let Some(number) = cast::<i16>(given) {
            return Some(Self::Signed(*number));
        }
        if let Some(number) = cast::<u16>(given) {
            return Some(Self::Number(*number));
        }
        if let Some(path) = cast::<Path<'static>>(given) {
            return Some(Self::Object(path.to_string()));
        }
        given.as_str().map(Self::text)
    }
}

/// Properties as D-Bus carries them.
pub(crate) fn property_map<'a>(properties: impl IntoIterator<Item = (&'a str, &'a Value)>) -> PropMap {
    properties.into_iter().map(|(name, value)| (name.to_owned(), value.variant())).collect()
}
