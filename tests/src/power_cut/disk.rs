//! A disk as a power cut leaves it: what programs wrote, told apart into what was synced and what was not.
//!
//! It follows a trace of system calls. What it promises after a cut is no more than POSIX does: a file's octets are there once
//! `fsync` or `fdatasync` of that file returned, a name once `fsync` of its folder did. Until then anything may be lost. Three
//! orders are kept, because caches and journals keep them: each sector is as it was at some moment since the last sync, each
//! at another (a cache holds one copy of a sector, and writes it out whole); names of one folder come in the order in which
//! they were changed; and nothing that came after a lost change of a file's length is there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::argument::{angled, descriptor, octets, path};
use super::image::Image;
use super::node::{Change, File, Folder, NameChange, apply, rename_in};
use crate::strace::Call;

/// What a disk writes whole or not at all, in octets.
pub const SECTOR: u64 = 512;

/// The calls that change files, and those that tell where a descriptor stands.
pub const CALLS: &str = "openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,write,writev,pwrite64,\
    pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,fsync,fdatasync,sync,syncfs,lseek,read,readv,\
    close,dup,dup2,dup3,fcntl,link,linkat,symlink,symlinkat,mmap";

/// The place of a change in the order in which changes were made.
pub type Serial = u64;
/// A file or folder.
pub(super) type NodeId = usize;

/// What of the changes that were not synced is there.
pub trait Fates {
    /// Whether a change of names or of a length is there.
    fn is_there(&self, serial: Serial) -> bool;
    /// Of a sector of a file: changes before this one are there, it and later ones are not.
    fn sector_until(&self, file: usize, sector: u64) -> Serial;
}

/// All of them, up to one.
#[derive(Debug, Clone, Copy)]
pub struct Until(pub Serial);

impl Fates for Until {
    fn is_there(&self, serial: Serial) -> bool {
        serial < self.0
    }
    fn sector_until(&self, _: usize, _: u64) -> Serial {
        self.0
    }
}

#[derive(Debug)]
enum Node {
    File(File),
    Folder(Folder),
}

#[derive(Debug, Clone, Copy)]
struct Handle {
    node: NodeId,
    offset: u64,
    appends: bool,
}

/// A change that was not synced yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Its place in the order of all.
    pub serial: Serial,
    /// Whether it is a name's; otherwise it is of a file's octets.
    pub is_name: bool,
    /// Sectors that it writes; none if it is no write.
    pub sectors: u64,
}

/// The disk below one folder.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    handles: HashMap<i64, Handle>,
    serial: Serial,
}

