//! Directories: made durable, with a record of those that we made, so that `destroy` can take
//! away exactly these. A directory that was there before is never recorded and never removed.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::look::{self as files, Names};
use crate::operator::host::failure::{At, Failure, Kind};

/// Made when the caller names no mode.
const MODE_DEFAULT: u32 = 0o755;
/// A record is a few lines; more than this is not ours.
const RECORD_BYTES_MAX: u64 = 1 << 20;

/// Who shall own a file, by name or number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub user: String,
    /// The user's primary group when not named.
    pub group: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureDir {
    pub path: PathBuf,
    /// Permission bits of `path` itself; `None` leaves an existing directory as it is. Missing
    /// parents are made with 0755.
    pub mode: Option<u32>,
    pub owner: Option<Owner>,
    /// A file on the host that remembers every directory made here, one path a line, written
    /// before the directory is made. [`remove_created`] reads it.
    pub record: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsuredDir {
    pub changed: bool,
    /// What was made now, parents first.
    pub created: Vec<PathBuf>,
}

/// What became of the directories of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedDirs {
    pub removed: Vec<PathBuf>,
    /// Still there because something is in them.
    pub kept: Vec<PathBuf>,
}

pub fn ensure(request: &EnsureDir) -> Result<EnsuredDir, Failure> {
    let path = &request.path;
    absolute(path)?;
    let created = create_missing(path, request.record.as_deref())?;
    let metadata = fs::metadata(path).at("look at", path)?;
    if !metadata.is_dir() {
        return Err(Failure::new(
            "make the directory",
            path.display(),
            Kind::NotADirectory,
            "a file is in the way",
        ));
    }
    let mut changed = !created.is_empty();
    if let Some(owner) = &request.owner {
        changed |= give(path, &metadata, owner)?;
    }
    let mode = request.mode.or((!created.is_empty()).then_some(MODE_DEFAULT));
    if let Some(mode) = mode.filter(|mode| metadata.mode() & 0o7777 != *mode) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).at("set the mode of", path)?;
        changed = true;
    }
    if changed {
        files::sync_dir(path)?;
    }
    Ok(EnsuredDir { changed, created })
}

/// Makes what is missing of a path, each level durable before the next.
pub(crate) fn create_missing(path: &Path, record: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let mut missing: Vec<&Path> = path.ancestors().take_while(|level| !level.exists()).collect();
    missing.reverse();
    let mut created = Vec::new();
    for level in missing {
        if fs::symlink_metadata(level).is_ok() {
            let why = "it is a symbolic link to nowhere";
            return Err(Failure::new("make the directory", level.display(), Kind::Exists, why));
        }
        if let Some(record) = record {
            remember(record, level)?;
        }
        match fs::DirBuilder::new().mode(MODE_DEFAULT).create(level) {
            Ok(()) => {
                // Not left to the umask: a server of another user must be able to pass.
                let open = fs::Permissions::from_mode(MODE_DEFAULT);
                fs::set_permissions(level, open).at("set the mode of", level)?;
                created.push(level.to_path_buf());
            }
            // Another request was faster: theirs.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::io("make the directory", level.display(), &error)),
        }
        files::sync_dir(files::parent(level)?)?;
    }
    Ok(created)
}

/// Removes the recorded directories that are empty, deepest first. The record goes with the last
/// one, its own directory after it; until then it names what is left.
pub fn remove_created(record: &Path) -> Result<RemovedDirs, Failure> {
    let mut all = recorded(record)?;
    all.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    all.dedup();
    let (around, others): (Vec<PathBuf>, Vec<PathBuf>) =
        all.into_iter().partition(|path| record.starts_with(path));
    let mut result = RemovedDirs { removed: Vec::new(), kept: Vec::new() };
    remove_empty(others, &mut result)?;
    if !result.kept.is_empty() {
        let left = around.iter().chain(&result.kept);
        let text: String = left.map(|path| format!("{}\n", path.display())).collect();
        super::put::replace(record, text.as_bytes(), 0o644, None)?;
        result.kept.extend(around);
        return Ok(result);
    }
    match fs::remove_file(record) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.at("remove", record)?,
    }
    remove_empty(around, &mut result)?;
    Ok(result)
}

fn remove_empty(paths: Vec<PathBuf>, result: &mut RemovedDirs) -> Result<(), Failure> {
    for path in paths {
        match fs::remove_dir(&path) {
            Ok(()) => {
                files::sync_dir(files::parent(&path)?)?;
                result.removed.push(path);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => result.kept.push(path),
        }
    }
    Ok(())
}

/// The directories that a record names, in the order in which they were made.
pub fn recorded(record: &Path) -> Result<Vec<PathBuf>, Failure> {
    match files::read(record, RECORD_BYTES_MAX) {
        Ok(file) => {
            Ok(file.content.into_text().lines().map(PathBuf::from).filter(|p| p.is_absolute()).collect())
        }
        Err(failure) if failure.kind == Kind::NotFound => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

fn remember(record: &Path, made: &Path) -> Result<(), Failure> {
    let line = made.to_str().filter(|text| !text.contains('\n'));
    let line =
        line.ok_or_else(|| Failure::invalid("record", made.display(), "the name is not one line of text"))?;
    let parent = files::parent(record)?;
    // The record's own folder is made without a record; it is remembered in it all the same.
    let mut lines: Vec<PathBuf> = create_missing(parent, None)?;
    lines.push(PathBuf::from(line));
    let text: String = lines.iter().map(|line| format!("{}\n", line.display())).collect();
    let new = !record.exists();
    let mut file = fs::OpenOptions::new().create(true).append(true).open(record).at("open", record)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).at("write", record)?;
    if new { files::sync_dir(parent) } else { Ok(()) }
}

/// Gives a file to somebody; false when it was theirs.
pub(crate) fn give(path: &Path, metadata: &fs::Metadata, owner: &Owner) -> Result<bool, Failure> {
    let (uid, gid) = resolve(owner)?;
    if (metadata.uid(), metadata.gid()) == (uid, gid) {
        return Ok(false);
    }
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).at("change the owner of", path)?;
    Ok(true)
}

pub(crate) fn resolve(owner: &Owner) -> Result<(u32, u32), Failure> {
    let names = Names::read();
    let unknown = |kind: &str, name: &str| {
        Failure::new("find", format!("the {kind} {name}"), Kind::NotFound, "not in /etc/passwd or /etc/group")
            .hint(format!("create it (`useradd --system {name}`) or name another one in the inventory"))
    };
    let (uid, primary) = names.ids_of(&owner.user).ok_or_else(|| unknown("user", &owner.user))?;
    let gid = match &owner.group {
        Some(group) => names.gid_of(group).ok_or_else(|| unknown("group", group))?,
        None => primary,
    };
    Ok((uid, gid))
}

/// Paths come from an inventory: they must be absolute and must not climb.
pub(crate) fn absolute(path: &Path) -> Result<(), Failure> {
    if !path.is_absolute() {
        return Err(Failure::invalid("use", path.display(), "the path is not absolute"));
    }
    if path.components().any(|part| matches!(part, Component::ParentDir)) {
        return Err(Failure::invalid("use", path.display(), "the path holds `..`"));
    }
    Ok(())
}
