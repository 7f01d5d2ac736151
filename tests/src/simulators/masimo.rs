//! Masimo Rad-8 and Radical-7, ASCII 1: a line of text each second (STANDARDS §2.4).

use super::device::{Device, Now};
use super::{Bytes, Vitals};

const SENSOR_OFF: u32 = 0x020;
const SET_RUNNING: u32 = 0x800;

/// A monitor of Masimo's, set to ASCII 1.
#[derive(Debug)]
pub struct Masimo;

impl Device for Masimo {
    fn second(&mut self, shown: &Vitals, now: Now) -> Vec<Bytes> {
        vec![line(shown, now.second).into_bytes()]
    }
}

/// The line of a second, at a made-up time of day, with a blank line behind it.
fn line(shown: &Vitals, second: u64) -> String {
    let time = format!("{:02}:{:02}:{:02}", second / 3600 % 24, second / 60 % 60, second % 60);
    let number = |value: Option<u16>| value.map_or_else(|| "---".to_owned(), |value| format!("{value:03}"));
    let (spo2, pulse) = (number(shown.spo2.map(u16::from)), number(shown.pulse));
    let perfusion = shown
        .perfusion
        .map_or_else(|| "--.--".to_owned(), |perfusion| format!("{:02}.{:02}", perfusion / 100, perfusion % 100));
    let exceptions = if shown.finger { SET_RUNNING } else { SET_RUNNING | SENSOR_OFF };
    format!(
        "05/04/26 {time} SN=0000012345 SPO2={spo2}% BPM={pulse} PI={perfusion}% SPCO=--.-% SPMET=--.-% DESAT=-- \
         PIDELTA=+-- ALARM=0000 EXC={exceptions:06X}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_monitors_were_heard_to_send_it() {
        let shown = Vitals { perfusion: Some(395), ..Vitals::on_finger(Some(96), Some(98)) };
        let as_captured = "05/04/26 22:47:46 SN=0000012345 SPO2=098% BPM=096 PI=03.95% SPCO=--.-% SPMET=--.-% DESAT=-- \
                           PIDELTA=+-- ALARM=0000 EXC=000800\r\n\r\n";
        assert_eq!(line(&shown, 82_066), as_captured);
        assert!(
            line(&Vitals::OFF, 0).contains("SPO2=---% BPM=--- PI=--.--%") && line(&Vitals::OFF, 0).contains("000820")
        );
    }
}
