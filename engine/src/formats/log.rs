//! The txn log's bytes (disk-format §2): the header of a file, one entry after the other, and what an end means that
//! is not an entry's (§2.4). Txns are opaque here except for the zxid and the type in their headers.
//!
//! It reads nothing: who holds the file hands over what lies ahead, and more of it when asked.

use bytes::{BufMut, BytesMut};

use crate::wire::ids::Zxid;

/// How a file begins.
#[derive(Debug, PartialEq, Eq)]
pub enum Beginning {
    Whole,
    /// The file is shorter than the header, and what is there is the header's beginning.
    CutShort,
    NotALog,
}

/// Judges the first bytes of a file: [`HEADER`]'s length, or all there are.
pub fn beginning(head: &[u8]) -> Beginning {
    if head.len() < HEADER.len() && HEADER.starts_with(head) {
        return Beginning::CutShort;
    }
    // Only the magic counts: the reference checks neither version nor dbid.
    match head.starts_with(MAGIC) && head.len() >= HEADER.len() {
        true => Beginning::Whole,
        false => Beginning::NotALog,
    }
}

/// What stands where an entry should begin.
#[derive(Debug)]
pub enum Step<'a> {
    /// Not to be said yet: ask again with so many bytes, or with all to the end of the file.
    Need(usize),
    /// A complete entry, whatever its checksum says.
    Entry(Entry<'a>),
    End(Tail),
    /// What is there is not what was written.
    Damaged(String),
}

/// Where a file's good entries end, and what comes then.
#[derive(Debug, PartialEq, Eq)]
pub enum Tail {
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

/// The bytes of an entry, from its checksum to its terminator.
#[derive(Debug)]
pub struct Entry<'a> {
    bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// How far the next entry is from this one.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub fn txn(&self) -> &'a [u8] {
        &self.bytes[ENTRY_HEAD..self.bytes.len() - 1]
    }

    /// Whether the txn is what the checksum was made of.
    pub fn is_sound(&self) -> bool {
        checksum(self.bytes) == Some(simd_adler32::adler32(&self.txn()).into())
    }

    /// How an unsound one at `offset` of its file ends the log.
    pub fn mismatch(&self, offset: u64) -> Tail {
        Tail::Mismatch { unwritten: has_unwritten_sector(offset, self.bytes) }
    }
}

/// What is known where an entry should begin.
#[derive(Debug, Clone, Copy)]
pub struct Spot {
    /// Its place in the file.
    pub offset: u64,
    /// The last txn read before.
    pub after: Zxid,
    /// The longest txn that is believed: whoever wrote a longer one had another `jute.maxbuffer`.
    pub txn_len_max: usize,
}

/// Looks at `ahead`, the bytes from a spot of a file on; with `to_the_end` the file ends behind them.
pub fn entry(ahead: &[u8], to_the_end: bool, spot: Spot) -> Step<'_> {
    let look_ahead = look_ahead(spot.txn_len_max);
    let is_short = |want: usize| ahead.len() < want && !to_the_end;
    if is_short(ENTRY_HEAD) {
        return Step::Need(ENTRY_HEAD);
    }
    let (Some(crc), Some(len)) = (checksum(ahead), length(ahead)) else {
        // Too short for anything to follow.
        return Step::End(if ahead.iter().all(|&byte| byte == 0) { Tail::Clean } else { Tail::Torn });
    };
    if len == 0 && crc == 0 {
        return Step::End(Tail::Clean);
    }
    let len = len.cast_signed();
    let Some(txn_len) = usize::try_from(len).ok().filter(|&len| len <= spot.txn_len_max) else {
        let most = spot.txn_len_max;
        return Step::Damaged(format!("length {len} is not between 1 and {most}, which jute.maxbuffer sets"));
    };
    let size = ENTRY_HEAD + txn_len + 1;
    if txn_len > 0 && is_short(size) {
        return Step::Need(size);
    }
    if txn_len > 0 && ahead.get(size - 1) == Some(&ENTRY_END) {
        return Step::Entry(Entry { bytes: &ahead[..size] });
    }
    if is_short(look_ahead) {
        return Step::Need(look_ahead);
    }
    cut_short(&ahead[..ahead.len().min(look_ahead)], spot)
}

/// What may lie between an entry that cannot be read and the end of the next one.
pub const fn look_ahead(txn_len_max: usize) -> usize {
    2 * (ENTRY_HEAD + txn_len_max + 1)
}

