//! Which txn log is the newest, on record: a log that vanishes between two files shows as a gap, the newest one would
//! vanish without a trace, and a server would vote without txns that it acknowledged.
//!
//! The record may lag behind (a crash between two writes, a reference server that ran here), never run ahead: a
//! later log is as good if it holds a txn. One without may be what a crash left of the next log's making, and
//! says nothing about the one before it.

use std::path::{Path, PathBuf};

use super::read::LogReader;
use crate::formats::names;
use crate::formats::records;
use crate::server::store::atomic;
use crate::server::store::disk::{self, Disk, Kind, read_small};
use crate::server::store::refusal::{Refusal, Result};
use crate::wire::ids::Zxid;

/// Records a log that is durable under its name.
pub(crate) fn note<D: Disk>(disk: &D, dir: &Path, first: Zxid) -> disk::Result<()> {
    match atomic::replace(disk, dir, records::NEWEST, records::newest(first).as_bytes()) {
        // An older record is a record, too; the txns themselves may still find room.
        Err(error) if error.kind == Kind::NoSpace => Ok(()),
        result => result,
    }
}

/// Before logs go: `newest` is what stays of them.
pub(crate) fn step_back<D: Disk>(disk: &D, dir: &Path, newest: Option<Zxid>) -> disk::Result<()> {
    if let Some(newest) = newest {
        return atomic::replace(disk, dir, records::NEWEST, records::newest(newest).as_bytes());
    }
    if disk.len(&dir.join(records::NEWEST))?.is_some() {
        disk.remove(&dir.join(records::NEWEST))?;
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
    txn_len_max: usize,
) -> Result<()> {
    let record = dir.join(records::NEWEST);
    // A record that cannot be read, or is not what was written, says nothing: its loss costs no data.
    let Ok(Some(read)) = read_small(disk, &record, records::NEWEST_BYTES_MAX) else { return Ok(()) };
    let Some(newest) = records::parse_newest(&read) else { return Ok(()) };
    for (first, path) in files.iter().filter(|(first, _)| *first >= newest) {
        if (*first == newest && !empty.contains(path))
            || LogReader::end_upto(disk, path, Zxid::NONE, txn_len_max)?.is_some()
        {
            return Ok(());
        }
    }
    Err(Refusal::LostLog { file: dir.join(names::log(newest)), record })
}
