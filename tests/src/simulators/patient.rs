//! What is measured: made-up patients, and real ones' recordings.
//!
//! Made-up patients are deterministic: the same seed gives the same course.

use std::path::Path;

use anyhow::{Context, bail};

use super::{Pressure, Vitals};

/// A patient's course, second by second.
#[derive(Debug, Clone)]
pub enum Course {
    /// Made up.
    Synthetic(Synthetic),
    /// From a file: one entry a second.
    Recording(Vec<Vitals>),
    /// So many seconds, each of which tells its number; see [`numbered`].
    Numbered(u64),
}

impl Course {
    /// What an oximeter shows in this second; `None` when the course is over.
    #[must_use]
    pub fn at(&self, second: u64) -> Option<Vitals> {
        match self {
            Self::Synthetic(synthetic) => Some(synthetic.at(second)),
            Self::Recording(rows) => rows.get(usize::try_from(second).ok()?).cloned(),
            Self::Numbered(seconds) => (second < *seconds).then(|| numbered(second)),
        }
    }

    /// How long it lasts, in seconds; `None` is for ever.
    #[must_use]
    pub fn seconds(&self) -> Option<u64> {
        match self {
            Self::Synthetic(_) => None,
            Self::Recording(rows) => Some(rows.len() as u64),
            Self::Numbered(seconds) => Some(*seconds),
        }
    }
}

/// How many seconds in a row a numbered course can tell apart. All its values are within the widest limits of the hub's keep
/// rule (SpO₂ 92, pulse 41 to 130), so that most are sealed some together, as most of a patient's are.
pub const NUMBERS: u64 = PULSES * SATURATIONS;
const PULSES: u64 = 90;
const SATURATIONS: u64 = 9;
const PULSE_FROM: u64 = 41;
const SPO2_FROM: u64 = 92;

/// A pulse and a saturation that tell which second they are, modulo [`NUMBERS`]; the pulse changes each second.
#[must_use]
pub const fn numbered(second: u64) -> Vitals {
    let pulse = (PULSE_FROM + second % PULSES) as u16;
    let spo2 = (SPO2_FROM + second / PULSES % SATURATIONS) as u8;
    Vitals::on_finger(Some(pulse), Some(spo2))
}

/// The number that a pulse and a saturation tell, if they are of a numbered course.
#[must_use]
pub fn number_of(pulse: u64, spo2: u64) -> Option<u64> {
    let (pulse, spo2) = (pulse.checked_sub(PULSE_FROM)?, spo2.checked_sub(SPO2_FROM)?);
    (pulse < PULSES && spo2 < SATURATIONS).then_some(spo2 * PULSES + pulse)
}

/// A made-up course around usual values.
#[derive(Debug, Clone, Copy)]
pub struct Synthetic {
    /// Decides the small changes.
    pub seed: u64,
    /// The usual pulse, per minute.
    pub pulse: u16,
    /// The usual saturation, per cent.
    pub spo2: u8,
    /// When saturation begins to fall, by one per cent each second, to a low plateau.
    pub falls_from: Option<u64>,
}

/// Where a falling saturation stays, in per cent: far below the lowest usual limit.
pub const PLATEAU_SPO2: u8 = 81;

impl Synthetic {
    /// What an oximeter shows in this second.
    #[must_use]
    pub fn at(&self, second: u64) -> Vitals {
        // Changes every five seconds, as an average over beats does.
        let noise = mix(self.seed ^ (second / 5));
        let wander = (noise % 5) as i32 - 2;
        let fallen = self.falls_from.map_or(0, |from| second.saturating_sub(from));
        let floor = PLATEAU_SPO2.min(self.spo2);
        let spo2 =
            i32::from(self.spo2) - i32::try_from(fallen).unwrap_or(i32::MAX).min(100) + ((noise >> 8) % 2) as i32;
        let spo2 = spo2.clamp(i32::from(floor), 100) as u8;
        // The heart runs faster while saturation falls.
        let hurry = i32::from(self.spo2.saturating_sub(spo2));
        let pulse = (i32::from(self.pulse) + wander + hurry).clamp(20, 250) as u16;
        let spot = |every: u64| second % every == every / 2;
        let systolic = 118 + noise % 9;
        Vitals {
            perfusion: Some(300 + (noise >> 16) as u16 % 100),
            pressure: spot(PRESSURE_EVERY).then(|| Pressure::of(systolic as u16, 76 + (noise >> 4) as u16 % 5)),
            weight_g: spot(WEIGHT_EVERY).then_some(81_200 + (noise % 4) as u32 * 100),
            glucose_mg_dl: spot(GLUCOSE_EVERY).then_some(95 + (noise % 30) as u16),
            ..Vitals::on_finger(Some(pulse), Some(spo2))
        }
    }
}

