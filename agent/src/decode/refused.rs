//! What was accepted and what was refused, by reason.

/// Why bytes did not become a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusedFrame {
    /// Bits or octets that mark a frame's parts were not where they belong: a run of bytes that are no frame.
    Marker,
    /// The checksum does not fit.
    Checksum,
    /// Too short, cut off, or a length that the protocol does not have.
    Length,
    /// A packet with a frame missing or without its first.
    FrameLoss,
    /// The device's own time is not a time.
    DeviceTime,
    /// Looked like a frame, but too few followed each other to be believed (protocols without a checksum).
    Unproven,
    /// A second in which no value came twice alike (protocols without a checksum).
    Inconsistent,
    /// A cell of a recording that is not a number.
    Cell,
    /// A line of a recording that cannot be read.
    Line,
    /// It does not fit what it says of itself: flags, lengths or values that exclude each other.
    Contradiction,
    /// A code or an operation that the protocol does not have.
    Unknown,
    /// A part that can only be read behind another, which did not come.
    OutOfOrder,
    /// This model is known to send what cannot be trusted (the table of quirks says what).
    ModelQuirk,
}

impl RefusedFrame {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::Marker,
        Self::Checksum,
        Self::Length,
        Self::FrameLoss,
        Self::DeviceTime,
        Self::Unproven,
        Self::Inconsistent,
        Self::Cell,
        Self::Line,
        Self::Contradiction,
        Self::Unknown,
        Self::OutOfOrder,
        Self::ModelQuirk,
    ];

    /// Its name in the status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Marker => "marker",
            Self::Checksum => "checksum",
            Self::Length => "length",
            Self::FrameLoss => "frame_loss",
            Self::DeviceTime => "device_time",
            Self::Unproven => "unproven",
            Self::Inconsistent => "inconsistent",
            Self::Cell => "cell",
            Self::Line => "line",
            Self::Contradiction => "contradiction",
            Self::Unknown => "unknown",
            Self::OutOfOrder => "out_of_order",
            Self::ModelQuirk => "model_quirk",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub const fn explained(self) -> &'static str {
        match self {
            Self::Marker => "the bits or octets that mark its parts are not where they belong",
            Self::Checksum => "the checksum does not fit",
            Self::Length => "it is too short, cut off, or of a length that the protocol does not have",
            Self::FrameLoss => "a part of it is missing",
            Self::DeviceTime => "the device's own time is not a time",
            Self::Unproven => "too few like it followed each other to be believed",
            Self::Inconsistent => "no value in it came twice alike",
            Self::Cell => "a cell of the recording is not a number",
            Self::Line => "a line of the recording cannot be read",
            Self::Contradiction => "it contradicts its own flags",
            Self::Unknown => "it has a code that the protocol does not have",
            Self::OutOfOrder => "what it belongs to did not come before it",
            Self::ModelQuirk => "this model is known to send it wrongly, so that it cannot be trusted",
        }
    }

    const fn place(self) -> usize {
        self as usize
    }
}

/// Counts of one stretch of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Frames (or packets, or cells) that were believed.
    pub accepted: u64,
    refused: [u64; RefusedFrame::ALL.len()],
    /// Whether the bytes before this one were already counted as a run that is no frame.
    in_garbage: bool,
}

impl Tally {
    /// The counts so far; they begin again at nothing. A run of garbage in progress is not counted twice.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self { in_garbage: self.in_garbage, ..Self::default() })
    }

    /// Counts a frame that was believed.
    pub fn accept(&mut self, count: u64) {
        self.accepted = self.accepted.saturating_add(count);
        self.in_garbage = false;
    }

    /// Counts refused frames.
    pub fn refuse(&mut self, why: RefusedFrame, count: u64) {
        if let Some(so_far) = self.refused.get_mut(why.place()) {
            *so_far = so_far.saturating_add(count);
        }
    }

    /// Counts a frame that was refused; the bytes of it that follow are part of the same refusal.
    pub(super) fn refuse_frame(&mut self, why: RefusedFrame) {
        self.refuse(why, 1);
        self.in_garbage = true;
    }

    /// Counts a byte that belongs to no frame; a run of them counts once.
    pub(super) fn garbage(&mut self) {
        if !self.in_garbage {
            self.refuse(RefusedFrame::Marker, 1);
            self.in_garbage = true;
        }
    }

    /// Ends a run of bytes that belong to no frame.
    pub(super) fn framed(&mut self) {
        self.in_garbage = false;
    }

    /// How many were refused for this reason.
    #[must_use]
    pub fn refused(&self, why: RefusedFrame) -> u64 {
        self.refused.get(why.place()).copied().unwrap_or(0)
    }

    /// How many were refused, all reasons.
    #[must_use]
    pub fn refused_in_all(&self) -> u64 {
        self.refused.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_place_and_name() {
        let mut tally = Tally::default();
        for (place, why) in RefusedFrame::ALL.into_iter().enumerate() {
            assert_eq!(why.place(), place);
            tally.refuse(why, place as u64);
        }
        assert!(RefusedFrame::ALL.into_iter().all(|why| tally.refused(why) == why.place() as u64));
        let names: std::collections::BTreeSet<_> = RefusedFrame::ALL.into_iter().map(RefusedFrame::name).collect();
        assert_eq!(names.len(), RefusedFrame::ALL.len());
    }

    #[test]
    fn a_run_of_garbage_counts_once() {
        let mut tally = Tally::default();
        for _ in 0..100 {
            tally.garbage();
        }
        assert_eq!(tally.take().refused(RefusedFrame::Marker), 1);
        tally.garbage();
        tally.accept(1);
        tally.garbage();
        assert_eq!(tally.refused(RefusedFrame::Marker), 1);
    }
}
