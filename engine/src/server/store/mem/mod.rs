//! A disk in memory that forgets what was not synced: for tests and the simulator. Everything it
//! does follows from the calls and one seed.
//!
//! What a crash may do to it, as a real disk may: each 512-byte sector written since the last
//! [`File::sync_data`] is there or is not, independently; the length is the old or the new one;
//! of each directory's changes since its last [`Disk::sync_dir`] a prefix survives. It does not
//! model subdirectory creation being lost, bit rot (tests flip bits with [`MemDisk::edit`]), or reordering of
//! changes inside one directory.

mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, Error, File, Lock, Result};
use state::{Content, DirChange, Inode, ROOMY, State};

/// A disk in memory; clones share it.
#[derive(Debug, Clone)]
pub struct MemDisk {
    state: Arc<Mutex<State>>,
}

/// What goes wrong at a numbered operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The machine stops: the operation may have taken effect in part, every later one fails
    /// until [`MemDisk::restart`].
    Crash,
    /// The disk is full from this operation on, until [`MemDisk::clear_faults`].
    NoSpace,
    /// This one operation fails with EIO; a write has then taken effect by half.
    Io,
}

/// What goes wrong at a numbered read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFault {
    /// It fails with EIO.
    Io,
    /// One bit of what it gets is wrong, the disk's is not. An epoch file is spared, the next read is hit instead:
    /// it has no checksum, and a larger number than the one on record is taken at its word.
    Flip,
}

/// An open file of a [`MemDisk`].
#[derive(Debug)]
pub struct MemFile {
    disk: MemDisk,
    inode: usize,
    path: PathBuf,
    /// Files opened before a restart are gone with their process.
    boot: u64,
}

impl MemDisk {
    pub fn new(seed: u64) -> MemDisk {
        let state = State { random: seed, free_bytes: ROOMY, ..State::default() };
        MemDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Changing operations (create, write, sync, rename …) so far: the numbers that faults name.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Plans a fault for the operation with that number (counted from 0).
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().faults.insert(operation, fault);
    }

    /// Reads of file contents so far: the numbers that read faults name.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Plans a fault for the read with that number (counted from 0).
    pub fn fail_read_at(&self, read: u64, fault: ReadFault) {
        self.state().read_faults.insert(read, fault);
    }

    pub fn clear_read_faults(&self) {
        self.state().read_faults.clear();
    }

    pub fn clear_faults(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.read_faults.clear();
        state.free_bytes = ROOMY;
    }

