//! What a pulse oximeter of the Bluetooth profile says of a measurement and of itself.
//!
//! Source: Bluetooth Pulse Oximeter Service 1.0.1, 3.1.1.5 and 3.1.1.6; IEEE 11073-10404, 6.10 (STANDARDS §1.3).

use shared::reading::{NoReading, Quality};

/// Measurement Status, 16 bits, of which 5 to 15 mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MeasurementStatus(pub u16);

/// Device and Sensor Status, 24 bits, of which 0 to 15 mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceStatus(pub u32);

/// Whether a measurement is made once or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A spot check: it has an end.
    Spot,
    /// Continuous: it is always in progress.
    Continuous,
}

impl MeasurementStatus {
    const NAMES: [(u16, &'static str); 11] = [
        (1 << 5, "measurement-ongoing"),
        (1 << 6, "early-estimate"),
        (1 << 7, "validated"),
        (1 << 8, "fully-qualified"),
        (1 << 9, "from-storage"),
        (1 << 10, "demonstration"),
        (1 << 11, "testing"),
        (1 << 12, "calibration-ongoing"),
        (1 << 13, "measurement-unavailable"),
        (1 << 14, "questionable"),
        (1 << 15, "invalid"),
    ];

    const fn has(self, bit: u16) -> bool {
        self.0 & (1 << bit) != 0
    }

    /// The names of the bits that are set, reserved ones left out.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bit, _)| self.0 & bit != 0).map(|(_, name)| name)
    }

    /// The measurement was stored earlier and is not of now.
    #[must_use]
    pub const fn from_storage(self) -> bool {
        self.has(9)
    }

    /// The flags of what was measured. A validated measurement is one that somebody looked at: that speaks neither for nor
    /// against its quality.
    #[must_use]
    pub fn quality(self, kind: Kind) -> Quality {
        let unfinished = kind == Kind::Spot && self.has(5);
        Quality::PROVISIONAL
            .when(unfinished || self.has(6))
            .and(Quality::SMART_POINT.when(self.has(8)))
            .and(Quality::QUESTIONABLE.when(self.has(14)))
    }

    /// Why what was measured is no reading, if it is none: demonstration, test and calibration are not of a patient.
    #[must_use]
    pub const fn no_reading(self) -> Option<NoReading> {
        if self.has(10) || self.has(11) || self.has(12) {
            Some(NoReading::NotOfAPatient)
        } else if self.has(15) {
            Some(NoReading::DeclaredInvalid)
        } else if self.has(13) {
            Some(NoReading::MissingData)
        } else {
            None
        }
    }
}

impl DeviceStatus {
    const NAMES: [&'static str; 16] = [
        "extended-display-update-ongoing",
        "equipment-malfunction",
        "signal-processing-irregularity",
        "inadequate-signal",
        "poor-signal",
        "low-perfusion",
        "erratic-signal",
        "nonpulsatile-signal",
        "questionable-pulse",
        "signal-analysis-ongoing",
        "sensor-interference",
        "sensor-unconnected-to-user",
        "unknown-sensor-connected",
        "sensor-displaced",
        "sensor-malfunctioning",
        "sensor-disconnected",
    ];

    const fn has(self, bit: u32) -> bool {
        self.0 & (1 << bit) != 0
    }

    /// The names of the bits that are set, reserved ones left out.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().zip(0..).filter(move |(_, bit)| self.has(*bit)).map(|(name, _)| name)
    }

    /// The device still analyses the signal.
    #[must_use]
    pub const fn analysing(self) -> bool {
        self.has(9)
    }

    /// The flags of what was measured. A display that is updated late (bit 0) shows a value of some time ago.
    #[must_use]
    pub const fn quality(self) -> Quality {
        Quality::QUESTIONABLE
            .when(self.has(0) || self.has(2) || self.has(8) || self.has(12))
            .and(Quality::WEAK_SIGNAL.when(self.has(3) || self.has(4)))
            .and(Quality::LOW_PERFUSION.when(self.has(5)))
            .and(Quality::ARTEFACT.when(self.has(6)))
            .and(Quality::OUT_OF_TRACK.when(self.has(7)))
            .and(Quality::PROVISIONAL.when(self.analysing()))
            .and(Quality::INTERFERENCE.when(self.has(10)))
            .and(Quality::WRONG_POSITION.when(self.has(13)))
    }

    /// Why there is no reading, if there is none: the device or its sensor is faulty, or not on the patient.
    #[must_use]
    pub const fn no_reading(self) -> Option<NoReading> {
        if self.has(15) {
            Some(NoReading::SensorDisconnected)
        } else if self.has(1) {
            Some(NoReading::DeviceFault)
        } else if self.has(14) {
            Some(NoReading::SensorFault)
        } else if self.has(11) {
            Some(NoReading::SensorOff)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_of_a_measurement_has_its_meaning() {
        let said = |bit: u16, kind| {
            let status = MeasurementStatus(1 << bit);
            (status.quality(kind), status.no_reading())
        };
        for bit in 0..16 {
            let quality = match bit {
                5 | 6 => Quality::PROVISIONAL,
                8 => Quality::SMART_POINT,
                14 => Quality::QUESTIONABLE,
                _ => Quality::GOOD,
            };
            let no_reading = match bit {
                10..=12 => Some(NoReading::NotOfAPatient),
                13 => Some(NoReading::MissingData),
                15 => Some(NoReading::DeclaredInvalid),
                _ => None,
            };
            assert_eq!(said(bit, Kind::Spot), (quality, no_reading), "bit {bit}");
        }
        assert_eq!(said(5, Kind::Continuous), (Quality::GOOD, None), "it is always in progress");
        assert_eq!(MeasurementStatus(u16::MAX).names().count(), 11);
        assert_eq!(MeasurementStatus(0x8400).no_reading(), Some(NoReading::NotOfAPatient));
    }

    #[test]
    fn each_bit_of_a_device_has_its_meaning() {
        for bit in 0..24 {
            let status = DeviceStatus(1 << bit);
            let quality = match bit {
                0 | 2 | 8 | 12 => Quality::QUESTIONABLE,
                3 | 4 => Quality::WEAK_SIGNAL,
                5 => Quality::LOW_PERFUSION,
                6 => Quality::ARTEFACT,
                7 => Quality::OUT_OF_TRACK,
                9 => Quality::PROVISIONAL,
                10 => Quality::INTERFERENCE,
                13 => Quality::WRONG_POSITION,
                _ => Quality::GOOD,
            };
            let no_reading = match bit {
                1 => Some(NoReading::DeviceFault),
                11 => Some(NoReading::SensorOff),
                14 => Some(NoReading::SensorFault),
                15 => Some(NoReading::SensorDisconnected),
                _ => None,
            };
            assert_eq!((status.quality(), status.no_reading()), (quality, no_reading), "bit {bit}");
            assert_eq!(status.names().count(), usize::from(bit < 16), "bit {bit}");
        }
    }
}
