//! The identity that a member's data carries: `zkops.json` in its dataDir says whose data this is,
//! so that no other cluster or member is ever started on it.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::records::{Marker, WriteMarker};
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::durable;

/// On disk the marker stands beside words for whoever finds the file.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    note: String,
    #[serde(flatten)]
    marker: Marker,
}

/// # Errors
/// `Foreign` when the file is there and is no marker.
pub(crate) fn read(data_dir: &Path) -> Result<Option<Marker>, Failure> {
    let path = data_dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(Failure::io("read", path.display(), &error)),
    };
    let written: Written = serde_json::from_str(&text).map_err(|error| {
        Failure::new("read the marker", path.display(), Kind::Foreign, error).hint(
            "it says which cluster this data belongs to; if you are sure, remove the file and deploy again",
        )
    })?;
    Ok(Some(written.marker))
}

/// Writes it durably; false when exactly this marker was there.
///
/// # Errors
/// `Foreign` when the data belongs to another cluster or member and `replace` is not set.
pub(crate) fn write(request: &WriteMarker) -> Result<bool, Failure> {
    let path = request.data_dir.join(FILE);
    match read(&request.data_dir) {
        Ok(Some(found)) if found == request.marker => return Ok(false),
        Ok(Some(found)) if !request.replace => {
            let why = format!(
                "this data belongs to member {} of cluster {} ({})",
                found.member, found.cluster, found.uuid
            );
            return Err(Failure::new("mark", request.data_dir.display(), Kind::Foreign, why)
                .hint("name another data_dir in the inventory, or move that data away"));
        }
        Err(failure) if !request.replace => return Err(failure),
        _ => {}
    }
    fs::metadata(&request.data_dir).at("mark", &request.data_dir)?;
    let note =
        "Managed by zkops: says whose data this directory holds. Do not copy to another member.".into();
    let written = Written { note, marker: request.marker.clone() };
    let mut text = serde_json::to_vec_pretty(&written)
        .map_err(|error| Failure::invalid("write", path.display(), error))?;
    text.push(b'\n');
    durable::replace(&path, &text, 0o644, None)?;
    Ok(true)
}

/// Name of the marker in dataDir. ZooKeeper looks at no such name.
pub(crate) const FILE: &str = "zkops.json";
