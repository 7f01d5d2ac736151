//! Lines of recordings. Pure. Two kinds:
//! - values: CSV with a header line and a `time_s` column (seconds, may have a fraction), plain cells without quotes;
//!   an empty cell is nothing measured;
//! - frames: one JSON object on each line, `{"at_ms": 0, "hex": "80486100"}`.

use std::str::FromStr;

use serde::Deserialize;
use shared::hex;
use shared::metric::Metric;
use shared::reading::{Quality, Reading};
use shared::units::{Decimal, Unit};

use crate::limits::RECORDING_COLUMNS_MAX;

/// A column of values that a recording may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// `hr`: heart rate, per minute.
    HeartRate,
    /// `pulse`: pulse rate, per minute.
    PulseRate,
    /// `spo2`: saturation, per cent.
    SpO2,
    /// `resp`: breaths per minute.
    RespiratoryRate,
    /// `temp_c`: temperature, degrees Celsius.
    Temperature,
    /// `sbp`: systolic pressure, mmHg.
    SystolicPressure,
    /// `dbp`: diastolic pressure, mmHg.
    DiastolicPressure,
    /// `map`: mean pressure, mmHg.
    MeanPressure,
    /// `weight_kg`: weight, kilograms.
    Weight,
    /// `glucose_mgdl`: glucose, mg/dL.
    Glucose,
}

/// Why a text names no column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a column is one of hr, pulse, spo2, resp, temp_c, sbp, dbp, map, weight_kg, glucose_mgdl")]
pub struct UnknownColumn;

impl Column {
    /// Every column.
    pub const ALL: [Self; 10] = [
        Self::HeartRate,
        Self::PulseRate,
        Self::SpO2,
        Self::RespiratoryRate,
        Self::Temperature,
        Self::SystolicPressure,
        Self::DiastolicPressure,
        Self::MeanPressure,
        Self::Weight,
        Self::Glucose,
    ];

    /// Its name in a header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.parts().0
    }

    /// The reading of a cell.
    #[must_use]
    pub const fn reading(self, value: Decimal) -> Reading {
        let (_, metric, unit) = self.parts();
        Reading::value(metric, value, unit, Quality::GOOD)
    }

    const fn parts(self) -> (&'static str, Metric, Unit) {
        match self {
            Self::HeartRate => ("hr", Metric::HeartRate, Unit::PerMinute),
            Self::PulseRate => ("pulse", Metric::PulseRate, Unit::PerMinute),
            Self::SpO2 => ("spo2", Metric::SpO2, Unit::Percent),
            Self::RespiratoryRate => ("resp", Metric::RespiratoryRate, Unit::PerMinute),
            Self::Temperature => ("temp_c", Metric::Temperature, Unit::Celsius),
            Self::SystolicPressure => ("sbp", Metric::SystolicPressure, Unit::MillimetreOfMercury),
            Self::DiastolicPressure => ("dbp", Metric::DiastolicPressure, Unit::MillimetreOfMercury),
            Self::MeanPressure => ("map", Metric::MeanPressure, Unit::MillimetreOfMercury),
            Self::Weight => ("weight_kg", Metric::Weight, Unit::Kilogram),
            Self::Glucose => ("glucose_mgdl", Metric::Glucose, Unit::MilligramPerDecilitre),
        }
    }
}

impl FromStr for Column {
    type Err = UnknownColumn;
    fn from_str(text: &str) -> Result<Self, UnknownColumn> {
        Self::ALL.into_iter().find(|column| column.name() == text).ok_or(UnknownColumn)
    }
}

/// Why a recording cannot be played at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableHeader {
    /// No `time_s` column.
    #[error("its first line has no column time_s")]
    NoTime,
    /// A wanted column is missing, or there is none that is known.
    #[error("its first line lacks a column that is wanted")]
    NoColumn,
    /// A known column stands twice.
    #[error("its first line names a column twice")]
    Twice,
    /// Too many columns.
    #[error("its first line has more than {RECORDING_COLUMNS_MAX} columns")]
    TooWide,
}

/// A header: which place holds what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    time: usize,
    columns: Vec<(usize, Column)>,
    width: usize,
}

/// A row: when, and what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its time in the recording, in milliseconds; may be below zero.
    pub at_ms: i64,
    /// Its values.
    pub readings: Vec<Reading>,
    /// Places, from 1, of cells that are no numbers.
    pub bad_cells: Vec<usize>,
}

impl Header {
    /// Reads a header line; `wanted` narrows the columns.
    ///
    /// # Errors
    /// [`UnreadableHeader`] says what is missing.
    pub fn of(line: &str, wanted: Option<&[Column]>) -> Result<Self, UnreadableHeader> {
        let names: Vec<&str> = line.trim_start_matches('\u{feff}').split(',').map(str::trim).collect();
        if names.len() > RECORDING_COLUMNS_MAX {
            return Err(UnreadableHeader::TooWide);
        }
        let time = names.iter().position(|name| *name == "time_s").ok_or(UnreadableHeader::NoTime)?;
        let known = names.iter().enumerate().filter_map(|(place, name)| Some((place, name.parse().ok()?)));
        let columns: Vec<(usize, Column)> =
            known.filter(|(_, column)| wanted.is_none_or(|wanted| wanted.contains(column))).collect();
        let has = |column: &Column| columns.iter().filter(|(_, found)| found == column).count();
        if Column::ALL.iter().any(|column| has(column) > 1) {
            return Err(UnreadableHeader::Twice);
        }
        if columns.is_empty() || wanted.is_some_and(|wanted| wanted.iter().any(|column| has(column) == 0)) {
            return Err(UnreadableHeader::NoColumn);
        }
        Ok(Self { time, columns, width: names.len() })
    }

