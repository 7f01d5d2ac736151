//! Record Access Control Point (2A52): asks a glucose meter or sensor for the records it keeps.
//!
//! Source: Bluetooth Glucose Service 1.0.1, 3.4; CGM Service 1.0.2, 3.8 (STANDARDS §1.3).
//! ```text
//! request   operation, operator, filter, operand   01 report, 03 abort, 04 count
//! answer    05 00 count                            u16; some devices count in one octet or four
//!           06 00 request code                     1 is success
//! ```
//! Records are never deleted: the operation is not among [`Request`].

use arrayvec::ArrayVec;

use crate::decode::RefusedFrame;
use crate::decode::cursor::Cursor;

const REPORT: u8 = 1;
const ABORT: u8 = 3;
const COUNT: u8 = 4;
const COUNT_ANSWER: u8 = 5;
const ANSWER: u8 = 6;
const OPERATOR_NULL: u8 = 0;
const OPERATOR_ALL: u8 = 1;
const OPERATOR_FROM: u8 = 3;
const FILTER_NUMBER: u8 = 1;

/// The longest request, in octets.
pub const REQUEST_BYTES_MAX: usize = 5;

/// What is asked of a device. `from` of glucose is a sequence number, of continuous glucose a time offset in minutes; both
/// are filter 1 (CGM Service 1.0.2, 3.8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Send every record.
    All,
    /// Send the records of this number and after.
    From(u16),
    /// Send the number of records.
    Count,
    /// Send the number of records of this number and after.
    CountFrom(u16),
    /// Stop sending.
    Abort,
}

impl Request {
    /// What is newer than the record of this number; `None` if no number is higher.
    #[must_use]
    pub const fn newer_than(number: u16) -> Option<Self> {
        match number.checked_add(1) {
            Some(next) => Some(Self::From(next)),
            None => None,
        }
    }

    /// The operation's number, which the answer repeats.
    #[must_use]
    pub const fn operation(self) -> u8 {
        match self {
            Self::All | Self::From(_) => REPORT,
            Self::Count | Self::CountFrom(_) => COUNT,
            Self::Abort => ABORT,
        }
    }

    /// The octets to write.
    #[must_use]
    pub fn encode(self) -> ArrayVec<u8, REQUEST_BYTES_MAX> {
        let operator = match self {
            Self::All | Self::Count => OPERATOR_ALL,
            Self::From(_) | Self::CountFrom(_) => OPERATOR_FROM,
            Self::Abort => OPERATOR_NULL,
        };
        let mut octets = ArrayVec::from_iter([self.operation(), operator]);
        if let Self::From(number) | Self::CountFrom(number) = self {
            let [low, high] = number.to_le_bytes();
            octets.extend([FILTER_NUMBER, low, high]);
        }
        octets
    }
}

/// How an operation ended (Glucose Service 1.0.1, table 3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Done.
    Success,
    /// There is no such record: no fault.
    NoRecords,
    /// Not done; the device's code.
    Failed(u8),
}

/// What a device answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// So many records.
    Count(u32),
    /// An operation ended.
    Ended {
        /// Its number.
        request: u8,
        /// The device's code, 1 for success.
        code: u8,
    },
}

impl Answer {
    /// Reads an indication of the characteristic.
    ///
    /// # Errors
    /// [`RefusedFrame::Unknown`]: not an answer, or one with an operator. [`RefusedFrame::Length`]: longer or shorter than its
    /// kind is.
    pub fn of(value: &[u8]) -> Result<Self, RefusedFrame> {
        let mut cursor = Cursor::new(value);
        let (operation, operator) = (cursor.u8()?, cursor.u8()?);
        if !matches!(operation, COUNT_ANSWER | ANSWER) || operator != OPERATOR_NULL {
            return Err(RefusedFrame::Unknown);
        }
        match (operation, cursor.rest()) {
            (COUNT_ANSWER, [low, high]) => Ok(Self::Count(u16::from_le_bytes([*low, *high]).into())),
            (COUNT_ANSWER, [one, two, three, four]) => Ok(Self::Count(u32::from_le_bytes([*one, *two, *three, *four]))),
            (COUNT_ANSWER, [one]) => Ok(Self::Count((*one).into())),
            (ANSWER, [request, code]) => Ok(Self::Ended { request: *request, code: *code }),
            _ => Err(RefusedFrame::Length),
        }
    }

    /// How the operation of `request` ended, if this answer says so.
    #[must_use]
    pub fn ends(self, request: Request) -> Option<Ending> {
        match self {
            Self::Ended { request: of, code } if of == request.operation() => Some(match code {
                1 => Ending::Success,
                6 => Ending::NoRecords,
                failed => Ending::Failed(failed),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_as_in_the_standard() {
        assert_eq!(Request::All.encode()[..], [1, 1]);
        assert_eq!(Request::From(0x0102).encode()[..], [1, 3, 1, 2, 1]);
        assert_eq!(Request::Count.encode()[..], [4, 1]);
        assert_eq!(Request::CountFrom(7).encode()[..], [4, 3, 1, 7, 0]);
        assert_eq!(Request::Abort.encode()[..], [3, 0]);
        assert_eq!(Request::newer_than(5), Some(Request::From(6)));
        assert_eq!(Request::newer_than(u16::MAX), None);
    }

    #[test]
    fn no_request_deletes() {
        for request in [Request::All, Request::From(1), Request::Count, Request::CountFrom(1), Request::Abort] {
            assert_ne!(request.encode()[0], 2);
        }
    }

    #[test]
    fn an_answer_is_of_its_request() {
        let ended = |code| Answer::of(&[6, 0, 1, code]).unwrap();
        assert_eq!(ended(1).ends(Request::All), Some(Ending::Success));
        assert_eq!(ended(6).ends(Request::From(3)), Some(Ending::NoRecords));
        assert_eq!(ended(8).ends(Request::All), Some(Ending::Failed(8)));
        assert_eq!(ended(1).ends(Request::Abort), None);
        assert_eq!(Answer::of(&[5, 0, 9, 0]).unwrap().ends(Request::Count), None);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for value in [&[1, 1][..], &[6, 1, 1, 1], &[7, 0, 1, 1]] {
            assert_eq!(Answer::of(value), Err(RefusedFrame::Unknown));
        }
        for value in [&[][..], &[6], &[6, 0], &[6, 0, 1], &[6, 0, 1, 1, 1], &[5, 0], &[5, 0, 1, 2, 3]] {
            assert_eq!(Answer::of(value), Err(RefusedFrame::Length));
        }
    }
}
