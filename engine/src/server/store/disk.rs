//! The file operations that the store needs, and nothing more, so that a simulator can stand in
//! for the machine. Every error names the path and the operation.
//!
//! It knows no file format, and keeps no state between calls except open files.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};

/// The file operations that the store needs. Two implementations: [`super::RealDisk`] and
/// [`super::mem::MemDisk`].
///
/// A directory change (create, rename, remove) is durable only after [`Disk::sync_dir`] on its
/// directory; written bytes only after [`File::sync_data`].
pub trait Disk: Clone + Send + Sync + 'static {
    type File: File;

    /// The plain files of a directory, names only, sorted. Subdirectories and names that are not
    /// UTF-8 are left out: neither can be a file of ours.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> Result<Self::File>;
    /// Opens an existing file for reading only (another user's files may not be writable).
    fn open_read(&self, path: &Path) -> Result<Self::File>;
    /// Creates a file, empty even if the name was taken.
    fn create(&self, path: &Path) -> Result<Self::File>;
    /// Renames within one file system; replaces `to`.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    fn remove(&self, path: &Path) -> Result<()>;
    /// Length of a file, `None` when there is none of that name.
    fn len(&self, path: &Path) -> Result<Option<u64>>;
    fn is_dir(&self, path: &Path) -> bool;
    fn create_dir_all(&self, dir: &Path) -> Result<()>;
    /// Makes the directory's creations, renames and removals durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// Takes the exclusive lock of a file (created when missing) and writes `holder` into it, for
    /// the message that the next one gets. Released when the [`Lock`] is dropped.
    fn lock(&self, path: &Path, holder: &str) -> Result<Lock>;
    /// Bytes that an unprivileged process may still write to the file system of `path`.
    fn free_bytes(&self, path: &Path) -> Result<u64>;
}

/// An open file. Positions are explicit: there is no cursor to lose.
pub trait File: Send + 'static {
    /// Reads up to `buf.len()` bytes at `offset`; 0 only at the end of the file.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize>;
    /// Writes all of `bytes` at `offset`, growing the file when it must.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// Grows the file to `len` bytes that read as zeros, with room on the disk taken where the
    /// file system can. Never shrinks.
    fn allocate(&mut self, len: u64) -> Result<()>;
    /// Cuts the file to `len` bytes.
    fn truncate(&mut self, len: u64) -> Result<()>;
    /// Makes the content and the length durable (fdatasync).
    fn sync_data(&mut self) -> Result<()>;
    /// Length in bytes, padding included.
    fn size(&mut self) -> Result<u64>;
}

/// Reads a whole small file; `None` when it is not there, an error when it is larger than `limit`.
pub(crate) fn read_small<D: Disk>(disk: &D, path: &Path, limit: usize) -> Result<Option<Vec<u8>>> {
    let mut file = match disk.open_read(path) {
        Ok(file) => file,
        Err(error) if error.kind == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut out = vec![0; limit + 1];
    let got = read_full(&mut file, 0, &mut out)?;
    if got > limit {
        let why = io::Error::other(format!("larger than the {limit} bytes it may have"));
        return Err(Error::new("read", path, why));
    }
    out.truncate(got);
    Ok(Some(out))
}

/// Reads until `buf` is full or the file ends; says how much it got.
pub(crate) fn read_full<F: File>(file: &mut F, offset: u64, buf: &mut [u8]) -> Result<usize> {
    let mut got = 0;
    while got < buf.len() {
        match file.read_at(offset + got as u64, &mut buf[got..])? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

/// A held lock; dropping it lets go.
pub struct Lock {
    _held: Box<dyn Any + Send>,
}

impl Lock {
    pub fn new(held: impl Any + Send) -> Lock {
        Lock { _held: Box::new(held) }
    }
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lock")
    }
}

/// What someone may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    NotFound,
    /// The file system (or the quota) is full.
    NoSpace,
    /// Another process holds the lock.
    Locked,
    Denied,
    Other,
}

/// A failed file operation.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {}: {source}{}", path.display(), advice(*kind))]
pub struct Error {
    /// What was tried, as a verb: `open`, `write`, `sync` …
    pub op: &'static str,
    pub path: PathBuf,
    pub kind: Kind,
    pub source: io::Error,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(op: &'static str, path: &Path, source: io::Error) -> Error {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => Kind::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::NoSpace,
            io::ErrorKind::WouldBlock => Kind::Locked,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::Denied,
            _ => Kind::Other,
        };
        Error { op, path: path.to_owned(), kind, source }
    }
}

fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::NoSpace => " (free some space on that file system, then start the server again)",
        Kind::Denied => " (the server's user needs read and write access there)",
        Kind::NotFound | Kind::Locked | Kind::Other => "",
    }
}
