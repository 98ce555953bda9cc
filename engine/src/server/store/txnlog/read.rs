//! Reading one log file, entry by entry (`formats::log` knows the bytes). What an end means for the start is
//! decided in `replay`, which knows whether another file follows. Who looks at a log that a server still writes to
//! may look again, and go on behind what is damaged.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::formats::log::{self, Beginning, ENTRY_HEAD, HEADER, Spot, Step, Tail};
use crate::server::store::bent;
use crate::server::store::disk::{self, Disk, File};
use crate::server::store::refusal::{Refusal, Result};
use crate::wire::ids::Zxid;

/// Reads one log file from its beginning.
pub struct LogReader<F> {
    file: F,
    path: PathBuf,
    buffer: Vec<u8>,
    /// File offset of `buffer[0]`.
    buffer_at: u64,
    /// File offset of the next entry.
    at: u64,
    /// For messages: the last txn read, of this file or the one before.
    after: Zxid,
    txn_len_max: usize,
}

/// What stands where a reader has come to.
#[derive(Debug)]
pub enum Item {
    /// A whole entry; `offset` is that of its checksum.
    Txn {
        offset: u64,
        txn: Bytes,
    },
    End(End),
}

/// Where a file's good entries end, and what comes then.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    /// Offset right behind the last good entry.
    pub at: u64,
    pub tail: Tail,
}

impl<F: File> LogReader<F> {
    /// A longer txn than `txn_len_max` is not believed.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open<D: Disk<File = F>>(
        disk: &D,
        path: &Path,
        after: Zxid,
        txn_len_max: usize,
    ) -> Result<LogReader<F>> {
        let (file, path) = (disk.open_read(path)?, path.to_owned());
        Ok(LogReader { file, path, buffer: Vec::new(), buffer_at: 0, at: 0, after, txn_len_max })
    }

    /// The next entry, or what comes in its place. Damage is told again and again until somebody goes on behind it.
    ///
    /// # Errors
    /// What is there is not what was written, or cannot be read.
    #[expect(clippy::should_implement_trait, reason = "damage and the end are answers, too")]
    pub fn next(&mut self) -> Result<Item> {
        if self.at == 0
            && let Some(end) = self.header()?
        {
            return Ok(Item::End(end));
        }
        let (offset, after) = (self.at, self.after);
        let spot = Spot { offset, after, txn_len_max: self.txn_len_max };
        let end = |tail| Ok(Item::End(End { at: offset, tail }));
        let mut want = ENTRY_HEAD;
        loop {
            let ahead = self.peek(want)?;
            match log::entry(ahead, ahead.len() < want, spot) {
                Step::Need(more) => want = more,
                Step::End(tail) => return end(tail),
                Step::Damaged(what) => return Err(self.damaged(what)),
                Step::Entry(entry) if !entry.is_sound() && !bent::ignores_checksum() => {
                    return end(entry.mismatch(offset));
                }
                Step::Entry(entry) => {
                    let (size, txn) = (entry.size() as u64, Bytes::copy_from_slice(entry.txn()));
                    self.at += size;
                    self.after = log::zxid_of(&txn).unwrap_or(after);
                    return Ok(Item::Txn { offset, txn });
                }
            }
        }
    }

    /// Offset of what [`LogReader::next`] comes to.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The last txn read, or the one before the file.
    pub fn after(&self) -> Zxid {
        self.after
    }

    /// Nothing that was read ahead is believed any more: a server may have written there meanwhile.
    pub fn look_again(&mut self) {
        self.buffer.clear();
        self.buffer_at = self.at;
    }

    /// Where the next whole entry of a later txn begins, behind one that cannot be read; the reader stays where it is.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find_next(&mut self) -> Result<Option<u64>> {
        let here = self.at;
        let found = self.search();
        self.go_to(here);
        found
    }

    /// Goes on at an entry's offset.
    pub fn go_to(&mut self, offset: u64) {
        self.at = offset;
        self.look_again();
    }

    fn search(&mut self) -> Result<Option<u64>> {
        let window = log::look_ahead(self.txn_len_max);
        loop {
            let spot = Spot { offset: self.at, after: self.after, txn_len_max: self.txn_len_max };
            let ahead = self.peek(window)?;
            let (is_last, found) = (ahead.len() < window, log::next_entry(ahead, spot));
            if let Some(further) = found {
                return Ok(Some(self.at + further as u64));
            }
            if is_last {
                return Ok(None);
            }
            self.at += (window / 2) as u64;
        }
    }

    /// Offset right behind the last txn at or below `to`, when whole txns beyond it follow in the
    /// file; `None` when there is nothing to cut.
    pub(crate) fn end_upto<D: Disk<File = F>>(
        disk: &D,
        path: &Path,
        to: Zxid,
        txn_len_max: usize,
    ) -> Result<Option<u64>> {
        let mut reader = LogReader::open(disk, path, Zxid::ZERO, txn_len_max)?;
        while let Item::Txn { offset, txn } = reader.next()? {
            let cut_at = |zxid| zxid > to || bent::cuts_last_one(zxid, to);
            if log::zxid_of(&txn).is_some_and(cut_at) {
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
        match log::beginning(head) {
            Beginning::Whole => {
                self.at = HEADER.len() as u64;
                Ok(None)
            }
            Beginning::CutShort => Ok(Some(End { at: 0, tail: Tail::NoHeader })),
            Beginning::NotALog => {
                let found = head.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
                Err(Refusal::NotALog { file: self.path.clone(), found })
            }
        }
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

const READ_BYTES: usize = 256 * 1024;
