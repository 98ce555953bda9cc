//! What a [`super::MemDisk`] holds, what a crash takes from it, and when it fails.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::{Fault, ReadFault};
use crate::server::store::disk::{Error, Result};

#[derive(Debug, Default, Clone)]
pub(super) struct State {
    pub(super) inodes: Vec<Inode>,
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable_names: BTreeMap<PathBuf, usize>,
    pub(super) unsynced: Vec<DirChange>,
    pub(super) locked: BTreeMap<PathBuf, String>,
    pub(super) operations: u64,
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) reads: u64,
    pub(super) read_faults: BTreeMap<u64, ReadFault>,
    pub(super) crashed: bool,
    pub(super) boot: u64,
    pub(super) random: u64,
    pub(super) free_bytes: u64,
}

/// Content trimmed to the last byte ever written: `len` may lie far behind it, all zeros between.
#[derive(Debug, Default, Clone)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) len: u64,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Inode {
    pub(super) now: Content,
    pub(super) durable: Content,
    pub(super) unreadable: bool,
}

#[derive(Debug, Clone)]
pub(super) enum DirChange {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// Free bytes unless a test says otherwise.
pub(super) const ROOMY: u64 = 1 << 40;

impl State {
    /// Counts a read and says what goes wrong with it.
    pub(super) fn begin_read(&mut self, path: &Path) -> Option<ReadFault> {
        let number = self.reads;
        self.reads += 1;
        let fault = self.read_faults.remove(&number)?;
        let spared =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with("Epoch"));
        if fault == ReadFault::Flip && spared {
            self.read_faults.insert(self.reads, fault);
            return None;
        }
        Some(fault)
    }

    /// Counts a changing operation and says what goes wrong with it.
    pub(super) fn begin(&mut self, op: &'static str, path: &Path) -> Result<Option<Fault>> {
        self.alive(op, path)?;
        let number = self.operations;
        self.operations += 1;
        let fault = self.faults.get(&number).copied();
        match fault {
            Some(Fault::Crash) => self.crashed = true,
            Some(Fault::NoSpace) => self.free_bytes = 0,
            Some(Fault::Io) | None => {}
        }
        Ok(fault)
    }

    pub(super) fn alive(&self, op: &'static str, path: &Path) -> Result<()> {
        match self.crashed {
            true => Err(Error::new(op, path, io::Error::other("the machine has crashed"))),
            false => Ok(()),
        }
    }

    pub(super) fn end(fault: Option<Fault>, op: &'static str, path: &Path) -> Result<()> {
        match fault {
            Some(Fault::Crash) => Err(Error::new(op, path, io::Error::other("the machine has crashed"))),
            Some(Fault::Io) => Err(Error::new(op, path, io::Error::other("Input/output error"))),
            Some(Fault::NoSpace) | None => Ok(()),
        }
    }

    /// Takes room for a file's growth; a name or a directory takes none, but needs a disk that is
    /// not full.
    pub(super) fn take_room(&mut self, growth: u64, op: &'static str, path: &Path) -> Result<()> {
        match self.free_bytes.checked_sub(growth) {
            Some(left) => self.free_bytes = left,
            None => return Err(Error::new(op, path, io::ErrorKind::StorageFull.into())),
        }
        Ok(())
    }

    pub(super) fn need_room(&mut self, op: &'static str, path: &Path) -> Result<()> {
        match self.free_bytes {
            0 => Err(Error::new(op, path, io::ErrorKind::StorageFull.into())),
            _ => Ok(()),
        }
    }

    pub(super) fn add_dirs(&mut self, dir: &Path) {
        self.dirs.extend(dir.ancestors().map(Path::to_owned));
    }

    pub(super) fn random(&mut self) -> u64 {
        // SplitMix64: small, and good enough to choose sectors.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn power_cycle(&mut self) {
        self.lose_dir_changes();
        for index in 0..self.inodes.len() {
            self.lose_sectors(index);
        }
        self.crashed = false;
        self.end_process();
    }

    pub(super) fn end_process(&mut self) {
        self.boot += 1;
        self.locked.clear();
    }

    fn lose_dir_changes(&mut self) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let dirs: BTreeSet<PathBuf> = unsynced.iter().map(DirChange::dir).collect();
        for dir in dirs {
            let changes: Vec<_> = unsynced.iter().filter(|change| change.dir() == dir).cloned().collect();
            let kept = (self.random() % (changes.len() as u64 + 1)) as usize;
            for change in &changes[..kept] {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
    }

    fn lose_sectors(&mut self, index: usize) {
        let Inode { now, durable, unreadable } = std::mem::take(&mut self.inodes[index]);
        let mut after = durable.clone();
        let written = now.bytes.len().max(durable.bytes.len());
        if now.bytes != durable.bytes {
            after.bytes.resize(written, 0);
            for start in (0..written).step_by(SECTOR) {
                let end = (start + SECTOR).min(written);
                let new = now.part(start, end);
                if after.part(start, end) != new && self.random() & 1 == 0 {
                    after.bytes[start..end].copy_from_slice(&new);
                }
            }
        }
        if now.len != durable.len && self.random() & 1 == 0 {
            after.len = now.len;
        }
        after.bytes.truncate(usize::try_from(after.len).unwrap_or(usize::MAX));
        self.inodes[index] = Inode { now: after.clone(), durable: after, unreadable };
    }
}

impl Content {
    fn part(&self, start: usize, end: usize) -> Vec<u8> {
        let mut part = self.bytes.get(start..end.min(self.bytes.len())).unwrap_or_default().to_vec();
        part.resize(end - start, 0);
        part
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let start = usize::try_from(offset).expect("test files stay far below the address space");
        let end = start + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(bytes);
        self.len = self.len.max(end as u64);
    }

    pub(super) fn truncate(&mut self, len: u64) {
        self.bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        self.len = len;
    }
}

impl DirChange {
    pub(super) fn dir(&self) -> PathBuf {
        let (DirChange::Create(path, _) | DirChange::Rename(path, _) | DirChange::Remove(path)) = self;
        path.parent().map(Path::to_owned).unwrap_or_default()
    }

    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            DirChange::Create(path, inode) => drop(names.insert(path.clone(), *inode)),
            DirChange::Remove(path) => drop(names.remove(path)),
            DirChange::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

const SECTOR: usize = 512;
