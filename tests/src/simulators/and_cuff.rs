//! A&D UA-767PC: ten hexadecimal digits after each measurement (STANDARDS §2.6).

use super::device::{Device, Now};
use super::{Bytes, Vitals};

const RESULT: u16 = 0x80;
const ERROR: u16 = 0x81;

/// A cuff that says each result by itself.
#[derive(Debug)]
pub struct AndCuff;

impl Device for AndCuff {
    fn second(&mut self, shown: &Vitals, _now: Now) -> Vec<Bytes> {
        result(shown).map(String::into_bytes).into_iter().collect()
    }
}

/// What follows a measurement: a result, or an error where there was no pulse to find.
fn result(shown: &Vitals) -> Option<String> {
    let pressure = shown.pressure?;
    let Some(pulse) = shown.pulse else { return Some(format!("{ERROR:02X}00000000\r\n")) };
    let difference = pressure.systolic.saturating_sub(pressure.diastolic);
    let octets = [RESULT, difference, pressure.diastolic, pulse, pressure.mean];
    let digits: String = octets.iter().map(|octet| format!("{:02X}", octet.min(&255))).collect();
    Some(format!("{digits}\r\n"))
}

#[cfg(test)]
mod tests {
    use super::super::Pressure;
    use super::*;

    #[test]
    fn the_published_sample() {
        let pressure = Pressure { systolic: 152, diastolic: 76, mean: 96 };
        let shown = Vitals { pressure: Some(pressure), pulse: Some(73), ..Vitals::OFF };
        assert_eq!(result(&shown).unwrap(), "804C4C4960\r\n");
        let failed = Vitals { pulse: None, ..shown };
        assert_eq!(result(&failed).unwrap(), "8100000000\r\n");
        assert_eq!(result(&Vitals::OFF), None);
    }
}
