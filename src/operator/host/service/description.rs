//! The file that describes a daemon: what its supervisor runs, and how.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::records::DaemonSpec;
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{Put, PutFile, put};

pub(crate) fn read(path: &Path) -> Result<DaemonSpec, Failure> {
    written(path).map(|written| written.daemon)
}

/// Nobody is to start it: its member moved, or is about to.
///
/// # Errors
/// As [`read`].
pub(crate) fn is_disabled(path: &Path) -> Result<bool, Failure> {
    written(path).map(|written| written.disabled)
}

/// Marks it as one that nobody is to start, or as one like others; nothing of it is changed otherwise.
///
/// # Errors
/// As [`read`] and [`write`].
pub(crate) fn mark(path: &Path, disabled: bool) -> Result<Put, Failure> {
    let daemon = read(path)?;
    save(path, &daemon, disabled)
}

fn written(path: &Path) -> Result<Written, Failure> {
    let text = fs::read(path).at("read the daemon's description", path)?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::new("read the daemon's description", path.display(), Kind::Foreign, error))
}

/// The same description again is no change. One that is disabled stays so.
pub(crate) fn write(path: &Path, daemon: &DaemonSpec) -> Result<Put, Failure> {
    save(path, daemon, is_disabled(path).unwrap_or(false))
}

fn save(path: &Path, daemon: &DaemonSpec, disabled: bool) -> Result<Put, Failure> {
    let note =
        "Managed by zkops: describes a server that is kept up by `zkops host --supervise` of this file.";
    let written = Written { note: note.into(), daemon: daemon.clone(), disabled };
    let text = serde_json::to_string_pretty(&written)
        .map_err(|error| Failure::invalid("write", path.display(), error))?;
    put::put(PutFile::ours(path, format!("{text}\n").as_str()))
}

/// On disk the description stands beside our header.
#[derive(Serialize, Deserialize)]
struct Written {
    note: String,
    /// What `systemctl disable` is to a unit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    daemon: DaemonSpec,
}
