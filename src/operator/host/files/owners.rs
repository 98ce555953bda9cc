//! Whose the directories of a server are, and whether the user that it is to run as can get there. It changes nothing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::accounts::Accounts;
use super::disk;
use super::records::{AccountRecord, DirOwner, LookOwners, OwnerRecord, OwnersReport};
use crate::operator::host::failure::Failure;

/// `can_make`: whether this host has a program that makes users.
pub(crate) fn look(request: &LookOwners, can_make: bool) -> OwnersReport {
    let names = Accounts::read();
    let ids = request.user.as_ref().and_then(|user| names.ids_of(user));
    let account = ids.map(|(uid, gid)| AccountRecord { user: name(&names, uid), group: group(&names, gid) });
    let dirs = request.dirs.iter().map(|path| {
        let (found, problem) = match owner(path, &names, request.deep) {
            Ok(found) => (found, None),
            Err(problem) => (None, Some(problem)),
        };
        DirOwner { path: path.clone(), found, problem }
    });
    let dirs = dirs.collect();
    let ids = if request.user.as_deref() == Some("root") { Some((0, 0)) } else { ids };
    let barred = request.user.as_ref().and_then(|_| request.ways.iter().find_map(|way| barred(way, ids)));
    OwnersReport { account, can_make, dirs, barred }
}

fn owner(path: &Path, names: &Accounts, deep: bool) -> Result<Option<OwnerRecord>, Failure> {
    let absent =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(Failure::io("look at", path.display(), &error)),
    };
    let link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let target = link.then(|| fs::canonicalize(path).ok()).flatten();
    let stranger = if deep { stranger(path, metadata.uid(), &mut 0, 0) } else { None };
    Ok(Some(OwnerRecord {
        user: name(names, metadata.uid()),
        group: group(names, metadata.gid()),
        mode: metadata.mode() & 0o7777,
        target,
        stranger,
    }))
}

/// The first thing below that is not theirs; links are not followed.
fn stranger(dir: &Path, uid: u32, seen: &mut usize, depth: usize) -> Option<PathBuf> {
    for entry in fs::read_dir(dir).ok()?.flatten() {
        *seen += 1;
        if *seen > LOOKED_AT_MAX {
            return None;
        }
        // Our own looks at this host, this run's and others', write and remove a file of whoever looks.
        if disk::is_probe(&entry.file_name()) || (depth == 0 && entry.file_name() == "lost+found") {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.uid() != uid {
            return Some(entry.path());
        }
        if metadata.is_dir()
            && depth < DEPTH_MAX
            && let Some(found) = stranger(&entry.path(), uid, seen, depth + 1)
        {
            return Some(found);
        }
    }
    None
}

/// The first directory on the way that these ids may not pass; unknown ids are nobody's.
fn barred(way: &Path, ids: Option<(u32, u32)>) -> Option<PathBuf> {
    if ids.is_some_and(|(uid, _)| uid == 0) {
        return None;
    }
    // What deploy makes will be passable.
    let real = way.ancestors().find_map(|level| fs::canonicalize(level).ok())?;
    let above = real.ancestors().skip(usize::from(fs::canonicalize(way).is_ok_and(|whole| whole == real)));
    let mut levels: Vec<&Path> = above.collect();
    levels.reverse();
    let passes = |level: &&Path| {
        let Ok(metadata) = fs::metadata(level) else { return true };
        let bit = match ids {
            Some((uid, _)) if metadata.uid() == uid => 0o100,
            Some((_, gid)) if metadata.gid() == gid => 0o010,
            _ => 0o001,
        };
        metadata.mode() & bit != 0
    };
    levels.into_iter().find(|level| !passes(level)).map(Path::to_path_buf)
}

fn name(names: &Accounts, uid: u32) -> String {
    names.user(uid).unwrap_or_else(|| uid.to_string())
}

fn group(names: &Accounts, gid: u32) -> String {
    names.group(gid).unwrap_or_else(|| gid.to_string())
}

/// A directory with more is not looked through: its server will say what it cannot read.
const LOOKED_AT_MAX: usize = 20_000;
const DEPTH_MAX: usize = 8;