    /// Bytes by which files may still grow.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.state().free_bytes = bytes;
    }

    /// Power off and on: what was not synced survives or not as the seed decides, open files and
    /// locks are gone. Faults stay planned.
    pub fn restart(&self) {
        self.state().power_cycle();
    }

    /// The process ends, the machine goes on: nothing written is lost, open files and locks are gone.
    pub fn end_process(&self) {
        self.state().end_process();
    }

    /// Whether a planned [`Fault::Crash`] has happened since the last restart.
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Every file that is there now, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// A whole file as it reads now.
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let content = &state.inodes[*state.names.get(path)?].now;
        let mut bytes = content.bytes.clone();
        bytes.resize(usize::try_from(content.len).ok()?, 0);
        Some(bytes)
    }

    /// Puts a file there, durable, as if it had always been.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        if let Some(dir) = path.parent() {
            state.add_dirs(dir);
        }
        let content = Content { bytes: bytes.to_vec(), len: bytes.len() as u64 };
        let inode = state.inodes.len();
        state.inodes.push(Inode { now: content.clone(), durable: content, unreadable: false });
        state.names.insert(path.to_owned(), inode);
        state.durable_names.insert(path.to_owned(), inode);
    }

    /// Changes a file's bytes behind everybody's back (bit rot, a hand in the data).
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes(path).unwrap_or_default();
        change(&mut bytes);
        self.put(path, &bytes);
    }

    /// From now on reading the file fails with EIO, under whatever name, until it is put there anew.
    #[cfg(test)]
    pub(crate) fn make_unreadable(&self, path: &Path) {
        let mut state = self.state();
        if let Some(&inode) = state.names.get(path) {
            state.inodes[inode].unreadable = true;
        }
    }

    /// From now on everything that is left to chance follows from another seed.
    #[cfg(test)]
    pub(crate) fn reseed(&self, seed: u64) {
        self.state().random = seed;
    }

    /// Another disk that holds what this one holds now, durable or not. Its faults are its own.
    pub fn copy(&self) -> MemDisk {
        let state = State {
            faults: Default::default(),
            read_faults: Default::default(),
            locked: Default::default(),
            ..self.state().clone()
        };
        MemDisk { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in another test thread leaves the state whole: each call finishes its change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemDisk {
    type File = MemFile;

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let state = self.state();
        state.alive("list", dir)?;
        if !state.dirs.contains(dir) {
            return Err(Error::new("list", dir, io::ErrorKind::NotFound.into()));
        }
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn open(&self, path: &Path) -> Result<MemFile> {
        let state = self.state();
        state.alive("open", path)?;
        match state.names.get(path) {
            Some(&inode) => {
                Ok(MemFile { disk: self.clone(), inode, path: path.to_owned(), boot: state.boot })
            }
            None => Err(Error::new("open", path, io::ErrorKind::NotFound.into())),
        }
    }

    fn open_read(&self, path: &Path) -> Result<MemFile> {
        self.open(path)
    }

    fn create(&self, path: &Path) -> Result<MemFile> {
        let mut state = self.state();
        let fault = state.begin("create", path)?;
        state.need_room("create", path)?;
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(Error::new("create", path, io::ErrorKind::NotFound.into()));
        }
        let inode = match state.names.get(path) {
            Some(&inode) => {
                state.inodes[inode].now = Content::default();
                inode
            }
            None => {
                let inode = state.inodes.len();
                state.inodes.push(Inode::default());
                state.names.insert(path.to_owned(), inode);
                state.unsynced.push(DirChange::Create(path.to_owned(), inode));
                inode
            }
        };
        State::end(fault, "create", path)?;
        Ok(MemFile { disk: self.clone(), inode, path: path.to_owned(), boot: state.boot })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.state();
        let fault = state.begin("rename", from)?;
        if !state.names.contains_key(from) {
            return Err(Error::new("rename", from, io::ErrorKind::NotFound.into()));
        }
        if fault != Some(Fault::Io) {
            let change = DirChange::Rename(from.to_owned(), to.to_owned());
            change.apply(&mut state.names);
            state.unsynced.push(change);
        }
        State::end(fault, "rename", from)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        let fault = state.begin("remove", path)?;
        if state.names.remove(path).is_none() {
            return Err(Error::new("remove", path, io::ErrorKind::NotFound.into()));
        }
        state.unsynced.push(DirChange::Remove(path.to_owned()));
        State::end(fault, "remove", path)
    }

    fn len(&self, path: &Path) -> Result<Option<u64>> {
        let state = self.state();
        state.alive("look at", path)?;
        Ok(state.names.get(path).map(|&inode| state.inodes[inode].now.len))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.state().dirs.contains(path)
    }

    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        let mut state = self.state();
        let fault = state.begin("create the directory", dir)?;
        state.need_room("create the directory", dir)?;
        state.add_dirs(dir);
        State::end(fault, "create the directory", dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let mut state = self.state();
        let fault = state.begin("sync the directory", dir)?;
        State::end(fault, "sync the directory", dir)?;
        let (here, elsewhere) =
            std::mem::take(&mut state.unsynced).into_iter().partition(|change| change.dir() == dir);
        state.unsynced = elsewhere;
        let here: Vec<DirChange> = here;
        for change in here {
            change.apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn lock(&self, path: &Path, holder: &str) -> Result<Lock> {
        let mut state = self.state();
        state.alive("lock", path)?;
        if let Some(other) = state.locked.get(path) {
            let why = io::Error::new(io::ErrorKind::WouldBlock, format!("held by {other}"));
            return Err(Error::new("lock", path, why));
        }
        state.locked.insert(path.to_owned(), holder.to_owned());
        Ok(Lock::new(Held { disk: self.clone(), path: path.to_owned(), boot: state.boot }))
    }

    fn free_bytes(&self, path: &Path) -> Result<u64> {
        let state = self.state();
        state.alive("ask the free space of", path)?;
        Ok(state.free_bytes)
    }
}

struct Held {
    disk: MemDisk,
    path: PathBuf,
    boot: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.boot == self.boot {
            state.locked.remove(&self.path);
        }
    }
}

impl MemFile {
    /// Runs a change of this file's content under the fault plan.
    fn change(
        &self,
        op: &'static str,
        grows_to: Option<u64>,
        change: impl FnOnce(&mut Inode, Option<Fault>),
    ) -> Result<()> {
        let mut state = self.disk.state();
        self.same_boot(&state, op)?;
        let fault = state.begin(op, &self.path)?;
        let growth = grows_to.unwrap_or(0).saturating_sub(state.inodes[self.inode].now.len);
        state.take_room(growth, op, &self.path)?;
        change(&mut state.inodes[self.inode], fault);
        State::end(fault, op, &self.path)
    }

    fn same_boot(&self, state: &State, op: &'static str) -> Result<()> {
        match state.boot == self.boot {
            true => Ok(()),
            false => Err(Error::new(op, &self.path, io::Error::other("opened before the restart"))),
        }
    }
}

impl File for MemFile {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let mut state = self.disk.state();
        state.alive("read", &self.path)?;
        self.same_boot(&state, "read")?;
        let fault = state.begin_read(&self.path);
        if state.inodes[self.inode].unreadable || fault == Some(ReadFault::Io) {
            return Err(Error::new("read", &self.path, io::Error::other("Input/output error")));
        }
        let content = &state.inodes[self.inode].now;
        let left = usize::try_from(content.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buf.len().min(left);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.bytes.len());
        let stored = &content.bytes[start..(start.saturating_add(count)).min(content.bytes.len())];
        buf[..stored.len()].copy_from_slice(stored);
        buf[stored.len()..count].fill(0);
        if fault == Some(ReadFault::Flip) && count > 0 {
            let bit = (state.random() % (count as u64 * 8)) as usize;
            buf[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.change("write", Some(offset + bytes.len() as u64), |inode, fault| {
            let whole = if fault == Some(Fault::Io) { bytes.len() / 2 } else { bytes.len() };
            inode.now.write(offset, &bytes[..whole]);
        })
    }

    fn allocate(&mut self, len: u64) -> Result<()> {
        self.change("grow", Some(len), |inode, fault| {
            if fault != Some(Fault::Io) {
                inode.now.len = inode.now.len.max(len);
            }
        })
    }

    fn truncate(&mut self, len: u64) -> Result<()> {
        self.change("truncate", None, |inode, fault| {
            if fault != Some(Fault::Io) {
                inode.now.truncate(len);
            }
        })
    }

    fn sync_data(&mut self) -> Result<()> {
        self.change("sync", None, |inode, fault| {
            if matches!(fault, None | Some(Fault::NoSpace)) {
                inode.durable = inode.now.clone();
            }
        })
    }

    fn size(&mut self) -> Result<u64> {
        let state = self.disk.state();
        state.alive("look at", &self.path)?;
        self.same_boot(&state, "look at")?;
        Ok(state.inodes[self.inode].now.len)
    }
}
