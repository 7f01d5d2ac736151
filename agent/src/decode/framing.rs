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

/// What a stretch is whose frames begin with `start` and have their length, start and end included, in the second octet.
#[must_use]
pub fn with_length(octets: &[u8], start: u8, lengths: std::ops::RangeInclusive<usize>) -> Head {
    match octets {
        [first] if *first == start => Head::Wanting,
        [first, length, ..] if *first == start => match usize::from(*length) {
            length if !lengths.contains(&length) => Head::Not(RefusedFrame::Length),
            length if octets.len() < length => Head::Wanting,
            length => Head::Whole(length),
        },
        _ => Head::Not(RefusedFrame::Marker),
    }
}

/// A line of frames of `N` octets that are marked. In step with it, whole frames are taken at once; else octet by octet
/// until it is in step again.
pub trait Marked<const N: usize> {
    /// A frame.
    type Frame;
    /// What frames come to.
    type Heard;

    /// The frame that these octets are, if the line is in step and they are one.
    fn whole(&self, octets: [u8; N]) -> Option<Self::Frame>;

    /// Takes a frame.
    fn take(&mut self, frame: Self::Frame, tally: &mut Tally) -> Option<Self::Heard>;

    /// Takes an octet.
    fn octet(&mut self, octet: u8, tally: &mut Tally) -> Option<Self::Heard>;

    /// Takes octets from the front until something is heard or none are left.
    fn hear(&mut self, octets: &mut &[u8], tally: &mut Tally) -> Option<Self::Heard> {
        while let Some((octet, rest)) = octets.split_first() {
            let whole = octets.split_first_chunk().and_then(|(frame, rest)| Some((self.whole(*frame)?, rest)));
            let heard = match whole {
                Some((frame, rest)) => {
                    *octets = rest;
                    self.take(frame, tally)
                }
                None => {
                    *octets = rest;
                    self.octet(*octet, tally)
                }
            };
            if heard.is_some() {
                return heard;
            }
        }
        None
    }
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
        with_length(octets, 7, 2..=5)
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
