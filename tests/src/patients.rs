//! Persons who do not exist: names nobody has, and numbers of the range that is never issued.

/// Names for made-up patients.
pub const NAMES: [&str; 8] = [
    "Example, Ada",
    "Sample, Bert",
    "Fictional, Cleo",
    "Madeup, Dora",
    "Specimen, Emil",
    "Invented, Fay",
    "Testcase, Gus",
    "Placeholder, Hope",
];

/// The `index`th NHS number of the test range that has a check digit (modulus 11, weights 10 to 2).
#[must_use]
pub fn nhs_number(index: u64) -> String {
    nhs_numbers().nth(usize::try_from(index).unwrap_or(usize::MAX)).unwrap_or_default()
}

/// Them all, ascending.
pub fn nhs_numbers() -> impl Iterator<Item = String> {
    (0_u64..).filter_map(with_check_digit)
}

fn with_check_digit(number: u64) -> Option<String> {
    let digits = format!("9{number:08}");
    let weighted =
        digits.bytes().zip((2..=10).rev()).map(|(digit, weight): (u8, u64)| u64::from(digit - b'0') * weight);
    match 11 - weighted.sum::<u64>() % 11 {
        10 => None,
        11 => Some(format!("{digits}0")),
        check => Some(format!("{digits}{check}")),
    }
}

#[cfg(test)]
mod tests {
    use shared::nhs_number::NhsNumber;

    use super::*;

    #[test]
    fn numbers_are_valid_and_different() {
        let numbers: std::collections::BTreeSet<String> = (0..60).map(nhs_number).collect();
        assert_eq!(numbers.len(), 60);
        for number in numbers {
            assert!(number.starts_with('9') && number.parse::<NhsNumber>().is_ok(), "{number}");
        }
    }
}
