//! The NHS number: ten digits, the last a check digit (NHS Data Dictionary, "NHS NUMBER"; modulus 11,
//! weights 10 to 2).

use std::fmt;
use std::str::FromStr;

/// A well-formed NHS number. `Debug` never shows it; [`NhsNumber::reveal`] does, for the code that encrypts it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NhsNumber([u8; 10]);

/// Who issued a number, by its range (NHS Digital, "NHS number ranges").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NhsNumberRange {
    /// 400 000 0000 to 499 999 9999 and 600 000 0000 to 799 999 9999.
    EnglandWalesIsleOfMan,
    /// 320 000 0000 to 399 999 9999.
    NorthernIreland,
    /// 010 000 0000 to 311 299 9999 (the Community Health Index).
    Scotland,
    /// 800 000 0000 to 859 999 9999 (Ireland's Individual Health Identifier).
    Ireland,
    /// 900 000 0000 and above: never issued, so used for tests.
    TestSynthetic,
    /// Any other: reserved, or not allocated.
    Unallocated,
}

impl NhsNumberRange {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EnglandWalesIsleOfMan => "england-wales-iom",
            Self::NorthernIreland => "northern-ireland",
            Self::Scotland => "scotland",
            Self::Ireland => "ireland",
            Self::TestSynthetic => "test-synthetic",
            Self::Unallocated => "unallocated",
        }
    }
}

/// Which ranges a system takes: real people or made-up ones, never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NhsNumberPolicy {
    /// A live service: issued ranges only.
    Production,
    /// Training, demonstrations and tests: the 9… range only.
    Training,
}

/// Why a text is not an acceptable NHS number. The text itself is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableNhsNumber {
    /// Something else than ten ASCII digits, perhaps grouped 3-3-4 by single spaces or hyphens.
    #[error("an NHS number has ten digits 0-9, written together or as 3-3-4")]
    Shape,
    /// All ten digits are zero.
    #[error("ten zeros are not an NHS number")]
    Zero,
    /// The tenth digit does not fit the first nine: a typing error.
    #[error("the check digit does not fit: a digit is mistyped")]
    CheckDigit,
    /// A made-up number offered to a live service.
    #[error("this number is in the test range 9..., which a live service does not take")]
    TestRange,
    /// A number that may belong to a person offered to a training system.
    #[error("a training system takes only numbers of the test range 9...")]
    RealRange,
    /// A range nobody issues from.
    #[error("no authority issues numbers of this range")]
    Unallocated,
}

impl NhsNumber {
    /// Takes a well-formed number that the policy allows.
    ///
    /// # Errors
    /// [`UnreadableNhsNumber`] says why not.
    pub fn parse(text: &str, policy: NhsNumberPolicy) -> Result<Self, UnreadableNhsNumber> {
        let number: Self = text.parse()?;
        match (policy, number.range()) {
            (_, NhsNumberRange::Unallocated) => Err(UnreadableNhsNumber::Unallocated),
            (NhsNumberPolicy::Production, NhsNumberRange::TestSynthetic) => Err(UnreadableNhsNumber::TestRange),
            (NhsNumberPolicy::Training, range) if range != NhsNumberRange::TestSynthetic => {
                Err(UnreadableNhsNumber::RealRange)
            }
            _ => Ok(number),
        }
    }

    /// The ten digits, for the code that encrypts, indexes or exports them. Never log the result.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.iter().map(|digit| char::from(b'0'.saturating_add(*digit))).collect()
    }

    /// The range the number lies in.
    #[must_use]
    pub fn range(&self) -> NhsNumberRange {
        let value = self.0.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(*digit)));
        match value {
            100_000_000..=3_112_999_999 => NhsNumberRange::Scotland,
            3_200_000_000..=3_999_999_999 => NhsNumberRange::NorthernIreland,
            4_000_000_000..=4_999_999_999 | 6_000_000_000..=7_999_999_999 => NhsNumberRange::EnglandWalesIsleOfMan,
            8_000_000_000..=8_599_999_999 => NhsNumberRange::Ireland,
            9_000_000_000..=9_999_999_999 => NhsNumberRange::TestSynthetic,
            _ => NhsNumberRange::Unallocated,
        }
    }
}