/// Where in `ahead`, which begins with an entry that cannot be read, the next whole one of a later txn begins. It is
/// looked for in the first half of a whole [`look_ahead`].
pub fn next_entry(ahead: &[u8], spot: Spot) -> Option<usize> {
    let is_entry = |bytes: &[u8]| {
        let (Some(crc), Some(len)) = (checksum(bytes), length(bytes)) else { return false };
        let len = len as usize;
        if crc == 0 || crc > u64::from(u32::MAX) || len > spot.txn_len_max {
            return false;
        }
        let Some(txn) = bytes.get(ENTRY_HEAD..ENTRY_HEAD + len) else { return false };
        bytes.get(ENTRY_HEAD + len) == Some(&ENTRY_END)
            && zxid_of(txn).is_some_and(|zxid| zxid > spot.after)
            && u64::from(simd_adler32::adler32(&txn)) == crc
    };
    let farthest = ahead.len().min(ENTRY_HEAD + spot.txn_len_max + 2);
    (1..farthest).find(|&at| is_entry(&ahead[at..]))
}

/// Appends one entry: Adler-32 of the txn alone (TRAP D3), length, txn, 'B'.
pub fn put_entry(out: &mut BytesMut, txn: &[u8]) {
    out.reserve(ENTRY_HEAD + txn.len() + 1);
    out.put_u64(simd_adler32::adler32(&txn).into());
    out.put_u32(u32::try_from(txn.len()).expect("append refuses longer txns"));
    out.put_slice(txn);
    out.put_u8(ENTRY_END);
}

/// The zxid in a txn's header (quorum-protocol §3.3: session 8, cxid 4, zxid 8, time 8, type 4).
pub fn zxid_of(txn: &[u8]) -> Option<Zxid> {
    let field = txn.get(..32)?.get(12..20)?;
    Some(Zxid(i64::from_be_bytes(field.try_into().ok()?)))
}

/// The type in a txn's header.
pub fn kind_of(txn: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(txn.get(28..32)?.try_into().ok()?))
}

/// The entry here does not end as it should. It is the end of what was written, unless whole entries follow and
/// no sector is missing before them, or its checksum says that it is whole: then a byte of it is not what was
/// written.
fn cut_short(ahead: &[u8], spot: Spot) -> Step<'_> {
    match next_entry(ahead, spot) {
        Some(next) if !has_unwritten_sector(spot.offset, &ahead[..next]) => {
            Step::Damaged(format!("it does not end where it says, and the log goes on {next} bytes further"))
        }
        None if is_whole_but_for_its_frame(ahead) => {
            Step::Damaged("all of it was written, but its length or its end is not what was".to_owned())
        }
        _ => Step::End(Tail::Torn),
    }
}

/// Whether `ahead` begins with an entry whose checksum holds up to where the bytes end, or up to where its length
/// says, although length and terminator do not agree.
fn is_whole_but_for_its_frame(ahead: &[u8]) -> bool {
    let (Some(crc), Some(len)) = (checksum(ahead), length(ahead)) else { return false };
    let holds_to = |end: usize| {
        ahead
            .get(ENTRY_HEAD..end)
            .is_some_and(|txn| !txn.is_empty() && u64::from(simd_adler32::adler32(&txn)) == crc)
    };
    let last = ahead.iter().rposition(|&byte| byte != 0).filter(|&last| ahead[last] == ENTRY_END);
    // A terminator that never reached the disk is zero.
    let end = ENTRY_HEAD + len as usize;
    last.is_some_and(holds_to) || (ahead.get(end).is_some_and(|&byte| byte != 0) && holds_to(end))
}

fn checksum(entry: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(entry.get(..8)?.try_into().ok()?))
}

fn length(entry: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(entry.get(8..ENTRY_HEAD)?.try_into().ok()?))
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

/// Magic, version 2, dbid 0.
pub const HEADER: [u8; 16] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";
const MAGIC: &[u8] = b"ZKLG";
/// Checksum and length in front of the txn.
pub const ENTRY_HEAD: usize = 12;
const ENTRY_END: u8 = b'B';
/// The unit in which a disk persists or does not.
const SECTOR: u64 = 512;
/// The checksum has 32 bits and takes 64.
const CHECKSUM_ZEROS: usize = 4;
