//! A load on a server that is not simulated where it counts: hubs of their own with real enrolments, mutual TLS, MQTT
//! and sealed streams, that wait for receipts; and screens that read the feed.
//!
//! ```text
//! Fleet (enrolled, bound) ─▶ connect, first batch, receipt ─▶ start line ─▶ open-loop sending ─▶ all receipted
//! ```
//!
//! A batch's latency is counted from the moment it was due, not from the moment it was sent, so that a generator or a
//! server that falls behind shows.

pub mod figures;
pub mod fleet;
mod hub;
pub mod plain;
pub mod run;
mod screens;
pub mod usage;
