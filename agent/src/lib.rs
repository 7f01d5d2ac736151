//! The hub in the patient's home: takes readings from devices, keeps them sealed, ships them.

pub mod decode;
pub mod devices;
pub mod identity;
pub mod intake_item;
pub mod limits;
pub mod queue;
pub mod uplink;
