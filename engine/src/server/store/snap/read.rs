//! Reading snapshot files: which names are candidates, whether the seals hold, where the body is.
//! What the body means is `tree`'s; which snapshot to use is `recover`'s.

use std::io::{self, Read};
use std::path::Path;

use crate::formats::compression::{Compression, decoder};
use crate::formats::names;
use crate::formats::snapshot::{self, Fault, SLASH, Trailer};
use crate::server::store::bent;
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
    #[error(transparent)]
    Fault(#[from] Fault),
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
    let mut tree = loader.finish().map_err(Fault::from)?;
    tree.set_last_zxid(bent::replayed_after(trailer.last_processed).unwrap_or(candidate.zxid));
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
    // A file has an end: nothing is waited for.
    let mut scanner = Scanner::new(usize::MAX);
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
    Ok(snapshot::read(decoder(candidate.compression, &mut cursor), body)?)
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
