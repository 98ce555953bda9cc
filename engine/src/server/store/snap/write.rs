//! Writing a snapshot file, on any thread: header, body chunks as they come, seals, digest and
//! last-zxid sections. It has a snapshot's name only once it is complete and durable.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::formats::compression::{Compression, Encoder};
use crate::formats::names;
use crate::formats::snapshot::Writer;
use crate::server::store::bent;
use crate::server::store::disk::{self, Disk, File};
use crate::wire::ids::Zxid;

/// A snapshot being written. Dropped before [`SnapshotFile::finish`] it leaves nothing behind.
pub struct SnapshotFile<D: Disk> {
    disk: D,
    dir: PathBuf,
    name: String,
    unfinished: PathBuf,
    history: Option<HistoryMark>,
    /// `None` once finished or failed.
    out: Option<Writer<Encoder<Sink<D::File>>>>,
}

impl<D: Disk> SnapshotFile<D> {
    /// Begins a snapshot in a `version-2` directory. `zxid` is the last txn applied *before* the
    /// body's first chunk was taken, and it must be known committed (quorum-protocol I5).
    pub(crate) fn create(
        disk: &D,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
        history: HistoryMark,
    ) -> disk::Result<SnapshotFile<D>> {
        // The one before may still be on its way, of the same zxid when nothing was applied since.
        let prefix = format!("{}{}.", names::UNFINISHED, history.snapshot);
        SnapshotFile::begin(disk, dir, zxid, compression, &prefix, Some(history))
    }

    /// The same for the log thread itself, which changes histories: always published. May run
    /// beside a snapshot of our own.
    pub(crate) fn receive(
        disk: &D,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
    ) -> disk::Result<SnapshotFile<D>> {
        SnapshotFile::begin(disk, dir, zxid, compression, names::UNFINISHED_RECEIVED, None)
    }

    fn begin(
        disk: &D,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
        prefix: &str,
        history: Option<HistoryMark>,
    ) -> disk::Result<SnapshotFile<D>> {
        let name = names::snapshot(zxid, compression);
        let unfinished = dir.join(format!("{prefix}{name}"));
        let file = disk.create(&unfinished)?;
        let out = Encoder::new(compression, Sink { file, at: 0 });
        let mut snapshot = SnapshotFile {
            disk: disk.clone(),
            dir: dir.to_owned(),
            name,
            unfinished,
            history,
            out: Some(Writer::new(out)),
        };
        snapshot.put(Writer::header)?;
        Ok(snapshot)
    }

    /// Appends a chunk of the body: sessions, ACLs, nodes, the closing "/".
    pub fn write(&mut self, chunk: &[u8]) -> disk::Result<()> {
        self.put(|out| out.write(chunk))
    }

    /// Seals the body and makes the file a snapshot: synced, renamed, directory synced.
    ///
    /// `digest` is the tree's digest and the zxid it belongs to, after the body's last chunk
    /// (`None` writes "no digest"); `last_processed` the last zxid applied by then.
    ///
    /// `None` comes back when the store went over to another history in the meantime (a
    /// truncation, a received snapshot): the file is then removed instead.
    pub fn finish(
        mut self,
        digest: Option<(Zxid, u64)>,
        last_processed: Zxid,
    ) -> disk::Result<Option<PathBuf>> {
        self.put(|out| out.trailer(digest, last_processed))?;
        self.publish()
    }

    fn put(
        &mut self,
        put: impl FnOnce(&mut Writer<Encoder<Sink<D::File>>>) -> io::Result<()>,
    ) -> disk::Result<()> {
        let Some(out) = &mut self.out else {
            return Err(self.fail(io::Error::other("an earlier write to it failed")));
        };
        match put(out) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.out = None;
                Err(self.fail(error))
            }
        }
    }

    fn publish(mut self) -> disk::Result<Option<PathBuf>> {
        let Some(out) = self.out.take() else {
            return Err(self.fail(io::Error::other("an earlier write to it failed")));
        };
        let synced = match out.into_inner().finish() {
            Ok(_) if bent::leaves_snapshot_unsynced() => Ok(()),
            Ok(mut sink) => sink.file.sync_data(),
            Err(error) => Err(self.fail(error)),
        };
        let path = self.dir.join(&self.name);
        // Held over the rename: the store cannot change the history in between.
        let history = self.history.take();
        let current = history.as_ref().map(HistoryMark::lock);
        if current.as_ref().is_some_and(Option::is_none) {
            self.remove();
            return Ok(None);
        }
        let renamed = synced.and_then(|()| self.disk.rename(&self.unfinished, &path));
        if let Err(error) = renamed {
            self.remove();
            return Err(error);
        }
        self.name.clear();
        self.disk.sync_dir(&self.dir)?;
        Ok(Some(path))
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
            let _ = self.disk.remove(&self.unfinished);
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

/// Counts the histories that a store has gone through, and the snapshots begun.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    numbers: Arc<Mutex<Numbers>>,
}

#[derive(Debug, Default)]
struct Numbers {
    history: u64,
    snapshot: u64,
}

/// The history that a snapshot belongs to.
#[derive(Debug)]
pub(crate) struct HistoryMark {
    history: History,
    number: u64,
    /// Which snapshot of this store it is.
    snapshot: u64,
}

impl History {
    /// For one more snapshot.
    pub(crate) fn now(&self) -> HistoryMark {
        let mut numbers = self.lock();
        numbers.snapshot += 1;
        HistoryMark { history: self.clone(), number: numbers.history, snapshot: numbers.snapshot }
    }

    /// From now on no snapshot of the history so far is published.
    pub(crate) fn change(&self) {
        self.lock().history += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        // A number is whole whatever thread died holding it.
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HistoryMark {
    /// Holds the history as it is; `None` when it has changed.
    fn lock(&self) -> Option<MutexGuard<'_, Numbers>> {
        let is_same = |number: u64| number == self.number || bent::publishes_tainted_snapshot();
        Some(self.history.lock()).filter(|numbers| is_same(numbers.history))
    }
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
