//! What must not stand in any text: places on somebody's machine, pictures, numbers of real people.

use crate::files::{SourceFile, Violation};

/// In parts, so that this file may say them. Each with what to do.
const MACHINE_PATHS: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a folder of one machine: write it from the repository's root"),
    (concat!("/ro", "ot/"), "a folder of one machine: write it from the repository's root"),
    (concat!("crates", ".io/"), "a registry's address: name the package"),
    (concat!("pypi", ".org"), "a registry's address: name the package"),
    (concat!("npmjs", ".org"), "a registry's address: name the package"),
    (concat!("deb.debian", ".org"), "a registry's address: name the package"),
    (concat!("issue", " #"), "a ticket's number: say what it is about"),
    (concat!("Issue", " #"), "a ticket's number: say what it is about"),
];

pub(crate) fn machine_paths(file: &SourceFile) -> Vec<Violation> {
    let mut found = Vec::new();
    for (number, line) in file.lines() {
        for (text, why) in MACHINE_PATHS.iter().filter(|(text, _)| line.contains(text)) {
            found.push(file.violation(number, "place", format!("`{text}`: {why}")));
        }
    }
    found
}

pub(crate) fn pictures(file: &SourceFile) -> Vec<Violation> {
    let picture = |c: char| matches!(c, '\u{1F000}'..='\u{1FAFF}' | '\u{2600}'..='\u{27BF}' | '\u{2B50}'..='\u{2B55}' | '\u{FE0F}');
    let found = file.lines().filter_map(|(number, line)| Some((number, line.chars().find(|c| picture(*c))?)));
    let why = |c: char| format!("U+{:04X} is a picture: write the word", u32::from(c));
    found.map(|(number, c)| file.violation(number, "picture", why(c))).collect()
}

pub(crate) fn nhs_numbers(file: &SourceFile) -> Vec<Violation> {
    // Digits of keys and seals, not of people.
    if file.path.ends_with(".hex") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in file.lines() {
        let real = candidates(line).into_iter().filter(|digits| check_digit_fits(digits) && digits[0] != 9);
        let why = "may be a real person's NHS number: use one of the test range 9... (or `_` if it is no NHS number)";
        found.extend(real.map(|_| file.violation(number, "nhs-number", why)));
    }
    found
}

/// Ten digits that stand alone: together, or 3-3-4 by spaces or hyphens.
fn candidates(line: &str) -> Vec<[u32; 10]> {
    let characters: Vec<char> = line.chars().collect();
    let mut found = Vec::new();
    for start in 0..characters.len() {
        let before = start.checked_sub(1).map(|at| characters[at]);
        if before.is_some_and(|c| c.is_alphanumeric() || "_.+-".contains(c)) {
            continue;
        }
        for groups in [false, true] {
            if let Some((digits, end)) = ten_digits(&characters, start, groups) {
                let after = characters.get(end).copied();
                if !after.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    found.push(digits);
                }
            }
        }
    }
    found
}

fn ten_digits(characters: &[char], start: usize, groups: bool) -> Option<([u32; 10], usize)> {
    let (mut digits, mut at) = ([0; 10], start);
    for (place, digit) in digits.iter_mut().enumerate() {
        if groups && (place == 3 || place == 6) {
            matches!(characters.get(at), Some(' ' | '-')).then_some(())?;
            at += 1;
        }
        *digit = characters.get(at)?.to_digit(10)?;
        at += 1;
    }
    Some((digits, at))
}

/// NHS Data Dictionary: modulus 11, weights 10 to 2.
fn check_digit_fits(digits: &[u32; 10]) -> bool {
    let sum: u32 = digits.iter().zip((2..=10).rev()).map(|(digit, weight)| digit * weight).sum();
    let check = match 11 - sum % 11 {
        11 => 0,
        other => other,
    };
    check == digits[9] && digits.iter().any(|digit| *digit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machines_path_or_a_registry_is_found() {
        for (text, _) in MACHINE_PATHS {
            assert_eq!(machine_paths(&SourceFile::new("docs/a.md", &format!("see {text}x"))).len(), 1, "{text}");
        }
        assert!(machine_paths(&SourceFile::new("docs/a.md", "from crates.io alone; homework/; /var/lib")).is_empty());
    }

    #[test]
    fn a_picture_is_found() {
        assert_eq!(pictures(&SourceFile::new("README.md", "well done \u{1F389}")).len(), 1);
        assert_eq!(pictures(&SourceFile::new("README.md", "\u{2705} done")).len(), 1);
        assert!(pictures(&SourceFile::new("README.md", "SpO₂ ≥ 92 % → 3 ── ok, 20 °C, µg")).is_empty());
    }

    #[test]
    fn a_number_of_a_real_person_is_found() {
        let nhs = |text: &str| nhs_numbers(&SourceFile::new("docs/a.md", text)).len();
        let (together, grouped) = (["469819", "4180"].concat(), ["469", "819", "4180"].join(" "));
        assert_eq!(nhs(&format!("patient {together}.")), 1);
        assert_eq!(nhs(&format!("\"{together}\"")), 1);
        assert_eq!(nhs(&format!("patient {grouped}")), 1);
        assert_eq!(nhs(&grouped.replace(' ', "-")), 1);
        assert_eq!(nhs("9434765919, 943 476 5919 and 9000000009"), 0);
        assert_eq!(nhs(&format!("0x{together} and {together}7 and a{together}")), 0);
        let (mistyped, _) = together.split_at(9);
        assert_eq!(nhs(&format!("{mistyped}1")), 0);
    }
}
