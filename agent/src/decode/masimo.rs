//! Masimo Rad-8 and Radical-7, ASCII 1 as selected on the device: 9600 8N1, a line a second, empty lines between.
//!
//! Source: STANDARDS §2.4; captured lines there; the bits of EXC from the Rad-8 manual.
//! ```text
//! MM/DD/YY hh:mm:ss SN=0000056661 SPO2=098% BPM=097 PI=03.60% SPCO=--.-% ... ALARM=0000 EXC=000800
//! EXC  001 no sensor, 002 defective sensor, 004 low perfusion, 008 pulse search, 010 interference, 020 sensor off,
//!      040 ambient light, 080 unknown sensor, 400 low signal IQ, 800 Masimo SET is running
//! ```
//! Read by key, because firmwares differ in which they send; dashes are no value. EXC comes last and has six digits: a
//! line without it was cut. What the bits of ALARM mean is not published, so they are read and not used. There is no
//! checksum: SPO2, BPM and PI have as many digits as above, or dashes in their places, and no key comes twice, so that a lost
//! or added octet is seen. An octet changed on the way to another digit cannot be.

use arrayvec::ArrayVec;
use shared::observation::DeviceTime;
use shared::reading::{NoReading, Quality};
use shared::units::Decimal;

use super::refused::{RefusedFrame, Tally};
use super::{Unit, date_time};

/// The longest line that is read; a longer one is refused.
pub const LINE_BYTES_MAX: usize = 256;

const NO_SENSOR: u32 = 0x001;
const DEFECTIVE_SENSOR: u32 = 0x002;
const LOW_PERFUSION: u32 = 0x004;
const PULSE_SEARCH: u32 = 0x008;
const INTERFERENCE: u32 = 0x010;
const SENSOR_OFF: u32 = 0x020;
const AMBIENT_LIGHT: u32 = 0x040;
const UNKNOWN_SENSOR: u32 = 0x080;
const LOW_SIGNAL_IQ: u32 = 0x400;
const MASIMO_SET: u32 = 0x800;

/// What EXC says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceptions(u32);

impl Exceptions {
    const NAMES: [(u32, &'static str); 10] = [
        (NO_SENSOR, "no-sensor"),
        (DEFECTIVE_SENSOR, "defective-sensor"),
        (LOW_PERFUSION, "low-perfusion"),
        (PULSE_SEARCH, "pulse-search"),
        (INTERFERENCE, "interference"),
        (SENSOR_OFF, "sensor-off"),
        (AMBIENT_LIGHT, "ambient-light"),
        (UNKNOWN_SENSOR, "unknown-sensor"),
        (LOW_SIGNAL_IQ, "low-signal-iq"),
        (MASIMO_SET, "masimo-set"),
    ];

    const fn any(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// The names of those that are set, lowest bit first; bits that the manual does not have are not looked at.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bits, _)| self.any(*bits)).map(|(_, name)| name)
    }

    /// Why a number beside them is not one of a patient.
    fn against_numbers(self) -> Option<NoReading> {
        let reasons = [
            (NO_SENSOR, NoReading::SensorDisconnected),
            (DEFECTIVE_SENSOR | UNKNOWN_SENSOR, NoReading::SensorFault),
            (SENSOR_OFF, NoReading::SensorOff),
        ];
        reasons.into_iter().find(|(bits, _)| self.any(*bits)).map(|(_, why)| why)
    }

    fn quality(self) -> Quality {
        Quality::LOW_PERFUSION
            .when(self.any(LOW_PERFUSION))
            .and(Quality::SEARCHING.when(self.any(PULSE_SEARCH)))
            .and(Quality::INTERFERENCE.when(self.any(INTERFERENCE | AMBIENT_LIGHT)))
            .and(Quality::QUESTIONABLE.when(self.any(LOW_SIGNAL_IQ)))
    }
}

/// The fields of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// The device's own time, if it is one.
    pub time: Option<DeviceTime>,
    /// The device's serial number.
    pub serial: Option<&'a str>,
    /// Saturation in per cent, if there is one.
    pub spo2: Option<u8>,
    /// Pulse rate per minute, if there is one.
    pub pulse: Option<u16>,
    /// Perfusion index in per cent: `None` from a firmware that does not send it, `Some(None)` where it has no value.
    pub perfusion: Option<Option<Decimal>>,
    /// What stands against the values.
    pub exceptions: Exceptions,
    /// The bits of ALARM as sent.
    pub alarm: Option<u32>,
}

