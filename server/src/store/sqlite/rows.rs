//! Between rows and our types.

use rusqlite::ErrorCode;
use shared::reading::Outcome;
use shared::time::ClockState;

use crate::store::StoreError;

/// A stored value that our own code never writes.
#[derive(Debug, thiserror::Error)]
#[error("the store holds an impossible {0}; restore a backup and keep the damaged file")]
pub(super) struct Corrupt(pub(super) &'static str);

impl From<Corrupt> for StoreError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Unreadable(Box::new(corrupt))
    }
}

/// The engine's error as ours.
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    let damaged = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
    if damaged { StoreError::Unreadable(Box::new(error)) } else { StoreError::Unavailable(Box::new(error)) }
}

/// Whether the whole transaction is at stake, not this batch alone.
pub(super) fn concerns_all(error: &StoreError) -> bool {
    let (StoreError::Unavailable(source) | StoreError::Unreadable(source)) = error else { return false };
    let code = source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    !matches!(code, Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch))
}

/// A number that a column can hold.
///
/// # Errors
/// [`StoreError::OverLimit`] above 2^63 − 1.
pub(super) fn column(number: u64, what: &'static str) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::OverLimit(what))
}

/// A count out of a column, never negative.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The clock's state as a number, in the wire's order.
pub(super) const fn clock(state: ClockState) -> i64 {
    match state {
        ClockState::Synchronised => 0,
        ClockState::HeldOver => 1,
        ClockState::NeverSet => 2,
    }
}

/// Mantissa, exponent, unit (its place in the wire's order) and reason for none, each where there is one.
pub(super) const fn outcome(outcome: Outcome) -> (Option<i64>, Option<i64>, Option<i64>, Option<i64>) {
    match outcome {
        Outcome::Value(value) => {
            (Some(value.decimal.mantissa()), Some(value.decimal.exponent() as i64), Some(value.unit as i64), None)
        }
        Outcome::None(why) => (None, None, None, Some(why as i64)),
    }
}
