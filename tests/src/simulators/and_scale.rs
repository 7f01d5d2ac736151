//! A&D scales, standard format: lines of 17 octets while somebody stands on it (STANDARDS §2.6; 2400 7E1, of which a
//! pseudo-terminal keeps only the octets).

use super::device::{Device, Now};
use super::{Bytes, Vitals};

/// More than it can weigh, in grams.
pub const OVERLOAD_G: u32 = 250_000;

/// A scale that speaks when somebody stands on it.
#[derive(Debug)]
pub struct AndScale;

impl Device for AndScale {
    fn second(&mut self, shown: &Vitals, _now: Now) -> Vec<Bytes> {
        shown.weight_g.map(weighing).unwrap_or_default()
    }
}

/// What it says of somebody who steps on: three weights that still change, and the one it settles at, twice.
fn weighing(grams: u32) -> Vec<Bytes> {
    if grams >= OVERLOAD_G {
        return vec![b"OL,+9999999E+19\r\n".to_vec()];
    }
    let unstable = [grams / 3, grams + 400, grams - grams.min(200)];
    let unstable = unstable.into_iter().map(|grams| line("US", grams));
    unstable.chain([line("ST", grams), line("ST", grams)]).collect()
}

fn line(status: &str, grams: u32) -> Bytes {
    format!("{status},+{:04}.{:03} kg\r\n", grams / 1000, grams % 1000).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_changes_and_settles() {
        let lines = weighing(83_760);
        assert_eq!(lines.last().unwrap(), b"ST,+0083.760 kg\r\n");
        assert!(lines[..3].iter().all(|line| line.starts_with(b"US,+") && line.len() == 17));
        assert_eq!(weighing(OVERLOAD_G), [b"OL,+9999999E+19\r\n"]);
    }
}