impl<'a> Record<'a> {
    /// Reads a line, with or without its end.
    ///
    /// # Errors
    /// [`RefusedFrame::Marker`] where it is no such line, [`RefusedFrame::Length`] where a key is missing or EXC is not
    /// whole, [`RefusedFrame::Unknown`] where a value is no number of so many digits, [`RefusedFrame::Contradiction`] where a
    /// key that is used comes twice: two lines whose end was lost.
    pub fn of(line: &'a [u8]) -> Result<Self, RefusedFrame> {
        let text = str::from_utf8(line).map_err(|_| RefusedFrame::Marker)?.trim_end();
        let mut words = text.split_ascii_whitespace();
        let (date, clock) = words.next().zip(words.next()).ok_or(RefusedFrame::Marker)?;
        let ([month, day, year], [hour, minute, second]) = (triple(date, '/')?, triple(clock, ':')?);
        let year = u16::from(year).saturating_add(2000);
        let time = DeviceTime { year, month, day, hour, minute, second };
        let (mut spo2, mut pulse, mut exceptions) = (None, None, None);
        let (mut serial, mut perfusion, mut alarm) = (None, None, None);
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            match key {
                "SN" => once(&mut serial, value)?,
                "SPO2" => once(&mut spo2, whole(value.strip_suffix('%').ok_or(RefusedFrame::Unknown)?)?)?,
                "BPM" => once(&mut pulse, whole(value)?)?,
                "PI" => once(&mut perfusion, hundredths(value)?)?,
                "ALARM" => once(&mut alarm, hexadecimal(value)?)?,
                "EXC" if value.len() == 6 => once(&mut exceptions, Exceptions(hexadecimal(value)?))?,
                _ => {}
            }
        }
        let exceptions = exceptions.ok_or(RefusedFrame::Length)?;
        let (spo2, pulse) = spo2.zip(pulse).ok_or(RefusedFrame::Length)?;
        let time = Some(time).filter(date_time::is_a_time);
        Ok(Self { time, serial, spo2, pulse, perfusion, exceptions, alarm })
    }

    /// The line as a unit of its second.
    #[must_use]
    pub fn unit(&self) -> Unit {
        let against = self.exceptions.against_numbers();
        let searching = self.exceptions.any(PULSE_SEARCH);
        let missing = against.unwrap_or(if searching { NoReading::Searching } else { NoReading::MissingData });
        let spo2 = self.spo2.filter(|_| against.is_none()).ok_or(missing);
        let pulse = self.pulse.filter(|_| against.is_none()).ok_or(missing);
        let perfusion = self.perfusion.map(|perfusion| perfusion.filter(|_| against.is_none()).ok_or(missing));
        let live = Unit::live(pulse, spo2, self.exceptions.quality(), None);
        Unit { perfusion, device_time: self.time, ..live }
    }
}

/// Three numbers of two digits.
fn triple(text: &str, between: char) -> Result<[u8; 3], RefusedFrame> {
    let mut parts = text.split(between).map(|part| match part.as_bytes() {
        digits @ [b'0'..=b'9', b'0'..=b'9'] => number(digits).ok_or(RefusedFrame::Marker),
        _ => Err(RefusedFrame::Marker),
    });
    let mut next = || parts.next().unwrap_or(Err(RefusedFrame::Marker));
    let three = [next()?, next()?, next()?];
    if parts.next().is_none() { Ok(three) } else { Err(RefusedFrame::Marker) }
}

