//! The hub in the patient's home: takes readings from devices, keeps them sealed, ships them.
//!
//! ```text
//! devices ──bytes──▶ decode ──Taken──▶ queue ──Lent──▶ uplink ──MQTT, TLS 1.3──▶ door
//! serial, replay     (pure)            seal, sync      session (pure)
//!                                        ▲                │
//!                                        └──receipt───────┘
//! ```
//! Readings go right and down and never back. A reading is accepted once its record is synced or receipted; a record
//! is released on an authenticated receipt alone. `app` is the wiring, `limits` says how much of everything there is.

pub mod app;
pub mod capture;
pub mod cli;
pub mod config;
pub mod decode;
pub mod devices;
pub mod evaluate;
pub mod health;
pub mod identity;
pub mod intake_item;
pub mod limits;
pub mod queue;
pub mod show;
pub mod status;
pub mod uplink;
