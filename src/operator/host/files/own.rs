//! Giving a tree to a user, for servers that are not root's. No link in it is followed, the topmost directory comes
//! last: whoever is killed in the middle leaves it to its old owner, and the next one begins again.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};

use super::records::{Own, Owned};
use super::{dirs, paths};
use crate::operator::host::failure::{At, Failure, Kind};

/// # Errors
/// `Refused`, with nothing changed, where the tree holds a file that has another name elsewhere and another owner, or a
/// link to what is somebody else's.
pub(crate) fn own(request: &Own) -> Result<Owned, Failure> {
    let owner = dirs::resolve(&request.owner)?;
    let mut report = Owned::default();
    for path in &request.paths {
        paths::absolute(path)?;
        // The directory itself may be kept elsewhere.
        let real = fs::canonicalize(path).at("look at", path)?;
        if real.components().count() < 3 {
            let why = "a directory of the system's top level is never given away";
            return Err(Failure::new("give away", path.display(), Kind::Refused, why));
        }
        let top = open_dir(CWD, &real).at("open", &real)?;
        let before = rustix::fs::fstat(&top).at("look at", &real)?;
        let mut walk =
            Walk { owner, before: before.st_uid, changes: false, linked: None, report: &mut report };
        walk.inside(&top, &real, 0)?;
        if let Some((link, why)) = walk.linked.take() {
            return Err(Failure::new("give away", link.display(), Kind::Refused, why)
                .hint(format!("give what it names to {} by hand, or remove it", request.owner.user)));
        }
        walk.changes = true;
        walk.inside(&top, &real, 0)?;
        walk.take(top.as_fd(), &real, &before, DIR_MODE)?;
        rustix::fs::fsync(&top).at("sync", &real)?;
    }
    Ok(report)
}

struct Walk<'a> {
    owner: (u32, u32),
    /// Whose the topmost directory is.
    before: u32,
    /// First it only looks.
    changes: bool,
    /// A link in it to what the new owner cannot use.
    linked: Option<(PathBuf, String)>,
    report: &'a mut Owned,
}

impl Walk<'_> {
    fn inside(&mut self, dir: &OwnedFd, at: &Path, depth: usize) -> Result<(), Failure> {
        if depth > DEPTH_MAX {
            return Err(Failure::invalid("give away", at.display(), "it is too deep to be a server's data"));
        }
        for entry in Dir::read_from(dir).at("list", at)? {
            let entry = entry.at("list", at)?;
            let name = entry.file_name();
            let path = at.join(name.to_string_lossy().as_ref());
            // `lost+found` is the file system's own.
            if matches!(name.to_bytes(), b"." | b"..") || (depth == 0 && name.to_bytes() == b"lost+found") {
                continue;
            }
            let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).at("look at", &path)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    let below = rustix::fs::openat(dir, name, flags | OFlags::DIRECTORY, Mode::empty());
                    let below = below.at("open", &path)?;
                    self.inside(&below, &path, depth + 1)?;
                    let stat = rustix::fs::fstat(&below).at("look at", &path)?;
                    self.take(below.as_fd(), &path, &stat, DIR_MODE)?;
                }
                FileType::RegularFile => {
                    let file = rustix::fs::openat(dir, name, flags, Mode::empty()).at("open", &path)?;
                    // Of what was opened: the name may mean something else by now.
                    let stat = rustix::fs::fstat(&file).at("look at", &path)?;
                    self.take(file.as_fd(), &path, &stat, FILE_MODE)?;
                }
                kind => {
                    let (uid, gid) = (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1));
                    let flag = AtFlags::SYMLINK_NOFOLLOW;
                    if self.changes {
                        let changed = rustix::fs::chownat(dir, name, Some(uid), Some(gid), flag);
                        changed.at("change the owner of", &path)?;
                    } else if kind == FileType::Symlink {
                        self.look_behind(&path);
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, file: BorrowedFd<'_>, path: &Path, now: &Stat, mode: u32) -> Result<(), Failure> {
        let theirs = (now.st_uid, now.st_gid) == self.owner;
        // Somebody else's file, linked into the tree: to give it away would give away what is elsewhere, too.
        let is_file = FileType::from_raw_mode(now.st_mode) == FileType::RegularFile;
        if !theirs && is_file && now.st_nlink > 1 && now.st_uid != self.before {
            let why = "it is another user's and has another name elsewhere";
            return Err(Failure::new("give away", path.display(), Kind::Refused, why)
                .hint("move it out of the directory"));
        }
        if !self.changes {
            return Ok(());
        }
        if !theirs {
            let (uid, gid) = (Uid::from_raw(self.owner.0), Gid::from_raw(self.owner.1));
            rustix::fs::fchown(file, Some(uid), Some(gid)).at("change the owner of", path)?;
        }
        let right = now.st_mode & 0o7777 == mode;
        if !right {
            rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).at("set the mode of", path)?;
        }
        self.report.changed += u64::from(!theirs || !right);
        Ok(())
    }

    /// A link is theirs now; what it names is not touched.
    fn look_behind(&mut self, link: &Path) {
        use std::os::unix::fs::MetadataExt as _;
        if let Ok(named) = fs::metadata(link)
            && named.uid() != self.owner.0
        {
            let target = fs::read_link(link).unwrap_or_default();
            let why = format!("it is a link to {}, which belongs to somebody else", target.display());
            self.linked.get_or_insert((link.to_path_buf(), why));
        }
    }
}

fn open_dir(at: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::DIRECTORY;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// What clients store is for its server alone.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// A dataDir has one level; what people keep beside it has a few.
const DEPTH_MAX: usize = 32;