fn number<T: TryFrom<u32>>(digits: &[u8]) -> Option<T> {
    let add = |so_far: u32, digit: &u8| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit.saturating_sub(b'0')))?;
        so_far.checked_mul(10)?.checked_add(digit)
    };
    let sum = if digits.is_empty() { None } else { digits.iter().try_fold(0, add) };
    sum.and_then(|sum| T::try_from(sum).ok())
}

/// Keeps what a key says, if it was not said before.
fn once<T>(kept: &mut Option<T>, value: T) -> Result<(), RefusedFrame> {
    if kept.replace(value).is_none() { Ok(()) } else { Err(RefusedFrame::Contradiction) }
}

/// Three digits; dashes in their places are none.
fn whole<T: TryFrom<u32>>(value: &str) -> Result<Option<T>, RefusedFrame> {
    match value.as_bytes() {
        b"---" => Ok(None),
        digits @ [_, _, _] => number(digits).map(Some).ok_or(RefusedFrame::Unknown),
        _ => Err(RefusedFrame::Unknown),
    }
}

/// Two digits, a point, two digits and a per cent sign, the digits kept; dashes in their places are none.
fn hundredths(value: &str) -> Result<Option<Decimal>, RefusedFrame> {
    match value.as_bytes() {
        b"--.--%" => Ok(None),
        [tens, ones, b'.', tenths, hundredths, b'%'] => {
            let digits = number::<u32>(&[*tens, *ones, *tenths, *hundredths]).ok_or(RefusedFrame::Unknown)?;
            Ok(Some(Decimal::new(digits.into(), -2)))
        }
        _ => Err(RefusedFrame::Unknown),
    }
}

fn hexadecimal(digits: &str) -> Result<u32, RefusedFrame> {
    let all = digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    if all { u32::from_str_radix(digits, 16).map_err(|_| RefusedFrame::Unknown) } else { Err(RefusedFrame::Unknown) }
}

/// Finds lines. Holds at most one.
#[derive(Debug, Default)]
pub struct MasimoLine {
    line: ArrayVec<u8, LINE_BYTES_MAX>,
    /// The line is longer than any; the rest of it is passed over.
    too_long: bool,
}

