//! A snapshot received from the leader takes the place of all that was there, since the log does not lead to it
//! (TRAP Q18). It takes many renames; a note of what is meant is there until the last of them is durable.
//!
//! Without the note a crash in between would leave logs beside a snapshot that they do not lead to, and a later
//! truncation would go back to them: to a tail that the leader had discarded, and without what this server
//! acknowledged since.

use std::path::Path;

use super::dirs::Dirs;
use super::disk::{self, Disk, read_small};
use super::refusal::Result;
use super::txnlog::{self, newest};
use super::{aside, atomic, snap};
use crate::formats::names;
use crate::formats::records::SUPERSEDING;

/// Notes that the snapshot file `base`, which is not there yet, is about to take the place of everything.
pub(crate) fn announce<D: Disk>(disk: &D, dirs: &Dirs, base: &str) -> disk::Result<()> {
    atomic::replace(disk, &dirs.snaps(), SUPERSEDING, base.as_bytes())
}

/// Ends what a crash has interrupted: the snapshot was there in time, or nothing had begun.
pub(crate) fn finish<D: Disk>(disk: &D, dirs: &Dirs, notes: &mut Vec<String>) -> Result<()> {
    let dir = dirs.snaps();
    let Some(base) = read_small(disk, &dir.join(SUPERSEDING), NAME_BYTES_MAX)? else { return Ok(()) };
    let base = String::from_utf8_lossy(&base).into_owned();
    let found = snap::find(disk, &dir)?.into_iter().find(|found| found.name == base);
    match found {
        Some(found) if snap::looks_valid(disk, &dir, &found)? => {
            carry_out(disk, dirs, &base, None)?;
            notes.push(format!(
                "the leader's snapshot {} has taken the place of all older data, as it was about to when this \
                 server ended",
                dir.join(base).display()
            ));
        }
        _ => withdraw(disk, dirs)?,
    }
    Ok(())
}

fn withdraw<D: Disk>(disk: &D, dirs: &Dirs) -> disk::Result<()> {
    let dir = dirs.snaps();
    if disk.len(&dir.join(SUPERSEDING))?.is_some() {
        disk.remove(&dir.join(SUPERSEDING))?;
    }
    disk.sync_dir(&dir)
}

/// Sets everything but the snapshot `base` aside. Newest logs first, snapshots after the logs that
/// build on them: a crash in between leaves the new state or a whole part of the old one.
///
/// `new_wound` says that what goes was damaged: now (true) or when an earlier sync began, which this one
/// completes. The names of such files are returned.
pub(crate) fn carry_out<D: Disk>(
    disk: &D,
    dirs: &Dirs,
    base: &str,
    new_wound: Option<bool>,
) -> Result<Vec<String>> {
    let why = if new_wound.is_some() { names::DAMAGED } else { names::SUPERSEDED };
    let (snap_dir, log_dir) = (dirs.snaps(), dirs.logs());
    // One generation of each kind is kept for a human; the one before makes room.
    let makes_room = |name: &str| match new_wound {
        Some(new) => new && names::is_damaged(name),
        None => names::is_disposable(name),
    };
    for dir in if snap_dir == log_dir { vec![&snap_dir] } else { vec![&snap_dir, &log_dir] } {
        for name in disk.list(dir)?.into_iter().filter(|name| makes_room(name)) {
            disk.remove(&dir.join(name))?;
        }
    }
    let mut damaged = Vec::new();
    let mut set_aside = |dir: &Path, path: &Path| {
        let name = aside::set_aside(disk, dir, path, why)?;
        disk.sync_dir(dir)?;
        if new_wound.is_some() {
            damaged.push(name);
        }
        Result::Ok(())
    };
    newest::step_back(disk, &log_dir, None)?;
    for (_, path) in txnlog::files(disk, &log_dir)?.iter().rev() {
        set_aside(&log_dir, path)?;
    }
    for candidate in snap::find(disk, &snap_dir)?.into_iter().filter(|found| found.name != base) {
        set_aside(&snap_dir, &snap_dir.join(&candidate.name))?;
    }
    withdraw(disk, dirs)?;
    Ok(damaged)
}

const NAME_BYTES_MAX: usize = 256;
