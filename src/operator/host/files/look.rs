//! Looking at files: stat, list, read, hash. It changes nothing.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::accounts::Accounts;
use super::content;
use super::records::{DirEntry, FileContent, FileHash, FileKind, Found, Listing, PathStat};
use crate::operator::host::failure::{At, Failure, Kind};

pub(crate) fn stat(paths: &[PathBuf]) -> Vec<PathStat> {
    let names = Accounts::read();
    paths
        .iter()
        .map(|path| match fs::symlink_metadata(path) {
            Ok(metadata) => {
                PathStat { path: path.clone(), found: Some(found(path, &metadata, &names)), problem: None }
            }
            // A file where a directory should be also means: nothing is there.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                PathStat { path: path.clone(), found: None, problem: None }
            }
            Err(error) => {
                let problem = Some(Failure::io("look at", path.display(), &error));
                PathStat { path: path.clone(), found: None, problem }
            }
        })
        .collect()
}

pub(crate) fn list(path: &Path) -> Result<Listing, Failure> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).at("list", path)? {
        let entry = entry.at("list", path)?;
        // Deleted since it was listed: as if it had never been there.
        let Ok(metadata) = entry.metadata() else { continue };
        entries.push(DirEntry {
            name: entry.file_name().to_string_lossy().into_owned(),
            kind: kind(&metadata),
            bytes: metadata.len(),
            modified_ms: modified_ms(&metadata),
        });
        if entries.len() > ENTRIES_MAX {
            break;
        }
    }
    let truncated = entries.len() > ENTRIES_MAX;
    entries.truncate(ENTRIES_MAX);
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Listing { entries, truncated })
}

/// The first `max` bytes (never over [`READ_BYTES_MAX`]) of a regular file.
pub(crate) fn read(path: &Path, max: u64) -> Result<FileContent, Failure> {
    let file = open_regular(path, "read")?;
    let metadata = file.metadata().at("read", path)?;
    let mut bytes = Vec::new();
    file.take(max.min(READ_BYTES_MAX)).read_to_end(&mut bytes).at("read", path)?;
    Ok(FileContent {
        bytes: metadata.len().max(bytes.len() as u64),
        truncated: metadata.len() > bytes.len() as u64,
        sha256: content::sha256(&bytes),
        mode: metadata.mode() & 0o7777,
        content: bytes.into(),
    })
}

pub(crate) fn hashes(paths: &[PathBuf]) -> Vec<FileHash> {
    paths
        .iter()
        .map(|path| match hash(path) {
            Ok((sha256, bytes)) => {
                FileHash { path: path.clone(), sha256: Some(sha256), bytes, problem: None }
            }
            Err(failure) => {
                let problem = (failure.kind != Kind::NotFound).then_some(failure);
                FileHash { path: path.clone(), sha256: None, bytes: 0, problem }
            }
        })
        .collect()
}

/// SHA-256 and size of one file.
pub(crate) fn hash(path: &Path) -> Result<(String, u64), Failure> {
    let mut file = open_regular(path, "hash")?;
    let (mut hasher, mut buffer, mut bytes) = (Sha256::new(), vec![0; 256 << 10], 0);
    loop {
        let got = file.read(&mut buffer).at("hash", path)?;
        if got == 0 {
            return Ok((content::hex(&hasher.finalize()), bytes));
        }
        hasher.update(&buffer[..got]);
        bytes += got as u64;
    }
}

/// The last `max` bytes of a file, and whether there was more before them.
pub(crate) fn tail(path: &Path, max: u64) -> Result<(Vec<u8>, bool), Failure> {
    let mut file = open_regular(path, "read")?;
    let length = file.metadata().at("read", path)?.len();
    let from = length.saturating_sub(max);
    file.seek(SeekFrom::Start(from)).at("read", path)?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).at("read", path)?;
    Ok((bytes, from > 0))
}

/// Opening a FIFO would wait for a writer for ever: only regular files are opened.
fn open_regular(path: &Path, what: &str) -> Result<fs::File, Failure> {
    let metadata = fs::metadata(path).at(what, path)?;
    if metadata.is_dir() {
        return Err(Failure::new(what, path.display(), Kind::IsADirectory, "it is a directory"));
    }
    if !metadata.is_file() {
        return Err(Failure::invalid(what, path.display(), "it is not a regular file"));
    }
    fs::File::open(path).at(what, path)
}

fn found(path: &Path, metadata: &fs::Metadata, names: &Accounts) -> Found {
    Found {
        kind: kind(metadata),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        owner: names.user(metadata.uid()),
        group: names.group(metadata.gid()),
        bytes: metadata.len(),
        modified_ms: modified_ms(metadata),
        link_target: fs::read_link(path).ok(),
    }
}

fn kind(metadata: &fs::Metadata) -> FileKind {
    let kind = metadata.file_type();
    if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Dir
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else if kind.is_socket() {
        FileKind::Socket
    } else {
        FileKind::Other
    }
}

fn modified_ms(metadata: &fs::Metadata) -> i64 {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A listing is cut after so many names.
const ENTRIES_MAX: usize = 20_000;
/// Base64 makes 4 bytes of 3, and a frame holds 16 MiB.
pub(crate) const READ_BYTES_MAX: u64 = 10 << 20;
