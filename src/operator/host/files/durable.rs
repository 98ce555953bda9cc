//! What survives a power-off: a file that is the old one or the new one (temporary file in the same
//! directory, fsync, rename, fsync of the directory), and a directory's entries. It does not ask
//! whose file it replaces: that is `put`'s work.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD};

use super::paths::parent;
use crate::operator::host::failure::{At, Failure};

/// Replaces a file's content in one step that a power-off cannot tear.
pub(crate) fn replace(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<(), Failure> {
    let folder = parent(path)?;
    let temporary = temporary_beside(path)?;
    let written = write_new(&temporary, bytes, mode, owner)
        .at("write", path)
        .and_then(|()| fs::rename(&temporary, path).at("replace", path));
    if written.is_err() {
        // Whatever was written of it is of no use; the error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_dir(folder)
}

/// Gives the file behind `source`, which is on disk, the name `path` as well, in place of what had it; false where a file
/// system does not allow it.
pub(crate) fn link(source: &Path, path: &Path) -> Result<bool, Failure> {
    let temporary = temporary_beside(path)?;
    if rustix::fs::linkat(CWD, source, CWD, &temporary, AtFlags::SYMLINK_FOLLOW).is_err() {
        return Ok(false);
    }
    let renamed = fs::rename(&temporary, path).at("replace", path);
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed?;
    sync_dir(parent(path)?)?;
    Ok(true)
}

/// Makes a rename, a creation or a removal inside this directory survive a power-off.
pub(crate) fn sync_dir(path: &Path) -> Result<(), Failure> {
    fs::File::open(path).and_then(|dir| dir.sync_all()).at("sync", path)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> std::io::Result<()> {
    // Nobody else may read it before it has its mode: it may hold a secret.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    if let Some((uid, gid)) = owner {
        let metadata = file.metadata()?;
        if (metadata.uid(), metadata.gid()) != (uid, gid) {
            std::os::unix::fs::fchown(&file, Some(uid), Some(gid))?;
        }
    }
    // Not left to the umask.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// A hidden name in the same directory that starts like nothing ZooKeeper looks for (TRAP D1).
pub(super) fn temporary_beside(path: &Path) -> Result<PathBuf, Failure> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name =
        path.file_name().ok_or_else(|| Failure::invalid("write", path.display(), "it names no file"))?;
    let name = name.to_string_lossy();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ok(parent(path)?.join(format!(".zkops-tmp.{}.{number}.{name}", std::process::id())))
}
