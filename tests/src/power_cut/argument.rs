//! Arguments of calls as `strace -y -xx` writes them.

use std::path::PathBuf;

/// `3</path>`: the number.
pub(super) fn descriptor(argument: &str) -> Option<i64> {
    argument.split('<').next()?.parse().ok()
}

/// `3</path>`: the path.
pub(super) fn angled(argument: &str) -> Option<PathBuf> {
    let inner = argument.split_once('<')?.1.split_once('>')?.0;
    Some(PathBuf::from(String::from_utf8(unescaped(inner)?).ok()?))
}

/// `"\x2f\x61"`: the octets.
pub(super) fn octets(argument: &str) -> Option<Vec<u8>> {
    unescaped(argument.strip_prefix('"')?.strip_suffix('"')?)
}

/// A path, if the argument is one.
pub(super) fn path(argument: &str) -> Option<PathBuf> {
    Some(PathBuf::from(String::from_utf8(octets(argument)?).ok()?))
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(4)
        .map(|octet| {
            let digits = std::str::from_utf8(octet.strip_prefix(b"\\x")?).ok()?;
            u8::from_str_radix(digits, 16).ok()
        })
        .collect()
}
