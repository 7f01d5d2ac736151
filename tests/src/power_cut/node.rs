//! What a disk keeps of a file or a folder: what was synced, and what changed since.

use std::collections::BTreeMap;

use super::disk::{NodeId, SECTOR, Serial};

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Length(u64),
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Set(String, NodeId),
    Unset(String),
    Moved { from: String, to: String },
}

#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) synced: Vec<u8>,
    pub(super) changes: Vec<(Serial, Change)>,
    pub(super) length: u64,
}

#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) synced: BTreeMap<String, NodeId>,
    pub(super) changes: Vec<(Serial, NameChange)>,
    pub(super) now: BTreeMap<String, NodeId>,
}

impl Change {
    pub(super) const fn sectors(&self) -> u64 {
        match self {
            Self::Write { at, bytes } => (*at + bytes.len() as u64).div_ceil(SECTOR) - *at / SECTOR,
            Self::Length(_) => 0,
        }
    }
}

/// Applies a change: of a write those sectors that are there.
pub(super) fn apply(content: &mut Vec<u8>, change: &Change, is_there: &dyn Fn(u64) -> bool) {
    let (at, bytes) = match change {
        Change::Length(length) => return content.resize(*length as usize, 0),
        Change::Write { at, bytes } => (*at, bytes),
    };
    let mut rest = bytes.as_slice();
    let mut at = at;
    while !rest.is_empty() {
        let room = (SECTOR - at % SECTOR) as usize;
        let (piece, after) = rest.split_at(room.min(rest.len()));
        if is_there(at / SECTOR) {
            let (from, until) = (at as usize, at as usize + piece.len());
            if content.len() < until {
                content.resize(until, 0);
            }
            content[from..until].copy_from_slice(piece);
        }
        at += piece.len() as u64;
        rest = after;
    }
}

pub(super) fn rename_in(names: &mut BTreeMap<String, NodeId>, change: &NameChange) {
    match change {
        NameChange::Set(name, node) => {
            names.insert(name.clone(), *node);
        }
        NameChange::Unset(name) => {
            names.remove(name);
        }
        NameChange::Moved { from, to } => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
    }
}
