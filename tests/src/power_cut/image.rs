//! What a disk holds after a power cut, and which cuts are tried.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::disk::{Disk, Fates, Pending, Serial, Until};
use crate::simulators::patient::mix;

/// Files and folders, by their paths below the disk's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Files and what is in them.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// Folders, the disk's own (an empty path) among them.
    pub folders: BTreeSet<PathBuf>,
}

impl Image {
    /// A digest of all of it: two images that are alike have the same.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        let mut feed = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        self.folders.iter().for_each(|folder| feed(folder.as_os_str().as_encoded_bytes()));
        for (path, content) in &self.files {
            feed(path.as_os_str().as_encoded_bytes());
            feed(content);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }

    /// Writes it into a folder, which is emptied first.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        self.folders.iter().try_for_each(|path| std::fs::create_dir_all(folder.join(path)))?;
        self.files.iter().try_for_each(|(path, content)| std::fs::write(folder.join(path), content))
    }
}

/// What kind of cut it is: what becomes of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// All of it is lost.
    AllLost,
    /// All of it is there: the process was killed, the disk was not.
    AllKept,
    /// It is there up to some change, in order.
    CutShort,
    /// It is there up to some write, of which some sectors are there.
    Torn,
    /// Each sector is as it was at a moment of its own.
    Reordered,
    /// What files hold is there, and no change of names.
    NamesLost,
    /// Changes of names are there, and nothing of what files hold.
    OctetsLost,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::AllLost, Self::AllKept, Self::CutShort, Self::Torn, Self::Reordered, Self::NamesLost, Self::OctetsLost];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllLost => "all_lost",
            Self::AllKept => "all_kept",
            Self::CutShort => "cut_short",
            Self::Torn => "torn",
            Self::Reordered => "reordered",
            Self::NamesLost => "names_lost",
            Self::OctetsLost => "octets_lost",
        }
    }

    /// The disk after such a cut; `None` where this kind can be nothing that another is not. The seed decides where.
    #[must_use]
    pub fn cut(self, disk: &Disk, seed: u64) -> Option<Image> {
        let pending = disk.pending();
        let draw = |what: u64| mix(seed ^ mix(what));
        let pick = |among: &[Serial]| among.get(draw(1).checked_rem(among.len() as u64)? as usize).copied();
        let of = |is_meant: &dyn Fn(&Pending) -> bool| -> Vec<Serial> {
            pending.iter().filter(|pending| is_meant(pending)).map(|pending| pending.serial).collect()
        };
        let is_mixed = !of(&|pending| pending.is_name).is_empty() && !of(&|pending| !pending.is_name).is_empty();
        match self {
            Self::AllLost => Some(disk.image(&Until(0))),
            Self::AllKept => (!pending.is_empty()).then(|| disk.image(&Until(Serial::MAX))),
            // Neither before the first, which is nothing, nor after the last.
            Self::CutShort => pick(of(&|_| true).get(1..)?).map(|end| disk.image(&Until(end))),
            Self::Torn => {
                let torn = pick(&of(&|pending| pending.sectors > 1))?;
                Some(disk.image(&Torn { at: torn, seed }))
            }
            Self::Reordered => {
                let serials = of(&|_| true);
                (serials.len() > 1).then(|| disk.image(&Reordered { serials: &serials, seed }))
            }
            Self::NamesLost => is_mixed.then(|| disk.image(&OneKind { names: false })),
            Self::OctetsLost => is_mixed.then(|| disk.image(&OneKind { names: true })),
        }
    }
}

/// Everything before a write, and some sectors of it.
struct Torn {
    at: Serial,
    seed: u64,
}

impl Fates for Torn {
    fn is_there(&self, serial: Serial) -> bool {
        serial < self.at
    }
    fn sector_until(&self, file: usize, sector: u64) -> Serial {
        let is_written = mix(self.seed ^ mix(file as u64) ^ sector).is_multiple_of(2);
        if is_written { self.at + 1 } else { self.at }
    }
}

/// Each sector, and the names and lengths, as they were at moments of their own.
struct Reordered<'a> {
    serials: &'a [Serial],
    seed: u64,
}

impl Reordered<'_> {
    fn moment(&self, of: u64) -> Serial {
        // As often at an end as between.
        let draw = mix(self.seed ^ mix(of));
        match draw % 4 {
            0 => 0,
            1 => Serial::MAX,
            _ => self.serials.get((draw >> 8) as usize % self.serials.len().max(1)).copied().unwrap_or(0),
        }
    }
}

impl Fates for Reordered<'_> {
    fn is_there(&self, serial: Serial) -> bool {
        serial < self.moment(u64::MAX)
    }
    fn sector_until(&self, file: usize, sector: u64) -> Serial {
        self.moment((file as u64).rotate_left(40) ^ sector)
    }
}

/// All changes of names, or all of what files hold.
struct OneKind {
    names: bool,
}

impl Fates for OneKind {
    fn is_there(&self, _: Serial) -> bool {
        self.names
    }
    fn sector_until(&self, _: usize, _: u64) -> Serial {
        if self.names { 0 } else { Serial::MAX }
    }
}
