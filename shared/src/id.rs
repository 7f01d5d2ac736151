//! Opaque identities. Each is 128 bits chosen at random by whoever creates the thing; none says anything
//! about a person or a place. Text form: 32 lower-case hexadecimal digits, everywhere (topics, files, JSON).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableId {
    /// Not exactly 32 characters.
    #[error("an identity is 32 lower-case hexadecimal digits, this has {0} characters")]
    Length(usize),
    /// A character outside `0-9a-f`.
    #[error("an identity is 32 lower-case hexadecimal digits, character {0} is none")]
    Digit(usize),
    /// A device name that is empty, too long or has other characters than `a-z 0-9 -`.
    #[error("a device name is 1 to {max} characters of a-z, 0-9 and '-'", max = DeviceId::LENGTH_MAX)]
    DeviceName,
}

fn parse_hex(text: &str) -> Result<[u8; 16], UnreadableId> {
    let count = text.chars().count();
    if count != 32 {
        return Err(UnreadableId::Length(count));
    }
    let mut bytes = [0_u8; 16];
    for (place, character) in text.chars().enumerate() {
        let digit = match character {
            '0'..='9' | 'a'..='f' => character.to_digit(16),
            _ => None,
        };
        let digit = digit.and_then(|d| u8::try_from(d).ok()).ok_or(UnreadableId::Digit(place))?;
        if let Some(byte) = bytes.get_mut(place / 2) {
            *byte = (*byte << 4) | digit;
        }
    }
    Ok(bytes)
}

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identity made of these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = UnreadableId;
            fn from_str(text: &str) -> Result<Self, UnreadableId> {
                parse_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 16]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

opaque_id!(
    /// A hub: the name in its certificate (`urn:rpm:hub:<id>`), its MQTT client id and its topics.
    HubId
);
opaque_id!(
    /// A stream: one run of an agent under one sealing key.
    StreamId
);
opaque_id!(
    /// A binding: (hub, device, user slot) to patient. All a hub ever learns of a patient.
    BindingId
);
opaque_id!(
    /// A patient, inside the server and its interfaces.
    PatientId
);
opaque_id!(
    /// One life of a store; a restored backup gets a new one, so hubs know to send again.
    StoreId
);
opaque_id!(
    /// One boot of a machine, as the kernel names it.
    BootId
);
opaque_id!(
    /// An alert.
    AlertId
);
opaque_id!(
    /// A server's sealing key: the first 16 bytes of SHA-256 over its public half.
    SealingKeyId
);
opaque_id!(
    /// A bearer token, by its public part.
    TokenId
);

/// A device's name on its hub, given in the hub's configuration: 1 to 32 characters of `a-z`, `0-9`, `-`.
/// Unique on its hub only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

impl DeviceId {
    /// Longest name, in characters.
    pub const LENGTH_MAX: usize = 32;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceId {
    type Error = UnreadableId;
    fn try_from(text: String) -> Result<Self, UnreadableId> {
        let fits = (1..=Self::LENGTH_MAX).contains(&text.len());
        let clean = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits && clean { Ok(Self(text)) } else { Err(UnreadableId::DeviceName) }
    }
}

impl FromStr for DeviceId {
    type Err = UnreadableId;
    fn from_str(text: &str) -> Result<Self, UnreadableId> {
        text.to_owned().try_into()
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> Self {
        id.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_back(bytes: [u8; 16]) {
            let id = HubId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse::<HubId>(), Ok(id));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<HubId>();
            let _ = text.parse::<DeviceId>();
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!("abc".parse::<HubId>(), Err(UnreadableId::Length(3)));
        let upper = "ABCDEF00000000000000000000000000";
        assert_eq!(upper.parse::<HubId>(), Err(UnreadableId::Digit(0)));
        assert_eq!("".parse::<DeviceId>(), Err(UnreadableId::DeviceName));
        assert_eq!("a/b".parse::<DeviceId>(), Err(UnreadableId::DeviceName));
        assert!("oximeter-1".parse::<DeviceId>().is_ok());
    }
}
