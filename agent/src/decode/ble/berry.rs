//! Berry BM1000: frames of BCI, some in each notification.
//!
//! Source: STANDARDS §1.4 and §2.2. The frames come sixty times a second, so who is connected gives the octets to a
//! [`StreamDecoder::of_berry`](crate::decode::StreamDecoder::of_berry), which makes one moment of each second and finds frames that
//! lie in two notifications. Here is what a single notification says. Bit 5 of a frame's first octet is a probe that is unplugged.

use shared::metric::Metric;
use shared::reading::{Quality, Reading};
use shared::units::Unit;

use crate::decode::bci::{Bit5, Frame};
use crate::decode::{RefusedFrame, Report};

/// Octets of a frame of BCI.
const FRAME_BYTES: usize = 5;

/// What the last frame of a notification says, with the flags of all.
///
/// # Errors
/// [`RefusedFrame::Length`]: it is not of whole frames. [`RefusedFrame::Marker`]: they do not begin where they must.
pub fn report(value: &[u8]) -> Result<Report, RefusedFrame> {
    let (frames, []) = value.as_chunks::<FRAME_BYTES>() else { return Err(RefusedFrame::Length) };
    let mut quality = Quality::GOOD;
    let mut last = Err(RefusedFrame::Length);
    for frame in frames {
        let unit = Frame::of(frame)?.unit(false, Bit5::Unplugged);
        quality = quality.and(unit.quality);
        last = Ok(unit);
    }
    let unit = last?;
    let mut report = Report::default();
    report.add(match unit.spo2 {
        Ok(spo2) => Reading::value(Metric::SpO2, i64::from(spo2).into(), Unit::Percent, quality),
        Err(why) => Reading::none(Metric::SpO2, why, quality),
    });
    report.add(match unit.pulse {
        Ok(pulse) => Reading::value(Metric::PulseRate, i64::from(pulse).into(), Unit::PerMinute, quality),
        Err(why) => Reading::none(Metric::PulseRate, why, quality),
    });
    Ok(report)
}

#[cfg(test)]
mod tests {
    use shared::reading::NoReading;

    use super::*;
    use crate::decode::StreamDecoder;
    use crate::decode::tests::at;

    #[test]
    fn the_last_frame_counts_with_the_flags_of_all() {
        let read = report(&[0x95, 50, 7, 71, 96, 0x85, 50, 7, 72, 97]).unwrap();
        let spo2 = Reading::value(Metric::SpO2, 97.into(), Unit::Percent, Quality::SEARCHING);
        let pulse = Reading::value(Metric::PulseRate, 72.into(), Unit::PerMinute, Quality::SEARCHING);
        assert_eq!(read.readings[..], [spo2, pulse]);
        let off = report(&[0x85, 50, 0x10, 72, 97]).unwrap();
        assert_eq!(off.readings[0], Reading::none(Metric::SpO2, NoReading::SensorOff, Quality::SENSOR_ALARM));
    }

    #[test]
    fn an_unplugged_probe_is_no_reading() {
        let read = report(&[0xA5, 50, 7, 72, 88]).unwrap();
        let none = |metric| Reading::none(metric, NoReading::SensorDisconnected, Quality::SENSOR_ALARM);
        assert_eq!(read.readings[..], [none(Metric::SpO2), none(Metric::PulseRate)]);
        let mut decoder = StreamDecoder::of_berry();
        let moments = decoder.moments(&[0xA5, 50, 7, 72, 88].repeat(60), at(0));
        assert_eq!(moments.iter().map(|moment| &moment.report).collect::<Vec<_>>(), [&read]);
        assert_eq!(decoder.finish(), None);
        assert_eq!(decoder.moments(&[0xA5, 50, 7, 72, 88].repeat(60), at(0))[0].report, read, "also when begun anew");
    }

    #[test]
    fn frames_are_whole() {
        assert_eq!(report(&[0x85, 50, 7, 72]), Err(RefusedFrame::Length));
        assert_eq!(report(&[]), Err(RefusedFrame::Length));
        assert_eq!(report(&[50, 7, 72, 97, 0x85]), Err(RefusedFrame::Marker));
    }
}
