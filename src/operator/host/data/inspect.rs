//! A look at a member's dataDir and dataLogDir (disk-format §1, §3.4, §6): whose data it is, how
//! far it goes by the names of its files, and whether its first and last bytes can be right. It
//! opens no database and changes nothing; the server's own recovery has the last word.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::marker;
use super::records::{Damage, DataFile, InspectData, Inspection, Number, NumberFile, OddFile};
use crate::formats::compression::Compression;
use crate::formats::log::{self, Beginning};
use crate::formats::marker::FILE;
use crate::formats::names::{self, INITIALIZE, VERSION_2};
use crate::formats::numbers::{ACCEPTED_EPOCH, CURRENT_EPOCH, MYID};
use crate::formats::snapshot;
use crate::operator::host::failure::{Failure, Kind};

/// Never fails: what it cannot read is part of the answer.
pub(crate) fn inspect(request: &InspectData) -> Inspection {
    let data_dir = &request.data_dir;
    let log_dir = request.log_dir.as_ref().unwrap_or(data_dir);
    let mut seen = Inspection {
        data_dir_exists: data_dir.is_dir(),
        log_dir_exists: log_dir.is_dir(),
        initialize: log_dir.join(INITIALIZE).exists() || data_dir.join(INITIALIZE).exists(),
        ..Inspection::default()
    };
    match marker::read(data_dir) {
        Ok(marker) => seen.marker = marker,
        Err(failure) => {
            if failure.kind == Kind::Foreign {
                let how = "does not say whose data this is";
                seen.damage.push(Damage::BadMarker(odd(&data_dir.join(FILE), how)));
            }
            seen.unreadable.push(failure);
        }
    }
    seen.myid = number(&data_dir.join(MYID), &mut seen.unreadable);
    let version_2 = data_dir.join(VERSION_2);
    seen.accepted_epoch = number(&version_2.join(ACCEPTED_EPOCH), &mut seen.unreadable);
    seen.current_epoch = number(&version_2.join(CURRENT_EPOCH), &mut seen.unreadable);
    survey(&mut seen, data_dir);
    if log_dir != data_dir {
        survey(&mut seen, log_dir);
    }
    seen.snapshots.sort_by_key(|file| file.zxid);
    seen.logs.sort_by_key(|file| file.zxid);
    seen.foreign.sort();
    seen.foreign.truncate(FOREIGN_MAX);
    seen.zxid_by_name = seen.snapshots.iter().chain(&seen.logs).map(|file| file.zxid).max();
    seen.empty = seen.snapshots.is_empty()
        && seen.logs.is_empty()
        && seen.accepted_epoch.is_none()
        && seen.current_epoch.is_none();
    judge_numbers(&mut seen);
    judge_files(&mut seen);
    seen
}

/// One directory and its `version-2`: sorts every name into its place.
fn survey(seen: &mut Inspection, dir: &Path) {
    let version_2 = dir.join(VERSION_2);
    for (path, metadata) in entries(dir, &mut seen.unreadable) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path == version_2 {
            if !metadata.is_dir() {
                seen.damage.push(Damage::NotADirectory { path });
            }
            continue;
        }
        if metadata.is_file() {
            seen.total_bytes += metadata.len();
        }
        if !known_beside(&name) {
            stranger(seen, path);
        }
    }
    for (path, metadata) in entries(&version_2, &mut seen.unreadable) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if metadata.is_file() {
            seen.total_bytes += metadata.len();
        }
        let file = |zxid| DataFile { path: path.clone(), zxid, bytes: metadata.len() };
        match (names::zxid_as_reference(&name, "snapshot"), names::zxid_as_reference(&name, "log")) {
            (Some(zxid), _) if metadata.is_file() => seen.snapshots.push(file(zxid)),
            (_, Some(zxid)) if metadata.is_file() => seen.logs.push(file(zxid)),
            _ if known_within(&name) => {}
            _ => stranger(seen, path),
        }
    }
}

fn entries(dir: &Path, unreadable: &mut Vec<Failure>) -> Vec<(PathBuf, fs::Metadata)> {
    match fs::read_dir(dir) {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
            .take(FILES_MAX)
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            unreadable.push(Failure::io("list", dir.display(), &error));
            Vec::new()
        }
    }
}

fn stranger(seen: &mut Inspection, path: PathBuf) {
    seen.foreign_count += 1;
    if seen.foreign.len() < FILES_MAX {
        seen.foreign.push(path);
    }
}

/// Names beside `version-2` that ZooKeeper, its scripts, zkops or mkfs put there.
fn known_beside(name: &str) -> bool {
    const KNOWN: [&str; 5] = [MYID, INITIALIZE, "zookeeper_server.pid", "lost+found", FILE];
    KNOWN.contains(&name) || name.starts_with(".zkops") || name.starts_with("zkops.")
}

