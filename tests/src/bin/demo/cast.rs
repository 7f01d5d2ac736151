//! Who takes part: made-up patients, or one for each recording.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tests::patients;
use tests::simulators::Protocol;
use tests::simulators::patient::{Course, Recording, Synthetic};

/// When the falling patient's saturation begins to fall, in seconds.
pub(crate) const FALLS_FROM_S: u64 = 8;
/// Most patients: their pseudo-terminals and threads must fit on a small machine.
const MEMBERS_MAX: usize = 64;

/// A patient and their oximeter.
pub(crate) struct Member {
    /// The name the server is told.
    pub(crate) name: String,
    /// Their NHS number, made up.
    pub(crate) nhs_number: String,
    /// What their oximeter speaks.
    pub(crate) protocol: Protocol,
    /// What it measures.
    pub(crate) course: Course,
    /// A recording with what no oximeter carries.
    pub(crate) replay: Option<PathBuf>,
}

impl Member {
    /// Whether they deteriorate by design.
    pub(crate) const fn falls(&self) -> bool {
        matches!(self.course, Course::Synthetic(Synthetic { falls_from: Some(_), .. }))
    }
}

/// Everybody.
pub(crate) struct Cast {
    /// The patients, in the order of their homes.
    pub(crate) members: Vec<Member>,
    /// How many homes they live in.
    pub(crate) homes: usize,
}

/// Nonin and BCI in turn, so that each home has both.
fn protocol(place: usize) -> Protocol {
    if place.is_multiple_of(2) { Protocol::NoninDf7 } else { Protocol::Bci }
}

impl Cast {
    /// Four made-up patients in two homes; one of them deteriorates.
    pub(crate) fn made_up() -> Self {
        let usual = [(72, 97, None), (64, 98, None), (81, 96, Some(FALLS_FROM_S)), (58, 97, None)];
        let members = usual.into_iter().enumerate().map(|(place, (pulse, spo2, falls_from))| Member {
            name: patients::NAMES[place].to_owned(),
            nhs_number: patients::nhs_number(place as u64),
            protocol: protocol(place),
            course: Course::Synthetic(Synthetic { seed: place as u64, pulse, spo2, falls_from }),
            replay: None,
        });
        Self { members: members.collect(), homes: 2 }
    }

    /// One patient for each recording in a folder, by the file's name.
    pub(crate) fn recorded(folder: &Path) -> anyhow::Result<Self> {
        let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "csv"));
        files.sort();
        let mut members = Vec::new();
        for file in files {
            // Other tables lie beside recordings; their header says that they are none.
            let Some(recording) = Recording::read(&file)?.filter(|recording| recording.has_oximetry) else { continue };
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            members.push(Member {
                name,
                nhs_number: patients::nhs_number(members.len() as u64),
                protocol: protocol(members.len()),
                course: Course::Recording(recording.shown),
                replay: recording.has_resp.then(|| file.canonicalize().unwrap_or(file)),
            });
        }
        match members.len() {
            0 => bail!("no recording in {}: a CSV with time_s and pulse, hr or spo2", folder.display()),
            count if count > MEMBERS_MAX => bail!("{count} recordings; at most {MEMBERS_MAX} are played at once"),
            count => Ok(Self { members, homes: count.div_ceil(7).max(2).min(count) }),
        }
    }
}
