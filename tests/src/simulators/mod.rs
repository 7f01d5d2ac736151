//! Devices that are not there: the bytes real ones send and answer, at the pace they send them, over pseudo-terminals.
//!
//! What they say is written from the descriptions of the protocols alone, beside the agent's decoders and not from them,
//! so that each can find the other's mistakes.

pub mod and_cuff;
pub mod and_scale;
pub mod bci;
pub mod beurer;
pub mod cms50;
pub mod device;
pub mod ledger;
pub mod lifescan;
mod line;
pub mod masimo;
pub mod nonin;
pub mod patient;
pub mod plan;
pub mod player;
pub mod port;
pub mod protocol;
pub mod script;
pub mod suntech;
#[cfg(test)]
mod suntech_talk;
pub mod verio;
pub mod writes;

pub use plan::DevicePlan;
pub use player::SimulatedDevice;
pub use protocol::Protocol;
pub use writes::{Writes, wall_ms};

/// Bytes of one frame.
pub type Bytes = Vec<u8>;

/// What a device shows, or measures when it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vitals {
    /// Pulse rate per minute, if there is one.
    pub pulse: Option<u16>,
    /// Saturation in per cent, if there is one.
    pub spo2: Option<u8>,
    /// Perfusion index in hundredths of a per cent, if there is one.
    pub perfusion: Option<u16>,
    /// Whether a finger is in it.
    pub finger: bool,
    /// Whether its battery is low.
    pub battery_low: bool,
    /// A blood pressure, if one is measured in this second.
    pub pressure: Option<Pressure>,
    /// Weight in grams, if somebody steps on the scale in this second.
    pub weight_g: Option<u32>,
    /// Blood glucose in mg/dL, if it is measured in this second.
    pub glucose_mg_dl: Option<u16>,
}

/// A blood pressure, mmHg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressure {
    /// Systolic.
    pub systolic: u16,
    /// Diastolic.
    pub diastolic: u16,
    /// Mean.
    pub mean: u16,
}

impl Pressure {
    /// A pressure with the mean that follows from it: the diastolic and a third of the difference.
    #[must_use]
    pub const fn of(systolic: u16, diastolic: u16) -> Self {
        Self { systolic, diastolic, mean: diastolic + systolic.saturating_sub(diastolic) / 3 }
    }
}

impl Vitals {
    /// No finger, and nobody who measures anything else.
    pub const OFF: Self = Self {
        pulse: None,
        spo2: None,
        perfusion: None,
        finger: false,
        battery_low: false,
        pressure: None,
        weight_g: None,
        glucose_mg_dl: None,
    };

    /// What an oximeter on a finger shows.
    #[must_use]
    pub const fn on_finger(pulse: Option<u16>, spo2: Option<u8>) -> Self {
        Self { pulse, spo2, finger: true, ..Self::OFF }
    }
}

#[cfg(test)]
mod tests;
