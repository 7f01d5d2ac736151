//! The hash chain. Each entry's hash is SHA-256 over its predecessor's hash (32 zero octets before the first), the
//! entry's number and the content's length (8 octets each, big-endian), and the content.

use sha2::{Digest, Sha256};

/// A hash in the chain.
pub type Link = [u8; 32];

/// What the first entry follows.
pub const START: Link = [0; 32];

/// The hash of an entry.
#[must_use]
pub fn link(previous: &Link, number: u64, content: &[u8]) -> Link {
    let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
    Sha256::new()
        .chain_update(previous)
        .chain_update(number.to_be_bytes())
        .chain_update(length.to_be_bytes())
        .chain_update(content)
        .finalize()
        .into()
}

/// Checks a chain entry by entry.
#[derive(Debug, Clone)]
pub struct Verifier {
    entries: u64,
    head: Link,
    first_broken: Option<u64>,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { entries: 0, head: START, first_broken: None }
    }
}

impl Verifier {
    /// Takes the next entry as stored.
    pub fn entry(&mut self, number: u64, content: &[u8], hash: &[u8]) {
        let expected = self.entries.saturating_add(1);
        let follows = number == expected && link(&self.head, number, content).as_slice() == hash;
        if !follows && self.first_broken.is_none() {
            self.first_broken = Some(expected);
        }
        self.entries = expected;
        self.head = hash.try_into().unwrap_or(START);
    }

    /// Entries taken.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// The hash of the last.
    #[must_use]
    pub const fn head(&self) -> &Link {
        &self.head
    }

    /// The first place where the chain does not hold.
    #[must_use]
    pub const fn first_broken(&self) -> Option<u64> {
        self.first_broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<(u64, Vec<u8>, Link)> {
        let mut previous = START;
        let contents: [&[u8]; 4] = [b"one", b"", b"three", b"four"];
        let links = contents.iter().zip(1_u64..).map(|(content, number)| {
            previous = link(&previous, number, content);
            (number, content.to_vec(), previous)
        });
        links.collect()
    }

    fn broken(entries: &[(u64, Vec<u8>, Link)]) -> Option<u64> {
        let mut verifier = Verifier::default();
        entries.iter().for_each(|(number, content, hash)| verifier.entry(*number, content, hash));
        verifier.first_broken()
    }

    #[test]
    fn a_changed_removed_or_moved_entry_breaks_the_chain_there() {
        let whole = chain();
        assert_eq!(broken(&whole), None);
        let mut changed = whole.clone();
        changed[2].1 = b"THREE".to_vec();
        assert_eq!(broken(&changed), Some(3));
        let mut removed = whole.clone();
        removed.remove(1);
        assert_eq!(broken(&removed), Some(2));
        let mut moved = whole.clone();
        moved.swap(0, 1);
        assert_eq!(broken(&moved), Some(1));
        let mut rehashed = whole;
        rehashed[1].1 = b"two".to_vec();
        rehashed[1].2 = link(&rehashed[0].2, 2, b"two");
        assert_eq!(broken(&rehashed), Some(3));
    }

    #[test]
    fn a_known_answer_stays() {
        let hash = shared::hex::encode(&link(&START, 1, b"abc"));
        let bytes = [[0_u8; 32].as_slice(), &[0, 0, 0, 0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 3], b"abc"].concat();
        assert_eq!(hash, shared::hex::encode(&Sha256::digest(bytes)));
    }
}
