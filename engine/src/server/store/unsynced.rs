//! The mark on data that is not whole although it may look so. It is set before a leader's snapshot takes the place
//! of data that was lost, and removed once everything of that leader's initial history is durable here.
//!
//! Without it a crash in between would leave a directory that loads and votes, and may lack txns that this
//! server acknowledged before the damage and that are not in the snapshot yet (quorum-protocol §2.5 row 3: what
//! the leader has not applied follows the snapshot as proposals).

use super::atomic;
use super::dirs::Dirs;
use super::disk::{self, Disk, read_small};
use super::refusal::{Refusal, Result};
use crate::formats::records::UNSYNCED;

/// Refuses data that carries the mark.
pub(crate) fn check<D: Disk>(disk: &D, dirs: &Dirs) -> Result<()> {
    let file = dirs.snaps().join(UNSYNCED);
    let why = match read_small(disk, &file, WHY_BYTES_MAX) {
        Ok(None) => return Ok(()),
        Ok(Some(why)) => String::from_utf8_lossy(&why).into_owned(),
        // It is there, and that is all it has to say.
        Err(error) => error.to_string(),
    };
    Err(Refusal::Unsynced { file, why })
}

/// Sets the mark, durably. Says whether it was not there before.
pub(crate) fn mark<D: Disk>(disk: &D, dirs: &Dirs, why: &str) -> disk::Result<bool> {
    let dir = dirs.snaps();
    if disk.len(&dir.join(UNSYNCED))?.is_some() {
        return Ok(false);
    }
    let end = why.floor_char_boundary(WHY_BYTES_MAX);
    atomic::replace(disk, &dir, UNSYNCED, &why.as_bytes()[..end])?;
    Ok(true)
}

/// Removes the mark, durably, if it is there.
pub(crate) fn clear<D: Disk>(disk: &D, dirs: &Dirs) -> disk::Result<()> {
    let dir = dirs.snaps();
    if disk.len(&dir.join(UNSYNCED))?.is_some() {
        disk.remove(&dir.join(UNSYNCED))?;
    }
    disk.sync_dir(&dir)
}

/// A report of a few lines; longer ones are cut.
const WHY_BYTES_MAX: usize = 4096;
