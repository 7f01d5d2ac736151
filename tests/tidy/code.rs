//! Enough of Rust's grammar to tell code from comments and literals.

/// The lines of a Rust file with comments and the insides of literals blanked out.
pub(crate) fn without_comments_and_literals(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = end_of_blank(&characters, at);
        if end > at {
            out.extend(characters[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(characters[at]);
            at += 1;
        }
    }
    out.lines().map(str::to_owned).collect()
}

/// Where the comment or literal that starts here ends; `at` if none does.
fn end_of_blank(text: &[char], at: usize) -> usize {
    let next = text.get(at + 1).copied();
    let after_word = at > 0 && is_word(text[at - 1]);
    match text[at] {
        '/' if next == Some('/') => find(text, at, |rest| rest.first() == Some(&'\n')).unwrap_or(text.len()),
        '/' if next == Some('*') => end_of_block_comment(text, at),
        '"' => end_of_string(text, at + 1),
        'b' | 'c' if !after_word && next == Some('"') => end_of_string(text, at + 2),
        'b' | 'c' if !after_word && next == Some('r') => end_of_raw_string(text, at + 2).unwrap_or(at),
        'r' if !after_word => end_of_raw_string(text, at + 1).unwrap_or(at),
        '\'' => end_of_character(text, at),
        _ => at,
    }
}

fn find(text: &[char], from: usize, matches: impl Fn(&[char]) -> bool) -> Option<usize> {
    (from..text.len()).find(|at| matches(&text[*at..]))
}

fn end_of_block_comment(text: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at < text.len() {
        match text[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn end_of_string(text: &[char], mut at: usize) -> usize {
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// `from` is behind the `r`.
fn end_of_raw_string(text: &[char], from: usize) -> Option<usize> {
    let hashes = text[from..].iter().take_while(|c| **c == '#').count();
    if text.get(from + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let end = find(text, from + hashes + 1, |rest| rest.starts_with(&close))?;
    Some(end + close.len())
}

/// A character literal; a lifetime is none.
fn end_of_character(text: &[char], at: usize) -> usize {
    match text[at..] {
        ['\'', '\\', _, ..] => find(text, at + 3, |rest| rest.first() == Some(&'\'')).map_or(at, |end| end + 1),
        ['\'', _, '\'', ..] => at + 3,
        _ => at,
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether `path` (like `std::fs` or `f64`) stands in the code as words of its own.
pub(crate) fn mentions(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let starts = !before.is_some_and(|c| is_word(c) || c == ':') || !path.starts_with(is_word);
        let ends = !after.is_some_and(is_word) || !path.ends_with(is_word);
        starts && ends
    })
}

/// Whether the code names this crate: `use name`, or a path that starts with it.
pub(crate) fn names_crate(code: &str, name: &str) -> bool {
    let starts_path = mentions(code, &format!("{name}::"));
    let used = ["use ", "pub use ", "extern crate "].iter().any(|how| {
        code.trim_start()
            .strip_prefix(how)
            .is_some_and(|rest| rest.strip_prefix(name).is_some_and(|rest| !rest.chars().next().is_some_and(is_word)))
    });
    starts_path || used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank(text: &str) -> String {
        let lines = without_comments_and_literals(text);
        lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn comments_and_literals_go_and_code_stays() {
        assert_eq!(blank("a // b\nc"), "a|c");
        assert_eq!(blank("a /* b /* c */ d */ e"), format!("a{}e", " ".repeat(19)));
        assert_eq!(blank(r#"f("x \" y")"#), format!("f({})", " ".repeat(8)));
        assert_eq!(blank("r#\"a \" b\"# c"), format!("{}c", " ".repeat(11)));
        assert_eq!(blank("b'x' 'a '\\n' c"), format!("b    'a{}c", " ".repeat(6)));
        assert_eq!(blank("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
        assert_eq!(blank("\"two\nlines\" x"), "|       x");
        assert_eq!(blank("let raw = br\"x\"; for_r"), format!("let raw = {}; for_r", " ".repeat(5)));
    }

    #[test]
    fn words_are_whole() {
        assert!(mentions("use std::fs;", "std::fs") && mentions("std::fs::read(x)", "std::fs"));
        assert!(!mentions("use std::fsx;", "std::fs") && !mentions("my_std::fs", "std::fs"));
        assert!(mentions("x as f64", "f64") && !mentions("half64", "f64"));
        assert!(names_crate("use sled;", "sled") && names_crate("let db = sled::open(p);", "sled"));
        assert!(names_crate("pub use sled::Db;", "sled") && names_crate("use tokio::net;", "tokio"));
        assert!(!names_crate("crate::sled::x()", "sled") && !names_crate("let sled = 5;", "sled"));
        assert!(!names_crate("use sledge::x;", "sled"));
    }
}