impl FromStr for NhsNumber {
    type Err = UnreadableNhsNumber;

    /// Takes a well-formed number of any range.
    fn from_str(text: &str) -> Result<Self, UnreadableNhsNumber> {
        let digits = digits_of(text.trim_matches(' ')).ok_or(UnreadableNhsNumber::Shape)?;
        if digits.iter().all(|digit| *digit == 0) {
            return Err(UnreadableNhsNumber::Zero);
        }
        let weighted = digits.iter().zip((2_u32..=10).rev());
        let sum =
            weighted.fold(0_u32, |sum, (digit, weight)| sum.saturating_add(u32::from(*digit).saturating_mul(weight)));
        let check = match 11_u32.saturating_sub(sum % 11) {
            11 => 0,
            other => other,
        };
        let last = digits.last().copied().map_or(u32::MAX, u32::from);
        if check == last { Ok(Self(digits)) } else { Err(UnreadableNhsNumber::CheckDigit) }
    }
}

/// Ten digits, either together or as 3-3-4 with the same single separator twice.
fn digits_of(text: &str) -> Option<[u8; 10]> {
    let bytes = text.as_bytes();
    let mut digits = [0_u8; 10];
    let mut filled = digits.iter_mut();
    let separated = bytes.len() == 12;
    for (place, byte) in bytes.iter().enumerate() {
        if separated && (place == 3 || place == 7) {
            if !(*byte == b' ' || *byte == b'-') || bytes.get(3) != Some(byte) {
                return None;
            }
            continue;
        }
        *filled.next()? = byte.is_ascii_digit().then(|| byte.wrapping_sub(b'0'))?;
    }
    filled.next().is_none().then_some(digits)
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(redacted)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn debug_shows_nothing() {
        let number: NhsNumber = "9434765919".parse().unwrap();
        assert_eq!(format!("{number:?}"), "NhsNumber(redacted)");
        assert_eq!(number.reveal(), "9434765919");
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let parse = |text: &str| text.parse::<NhsNumber>().unwrap_err();
        assert_eq!(parse("0000000000"), UnreadableNhsNumber::Zero);
        assert_eq!(parse("9434765918"), UnreadableNhsNumber::CheckDigit);
        assert_eq!(parse("943476591"), UnreadableNhsNumber::Shape);
        assert_eq!(parse("٩٤٣٤٧٦٥٩١٩"), UnreadableNhsNumber::Shape);
        assert_eq!(parse("943 476-5919"), UnreadableNhsNumber::Shape);
        assert!("943 476 5919".parse::<NhsNumber>().is_ok());
    }

    #[test]
    fn made_up_and_real_people_never_mix() {
        let made_up = "9434765919";
        // Of an issued range, so it is not written as one: a real person may have it.
        let issued = &["401023", "2137"].concat();
        use NhsNumberPolicy::{Production, Training};
        assert!(NhsNumber::parse(made_up, Training).is_ok());
        assert_eq!(NhsNumber::parse(made_up, Production), Err(UnreadableNhsNumber::TestRange));
        assert!(NhsNumber::parse(issued, Production).is_ok());
        assert_eq!(NhsNumber::parse(issued, Training), Err(UnreadableNhsNumber::RealRange));
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<NhsNumber>();
        }

        #[test]
        fn one_changed_digit_is_always_found(place in 0_usize..10, change in 1_u8..10) {
            let mut digits = *b"9434765919";
            digits[place] = b'0' + (digits[place] - b'0' + change) % 10;
            let text = std::str::from_utf8(&digits).unwrap();
            prop_assert_eq!(text.parse::<NhsNumber>(), Err(UnreadableNhsNumber::CheckDigit));
        }
    }
}
