//! Reading snapshot files: which names are candidates, whether the seals hold, where the body is.
//! What the body means is `tree`'s; which snapshot to use is `recover`'s.

use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use simd_adler32::Adler32;

use crate::ids::Zxid;
use crate::store::disk::{self, Disk, File};
use crate::store::names;

use super::codec::{Compression, decoder};
use super::{DIGEST_VERSION, HEADER, SEAL_BYTES, SLASH};

/// Why a snapshot cannot be used; the next older one may be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapError {
    #[error(transparent)]
    Disk(#[from] disk::Error),
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    #[error("it does not begin with ZKSN, so it is no snapshot")]
    NotASnapshot,
    #[error("it is incomplete or damaged: no seal at its end matches its content")]
    Seal,
    #[error("its content does not decode: {0}")]
    Body(#[from] crate::jute::Error),
}

/// One snapshot of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) zxid: Zxid,
    pub(crate) compression: Compression,
    pub(crate) name: String,
}

/// The snapshots of a directory by name, newest first, good or not.
pub(crate) fn find<D: Disk>(disk: &D, dir: &Path) -> disk::Result<Vec<Candidate>> {
    let mut found: Vec<_> = disk
        .list(dir)?
        .into_iter()
        .filter_map(|name| {
            let (zxid, compression) = names::parse_snapshot(&name)?;
            Some(Candidate { zxid, compression, name })
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The quick check before a load (disk-format §3.4): first bytes of a compressed file, last bytes
/// of a plain one.
pub(crate) fn looks_valid<D: Disk>(disk: &D, dir: &Path, candidate: &Candidate) -> disk::Result<bool> {
    let mut file = disk.open_read(&dir.join(&candidate.name))?;
    let len = file.len()?;
    let magic = candidate.compression.magic();
    let (offset, want): (u64, &[u8]) = match candidate.compression {
        Compression::None if len < 10 => return Ok(false),
        Compression::None => (len - SLASH.len() as u64, &SLASH),
        Compression::Gzip | Compression::Snappy => (0, magic),
    };
    let mut found = [0; 8];
    let got = disk::read_full(&mut file, offset, &mut found[..want.len()])?;
    Ok(found[..got] == *want)
}

/// A snapshot whose seals hold.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// Sessions, ACLs, nodes and the closing "/".
    pub(crate) body: Bytes,
    /// The tree's digest and the zxid it belongs to; `None` when there is none to compare.
    pub(crate) digest: Option<(Zxid, u64)>,
    /// Section 8. Never where replay starts (TRAP D6).
    pub(crate) last_processed: Option<Zxid>,
}

/// Reads a whole snapshot and checks its seals.
pub(crate) fn load<D: Disk>(disk: &D, dir: &Path, candidate: &Candidate) -> Result<Envelope, SnapError> {
    let path = dir.join(&candidate.name);
    let mut cursor = Cursor { file: disk.open_read(&path)?, at: 0 };
    let len = usize::try_from(cursor.file.len()?).unwrap_or(0);
    let mut bytes = Vec::with_capacity(if candidate.compression == Compression::None { len } else { 0 });
    decoder(candidate.compression, &mut cursor).read_to_end(&mut bytes)?;
    if !bytes.starts_with(&HEADER[..4]) || bytes.len() < HEADER.len() {
        return Err(SnapError::NotASnapshot);
    }
    let split = bytes.len().saturating_sub(TAIL_BYTES_MAX);
    let mut adler = Adler32::new();
    adler.write(&bytes[..split]);
    let trailer = Trailer::find(&adler, split, &bytes[split..]).ok_or(SnapError::Seal)?;
    let body_end = split + trailer.start;
    if body_end < HEADER.len() {
        return Err(SnapError::Seal);
    }
    let body = Bytes::from(bytes).slice(HEADER.len()..body_end);
    Ok(Envelope { body, digest: trailer.digest, last_processed: trailer.last_processed })
}

/// Checks header and seals without keeping the content: what a purge wants to know.
pub(crate) fn verify<D: Disk>(disk: &D, dir: &Path, candidate: &Candidate) -> Result<(), SnapError> {
    let mut cursor = Cursor { file: disk.open_read(&dir.join(&candidate.name))?, at: 0 };
    let mut stream = decoder(candidate.compression, &mut cursor);
    let mut adler = Adler32::new();
    let mut hashed = 0;
    let mut kept: Vec<u8> = Vec::new();
    let mut chunk = vec![0; 256 * 1024];
    loop {
        let got = stream.read(&mut chunk)?;
        if got == 0 {
            break;
        }
        kept.extend_from_slice(&chunk[..got]);
        if hashed == 0 && kept.len() >= 4 && !kept.starts_with(&HEADER[..4]) {
            return Err(SnapError::NotASnapshot);
        }
        if kept.len() > TAIL_BYTES_MAX {
            let split = kept.len() - TAIL_BYTES_MAX;
            adler.write(&kept[..split]);
            hashed += split;
            kept.drain(..split);
        }
    }
    match Trailer::find(&adler, hashed, &kept) {
        Some(_) => Ok(()),
        None => Err(SnapError::Seal),
    }
}

/// The longest trailer: seal, digest of an old version with 16 digits, seal, last zxid, seal;
/// plus the "/" that ends the body.
const TAIL_BYTES_MAX: usize = 3 * SEAL_BYTES + 8 + 4 + 4 + 16 + 8 + SLASH.len();

/// What follows the body.
struct Trailer {
    /// Offset in the tail where the body has ended and the first seal stands.
    start: usize,
    digest: Option<(Zxid, u64)>,
    last_processed: Option<Zxid>,
}

impl Trailer {
    /// Finds the trailer in the last bytes of a stream, of which `adler` covers all before them.
    ///
    /// Sections 7 and 8 are each there or not, in every combination (TRAP D7), so the forms are
    /// tried from the longest; one fits only when all of its seals hold over everything before.
    fn find(adler: &Adler32, hashed: usize, tail: &[u8]) -> Option<Trailer> {
        let starts = 0..tail.len().saturating_sub(SEAL_BYTES - 1);
        let at_slash = starts.filter(|&start| {
            // Without a body of at least two counts and "/" there is nothing to seal.
            hashed + start >= HEADER.len() + 8 + SLASH.len() && tail[..start].ends_with(&SLASH)
        });
        at_slash.into_iter().find_map(|start| Trailer::parse(adler, tail, start))
    }

    fn parse(adler: &Adler32, tail: &[u8], start: usize) -> Option<Trailer> {
        let mut at = seal(adler, tail, start)?;
        let mut trailer = Trailer { start, digest: None, last_processed: None };
        if tail.len() - at > 8 + SEAL_BYTES {
            let zxid = Zxid(long(tail, at)?);
            let version = i32::from_be_bytes(tail.get(at + 8..at + 12)?.try_into().ok()?);
            if version == DIGEST_VERSION {
                // Zxid 0 is how writers say "no digest yet" (disk-format §3.2).
                trailer.digest = (zxid != Zxid::ZERO).then_some((zxid, long(tail, at + 12)? as u64));
                at += 20;
            } else {
                // Before version 2 the digest was a string of hex digits; nobody compares those.
                let len = i32::from_be_bytes(tail.get(at + 12..at + 16)?.try_into().ok()?);
                at += 16 + usize::try_from(len).ok()?;
            }
            at = seal(adler, tail, at)?;
        }
        if tail.len() > at {
            trailer.last_processed = Some(Zxid(long(tail, at)?));
            at = seal(adler, tail, at + 8)?;
        }
        (at == tail.len()).then_some(trailer)
    }
}

/// Checks the seal at `at`; the offset behind it.
fn seal(adler: &Adler32, tail: &[u8], at: usize) -> Option<usize> {
    let sum = u64::try_from(long(tail, at)?).ok()?;
    if tail.get(at + 8..at + SEAL_BYTES)? != SLASH {
        return None;
    }
    let mut adler = adler.clone();
    adler.write(&tail[..at]);
    (u64::from(adler.finish()) == sum).then_some(at + SEAL_BYTES)
}

fn long(tail: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_be_bytes(tail.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// A file read from its beginning.
struct Cursor<F> {
    file: F,
    at: u64,
}

impl<F: File> Read for &mut Cursor<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(self.at, buf).map_err(io::Error::other)?;
        self.at += got as u64;
        Ok(got)
    }
}
