//! Reading one log file, entry by entry, with the tail table of disk-format §2.4. What an end
//! means for the start is decided in `replay`, which knows whether another file follows.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{ENTRY_END, ENTRY_HEAD, HEADER, TXN_BYTES_MAX};
use crate::server::store::bent;
use crate::server::store::disk::{self, Disk, File};
use crate::server::store::refusal::{Refusal, Result};
use crate::wire::ids::Zxid;

/// Reads one log file from its beginning.
pub(crate) struct LogReader<F> {
    file: F,
    path: PathBuf,
    buffer: Vec<u8>,
    /// File offset of `buffer[0]`.
    buffer_at: u64,
    /// File offset of the next entry.
    at: u64,
    /// For messages: the last txn read, of this file or the one before.
    after: Zxid,
}

#[derive(Debug)]
pub(crate) enum Item {
    /// A whole entry; `offset` is that of its checksum.
    Txn {
        offset: u64,
        txn: Bytes,
    },
    End(End),
}

/// Where a file's good entries end, and what comes then.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Offset right behind the last good entry.
    pub(crate) at: u64,
    pub(crate) tail: Tail,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Padding or the end of the file at an entry boundary.
    Clean,
    /// The file ends inside an entry, or its terminator is not there, and no whole entry follows that only damage
    /// could explain: a write cut short.
    Torn,
    /// Terminator and length are there, the checksum does not match. `unwritten`: a whole sector
    /// inside reads as zeros, as it does when a crash let only some sectors reach the disk.
    Mismatch { unwritten: bool },
    /// The file is shorter than the header, and what is there is the header's beginning: its
    /// creation was cut short (the reference writes headers in place).
    NoHeader,
}

const READ_BYTES: usize = 256 * 1024;
/// The unit in which a disk persists or does not.
const SECTOR: u64 = 512;

impl<F: File> LogReader<F> {
    pub(crate) fn open<D: Disk<File = F>>(disk: &D, path: &Path, after: Zxid) -> Result<LogReader<F>> {
        let file = disk.open_read(path)?;
        Ok(LogReader { file, path: path.to_owned(), buffer: Vec::new(), buffer_at: 0, at: 0, after })
    }

    pub(crate) fn next(&mut self) -> Result<Item> {
        if self.at == 0
            && let Some(end) = self.header()?
        {
            return Ok(Item::End(end));
        }
        let offset = self.at;
        let end = |tail| Ok(Item::End(End { at: offset, tail }));
        let head = self.peek(ENTRY_HEAD)?;
        if head.len() < ENTRY_HEAD {
            // Too short for anything to follow.
            return end(if head.iter().all(|&byte| byte == 0) { Tail::Clean } else { Tail::Torn });
        }
        let crc = u64::from_be_bytes(head[..8].try_into().expect("eight bytes"));
        let len = i32::from_be_bytes(head[8..].try_into().expect("four bytes"));
        if len == 0 {
            return if crc == 0 { end(Tail::Clean) } else { self.cut_short() };
        }
        let Some(len) = usize::try_from(len).ok().filter(|&len| len <= TXN_BYTES_MAX) else {
            return Err(self.damaged(format!("length {len} is not between 1 and {TXN_BYTES_MAX}")));
        };
        let size = ENTRY_HEAD + len + 1;
        let entry = self.peek(size)?;
        if entry.len() < size || entry[size - 1] != ENTRY_END {
            return self.cut_short();
        }
        let txn = &entry[ENTRY_HEAD..size - 1];
        if u64::from(simd_adler32::adler32(&txn)) != crc && !bent::ignores_checksum() {
            let unwritten = has_unwritten_sector(offset, entry);
            return end(Tail::Mismatch { unwritten });
        }
        let txn = Bytes::copy_from_slice(txn);
        self.at += size as u64;
        if let Some(zxid) = super::zxid_of(&txn) {
            self.after = zxid;
        }
        Ok(Item::Txn { offset, txn })
    }

    /// The entry here does not end as it should. It is the end of what was written, unless whole entries follow and
    /// no sector is missing before them, or its checksum says that it is whole: then a byte of it is not what was
    /// written.
    fn cut_short(&mut self) -> Result<Item> {
        let (offset, after) = (self.at, self.after);
        let ahead = self.peek(2 * (ENTRY_HEAD + TXN_BYTES_MAX + 1))?;
        match next_entry(ahead, after) {
            Some(next) if !has_unwritten_sector(offset, &ahead[..next]) => {
                let what = format!("it does not end where it says, and the log goes on {next} bytes further");
                Err(self.damaged(what))
            }
            None if is_whole_but_for_its_frame(ahead) => {
                Err(self
                    .damaged("all of it was written, but its length or its end is not what was".to_owned()))
            }
            _ => Ok(Item::End(End { at: offset, tail: Tail::Torn })),
        }
    }

