//! Room on the disks, mount flags, and the proof that a directory can be written: a file that is
//! really written, synced and removed. It leaves nothing behind.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::paths;
use super::records::{PathSpace, Space, Writable};
use crate::operator::host::failure::{At, Failure, Kind};

pub(crate) fn spaces(paths: &[PathBuf]) -> Vec<PathSpace> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map(|text| mounts(&text)).unwrap_or_default();
    paths
        .iter()
        .map(|path| match space(path, &mounts) {
            Ok(space) => PathSpace { path: path.clone(), space: Some(space), problem: None },
            Err(problem) => PathSpace { path: path.clone(), space: None, problem: Some(problem) },
        })
        .collect()
}

/// # Errors
/// The very error that a server would meet: `PermissionDenied`, `NoSpace`, `ReadOnly` …
pub(crate) fn check_writable(path: &Path) -> Result<Writable, Failure> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    paths::absolute(path)?;
    let at = existing(path)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let probe = at.join(format!("{PROBE_PREFIX}{}.{number}", std::process::id()));
    let result = write_probe(&probe);
    match fs::remove_file(&probe) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) if result.is_ok() => return Err(Failure::io("remove", probe.display(), &error)),
        Err(_) => {}
    }
    let fsync_us = result.at("write a file in", &at)?;
    Ok(Writable { probed_at: at, fsync_us })
}

/// Whether a file is such a proof on its way, of this process or of another: it says nothing of whose the directory is.
pub(crate) fn is_probe(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PROBE_PREFIX.as_bytes())
}

fn write_probe(probe: &Path) -> std::io::Result<Vec<u64>> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(probe)?;
    let mut took_us = Vec::with_capacity(PROBE_WRITES);
    for _ in 0..PROBE_WRITES {
        let begun = Instant::now();
        file.write_all(&[0x7a; PROBE_BYTES])?;
        file.sync_data()?;
        took_us.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(took_us)
}

fn space(path: &Path, mounts: &[Mount]) -> Result<Space, Failure> {
    paths::absolute(path)?;
    let at = existing(path)?;
    let vfs = rustix::fs::statvfs(&at).at("measure", &at)?;
    let mount = mount_of(mounts, &at);
    let flag = |name: &str| mount.is_some_and(|mount| mount.options.split(',').any(|option| option == name));
    Ok(Space {
        path: path.to_path_buf(),
        mount_point: mount.map(|mount| mount.point.clone()).unwrap_or_default(),
        fs_type: mount.map(|mount| mount.fs_type.clone()).unwrap_or_default(),
        source: mount.map(|mount| mount.source.clone()).unwrap_or_default(),
        total_bytes: vfs.f_blocks.saturating_mul(vfs.f_frsize),
        free_bytes: vfs.f_bfree.saturating_mul(vfs.f_frsize),
        available_bytes: vfs.f_bavail.saturating_mul(vfs.f_frsize),
        inodes_total: vfs.f_files,
        inodes_free: vfs.f_favail,
        read_only: flag("ro") || vfs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        noexec: flag("noexec") || vfs.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC),
        measured_at: at,
    })
}

/// The path, or its nearest ancestor that exists, links resolved.
fn existing(path: &Path) -> Result<PathBuf, Failure> {
    for level in path.ancestors() {
        match fs::canonicalize(level) {
            Ok(real) => return Ok(real),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::io("look at", level.display(), &error)),
        }
    }
    Err(Failure::new("look at", path.display(), Kind::NotFound, "no part of this path exists"))
}

/// One line of /proc/self/mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    /// Of this mount and of its file system, comma-separated.
    pub(crate) options: String,
    pub(crate) fs_type: String,
    pub(crate) source: String,
}

/// Parses mountinfo (proc(5)): `id parent dev root point options [tags…] - type source super`.
pub(crate) fn mounts(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            Some(Mount {
                point: PathBuf::from(unescape(left.get(4)?)),
                options: format!("{},{}", left.get(5)?, right.get(2).unwrap_or(&"")),
                fs_type: (*right.first()?).to_string(),
                source: unescape(right.get(1)?),
            })
        })
        .collect()
}

/// The last mount with the longest point above the path is the one that shows.
pub(crate) fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
}

/// Blanks and the like stand as \040 in /proc.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if bytes[at] == b'\\' => {
                out.push(byte);
                at += 4;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes of a transaction log are small; a few are enough to see a slow disk.
/// A proof's name begins with it; other versions of ours name it so, too.
const PROBE_PREFIX: &str = ".zkops-probe.";
const PROBE_WRITES: usize = 5;
const PROBE_BYTES: usize = 4096;
