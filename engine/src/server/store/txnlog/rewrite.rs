//! Writing a log's entries once more where they are, so that an fsync covers what a start has read.

use std::path::Path;

use bytes::BytesMut;

use super::{Item, LogReader};
use crate::formats::log::{HEADER, put_entry};
use crate::server::store::disk::{Disk, File, read_full};
use crate::server::store::refusal::Result;
use crate::wire::ids::Zxid;

/// Writes everything before `end` again, and syncs it. Each entry is read and checked anew on the way: a read that
/// goes wrong now must not put on disk what was never there.
pub(crate) fn rewrite<D: Disk>(disk: &D, path: &Path, end: u64, txn_len_max: usize) -> Result<()> {
    let mut reader = LogReader::open(disk, path, Zxid::ZERO, txn_len_max)?;
    let mut file = disk.open(path)?;
    let mut header = HEADER;
    read_full(&mut file, 0, &mut header)?;
    // Another database id may stand there, which counts nowhere: then it stays as it is.
    if header == HEADER {
        file.write_at(0, &HEADER)?;
    }
    let mut at = HEADER.len() as u64;
    let mut buffer = BytesMut::new();
    while at + (buffer.len() as u64) < end {
        match reader.next()? {
            Item::Txn { txn, .. } => put_entry(&mut buffer, &txn),
            Item::End(_) => return Err(reader.damaged("it does not read as it did a moment ago".to_owned())),
        }
        if buffer.len() >= REWRITE_BYTES {
            file.write_at(at, &buffer)?;
            at += buffer.len() as u64;
            buffer.clear();
        }
    }
    file.write_at(at, &buffer)?;
    Ok(file.sync_data()?)
}

/// How much is written at a time.
const REWRITE_BYTES: usize = 1 << 20;
