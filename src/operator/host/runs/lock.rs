//! The operator's lock on a host: a file that says who changes this cluster now. It is advice
//! among operators, written whole or not at all; servers do not look at it.
//!
//! The rules, in this order: nobody holds it, the same holder holds it, its time is over, or the
//! caller names the very holder it means to replace (`over`): taken. Else: held.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::records::{Held, TakeLock, Taken};
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{dirs, durable, paths};
use crate::operator::host::machine::clock;

pub(crate) fn take(request: &TakeLock) -> Result<Taken, Failure> {
    paths::absolute(&request.path)?;
    dirs::create_missing(paths::parent(&request.path)?)?;
    let _guard = guard(&request.path)?;
    let now_ms = clock::wall_ms();
    let before = read(&request.path)?;
    let mut held = Held {
        holder: request.holder.clone(),
        since_ms: now_ms,
        until_ms: now_ms.saturating_add_unsigned(request.ttl_ms),
    };
    let replaced = match before {
        Some(before) if before.holder.id == held.holder.id => {
            held.since_ms = before.since_ms;
            None
        }
        Some(before) if before.until_ms > now_ms && request.over.as_ref() != Some(&before.holder.id) => {
            return Ok(Taken::HeldBy(before));
        }
        other => other,
    };
    let text = serde_json::to_vec(&held)
        .map_err(|error| Failure::invalid("write", request.path.display(), error))?;
    durable::replace(&request.path, &text, 0o644, None)?;
    Ok(Taken::Taken { held, replaced })
}

/// Lets go; false when this holder does not hold it.
pub(crate) fn release(path: &Path, id: &str) -> Result<bool, Failure> {
    if !path.exists() {
        return Ok(false);
    }
    let _guard = guard(path)?;
    if read(path)?.is_none_or(|held| held.holder.id != id) {
        return Ok(false);
    }
    fs::remove_file(path).at("remove", path)?;
    durable::sync_dir(paths::parent(path)?)?;
    Ok(true)
}

/// Who holds it, stale or not.
pub(crate) fn read(path: &Path) -> Result<Option<Held>, Failure> {
    match fs::read(path) {
        Ok(bytes) if bytes.is_empty() => Ok(None),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Failure::new("read the lock", path.display(), Kind::Foreign, error)
                .hint("it is not a lock of zkops: look at the file, and remove it if it may go")
        }),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(Failure::io("read", path.display(), &error)),
    }
}

/// One reader-then-writer at a time on this host: the kernel's lock on the directory, which ends
/// with the process that holds it.
fn guard(path: &Path) -> Result<fs::File, Failure> {
    let parent = paths::parent(path)?;
    let dir = fs::File::open(parent).at("open", parent)?;
    rustix::fs::flock(&dir, FlockOperation::LockExclusive).at("lock", parent)?;
    Ok(dir)
}
