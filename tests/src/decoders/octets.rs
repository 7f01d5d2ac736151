//! The octets of a case: random ones, and frames of the vectors as they are, changed, cut, repeated and mixed.

use crate::door_campaign::draw::Draw;

/// The longest value that GATT has, in octets (Bluetooth Core 5.4, volume 3, part F, 3.2.9).
const VALUE_BYTES_MAX: usize = 512;

/// What a line brings, in the parts it comes in.
pub(super) fn line(draw: &mut Draw, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut octets = Vec::new();
    for _ in 0..draw.between(1, 5) {
        match (draw.below(5), draw.of(frames).cloned()) {
            (0, Some(frame)) => {
                let times = draw.between(1, 1 + 300 / frame.len().max(1));
                octets.extend(frame.repeat(times));
            }
            (1, Some(mut frame)) => {
                change(draw, &mut frame);
                octets.extend(frame);
            }
            (2, Some(frame)) => octets.extend(&frame[..draw.below(frame.len() + 1)]),
            (3, Some(frame)) => {
                let mut run = frame.repeat(draw.between(1, 1 + 300 / frame.len().max(1)));
                for _ in 0..draw.between(1, 3) {
                    change(draw, &mut run);
                }
                octets.extend(run);
            }
            _ => {
                let count = draw.below(65);
                octets.extend(draw.octets(count));
            }
        }
    }
    let mut parts = Vec::new();
    while !octets.is_empty() {
        let rest = octets.split_off(draw.between(1, 200).min(octets.len()));
        parts.push(std::mem::replace(&mut octets, rest));
    }
    parts
}

/// Values of a characteristic, one after the other.
pub(super) fn values(draw: &mut Draw, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let count = draw.between(1, 4);
    (0..count).map(|_| value(draw, frames)).collect()
}

fn value(draw: &mut Draw, frames: &[Vec<u8>]) -> Vec<u8> {
    match (draw.below(5), draw.of(frames).cloned()) {
        (0, Some(frame)) => frame,
        (1 | 2, Some(mut frame)) => {
            for _ in 0..draw.between(1, 3) {
                change(draw, &mut frame);
            }
            frame
        }
        (3, Some(frame)) => frame[..draw.below(frame.len() + 1)].to_vec(),
        _ => {
            let most = if draw.once_in(50) { VALUE_BYTES_MAX } else { 24 };
            let count = draw.below(most + 1);
            draw.octets(count)
        }
    }
}

/// One change: a bit, an octet, one more, or one less.
fn change(draw: &mut Draw, octets: &mut Vec<u8>) {
    let place = draw.below(octets.len() + 1);
    match (draw.below(4), octets.get_mut(place)) {
        (0, Some(octet)) => *octet ^= 1 << draw.below(8),
        (1, Some(octet)) => *octet = draw.octet(),
        (2, Some(_)) => drop(octets.remove(place)),
        _ => octets.insert(place, draw.octet()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_every_octet_once_in_its_parts() {
        let frame = vec![b"abcdefghij".to_vec()];
        for case in 0..200 {
            let parts = line(&mut Draw::new(1, case), &frame);
            assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= 200), "case {case}");
        }
    }

    #[test]
    fn without_frames_all_is_random() {
        let longest = (0..2000).flat_map(|case| values(&mut Draw::new(1, case), &[])).map(|value| value.len()).max();
        assert!(longest.is_some_and(|longest| longest > 24 && longest <= VALUE_BYTES_MAX), "{longest:?}");
    }
}
