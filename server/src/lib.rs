//! The server: hubs' batches come in through the door, are opened, stored with their alerts in one transaction,
//! receipted, and pushed to clinicians' sockets.
//!
//! ```text
//! door ─Arrival─▶ ingest ─OpenedBatch─▶ store owner ──▶ ONE transaction: observations, ranges, alert state,
//!  ▲                (opens seals)          │              alert events, deadlines, audit
//!  └──────────── receipts ◀────────────────┴─Committed─▶ feed ─▶ sockets
//! ```

pub mod access;
pub mod admin;
pub mod alerts;
pub mod app;
pub mod audit;
pub mod broker;
pub mod check;
pub mod cli;
pub mod config;
pub mod evaluate;
pub mod feed;
pub mod ingest;
pub mod keys;
pub mod limits;
pub mod provisioning;
pub mod setup;
pub mod store;
mod turns;
pub mod web;
