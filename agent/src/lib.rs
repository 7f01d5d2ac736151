//! The hub in the patient's home: takes readings from devices, keeps them sealed, ships them.

pub mod app;
pub mod config;
pub mod decode;
pub mod devices;
pub mod health;
pub mod identity;
pub mod intake_item;
pub mod limits;
pub mod queue;
pub mod status;
pub mod uplink;
