//! What a path means: a file, a `version-2`, a dataDir or dataLogDir, or the zoo.cfg that names them.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::ServerConfig;
use crate::formats::compression::Compression;
use crate::formats::log::{self, Beginning};
use crate::formats::names::{self, VERSION_2};
use crate::formats::records;
use crate::formats::snapshot;
use crate::wire::ids::Zxid;
use crate::wire::jute::FIELD_LEN_MAX;

/// The logs, or the snapshots, of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where they stand.
    pub dir: PathBuf,
    /// In the order of their zxids.
    pub files: Vec<Found>,
    /// The longest transaction that its server writes.
    pub txn_len_max: usize,
    /// Names of other files there that Apache ZooKeeper would take for logs or snapshots.
    pub misleading: Vec<String>,
    /// The file was named, not found in its directory.
    pub is_one_file: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    /// What its name says; `None`: it is called something else.
    pub zxid: Option<Zxid>,
    /// Of a snapshot.
    pub compression: Compression,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Logs,
    Snapshots,
}

/// Why a path leads to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error("{} cannot be looked at: {why}", path.display())]
    Unreadable { path: PathBuf, why: io::Error },
    #[error("{} has no {what}; looked in {looked}", path.display())]
    Empty { path: PathBuf, what: &'static str, looked: String },
    #[error("{} is a {is}, not a {wanted}", path.display())]
    Other { path: PathBuf, is: &'static str, wanted: &'static str },
    #[error("{} is neither a {wanted} nor a zoo.cfg with a dataDir", path.display())]
    Unknown { path: PathBuf, wanted: &'static str },
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Logs => "txn log",
            Kind::Snapshots => "snapshot",
        }
    }

    fn found(self, dir: &Path, name: &str) -> Option<Found> {
        let path = dir.join(name);
        Some(match self {
            Kind::Logs => Found { path, zxid: Some(names::parse_log(name)?), compression: Compression::None },
            Kind::Snapshots => {
                let (zxid, compression) = names::parse_snapshot(name)?;
                Found { path, zxid: Some(zxid), compression }
            }
        })
    }
}

/// The files of one kind that `path` leads to.
///
/// # Errors
/// It leads to none, or cannot be looked at.
pub fn find(path: &Path, kind: Kind) -> Result<Place, Lost> {
    let unreadable = |why| Lost::Unreadable { path: path.to_owned(), why };
    let meta = fs::metadata(path).map_err(unreadable)?;
    if !meta.is_dir() && !meta.is_file() {
        return Err(Lost::Unknown { path: path.to_owned(), wanted: kind.word() });
    }
    if meta.is_dir() {
        return in_dirs(path, &[path.to_owned(), path.join(VERSION_2)], kind, FIELD_LEN_MAX);
    }
    let mut head = Vec::new();
    fs::File::open(path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut head)).map_err(unreadable)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let found = kind.found(Path::new(""), &name);
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is = look(&head, &name);
    if found.is_some() || is.is_some_and(|(is, _)| is == kind) {
        let compression = is.map_or(Compression::None, |(_, compression)| compression);
        let compression = found.as_ref().map_or(compression, |found| found.compression);
        let zxid = found.and_then(|found| found.zxid);
        let file = Found { path: path.to_owned(), zxid, compression };
        return Ok(Place {
            dir: dir.to_owned(),
            files: vec![file],
            txn_len_max: FIELD_LEN_MAX,
            misleading: Vec::new(),
            is_one_file: true,
        });
    }
    if let Some((is, _)) = is {
        return Err(Lost::Other { path: path.to_owned(), is: is.word(), wanted: kind.word() });
    }
    configured(path, kind)
}

/// What a file is, by its first bytes, and by its name where it has none yet.
fn look(head: &[u8], name: &str) -> Option<(Kind, Compression)> {
    let begins = |compression: Compression| head.starts_with(compression.magic());
    match () {
        () if log::beginning(head) == Beginning::Whole || names::parse_log(name).is_some() => {
            Some((Kind::Logs, Compression::None))
        }
        () if head.starts_with(snapshot::MAGIC) => Some((Kind::Snapshots, Compression::None)),
        () if begins(Compression::Gzip) => Some((Kind::Snapshots, Compression::Gzip)),
        () if begins(Compression::Snappy) => Some((Kind::Snapshots, Compression::Snappy)),
        () => names::parse_snapshot(name).map(|(_, compression)| (Kind::Snapshots, compression)),
    }
}

/// Of a zoo.cfg: whatever else is wrong with it, its directories count.
fn configured(path: &Path, kind: Kind) -> Result<Place, Lost> {
    let unreadable = |why| Lost::Unreadable { path: path.to_owned(), why };
    let unknown = || Lost::Unknown { path: path.to_owned(), wanted: kind.word() };
    let mut text = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(CONFIG_BYTES_MAX).read_to_end(&mut text))
        .map_err(unreadable)?;
    let read = |file: &Path| fs::read(file);
    let config = ServerConfig::examine(path, &text, &[], &read).config;
    let dir = match kind {
        Kind::Logs => &config.data_log_dir,
        Kind::Snapshots => &config.data_dir,
    };
    if dir.as_os_str().is_empty() {
        return Err(unknown());
    }
    in_dirs(dir, &[dir.join(VERSION_2)], kind, config.pipeline.txn_bytes_max)
}

/// The files of the first of `dirs` that has any.
fn in_dirs(path: &Path, dirs: &[PathBuf], kind: Kind, txn_len_max: usize) -> Result<Place, Lost> {
    for dir in dirs {
        let names = match list(dir) {
            Ok(names) => names,
            Err(why) if why.kind() == io::ErrorKind::NotFound => continue,
            Err(why) => return Err(Lost::Unreadable { path: dir.clone(), why }),
        };
        let mut files: Vec<_> = names.iter().filter_map(|name| kind.found(dir, name)).collect();
        files.sort_by(|a, b| (a.zxid, &a.path).cmp(&(b.zxid, &b.path)));
        let prefix = if kind == Kind::Logs { "log" } else { "snapshot" };
        let is_misleading =
            |name: &&String| names::is_misleading(name) && names::zxid_as_reference(name, prefix).is_some();
        let misleading = names.iter().filter(is_misleading).cloned().collect();
        if !files.is_empty() {
            return Ok(Place { dir: dir.clone(), files, txn_len_max, misleading, is_one_file: false });
        }
    }
    let looked = dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(" and ");
    Err(Lost::Empty { path: path.to_owned(), what: kind.word(), looked })
}

/// The log that its server names as the newest it wrote, where that is not there any more.
pub fn lost_newest(dir: &Path) -> Option<PathBuf> {
    let record = fs::read(dir.join(records::NEWEST)).ok()?;
    let log = dir.join(names::log(records::parse_newest(&record)?));
    matches!(log.try_exists(), Ok(false)).then_some(log)
}

fn list(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // One that vanished meanwhile may stay: it is told when it is opened. What is no file is no log, and might be
        // waited for without end.
        let is_file = entry.path().metadata().map_or(true, |meta| meta.is_file());
        names.extend(entry.file_name().into_string().ok().filter(|_| is_file));
    }
    names.sort_unstable();
    Ok(names)
}

/// As many as tell what a file is.
const HEAD_BYTES: u64 = 16;
/// A zoo.cfg is a page of text.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
