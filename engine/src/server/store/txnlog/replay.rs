//! The walk over all log files after a snapshot: which files, in which order, what must be
//! contiguous (TRAP D4), what is skipped, and where the last write was cut short. Reads only.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{End, Item, LogReader, follows};
use crate::formats::log::{Tail, kind_of, zxid_of};
use crate::formats::names;
use crate::server::store::bent;
use crate::server::store::disk::Disk;
use crate::server::store::refusal::{Refusal, Result};
use crate::wire::ids::Zxid;

/// Where an entry was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a Path,
    pub(crate) offset: u64,
}

/// Where replay starts, and what else bounds the history that may be handed to peers.
#[derive(Debug, Clone)]
pub(crate) struct Span<'a> {
    /// The loaded snapshot: only what comes after it is replayed.
    pub(crate) base: Zxid,
    /// Stop after this txn (a truncation); everything when `None`.
    pub(crate) upto: Option<Zxid>,
    /// Zxids of all snapshots in the directory. One that the log steps over without containing it
    /// was received from a leader, so the log has a hole there (quorum-protocol TRAP Q18).
    pub(crate) snapshots: &'a [Zxid],
    pub(crate) tail_txns_max: usize,
    pub(crate) tail_bytes_max: usize,
    pub(crate) txn_len_max: usize,
}

/// What the walk found besides the txns that it handed out.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// The newest txn replayed, or the base when there was none.
    pub(crate) last: Zxid,
    /// The newest txns, oldest first, without a hole, up to `last`; may begin before the base.
    pub(crate) tail: Vec<(Zxid, Bytes)>,
    /// Snapshot zxids after the base that the log stepped over without containing them.
    pub(crate) stepped_over: Vec<Zxid>,
    /// The log goes on after [`Span::upto`].
    pub(crate) beyond: bool,
    /// Files whose end was cut short with nothing after it, in zxid order: to be cut at `at`.
    pub(crate) torn: Vec<Torn>,
    /// Files that hold nothing, not even a header.
    pub(crate) without_header: Vec<PathBuf>,
    /// The newest file that was read to its end, and where its good entries end.
    pub(crate) end: Option<(PathBuf, u64)>,
    pub(crate) notes: Vec<String>,
}

