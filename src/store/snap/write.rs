//! Writing a snapshot file, on any thread: header, body chunks as they come, seals, digest and
//! last-zxid sections. It has a snapshot's name only once it is complete and durable.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use simd_adler32::Adler32;

use crate::ids::Zxid;
use crate::store::disk::{self, Disk, File};
use crate::store::names;

use super::codec::{Compression, Encoder};
use super::{DIGEST_VERSION, HEADER, SLASH};

/// A snapshot being written. Dropped before [`SnapshotFile::finish`] it leaves nothing behind.
pub struct SnapshotFile<D: Disk> {
    disk: D,
    dir: PathBuf,
    name: String,
    /// `None` once finished or failed.
    out: Option<Encoder<Sink<D::File>>>,
    adler: Adler32,
}

impl<D: Disk> SnapshotFile<D> {
    /// Begins a snapshot in a `version-2` directory. `zxid` is the last txn applied *before* the
    /// body's first chunk was taken, and it must be known committed (quorum-protocol I5).
    pub fn create(
        disk: &D,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
    ) -> disk::Result<SnapshotFile<D>> {
        let name = names::snapshot(zxid, compression);
        let file = disk.create(&dir.join(unfinished(&name)))?;
        let out = Encoder::new(compression, Sink { file, at: 0 });
        let mut snapshot = SnapshotFile {
            disk: disk.clone(),
            dir: dir.to_owned(),
            name,
            out: Some(out),
            adler: Adler32::new(),
        };
        snapshot.write(&HEADER)?;
        Ok(snapshot)
    }

    /// Appends a chunk of the body: sessions, ACLs, nodes, the closing "/".
    pub fn write(&mut self, chunk: &[u8]) -> disk::Result<()> {
        self.adler.write(chunk);
        let Some(out) = &mut self.out else {
            return Err(self.fail(io::Error::other("an earlier write to it failed")));
        };
        match out.write_all(chunk) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.out = None;
                Err(self.fail(error))
            }
        }
    }

    /// Seals the body and makes the file a snapshot: synced, renamed, directory synced.
    ///
    /// `digest` is the tree's digest and the zxid it belongs to, after the body's last chunk
    /// (`None` writes "no digest"); `last_processed` the last zxid applied by then.
    pub fn finish(mut self, digest: Option<(Zxid, u64)>, last_processed: Zxid) -> disk::Result<PathBuf> {
        self.seal()?;
        // Section 7 is always there when section 8 is, or the reference cannot read it (TRAP D7).
        let (zxid, digest) = digest.unwrap_or((Zxid::ZERO, 0));
        self.write(&zxid.0.to_be_bytes())?;
        self.write(&DIGEST_VERSION.to_be_bytes())?;
        self.write(&digest.to_be_bytes())?;
        self.seal()?;
        self.write(&last_processed.0.to_be_bytes())?;
        self.seal()?;
        self.publish()
    }

    fn seal(&mut self) -> disk::Result<()> {
        let sum = u64::from(self.adler.finish());
        self.write(&sum.to_be_bytes())?;
        self.write(&SLASH)
    }

    fn publish(mut self) -> disk::Result<PathBuf> {
        let Some(out) = self.out.take() else {
            return Err(self.fail(io::Error::other("an earlier write to it failed")));
        };
        let synced = match out.finish() {
            Ok(mut sink) => sink.file.sync_data(),
            Err(error) => Err(self.fail(error)),
        };
        let path = self.dir.join(&self.name);
        let renamed = synced.and_then(|()| self.disk.rename(&self.dir.join(unfinished(&self.name)), &path));
        if let Err(error) = renamed {
            self.remove();
            return Err(error);
        }
        self.name.clear();
        self.disk.sync_dir(&self.dir)?;
        Ok(path)
    }

    fn fail(&self, error: io::Error) -> disk::Error {
        // The sink wraps the disk's own error to get it through `Write`.
        match error.downcast::<disk::Error>() {
            Ok(error) => error,
            Err(error) => disk::Error::new("write", &self.dir.join(&self.name), error),
        }
    }

    fn remove(&mut self) {
        if !self.name.is_empty() {
            // Best effort: the next start removes what is left over.
            let _ = self.disk.remove(&self.dir.join(unfinished(&self.name)));
            self.name.clear();
        }
    }
}

impl<D: Disk> Drop for SnapshotFile<D> {
    fn drop(&mut self) {
        self.out = None;
        self.remove();
    }
}

fn unfinished(name: &str) -> String {
    format!("{}{name}", names::UNFINISHED)
}

struct Sink<F> {
    file: F,
    at: u64,
}

impl<F: File> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(self.at, bytes).map_err(io::Error::other)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
