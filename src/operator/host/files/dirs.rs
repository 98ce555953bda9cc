//! Directories: made durable, level by level. It removes none.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::accounts::Accounts;
use super::records::{EnsureDir, EnsuredDir, Owner};
use super::{durable, paths};
use crate::operator::host::failure::{At, Failure, Kind};

pub(crate) fn ensure(request: &EnsureDir) -> Result<EnsuredDir, Failure> {
    let path = &request.path;
    paths::absolute(path)?;
    let created = create_missing(path)?;
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
        durable::sync_dir(path)?;
    }
    Ok(EnsuredDir { changed, created })
}

/// Makes what is missing of a path, each level durable before the next.
pub(crate) fn create_missing(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut missing: Vec<&Path> = path.ancestors().take_while(|level| !level.exists()).collect();
    missing.reverse();
    let mut created = Vec::new();
    for level in missing {
        if fs::symlink_metadata(level).is_ok() {
            let why = "it is a symbolic link to nowhere";
            return Err(Failure::new("make the directory", level.display(), Kind::Exists, why));
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
        durable::sync_dir(paths::parent(level)?)?;
    }
    Ok(created)
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
    let names = Accounts::read();
    let unknown = |kind: &str, name: &str| {
        Failure::new("find", format!("the {kind} {name}"), Kind::NotFound, "not in /etc/passwd or /etc/group")
            .hint(format!("create it (`useradd --system {name}`) or name another one in the inventory"))
    };
    // Data may belong to a number that has no name here (any more).
    if let (Ok(uid), Some(group)) = (owner.user.parse(), &owner.group)
        && let Some(gid) = names.gid_of(group)
    {
        return Ok((uid, gid));
    }
    let (uid, primary) = names.ids_of(&owner.user).ok_or_else(|| unknown("user", &owner.user))?;
    let gid = match &owner.group {
        Some(group) => names.gid_of(group).ok_or_else(|| unknown("group", group))?,
        None => primary,
    };
    Ok((uid, gid))
}

/// Made when the caller names no mode.
const MODE_DEFAULT: u32 = 0o755;