fn known_within(name: &str) -> bool {
    let bare = name.strip_suffix(".tmp").unwrap_or(name);
    let zookeepers = matches!(bare, ACCEPTED_EPOCH | CURRENT_EPOCH);
    let unfinished = name.ends_with(".tmp")
        && (names::zxid_as_reference(bare, "snapshot").or(names::zxid_as_reference(bare, "log"))).is_some();
    // What our own server sets aside or has not finished.
    let ours = name.starts_with(names::ASIDE) || name.starts_with(names::UNFINISHED) || name == "lock";
    zookeepers || unfinished || ours || name.starts_with(".zkops") || name.starts_with("zkops.")
}

fn number(path: &Path, unreadable: &mut Vec<Failure>) -> Option<Number> {
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut bytes)) {
        Ok(_) => {
            let text = String::from_utf8_lossy(&bytes);
            let line = text.lines().next().unwrap_or_default();
            Some(Number { raw: line.chars().take(80).collect(), value: line.trim().parse().ok() })
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => {
            unreadable.push(Failure::io("read", path.display(), &error));
            None
        }
    }
}

fn judge_numbers(seen: &mut Inspection) {
    let named = [
        (NumberFile::Myid, &seen.myid),
        (NumberFile::AcceptedEpoch, &seen.accepted_epoch),
        (NumberFile::CurrentEpoch, &seen.current_epoch),
    ];
    for (file, number) in named {
        if let Some(Number { raw, value: None }) = number {
            seen.damage.push(Damage::NotANumber { file, raw: raw.clone() });
        }
    }
    let value = |number: &Option<Number>| number.as_ref().and_then(|number| number.value);
    if let (Some(accepted), Some(current)) = (value(&seen.accepted_epoch), value(&seen.current_epoch))
        && accepted < current
    {
        seen.damage.push(Damage::EpochsReversed { accepted, current });
    }
}

/// What `FileTxnSnapLog.restore` and the log reader would say to the newest files (disk-format
/// §2.4, §3.4, §5), as far as a few bytes tell.
fn judge_files(seen: &mut Inspection) {
    let mut loadable = false;
    for snapshot in seen.snapshots.iter().rev() {
        match odd_snapshot(&snapshot.path) {
            Ok(None) => {
                loadable = true;
                break;
            }
            Ok(Some(how)) => seen.notes.push(odd(&snapshot.path, how)),
            Err(error) => seen.unreadable.push(Failure::io("read", snapshot.path.display(), &error)),
        }
    }
    let unread = seen.unreadable.iter().any(|failure| failure.kind == Kind::PermissionDenied);
    if !loadable && !unread {
        if !seen.snapshots.is_empty() {
            seen.damage.push(Damage::NoSnapshotLoads { odd: seen.notes.clone() });
        } else if !seen.logs.is_empty() {
            seen.damage.push(Damage::LogsWithoutSnapshot);
        }
    }
    for log in seen.logs.iter().rev().take(LOGS_JUDGED) {
        match odd_log(&log.path, log.bytes) {
            Ok(None) => {}
            Ok(Some((true, how))) => seen.damage.push(Damage::BadLog(odd(&log.path, how))),
            Ok(Some((false, how))) => seen.notes.push(odd(&log.path, how)),
            Err(error) => seen.unreadable.push(Failure::io("read", log.path.display(), &error)),
        }
    }
}

fn odd(path: &Path, how: &str) -> OddFile {
    OddFile { path: path.to_path_buf(), how: how.to_string() }
}

fn odd_snapshot(path: &Path) -> io::Result<Option<&'static str>> {
    let mut file = fs::File::open(path)?;
    let mut head = Vec::new();
    (&mut file).take(8).read_to_end(&mut head)?;
    let suffix = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    Ok(match suffix.as_str() {
        "gz" => (!head.starts_with(Compression::Gzip.magic())).then_some("is not gzip"),
        "snappy" => (!head.starts_with(Compression::Snappy.magic())).then_some("is not snappy"),
        _ if !head.starts_with(snapshot::MAGIC) => Some("does not begin with ZKSN"),
        _ => {
            let mut tail = [0; snapshot::SLASH.len()];
            let long_enough =
                file.seek(SeekFrom::End(-(tail.len() as i64))).is_ok() && file.read_exact(&mut tail).is_ok();
            (!long_enough || tail != snapshot::SLASH).then_some("is cut off: it does not end with a seal")
        }
    })
}

/// `(fatal, what)`. The newest log of a server that crashed may be empty or just begun.
fn odd_log(path: &Path, bytes: u64) -> io::Result<Option<(bool, &'static str)>> {
    if bytes == 0 {
        return Ok(Some((false, "is empty")));
    }
    let mut head = Vec::new();
    fs::File::open(path)?.take(log::HEADER.len() as u64).read_to_end(&mut head)?;
    Ok(match log::beginning(&head) {
        Beginning::Whole => None,
        Beginning::CutShort => Some((false, "ends inside its own header")),
        Beginning::NotALog => Some((true, "does not begin with ZKLG")),
    })
}

/// Names of strangers that are listed; more are only counted.
const FOREIGN_MAX: usize = 50;
/// A purged directory holds a handful of files; one that never was may hold thousands.
const FILES_MAX: usize = 10_000;
/// Replay touches the newest logs only.
const LOGS_JUDGED: usize = 20;
