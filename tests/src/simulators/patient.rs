//! What is measured: made-up patients, and real ones' recordings.
//!
//! Made-up patients are deterministic: the same seed gives the same course.

use std::path::Path;

use anyhow::{Context, bail};

use super::Vitals;

/// A patient's course, second by second.
#[derive(Debug, Clone)]
pub enum Course {
    /// Made up.
    Synthetic(Synthetic),
    /// From a file: one entry a second.
    Recording(Vec<Vitals>),
}

impl Course {
    /// What an oximeter shows in this second; `None` when the course is over.
    #[must_use]
    pub fn at(&self, second: u64) -> Option<Vitals> {
        match self {
            Self::Synthetic(synthetic) => Some(synthetic.at(second)),
            Self::Recording(rows) => rows.get(usize::try_from(second).ok()?).cloned(),
        }
    }

    /// How long it lasts, in seconds; `None` is for ever.
    #[must_use]
    pub fn seconds(&self) -> Option<u64> {
        match self {
            Self::Synthetic(_) => None,
            Self::Recording(rows) => Some(rows.len() as u64),
        }
    }
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
        Vitals { pulse: Some(pulse), spo2: Some(spo2), finger: true }
    }
}

/// A number that follows from another and looks random (splitmix64).
#[must_use]
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A recording: a CSV with `time_s` and some of `hr`, `pulse`, `resp`, `spo2`.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What an oximeter can carry, a row for each second from the first row's time.
    pub oximeter: Vec<Vitals>,
    /// Whether there is a `resp` column with values, which an oximeter cannot carry.
    pub has_resp: bool,
    /// Rows in the file.
    pub rows: usize,
}

impl Recording {
    /// Reads a file; `None` if its header is not one of a recording.
    ///
    /// # Errors
    /// If it cannot be read, or a row's time is no number.
    pub fn read(file: &Path) -> anyhow::Result<Option<Self>> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
        let place = |name: &str| header.iter().position(|column| *column == name);
        let (Some(time), pulse, hr, spo2) = (place("time_s"), place("pulse"), place("hr"), place("spo2")) else {
            return Ok(None);
        };
        if pulse.or(hr).is_none() && spo2.is_none() {
            return Ok(None);
        }
        let resp = place("resp");
        let (mut oximeter, mut has_resp, mut rows, mut first) = (Vec::<Vitals>::new(), false, 0, None);
        for (number, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let cell = |place: Option<usize>| place.and_then(|place| cells.get(place)?.parse::<f64>().ok());
            let Some(at) = cell(Some(time)) else {
                bail!("{}:{}: the time is no number", file.display(), number + 2);
            };
            let second = (at - *first.get_or_insert(at)).max(0.0) as usize;
            // An oximeter shows whole numbers, and a pulse rate where the recording has only a heart rate.
            let rate = cell(pulse).or_else(|| cell(hr).filter(|_| pulse.is_none()));
            let vitals = Vitals {
                pulse: rate.map(f64::round).filter(|rate| (1.0..=320.0).contains(rate)).map(|rate| rate as u16),
                spo2: cell(spo2).map(f64::round).filter(|spo2| (1.0..=100.0).contains(spo2)).map(|spo2| spo2 as u8),
                finger: true,
            };
            has_resp |= cell(resp).is_some();
            rows += 1;
            if second >= MAX_SECONDS {
                bail!("{}: longer than {MAX_SECONDS} s", file.display());
            }
            // A monitor that missed a second shows the one before.
            let held = oximeter.last().cloned().unwrap_or_default();
            oximeter.resize(second, held);
            oximeter.push(vitals);
        }
        Ok((rows > 0).then_some(Self { oximeter, has_resp, rows }))
    }
}

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
        let shown: Vec<_> = recording.oximeter.iter().map(|vitals| (vitals.pulse, vitals.spo2)).collect();
        assert_eq!(shown, [(Some(82), Some(97)), (None, None), (None, None), (Some(82), Some(97))]);
        assert!(recording.has_resp);
        std::fs::write(&file, "file,age\nx,3\n").unwrap();
        assert!(Recording::read(&file).unwrap().is_none());
    }
}