impl MasimoLine {
    /// Takes bytes from the front until a line is read or none are left.
    pub fn hear(&mut self, bytes: &mut &[u8], tally: &mut Tally) -> Option<Unit> {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (part, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len()))?;
            *bytes = rest.get(usize::from(end.is_some())..).unwrap_or_default();
            self.too_long |= self.line.try_extend_from_slice(part).is_err();
            if end.is_some()
                && let Some(unit) = self.end(tally)
            {
                return Some(unit);
            }
        }
        None
    }

    fn end(&mut self, tally: &mut Tally) -> Option<Unit> {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.too_long) {
            tally.refuse(RefusedFrame::Length, 1);
            return None;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        match Record::of(&line) {
            Ok(record) => {
                tally.accept(1);
                Some(record.unit())
            }
            Err(why) => {
                tally.refuse(why, 1);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "02/22/16 22:47:46 SN=0000056661 SPO2=098% BPM=096 PI=03.95% SPCO=--.-% SPMET=--.-% DESAT=-- \
                        PIDELTA=+-- ALARM=0000 EXC=000800\r\n";

    fn units(bytes: &[u8]) -> (Vec<Unit>, Tally) {
        let (mut line, mut tally, mut rest) = (MasimoLine::default(), Tally::default(), bytes);
        let units = std::iter::from_fn(|| line.hear(&mut rest, &mut tally)).collect();
        (units, tally)
    }

    #[test]
    fn exceptions_become_flags_and_reasons() {
        let unit = |bits: &str| units(LINE.replace("000800", bits).as_bytes()).0.remove(0);
        for (bits, why) in [
            ("000801", NoReading::SensorDisconnected),
            ("000802", NoReading::SensorFault),
            ("000880", NoReading::SensorFault),
            ("000828", NoReading::SensorOff),
        ] {
            let unit = unit(bits);
            assert_eq!((unit.spo2, unit.pulse, unit.perfusion), (Err(why), Err(why), Some(Err(why))), "{bits}");
        }
        for (bits, quality) in [
            ("000800", Quality::GOOD),
            ("000804", Quality::LOW_PERFUSION),
            ("000808", Quality::SEARCHING),
            ("000810", Quality::INTERFERENCE),
            ("000840", Quality::INTERFERENCE),
            ("000C00", Quality::QUESTIONABLE),
        ] {
            let unit = unit(bits);
            assert_eq!((unit.spo2, unit.pulse, unit.quality), (Ok(98), Ok(96), quality), "{bits}");
        }
    }

    #[test]
    fn dashes_are_no_value() {
        let line = "03/19/16 13:37:12 SN=0000093112 SPO2=---% BPM=--- DESAT=-- PIDELTA=+-- ALARM=0000 EXC=000008\n";
        let unit = units(line.as_bytes()).0.remove(0);
        assert_eq!(
            (unit.spo2, unit.pulse, unit.perfusion),
            (Err(NoReading::Searching), Err(NoReading::Searching), None)
        );
        let perfusion = |text: &str| Record::of(LINE.replace("03.95%", text).as_bytes()).map(|read| read.perfusion);
        assert_eq!(perfusion("--.--%"), Ok(Some(None)));
        assert_eq!(perfusion("00.02%"), Ok(Some(Some(Decimal::new(2, -2)))));
        for text in ["", "3.95%", "03.9%", "03.95", "003.95%", "+3.95%", "0.395%", "0-.95%", "--.-%", "1e3"] {
            assert_eq!(perfusion(text), Err(RefusedFrame::Unknown), "{text}");
        }
    }

    #[test]
    fn a_line_cut_anywhere_is_refused_and_costs_itself_only() {
        let whole = LINE.trim_end();
        for cut in 1..whole.len() {
            let (found, tally) = units(format!("{}\r\n{LINE}", &whole[..cut]).as_bytes());
            assert_eq!((found.len(), tally.accepted, tally.refused_in_all()), (1, 1, 1), "cut at {cut}");
            let (found, _) = units(format!("{}{LINE}", &whole[cut..]).as_bytes());
            assert!(found.len() <= 1, "begun at {cut}");
        }
    }

    #[test]
    fn a_number_that_lost_a_digit_is_refused() {
        for (whole, cut) in
            [("098%", "98%"), ("098%", "09%"), ("098%", "0098%"), ("098%", "098"), ("096", "96"), ("096", "---6")]
        {
            let (found, tally) = units(LINE.replace(whole, cut).as_bytes());
            assert_eq!((found.len(), tally.refused(RefusedFrame::Unknown)), (0, 1), "{cut}");
        }
        let dashes = LINE.replace("098%", "--%");
        assert_eq!(units(dashes.as_bytes()).1.refused(RefusedFrame::Unknown), 1);
    }

    #[test]
    fn two_lines_whose_end_was_lost_are_refused() {
        let short = "02/22/16 22:47:46 SN=1 SPO2=098% BPM=096 ALARM=0000 EXC=000800";
        let (found, tally) = units(format!("{short} {short}\n{short}\n").as_bytes());
        assert_eq!((found.len(), tally.refused(RefusedFrame::Contradiction)), (1, 1));
    }

    #[test]
    fn a_time_that_is_none_is_dropped_and_the_values_stay() {
        let unit = units(LINE.replace("02/22", "02/30").as_bytes()).0.remove(0);
        assert_eq!((unit.device_time, unit.spo2), (None, Ok(98)));
    }

    #[test]
    fn lengths_on_both_sides_of_the_edge() {
        let of = |length: usize| {
            let fill = "x".repeat(length.saturating_sub(LINE.trim_end().len()).saturating_sub(1));
            units(format!("{}\n{LINE}", LINE.trim_end().replace(" ALARM", &format!(" {fill} ALARM"))).as_bytes())
        };
        assert_eq!(of(LINE_BYTES_MAX).0.len(), 2);
        let (found, tally) = of(LINE_BYTES_MAX.saturating_add(1));
        assert_eq!((found.len(), tally.refused(RefusedFrame::Length)), (1, 1));
    }
}
