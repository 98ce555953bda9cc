//! Which txn log is the newest, on record: a log that vanishes between two files shows as a gap, the newest one would
//! vanish without a trace, and a server would vote without txns that it acknowledged.
//!
//! The record may lag behind (a crash between two writes, a reference server that ran here), never run ahead: a
//! later log is as good if it holds a txn. One without may be what a crash left of the next log's making, and
//! says nothing about the one before it.

use std::path::{Path, PathBuf};

use super::atomic;
use super::disk::{self, Disk, Kind, read_small};
use super::refusal::{Refusal, Result};
use super::txnlog::LogReader;
use crate::formats::names;
use crate::wire::ids::Zxid;

/// In the logs' directory.
const RECORD: &str = "zkops.newest";
const RECORD_BYTES_MAX: usize = 64;

/// Records a log that is durable under its name.
pub(crate) fn note<D: Disk>(disk: &D, dir: &Path, first: Zxid) -> disk::Result<()> {
    match atomic::replace(disk, dir, RECORD, content(first).as_bytes()) {
        // An older record is a record, too; the txns themselves may still find room.
        Err(error) if error.kind == Kind::NoSpace => Ok(()),
        result => result,
    }
}

/// The name and its Adler-32.
fn content(first: Zxid) -> String {
    let name = names::log(first);
    format!("{name} {:08x}", simd_adler32::adler32(&name.as_bytes()))
}

/// Before logs go: `newest` is what stays of them.
pub(crate) fn step_back<D: Disk>(disk: &D, dir: &Path, newest: Option<Zxid>) -> disk::Result<()> {
    if let Some(newest) = newest {
        return atomic::replace(disk, dir, RECORD, content(newest).as_bytes());
    }
    if disk.len(&dir.join(RECORD))?.is_some() {
        disk.remove(&dir.join(RECORD))?;
        disk.sync_dir(dir)?;
    }
    Ok(())
}

/// Refuses when the newest log is not among `files`, or is one of the `empty` ones, which hold not even a header.
pub(crate) fn check<D: Disk>(
    disk: &D,
    dir: &Path,
    files: &[(Zxid, PathBuf)],
    empty: &[PathBuf],
) -> Result<()> {
    let record = dir.join(RECORD);
    // A record that cannot be read, or is not what was written, says nothing: its loss costs no data.
    let Ok(Some(read)) = read_small(disk, &record, RECORD_BYTES_MAX) else { return Ok(()) };
    let name =
        String::from_utf8_lossy(read.split(|&byte| byte == b' ').next().unwrap_or_default()).into_owned();
    let Some(newest) = names::parse_log(&name).filter(|newest| content(*newest).as_bytes() == read) else {
        return Ok(());
    };
    for (first, path) in files.iter().filter(|(first, _)| *first >= newest) {
        if (*first == newest && !empty.contains(path))
            || LogReader::end_upto(disk, path, Zxid::NONE)?.is_some()
        {
            return Ok(());
        }
    }
    Err(Refusal::LostLog { file: dir.join(name), record })
}
