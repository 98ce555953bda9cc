//! Files that no server reads any more, kept for a human: renamed, or the end of one copied before it is cut off.
//! Why something is set aside is the caller's business, and so is syncing the directory after a rename.

use std::path::Path;

use super::disk::{Disk, File};
use super::refusal::{Refusal, Result};
use super::txnlog::LogReader;
use crate::formats::names;
use crate::wire::ids::Zxid;

/// Cuts a log file at `at`, durably, and keeps the bytes behind it in a file that no server reads;
/// that file's name, if there was anything to keep and room to keep it.
pub(crate) fn cut<D: Disk>(disk: &D, dir: &Path, file: &Path, at: u64, why: &str) -> Result<Option<String>> {
    // Its bytes are copied as they are: no entry is read.
    let mut reader = LogReader::open(disk, file, Zxid::ZERO, 0)?;
    let leftover = reader.leftover(at)?;
    let mut kept = None;
    if leftover.end > leftover.start {
        let name = format!("{}-at-{at:x}", aside_name(file, why));
        let copy = disk.create(&dir.join(&name)).map_err(Refusal::from).and_then(|mut to| {
            reader.copy_range(&leftover, &mut to)?;
            Ok(to.sync_data()?)
        });
        match copy {
            Ok(()) => kept = Some(name),
            // A full disk must not keep the server from starting.
            Err(error) if error.is_no_space() => drop(disk.remove(&dir.join(&name))),
            Err(error) => return Err(error),
        }
    }
    let mut file = disk.open(file)?;
    file.truncate(at)?;
    file.sync_data()?;
    disk.sync_dir(dir)?;
    Ok(kept)
}

/// Renames a file so that no server reads it, and gives the new name. The caller syncs the directory.
pub(crate) fn set_aside<D: Disk>(disk: &D, dir: &Path, file: &Path, why: &str) -> Result<String> {
    let name = aside_name(file, why);
    disk.rename(file, &dir.join(&name))?;
    Ok(name)
}

fn aside_name(file: &Path, why: &str) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("{}{why}.{name}", names::ASIDE)
}
