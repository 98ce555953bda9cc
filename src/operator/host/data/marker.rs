//! The identity that a member's data carries (`formats::marker`), read from its dataDir and written there.

use std::fs;
use std::io;
use std::path::Path;

use super::records::WriteMarker;
use crate::formats::marker::{self, FILE, Marker};
use crate::operator::host::failure::{At, Failure, Kind};
use crate::operator::host::files::{dirs, durable};

/// # Errors
/// `Foreign` when the file is there and is no marker.
pub(crate) fn read(data_dir: &Path) -> Result<Option<Marker>, Failure> {
    let path = data_dir.join(FILE);
    let content = match fs::read(&path) {
        Ok(content) => content,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Failure::io("read", path.display(), &error)),
    };
    let found = marker::decode(&content).map_err(|error| {
        Failure::new("read the marker", path.display(), Kind::Foreign, error).hint(
            "it says which cluster this data belongs to; if you are sure, remove the file and deploy again",
        )
    })?;
    Ok(Some(found))
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
    let owner = request.owner.as_ref().map(dirs::resolve).transpose()?;
    durable::replace(&path, &marker::encode(&request.marker), 0o600, owner)?;
    Ok(true)
}
