//! Whose data a directory holds, compared with what the server was started for (law 8). It runs before anything is
//! locked, read or written: data of somebody else is left as it is.

use std::path::Path;

use super::disk::{Disk, read_small};
use super::epochs;
use super::refusal::{Refusal, Result};
use crate::formats::marker::{self, Owner};
use crate::wire::ids::ServerId;

/// Reads `myid`, and refuses a directory that is another ensemble's or another member's. One without a marker may be
/// Apache's, or fresh from a repair: there `myid` alone counts.
pub fn identify<D: Disk>(disk: &D, data_dir: &Path, owner: &Owner) -> Result<Option<ServerId>> {
    let foreign = |found: String| {
        Err(Refusal::ForeignData { dir: data_dir.to_owned(), found, expected: owner.to_string() })
    };
    let file = data_dir.join(marker::FILE);
    let marker = match read_small(disk, &file, marker::BYTES_MAX)? {
        None => None,
        Some(content) => match marker::decode(&content) {
            Ok(marker) => Some(marker),
            Err(why) => return Err(Refusal::BadMarker { file, why: why.to_string() }),
        },
    };
    if let Some(marker) = marker.as_ref().filter(|marker| !owner.admits(marker)) {
        return foreign(marker.to_string());
    }
    let myid = epochs::read_myid(disk, data_dir)?;
    let expected = owner.member.or(marker.map(|marker| marker.member));
    match (myid, expected) {
        (Some(ServerId(found)), Some(expected)) if found != expected => Err(Refusal::ForeignData {
            dir: data_dir.to_owned(),
            found: format!("member {found}, as its myid says"),
            expected: Owner { member: Some(expected), ..owner.clone() }.to_string(),
        }),
        _ => Ok(myid),
    }
}
