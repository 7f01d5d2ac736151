//! The words and the wire, shared by hub and server.
//!
//! Pure: no I/O, no clock, no randomness of its own, no async. Time and entropy come in as arguments.

pub mod enrolment;
pub mod hex;
pub mod id;
pub mod metric;
pub mod nhs_number;
pub mod observation;
pub mod ods_code;
pub mod plausibility;
pub mod reading;
pub mod sealing;
pub mod sequence;
pub mod time;
pub mod topic;
pub mod units;
pub mod wire;
