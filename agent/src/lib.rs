//! The hub in the patient's home: takes readings from devices, keeps them sealed, ships them.

pub mod decode;
pub mod intake_item;
