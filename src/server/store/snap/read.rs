//! Reading snapshot files: which names are candidates, whether the seals hold, where the body is.
//! What the body means is `tree`'s; which snapshot to use is `recover`'s.

use std::io::{self, Read};
use std::path::Path;

use simd_adler32::Adler32;

use super::{DIGEST_VERSION, HEADER, SEAL_BYTES, SLASH};
use crate::formats::compression::{Compression, decoder};
use crate::formats::names;
use crate::server::mutants::{self, Mutant};
use crate::server::store::disk::{self, Disk, File};
use crate::server::tree::snapshot::{Loader, Scanner};
use crate::server::tree::{self, Tree};
use crate::wire::ids::Zxid;
use crate::wire::jute;

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
    Body(#[from] jute::Error),
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
    let len = file.size()?;
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

/// What follows a body whose seals hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// The tree's digest and the zxid it belongs to; `None` when there is none to compare.
    pub(crate) digest: Option<(Zxid, u64)>,
    /// Section 8. Never where replay starts (TRAP D6).
    pub(crate) last_processed: Option<Zxid>,
}

/// Loads a snapshot into a fresh tree (TRAP D8) and checks its seals. The tree's last zxid is the
/// one of the file's name. `notes` gets a digest that does not match.
pub(crate) fn load<D: Disk>(
    disk: &D,
    dir: &Path,
    candidate: &Candidate,
    settings: &tree::Settings,
    notes: &mut Vec<String>,
) -> Result<Tree, SnapError> {
    let mut loader = Loader::new(settings.clone());
    let trailer = read(disk, dir, candidate, &mut |piece| loader.feed(piece))?;
    let mut tree = loader.finish()?;
    let late = trailer.last_processed.filter(|_| mutants::on(Mutant::ReplayFromSnapshotEnd));
    tree.set_last_zxid(late.unwrap_or(candidate.zxid));
    if let Some((zxid, digest)) = trailer.digest.filter(|_| settings.digest_enabled)
        && tree.promise_digest(zxid, digest) == Some(false)
    {
        notes.push(format!(
            "{}: the data does not have the digest that stands in the file: this server may differ from its \
             peers (compare the `hash` word, or let it sync anew with zkops repair)",
            dir.join(&candidate.name).display()
        ));
    }
    Ok(tree)
}

/// Reads a snapshot through without building anything: what a purge wants to know.
pub(crate) fn verify<D: Disk>(disk: &D, dir: &Path, candidate: &Candidate) -> Result<Trailer, SnapError> {
    let mut scanner = Scanner::new();
    read(disk, dir, candidate, &mut |piece| scanner.feed(piece))
}

/// Hands the body to `body` piece by piece until it says where the body ends; then checks the
/// seals over everything.
pub(super) fn read<D: Disk>(
    disk: &D,
    dir: &Path,
    candidate: &Candidate,
    body: &mut dyn FnMut(&[u8]) -> jute::Result<Option<usize>>,
) -> Result<Trailer, SnapError> {
    let mut cursor = Cursor { file: disk.open_read(&dir.join(&candidate.name))?, at: 0 };
    let mut stream = decoder(candidate.compression, &mut cursor);
    let mut header = [0; HEADER.len()];
    stream.read_exact(&mut header).map_err(|_| SnapError::NotASnapshot)?;
    if !header.starts_with(&HEADER[..4]) {
        return Err(SnapError::NotASnapshot);
    }
    let mut adler = Adler32::new();
    adler.write(&header);
    let mut chunk = vec![0; CHUNK];
    let mut trailer = loop {
        let got = stream.read(&mut chunk)?;
        if got == 0 {
            return Err(SnapError::Seal);
        }
        if let Some(end) = body(&chunk[..got])? {
            adler.write(&chunk[..end]);
            break chunk[end..got].to_vec();
        }
        adler.write(&chunk[..got]);
    };
    stream.take(TRAILER_BYTES_MAX + 1).read_to_end(&mut trailer)?;
    Trailer::parse(&adler, &trailer).ok_or(SnapError::Seal)
}

const CHUNK: usize = 256 * 1024;
/// Seal, digest of an old version with 16 digits, seal, last zxid, seal.
const TRAILER_BYTES_MAX: u64 = 3 * SEAL_BYTES as u64 + 8 + 4 + 4 + 16 + 8;

impl Trailer {
    /// Reads seal 1, then sections 7 and 8, each of which may be there or not (TRAP D7).
    /// `adler` covers all before `bytes`, which must be all that follows.
    fn parse(adler: &Adler32, bytes: &[u8]) -> Option<Trailer> {
        let mut at = seal(adler, bytes, 0)?;
        let mut trailer = Trailer::default();
        // Section 8 and its seal are 21 bytes, section 7 with its own at least 30.
        if bytes.len() - at > 8 + SEAL_BYTES {
            let zxid = Zxid(long(bytes, at)?);
            if int(bytes, at + 8)? == DIGEST_VERSION {
                // Zxid 0 is how writers say "no digest yet" (disk-format §3.2).
                trailer.digest = (zxid != Zxid::ZERO).then_some((zxid, long(bytes, at + 12)? as u64));
                at += 20;
            } else {
                // Before version 2 the digest was a string of hex digits; nobody compares those.
                at += 16 + usize::try_from(int(bytes, at + 12)?).ok()?;
            }
            at = seal(adler, bytes, at)?;
        }
        if bytes.len() > at {
            trailer.last_processed = Some(Zxid(long(bytes, at)?));
            at = seal(adler, bytes, at + 8)?;
        }
        (at == bytes.len()).then_some(trailer)
    }
}

/// Checks the seal at `at` over everything before it; the offset behind it.
fn seal(adler: &Adler32, bytes: &[u8], at: usize) -> Option<usize> {
    let sum = u64::try_from(long(bytes, at)?).ok()?;
    if bytes.get(at + 8..at + SEAL_BYTES)? != SLASH {
        return None;
    }
    let mut adler = adler.clone();
    adler.write(&bytes[..at]);
    (u64::from(adler.finish()) == sum).then_some(at + SEAL_BYTES)
}

fn long(bytes: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn int(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
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