    /// Offset right behind the last txn at or below `to`, when whole txns beyond it follow in the
    /// file; `None` when there is nothing to cut.
    pub(crate) fn end_upto<D: Disk<File = F>>(disk: &D, path: &Path, to: Zxid) -> Result<Option<u64>> {
        let mut reader = LogReader::open(disk, path, Zxid::ZERO)?;
        while let Item::Txn { offset, txn } = reader.next()? {
            let cut_at = |zxid| zxid > to || bent::cuts_last_one(zxid, to);
            if super::zxid_of(&txn).is_some_and(cut_at) {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// The bytes from `at` to the last one that is not zero: what a torn write left behind.
    pub(crate) fn leftover(&mut self, at: u64) -> Result<Leftover> {
        let len = self.file.size()?;
        let mut chunk = vec![0; READ_BYTES];
        let (mut offset, mut end) = (at, at);
        while offset < len {
            let got = disk::read_full(&mut self.file, offset, &mut chunk)?;
            if got == 0 {
                break;
            }
            if let Some(last) = chunk[..got].iter().rposition(|&byte| byte != 0) {
                end = offset + last as u64 + 1;
            }
            offset += got as u64;
        }
        Ok(Leftover { start: at, end })
    }

    /// Copies a range of the file to another one.
    pub(crate) fn copy_range<G: File>(&mut self, range: &Leftover, to: &mut G) -> Result<()> {
        let mut chunk = vec![0; READ_BYTES];
        let mut done = 0;
        while range.start + done < range.end {
            let want = usize::try_from(range.end - range.start - done).unwrap_or(READ_BYTES).min(READ_BYTES);
            let got = disk::read_full(&mut self.file, range.start + done, &mut chunk[..want])?;
            if got == 0 {
                break;
            }
            to.write_at(done, &chunk[..got])?;
            done += got as u64;
        }
        Ok(())
    }

    pub(crate) fn damaged(&self, what: String) -> Refusal {
        Refusal::DamagedEntry { file: self.path.clone(), offset: self.at, after: self.after, what }
    }

    fn header(&mut self) -> Result<Option<End>> {
        let head = self.peek(HEADER.len())?;
        if head.len() < HEADER.len() && HEADER.starts_with(head) {
            return Ok(Some(End { at: 0, tail: Tail::NoHeader }));
        }
        // Only the magic counts: the reference checks neither version nor dbid.
        if !head.starts_with(&HEADER[..4]) || head.len() < HEADER.len() {
            let found = head.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            return Err(Refusal::NotALog { file: self.path.clone(), found });
        }
        self.at = HEADER.len() as u64;
        Ok(None)
    }

    /// Up to `want` bytes at the current position; fewer only at the end of the file.
    fn peek(&mut self, want: usize) -> Result<&[u8]> {
        let start = usize::try_from(self.at - self.buffer_at).expect("the buffer holds the position");
        if self.buffer.len() < start + want {
            let have = self.buffer.len() - start;
            let mut fresh = vec![0; want.max(READ_BYTES)];
            fresh[..have].copy_from_slice(&self.buffer[start..]);
            let got = disk::read_full(&mut self.file, self.at + have as u64, &mut fresh[have..])?;
            fresh.truncate(have + got);
            (self.buffer, self.buffer_at) = (fresh, self.at);
            return Ok(&self.buffer[..want.min(have + got)]);
        }
        Ok(&self.buffer[start..start + want])
    }
}

/// A range of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leftover {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Whether `ahead` begins with an entry whose checksum holds up to where the bytes end, or up to where its length
/// says, although length and terminator do not agree.
fn is_whole_but_for_its_frame(ahead: &[u8]) -> bool {
    let (Some(crc), Some(len)) = (ahead.get(..8), ahead.get(8..ENTRY_HEAD)) else { return false };
    let crc = u64::from_be_bytes(crc.try_into().expect("eight bytes"));
    let len = u32::from_be_bytes(len.try_into().expect("four bytes")) as usize;
    let holds_to = |end: usize| {
        ahead
            .get(ENTRY_HEAD..end)
            .is_some_and(|txn| !txn.is_empty() && u64::from(simd_adler32::adler32(&txn)) == crc)
    };
    let last = ahead.iter().rposition(|&byte| byte != 0).filter(|&last| ahead[last] == ENTRY_END);
    // A terminator that never reached the disk is zero.
    let end = ENTRY_HEAD + len;
    last.is_some_and(holds_to) || (ahead.get(end).is_some_and(|&byte| byte != 0) && holds_to(end))
}

/// Where in `ahead`, which begins with an entry that cannot be read, the next whole one of a later txn begins.
fn next_entry(ahead: &[u8], after: Zxid) -> Option<usize> {
    let is_entry = |bytes: &[u8]| {
        let (Some(crc), Some(len)) = (bytes.get(..8), bytes.get(8..ENTRY_HEAD)) else { return false };
        let crc = u64::from_be_bytes(crc.try_into().expect("eight bytes"));
        let len = u32::from_be_bytes(len.try_into().expect("four bytes")) as usize;
        if crc == 0 || crc > u64::from(u32::MAX) || len > TXN_BYTES_MAX {
            return false;
        }
        let Some(txn) = bytes.get(ENTRY_HEAD..ENTRY_HEAD + len) else { return false };
        bytes.get(ENTRY_HEAD + len) == Some(&ENTRY_END)
            && super::zxid_of(txn).is_some_and(|zxid| zxid > after)
            && u64::from(simd_adler32::adler32(&txn)) == crc
    };
    let farthest = ahead.len().min(ENTRY_HEAD + TXN_BYTES_MAX + 2);
    (1..farthest).find(|&at| is_entry(&ahead[at..]))
}

/// True when the entry's part of some sector is zero: log files are zero-filled before entries are written, so
/// this is what a sector that never reached the disk looks like. A flipped bit leaves no such part.
fn has_unwritten_sector(offset: u64, entry: &[u8]) -> bool {
    let first = usize::try_from(offset.next_multiple_of(SECTOR) - offset).expect("less than a sector");
    let (first, rest) = entry.split_at(first.min(entry.len()));
    let zero = |part: &[u8]| part.iter().all(|&byte| byte == 0);
    // The first half of the checksum is always zero.
    (first.len() > CHECKSUM_ZEROS && zero(first)) || rest.chunks(SECTOR as usize).any(zero)
}

/// The checksum has 32 bits and takes 64.
const CHECKSUM_ZEROS: usize = 4;