/// How often a made-up patient measures their blood pressure, in seconds.
const PRESSURE_EVERY: u64 = 60;
/// How often they step on the scale, in seconds.
const WEIGHT_EVERY: u64 = 120;
/// How often they measure their blood glucose, in seconds.
const GLUCOSE_EVERY: u64 = 90;

/// A number that follows from another and looks random (splitmix64).
#[must_use]
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A recording: a CSV with `time_s` and some of `hr`, `pulse`, `resp`, `spo2`, `sbp`, `dbp`, `map`, `weight_kg` and
/// `glucose_mgdl`; or with `local_time`, whose rows are measurements apart from each other, played [`ROWS_APART`] seconds
/// apart.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What devices show, a row for each second from the first row's time.
    pub shown: Vec<Vitals>,
    /// Whether there is a pulse or a saturation.
    pub has_oximetry: bool,
    /// Whether there is a `resp` column with values, which an oximeter cannot carry.
    pub has_resp: bool,
    /// Rows in the file.
    pub rows: usize,
}

/// Where a recording's columns are.
struct Columns {
    time: Option<usize>,
    hr: Option<usize>,
    pulse: Option<usize>,
    resp: Option<usize>,
    spo2: Option<usize>,
    /// Systolic, diastolic, mean.
    pressure: [Option<usize>; 3],
    weight: Option<usize>,
    glucose: Option<usize>,
}

impl Columns {
    fn of(header: &str) -> Option<Self> {
        let header: Vec<&str> = header.split(',').map(str::trim).collect();
        let place = |name: &str| header.iter().position(|column| *column == name);
        let columns = Self {
            time: place("time_s"),
            hr: place("hr"),
            pulse: place("pulse"),
            resp: place("resp"),
            spo2: place("spo2"),
            pressure: ["sbp", "dbp", "map"].map(place),
            weight: place("weight_kg"),
            glucose: place("glucose_mgdl"),
        };
        let values = [columns.hr, columns.pulse, columns.spo2, columns.pressure[0], columns.weight, columns.glucose];
        let is_timed = columns.time.is_some() || place("local_time").is_some();
        (is_timed && values.iter().any(Option::is_some)).then_some(columns)
    }

    /// What devices show of a row: whole numbers, and a pulse rate where the recording has only a heart rate.
    fn vitals(&self, cell: impl Fn(Option<usize>) -> Option<f64>) -> Vitals {
        let whole = |place, within: std::ops::RangeInclusive<f64>| {
            cell(place).map(f64::round).filter(|value| within.contains(value)).map(|value| value as u16)
        };
        let rate =
            whole(self.pulse, 1.0..=320.0).or_else(|| whole(self.hr.filter(|_| self.pulse.is_none()), 1.0..=320.0));
        let [systolic, diastolic, mean] = self.pressure.map(|place| whole(place, 1.0..=300.0));
        let pressure = systolic.zip(diastolic).map(|(systolic, diastolic)| {
            let usual = Pressure::of(systolic, diastolic);
            Pressure { mean: mean.unwrap_or(usual.mean), ..usual }
        });
        Vitals {
            pressure,
            weight_g: cell(self.weight).map(|kg| (kg * 1000.0).round()).filter(|g| *g >= 1.0).map(|g| g as u32),
            glucose_mg_dl: whole(self.glucose, 1.0..=1000.0),
            ..Vitals::on_finger(rate, whole(self.spo2, 1.0..=100.0).map(|spo2| spo2 as u8))
        }
    }
}

