//! What is asked and answered about files, directories and disks.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::content::Content;
use crate::operator::host::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    File,
    Dir,
    Symlink,
    Socket,
    Other,
}

/// What is at a path; a symbolic link is not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub kind: FileKind,
    /// Permission bits (07777).
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub owner: Option<String>,
    pub group: Option<String>,
    pub bytes: u64,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
    pub link_target: Option<PathBuf>,
}

/// One path's answer: `found`, or a `problem`; neither means that nothing is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStat {
    pub path: PathBuf,
    pub found: Option<Found>,
    pub problem: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirEntry {
    /// Lossy where the name is not UTF-8.
    pub name: String,
    pub kind: FileKind,
    pub bytes: u64,
    pub modified_ms: i64,
}

/// A directory's entries, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    pub entries: Vec<DirEntry>,
    /// There were more than fit.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileContent {
    pub content: Content,
    /// Of the whole file.
    pub bytes: u64,
    /// Only the first part is in `content`.
    pub truncated: bool,
    /// Of what is in `content`.
    pub sha256: String,
    pub mode: u32,
}

/// One file's hash; neither hash nor problem means that nothing is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    pub path: PathBuf,
    pub sha256: Option<String>,
    pub bytes: u64,
    pub problem: Option<Failure>,
}

/// Who shall own a file, by name or number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub user: String,
    /// The user's primary group when not named.
    pub group: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsureDir {
    pub path: PathBuf,
    /// Permission bits of `path` itself; `None` leaves an existing directory as it is. Missing
    /// parents are made with 0755.
    pub mode: Option<u32>,
    pub owner: Option<Owner>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsuredDir {
    pub changed: bool,
    /// What was made now, parents first.
    pub created: Vec<PathBuf>,
}

/// What may be at the path before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Nothing, or exactly this content.
    Absent,
    /// Nothing, this content, or a file whose head carries our header.
    Ours,
    /// Anything.
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutFile {
    pub path: PathBuf,
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    pub owner: Option<Owner>,
    /// Of the content, as the caller computed it; a difference means that it was damaged on the way.
    pub sha256: Option<String>,
    pub expect: Expect,
    /// With [`Expect::Any`]: keep a copy of what was there and was not ours, beside it.
    pub backup: bool,
    /// What the content must be good for; else nothing is written.
    pub must_read: Reader,
    /// The directory is another user's: a link that is found there is replaced, never written through.
    pub in_foreign_dir: bool,
}

/// Who has to be able to read a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reader {
    /// Nobody in particular.
    #[default]
    Anybody,
    /// `zkops server`, as its zoo.cfg: tried by the very binary that answers.
    Server,
}

impl PutFile {
    /// A file of ours: 0644, overwrites only what carries our header.
    pub fn ours(path: impl Into<PathBuf>, content: impl Into<Content>) -> PutFile {
        PutFile {
            path: path.into(),
            content: content.into(),
            mode: 0o644,
            owner: None,
            sha256: None,
            expect: Expect::Ours,
            backup: false,
            must_read: Reader::Anybody,
            in_foreign_dir: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    pub changed: bool,
    /// There was no file before.
    pub created: bool,
    /// Of what was there before.
    pub previous_sha256: Option<String>,
    /// Where the previous, foreign content was kept.
    pub backup: Option<PathBuf>,
    pub created_dirs: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// A file or a whole tree.
    pub path: PathBuf,
    /// Only these directories and what is below them may be removed.
    pub roots: Vec<PathBuf>,
    /// A tree that holds one of these, by whatever name, is not removed.
    #[serde(default)]
    pub keep: Vec<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    pub changed: bool,
    pub files: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    pub from: PathBuf,
    /// Must not exist; its directory must.
    pub to: PathBuf,
    /// Both ends must be one of these directories or below.
    pub roots: Vec<PathBuf>,
}

/// The file system that a path is on, or would be on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    pub path: PathBuf,
    /// The path itself, or its nearest ancestor that exists.
    pub measured_at: PathBuf,
    pub mount_point: PathBuf,
    /// "ext4", "xfs", "tmpfs" …
    pub fs_type: String,
    /// What is mounted there: "/dev/sda1", "tmpfs" …
    pub source: String,
    pub total_bytes: u64,
    pub free_bytes: u64,
    /// Without the part reserved for root: what an ordinary user can write.
    pub available_bytes: u64,
    pub inodes_total: u64,
    pub inodes_free: u64,
    pub read_only: bool,
    pub noexec: bool,
}

/// One path's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathSpace {
    pub path: PathBuf,
    pub space: Option<Space>,
    pub problem: Option<Failure>,
}

/// The proof that a directory can be written, and how long its disk takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Writable {
    /// Where the probe was written: the path, or its nearest ancestor that exists.
    pub probed_at: PathBuf,
    /// Of single 4 KiB writes with fsync, in the order in which they were made. The first one pays
    /// for creating the file.
    pub fsync_us: Vec<u64>,
}

/// The program that answers, put at a path (0755) as a file of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceProgram {
    pub path: PathBuf,
    /// Of the program that is meant.
    pub sha256: String,
}

/// A link switched to another slot in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchLink {
    pub link: PathBuf,
    /// As it will stand in the link: relative to the directory that holds it.
    pub to: PathBuf,
}

/// Whole trees given to an owner: directories 0700, files 0600.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    pub paths: Vec<PathBuf>,
    pub owner: Owner,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Files and directories that were somebody else's, or had another mode.
    pub changed: u64,
}

/// Whose directories are, and whether a user can be a server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookOwners {
    /// The user that a server is to run as; `None`: whoever asks.
    pub user: Option<String>,
    pub dirs: Vec<PathBuf>,
    /// What that user must be able to get to.
    pub ways: Vec<PathBuf>,
    /// Look through the directories for what belongs to others.
    pub deep: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnersReport {
    /// The user that was asked for, if there is one.
    pub account: Option<AccountRecord>,
    /// This host has a program that makes users.
    pub can_make: bool,
    pub dirs: Vec<DirOwner>,
    /// A directory that the user may not pass.
    pub barred: Option<PathBuf>,
}

/// By name, or by number where there is no name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRecord {
    pub user: String,
    pub group: String,
}

/// One directory's answer: `found`, or a `problem`; neither means that nothing is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirOwner {
    pub path: PathBuf,
    pub found: Option<OwnerRecord>,
    pub problem: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRecord {
    pub user: String,
    pub group: String,
    /// Permission bits.
    pub mode: u32,
    /// It is a link, and this is the directory.
    pub target: Option<PathBuf>,
    /// Something in it that belongs to somebody else.
    pub stranger: Option<PathBuf>,
}
