//! The txn log (disk-format §2): one file's bytes, a writer with group commit, a reader that tells
//! a torn tail from damage, and the walk over all files in order.
//!
//! Txns are opaque here except for the zxid in their header.

pub(crate) mod newest;
mod read;
mod replay;
mod rewrite;
mod write;

pub(crate) use read::LogReader;
use read::{End, Item, Tail};
pub(crate) use replay::{Replayed, Span, Torn, files, replay};
pub(crate) use rewrite::rewrite;
pub(crate) use write::{LogSettings, LogWriter};

use bytes::{BufMut, BytesMut};

use crate::server::store::bent;
use crate::wire::ids::Zxid;

/// Largest txn in bytes that any reference server reads back ("Unreasonable length" beyond).
pub const TXN_BYTES_MAX: usize = 2_097_150;

/// Magic, version 2, dbid 0.
const HEADER: [u8; 16] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";
/// Checksum and length in front of the txn.
const ENTRY_HEAD: usize = 12;
const ENTRY_END: u8 = b'B';

/// Appends one entry: Adler-32 of the txn alone (TRAP D3), length, txn, 'B'.
fn put_entry(out: &mut BytesMut, txn: &[u8]) {
    out.reserve(ENTRY_HEAD + txn.len() + 1);
    out.put_u64(simd_adler32::adler32(&txn).into());
    out.put_u32(u32::try_from(txn.len()).expect("append refuses txns above TXN_BYTES_MAX"));
    out.put_slice(txn);
    out.put_u8(ENTRY_END);
}

/// The zxid in a txn's header (quorum-protocol §3.3: session 8, cxid 4, zxid 8, time 8, type 4).
pub(crate) fn zxid_of(txn: &[u8]) -> Option<Zxid> {
    let field = txn.get(..32)?.get(12..20)?;
    Some(Zxid(i64::from_be_bytes(field.try_into().ok()?)))
}

/// The type in a txn's header.
fn kind_of(txn: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(txn.get(28..32)?.try_into().ok()?))
}

/// True when `next` may directly follow `last`: +1, or the first txn of a later epoch.
pub(crate) fn follows(last: Zxid, next: Zxid) -> bool {
    next.0 == last.0 + 1 || (next.epoch() > last.epoch() && next.counter() == 1) || bent::follows(last, next)
}

#[cfg(test)]
mod tests;
