//! The file that describes a daemon: what its supervisor runs, and how.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::records::DaemonSpec;
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{Put, PutFile, put};

pub(crate) fn read(path: &Path) -> Result<DaemonSpec, Failure> {
    let text = fs::read(path).at("read the daemon's description", path)?;
    let written: Written = serde_json::from_slice(&text).map_err(|error| {
        Failure::new("read the daemon's description", path.display(), Kind::Foreign, error)
    })?;
    Ok(written.daemon)
}

/// The same description again is no change.
pub(crate) fn write(path: &Path, daemon: &DaemonSpec) -> Result<Put, Failure> {
    let note =
        "Managed by zkops: describes a server that is kept up by `zkops host --supervise` of this file.";
    let written = Written { note: note.into(), daemon: daemon.clone() };
    let text = serde_json::to_string_pretty(&written)
        .map_err(|error| Failure::invalid("write", path.display(), error))?;
    put::put(PutFile::ours(path, format!("{text}\n").as_str()))
}

/// On disk the description stands beside our header.
#[derive(Serialize, Deserialize)]
struct Written {
    note: String,
    daemon: DaemonSpec,
}
