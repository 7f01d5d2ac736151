//! Frames that say where they begin and how long they are: found in a stream that may begin anywhere.

use arrayvec::ArrayVec;

use super::refused::{RefusedFrame, Tally};

/// What the first octets of a stretch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// They may yet become a frame.
    Wanting,
    /// A frame of this many octets, all there.
    Whole(usize),
    /// No frame begins here.
    Not(RefusedFrame),
}

/// Octets of one frame, gathered in place. `N` is the longest frame.
#[derive(Debug, Default)]
pub struct Gather<const N: usize> {
    octets: ArrayVec<u8, N>,
}

impl<const N: usize> Gather<N> {
    /// Takes one octet; gives what `read` makes of the frame that it completes. A frame that `read` refuses is looked
    /// through from its second octet on, so that a lost octet costs one frame.
    pub fn octet<T>(
        &mut self,
        octet: u8,
        tally: &mut Tally,
        head: impl Fn(&[u8]) -> Head,
        read: impl Fn(&[u8]) -> Result<T, RefusedFrame>,
    ) -> Option<T> {
        if self.octets.try_push(octet).is_err() {
            // A head that wants more than a frame may have.
            tally.refuse_frame(RefusedFrame::Length);
            self.octets.clear();
        }
        while !self.octets.is_empty() {
            let why = match head(&self.octets) {
                Head::Wanting => return None,
                Head::Whole(length) => match read(self.octets.get(..length).unwrap_or_default()) {
                    Ok(read) => {
                        self.octets.drain(..length.min(self.octets.len()));
                        tally.accept(1);
                        return Some(read);
                    }
                    Err(why) => why,
                },
                Head::Not(why) => why,
            };
            if why == RefusedFrame::Marker {
                tally.garbage();
            } else {
                tally.refuse_frame(why);
            }
            self.octets.remove(0);
        }
        None
    }

    /// Nothing follows: what was gathered is no frame.
    pub fn broken_off(&mut self, tally: &mut Tally) {
        if !self.octets.is_empty() {
            tally.refuse(RefusedFrame::Length, 1);
            self.octets.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame: 7, its length, octets.
    fn head(octets: &[u8]) -> Head {
        match octets {
            [7] => Head::Wanting,
            [7, length, ..] if !(2..=5).contains(length) => Head::Not(RefusedFrame::Length),
            [7, length, ..] if octets.len() < usize::from(*length) => Head::Wanting,
            [7, length, ..] => Head::Whole((*length).into()),
            _ => Head::Not(RefusedFrame::Marker),
        }
    }

    fn run(octets: &[u8]) -> (Vec<Vec<u8>>, Tally) {
        let (mut gather, mut tally) = (Gather::<5>::default(), Tally::default());
        let read = |frame: &[u8]| if frame.contains(&99) { Err(RefusedFrame::Checksum) } else { Ok(frame.to_vec()) };
        let found = octets.iter().filter_map(|octet| gather.octet(*octet, &mut tally, head, read)).collect();
        gather.broken_off(&mut tally);
        (found, tally)
    }

    #[test]
    fn frames_are_found_behind_garbage_and_inside_refused_frames() {
        let (found, tally) = run(&[1, 2, 7, 3, 5, 7, 9, 7, 2]);
        assert_eq!(found, [vec![7, 3, 5], vec![7, 2]]);
        assert_eq!((tally.refused(RefusedFrame::Marker), tally.refused(RefusedFrame::Length)), (1, 1));
        let (found, tally) = run(&[7, 5, 99, 7, 2, 7, 3, 1]);
        assert_eq!(found, [vec![7, 2], vec![7, 3, 1]]);
        assert_eq!((tally.accepted, tally.refused(RefusedFrame::Checksum)), (2, 1));
    }

    #[test]
    fn what_is_broken_off_is_refused_once() {
        let (found, tally) = run(&[7, 5, 1]);
        assert!(found.is_empty());
        assert_eq!(tally.refused_in_all(), 1);
    }
}