impl Recording {
    /// Reads a file; `None` if its header is not one of a recording.
    ///
    /// # Errors
    /// If it cannot be read, or a row's time is no number.
    pub fn read(file: &Path) -> anyhow::Result<Option<Self>> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut lines = text.lines();
        let Some(columns) = Columns::of(lines.next().unwrap_or_default()) else { return Ok(None) };
        let mut recording = Self { shown: Vec::new(), has_oximetry: false, has_resp: false, rows: 0 };
        let mut first = None;
        for (number, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let cell = |place: Option<usize>| place.and_then(|place| cells.get(place)?.parse::<f64>().ok());
            let second = match columns.time {
                None => recording.rows * ROWS_APART,
                Some(_) => {
                    let Some(at) = cell(columns.time) else {
                        bail!("{}:{}: the time is no number", file.display(), number + 2);
                    };
                    (at - *first.get_or_insert(at)).max(0.0) as usize
                }
            };
            if second >= MAX_SECONDS {
                bail!("{}: longer than {MAX_SECONDS} s", file.display());
            }
            let vitals = columns.vitals(cell);
            recording.has_oximetry |= vitals.pulse.is_some() || vitals.spo2.is_some();
            recording.has_resp |= cell(columns.resp).is_some();
            recording.rows += 1;
            // A monitor that missed a second shows the one before; a measurement is of its own second only.
            let held = recording.shown.last().cloned().unwrap_or_default();
            let held = Vitals { pressure: None, weight_g: None, glucose_mg_dl: None, ..held };
            recording.shown.resize(second, held);
            recording.shown.push(vitals);
        }
        Ok((recording.rows > 0).then_some(recording))
    }
}

/// How far apart rows of a recording by local time are played, in seconds.
const ROWS_APART: usize = 60;
/// Longest recording, in seconds; a longer one is refused.
const MAX_SECONDS: usize = 7 * 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_course_and_the_fall_reaches_its_plateau() {
        let course = Synthetic { seed: 7, pulse: 72, spo2: 97, falls_from: Some(10) };
        for second in 0..100 {
            assert_eq!(course.at(second), course.at(second));
        }
        assert!((0..10).all(|second| course.at(second).spo2.unwrap() >= 97));
        assert!((30..100).all(|second| course.at(second).spo2.unwrap() <= PLATEAU_SPO2 + 1));
    }

    #[test]
    fn a_recording_is_rounded_as_an_oximeter_would_and_gaps_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "time_s,hr,pulse,resp,spo2\n5,80,81.6,12,96.5\n6,80,,12,\n8,80,82,,97\n").unwrap();
        let recording = Recording::read(&file).unwrap().unwrap();
        let shown: Vec<_> = recording.shown.iter().map(|vitals| (vitals.pulse, vitals.spo2)).collect();
        assert_eq!(shown, [(Some(82), Some(97)), (None, None), (None, None), (Some(82), Some(97))]);
        assert!(recording.has_resp);
        std::fs::write(&file, "file,age\nx,3\n").unwrap();
        assert!(Recording::read(&file).unwrap().is_none());
    }

    #[test]
    fn measurements_are_of_their_own_second() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        std::fs::write(&file, "local_time,sbp,dbp,map,pulse\n2016-12-27T09:23:00,123,58,81,72\nx,124,60,,76\n")
            .unwrap();
        let recording = Recording::read(&file).unwrap().unwrap();
        let pressures: Vec<_> = recording.shown.iter().map(|vitals| vitals.pressure).collect();
        assert_eq!(pressures.len(), ROWS_APART + 1);
        assert_eq!(pressures[0], Some(Pressure { systolic: 123, diastolic: 58, mean: 81 }));
        assert_eq!(pressures[ROWS_APART], Some(Pressure::of(124, 60)));
        assert_eq!(pressures.iter().flatten().count(), 2);
        std::fs::write(&file, "time_s,weight_kg,glucose_mgdl\n0,81.25,\n5,,104\n").unwrap();
        let recording = Recording::read(&file).unwrap().unwrap();
        assert!(!recording.has_oximetry);
        assert_eq!((recording.shown[0].weight_g, recording.shown[5].glucose_mg_dl), (Some(81_250), Some(104)));
    }

    #[test]
    fn a_numbered_course_tells_its_seconds_apart() {
        for second in 0..NUMBERS * 2 {
            let Vitals { pulse, spo2, .. } = Course::Numbered(NUMBERS * 2).at(second).unwrap();
            assert_eq!(number_of(pulse.unwrap().into(), spo2.unwrap().into()), Some(second % NUMBERS));
        }
        assert_eq!(Course::Numbered(7).at(7), None);
        assert_eq!((number_of(40, 92), number_of(131, 92), number_of(41, 101)), (None, None, None));
    }
}
