//! SunTech Advantage OEM, a module that measures blood pressure: 9600 8N1.
//!
//! Source: STANDARDS §2.5, from a public driver and its tests.
//! ```text
//! host     3A command ... CHK
//! module   3E LEN data ... CHK     LEN counts every octet; all octets sum to 0 modulo 256
//! LEN 05   cuff pressure: u16, mmHg
//! LEN 18   result: systolic u16, diastolic u16, beats u8, status u8, eight test codes, pulse u8, spare,
//!          mean u16, error u8, spare, spare
//! LEN 04   one octet that answers a command
//! ```
//! Little-endian. An error other than 0: the measurement came to nothing. Zeros everywhere: nothing was measured since the
//! module was switched on.
//!
//! The sum does not see an octet too many that equals it. Such an octet pushes the mean pressure out of its place, so a result
//! whose mean is not between its pressures is questionable as a whole.

use shared::reading::{NoReading, Quality};

use super::cuff::{self, Cuff};
use super::cursor::Cursor;
use super::framing::{Gather, Head, with_length};
use super::refused::{RefusedFrame, Tally};
use super::{Report, checksum};

/// Longest packet of the module; a longer one is refused. Its text answers have up to 67 octets.
pub const PACKET_BYTES_MAX: usize = 80;
const MODULE_START: u8 = 0x3E;
const SHORTEST: usize = 4;

/// What the host says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Measure an adult: inflates the cuff.
    Start,
    /// Say the pressure of the cuff now.
    CuffPressure,
    /// Say the last result.
    Result,
    /// Close the valves. For the bench; the hub does not send it.
    CloseValves,
}

impl Command {
    /// Its octets.
    #[must_use]
    pub const fn octets(self) -> &'static [u8] {
        match self {
            Self::Start => &[0x3A, 0x20, 0xA6],
            Self::CuffPressure => &[0x3A, 0x79, 0x05, 0x00, 0x48],
            Self::Result => &[0x3A, 0x79, 0x03, 0x00, 0x4A],
            Self::CloseValves => &[0x3A, 0x0C, 0x00, 0x01, 0x01, 0xB8],
        }
    }
}

/// The fields of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BloodPressure {
    /// mmHg.
    pub systolic: u16,
    /// mmHg.
    pub diastolic: u16,
    /// Heart beats in the measurement.
    pub beats: u8,
    /// The module's own status; its meaning is not published.
    pub status: u8,
    /// Per minute.
    pub pulse: u8,
    /// Mean arterial pressure, mmHg.
    pub mean: u16,
    /// 0, or why the measurement came to nothing.
    pub error: u8,
}

impl BloodPressure {
    /// Whether the mean pressure, if sent, is between the others.
    #[must_use]
    pub const fn is_coherent(&self) -> bool {
        self.mean == 0 || (self.diastolic <= self.mean && self.mean <= self.systolic)
    }

    /// Whether nothing has been measured yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.error == 0 && self.systolic == 0 && self.diastolic == 0
    }
}

/// What the module says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// The pressure of the cuff now, mmHg: no reading, whatever it is.
    CuffPressure(u16),
    /// A result.
    Result(BloodPressure),
    /// The answer to a command.
    Answer(u8),
    /// Something that is not asked for, such as the module's name.
    Other,
}

impl Packet {
    /// Reads a whole packet.
    ///
    /// # Errors
    /// [`RefusedFrame`] says what is wrong with the bytes.
    pub fn of(bytes: &[u8]) -> Result<Self, RefusedFrame> {
        match head(bytes) {
            Head::Whole(length) if length == bytes.len() => {}
            Head::Not(why) => return Err(why),
            Head::Whole(_) | Head::Wanting => return Err(RefusedFrame::Length),
        }
        if checksum::sum8(bytes) != 0 {
            return Err(RefusedFrame::Checksum);
        }
        let (_, data) = bytes.split_at_checked(2).ok_or(RefusedFrame::Length)?;
        let mut cursor = Cursor::new(data);
        Ok(match bytes.len() {
            0x04 => Self::Answer(cursor.u8()?),
            0x05 => Self::CuffPressure(cursor.u16()?),
            0x18 => {
                let (systolic, diastolic) = (cursor.u16()?, cursor.u16()?);
                let (beats, status, _tests) = (cursor.u8()?, cursor.u8()?, cursor.octets::<8>()?);
                let (pulse, _spare, mean, error) = (cursor.u8()?, cursor.u8()?, cursor.u16()?, cursor.u8()?);
                Self::Result(BloodPressure { systolic, diastolic, beats, status, pulse, mean, error })
            }
            _ => Self::Other,
        })
    }

    /// What of it is a report: a result.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        let Self::Result(result) = self else { return None };
        let measured = Cuff {
            systolic: result.systolic,
            diastolic: result.diastolic,
            mean: (result.mean != 0).then_some(result.mean),
            pulse: result.pulse.into(),
        };
        let measured = if result.error == 0 { Ok(measured) } else { Err(NoReading::MeasurementFailed) };
        (!result.is_empty()).then(|| {
            let mut report = cuff::report(measured);
            let doubt = Quality::QUESTIONABLE.when(!result.is_coherent());
            report.readings.iter_mut().for_each(|reading| reading.quality = reading.quality.and(doubt));
            report
        })
    }
}

