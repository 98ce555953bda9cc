//! What a member runs: the program put into a slot, and the link that names the slot that counts. Both are what they
//! were or what they shall be, whenever the power goes.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::durable::{self, temporary_beside};
use super::records::{PlaceProgram, SwitchLink};
use super::{content, dirs, look, paths};
use crate::operator::host::failure::{At, Failure, Kind};

/// Puts the program that answers at `path`; false when it was there.
///
/// # Errors
/// `Invalid` when the program that answers is not the one that is meant.
pub(crate) fn place(request: &PlaceProgram) -> Result<bool, Failure> {
    let path = &request.path;
    paths::absolute(path)?;
    // Opened through /proc it is the running program, whatever its file was replaced by.
    let bytes = fs::read(RUNNING).at("read", Path::new(RUNNING))?;
    let sha256 = content::sha256(&bytes);
    if sha256 != request.sha256 {
        let why = format!("the zkops that runs here is {sha256}, not {}", request.sha256);
        return Err(Failure::invalid("put the program in place at", path.display(), why).hint("run it again"));
    }
    dirs::create_missing(paths::parent(path)?)?;
    let there = fs::symlink_metadata(path).ok().filter(|there| there.is_file());
    let same = there.is_some_and(|there| there.mode() & 0o7777 == MODE)
        && look::hash(path).is_ok_and(|(there, _)| there == sha256);
    if !same && !moved_in(path)? {
        durable::replace(path, &bytes, MODE, None)?;
    }
    Ok(!same)
}

/// Whether the program that answers could be given its name in the slot, too: it was sent beside the slots, is on disk by
/// then, and loses its first name next. What runs in one slot is copied into the other: they share nothing.
fn moved_in(path: &Path) -> Result<bool, Failure> {
    let Ok(running) = fs::read_link(RUNNING) else { return Ok(false) };
    let Ok(there) = fs::metadata(RUNNING) else { return Ok(false) };
    let beside = running.parent() == paths::parent(path)?.parent();
    let as_wanted = there.mode() & 0o7777 == MODE && there.uid() == rustix::process::geteuid().as_raw();
    if !beside || !as_wanted || there.nlink() != 1 {
        return Ok(false);
    }
    durable::link(Path::new(RUNNING), path)
}

/// Makes the link point to `to`; false when it did.
///
/// # Errors
/// `NotFound` where the slot does not hold both files; `Foreign` when something else is in the link's place.
pub(crate) fn switch(request: &SwitchLink) -> Result<bool, Failure> {
    let SwitchLink { link, to } = request;
    paths::absolute(link)?;
    let dir = paths::parent(link)?;
    for name in ["zkops", "zoo.cfg"] {
        let file = dir.join(to).join(name);
        let metadata = fs::symlink_metadata(&file).at("switch to", &file)?;
        if !metadata.is_file() || (name == "zkops" && metadata.permissions().mode() & 0o111 == 0) {
            return Err(Failure::invalid(
                "switch to",
                file.display(),
                "it is not the file that belongs there",
            ));
        }
    }
    match fs::symlink_metadata(link) {
        Ok(metadata) if !metadata.is_symlink() => {
            return Err(Failure::new("switch", link.display(), Kind::Foreign, "it is no link of zkops")
                .hint("move it away, or name another install_dir in the inventory"));
        }
        Ok(_) if fs::read_link(link).is_ok_and(|now| now == *to) => {
            // Whoever made it may have been killed before it was durable.
            durable::sync_dir(dir)?;
            return Ok(false);
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failure::io("look at", link.display(), &error));
        }
        Ok(_) | Err(_) => {}
    }
    let temporary = temporary_beside(link)?;
    let made = std::os::unix::fs::symlink(PathBuf::from(to), &temporary)
        .and_then(|()| fs::rename(&temporary, link))
        .at("switch", link);
    if made.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    }
    made?;
    durable::sync_dir(dir)?;
    Ok(true)
}

const RUNNING: &str = "/proc/self/exe";
const MODE: u32 = 0o755;
