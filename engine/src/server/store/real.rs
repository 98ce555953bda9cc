//! The machine's disk: std::fs, and rustix for what std lacks.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, FlockOperation};

use super::disk::{Disk, Error, File, Kind, Lock, Result};

/// The machine's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// An open file of the machine's disk, with its path for errors.
#[derive(Debug)]
pub struct RealFile {
    file: fs::File,
    path: PathBuf,
}

impl RealFile {
    fn fail(&self, op: &'static str) -> impl Fn(io::Error) -> Error {
        move |source| Error::new(op, &self.path, source)
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let fail = |source| Error::new("list", dir, source);
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if !entry.file_type().map_err(fail)?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path) -> Result<RealFile> {
        opened("open", path, fs::File::options().read(true).write(true).open(path))
    }

    fn open_read(&self, path: &Path) -> Result<RealFile> {
        opened("open", path, fs::File::open(path))
    }

    fn create(&self, path: &Path) -> Result<RealFile> {
        let options = fs::File::options().read(true).write(true).create(true).truncate(true).open(path);
        opened("create", path, options)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|source| Error::new("rename", from, source))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|source| Error::new("remove", path, source))
    }

    fn len(&self, path: &Path) -> Result<Option<u64>> {
        match fs::metadata(path).map_err(|source| Error::new("look at", path, source)) {
            Ok(meta) => Ok(Some(meta.len())),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(|source| Error::new("create the directory", dir, source))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        fs::File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| Error::new("sync the directory", dir, source))
    }

    fn lock(&self, path: &Path, holder: &str) -> Result<Lock> {
        let fail = |source| Error::new("lock", path, source);
        let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(fail)?;
        if let Err(errno) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            let mut held_by = String::new();
            // Only for the message: an unreadable holder leaves it shorter.
            let _ = (&mut file).take(256).read_to_string(&mut held_by);
            let held_by = held_by.trim();
            return Err(match errno {
                rustix::io::Errno::WOULDBLOCK => fail(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    format!("held by {}", if held_by.is_empty() { "another process" } else { held_by }),
                )),
                errno => fail(errno.into()),
            });
        }
        // Only for the next one's message: a full disk must not keep a server from starting here.
        let _ = file.set_len(0).and_then(|()| file.write_all(holder.as_bytes()));
        Ok(Lock::new(file))
    }

    fn free_bytes(&self, path: &Path) -> Result<u64> {
        let stat = rustix::fs::statvfs(path)
            .map_err(|errno| Error::new("ask the free space of", path, errno.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl File for RealFile {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read_at(buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(self.fail("read")),
            }
        }
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(self.fail("write"))
    }

    fn allocate(&mut self, len: u64) -> Result<()> {
        let old = self.size()?;
        if len <= old {
            return Ok(());
        }
        // Room taken now means that a full disk shows here, before any txn is half written, and
        // that the blocks lie together. Where the file system cannot, a hole does as for Java.
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), old, len - old) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
                self.file.set_len(len).map_err(self.fail("grow"))
            }
            result => result.map_err(|errno| self.fail("grow")(errno.into())),
        }
    }

    fn truncate(&mut self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(self.fail("truncate"))
    }

    fn sync_data(&mut self) -> Result<()> {
        self.file.sync_data().map_err(self.fail("sync"))
    }

    fn size(&mut self) -> Result<u64> {
        Ok(self.file.metadata().map_err(self.fail("look at"))?.len())
    }
}

fn opened(op: &'static str, path: &Path, result: io::Result<fs::File>) -> Result<RealFile> {
    match result {
        Ok(file) => Ok(RealFile { file, path: path.to_owned() }),
        Err(source) => Err(Error::new(op, path, source)),
    }
}