fn head(bytes: &[u8]) -> Head {
    with_length(bytes, MODULE_START, SHORTEST..=PACKET_BYTES_MAX)
}

/// Finds packets in a line.
#[derive(Debug, Default)]
pub struct SuntechLine(Gather<PACKET_BYTES_MAX>);

impl SuntechLine {
    /// Takes one octet; gives the packet that it completes.
    pub fn packet(&mut self, octet: u8, tally: &mut Tally) -> Option<Packet> {
        self.0.octet(octet, tally, head, Packet::of)
    }

    /// Takes one octet; gives the report that it completes.
    pub fn byte(&mut self, octet: u8, tally: &mut Tally) -> Option<Report> {
        self.packet(octet, tally)?.report()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use shared::metric::Metric;
    use shared::reading::{Outcome, Reading};
    use shared::units::Unit;

    use super::*;

    fn packet(data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![MODULE_START, u8::try_from(data.len() + 3).unwrap()];
        bytes.extend(data);
        bytes.push(checksum::sum8(&bytes).wrapping_neg());
        bytes
    }

    fn result(systolic: u8, diastolic: u8, pulse: u8, mean: u8, error: u8) -> Vec<u8> {
        packet(&[systolic, 0, diastolic, 0, 30, 1, 0, 0, 0, 0, 0, 0, 0, 0, pulse, 0, mean, 0, error, 0, 0])
    }

    #[test]
    fn a_result_is_four_readings_and_a_failed_one_none() {
        let report = Packet::of(&result(115, 74, 85, 88, 0)).unwrap().report().unwrap();
        let mmhg = |metric, value: i64| Reading::value(metric, value.into(), Unit::MillimetreOfMercury, Quality::GOOD);
        assert_eq!(
            report.readings.as_slice(),
            [
                mmhg(Metric::SystolicPressure, 115),
                mmhg(Metric::DiastolicPressure, 74),
                mmhg(Metric::MeanPressure, 88),
                Reading::value(Metric::PulseRate, 85.into(), Unit::PerMinute, Quality::GOOD),
            ]
        );
        let failed = Packet::of(&result(115, 74, 85, 88, 2)).unwrap().report().unwrap();
        assert!(failed.readings.iter().all(|r| r.outcome == Outcome::None(NoReading::MeasurementFailed)));
        assert_eq!(failed.readings.len(), 3);
        let no_pulse = Packet::of(&result(115, 74, 0, 0, 0)).unwrap().report().unwrap();
        assert_eq!(no_pulse.readings.len(), 3, "no mean, and a pulse that is missing");
        assert!(no_pulse.readings.iter().any(|r| r.outcome == Outcome::None(NoReading::MissingData)));
    }

    #[test]
    fn a_result_whose_mean_is_not_between_its_pressures_is_questionable() {
        for (mean, is_doubted) in [(74, false), (115, false), (0, false), (73, true), (116, true)] {
            let report = Packet::of(&result(115, 74, 85, mean, 0)).unwrap().report().unwrap();
            assert!(report.readings.iter().all(|reading| reading.quality.is_gated() == is_doubted), "{mean}");
        }
    }

    #[test]
    fn a_cuff_that_is_filling_and_a_module_that_has_measured_nothing_give_no_reading() {
        assert_eq!(Packet::of(&packet(&[2, 1])), Ok(Packet::CuffPressure(258)));
        assert_eq!(Packet::CuffPressure(258).report(), None);
        assert_eq!(Packet::of(&result(0, 0, 0, 0, 0)).unwrap().report(), None);
        assert_eq!(Packet::of(&packet(b"K")), Ok(Packet::Answer(b'K')));
        assert_eq!(Packet::of(&packet(b"Advantage")), Ok(Packet::Other));
    }

    #[test]
    fn a_packet_is_whole_and_its_sum_fits() {
        let good = result(115, 74, 85, 88, 0);
        for length in 0..good.len() {
            assert!(Packet::of(&good[..length]).is_err(), "{length}");
        }
        for place in 2..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            assert_eq!(Packet::of(&bad), Err(RefusedFrame::Checksum));
        }
        assert_eq!(Packet::of(&[0x3A, 0x05, 2, 1, 0xBE]), Err(RefusedFrame::Marker));
        assert_eq!(Packet::of(&[MODULE_START, 0, 2, 1, 0xBF]), Err(RefusedFrame::Length));
    }

    #[test]
    fn commands_sum_to_nothing() {
        for command in [Command::Start, Command::CuffPressure, Command::Result, Command::CloseValves] {
            assert_eq!(checksum::sum8(command.octets()), 0, "{command:?}");
        }
    }

    #[test]
    fn a_line_recovers_with_the_next_packet() {
        let (mut line, mut tally) = (SuntechLine::default(), Tally::default());
        let mut bytes = vec![0x3E, 0x18, 1, 2, 0x3A];
        bytes.extend(result(115, 74, 85, 88, 0).repeat(2));
        let found: Vec<_> = bytes.iter().filter_map(|octet| line.byte(*octet, &mut tally)).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(tally.accepted, 2);
        assert_eq!(tally.refused(RefusedFrame::Checksum), 1);
    }
}