impl Replayed {
    /// Of a directory without logs.
    pub(crate) fn nothing(last: Zxid) -> Replayed {
        Replayed {
            last,
            tail: Vec::new(),
            stepped_over: Vec::new(),
            beyond: false,
            torn: Vec::new(),
            without_header: Vec::new(),
            end: None,
            notes: Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Torn {
    pub(crate) file: PathBuf,
    pub(crate) at: u64,
    pub(crate) after: Zxid,
}

/// The log files of a directory, oldest first.
pub(crate) fn files<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<(Zxid, PathBuf)>> {
    let mut files: Vec<_> = disk
        .list(dir)?
        .into_iter()
        .filter_map(|name| Some((names::parse_log(&name)?, dir.join(name))))
        .collect();
    files.sort();
    Ok(files)
}

/// Hands every txn after `span.base` to `each`, in log order.
pub(crate) fn replay<D: Disk>(
    disk: &D,
    dir: &Path,
    span: &Span<'_>,
    each: &mut dyn FnMut(Zxid, &Bytes, Place<'_>) -> Result<()>,
) -> Result<Replayed> {
    let files = files(disk, dir)?;
    // The newest file named at or before the base may contain txns after it (disk-format §2.4).
    let spanning = files.iter().rposition(|(zxid, _)| *zxid <= span.base);
    let first = bent::first_file(spanning).unwrap_or(spanning.unwrap_or(0));
    let mut walk = Walk::new(span);
    'files: for (_, path) in &files[first..] {
        let mut reader = LogReader::open(disk, path, walk.last, span.txn_len_max)?;
        loop {
            match reader.next()? {
                Item::Txn { offset, txn } => {
                    let place = Place { file: path, offset };
                    let Some(zxid) = zxid_of(&txn) else {
                        return Err(reader.damaged(format!("{} bytes are no txn header", txn.len())));
                    };
                    if span.upto.is_some_and(|upto| zxid > upto) {
                        walk.beyond = true;
                        break 'files;
                    }
                    walk.txn(zxid, txn, place, each)?;
                }
                Item::End(end) => {
                    walk.file_ended(path, end, &mut reader)?;
                    break;
                }
            }
        }
    }
    Ok(walk.finish())
}

struct Walk<'a> {
    span: &'a Span<'a>,
    last: Zxid,
    last_file: PathBuf,
    tail: VecDeque<(Zxid, Bytes)>,
    tail_bytes: usize,
    /// The end of an earlier file that is only legal when no txn follows it.
    unwritten: Option<Refusal>,
    stepped_over: Vec<Zxid>,
    beyond: bool,
    torn: Vec<Torn>,
    without_header: Vec<PathBuf>,
    end: Option<(PathBuf, u64)>,
    notes: Vec<String>,
    lower: u64,
    repeated: u64,
}

impl<'a> Walk<'a> {
    fn new(span: &'a Span<'a>) -> Walk<'a> {
        Walk {
            span,
            last: span.base,
            last_file: PathBuf::from("the snapshot"),
            tail: VecDeque::new(),
            tail_bytes: 0,
            unwritten: None,
            stepped_over: Vec::new(),
            beyond: false,
            torn: Vec::new(),
            without_header: Vec::new(),
            end: None,
            notes: Vec::new(),
            lower: 0,
            repeated: 0,
        }
    }

    fn txn(
        &mut self,
        zxid: Zxid,
        txn: Bytes,
        place: Place<'_>,
        each: &mut dyn FnMut(Zxid, &Bytes, Place<'_>) -> Result<()>,
    ) -> Result<()> {
        if let Some(refusal) = self.unwritten.take() {
            return Err(refusal);
        }
        for torn in self.torn.drain(..) {
            self.notes.push(format!(
                "{}: the last write was cut short at byte {} after {}; the log goes on in {}",
                torn.file.display(),
                torn.at,
                torn.after,
                place.file.display()
            ));
        }
        if zxid > self.span.base {
            if zxid == self.last && (kind_of(&txn) == Some(ERROR_TXN) || self.is_newest(zxid, &txn)) {
                // quorum-protocol TRAP Q24: the same zxid again as an error txn; or a plain repeat.
                self.repeated += 1;
                return Ok(());
            }
            if zxid <= self.last {
                self.lower += 1;
            } else if !follows(self.last, zxid) {
                return Err(Refusal::Gap {
                    before: self.last_file.clone(),
                    after: self.last,
                    file: place.file.to_owned(),
                    found: zxid,
                    offset: place.offset,
                });
            }
            let missed = |floor: &&Zxid| self.last < **floor && **floor < zxid;
            self.stepped_over.extend(self.span.snapshots.iter().filter(missed));
            each(zxid, &txn, place)?;
            self.last = zxid;
        }
        if self.last_file != place.file {
            self.last_file = place.file.to_owned();
        }
        self.keep(zxid, txn);
        Ok(())
    }

    fn is_newest(&self, zxid: Zxid, txn: &Bytes) -> bool {
        self.tail.back().is_some_and(|(last, bytes)| *last == zxid && bytes == txn)
    }

    /// Adds to the tail, which starts over wherever the history may have a hole.
    fn keep(&mut self, zxid: Zxid, txn: Bytes) {
        while self.tail.back().is_some_and(|(last, _)| *last >= zxid) {
            self.tail.pop_back().inspect(|(_, gone)| self.tail_bytes -= gone.len());
        }
        if let Some((last, _)) = self.tail.back() {
            let stepped_over = self.span.snapshots.iter().any(|floor| last < floor && *floor < zxid);
            if stepped_over || !follows(*last, zxid) {
                self.tail.clear();
                self.tail_bytes = 0;
            }
        }
        self.tail_bytes += txn.len();
        self.tail.push_back((zxid, txn));
        while self.tail.len() > self.span.tail_txns_max || self.tail_bytes > self.span.tail_bytes_max {
            let Some((_, gone)) = self.tail.pop_front() else { break };
            self.tail_bytes -= gone.len();
        }
    }

    fn file_ended<F: crate::server::store::disk::File>(
        &mut self,
        path: &Path,
        end: End,
        reader: &mut LogReader<F>,
    ) -> Result<()> {
        let cut_short = match end.tail {
            Tail::Clean => {
                // Also behind the padding's first zeros a lost sector may have left the rest of a
                // torn batch.
                let leftover = reader.leftover(end.at)?;
                leftover.end > leftover.start
            }
            Tail::Torn if bent::refuses_torn_end() => {
                return Err(reader.damaged("the last write was cut short".to_owned()));
            }
            Tail::Torn => true,
            Tail::Mismatch { unwritten } => {
                let what = "the checksum does not match, although the entry is complete".to_owned();
                let refusal = reader.damaged(what);
                if !unwritten {
                    return Err(refusal);
                }
                self.unwritten = Some(refusal);
                true
            }
            Tail::NoHeader => {
                self.without_header.push(path.to_owned());
                return Ok(());
            }
        };
        self.end = Some((path.to_owned(), end.at));
        if cut_short {
            self.torn.push(Torn { file: path.to_owned(), at: end.at, after: self.last });
        }
        Ok(())
    }

    fn finish(mut self) -> Replayed {
        // The tail must reach the newest state: a snapshot beyond the log leaves none.
        if self.tail.back().is_some_and(|(last, _)| *last != self.last) {
            self.tail.clear();
        }
        if self.repeated > 0 {
            self.notes.push(format!("{} repeated log entries were skipped", self.repeated));
        }
        if self.lower > 0 {
            self.notes.push(format!(
                "{} log entries came after one with a higher zxid and were applied again, as Apache ZooKeeper does",
                self.lower
            ));
        }
        Replayed {
            last: self.last,
            tail: self.tail.into(),
            stepped_over: self.stepped_over,
            beyond: self.beyond,
            torn: self.torn,
            without_header: self.without_header,
            end: self.end,
            notes: self.notes,
        }
    }
}

/// The txn type of a failed request (quorum-protocol §3.2).
const ERROR_TXN: i32 = -1;
