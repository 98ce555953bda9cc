//! Writing the log: appends are buffered, one flush writes and syncs them together (group
//! commit). Every file is complete with header before it gets a log's name (TRAP D5), is never
//! appended to by another process, and is padded with zeros as the reference pads.
//!
//! After an error the caller must not use the writer again: what is on disk is then unknown.

use std::path::{Path, PathBuf};

use bytes::BytesMut;

use super::follows;
use super::newest;
use crate::formats::log::{self, HEADER};
use crate::formats::names;
use crate::server::store::bent;
use crate::server::store::disk::{Disk, File, Kind};
use crate::server::store::refusal::{Refusal, Result};
use crate::wire::ids::Zxid;

/// How the log is written (operations §10.4).
#[derive(Debug, Clone)]
pub(crate) struct LogSettings {
    /// Files grow in steps of this many zero bytes; 0 = no padding (`preAllocSize`).
    pub(crate) prealloc_bytes: u64,
    /// False: never sync (`forceSync=no`).
    pub(crate) force_sync: bool,
    /// A file beyond this many bytes is followed by a new one (`txnLogSizeLimitInKb`).
    pub(crate) file_bytes_max: Option<u64>,
    /// The longest txn: the reader's bound (`jute.maxbuffer` and its extra).
    pub(crate) txn_len_max: usize,
}

/// The newest log file, created by the first flush after a start, a roll or a truncation.
pub(crate) struct LogWriter<D: Disk> {
    disk: D,
    dir: PathBuf,
    settings: LogSettings,
    open: Option<OpenLog<D::File>>,
    buffer: BytesMut,
    buffered_first: Option<Zxid>,
    last: Option<Zxid>,
}

struct OpenLog<F> {
    file: F,
    /// Offset of the next entry.
    end: u64,
    /// Length of the file, padding included.
    size: u64,
}

impl<D: Disk> LogWriter<D> {
    /// `last` is the newest txn that the directory holds; appends must come after it.
    pub(crate) fn new(disk: D, dir: &Path, settings: LogSettings, last: Option<Zxid>) -> LogWriter<D> {
        let dir = dir.to_owned();
        LogWriter { disk, dir, settings, open: None, buffer: BytesMut::new(), buffered_first: None, last }
    }

    /// Buffers one txn. Nothing is on disk before [`LogWriter::flush`].
    pub(crate) fn append(&mut self, zxid: Zxid, txn: &[u8]) -> Result<()> {
        let most = self.settings.txn_len_max;
        if txn.len() > most {
            let what = format!("txn {zxid} has {} bytes, more than {most}", txn.len());
            return Err(Refusal::Misuse(what));
        }
        if log::zxid_of(txn) != Some(zxid) {
            return Err(Refusal::Misuse(format!("txn {zxid} does not carry its own zxid")));
        }
        if let Some(last) = self.last
            && !follows(last, zxid)
        {
            return Err(Refusal::Misuse(format!("txn {zxid} does not follow {last}")));
        }
        log::put_entry(&mut self.buffer, txn);
        self.buffered_first.get_or_insert(zxid);
        self.last = Some(zxid);
        Ok(())
    }

    /// Writes and syncs all that was appended. Once it returns, that survives a power cut.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let Some(first) = self.buffered_first.take() else {
            return Ok(());
        };
        let mut log = match self.open.take() {
            Some(log) => log,
            None => self.create(first)?,
        };
        let bytes = self.buffer.split();
        let end = log.end + bytes.len() as u64;
        self.pad(&mut log, end)?;
        log.file.write_at(log.end, &bytes)?;
        log.end = end;
        log.size = log.size.max(end);
        if self.settings.force_sync && !bent::leaves_log_unsynced() {
            log.file.sync_data()?;
        }
        if bytes.len() <= BUFFER_KEPT_MAX {
            self.buffer.unsplit(bytes);
            self.buffer.clear();
        }
        let full = self.settings.file_bytes_max.is_some_and(|limit| log.end > limit);
        self.open = Some(log);
        if full { self.roll() } else { Ok(()) }
    }

    /// Ends the current file; the next flush begins a new one. The padding goes, so that the
    /// directory's size says how much history there is.
    pub(crate) fn roll(&mut self) -> Result<()> {
        self.flush()?;
        if let Some(mut log) = self.open.take()
            && log.size > log.end
        {
            log.file.truncate(log.end)?;
            if self.settings.force_sync {
                log.file.sync_data()?;
            }
        }
        Ok(())
    }

    /// The newest txn appended or found at the start.
    pub(crate) fn last(&self) -> Option<Zxid> {
        self.last
    }

    /// The log now ends at `last` (after a truncation or an installed snapshot).
    pub(crate) fn restart_after(&mut self, last: Zxid) {
        self.open = None;
        self.buffer.clear();
        self.buffered_first = None;
        self.last = Some(last);
    }

    fn create(&self, first: Zxid) -> Result<OpenLog<D::File>> {
        let name = names::log(first);
        let (unfinished, path) =
            (self.dir.join(format!("{}{name}", names::UNFINISHED)), self.dir.join(&name));
        let mut file = self.disk.create(&unfinished)?;
        file.write_at(0, &HEADER)?;
        let mut log = OpenLog { file, end: HEADER.len() as u64, size: HEADER.len() as u64 };
        self.pad(&mut log, HEADER.len() as u64)?;
        // Synced even with forceSync=no: a file without its header would stop the next start.
        log.file.sync_data()?;
        self.disk.rename(&unfinished, &path)?;
        if bent::leaves_log_name_unsynced() {
            return Ok(log);
        }
        self.disk.sync_dir(&self.dir)?;
        newest::note(&self.disk, &self.dir, first)?;
        Ok(log)
    }

    /// Grows the file as the reference does before an append that ends at `end`
    /// (`FilePadding.calculateFileSizeWithPadding`).
    fn pad(&self, log: &mut OpenLog<D::File>, end: u64) -> Result<()> {
        let step = self.settings.prealloc_bytes;
        if step == 0 || end + PAD_MARGIN < log.size {
            return Ok(());
        }
        let size = if end > log.size { (end + step) / step * step } else { log.size + step };
        match log.file.allocate(size) {
            Ok(()) => log.size = size,
            // No room for the padding may still be room for the txns: their own write decides.
            Err(error) if error.kind == Kind::NoSpace => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The file grows when the next entry would come this close to its end.
const PAD_MARGIN: u64 = 4096;
/// A buffer grown beyond this by a huge batch is not kept.
const BUFFER_KEPT_MAX: usize = 4 * 1024 * 1024;
