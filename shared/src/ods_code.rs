//! The ODS code: what the NHS calls an organisation or one of its sites by (NHS Organisation Data Service; in FHIR
//! `https://fhir.nhs.uk/Id/ods-organization-code`, STANDARDS §6).
//!
//! The form alone is checked: whether an organisation has the code, its directory says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A well-formed code: 3 to 12 letters A to Z and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OdsCode(String);

/// Fewest characters of a code: an NHS trust's.
pub const ODS_CODE_CHARACTERS_MIN: usize = 3;
/// Most characters of a code. Today's longest have ten; two are left for tomorrow's.
pub const ODS_CODE_CHARACTERS_MAX: usize = 12;

/// Why a text is no ODS code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableOdsCode {
    /// Something else than A to Z and 0 to 9.
    #[error("an ODS code has letters A-Z and digits 0-9 only")]
    Character,
    /// Too few or too many of them.
    #[error("an ODS code has 3 to 12 characters")]
    Length,
}

impl OdsCode {
    /// The code in capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OdsCode {
    type Err = UnreadableOdsCode;

    /// Takes a code as people type it: blanks around it do not matter, nor do small letters.
    fn from_str(text: &str) -> Result<Self, UnreadableOdsCode> {
        let code = text.trim_matches(' ');
        if !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(UnreadableOdsCode::Character);
        }
        if !(ODS_CODE_CHARACTERS_MIN..=ODS_CODE_CHARACTERS_MAX).contains(&code.len()) {
            return Err(UnreadableOdsCode::Length);
        }
        Ok(Self(code.to_ascii_uppercase()))
    }
}

impl TryFrom<String> for OdsCode {
    type Error = UnreadableOdsCode;
    fn try_from(text: String) -> Result<Self, UnreadableOdsCode> {
        text.parse()
    }
}

impl From<OdsCode> for String {
    fn from(code: OdsCode) -> Self {
        code.0
    }
}

impl fmt::Display for OdsCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_and_length_on_both_sides_of_each_edge() {
        let parse = |text: &str| text.parse::<OdsCode>().map(|code| code.to_string());
        assert_eq!(parse(" rj1 "), Ok("RJ1".into()));
        assert_eq!(parse("ABCDEFGHIJ12"), Ok("ABCDEFGHIJ12".into()));
        for text in ["", "AB", "ABCDEFGHIJ123"] {
            assert_eq!(parse(text), Err(UnreadableOdsCode::Length), "{text}");
        }
        for text in ["RJ1-22", "RÉ1", "R J1", "RJ１", "RJ1\n"] {
            assert_eq!(parse(text), Err(UnreadableOdsCode::Character), "{text}");
        }
        assert!(serde_json::from_str::<OdsCode>("\"AB\"").is_err());
        assert_eq!(serde_json::from_str::<OdsCode>("\"x26\"").unwrap().as_str(), "X26");
    }
}
