//! Taking files away: removal only below roots that the caller names, and the rename that sets
//! old data aside. Symbolic links are removed, never followed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use super::records::{Remove, Removed, Rename};
use super::{durable, paths};
use crate::operator::host::failure::{At, Failure, Kind};

/// # Errors
/// `Refused` outside the roots; `Busy` when a mount point is in the way.
pub(crate) fn remove(request: &Remove) -> Result<Removed, Failure> {
    let path = &request.path;
    let Some(real) = within(path, &request.roots, "remove")? else { return Ok(Removed::default()) };
    let metadata = match fs::symlink_metadata(&real) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removed::default()),
        Err(error) => return Err(Failure::io("remove", path.display(), &error)),
    };
    spares(&real, &metadata, request)?;
    let mut removed = Removed { changed: true, ..Removed::default() };
    weigh(&real, &metadata, &mut removed);
    let result = if metadata.is_dir() { fs::remove_dir_all(&real) } else { fs::remove_file(&real) };
    result.at("remove", path)?;
    durable::sync_dir(paths::parent(&real)?)?;
    Ok(removed)
}

/// What is to stay is not in there, wherever its links lead.
fn spares(real: &Path, metadata: &fs::Metadata, request: &Remove) -> Result<(), Failure> {
    if !metadata.is_dir() {
        return Ok(());
    }
    for keep in &request.keep {
        let held = match fs::canonicalize(keep) {
            Ok(kept) => kept.starts_with(real),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(Failure::io("remove", keep.display(), &error)),
        };
        if held {
            let why = format!("it holds {}, which stays", keep.display());
            return Err(Failure::new("remove", request.path.display(), Kind::Refused, why));
        }
    }
    Ok(())
}

/// Renames and makes both directories durable; false when it was done already (only `to` exists).
///
/// # Errors
/// `Exists` when `to` is there, `NotFound` when neither is, `Busy` when `from` is a mount point,
/// `Refused` outside the roots.
pub(crate) fn rename(request: &Rename) -> Result<bool, Failure> {
    let (from, to) = (&request.from, &request.to);
    let real_to = within(to, &request.roots, "rename to")?;
    let real_to = real_to.ok_or_else(|| {
        Failure::new("rename to", to.display(), Kind::NotFound, "its directory does not exist")
    })?;
    let real_from = within(from, &request.roots, "rename")?;
    let source = real_from.filter(|path| fs::symlink_metadata(path).is_ok());
    let done = fs::symlink_metadata(&real_to).is_ok();
    let Some(real_from) = source else {
        if done {
            return Ok(false);
        }
        return Err(Failure::new("rename", from.display(), Kind::NotFound, "nothing is there"));
    };
    if done {
        return Err(Failure::new("rename to", to.display(), Kind::Exists, "something is there already"));
    }
    move_only(&real_from, &real_to).map_err(|error| {
        let failure = Failure::io("rename", from.display(), &error);
        match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::BUSY) => {
                failure.hint("it is a mount point: what is in it can be set aside, not the directory itself")
            }
            Some(rustix::io::Errno::XDEV) => Failure { kind: Kind::Invalid, ..failure }
                .hint("both names must be on one file system: set it aside next to where it is"),
            _ => failure,
        }
    })?;
    durable::sync_dir(paths::parent(&real_to)?)?;
    durable::sync_dir(paths::parent(&real_from)?)?;
    Ok(true)
}

fn move_only(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system without that flag (NFS): the check above is all there is.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::rename(from, to),
        result => result.map_err(io::Error::from),
    }
}

/// The path with its parents' links resolved, if it is allowed; `None` when its directory does not
/// exist.
fn within(path: &Path, roots: &[PathBuf], what: &str) -> Result<Option<PathBuf>, Failure> {
    paths::absolute(path)?;
    let refuse = |why: String| Failure::new(what, path.display(), Kind::Refused, why);
    let name = path.file_name().ok_or_else(|| refuse("it is the root directory".into()))?;
    let parent = match fs::canonicalize(paths::parent(path)?) {
        Ok(parent) => parent,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io(what, path.display(), &error)),
    };
    let real = parent.join(name);
    if real.components().count() < 3 {
        return Err(refuse("a directory of the system's top level is never touched".into()));
    }
    let allowed = roots.iter().any(|root| {
        // A root that is gone, or a link itself, is compared as it is written.
        let named = root.parent().and_then(|parent| fs::canonicalize(parent).ok()).zip(root.file_name());
        let as_named = named.map(|(parent, name)| parent.join(name));
        [as_named, fs::canonicalize(root).ok()]
            .into_iter()
            .flatten()
            .any(|root| root.components().count() > 1 && real.starts_with(root))
    });
    if !allowed {
        let roots: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
        return Err(refuse(format!("it is outside of {}", roots.join(", "))));
    }
    Ok(Some(real))
}

/// Counts what is about to go. What cannot be read is not counted; the removal itself will say so.
fn weigh(path: &Path, metadata: &fs::Metadata, sum: &mut Removed) {
    if !metadata.is_dir() {
        sum.files += 1;
        sum.bytes += metadata.len();
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if let Ok(metadata) = entry.metadata() {
            weigh(&entry.path(), &metadata, sum);
        }
    }
}