    /// Reads a row; `None` if it has another number of cells or no time.
    #[must_use]
    pub fn row(&self, line: &str) -> Option<Row> {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        if cells.len() != self.width {
            return None;
        }
        let at_ms = milliseconds(cells.get(self.time)?.parse().ok()?)?;
        let mut row = Row { at_ms, readings: Vec::new(), bad_cells: Vec::new() };
        for (place, column) in &self.columns {
            match cells.get(*place).copied().unwrap_or_default() {
                "" => {}
                cell => match cell.parse() {
                    Ok(value) => row.readings.push(column.reading(value)),
                    Err(_) => row.bad_cells.push(place.saturating_add(1)),
                },
            }
        }
        Some(row)
    }
}

/// Seconds as milliseconds; what is finer is cut off.
fn milliseconds(seconds: Decimal) -> Option<i64> {
    let shift = i32::from(seconds.exponent()).checked_add(3)?;
    let power = 10_i64.checked_pow(shift.unsigned_abs());
    match (shift >= 0, power) {
        (true, Some(power)) => seconds.mantissa().checked_mul(power),
        (true, None) => (seconds.mantissa() == 0).then_some(0),
        (false, Some(power)) => seconds.mantissa().checked_div(power),
        (false, None) => Some(0),
    }
}

/// Bytes of a recorded line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedBytes {
    /// Their time in the recording, in milliseconds; may be below zero.
    pub at_ms: i64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl RecordedBytes {
    /// Reads one line; `None` if it is not such a line. Other fields are not looked at.
    #[must_use]
    pub fn of(line: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            at_ms: i64,
            hex: &'a str,
        }
        let fields: Fields<'_> = serde_json::from_str(line).ok()?;
        Some(Self { at_ms: fields.at_ms, bytes: hex::decode(&fields.hex.to_ascii_lowercase())? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_are_kept_and_empty_cells_are_nothing() {
        let header = Header::of("time_s,hr,note,spo2", None).unwrap();
        let row = header.row("1.5, 88 ,x,97.0").unwrap();
        assert_eq!(row.at_ms, 1500);
        assert_eq!(row.readings.len(), 2);
        assert_eq!(row.readings[1], Reading::value(Metric::SpO2, Decimal::new(970, -1), Unit::Percent, Quality::GOOD));
        assert_eq!(serde_json::to_value(row.readings[1].outcome).unwrap()["value"]["decimal"], "97.0");
        let row = header.row("-2,,,").unwrap();
        assert_eq!((row.at_ms, row.readings.len(), row.bad_cells.len()), (-2000, 0, 0));
    }

    #[test]
    fn bad_cells_are_named_and_do_not_spoil_their_row() {
        let row = Header::of("time_s,hr,spo2", None).unwrap().row("3,n/a,96").unwrap();
        assert_eq!((row.readings.len(), row.bad_cells), (1, vec![2]));
        let header = Header::of("time_s,hr", None).unwrap();
        for line in ["", "1", "1,2,3", "x,80"] {
            assert_eq!(header.row(line), None, "{line}");
        }
    }

    #[test]
    fn headers() {
        let only = Header::of("time_s,hr,pulse,resp,spo2", Some(&[Column::RespiratoryRate])).unwrap();
        assert_eq!(only.row("0,94,93,25,97").unwrap().readings.len(), 1);
        assert_eq!(Header::of("hr,spo2", None), Err(UnreadableHeader::NoTime));
        assert_eq!(Header::of("time_s,note", None), Err(UnreadableHeader::NoColumn));
        assert_eq!(Header::of("time_s,hr", Some(&[Column::SpO2])), Err(UnreadableHeader::NoColumn));
        assert_eq!(Header::of("time_s,hr,hr", None), Err(UnreadableHeader::Twice));
        assert_eq!(Header::of(&format!("time_s,hr{}", ",x".repeat(63)), None), Err(UnreadableHeader::TooWide));
        for column in Column::ALL {
            assert_eq!(column.name().parse(), Ok(column));
        }
    }

    #[test]
    fn recorded_bytes() {
        let line = r#"{"at_ms": 40, "hex": "80FF", "note": "ignored"}"#;
        assert_eq!(RecordedBytes::of(line), Some(RecordedBytes { at_ms: 40, bytes: vec![0x80, 0xff] }));
        for line in ["", "{}", r#"{"at_ms": 1}"#, r#"{"at_ms": 1, "hex": "8"}"#, r#"{"at_ms": 0.5, "hex": ""}"#] {
            assert_eq!(RecordedBytes::of(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(head: String, line: String, mantissa: i64, exponent: i8) {
            let header = Header::of(&format!("time_s,hr,{head}"), None);
            let _ = header.map(|header| header.row(&line));
            let _ = RecordedBytes::of(&line);
            let _ = milliseconds(Decimal::new(mantissa, exponent));
        }

        #[test]
        fn milliseconds_are_a_thousandth(whole in -1_000_000_i64..1_000_000, millis in 0_i64..1000) {
            let seconds = Decimal::new(whole * 1000 + millis, -3);
            prop_assert_eq!(milliseconds(seconds), Some(whole * 1000 + millis));
            prop_assert_eq!(milliseconds(Decimal::from(whole)), Some(whole * 1000));
        }
    }
}
