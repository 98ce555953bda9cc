//! Which snapshots and logs may go (disk-format §9). Older ones are deleted only when enough
//! newer snapshots have been read through and their seals hold (TRAP D12).

use std::path::{Path, PathBuf};

use super::bent;
use super::dirs::Dirs;
use super::disk::Disk;
use super::refusal::Result;
use super::snap;
use super::txnlog;
use crate::formats::names;
use crate::wire::ids::Zxid;

/// What a purge did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Names of deleted files.
    pub deleted: Vec<String>,
    /// What a human should know: broken snapshots, too few good ones.
    pub notes: Vec<String>,
}

/// Keeps the newest `retain` good snapshots and the logs they need; deletes older ones and files
/// that were set aside, but for what was damaged. May run beside the open store, on its own thread.
pub fn purge<D: Disk>(disk: &D, dirs: &Dirs, retain: usize) -> Result<Purged> {
    let (snap_dir, log_dir) = (dirs.snaps(), dirs.logs());
    let mut purged = Purged::default();
    let snapshots = snap::find(disk, &snap_dir)?;
    let mut good = 0;
    let mut oldest_kept = None;
    for candidate in &snapshots {
        match snap::verify(disk, &snap_dir, candidate) {
            Ok(_) => {
                good += 1;
                if good == retain.max(1) {
                    oldest_kept = Some(candidate.zxid);
                    break;
                }
            }
            Err(error) => purged.notes.push(format!(
                "{} does not count as kept: {error}",
                snap_dir.join(&candidate.name).display()
            )),
        }
    }
    let Some(oldest_kept) = oldest_kept else {
        if snapshots.len() > retain {
            purged.notes.push(format!("only {good} good snapshots of {retain} wanted: nothing was deleted"));
        }
        return Ok(purged);
    };
    // Logs first: a crash in between leaves snapshots without use, never logs without a base.
    let logs = txnlog::files(disk, &log_dir)?;
    let needed = bent::oldest_needed(oldest_kept).unwrap_or(oldest_needed(&logs, oldest_kept));
    let old_logs = names_where(disk, &log_dir, |name| {
        names::parse_log(name).is_some_and(|zxid| zxid < needed) || names::is_disposable(name)
    })?;
    remove_all(disk, &log_dir, old_logs, &mut purged)?;
    let old_snapshots = names_where(disk, &snap_dir, |name| {
        names::parse_snapshot(name).is_some_and(|(zxid, _)| zxid < oldest_kept) || names::is_disposable(name)
    })?;
    remove_all(disk, &snap_dir, old_snapshots, &mut purged)?;
    Ok(purged)
}

/// The log that the oldest kept snapshot begins in: the way from it to the rest (TRAP D12).
fn oldest_needed(logs: &[(Zxid, PathBuf)], oldest_kept: Zxid) -> Zxid {
    let spanning = logs.iter().map(|(first, _)| *first).filter(|first| *first <= oldest_kept).max();
    spanning.unwrap_or(Zxid::ZERO)
}

fn names_where<D: Disk>(disk: &D, dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    Ok(disk.list(dir)?.into_iter().filter(|name| wanted(name)).collect())
}

fn remove_all<D: Disk>(disk: &D, dir: &Path, names: Vec<String>, purged: &mut Purged) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    for name in names {
        disk.remove(&dir.join(&name))?;
        purged.deleted.push(name);
    }
    Ok(disk.sync_dir(dir)?)
}