impl Disk {
    /// An empty folder, which is there and stays there.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), nodes: vec![Node::Folder(Folder::default())], handles: HashMap::new(), serial: 0 }
    }

    /// Follows one call. Calls on files elsewhere are passed over.
    ///
    /// # Errors
    /// If the call changes a file below the folder in a way that this model has no words for.
    pub fn follow(&mut self, call: &Call) -> anyhow::Result<()> {
        if call.result < 0 {
            return Ok(());
        }
        self.dispatch(call).with_context(|| format!("{}({:.200}) = {}", call.name, call.arguments, call.result))
    }

    fn dispatch(&mut self, call: &Call) -> anyhow::Result<()> {
        let arguments: Vec<&str> = call.arguments.split(", ").collect();
        let argument = |place: usize| arguments.get(place).copied().unwrap_or_default();
        match call.name.as_str() {
            "openat" => self.open(argument(1), argument(2), call.result),
            "mkdir" => self.make_folder(argument(0)),
            "mkdirat" => self.make_folder(argument(1)),
            "rename" => self.rename(argument(0), argument(1)),
            "renameat" | "renameat2" => self.rename(argument(1), argument(3)),
            "unlink" | "rmdir" => self.unlink(argument(0), None),
            "unlinkat" => self.unlink(argument(1), Some(argument(0))),
            "pwrite64" => {
                let at = argument(3).parse()?;
                self.write(argument(0), argument(1), call.result, Some(at))
            }
            "write" => self.write(argument(0), argument(1), call.result, None),
            "ftruncate" => {
                let length = argument(1).parse()?;
                self.cut(argument(0), length)
            }
            "fsync" | "fdatasync" => {
                if let Some(handle) = self.handle(argument(0)) {
                    self.sync(handle.node);
                }
                Ok(())
            }
            "lseek" | "read" | "readv" => {
                let by = u64::try_from(call.result)?;
                if let Some(handle) = descriptor(argument(0)).and_then(|number| self.handles.get_mut(&number)) {
                    handle.offset = if call.name == "lseek" { by } else { handle.offset + by };
                }
                Ok(())
            }
            "close" => {
                descriptor(argument(0)).map(|number| self.handles.remove(&number));
                Ok(())
            }
            "dup" | "dup2" | "dup3" | "fcntl" => self.duplicate(call, &arguments),
            "mmap" => self.map(&arguments),
            "sync" | "syncfs" => bail!("a sync of everything, which the model does not follow"),
            _ => self.refuse(&arguments),
        }
    }

    fn refuse(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let is_ours = |argument: &&str| {
            self.handle(argument).is_some() || path(argument).is_some_and(|path| path.starts_with(&self.root))
        };
        if arguments.iter().any(is_ours) {
            bail!("the model of the disk does not know this call");
        }
        Ok(())
    }

    fn duplicate(&mut self, call: &Call, arguments: &[&str]) -> anyhow::Result<()> {
        let is_copy = call.name != "fcntl" || arguments.get(1).is_some_and(|what| what.starts_with("F_DUPFD"));
        // Both descriptors share an offset; only descriptors that are written at given places are known to be copied.
        if let Some(handle) = arguments.first().filter(|_| is_copy).and_then(|argument| self.handle(argument)) {
            self.handles.insert(call.result, handle);
        }
        Ok(())
    }

    /// A mapping that can be written is writing without a call. SQLite's shared index is one; it is made anew after a cut.
    fn map(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let [_, _, protection, flags, file, ..] = arguments else { return Ok(()) };
        let is_written = protection.contains("PROT_WRITE") && flags.contains("MAP_SHARED");
        let is_index = angled(file).is_some_and(|path| path.to_string_lossy().ends_with("-shm"));
        if is_written && self.handle(file).is_some() && !is_index {
            bail!("a file is mapped to be written, which no trace shows");
        }
        Ok(())
    }

    fn open(&mut self, name: &str, flags: &str, descriptor: i64) -> anyhow::Result<()> {
        self.handles.remove(&descriptor);
        let Some((parent, name)) = self.place(name)? else { return Ok(()) };
        let has = |flag: &str| flags.split('|').any(|word| word == flag);
        let Some(name) = name else {
            self.handles.insert(descriptor, Handle { node: parent, offset: 0, appends: false });
            return Ok(());
        };
        let node = match self.folder(parent)?.now.get(&name) {
            Some(node) => *node,
            None if has("O_CREAT") => {
                let node = self.add(Node::File(File::default()));
                self.change_names(parent, NameChange::Set(name, node))?;
                node
            }
            None => bail!("opened, and unknown to the model"),
        };
        self.handles.insert(descriptor, Handle { node, offset: 0, appends: has("O_APPEND") });
        if has("O_TRUNC") { self.cut_node(node, 0) } else { Ok(()) }
    }

    fn make_folder(&mut self, name: &str) -> anyhow::Result<()> {
        if let Some((parent, Some(name))) = self.place(name)? {
            let node = self.add(Node::Folder(Folder::default()));
            self.change_names(parent, NameChange::Set(name, node))?;
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> anyhow::Result<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        let (Some((from_folder, Some(from))), Some((to_folder, Some(to)))) = (from, to) else { return Ok(()) };
        if from_folder == to_folder {
            return self.change_names(from_folder, NameChange::Moved { from, to });
        }
        bail!("a name goes from one folder to another, which the model has no order for")
    }

    fn unlink(&mut self, name: &str, at: Option<&str>) -> anyhow::Result<()> {
        // `unlinkat` of a name in an open folder: as `remove_dir_all` does it.
        let place = match at.and_then(|at| self.handle(at)) {
            Some(folder) => path(name).map(|name| (folder.node, Some(name.to_string_lossy().into_owned()))),
            None => self.place(name)?,
        };
        match place {
            Some((parent, Some(name))) => self.change_names(parent, NameChange::Unset(name)),
            _ => Ok(()),
        }
    }

    fn write(&mut self, file: &str, text: &str, count: i64, at: Option<u64>) -> anyhow::Result<()> {
        let Some(handle) = self.handle(file) else { return Ok(()) };
        let mut bytes = octets(text).context("what was written is not in the trace")?;
        bytes.truncate(usize::try_from(count)?);
        anyhow::ensure!(bytes.len() == usize::try_from(count)?, "the trace holds less than was written");
        let serial = self.next_serial();
        let Some(Node::File(node)) = self.nodes.get_mut(handle.node) else { bail!("a folder was written to") };
        let at = at.unwrap_or(if handle.appends { node.length } else { handle.offset });
        let end = at + bytes.len() as u64;
        node.length = node.length.max(end);
        node.changes.push((serial, Change::Write { at, bytes }));
        if let Some(handle) = descriptor(file).and_then(|number| self.handles.get_mut(&number)) {
            handle.offset = end;
        }
        Ok(())
    }

    fn cut(&mut self, file: &str, length: u64) -> anyhow::Result<()> {
        self.handle(file).map_or(Ok(()), |handle| self.cut_node(handle.node, length))
    }

    fn cut_node(&mut self, node: NodeId, length: u64) -> anyhow::Result<()> {
        let serial = self.next_serial();
        let Some(Node::File(file)) = self.nodes.get_mut(node) else { bail!("a folder has no length") };
        file.length = length;
        file.changes.push((serial, Change::Length(length)));
        Ok(())
    }

    fn sync(&mut self, node: NodeId) {
        match self.nodes.get_mut(node) {
            Some(Node::File(file)) => {
                for (_, change) in std::mem::take(&mut file.changes) {
                    apply(&mut file.synced, &change, &|_| true);
                }
            }
            Some(Node::Folder(folder)) => {
                folder.changes.clear();
                folder.synced = folder.now.clone();
            }
            None => {}
        }
    }

    fn change_names(&mut self, folder: NodeId, change: NameChange) -> anyhow::Result<()> {
        let serial = self.next_serial();
        let Some(Node::Folder(folder)) = self.nodes.get_mut(folder) else { bail!("not a folder") };
        rename_in(&mut folder.now, &change);
        folder.changes.push((serial, change));
        Ok(())
    }

    fn next_serial(&mut self) -> Serial {
        self.serial += 1;
        self.serial
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn folder(&self, node: NodeId) -> anyhow::Result<&Folder> {
        match self.nodes.get(node) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => bail!("not a folder"),
        }
    }

    fn handle(&self, argument: &str) -> Option<Handle> {
        self.handles.get(&descriptor(argument)?).copied()
    }

    /// The folder a path leads to and the last name in it; none for the root itself, nothing for a path elsewhere.
    fn place(&self, argument: &str) -> anyhow::Result<Option<(NodeId, Option<String>)>> {
        let Some(path) = path(argument) else { return Ok(None) };
        let Ok(below) = path.strip_prefix(&self.root) else { return Ok(None) };
        let mut names: Vec<String> = below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        let last = names.pop();
        let mut folder = 0;
        for name in names {
            folder = *self.folder(folder)?.now.get(&name).with_context(|| format!("no folder {name}"))?;
        }
        Ok(Some((folder, last)))
    }

    /// How many changes there were so far.
    #[must_use]
    pub const fn changes(&self) -> Serial {
        self.serial
    }

    /// What is not synced, in order.
    #[must_use]
    pub fn pending(&self) -> Vec<Pending> {
        let of = |node: &Node| -> Vec<Pending> {
            match node {
                Node::File(file) => {
                    let pending = |(serial, change): &(Serial, Change)| Pending {
                        serial: *serial,
                        is_name: false,
                        sectors: change.sectors(),
                    };
                    file.changes.iter().map(pending).collect()
                }
                Node::Folder(folder) => {
                    let pending =
                        |(serial, _): &(Serial, NameChange)| Pending { serial: *serial, is_name: true, sectors: 0 };
                    folder.changes.iter().map(pending).collect()
                }
            }
        };
        let mut pending: Vec<Pending> = self.nodes.iter().flat_map(of).collect();
        pending.sort_by_key(|pending| pending.serial);
        pending
    }

    /// The disk after a cut now, if this becomes of what is not synced.
    #[must_use]
    pub fn image(&self, fates: &dyn Fates) -> Image {
        let mut image = Image::default();
        self.fill(0, Path::new(""), fates, &mut image);
        image
    }

    fn fill(&self, node: NodeId, path: &Path, fates: &dyn Fates, image: &mut Image) {
        match self.nodes.get(node) {
            Some(Node::File(file)) => {
                let mut content = file.synced.clone();
                for (serial, change) in &file.changes {
                    if matches!(change, Change::Length(_)) && !fates.is_there(*serial) {
                        break;
                    }
                    apply(&mut content, change, &|sector| *serial < fates.sector_until(node, sector));
                }
                image.files.insert(path.to_owned(), content);
            }
            Some(Node::Folder(folder)) => {
                image.folders.insert(path.to_owned());
                let mut names = folder.synced.clone();
                let kept = folder.changes.iter().take_while(|(serial, _)| fates.is_there(*serial));
                kept.for_each(|(_, change)| rename_in(&mut names, change));
                for (name, node) in names {
                    self.fill(node, &path.join(name), fates, image);
                }
            }
            None => {}
        }
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
