//! Things to look for: planted names, numbers and values, in every form they could have been written in.

use std::path::Path;

/// A name nobody has and no text holds.
pub(crate) const NAME: &str = "Quagmorton, Zebulina";
/// Parts of it.
const NAME_PARTS: [&str; 2] = ["Quagmorton", "Zebulina"];
/// An NHS number of the test range.
pub(crate) const NHS_NUMBER: &str = "9434765919";
/// A value with so many digits that it does not turn up by chance: a weight in kilograms.
pub(crate) const VALUE: &str = "83.4719283746";
/// The value as a decimal's mantissa.
pub(crate) const MANTISSA: i64 = 834_719_283_746;
/// ... and its exponent.
pub(crate) const EXPONENT: i8 = -10;

/// What must not be found, and what it is.
pub(crate) struct Pattern {
    what: &'static str,
    bytes: Vec<u8>,
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Names and numbers: nowhere in clear.
pub(crate) fn identity() -> Vec<Pattern> {
    let mut patterns: Vec<_> = NAME_PARTS
        .iter()
        .flat_map(|part| [(*part).to_owned(), part.to_lowercase(), part.to_uppercase()])
        .map(|part| Pattern { what: "a name", bytes: part.into_bytes() })
        .collect();
    let number: u64 = NHS_NUMBER.parse().unwrap();
    let digits: Vec<u8> = NHS_NUMBER.bytes().map(|digit| digit - b'0').collect();
    let spaced = format!("{} {} {}", &NHS_NUMBER[..3], &NHS_NUMBER[3..6], &NHS_NUMBER[6..]);
    let forms = [NHS_NUMBER.as_bytes().to_vec(), spaced.into_bytes(), number.to_be_bytes()[3..].to_vec(), digits];
    patterns.extend(forms.map(|bytes| Pattern { what: "an NHS number", bytes }));
    patterns
}

/// Clinical values: outside the database nowhere in clear.
pub(crate) fn clinical() -> Vec<Pattern> {
    let zigzag = (MANTISSA as u64) << 1;
    let forms = [
        VALUE.as_bytes().to_vec(),
        MANTISSA.to_string().into_bytes(),
        varint(zigzag),
        varint(MANTISSA as u64),
        MANTISSA.to_be_bytes()[2..].to_vec(),
        MANTISSA.to_le_bytes()[..6].to_vec(),
    ];
    forms.map(|bytes| Pattern { what: "a clinical value", bytes }).into()
}

fn find(bytes: &[u8], pattern: &[u8]) -> bool {
    let Some(first) = pattern.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(pattern) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Fails if any pattern stands in the bytes.
pub(crate) fn look(place: &str, bytes: &[u8], patterns: &[Pattern]) {
    for pattern in patterns {
        assert!(!find(bytes, &pattern.bytes), "{place} holds {} in clear", pattern.what);
    }
}

/// Whether one of the patterns stands in the bytes: to show that looking finds.
pub(crate) fn holds(bytes: &[u8], patterns: &[Pattern]) -> bool {
    patterns.iter().any(|pattern| find(bytes, &pattern.bytes))
}

/// Every file below a folder, with its bytes.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

#[test]
fn looking_finds_every_form() {
    for pattern in identity().iter().chain(&clinical()) {
        let text = [b"before".as_slice(), &pattern.bytes, b"after"].concat();
        assert!(holds(&text, &identity()) || holds(&text, &clinical()), "{}", pattern.what);
    }
    assert!(!holds(b"before after", &identity()));
}
