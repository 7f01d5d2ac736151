//! UUIDs as BlueZ writes them.

use std::fmt;

/// A UUID in BlueZ's spelling: 36 characters, lower case. Made of a number the Bluetooth SIG assigned, or of text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uuid(String);

impl Uuid {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<u16> for Uuid {
    /// Core specification, vol. 3, part B, 2.5.1: the number within the base UUID.
    fn from(number: u16) -> Self {
        Self(format!("0000{number:04x}-0000-1000-8000-00805f9b34fb"))
    }
}

impl From<&str> for Uuid {
    fn from(text: &str) -> Self {
        Self(text.to_lowercase())
    }
}

impl From<&Uuid> for Uuid {
    fn from(other: &Uuid) -> Self {
        other.clone()
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_lies_in_the_base_uuid_and_text_is_lower_case() {
        assert_eq!(Uuid::from(0x2A37).as_str(), "00002a37-0000-1000-8000-00805f9b34fb");
        assert_eq!(
            Uuid::from("0AAD7EA0-0D60-11E2-8E3C-0002A5D5C51B").to_string(),
            "0aad7ea0-0d60-11e2-8e3c-0002a5d5c51b"
        );
    }
}
