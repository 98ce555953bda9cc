//! Writing one file so that it is either the old one or the new one, whenever the power goes (see
//! `durable`). The same content again is no change. A file that is not ours is left alone unless the
//! caller says otherwise.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::records::{Expect, Owner, Put, PutFile};
use super::{content, dirs, durable, look, paths, verify};
use crate::operator::host::failure::{At, Failure, Kind};

/// # Errors
/// `Foreign` when something is there that `expect` does not allow; `Invalid` for a wrong sha256, and
/// for what its reader would refuse;
/// else the input/output error. In each case the file is as it was.
pub(crate) fn put(request: PutFile) -> Result<Put, Failure> {
    paths::absolute(&request.path)?;
    let path = if request.in_foreign_dir { request.path.clone() } else { through_link(&request.path)? };
    if request.in_foreign_dir && fs::symlink_metadata(&path).is_ok_and(|there| there.is_symlink()) {
        let why = "a link is in its place, in a directory of another user";
        return Err(Failure::new("overwrite", path.display(), Kind::Foreign, why).hint("remove it"));
    }
    let bytes = request.content.into_bytes()?;
    if let Some(want) = &request.sha256
        && *want != content::sha256(&bytes)
    {
        let why = format!("its SHA-256 is {}, not {want}: damaged on the way", content::sha256(&bytes));
        return Err(Failure::invalid("write", path.display(), why));
    }
    verify::verify(&request.path, &bytes, request.must_read)?;
    let parent = paths::parent(&path)?;
    let previous = previous(&path)?;
    let same = previous.as_ref().is_some_and(|(old, _)| *old == bytes);
    if let Some((old, _)) = previous.as_ref().filter(|_| !same) {
        permitted(&path, old, request.expect)?;
    }
    let mut result = Put {
        changed: false,
        created: previous.is_none(),
        previous_sha256: previous.as_ref().map(|(old, _)| content::sha256(old)),
        backup: None,
        created_dirs: dirs::create_missing(parent)?,
    };
    if same {
        result.changed = settle(&path, request.mode, request.owner.as_ref())?;
        return Ok(result);
    }
    if let Some((old, metadata)) = previous.as_ref().filter(|(old, _)| request.backup && !is_ours(old)) {
        result.backup = Some(keep(&path, old, metadata.mode() & 0o7777)?);
    }
    let owner = match (&request.owner, &previous) {
        (Some(owner), _) => Some(dirs::resolve(owner)?),
        (None, Some((_, metadata))) => Some((metadata.uid(), metadata.gid())),
        (None, None) => None,
    };
    durable::replace(&path, &bytes, request.mode, owner)?;
    result.changed = true;
    Ok(result)
}

/// True when the head of a file carries [`HEADER`].
pub(crate) fn is_ours(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    String::from_utf8_lossy(head).to_ascii_lowercase().contains(HEADER)
}

fn permitted(path: &Path, old: &[u8], expect: Expect) -> Result<(), Failure> {
    let refuse = |why: &str| {
        Err(Failure::new("overwrite", path.display(), Kind::Foreign, why)
            .hint("move it away if it may go, or name another path in the inventory"))
    };
    match expect {
        Expect::Any => Ok(()),
        Expect::Ours if is_ours(old) => Ok(()),
        Expect::Ours => refuse("a file is there that zkops did not write"),
        Expect::Absent => refuse("a file with other content is there"),
    }
}

/// Same content: mode and owner are put right, and an earlier run that was killed between rename
/// and fsync is completed.
fn settle(path: &Path, mode: u32, owner: Option<&Owner>) -> Result<bool, Failure> {
    let file = fs::File::open(path).at("open", path)?;
    let metadata = file.metadata().at("look at", path)?;
    let mut changed = match owner {
        Some(owner) => dirs::give(path, &metadata, owner)?,
        None => false,
    };
    if metadata.mode() & 0o7777 != mode {
        file.set_permissions(fs::Permissions::from_mode(mode)).at("set the mode of", path)?;
        changed = true;
    }
    file.sync_all().at("sync", path)?;
    durable::sync_dir(paths::parent(path)?)?;
    Ok(changed)
}

fn previous(path: &Path) -> Result<Option<(Vec<u8>, fs::Metadata)>, Failure> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io("look at", path.display(), &error)),
    };
    if metadata.is_dir() {
        return Err(Failure::new("write", path.display(), Kind::IsADirectory, "a directory is in the way"));
    }
    if !metadata.is_file() || metadata.len() > look::READ_BYTES_MAX {
        return Err(Failure::new(
            "overwrite",
            path.display(),
            Kind::Foreign,
            "it is no file that zkops writes",
        ));
    }
    Ok(Some((fs::read(path).at("read", path)?, metadata)))
}

/// A file kept elsewhere through a symbolic link is written where it is kept.
fn through_link(path: &Path) -> Result<PathBuf, Failure> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path).at("follow the link", path),
        _ => Ok(path.to_path_buf()),
    }
}

/// Keeps the old content beside the new, under a name that says when it was put there.
fn keep(path: &Path, old: &[u8], mode: u32) -> Result<PathBuf, Failure> {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".before-zkops-{stamp}"));
    let backup = PathBuf::from(name);
    durable::replace(&backup, old, mode, None)?;
    Ok(backup)
}

/// The words in the head of every text file that zkops writes (any case): whoever finds them may
/// overwrite the file.
pub(crate) const HEADER: &str = "managed by zkops";
/// The head in which [`HEADER`] must stand.
const HEAD_BYTES: usize = 1024;
